// Right checks around any bytes, so that tests and fuzzing reach what is behind them: XXH64 once more, written from its
// specification in the plainest way, and the frames of ops and of sections.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace grantwheel::test {

inline std::uint64_t xxh64(std::span<const std::byte> bytes) {
    constexpr std::uint64_t prime[] = {0x9E37'79B1'85EB'CA87, 0xC2B2'AE3D'27D4'EB4F, 0x1656'67B1'9E37'79F9,
                                       0x85EB'CA77'C2B2'AE63, 0x27D4'EB2F'1656'67C5};
    const auto word = [&](std::size_t at, std::size_t size) {
        std::uint64_t value = 0;
        for (std::size_t i = size; i-- > 0;) value = value << 8 | static_cast<std::uint64_t>(bytes[at + i]);
        return value;
    };
    const auto mixed = [&](std::uint64_t lane, std::uint64_t input) {
        return std::rotl(lane + input * prime[1], 31) * prime[0];
    };
    std::size_t at = 0;
    std::uint64_t hash = prime[4];
    if (bytes.size() >= 32) {
        std::uint64_t lanes[] = {prime[0] + prime[1], prime[1], 0, 0 - prime[0]};
        for (; at + 32 <= bytes.size(); at += 32) {
            for (std::size_t i = 0; i < 4; ++i) lanes[i] = mixed(lanes[i], word(at + 8 * i, 8));
        }
        hash = 0;
        const int turns[] = {1, 7, 12, 18};
        for (std::size_t i = 0; i < 4; ++i) hash += std::rotl(lanes[i], turns[i]);
        for (const std::uint64_t lane : lanes) hash = (hash ^ mixed(0, lane)) * prime[0] + prime[3];
    }
    hash += bytes.size();
    for (; at + 8 <= bytes.size(); at += 8) hash = std::rotl(hash ^ mixed(0, word(at, 8)), 27) * prime[0] + prime[3];
    for (; at + 4 <= bytes.size(); at += 4) hash = std::rotl(hash ^ word(at, 4) * prime[0], 23) * prime[1] + prime[2];
    for (; at < bytes.size(); ++at) hash = std::rotl(hash ^ word(at, 1) * prime[4], 11) * prime[0];
    hash = (hash ^ hash >> 33) * prime[1];
    hash = (hash ^ hash >> 29) * prime[2];
    return hash ^ hash >> 32;
}

inline void put_fixed(std::vector<std::byte>& bytes, std::uint64_t value, int size) {
    for (int i = 0; i < size; ++i) bytes.push_back(static_cast<std::byte>(value >> 8 * i & 0xFF));
}

// An op of any body.
inline std::vector<std::byte> sealed_op(std::span<const std::byte> body) {
    std::vector<std::byte> bytes;
    put_fixed(bytes, body.size(), 4);
    bytes.insert(bytes.end(), body.begin(), body.end());
    put_fixed(bytes, xxh64(bytes), 4);
    return bytes;
}

// Adds a section of any body to a snapshot.
inline void seal_section(std::vector<std::byte>& snapshot, std::span<const std::byte> body) {
    put_fixed(snapshot, body.size(), 4);
    snapshot.insert(snapshot.end(), body.begin(), body.end());
    put_fixed(snapshot, xxh64(snapshot), 8);
}

}  // namespace grantwheel::test
