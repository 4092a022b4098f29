// A growable array of plain values that says no instead of throwing. Not thread-safe.
//
// Memory   One block (core/block.hpp); doubles when it grows and never shrinks. Growing moves the elements.
// Errors   A failed allocation answers false and changes nothing.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "core/block.hpp"

namespace grantwheel {

template <typename T>
class Array {
    static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

public:
    Array() noexcept = default;
    ~Array() { free_block(static_cast<void*>(data_), capacity_ * sizeof(T), backing(capacity_)); }
    Array(const Array&) = delete;
    Array& operator=(const Array&) = delete;
    Array(Array&& other) noexcept { *this = std::move(other); }
    // The other gets what was here.
    Array& operator=(Array&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        std::swap(capacity_, other.capacity_);
        return *this;
    }

    // Makes room for `count` elements in all.
    [[nodiscard]] bool reserve(std::size_t count) noexcept {
        if (count <= capacity_) return true;
        const std::size_t capacity = std::max(count, capacity_ * 2);
        if (capacity > SIZE_MAX / 2 / sizeof(T)) return false;
        auto* data = static_cast<T*>(allocate_block(capacity * sizeof(T), backing(capacity)));
        if (data == nullptr) return false;
        if (size_ != 0) std::memcpy(static_cast<void*>(data), static_cast<const void*>(data_), size_ * sizeof(T));
        free_block(static_cast<void*>(std::exchange(data_, data)), capacity_ * sizeof(T), backing(capacity_));
        capacity_ = capacity;
        return true;
    }

    // Makes it exactly `count` elements long; new ones are copies of `value`.
    [[nodiscard]] bool resize(std::size_t count, const T& value) noexcept {
        if (!reserve(count)) return false;
        if (count > size_) std::fill(data_ + size_, data_ + count, value);
        size_ = count;
        return true;
    }

    // Makes it `count` elements long, of which those that are new have been written already, where room has been made.
    void set_size(std::size_t count) noexcept { size_ = count; }
    // Adds an element where room has been made.
    void push(const T& value) noexcept { data_[size_++] = value; }
    void clear() noexcept { size_ = 0; }

    [[nodiscard]] T* data() noexcept { return data_; }
    [[nodiscard]] const T* data() const noexcept { return data_; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
    T& operator[](std::size_t i) noexcept { return data_[i]; }
    const T& operator[](std::size_t i) const noexcept { return data_[i]; }
    T* begin() noexcept { return data_; }
    T* end() noexcept { return data_ + size_; }
    const T* begin() const noexcept { return data_; }
    const T* end() const noexcept { return data_ + size_; }

private:
    [[nodiscard]] static Backing backing(std::size_t capacity) noexcept {
        constexpr std::size_t large = std::size_t{8} << 20;
        return capacity * sizeof(T) < large ? Backing::ordinary : Backing::large;
    }

    T* data_ = nullptr;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
};

}  // namespace grantwheel
