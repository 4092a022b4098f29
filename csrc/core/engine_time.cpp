#include <algorithm>

#include "core/engine_parts.hpp"

namespace grantwheel {

// The earliest deadline of a record; no_deadline when none of its types is timed.
Instant Engine::Parts::earliest(Row row) const noexcept {
    const Record& record = table.record(row);
    Instant at = no_deadline;
    for_each_type(table.mask(row) & ~Mask{record.persistent},
                  [&](int type) { at = std::min(at, record.deadline(type)); });
    return at;
}

Instant Engine::Parts::due_at(Row row) const noexcept {
    if (table.record(row).armed > now) return no_deadline;
    const Instant at = earliest(row);
    return at <= now ? at : no_deadline;
}

bool Engine::Parts::expire(Row row, Instant at) noexcept {
    const Record& record = table.record(row);
    const Mask held = table.mask(row);
    Mask due = 0;
    for_each_type(held & ~Mask{record.persistent}, [&](int type) {
        if (record.deadline(type) == at) due |= type_bit(type);
    });
    remove_types(row, due, Cause::expired, at);
    return due != held;
}

// Afterwards the timer of the record does not lie in the past: nothing is due, and its deadlines can be changed.
bool Engine::Parts::settle(Row row) noexcept {
    while (table.record(row).armed <= now) {
        const Instant at = earliest(row);
        if (at > now) {
            wheel.arm(table.records(), row, at);
        } else if (!expire(row, at)) {
            return false;
        }
    }
    return true;
}

// Settles a process record and an app record as one; either may be no_row, and is when it is gone afterwards.
void Engine::Parts::settle_fired_pair(Row& process, Row& app) noexcept {
    while (process != no_row && app != no_row) {
        const Instant process_at = due_at(process);
        const Instant app_at = due_at(app);
        if (process_at == no_deadline && app_at == no_deadline) break;
        Row& next = process_at <= app_at ? process : app;
        if (!expire(next, std::min(process_at, app_at))) next = no_row;
    }
    if (process != no_row && !settle(process)) process = no_row;
    if (app != no_row && !settle(app)) app = no_row;
}

AdvanceResult Engine::Parts::advance(std::size_t budget) noexcept {
    AdvanceResult result;
    Wheel::Slot slot;
    while (wheel.first(slot) && slot.start <= now) {
        if (budget == 0) {
            result.more = true;
            return result;
        }
        wheel.enter(slot.start);
        if (slot.level == 0) {
            result.ended += end_slot(slot, budget);
        } else {
            empty_slot(slot, budget);
        }
    }
    wheel.enter(now);
    return result;
}

// Ends what is due at the one instant of a slot of the lowest level, in order, and re-arms the timers that fire for
// nothing. Answers the number of grants ended.
std::size_t Engine::Parts::end_slot(const Wheel::Slot& slot, std::size_t& budget) noexcept {
    constexpr std::size_t ahead = 8;
    scratch.clear();
    for (; budget != 0 && wheel.occupied(slot); --budget) {
        const Row row = wheel.pop(table.records(), slot);
        const Instant at = earliest(row);
        if (at == slot.start) {
            scratch.push(sort_key(row));
        } else {
            wheel.arm(table.records(), row, at);
        }
    }
    std::sort(scratch.begin(), scratch.end());
    const std::uint64_t before = ended[static_cast<std::size_t>(Cause::expired)];
    for (std::size_t i = 0; i < scratch.size(); ++i) {
        if (i + ahead < scratch.size()) {
            table.prefetch_index(owner_of(scratch[i + ahead]));
            const Row next = row_of(scratch[i + ahead]);
            table.prefetch_row(next, table.mask(next));
        }
        const Row row = row_of(scratch[i]);
        const Instant at = expire(row, slot.start) ? earliest(row) : no_deadline;
        wheel.arm(table.records(), row, at);
    }
    return static_cast<std::size_t>(ended[static_cast<std::size_t>(Cause::expired)] - before);
}

// Moves the timers of a slot of a higher level to where they belong now that it has been entered.
void Engine::Parts::empty_slot(const Wheel::Slot& slot, std::size_t& budget) noexcept {
    for (; budget != 0 && wheel.occupied(slot); --budget) {
        const Row row = wheel.pop(table.records(), slot);
        wheel.arm(table.records(), row, earliest(row));
    }
}

bool Engine::Parts::end_some() noexcept {
    constexpr std::size_t slice = 64;
    for (;;) {
        const AdvanceResult result = advance(slice);
        if (result.ended != 0) return true;
        if (!result.more) return false;
    }
}

// After an advance every timer lies in the future. The first occupied slot then has the answer, once the timers that
// have been left behind in it are where they belong; when they all belong elsewhere, the next slot is the first.
Instant Engine::Parts::next_deadline() noexcept {
    advance(SIZE_MAX);
    Wheel::Slot slot;
    while (wheel.first(slot)) {
        scratch.clear();
        while (wheel.occupied(slot)) scratch.push(wheel.pop(table.records(), slot));
        Instant first = no_deadline;
        for (const std::uint64_t popped : scratch) {
            const auto row = static_cast<Row>(popped);
            const Instant at = earliest(row);
            wheel.arm(table.records(), row, at);
            first = std::min(first, at);
        }
        if (wheel.occupied(slot)) return first;
    }
    return no_deadline;
}

}  // namespace grantwheel
