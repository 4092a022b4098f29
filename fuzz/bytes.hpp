// The bytes of one input as a stream of choices. When they are used up every choice is the first one, and `done` is set.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "grantwheel/types.hpp"

namespace grantwheel::fuzz {

class Bytes {
public:
    explicit Bytes(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

    [[nodiscard]] std::size_t left() const { return bytes_.size(); }
    [[nodiscard]] bool done() const { return bytes_.empty(); }

    std::uint8_t byte() {
        if (bytes_.empty()) return 0;
        const std::uint8_t first = bytes_.front();
        bytes_ = bytes_.subspan(1);
        return first;
    }
    // Little-endian, of so many bytes.
    std::uint64_t number(int count) {
        std::uint64_t number = 0;
        for (int i = 0; i < count; ++i) number |= std::uint64_t{byte()} << (8 * i);
        return number;
    }
    // 0..count-1, for a count of at most 256.
    std::size_t below(std::size_t count) { return byte() % count; }
    bool flag() { return (byte() & 1) != 0; }
    template <typename T, std::size_t count>
    T one_of(const T (&values)[count]) {
        return values[below(count)];
    }

    // A uid as wide as a caller may give it: most often one of six, at times one of 256, or one at an edge.
    std::int64_t uid() { return key(max_uid); }
    std::int64_t pid() { return key(max_pid); }

    // Keys of records that ascend, most often of those that calls have.
    std::vector<std::uint32_t> keys() {
        std::vector<std::uint32_t> some;
        std::uint32_t key = byte();
        for (std::size_t left = below(6); left != 0; --left, key += 1u + byte()) some.push_back(key);
        return some;
    }

    Mask mask() {
        switch (below(8)) {
            case 0: return type::CPU;
            case 1: return type::CPU | type::GPS;
            case 2: return type::ALL;
            case 3: return type::RETAINED | type::CPU;
            case 4: return static_cast<Mask>(number(4));
            case 5: return 0;
            case 6: return static_cast<Mask>(number(2)) & type::ALL;
            default: return Mask{1} << below(type_count + 1);
        }
    }

    std::uint64_t timeout() {
        switch (below(8)) {
            case 0: return 1;
            case 1: return 1u << below(32);
            case 2: return max_timeout;
            case 3: return number(8);
            case 4: return number(2);
            case 5: return 64 * (1 + below(70));
            default: return below(256);
        }
    }

    // One for each type, of less than 65,536 ms; 0 for some.
    void timeouts(std::span<std::uint32_t, type_count> out) {
        for (std::uint32_t& one : out) one = flag() ? static_cast<std::uint32_t>(number(2)) : 0;
    }

    // A text of any length, most often a short one of few, and not always UTF-8.
    std::string text() {
        static constexpr const char* words[] = {"", "a", "b", "mail", "a reason of some length", "\xC3\xA9"};
        switch (below(8)) {
            case 0: return {};
            case 1: return std::string(number(2) % (max_text_bytes + 8), static_cast<char>('a' + below(4)));
            case 2: return raw(below(24));
            case 3: return std::string(max_text_bytes - 3, 'x') + raw(below(6));
            default: return words[below(std::size(words))];
        }
    }

    // The limits of an engine: small ones, so that each is reached.
    Limits limits() {
        static constexpr std::uint32_t records[] = {1, 2, 3, 5, 8, 40, 1000, 40'000};
        static constexpr std::uint32_t strings[] = {1, 2, 3, 5, 8, 100};
        Limits limits{.max_records = one_of(records), .max_strings = one_of(strings), .event_capacity = 512};
        const std::size_t ring = below(12);
        if (ring < 8) limits.event_capacity = static_cast<std::uint32_t>(ring + 1);
        // Memory that is taken in advance costs milliseconds, so only inputs of one length do it.
        if (left() == 61) limits.reserve = limits.max_records;
        return limits;
    }

    // The instant of the first call.
    Instant start() {
        static constexpr Instant starts[] = {
            0,           1,      63, 4095, 0xFFFF'FFF0, Instant{1} << 40, max_now - 0x2'0000'0000, max_now - 20'000,
            max_now - 2, max_now};
        return one_of(starts);
    }

private:
    std::int64_t key(std::int64_t most) {
        const std::uint8_t choice = byte();
        if (choice < 200) return choice % 6;
        if (choice < 240) return byte();
        const std::int64_t edges[] = {most, most - 1, most + 1, -1, INT64_MIN, INT64_MAX, std::int64_t{1} << 32};
        return edges[choice % std::size(edges)];
    }
    std::string raw(std::size_t size) {
        std::string text;
        while (text.size() < size) text.push_back(static_cast<char>(byte()));
        return text;
    }

    std::span<const std::uint8_t> bytes_;
};

}  // namespace grantwheel::fuzz
