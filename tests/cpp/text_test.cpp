#include "core/text.hpp"

#include <array>
#include <string>

#include "support.hpp"

namespace grantwheel::test {

namespace {

std::string bytes(std::initializer_list<unsigned> values) {
    std::string text;
    for (const unsigned value : values) text.push_back(static_cast<char>(value));
    return text;
}

// A code point in the form of `length` bytes, whether or not that is its proper one.
std::string encode(unsigned point, int length) {
    if (length == 1) return bytes({point});
    static constexpr std::array leads{0u, 0u, 0xC0u, 0xE0u, 0xF0u};
    std::string text(static_cast<std::size_t>(length), '\0');
    for (int i = length - 1; i > 0; --i, point >>= 6)
        text[static_cast<std::size_t>(i)] = static_cast<char>(0x80 | (point & 0x3F));
    text[0] = static_cast<char>(leads.at(static_cast<std::size_t>(length)) | point);
    return text;
}

int proper_length(unsigned point) { return point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4; }

bool is_surrogate(unsigned point) { return point >= 0xD800 && point <= 0xDFFF; }

}  // namespace

BOOST_AUTO_TEST_SUITE(text)

BOOST_AUTO_TEST_CASE(the_empty_text_is_fine) { BOOST_CHECK(is_utf8("")); }

BOOST_AUTO_TEST_CASE(every_code_point_but_the_surrogates_passes) {
    for (unsigned point = 0; point <= 0x10FFFF; ++point) {
        if (is_utf8(encode(point, proper_length(point))) == is_surrogate(point)) BOOST_FAIL("code point " << point);
    }
}

BOOST_AUTO_TEST_CASE(nothing_above_the_last_code_point_passes) {
    for (unsigned point = 0x110000; point < 0x200000; ++point) {
        if (is_utf8(encode(point, 4))) BOOST_FAIL("code point " << point);
    }
    for (unsigned lead = 0xF5; lead <= 0xFF; ++lead) {
        BOOST_CHECK(!is_utf8(bytes({lead, 0x80, 0x80, 0x80})));
        BOOST_CHECK(!is_utf8(bytes({lead, 0x80, 0x80, 0x80, 0x80})));
        BOOST_CHECK(!is_utf8(bytes({lead, 0x80, 0x80, 0x80, 0x80, 0x80})));
    }
}

BOOST_AUTO_TEST_CASE(no_overlong_form_passes) {
    for (unsigned point = 0; point < 0x10000; ++point) {
        for (int length = proper_length(point) + 1; length <= 4; ++length) {
            if (is_utf8(encode(point, length))) BOOST_FAIL("code point " << point << " in " << length << " bytes");
        }
    }
}

BOOST_AUTO_TEST_CASE(no_other_two_bytes_pass) {
    for (unsigned first = 0; first < 256; ++first) {
        for (unsigned second = 0; second < 256; ++second) {
            const bool ascii = first < 0x80 && second < 0x80;
            const bool pair = first >= 0xC2 && first <= 0xDF && second >= 0x80 && second <= 0xBF;
            if (is_utf8(bytes({first, second})) != (ascii || pair)) BOOST_FAIL(first << ", " << second);
        }
    }
}

BOOST_AUTO_TEST_CASE(a_character_needs_all_its_continuation_bytes) {
    for (const unsigned point : {0x80u, 0x7FFu, 0x800u, 0xFFFFu, 0x10000u, 0x10FFFFu}) {
        const std::string whole = encode(point, proper_length(point));
        for (std::size_t length = 1; length < whole.size(); ++length) {
            const std::string truncated = whole.substr(0, length);
            BOOST_CHECK(!is_utf8(truncated));
            BOOST_CHECK(!is_utf8(truncated + "abcdefgh"));
            BOOST_CHECK(!is_utf8(truncated + whole));
        }
        for (std::size_t at = 1; at < whole.size(); ++at) {
            for (const unsigned wrong : {0x00u, 0x7Fu, 0xC0u, 0xFFu}) {
                std::string broken = whole;
                broken[at] = static_cast<char>(wrong);
                BOOST_CHECK(!is_utf8(broken));
            }
        }
        BOOST_CHECK(!is_utf8(whole + "\x80"));
    }
}

BOOST_AUTO_TEST_CASE(the_place_within_the_text_makes_no_difference) {
    for (std::size_t before = 0; before <= 17; ++before) {
        for (std::size_t after = 0; after <= 17; ++after) {
            for (const unsigned point : {0x7Fu, 0xE9u, 0x20ACu, 0x1F600u}) {
                const std::string character = encode(point, proper_length(point));
                const std::string padding(before, 'a');
                const std::string rest(after, 'z');
                REQUIRE_QUIETLY(is_utf8(padding + character + rest));
                REQUIRE_QUIETLY(is_utf8(padding + character + character + rest));
                REQUIRE_QUIETLY(!is_utf8(padding + "\xBF" + rest));
                REQUIRE_QUIETLY(!is_utf8(padding + "\xED\xA0\x80" + rest));
                if (point >= 0x80) REQUIRE_QUIETLY(!is_utf8(padding + character.substr(1) + rest));
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(a_null_character_is_a_character) {
    BOOST_CHECK(is_utf8(bytes({0})));
    BOOST_CHECK(is_utf8(std::string(100, '\0')));
    BOOST_CHECK(!is_utf8(std::string(100, '\0') + "\xFF"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
