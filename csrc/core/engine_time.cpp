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
    Mask over = 0;
    for_each_type(held, [&](int type) {
        if (table.grant(row, type).deadline == at) over |= type_bit(type);
    });
    remove_types(row, over, Cause::expired, at);
    return over != held;
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

// What is due at an instant is put in order once all of it has come together, and ends before the wheel goes on.
AdvanceResult Engine::Parts::advance(Budget budget) noexcept {
    const std::uint64_t grants_before = ended[static_cast<std::size_t>(Cause::expired)];
    const std::uint64_t events_before = events.last();
    AdvanceResult result;
    for (Wheel::Slot slot;;) {
        const bool found = wheel.first(slot) && slot.start <= now;
        const bool comes_together = found && slot.level == 0 && slot.start == ending;
        if (due.empty() || comes_together) {
            if (!found) break;
            result.more = budget.looks == 0;
            if (result.more) break;
            wheel.enter(slot.start);
            if (slot.level == 0) {
                gather(slot, budget.looks);
            } else {
                empty_slot(slot, budget.looks);
            }
        } else {
            end_due(budget);
            result.more = !due.empty();
            if (result.more) break;
        }
    }
    if (!result.more) wheel.enter(now);
    result.ended = static_cast<std::size_t>(ended[static_cast<std::size_t>(Cause::expired)] - grants_before);
    result.records = static_cast<std::size_t>(events.last() - events_before);
    return result;
}

// Pre: an advance has stopped, at an instant all of which has come together or before it has.
bool Engine::Parts::ends_next() noexcept {
    Wheel::Slot slot;
    const bool comes_together = wheel.first(slot) && slot.level == 0 && slot.start == ending;
    if (due.empty() || comes_together) return false;
    const Row row = row_of(due.page().front());
    return is_popped(row) && table.mask(row) != 0;
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

// Takes rows of a slot of the lowest level to those that are due at its instant, and re-arms the timers that fire for
// nothing.
void Engine::Parts::gather(const Wheel::Slot& slot, std::size_t& budget) noexcept {
    pop_rows(slot, budget);
    if (due.empty()) due.open();
    ending = slot.start;
    for_each_popped([&](Row row) {
        if (const Instant at = earliest(row); at != slot.start) {
            wheel.arm(table.records(), row, at);
        } else {
            due.add(sort_key(row));
        }
    });
}

// Ends what is due, in order. A row whose timer has been set anew meanwhile has been dealt with, and one that is free has
// lost its record.
void Engine::Parts::end_due(Budget& budget) noexcept {
    while (!due.empty()) {
        const std::span<const std::uint64_t> page = due.page();
        std::size_t i = 0;
        for (; i < page.size(); ++i) {
            if (i + ahead < page.size()) {
                table.prefetch_index(owner_of(page[i + ahead]));
                prefetch_all(row_of(page[i + ahead]));
            }
            const Row row = row_of(page[i]);
            const bool ends = is_popped(row) && table.mask(row) != 0;
            std::size_t& left = ends ? budget.endings : budget.looks;
            if (left == 0) break;
            --left;
            if (!is_popped(row)) continue;
            const Instant at = ends && expire(row, ending) ? earliest(row) : no_deadline;
            wheel.arm(table.records(), row, at);
        }
        const bool stopped = i < page.size();
        due.drop(i);
        if (stopped) return;
    }
}

// Moves the timers of a slot of a higher level to where they belong now that it has been entered.
void Engine::Parts::empty_slot(const Wheel::Slot& slot, std::size_t& budget) noexcept {
    pop_rows(slot, budget);
    for_each_popped([&](Row row) { wheel.arm(table.records(), row, earliest(row)); });
}

// After an advance every timer lies in the future. The first occupied slot then has the answer, once the timers that
// have been left behind in it are where they belong; when they all belong elsewhere, the next slot is the first.
bool Engine::Parts::next_deadline(std::size_t looks, Instant& deadline) noexcept {
    deadline = no_deadline;
    Wheel::Slot slot;
    while (wheel.first(slot)) {
        if (wheel.has_more(slot, looks)) return false;
        pop_rows(slot, looks);
        for_each_popped([&](Row row) {
            const Instant at = earliest(row);
            wheel.arm(table.records(), row, at);
            deadline = std::min(deadline, at);
        });
        if (wheel.occupied(slot)) return true;
        deadline = no_deadline;
    }
    return true;
}

}  // namespace grantwheel
