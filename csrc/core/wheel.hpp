// A timer wheel over the rows of the table: which records have a timer at which instant. Not thread-safe.
//
// When     You have many timers, most of which are moved or dropped before they fire, and want to find those that do
//          without looking at the others.
// How      Eleven levels of 64 slots; a slot of level n spans 64^n ticks of 1 ms. A timer sits on the level of the
//          highest group of six bits in which its instant differs from `current`, so eleven levels hold any 64-bit
//          instant. A word of occupied slots per level finds the next slot by bit scan: empty ticks cost nothing.
// Order    Every timer of the first occupied slot comes before every timer of the others. That is why a slot that has
//          been entered is emptied before anything else happens, though maybe not in one go.
#pragma once

#include <cstdint>

#include "core/rows.hpp"

namespace grantwheel {

class Wheel {
public:
    static constexpr int level_count = 11;
    static constexpr int slot_count = 64;

    struct Slot {
        int level;
        int position;
        Instant start;  // the first instant that it spans
    };

    Wheel() noexcept;

    // Sets the timer of a row that has none. Pre: at >= current().
    void arm(Rows<Record>& records, Row row, Instant at) noexcept;
    // Takes the timer away.
    void disarm(Rows<Record>& records, Row row) noexcept;
    // Sets another instant for a row that has a timer. Pre: at >= current().
    void move(Rows<Record>& records, Row row, Instant at) noexcept;
    // Takes the first row off an occupied slot. Its timer is still set, but in no slot: it must be moved or disarmed
    // next.
    [[nodiscard]] Row pop(Rows<Record>& records, const Slot& slot) noexcept;

    // The first occupied slot. Cost O(levels). False when no timer is set.
    [[nodiscard]] bool first(Slot& slot) const noexcept;

    // The first row of a slot, or no_row; Record::next leads on.
    [[nodiscard]] Row head(const Slot& slot) const noexcept { return heads_[slot.level][slot.position]; }

    // The instant that the wheel has reached. Timers before it have been dealt with.
    [[nodiscard]] Instant current() const noexcept { return current_; }
    // Goes on to `now`. Pre: current() <= now <= the start of the first occupied slot.
    void enter(Instant now) noexcept { current_ = now; }

    // Whether the slots, their words and the links agree, and every timer is where its instant says; `count` is the
    // number of timers. Names what is wrong in `reason`.
    [[nodiscard]] bool validate(const Rows<Record>& records, std::size_t& count, const char** reason) const noexcept;

private:
    static constexpr std::uint16_t no_slot = UINT16_MAX;  // of a row that was popped

    [[nodiscard]] std::uint16_t slot_of(Instant at) const noexcept;
    void link(Rows<Record>& records, Row row, std::uint16_t slot) noexcept;
    void unlink(Rows<Record>& records, Row row) noexcept;

    Instant current_ = 0;
    std::uint32_t occupied_levels_ = 0;
    std::uint64_t occupied_[level_count]{};
    Row heads_[level_count][slot_count];
};

}  // namespace grantwheel
