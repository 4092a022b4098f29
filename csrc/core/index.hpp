// A hash index: open addressing with linear probing over a power of two of slots. Not thread-safe.
//
// Slot     A plain value with `used()` and `hash()`; Slot{} is unused. Hashes must be well mixed in their high bits.
// Cost     A lookup reads one cache line when the load allows; at most three quarters of the slots are used.
// Removal  Moves later slots back, so there are no tombstones, and pointers to slots last until the next change.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "core/array.hpp"

namespace grantwheel {

// Spreads a 32-bit key over the high bits of a hash.
[[nodiscard]] constexpr std::uint32_t mix(std::uint32_t key) noexcept {
    return static_cast<std::uint32_t>((key * 0x9E37'79B9'7F4A'7C15u) >> 32);
}

template <typename Slot>
class Index {
public:
    // Makes room for `count` used slots in all.
    [[nodiscard]] bool reserve(std::size_t count) noexcept {
        if (count <= limit()) return true;
        const std::size_t capacity = std::bit_ceil(std::max<std::size_t>(16, count + count / 3 + 1));
        Array<Slot> larger;
        if (!larger.resize(capacity, Slot{})) return false;
        std::swap(larger, slots_);
        shift_ = 32 - std::countr_zero(capacity);
        for (const Slot& slot : larger) {
            if (slot.used()) *free_place(slot.hash()) = slot;
        }
        return true;
    }

    // The slot of this hash that `matches`, or null.
    template <typename Matches>
    [[nodiscard]] Slot* find(std::uint32_t hash, Matches&& matches) noexcept {
        return const_cast<Slot*>(std::as_const(*this).find(hash, matches));
    }
    template <typename Matches>
    [[nodiscard]] const Slot* find(std::uint32_t hash, Matches&& matches) const noexcept {
        if (slots_.size() == 0) return nullptr;
        for (std::size_t i = place(hash); slots_[i].used(); i = next(i)) {
            if (matches(slots_[i])) return &slots_[i];
        }
        return nullptr;
    }

    // Adds a slot that is not there yet, where room has been made.
    Slot* insert(const Slot& slot) noexcept {
        Slot* free = free_place(slot.hash());
        *free = slot;
        ++count_;
        return free;
    }

    void erase(const Slot* slot) noexcept {
        std::size_t hole = static_cast<std::size_t>(slot - slots_.data());
        for (std::size_t i = next(hole); slots_[i].used(); i = next(i)) {
            const std::size_t home = place(slots_[i].hash());
            if (((i - home) & (slots_.size() - 1)) < ((i - hole) & (slots_.size() - 1))) continue;
            slots_[hole] = slots_[i];
            hole = i;
        }
        slots_[hole] = Slot{};
        --count_;
    }

    // Asks for the place where a slot of this hash would be.
    void prefetch_slot(std::uint32_t hash) const noexcept {
        if (slots_.size() != 0) prefetch(slots_.data() + place(hash));
    }

    [[nodiscard]] std::size_t count() const noexcept { return count_; }
    [[nodiscard]] const Array<Slot>& slots() const noexcept { return slots_; }

private:
    [[nodiscard]] std::size_t limit() const noexcept { return slots_.size() / 4 * 3; }
    [[nodiscard]] std::size_t place(std::uint32_t hash) const noexcept { return std::size_t{hash} >> shift_; }
    [[nodiscard]] std::size_t next(std::size_t i) const noexcept { return (i + 1) & (slots_.size() - 1); }
    [[nodiscard]] Slot* free_place(std::uint32_t hash) noexcept {
        std::size_t i = place(hash);
        while (slots_[i].used()) i = next(i);
        return &slots_[i];
    }

    Array<Slot> slots_;
    std::size_t count_ = 0;
    int shift_ = 32;
};

}  // namespace grantwheel
