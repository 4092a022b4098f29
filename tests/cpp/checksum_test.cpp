// XXH64 against the values that its authors publish, and in pieces.
#include "core/checksum.hpp"

#include <algorithm>
#include <string_view>
#include <vector>

#include "sealing.hpp"
#include "support.hpp"

namespace grantwheel::test {

namespace {

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

// The buffer of xxHash's own sanity check.
std::vector<std::byte> sanity_buffer(std::size_t size) {
    std::vector<std::byte> bytes;
    std::uint64_t generated = 2'654'435'761u;
    for (std::size_t i = 0; i < size; ++i) {
        bytes.push_back(static_cast<std::byte>(generated >> 56));
        generated *= 11'400'714'785'074'694'797u;
    }
    return bytes;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(hash)

BOOST_AUTO_TEST_CASE(it_is_xxh64) {
    BOOST_CHECK_EQUAL(checksum_of({}), 0xEF46'DB37'51D8'E999u);
    BOOST_CHECK_EQUAL(checksum_of(bytes_of("a")), 0xD24E'C4F1'A98C'6E5Bu);
    BOOST_CHECK_EQUAL(checksum_of(bytes_of("abc")), 0x44BC'2CF5'AD77'0999u);
    BOOST_CHECK_EQUAL(checksum_of(bytes_of("Nobody inspects the spammish repetition")), 0xFBCE'A83C'8A37'8BF1u);
    BOOST_CHECK_EQUAL(checksum_of(sanity_buffer(1)), 0xE934'A84A'DB05'2768u);
    BOOST_CHECK_EQUAL(checksum_of(sanity_buffer(4)), 0x9136'A0DC'A574'57EEu);
    BOOST_CHECK_EQUAL(checksum_of(sanity_buffer(14)), 0x8282'DCC4'994E'35C8u);
    BOOST_CHECK_EQUAL(checksum_of(sanity_buffer(222)), 0xB641'AE8C'B691'C174u);
}

BOOST_AUTO_TEST_CASE(pieces_make_the_hash_of_the_whole) {
    const std::vector<std::byte> all = sanity_buffer(300);
    Random random(41);
    for (std::size_t size = 0; size <= all.size(); ++size) {
        const std::span<const std::byte> whole = std::span(all).first(size);
        Checksum pieces;
        for (std::size_t at = 0; at < size;) {
            const std::size_t piece = std::min<std::size_t>(size - at, random.below(70));
            pieces.add(whole.subspan(at, piece));
            at += piece;
        }
        REQUIRE_EQUAL_QUIETLY(pieces.value(), xxh64(whole));
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
