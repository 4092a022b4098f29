// Keyed hashes: who does not know the key cannot choose texts, uids or pids that meet in a hash table. Thread-safe.
//
// Order    Nothing that a caller can see depends on a hash.
// Cost     A text: 14 operations for each 8 bytes and about 90 more. A uid or a pid: two multiplications.
#pragma once

#include <cstdint>
#include <string_view>

#include "grantwheel/types.hpp"

namespace grantwheel {

// SipHash-1-3 (Aumasson and Bernstein): the hash of a text in 64 bits, the same on every machine.
[[nodiscard]] std::uint64_t siphash(const HashKey& key, std::string_view text) noexcept;

// Hashes texts, in 32 bits.
class TextHash {
public:
    explicit TextHash(const HashKey& key) noexcept : key_(key) {}
    [[nodiscard]] std::uint32_t operator()(std::string_view text) const noexcept {
        return static_cast<std::uint32_t>(siphash(key_, text) >> 32);
    }

private:
    HashKey key_;
};

// Hashes uids and pids, in 32 bits. What is multiplied first, and by what, is the key's, so that neither equal hashes nor
// close ones can be aimed at; the second product is not linear in the first, so that rows of numbers do not make rows of
// hashes.
class NumberHash {
public:
    explicit NumberHash(const HashKey& key) noexcept;
    [[nodiscard]] std::uint32_t operator()(std::uint32_t number) const noexcept {
        std::uint64_t hash = (number ^ mask_) * factor_;
        hash ^= hash >> 32;
        return static_cast<std::uint32_t>((hash * 0x9E37'79B9'7F4A'7C15u) >> 32);
    }

private:
    std::uint64_t mask_;
    std::uint64_t factor_;
};

}  // namespace grantwheel
