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
    // Takes the topmost row off an occupied slot. Its timer is still set, but in no slot: it must be armed next. Asks the
    // processor for the record of a row that will be popped soon.
    [[nodiscard]] Row pop(Rows<Record>& records, const Slot& slot) noexcept;

    // The first occupied slot. Cost O(levels). False when no timer is set.
    [[nodiscard]] bool first(Slot& slot) const noexcept;

    // Whether a slot has any row.
    [[nodiscard]] bool occupied(const Slot& slot) const noexcept {
        return stacks_[slot.level * slot_count + slot.position].filled != 0;
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
        static constexpr unsigned size = 15;
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
    void link(Rows<Record>& records, Row row, std::uint16_t slot) noexcept;
    void unlink(Rows<Record>& records, Row row) noexcept;
    Row take_top(std::uint16_t slot) noexcept;
    void add_tray(Stack& stack) noexcept;
    void drop_tray(Stack& stack) noexcept;
    [[nodiscard]] const char* first_broken_row(const Rows<Record>& records, std::uint16_t slot, Row row,
                                               std::uint32_t place) const noexcept;

    static constexpr int words = slot_count / 64;

    Instant current_ = 0;
    std::uint32_t occupied_words_ = 0;  // which words of the next have a bit set
    std::uint64_t occupied_[level_count * words]{};
    Stack stacks_[level_count * slot_count];
    Rows<Tray> trays_;
    std::uint32_t free_trays_ = no_tray;
};

}  // namespace grantwheel
