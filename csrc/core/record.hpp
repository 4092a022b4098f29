// The record of one owner as the table keeps it: what is hot in one cache line, the rest in another place.
//
// Timer      Each row has one, which fires no later than the earliest deadline of its record. It may fire for nothing: it
//            stays where it is when a deadline is extended, when the last timed type goes, and when the record does; the
//            next record of the row inherits it. So most changes leave the wheel alone.
// Deadlines  Kept as 32-bit words beside one 64-bit instant: deadline = armed + u32(low - u32(armed)). That holds while
//            armed <= deadline < armed + 2^32, which it does, as a timer is never armed later than the earliest
//            deadline, a record is settled before it is changed, and no timeout exceeds 2^32-1.
#pragma once

#include <cstdint>

#include "grantwheel/types.hpp"

namespace grantwheel {

// A place in the table. Rows stay where they are until their record goes.
using Row = std::uint32_t;
inline constexpr Row no_row = UINT32_MAX;

using TextId = std::uint32_t;

inline constexpr std::uint16_t no_slot = UINT16_MAX;

struct alignas(64) Record {
    Instant armed = no_deadline;      // when the timer fires; no_deadline: never, and it is not in the wheel
    std::uint32_t low[type_count]{};  // of timed types: the low word of the deadline
    std::uint32_t key = 0;            // uid of an app, pid of a process; of a free row the next free one
    std::uint32_t place = 0;          // in the slot
    std::uint16_t slot = no_slot;     // of the wheel; no_slot when it is not in it
    std::uint16_t persistent = 0;     // the held types without a deadline
    std::uint16_t mask = 0;           // the held types
    OwnerKind kind = OwnerKind::app;
    std::int8_t cpu_level = default_level;

    [[nodiscard]] bool is_timed() const noexcept { return mask != persistent; }
    [[nodiscard]] Instant deadline(int type) const noexcept {
        return armed + static_cast<std::uint32_t>(low[type] - static_cast<std::uint32_t>(armed));
    }
};
static_assert(sizeof(Record) == 64);

// What is only needed to tell about a record, or to find its neighbours.
struct Details {
    TextId bundle;
    std::uint32_t other;  // the key's counterpart: the first applicant's pid of an app, the uid of a process
    Row next_of_uid;      // its neighbours among the records of its uid, the first of which is that of the app
    Row previous_of_uid;
};
static_assert(sizeof(Details) == 16);

// What is only needed to tell about one grant.
struct GrantDetails {
    TextId reason;
    std::uint32_t timeout_ms;
};

}  // namespace grantwheel
