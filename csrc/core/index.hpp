// A hash index: open addressing with linear probing over a power of two of entries. Not thread-safe.
//
// Entry    A plain value with `used()` and `hash()`; Entry{} is unused. Hashes must be well mixed in their high bits.
// Cost     A lookup reads one cache line when the load allows; at most three quarters of the entries are used.
// Removal  Moves later entries back, so there are no tombstones, and pointers to entries last until the next change.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "core/array.hpp"

namespace grantwheel {

template <typename Entry>
class Index {
public:
    // Makes room for `count` used entries in all.
    [[nodiscard]] bool reserve(std::size_t count) noexcept {
        if (count <= limit()) return true;
        const std::size_t capacity = std::bit_ceil(std::max<std::size_t>(16, count + count / 3 + 1));
        Array<Entry> larger;
        if (!larger.resize(capacity, Entry{})) return false;
        std::swap(larger, entries_);
        shift_ = 32 - std::countr_zero(capacity);
        for (const Entry& entry : larger) {
            if (entry.used()) *free_place(entry.hash()) = entry;
        }
        return true;
    }

    // The entry of this hash that `matches`, or null.
    template <typename Matches>
    [[nodiscard]] Entry* find(std::uint32_t hash, Matches&& matches) noexcept {
        return const_cast<Entry*>(std::as_const(*this).find(hash, matches));
    }
    template <typename Matches>
    [[nodiscard]] const Entry* find(std::uint32_t hash, Matches&& matches) const noexcept {
        if (entries_.size() == 0) return nullptr;
        for (std::size_t i = place(hash); entries_[i].used(); i = next(i)) {
            if (matches(entries_[i])) return &entries_[i];
        }
        return nullptr;
    }

    // Adds an entry that is not there yet, where room has been made.
    Entry* insert(const Entry& entry) noexcept {
        Entry* free = free_place(entry.hash());
        *free = entry;
        ++count_;
        return free;
    }

    void erase(const Entry* entry) noexcept {
        std::size_t hole = static_cast<std::size_t>(entry - entries_.data());
        for (std::size_t i = next(hole); entries_[i].used(); i = next(i)) {
            const std::size_t home = place(entries_[i].hash());
            if (((i - home) & (entries_.size() - 1)) < ((i - hole) & (entries_.size() - 1))) continue;
            entries_[hole] = entries_[i];
            hole = i;
        }
        entries_[hole] = Entry{};
        --count_;
    }

    // Asks for the place where an entry of this hash would be.
    void prefetch_entry(std::uint32_t hash) const noexcept {
        if (entries_.size() != 0) prefetch(entries_.data() + place(hash));
    }

    [[nodiscard]] std::size_t count() const noexcept { return count_; }
    // For checks: how many others the look-ups of all entries pass, together.
    [[nodiscard]] std::size_t passed() const noexcept {
        std::size_t passed = 0;
        for (std::size_t i = 0; i < entries_.size(); ++i) {
            if (entries_[i].used()) passed += (i - place(entries_[i].hash())) & (entries_.size() - 1);
        }
        return passed;
    }
    [[nodiscard]] const Array<Entry>& entries() const noexcept { return entries_; }

private:
    [[nodiscard]] std::size_t limit() const noexcept { return entries_.size() / 4 * 3; }
    [[nodiscard]] std::size_t place(std::uint32_t hash) const noexcept { return std::size_t{hash} >> shift_; }
    [[nodiscard]] std::size_t next(std::size_t i) const noexcept { return (i + 1) & (entries_.size() - 1); }
    [[nodiscard]] Entry* free_place(std::uint32_t hash) noexcept {
        std::size_t i = place(hash);
        while (entries_[i].used()) i = next(i);
        return &entries_[i];
    }

    Array<Entry> entries_;
    std::size_t count_ = 0;
    int shift_ = 32;
};

}  // namespace grantwheel
