// Keyed hashes: what was published of them, and that nobody can aim at the tables without the key.
#include "core/hash.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "core/strings.hpp"
#include "core/table.hpp"
#include "grantwheel/manager.hpp"
#include "support.hpp"

namespace grantwheel::test {

namespace {

// SipHash-1-3 of the first 0, 1, ... 63 bytes of 00 01 02 ..., with the key 00 01 ... 0f: the vectors that the standard
// library of Rust is tested with. CPython hashes texts by the same function.
constexpr std::array<std::uint64_t, 64> vectors{
    0xABAC'0158'050F'C4DC, 0xC9F4'9BF3'7D57'CA93, 0x82CB'9B02'4DC7'D44D, 0x8BF8'0AB8'E7DD'F7FB, 0xCF75'5760'88D3'8328,
    0xDEF9'D52F'4953'3B67, 0xC50D'2B50'C59F'22A7, 0xD392'7D98'9BB1'1140, 0x3690'9511'8D29'9A8E, 0x25A4'8EB3'6C06'3DE4,
    0x79DE'85EE'92FF'097F, 0x70C1'18C1'F94D'C352, 0x78A3'84B1'57B4'D9A2, 0x306F'760C'1229'FFA7, 0x605A'A111'C0F9'5D34,
    0xD320'D86D'2A51'9956, 0xCC4F'DD1A'7D90'8B66, 0x9CF2'6890'63DB'D80C, 0x8FFC'389C'B473'E63E, 0xF21F'9DE5'8D29'7D1C,
    0xC0DC'2F46'A6CC'E040, 0xB992'ABFE'2B45'F844, 0x7FFE'7B9B'A320'872E, 0x525A'0E7F'DAE6'C123, 0xF464'AEB2'6734'9C8C,
    0x45CD'5928'705B'0979, 0x3A3E'35E3'CA99'13A5, 0xA91D'C74E'4ADE'3B35, 0xFB0B'ED02'EF6C'D00D, 0x88D9'3CB4'4AB1'E1F4,
    0x540F'11D6'43C5'E663, 0x2370'DD1F'8C21'D1BC, 0x8115'7B6C'16A7'B60D, 0x4D54'B9E5'7A8F'F9BF, 0x759F'1278'1F2A'753E,
    0xCEA1'A3BE'BF18'6B91, 0x2CF5'08D3'ADA2'6206, 0xB610'1C2D'A3C3'3057, 0xB3F4'7496'AE3A'36A1, 0x626B'5754'7B10'8392,
    0xC1D2'3632'99E4'1531, 0x667C'C192'3F1A'D944, 0x6570'4FFE'C813'8825, 0x24F2'80D1'C289'49A6, 0xC2CA'1CED'FAF8'876B,
    0xC216'4BFC'9F04'2196, 0xA16E'9C93'68B1'D623, 0x49FB'169C'8B51'14FD, 0x9F31'43F8'DF07'4C46, 0xC6FD'AF24'12CC'86B3,
    0x7EAF'49D1'0A52'098F, 0x1CF3'1355'9D29'2F9A, 0xC44A'30DD'A2F4'1F12, 0x36FA'E989'43A7'1ED0, 0x318F'B34C'73F0'BCE6,
    0xA27A'BF36'70A7'E980, 0xB4BC'C0DB'243C'6D75, 0x23F8'D852'FDB7'1513, 0x8F03'5F4D'A67D'8A08, 0xD89C'D0E5'B7E8'F148,
    0xF6F4'E6BC'F7A6'44EE, 0xAEC5'9AD8'0F18'37F2, 0xC3B2'F615'4B66'94E0, 0x9D19'9062'B7BB'B3A8,
};

constexpr HashKey counting{{0x0706'0504'0302'0100, 0x0F0E'0D0C'0B0A'0908}};
constexpr HashKey keys[] = {{}, counting, {{0xFFFF'FFFF'FFFF'FFFF, 0xFFFF'FFFF'FFFF'FFFF}}, {{0x1234'5678, 0}}};

// What texts of two words were once hashed by, without a key.
constexpr std::uint64_t factor = 0x9FB2'1C65'1E98'DF25;

std::uint64_t once_mixed(std::uint64_t hash, std::uint64_t word) {
    hash = (hash ^ word) * factor;
    return hash ^ hash >> 32;
}

std::uint64_t inverse(std::uint64_t odd) {
    std::uint64_t found = odd;
    for (int i = 0; i < 6; ++i) found *= 2 - odd * found;
    return found;
}

// A text as a word, whose bytes are digits of a number.
std::uint64_t word_of(std::uint64_t number) {
    std::uint64_t word = 0;
    for (int byte = 0; byte < 8; ++byte, number /= 64) word |= (' ' + number % 64) << 8 * byte;
    return word;
}

// Texts of 16 bytes of ASCII that met in all bits of that hash: for one first word in 256 there is a second one.
std::vector<std::string> once_equal_texts(std::size_t count) {
    constexpr std::uint64_t met = 0x0123'4567'89AB'CDEF;
    const std::uint64_t before = (met ^ met >> 32) * inverse(factor);
    std::vector<std::string> texts;
    for (std::uint64_t i = 0; texts.size() < count; ++i) {
        const std::uint64_t first = word_of(i);
        const std::uint64_t hash = once_mixed(2 * sizeof first * factor, first);
        const std::uint64_t words[2] = {first, hash ^ before};
        if ((words[1] & 0x8080'8080'8080'8080) != 0) continue;
        REQUIRE_EQUAL_QUIETLY(once_mixed(hash, words[1]), met);
        texts.emplace_back(reinterpret_cast<const char*>(words), sizeof words);
    }
    return texts;
}

// Numbers whose hashes once had the highest bits in common.
std::vector<std::uint32_t> once_close_numbers(std::size_t count) {
    std::vector<std::uint32_t> numbers;
    for (std::uint32_t number = 0; numbers.size() < count; ++number) {
        if (mixed(number) >> 20 == 0x5A5) numbers.push_back(number);
    }
    return numbers;
}

// How many others a look-up passes, on average.
double passed_on_average(const Strings& strings) {
    return static_cast<double>(strings.passed()) / static_cast<double>(strings.used_count());
}
double passed_on_average(const Table& table) {
    return static_cast<double>(table.passed()) / static_cast<double>(table.size());
}

void add_all(Strings& strings, const std::vector<std::string>& texts) {
    for (const std::string& text : texts) strings.use(strings.find_or_add(text));
}

// As records of apps and of processes of one app.
void add_all(Table& table, const std::vector<std::uint32_t>& numbers) {
    for (const std::uint32_t number : numbers) {
        for (const OwnerKind kind : {OwnerKind::app, OwnerKind::process}) {
            const bool is_app = kind == OwnerKind::app;
            const std::uint32_t uid = is_app ? number : 0x8000'0000;
            REQUIRE_QUIETLY(table.make_room(uid, is_app ? 1 : 0, is_app ? 0 : 1, CPU));
            table.set_mask(table.add(kind, uid, number, 0), CPU);
        }
    }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(hash)

BOOST_AUTO_TEST_CASE(siphash_is_what_was_published) {
    std::string text;
    for (const std::uint64_t expected : vectors) {
        REQUIRE_EQUAL_QUIETLY(siphash(counting, text), expected);
        text.push_back(static_cast<char>(text.size()));
    }
    BOOST_CHECK_EQUAL(siphash({}, "abc"), 13851880170939887858u);
}

BOOST_AUTO_TEST_CASE(every_bit_of_a_key_and_of_what_is_hashed_counts) {
    std::set<std::uint32_t> of_texts{TextHash(HashKey{})("text")};
    std::set<std::uint32_t> of_numbers{NumberHash(HashKey{})(1000)};
    for (int bit = 0; bit < 128; ++bit) {
        HashKey key;
        key.words[bit / 64] = std::uint64_t{1} << bit % 64;
        of_texts.insert(TextHash(key)("text"));
        of_numbers.insert(NumberHash(key)(1000));
    }
    BOOST_CHECK_EQUAL(of_texts.size(), 129u);
    BOOST_CHECK_EQUAL(of_numbers.size(), 129u);
    const NumberHash hash({});
    for (int bit = 0; bit < 32; ++bit) of_numbers.insert(hash(1000 ^ std::uint32_t{1} << bit));
    BOOST_CHECK_EQUAL(of_numbers.size(), 161u);
}

BOOST_AUTO_TEST_CASE(rows_of_numbers_are_spread) {
    for (const HashKey& key : keys) {
        const NumberHash hash(key);
        for (const std::uint32_t step : {1u, 2u, 10u, 4096u, 100'000u, 121'393u, 1u << 18}) {
            std::map<std::uint32_t, int> homes;
            int most = 0;
            for (std::uint32_t i = 0; i < 4096; ++i) most = std::max(most, ++homes[hash(10'000 + i * step) >> 20]);
            // Random numbers come to 63 % of the places, and to none more than a few times.
            BOOST_CHECK_GT(homes.size(), 4096u * 55 / 100);
            BOOST_CHECK_LT(most, 16);
        }
    }
}

BOOST_AUTO_TEST_CASE(texts_that_met_without_a_key_are_as_good_as_others) {
    const std::vector<std::string> texts = once_equal_texts(48'000);  // close to what 65,536 entries have room for
    std::vector<std::string> others;
    for (std::size_t i = 0; i < texts.size(); ++i) others.push_back("reason number " + std::to_string(i));
    for (const HashKey& key : keys) {
        Strings aimed(key);
        Strings usual(key);
        add_all(aimed, texts);
        add_all(usual, others);
        REQUIRE_EQUAL_QUIETLY(aimed.used_count(), texts.size());
        BOOST_CHECK_LT(passed_on_average(aimed), 2);
        BOOST_CHECK_LT(passed_on_average(usual), 2);
    }
}

BOOST_AUTO_TEST_CASE(uids_and_pids_that_were_close_without_a_key_are_as_good_as_others) {
    const std::vector<std::uint32_t> numbers = once_close_numbers(8000);
    std::vector<std::uint32_t> others;
    for (std::uint32_t i = 0; i < numbers.size(); ++i) others.push_back(10'000 + i);
    for (const HashKey& key : keys) {
        Table aimed(key);
        Table usual(key);
        add_all(aimed, numbers);
        add_all(usual, others);
        BOOST_CHECK_LT(passed_on_average(aimed), 2);
        BOOST_CHECK_LT(passed_on_average(usual), 2);
    }
}

// Callers and bundles of the policy come from whoever installs applications.
BOOST_AUTO_TEST_CASE(a_policy_finds_the_same_with_any_key) {
    for (const HashKey& key : keys) {
        const auto policy = Policy::create(key);
        for (std::uint32_t i = 0; i < 500; ++i) {
            const std::string bundle = "bundle " + std::to_string(i);
            REQUIRE_EQUAL_QUIETLY(policy->set_rule(bundle, {.allowed = i}), Status::ok);
            REQUIRE_EQUAL_QUIETLY(policy->set_caller(i, {.bundle = bundle}), Status::ok);
        }
        for (std::uint32_t i = 0; i < 500; ++i) {
            REQUIRE_EQUAL_QUIETLY(policy->rule("bundle " + std::to_string(i)).allowed, i);
            REQUIRE_EQUAL_QUIETLY(policy->caller(i, 1).bundle, "bundle " + std::to_string(i));
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
