// The record of one owner and its grants, as the table keeps them.
//
// Timer    Each row has one, which fires no later than the earliest deadline of its record. It may fire for nothing: it
//          stays where it is when a deadline is extended, when the last timed type goes, and when the record does; the
//          next record of the row inherits it. So most changes leave the wheel alone.
#pragma once

#include <cstdint>

#include "grantwheel/types.hpp"

namespace grantwheel {

// A place in the table. Rows stay where they are until their record goes.
using Row = std::uint32_t;
inline constexpr Row no_row = UINT32_MAX;

using TextId = std::uint32_t;

inline constexpr std::uint16_t no_slot = UINT16_MAX;

struct alignas(32) Record {
    Instant armed = no_deadline;  // when the timer fires; no_deadline: never, and it is not in the wheel
    std::uint32_t uid = 0;        // of a free row the next free one
    std::uint32_t pid = 0;        // of an app that of its first applicant
    TextId bundle = 0;
    std::uint32_t place = 0;         // in the slot
    std::uint16_t slot = no_slot;    // of the wheel; no_slot when it is not in it
    std::uint16_t persist_mask = 0;  // the held types without a deadline
    std::uint16_t mask = 0;          // the held types
    OwnerKind kind = OwnerKind::app;
    std::int8_t cpu_level = default_level;

    [[nodiscard]] std::uint32_t key() const noexcept { return kind == OwnerKind::app ? uid : pid; }
    [[nodiscard]] bool is_timed() const noexcept { return mask != persist_mask; }
};
static_assert(sizeof(Record) == 32);

// The grant of one type to one owner.
struct Grant {
    Instant deadline;  // no_deadline when it is persistent
    TextId reason;
    std::uint32_t timeout_ms;
};
static_assert(sizeof(Grant) == 16);

// The neighbours of a record among those of its uid, the first of which is that of the app.
struct Links {
    Row next;
    Row previous;
};

}  // namespace grantwheel
