#include <algorithm>

#include "core/engine_parts.hpp"

namespace grantwheel {

namespace {

// How many records ahead the processor is asked for what will be touched.
constexpr std::size_t ahead = 8;

}  // namespace

// The earliest deadline of a record; no_deadline when none of its types is timed.
Instant Engine::Parts::earliest(Row row) const noexcept {
    Instant at = no_deadline;
    for_each_type(table.mask(row), [&](int type) { at = std::min(at, table.grant(row, type).deadline); });
    return at;
}

Instant Engine::Parts::due_at(Row row) const noexcept {
    if (table.record(row).armed > now) return no_deadline;
    const Instant at = earliest(row);
    return at <= now ? at : no_deadline;
}

bool Engine::Parts::expire(Row row, Instant at) noexcept {
    const Mask held = table.mask(row);
    Mask due = 0;
    for_each_type(held, [&](int type) {
        if (table.grant(row, type).deadline == at) due |= type_bit(type);
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

// Puts rows of a slot into `scratch`, at most as many as the budget. Each must be armed next.
void Engine::Parts::pop_rows(const Wheel::Slot& slot, std::size_t& budget) noexcept {
    scratch.clear();
    for (; budget != 0 && wheel.occupied(slot); --budget) scratch.push(wheel.pop(table.records(), slot));
}

// Calls `visit(row)` for each of them, and asks the processor for the grants of those that come after it.
template <typename Visit>
void Engine::Parts::for_each_popped(Visit&& visit) noexcept {
    for (std::size_t i = 0; i < scratch.size(); ++i) {
        if (i + ahead < scratch.size()) prefetch_all(static_cast<Row>(scratch[i + ahead]));
        visit(static_cast<Row>(scratch[i]));
    }
}

// Ends what is due at the one instant of a slot of the lowest level, in order, and re-arms the timers that fire for
// nothing. Answers the number of grants ended.
std::size_t Engine::Parts::end_slot(const Wheel::Slot& slot, std::size_t& budget) noexcept {
    pop_rows(slot, budget);
    std::size_t due = 0;
    for_each_popped([&](Row row) {
        if (const Instant at = earliest(row); at != slot.start) {
            wheel.arm(table.records(), row, at);
        } else {
            scratch[due++] = sort_key(row);
        }
    });
    static_cast<void>(scratch.resize(due, 0));
    std::sort(scratch.begin(), scratch.end());
    const std::uint64_t before = ended[static_cast<std::size_t>(Cause::expired)];
    for (std::size_t i = 0; i < due; ++i) {
        if (i + ahead < due) {
            table.prefetch_index(owner_of(scratch[i + ahead]));
            prefetch_all(row_of(scratch[i + ahead]));
        }
        const Row row = row_of(scratch[i]);
        const Instant at = expire(row, slot.start) ? earliest(row) : no_deadline;
        wheel.arm(table.records(), row, at);
    }
    return static_cast<std::size_t>(ended[static_cast<std::size_t>(Cause::expired)] - before);
}

// Moves the timers of a slot of a higher level to where they belong now that it has been entered.
void Engine::Parts::empty_slot(const Wheel::Slot& slot, std::size_t& budget) noexcept {
    pop_rows(slot, budget);
    for_each_popped([&](Row row) { wheel.arm(table.records(), row, earliest(row)); });
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
        std::size_t budget = SIZE_MAX;
        pop_rows(slot, budget);
        Instant first = no_deadline;
        for_each_popped([&](Row row) {
            const Instant at = earliest(row);
            wheel.arm(table.records(), row, at);
            first = std::min(first, at);
        });
        if (wheel.occupied(slot)) return first;
    }
    return no_deadline;
}

}  // namespace grantwheel
