// The configurations of the differential run, and the random pieces of its calls: numbers that depend on the seed alone.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>

#include "quick_model.hpp"

namespace grantwheel::test {

// splitmix64; no division, as millions of numbers a second are wanted.
class Dice {
public:
    explicit Dice(std::uint64_t seed) noexcept : state_(seed) {}

    std::uint64_t next() noexcept {
        std::uint64_t word = state_ += 0x9E37'79B9'7F4A'7C15u;
        word = (word ^ word >> 30) * 0xBF58'476D'1CE4'E5B9u;
        word = (word ^ word >> 27) * 0x94D0'49BB'1331'11EBu;
        return word ^ word >> 31;
    }
    // 0..count-1.
    std::uint32_t below(std::uint32_t count) noexcept {
        return static_cast<std::uint32_t>((next() >> 32) * count >> 32);
    }
    bool one_in(std::uint32_t count) noexcept { return below(count) == 0; }
    // A number of at most `bits` bits, of any magnitude with the same chance.
    std::uint64_t magnitude(unsigned bits) noexcept {
        const unsigned length = below(bits + 1u);
        return length == 0 ? 0 : next() >> (64u - length);
    }

private:
    std::uint64_t state_;
};

// One configuration. An engine lives for `life` ops, then another one begins, with another seed.
struct Rung {
    const char* name;
    std::uint32_t uids;
    std::uint32_t pids;
    unsigned timeout_bits;  // timeouts of 1 ms to 2^timeout_bits - 1
    unsigned step_bits;     // steps of time of 0 to 2^step_bits - 1
    std::uint32_t drives;   // an advance in one of that many ops
    std::uint32_t budget;   // of such an advance at most, if it has one
    Limits limits{.event_capacity = 256};
    bool eager = false;  // advance before each op: then the order of events is that of the model, and gaps can be told
    Instant start = 0;
    std::uint32_t texts = 9;
    std::uint32_t persists = 12;      // an apply in one of that many is persistent
    std::uint32_t validates = 1;      // validate() in one of that many ops, exactly
    std::uint32_t compares_all = 50;  // everything is compared in one of that many ops
    std::uint32_t life = 250'000;
    unsigned share = 4;  // of all ops, in proportion

