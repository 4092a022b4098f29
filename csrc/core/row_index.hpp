// A hash index from keys to rows of the table, in four bytes an entry: small enough to stay in the cache when the table
// does not. The keys themselves are in the rows. Not thread-safe.
//
// Slot     Open addressing with linear probing over a power of two of slots, at most 13/16 of them used. A slot is
//          | tag | distance | row |: low bits of the hash, how far it lies from its home, and the row in as few bits as
//          rows need. Tag and distance together let a look-up pass over nearly every slot of another key without
//          reading its row. A distance that is too long for its bits is saved as the longest.
// Removal  Moves later slots back, so there are no tombstones.
// Hashes   32 bits, well mixed in their high bits (`mix`).
#pragma once

#include <bit>

#include "core/array.hpp"
#include "core/record.hpp"

namespace grantwheel {

class RowIndex {
public:
    // Makes room for `count` entries in all, whose rows are below `rows`.
    //
    // Args     `for_each(insert)` calls insert(hash, row) for each entry that is there. It is called when slots have to
    //          be laid out anew: at most once for each doubling of `count` and of `rows`.
    template <typename ForEach>
    [[nodiscard]] bool reserve(std::size_t count, std::size_t rows, ForEach&& for_each) noexcept {
        const bool fits = count <= slots_.size() / 16 * 13;
        if (fits && rows < (std::size_t{1} << row_bits_)) return true;
        const std::size_t size =
            fits ? slots_.size() : std::bit_ceil(std::max<std::size_t>(16, (count * 16 + 12) / 13));
        Array<Slot> anew;
        if (!anew.resize(size, unused)) return false;
        slots_.swap(anew);
        home_shift_ = 32 - std::countr_zero(size);
        row_bits_ = std::max({15, static_cast<int>(std::bit_width(rows)), row_bits_});
        const int distance_bits = std::min(5, 32 - row_bits_);
        row_mask_ = (Slot{1} << row_bits_) - 1;
        longest_ = ((Slot{1} << distance_bits) - 1) << row_bits_;
        tag_shift_ = row_bits_ + distance_bits;
        for_each([&](std::uint32_t hash, Row row) { put(hash, row); });
        return true;
    }

    // The row of the entry with this hash that `matches(row)`, or no_row.
    template <typename Matches>
    [[nodiscard]] Row find(std::uint32_t hash, Matches&& matches) const noexcept {
        const Slot* const slot = find_slot(hash, matches);
        return slot == nullptr ? no_row : *slot & row_mask_;
    }

    // Adds an entry that is not there yet, where room has been made.
    void insert(std::uint32_t hash, Row row) noexcept {
        put(hash, row);
        ++count_;
    }

    // Lets the entry of a row lead to another row, of the same key.
    void replace(std::uint32_t hash, Row old, Row row) noexcept {
        Slot& slot = slots_[place_of(hash, old)];
        slot = (slot & ~row_mask_) | row;
    }

    // Takes the entry of a row away. `hash_of(row)` is asked about other rows, and rarely.
    template <typename HashOf>
    void erase(std::uint32_t hash, Row row, HashOf&& hash_of) noexcept {
        std::size_t hole = place_of(hash, row);
        std::size_t gap = 1;  // from the hole to the slot looked at
        for (std::size_t i = next(hole); slots_[i] != unused; i = next(i), ++gap) {
            std::size_t distance = (slots_[i] & longest_) >> row_bits_;
            if (distance == longest_ >> row_bits_) {
                distance = (i - home(hash_of(slots_[i] & row_mask_))) & (slots_.size() - 1);
            }
            if (distance < gap) continue;
            slots_[hole] = (slots_[i] & ~longest_) | saved(distance - gap);
            hole = i;
            gap = 0;
        }
        slots_[hole] = unused;
        --count_;
    }

    // Asks the processor for the place where an entry of this hash would be.
    void prefetch_slot(std::uint32_t hash) const noexcept {
        if (slots_.size() != 0) prefetch(slots_.data() + home(hash));
    }

    [[nodiscard]] std::size_t count() const noexcept { return count_; }

    // Calls `visit(row)` for each entry, in no order.
    template <typename Visit>
    void for_each(Visit&& visit) const noexcept {
        for (const Slot slot : slots_) {
            if (slot != unused) visit(slot & row_mask_);
        }
    }

private:
    using Slot = std::uint32_t;
    static constexpr Slot unused = UINT32_MAX;  // no entry looks so, as no row is the highest of its bits

    [[nodiscard]] std::size_t home(std::uint32_t hash) const noexcept { return std::size_t{hash} >> home_shift_; }
    [[nodiscard]] std::size_t next(std::size_t i) const noexcept { return (i + 1) & (slots_.size() - 1); }
    [[nodiscard]] Slot tag(std::uint32_t hash) const noexcept {
        return static_cast<Slot>(std::uint64_t{hash} << tag_shift_);
    }
    // A distance as slots have it.
    [[nodiscard]] Slot saved(std::size_t distance) const noexcept {
        return static_cast<Slot>(std::min<std::size_t>(distance, longest_ >> row_bits_) << row_bits_);
    }

    template <typename Matches>
    [[nodiscard]] const Slot* find_slot(std::uint32_t hash, Matches&& matches) const noexcept {
        if (slots_.size() == 0) return nullptr;
        Slot wanted = tag(hash);
        for (std::size_t i = home(hash); slots_[i] != unused; i = next(i)) {
            if ((slots_[i] ^ wanted) <= row_mask_ && matches(slots_[i] & row_mask_)) return &slots_[i];
            if ((wanted & longest_) != longest_) wanted += row_mask_ + 1;
        }
        return nullptr;
    }
    [[nodiscard]] std::size_t place_of(std::uint32_t hash, Row row) const noexcept {
        return static_cast<std::size_t>(find_slot(hash, [&](Row other) { return other == row; }) - slots_.data());
    }

    void put(std::uint32_t hash, Row row) noexcept {
        std::size_t distance = 0;
        std::size_t i = home(hash);
        for (; slots_[i] != unused; i = next(i)) ++distance;
        slots_[i] = tag(hash) | saved(distance) | row;
    }

    Array<Slot> slots_;
    std::size_t count_ = 0;
    // How the bits of a slot and of a hash are divided.
    int home_shift_ = 32;
    int tag_shift_ = 32;
    int row_bits_ = 0;
    Slot row_mask_ = 0;
    Slot longest_ = 0;  // the longest distance, in its place
};

}  // namespace grantwheel
