// An array by row, in chunks that never move: growing copies nothing, costs the same each time, and leaves nothing
// behind. Not thread-safe.
//
// Memory   A chunk has the size of a huge page, and all but the first are large blocks (core/block.hpp). Pages that no row
//          has come to are the system's. Never shrinks before destruction.
// Errors   A failed allocation answers false and changes nothing.
#pragma once

#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>

#include "core/array.hpp"
#include "core/record.hpp"

namespace grantwheel {

template <typename T>
class Rows {
    static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);
    static_assert(std::has_single_bit(sizeof(T)));
    static constexpr std::size_t chunk_bytes = std::size_t{2} << 20;

public:
    static constexpr std::size_t chunk_rows = chunk_bytes / sizeof(T);

    Rows() noexcept = default;
    ~Rows() {
        for (std::size_t i = 0; i < chunks_.size(); ++i) free_block(chunks_[i], chunk_bytes, backing(i));
    }
    Rows(const Rows&) = delete;
    Rows& operator=(const Rows&) = delete;

    // Makes room for `count` rows in all.
    [[nodiscard]] bool reserve(std::size_t count) noexcept {
        while (capacity() < count) {
            if (!chunks_.reserve(chunks_.size() + 1)) return false;
            auto* const chunk = static_cast<T*>(allocate_block(chunk_bytes, backing(chunks_.size())));
            if (chunk == nullptr) return false;
            chunks_.push(chunk);
        }
        return true;
    }

    // Adds a row where room has been made. Its value is undefined.
    T& extend() noexcept { return (*this)[static_cast<Row>(size_++)]; }

    // Writes to the free places before `end`, so that the system has given their pages before they are needed. Pre: they
    // are reserved.
    void touch(std::size_t end) noexcept {
        for (std::size_t row = size_; row < end;) {
            const std::size_t count = std::min(end - row, chunk_rows - row % chunk_rows);
            std::memset(static_cast<void*>(&(*this)[static_cast<Row>(row)]), 0, count * sizeof(T));
            row += count;
        }
    }

    [[nodiscard]] T& operator[](Row row) noexcept { return chunks_[row >> chunk_bits][row & (chunk_rows - 1)]; }
    [[nodiscard]] const T& operator[](Row row) const noexcept {
        return chunks_[row >> chunk_bits][row & (chunk_rows - 1)];
    }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::size_t capacity() const noexcept { return chunks_.size() * chunk_rows; }

private:
    static constexpr int chunk_bits = std::countr_zero(chunk_rows);

    // A table of few rows is not worth huge pages.
    [[nodiscard]] static Backing backing(std::size_t chunk) noexcept {
        return chunk == 0 ? Backing::ordinary : Backing::large;
    }

    Array<T*> chunks_;
    std::size_t size_ = 0;
};

}  // namespace grantwheel