    // Whether a limit can be reached.
    [[nodiscard]] bool tight() const { return limits.max_records < uids + pids || limits.max_strings + 1 < texts; }
};

inline constexpr Limits ring(std::uint32_t capacity) { return {.event_capacity = capacity}; }
inline constexpr Limits most(std::uint32_t records, std::uint32_t strings, std::uint32_t events = 256,
                             std::uint32_t reserve = 0) {
    return {.max_records = records, .max_strings = strings, .event_capacity = events, .reserve = reserve};
}

// clang-format off
inline constexpr Rung ladder[] = {
    // few owners: validated after each op
    {"one",           1,   1,  2,  2,   10, 2},
    {"pair",          2,   3,  3,  3,    3, 1},
    {"few",           5,   8,  6,  5,    5, 4},
    {"few-rarely",    5,   8,  6,  5, 1000, 1},
    {"one-uid",       1,  12,  8,  6,   50, 1},
    {"persistent",    4,   6,  8,  6,   10, 1, ring(256), false, 0, 9, 2},
    // limits that are reached all the time
    {"limits-1",      8,   8,  6,  4, 1000, 1, most(1, 1)},
    {"limits-3",      8,   8,  6,  4,   10, 2, most(3, 3)},
    {"limits-12",    20,  20, 10,  8, 1000, 1, most(12, 7, 256), false, 0, 9, 12, 4},
    {"limits-30",    40,  40, 32, 30,    3, 2, most(30, 5, 512, 30), false, 0, 9, 12, 8},
    {"limits-2000", 3000, 3000, 16, 8, 200, 16, most(2000, 50, 16'384), false, 0, 60, 12, 20'000, 4000, 1'000'000, 30},
    {"limits-huge",   6,   8, 10,  8,   20, 1, most(INT32_MAX, INT32_MAX)},
    {"texts",        40,  40, 10,  7,   20, 4, most(100, 60, 512), false, 0, 300, 12, 50, 100, 250'000, 20},
    // rings that lose events
    {"ring-1",        8,  10,  6,  5, 1000, 1, ring(1), true},
    {"ring-2",        8,  10,  6,  5, 1000, 1, ring(2), true},
    {"ring-7",        8,  10,  6,  5, 1000, 1, ring(7), true},
    {"ring-64",     300, 100,  9,  7, 1000, 1, ring(64), true, 0, 20, 12, 1000, 1000, 250'000, 40},
    {"ring-65536", 3000, 2000, 24, 16, 1000, 1, ring(65'536), true, 0, 50, 12, 100'000, 8000, 1'000'000, 40},
    // long timeouts and long steps
    {"long",          3,   4, 32, 32, 1000, 1},
    {"long-slices",  10,  20, 32, 28,    5, 3, ring(512), false, 0, 9, 12, 4},
    {"jumps",         6,   8, 32, 40,    7, 2},
    {"jumps-many", 2000, 1000, 32, 40,  50, 100, ring(32'768), false, 0, 30, 12, 20'000, 5000, 1'000'000, 30},
    {"short-jumps",  20,  20,  4, 40,    7, 2, ring(512), false, 0, 9, 12, 4},
    {"last",          6,   8, 12,  8,    5, 3, ring(256), false, max_now - 20'000, 9, 12, 1, 50, 5000},
    {"last-far",      6,   8, 32, 30,    5, 3, ring(256), false, max_now - (Instant{1} << 36), 9, 12, 1, 50, 5000},
    // more owners, driven in slices of one, some and all
    {"dozens",       20,  40, 10,  7,   20, 1, ring(1024), false, 0, 9, 12, 20, 100, 250'000, 80},
    {"slices-of-1",  40,  40,  7,  4,    2, 1, ring(1024), false, 0, 9, 12, 20, 100, 250'000, 80},
    {"hundreds",    300, 500, 14,  6,   20, 8, ring(4096), false, 0, 30, 12, 1000, 1500, 500'000, 120},
    {"renewals",   1000, 500, 20,  2,  100, 64, ring(16'384), false, 0, 30, 12, 10'000, 5000, 1'000'000, 120},
    {"thousands", 6000, 3000, 18,  5,   50, 64, ring(65'536), false, 0, 100, 12, 50'000, 30'000, 2'000'000, 80},
    {"tens-of-thousands", 30'000, 10'000, 20, 4, 100, 1000, ring(65'536), true, 0, 100, 12, 200'000, 100'000, 2'000'000, 40},
    {"a-lot",   150'000, 50'000, 24, 7, 100, 1000, ring(65'536), true, 0, 1000, 12, 1'000'000, 500'000, 4'000'000, 30},
};
// clang-format on

// What a rung has of owners and texts: keys at both ends of what is legal, some that follow each other, and some that
// are scattered; texts of many lengths, the longest legal one among them.
inline Universe universe_of(const Rung& rung) {
    const auto keys = [](std::uint32_t count, std::uint32_t last) {
        std::vector<std::uint32_t> found{0, last, 1, last - 1};
        for (std::uint32_t i = 2; found.size() < count; ++i) {
            found.push_back(i % 2 == 0 ? i : i * 0x9E37'79B1u % last);
        }
        found.resize(count);
        std::sort(found.begin(), found.end());
        found.erase(std::unique(found.begin(), found.end()), found.end());
        return found;
    };
    Universe universe{keys(rung.uids, max_uid), keys(rung.pids, max_pid), {}};
    for (std::size_t i = 0; i < rung.texts; ++i) {
        const std::string number = i == 0 ? "" : std::to_string(i);
        const std::size_t length = i % 16 == 7 ? max_text_bytes - i / 16 : number.size() * (1 + i % 8);
        universe.texts.push_back(number + std::string(length - std::min(length, number.size()), '.'));
    }
    return universe;
}

// A rung in one line.
inline std::string describe(const Rung& rung, const Universe& universe) {
    const auto number = [](std::uint64_t value) { return std::to_string(value); };
    const Limits& limits = rung.limits;
    std::string text = number(universe.uids.size()) + " uids, " + number(universe.pids.size()) + " pids, ";
    text += number(rung.texts) + " texts; timeouts < 2^" + number(rung.timeout_bits) + ", steps < 2^";
    text += number(rung.step_bits) + ", from " + number(rung.start) + "; at most " + number(limits.max_records);
    text += " records, " + number(limits.max_strings) + " texts, " + number(limits.event_capacity) + " events; ";
    if (rung.eager) text += "advanced before each op; ";
    text += "an advance in " + number(rung.drives) + " ops, with a budget up to " + number(rung.budget) + " or none; ";
    text += "one apply in " + number(rung.persists) + " persistent; validated each " + number(rung.validates);
    return text + ", compared in full each " + number(rung.compares_all) + " ops or so";
}

}  // namespace grantwheel::test
