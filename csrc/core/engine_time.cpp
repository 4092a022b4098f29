#include <algorithm>

#include "core/engine_changes.hpp"

namespace grantwheel {

namespace {

// How many records ahead the processor is asked for what will be touched.
constexpr std::size_t ahead = 8;

}  // namespace

Instant Engine::Parts::due_at(Row row) const noexcept {
    const Record& record = table.record(row);
    if (record.armed > now) return no_deadline;
    const Instant at = earliest(row, record);
    return at <= now ? at : no_deadline;
}

inline Engine::Parts::Over Engine::Parts::over_at(Row row, const Record& record, Instant at) const noexcept {
    Over over{0, no_deadline};
    for_each_type(record.mask, [&](int type) {
        const Instant deadline = table.grant(row, type).deadline;
        if (deadline == at) {
            over.mask |= type_bit(type);
        } else {
            over.rest = std::min(over.rest, deadline);
        }
    });
    return over;
}

bool Engine::Parts::expire(Row row, Instant at) noexcept {
    const Mask held = table.mask(row);
    const Mask over = over_at(row, table.record(row), at).mask;
    remove_types(row, over, Cause::expired, at);
    return over != held;
}

void Engine::Parts::end_at(Row row, Instant at) noexcept {
    Record& record = table.record(row);
    const Over over = over_at(row, record, at);
    remove_types(row, record, over.mask, Cause::expired, at);
    wheel.put(record, row, over.rest);
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
            if (end_few(slot, budget)) continue;
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

// Takes rows off a slot, a tray at a time and at most as many as the budget, and calls `visit(row)` for each, which must
// put it into another slot or none. Asks the processor for the grants of a whole tray, as there may be more of them.
template <typename Visit>
inline void Engine::Parts::empty(const Wheel::Slot& slot, std::size_t& budget, Visit&& visit) noexcept {
    Row rows[Wheel::tray_size];
    while (budget != 0 && wheel.occupied(slot)) {
        const std::size_t count = wheel.take(table.records(), slot, budget, rows);
        budget -= count;
        if (count == Wheel::tray_size) {
            for (const Row row : rows) table.prefetch_grants(row);
        }
        for (std::size_t i = 0; i < count; ++i) visit(rows[i]);
    }
}

// Ends the rows of a slot in one go, when all of it is due and they are few, as they nearly always are, without a slot for
// each of its instants; what fires for nothing is re-armed. False, with nothing done, when this cannot be, when the budget is not
// enough, or when others are being ended.
bool Engine::Parts::end_few(const Wheel::Slot& slot, Budget& budget) noexcept {
    const Instant last = slot.start + (slot.level == 0 ? 0 : Wheel::slot_count - 1);
    const bool may = due.empty() && wheel.is_whole(slot) && last <= now;
    if (!may || wheel.has_more(slot, std::min({most_few, budget.endings, budget.looks}))) return false;
    Ending endings[most_few];
    Ending* end = endings;
    empty(slot, budget.looks, [&](Row row) {
        Record& record = table.record(row);
        if (const Instant at = earliest(row, record); at > last) {
            wheel.put(record, row, at);
        } else {
            *end++ = {at, sort_key(row, record)};
        }
    });
    if (end - endings > 1) std::sort(endings, end);
    Ending* next = endings;
    for (; next != end && budget.endings != 0; --budget.endings) {
        const Row row = row_of(next->key);
        Record& record = table.record(row);
        const Over over = over_at(row, record, next->at);
        remove_types(row, record, over.mask, Cause::expired, next->at);
        if (over.rest > last) {
            wheel.put(record, row, over.rest);
            ++next;
        } else {  // it ends again among those that come
            Ending* place = next;
            for (next->at = over.rest; place + 1 != end && place[1] < place[0]; ++place) std::swap(place[0], place[1]);
        }
    }
    for (; next != end; ++next) wheel.put(table.record(row_of(next->key)), row_of(next->key), next->at);
    return true;
}

// Takes rows of a slot of the lowest level to those that are due at its instant, and re-arms the timers that fire for
// nothing.
void Engine::Parts::gather(const Wheel::Slot& slot, std::size_t& budget) noexcept {
    if (due.empty()) due.open();
    ending = slot.start;
    empty(slot, budget, [&](Row row) {
        Record& record = table.record(row);
        if (const Instant at = earliest(row, record); at != slot.start) {
            wheel.put(record, row, at);
        } else {
            due.add(sort_key(row, record));
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
            if (ends) {
                end_at(row, ending);
            } else {
                wheel.put(table.record(row), row, no_deadline);
            }
        }
        const bool stopped = i < page.size();
        due.drop(i);
        if (stopped) return;
    }
}

// Moves the timers of a slot of a higher level to where they belong now that it has been entered.
void Engine::Parts::empty_slot(const Wheel::Slot& slot, std::size_t& budget) noexcept {
    empty(slot, budget, [&](Row row) {
        Record& record = table.record(row);
        wheel.put(record, row, earliest(row, record));
    });
}

// After an advance every timer lies in the future. The first occupied slot then has the answer, once the timers that
// have been left behind in it are where they belong; when they all belong elsewhere, the next slot is the first. Those
// that belong there come back to it, so that all are taken off before.
bool Engine::Parts::next_deadline(std::size_t looks, Instant& deadline) noexcept {
    deadline = no_deadline;
    Wheel::Slot slot;
    while (wheel.first(slot)) {
        if (wheel.has_more(slot, looks)) return false;
        scratch.clear();
        empty(slot, looks, [&](Row row) { scratch.push(row); });
        for (const std::uint64_t taken : scratch) {
            const auto row = static_cast<Row>(taken);
            const Instant at = earliest(row);
            wheel.put(table.record(row), row, at);
            deadline = std::min(deadline, at);
        }
        if (wheel.occupied(slot)) return true;
        deadline = no_deadline;
    }
    return true;
}

}  // namespace grantwheel
