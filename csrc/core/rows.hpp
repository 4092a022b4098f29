// An array by row, in chunks that never move: growing copies nothing, costs the same each time, and leaves nothing
// behind. Not thread-safe.
//
// Memory   A chunk holds 32768 rows; later chunks are large blocks (core/block.hpp). Never shrinks before destruction.
// Errors   A failed allocation answers false and changes nothing.
#pragma once

#include <cstring>
#include <type_traits>

#include "core/array.hpp"
#include "core/record.hpp"

namespace grantwheel {

template <typename T>
class Rows {
    static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

public:
    static constexpr int chunk_bits = 15;
    static constexpr std::size_t chunk_rows = std::size_t{1} << chunk_bits;

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

    // Adds a row where room has been made.
    void push(const T& value) noexcept {
        const auto row = static_cast<Row>(size_++);
        (*this)[row] = value;
    }

    // Writes to the free places, so that the system has given their pages before they are needed.
    void touch() noexcept {
        for (std::size_t row = size_; row < capacity(); row = (row / chunk_rows + 1) * chunk_rows) {
            T* const first = &(*this)[static_cast<Row>(row)];
            std::memset(static_cast<void*>(first), 0, (chunk_rows - row % chunk_rows) * sizeof(T));
        }
    }

    [[nodiscard]] T& operator[](Row row) noexcept { return chunks_[row >> chunk_bits][row & (chunk_rows - 1)]; }
    [[nodiscard]] const T& operator[](Row row) const noexcept {
        return chunks_[row >> chunk_bits][row & (chunk_rows - 1)];
    }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::size_t capacity() const noexcept { return chunks_.size() * chunk_rows; }

private:
    static constexpr std::size_t chunk_bytes = chunk_rows * sizeof(T);
    // A table of few rows is not worth huge pages, nor is a chunk that is smaller than one.
    static constexpr std::size_t first_large_chunk = 1;
    static constexpr std::size_t large_bytes = std::size_t{2} << 20;

    [[nodiscard]] static Backing backing(std::size_t chunk) noexcept {
        return chunk < first_large_chunk || chunk_bytes < large_bytes ? Backing::ordinary : Backing::large;
    }

    Array<T*> chunks_;
    std::size_t size_ = 0;
};

}  // namespace grantwheel
