// Requests by the thousand, as columns of integers that stay where they are. Values; thread-safe as values are.
#pragma once

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
        const std::uint64_t value = at<std::uint64_t>(i);
        return value > INT64_MAX ? INT64_MAX : static_cast<std::int64_t>(value);
    }

private:
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

    // What a row asks for: what does not fit into its type becomes something that no call takes.
    [[nodiscard]] Mask mask(std::size_t i) const noexcept {
        const std::int64_t value = masks[i];
        return !std::in_range<std::uint32_t>(value) ? UINT32_MAX : static_cast<Mask>(value);
    }
    [[nodiscard]] Request request(std::size_t i) const noexcept {
        Request request;
        request.mask = mask(i);
        request.is_apply = is_apply;
        if (is_apply) request.timeout_ms = static_cast<std::uint64_t>(timeouts_ms[i]);
        return request;
    }
};

}  // namespace grantwheel
