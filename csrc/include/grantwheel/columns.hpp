// Requests by the thousand, as columns of integers that stay where they are. Values; thread-safe as values are.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>

#include "grantwheel/types.hpp"

namespace grantwheel {

enum class Integer : std::uint8_t { int32, uint32, int64, uint64 };

// Integers of one kind, at equal distances.
class Column {
public:
    Column() noexcept = default;
    // `stride` bytes lie between the start of one and that of the next.
    Column(const void* first, std::ptrdiff_t stride, Integer kind) noexcept
        : first_(static_cast<const char*>(first)), stride_(stride), kind_(kind) {}
    explicit Column(std::span<const std::uint32_t> numbers) noexcept
        : Column(numbers.data(), sizeof(std::uint32_t), Integer::uint32) {}

    // One of them; beyond 63 bits the nearest.
    [[nodiscard]] std::int64_t operator[](std::size_t i) const noexcept {
        switch (kind_) {
            case Integer::int32: return at<std::int32_t>(i);
            case Integer::uint32: return at<std::uint32_t>(i);
            case Integer::int64: return at<std::int64_t>(i);
            case Integer::uint64: break;
        }
        return nearest(at<std::uint64_t>(i));
    }
    // As many of them as there is room for, from one on. Far less than as many of the above.
    void read(std::size_t first, std::span<std::int64_t> out) const noexcept {
        switch (kind_) {
            case Integer::int32: return copy<std::int32_t>(first, out);
            case Integer::uint32: return copy<std::uint32_t>(first, out);
            case Integer::int64: return copy<std::int64_t>(first, out);
            case Integer::uint64: return copy<std::uint64_t>(first, out);
        }
    }

private:
    template <typename T>
    [[nodiscard]] static std::int64_t nearest(T value) noexcept {
        return std::in_range<std::int64_t>(value) ? static_cast<std::int64_t>(value) : INT64_MAX;
    }
    // Most lie side by side.
    template <typename T>
    void copy(std::size_t first, std::span<std::int64_t> out) const noexcept {
        if (stride_ == std::ptrdiff_t{sizeof(T)}) {
            const char* const from = first_ + sizeof(T) * first;
            for (std::size_t i = 0; i < out.size(); ++i) {
                T value;
                std::memcpy(&value, from + sizeof(T) * i, sizeof value);
                out[i] = nearest(value);
            }
        } else {
            for (std::size_t i = 0; i < out.size(); ++i) out[i] = nearest(at<T>(first + i));
        }
    }
    template <typename T>
    [[nodiscard]] T at(std::size_t i) const noexcept {
        T value;
        std::memcpy(&value, first_ + static_cast<std::ptrdiff_t>(i) * stride_, sizeof value);
        return value;
    }

    const char* first_ = nullptr;
    std::ptrdiff_t stride_ = 0;
    Integer kind_ = Integer::uint32;
};

// Applies or releases, one a row, of the callers that a policy has for the uids.
struct Requests {
    bool is_apply = true;
    std::size_t count = 0;
    Column uids{};
    Column pids{};
    Column masks{};
    Column timeouts_ms{};  // of releases none
};

// Some rows of them, read once: as they were then.
class RowsAtHand {
public:
    static constexpr std::size_t most = 64;

    // The rows from one on, as many as there are and as fit.
    RowsAtHand(const Requests& rows, std::size_t first) noexcept : count_(std::min(most, rows.count - first)) {
        rows.uids.read(first, {uids_, count_});
        rows.pids.read(first, {pids_, count_});
        rows.masks.read(first, {masks_, count_});
        if (rows.is_apply) {
            rows.timeouts_ms.read(first, {timeouts_ms_, count_});
        } else {
            std::fill_n(timeouts_ms_, count_, 0);
        }
    }

    [[nodiscard]] std::size_t count() const noexcept { return count_; }
    // Of an app that there cannot be, and of masks that there cannot be, some bits.
    [[nodiscard]] std::uint32_t uid(std::size_t i) const noexcept { return static_cast<std::uint32_t>(uids_[i]); }
    [[nodiscard]] Mask mask(std::size_t i) const noexcept { return static_cast<Mask>(masks_[i]); }
    [[nodiscard]] PlainCall operator[](std::size_t i) const noexcept {
        return {uids_[i], pids_[i], masks_[i], timeouts_ms_[i]};
    }

private:
    std::size_t count_;
    std::int64_t uids_[most];
    std::int64_t pids_[most];
    std::int64_t masks_[most];
    std::int64_t timeouts_ms_[most];
};

}  // namespace grantwheel
