// A timer wheel over the rows of the table: which records have a timer at which instant. Not thread-safe.
//
// When     You have many timers, most of which are moved or dropped before they fire, and want to find those that do
//          without looking at the others.
// How      Eight levels of 256 slots; a slot of level n spans 256^n ticks of 1 ms. A timer sits on the level of the
//          highest byte in which its instant differs from `current`, so eight levels hold any 64-bit instant. A bit per
//          slot tells which are occupied and finds the next one by bit scan: empty ticks cost nothing.
// Slot     A stack of rows in trays of one cache line each, not a list through the records: whoever empties a slot knows
//          the rows that come next, and can ask for their records ahead of time.
// Order    Every timer of the first occupied slot comes before every timer of the others. That is why a slot that has
//          been entered is emptied before anything else happens, though maybe not in one go.
#pragma once

#include <bit>
#include <cstdint>

#include "core/rows.hpp"

namespace grantwheel {

class Wheel {
public:
    static constexpr int level_count = 8;
    static constexpr int slot_count = 256;

    struct Slot {
        int level;
        int position;
        Instant start;  // the first instant that it spans
    };

    Wheel() noexcept;

    // Makes room for the timers of that many rows, so that nothing else can fail.
    [[nodiscard]] bool reserve(std::size_t rows) noexcept;
    // Has the system give the pages that the timers of that many rows need, spread as they may be over few slots. Pre: they
    // are reserved.
    void touch(std::size_t rows) noexcept { trays_.touch(rows / Tray::size); }

    // Sets when the timer of a row fires; no_deadline: never. Pre: at >= current().
    void arm(Rows<Record>& records, Row row, Instant at) noexcept;
    // The same for a row that is in no slot.
    [[gnu::always_inline]] void put(Record& record, Row row, Instant at) noexcept;
    // Takes rows off an occupied slot, at most so many (one at least) and none but those of its topmost tray; answers their
    // number. Their timers are still set, but in no slot: each must be put next. Asks the processor for the records of the
    // tray below.
    [[nodiscard]] std::size_t take(Rows<Record>& records, const Slot& slot, std::size_t most, Row* rows) noexcept;
    // The most rows that are taken at once.
    static constexpr std::size_t tray_size = 15;

    // The first occupied slot. Cost O(levels). False when no timer is set.
    [[nodiscard]] bool first(Slot& slot) const noexcept {
        // A slot of a higher level that has been entered and not yet emptied starts now, on the first instant of all slots
        // below it; at any other instant the lowest level that has a timer has the first one.
        if (current_ % slot_count == 0) return find_first(slot);
        if (occupied_words_ == 0) return false;
        const int word = std::countr_zero(occupied_words_);
        const int level = word / words;
        const int position = word % words * 64 + std::countr_zero(occupied_[word]);
        slot = {level, position, start_of(level, position)};
        return true;
    }

    // Whether a slot has any row.
    [[nodiscard]] bool occupied(const Slot& slot) const noexcept {
        return stacks_[slot.level * slot_count + slot.position].filled != 0;
    }
    // Whether a slot has all timers of the instants that it spans, and these are not too many: when it is of the lowest
    // level, or of the one above it and has not been emptied in part.
    [[nodiscard]] bool is_whole(const Slot& slot) const noexcept {
        constexpr std::uint32_t lowest = (1u << words) - 1;
        return slot.level == 0 || (slot.level == 1 && (occupied_words_ & lowest) == 0);
    }
    // Whether a slot has more rows than that. Cost O(rows / 15).
    [[nodiscard]] bool has_more(const Slot& slot, std::size_t rows) const noexcept;
    // The instant that the wheel has reached. Timers before it have been dealt with.
    [[nodiscard]] Instant current() const noexcept { return current_; }
    // Goes on to `now`. Pre: current() <= now <= the start of the first occupied slot.
    void enter(Instant now) noexcept { current_ = now; }

    // Whether the slots, their words and the places agree, and every timer is where its instant says; `count` is the
    // number of timers. Names what is wrong in `reason`.
    [[nodiscard]] bool validate(const Rows<Record>& records, std::size_t& count, const char** reason) const noexcept;

private:
    static constexpr std::uint32_t no_tray = UINT32_MAX;

    struct alignas(64) Tray {
        static constexpr unsigned size = tray_size;
        Row rows[size];
        std::uint32_t below;  // the next tray of the slot, which is full; of a free tray the next free one
    };
    struct Stack {
        std::uint32_t tray;    // the topmost
        std::uint32_t filled;  // of its places, 1..Tray::size; 0 without a tray
    };
    // Record::place names a tray and a place in it.
    static constexpr unsigned place_bits = 4;

    [[nodiscard]] std::uint16_t slot_of(Instant at) const noexcept;
    [[nodiscard]] static unsigned group(Instant at, int level) noexcept;
    // The first instant of a slot, `current` being what it is.
    [[nodiscard]] Instant start_of(int level, int position) const noexcept {
        return above(current_, level) | static_cast<Instant>(position) << (level * group_bits);
    }
    // `at` with the groups of this level and below set to zero.
    [[nodiscard]] static Instant above(Instant at, int level) noexcept {
        return at >> level * group_bits >> group_bits << group_bits << level * group_bits;
    }
    [[gnu::always_inline]] void link(Record& record, Row row, std::uint16_t slot) noexcept;
    void unlink(Rows<Record>& records, Row row) noexcept;
    [[gnu::noinline]] void add_tray(std::uint16_t slot) noexcept;
    void drop_tray(std::uint16_t slot) noexcept;
    [[nodiscard]] bool find_first(Slot& slot) const noexcept;
    [[nodiscard]] const char* first_broken_row(const Rows<Record>& records, std::uint16_t slot, Row row,
                                               std::uint32_t place) const noexcept;

    static constexpr int group_bits = 8;
    static constexpr int words = slot_count / 64;

    Instant current_ = 0;
    std::uint32_t occupied_words_ = 0;  // which words of the next have a bit set
    std::uint64_t occupied_[level_count * words]{};
    Stack stacks_[level_count * slot_count];
    Rows<Tray> trays_;
    std::uint32_t free_trays_ = no_tray;
};

inline unsigned Wheel::group(Instant at, int level) noexcept {
    return static_cast<unsigned>(at >> (level * group_bits)) & (slot_count - 1);
}

inline std::uint16_t Wheel::slot_of(Instant at) const noexcept {
    const Instant difference = at ^ current_;
    const int level = (63 - std::countl_zero(difference | 1)) / group_bits;
    return static_cast<std::uint16_t>(static_cast<unsigned>(level * slot_count) + group(at, level));
}

inline void Wheel::link(Record& record, Row row, std::uint16_t slot) noexcept {
    Stack& stack = stacks_[slot];
    if (stack.filled == 0 || stack.filled == Tray::size) add_tray(slot);
    record.slot = slot;
    record.place = stack.tray << place_bits | stack.filled;
    trays_[stack.tray].rows[stack.filled++] = row;
}

inline void Wheel::put(Record& record, Row row, Instant at) noexcept {
    record.armed = at;
    if (at != no_deadline) link(record, row, slot_of(at));
}

}  // namespace grantwheel
