// What a log says about restarts: when an instant of it was by the machine's clocks, and whose records a start has found
// to be without their process. Values; thread-safe as values are.
#pragma once

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "grantwheel/types.hpp"

namespace grantwheel {

// When an instant of the log was, by the machine's clocks.
struct Mark {
    Instant now = 0;                         // of the log
    std::array<std::uint8_t, 16> boot_id{};  // all zero: not known
    Instant boot_ms = 0;                     // since that boot; at most 2^62
    std::int64_t wall_ms = 0;                // since 1970

    friend bool operator==(const Mark&, const Mark&) = default;
};

// Uids or pids where they lie: nothing is copied. Valid as long as they are.
class Keys {
public:
    Keys() noexcept = default;
    // Those of the host, in whatever lies in one piece.
    template <typename Range>
        requires std::convertible_to<const Range&, std::span<const std::uint32_t>>
    Keys(const Range& range) noexcept {  // NOLINT(misc-explicit-constructor): made as a span is
        const std::span<const std::uint32_t> keys = range;
        first_ = std::as_bytes(keys).data();
        count_ = keys.size();
        is_packed_ = false;
    }
    // Those of an op: four bytes each, little-endian.
    [[nodiscard]] static Keys packed(const std::byte* first, std::size_t count) noexcept {
        Keys keys;
        keys.first_ = first;
        keys.count_ = count;
        return keys;
    }

    [[nodiscard]] std::size_t size() const noexcept { return count_; }
    // Pre: i < size().
    [[nodiscard]] std::uint32_t operator[](std::size_t i) const noexcept {
        std::uint32_t key = 0;
        std::memcpy(&key, first_ + sizeof key * i, sizeof key);
        return is_packed_ && std::endian::native == std::endian::big ? __builtin_bswap32(key) : key;
    }
    // Whether they ascend, none of them twice, and none is above `most`. O(size).
    [[nodiscard]] bool ascend_to(std::uint32_t most) const noexcept {
        for (std::size_t i = 0; i < count_; ++i) {
            if ((*this)[i] > most || (i != 0 && (*this)[i] <= (*this)[i - 1])) return false;
        }
        return true;
    }

private:
    const std::byte* first_ = nullptr;
    std::size_t count_ = 0;
    bool is_packed_ = true;
};

struct [[nodiscard]] RecoveryResult {
    Status status = Status::ok;
    std::size_t ended = 0;    // grants
    std::size_t records = 0;  // that lost them
};

}  // namespace grantwheel
