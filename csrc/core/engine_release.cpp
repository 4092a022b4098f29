#include <algorithm>

#include "core/engine_changes.hpp"

namespace grantwheel {

Mask Engine::Parts::release_one(Row row, Mask mask, Cause cause) noexcept {
    if (row == no_row || (fires(row) && !settle(row))) return 0;
    Record& record = table.record(row);
    const Mask held = record.mask & mask;
    if (held != 0) remove_types(row, record, held, cause, now);
    return held;
}

Result Engine::Parts::release(const Command& command) noexcept {
    const Mask process_mask = process_mask_of(command);
    return {Status::ok, process_mask != 0 ? release_with_process(command, process_mask)
                                          : release_app(command.uid, command.mask, Cause::release)};
}

// CPU of a process request goes from the caller's own process record, the rest from the app record and, by the cascade,
// from the processes of the uid.
Mask Engine::Parts::release_with_process(const Command& command, Mask process_mask) noexcept {
    const Mask app_mask = command.mask & ~process_mask;
    Row process = table.find_process(command.pid);
    if (process != no_row && table.record(process).uid != command.uid) process = no_row;
    Row app = app_mask != 0 ? table.find_app(command.uid) : no_row;
    settle_pair(process, app);
    const Mask removed = release_one(process, process_mask, Cause::release);
    // No process record holds anything but CPU, so this part cannot cascade.
    return removed | release_one(app, app_mask, Cause::release);
}

Result Engine::Parts::end(const Command& command) noexcept {
    switch (command.kind) {
        case CommandKind::apply:
        case CommandKind::release: break;
        case CommandKind::reset_all: return {Status::ok, release_app(command.uid, command.mask, Cause::reset_all)};
        case CommandKind::process_died: return {Status::ok, process_died(command.uid, command.pid)};
        case CommandKind::app_stopped:
            return {Status::ok, release_app(command.uid, rules.mortal(), Cause::app_stopped)};
        case CommandKind::package_removed:
            return {Status::ok, release_app(command.uid, rules.all, Cause::package_removed)};
        case CommandKind::admin_reset_all: return {Status::ok, admin_reset_all()};
        case CommandKind::admin_reset_app:
            return {Status::ok, release_one(table.find_app(command.uid), command.mask, Cause::admin)};
        case CommandKind::admin_reset_process:
            return {Status::ok, release_one(table.find_process(command.pid), command.mask, Cause::admin)};
    }
    return {Status::request_invalid, 0};
}

// Takes the types from the app record, then from every process record of the uid that holds any of them.
inline Mask Engine::Parts::release_app(std::uint32_t uid, Mask mask, Cause cause) noexcept {
    const Table::Place place = table.place_of_uid(uid);
    const Row app = place.row != no_row && table.is_app(place.row) ? place.row : no_row;
    if ((mask & rules.per_process) != 0) return release_cascading(app, uid, mask, cause);
    if (app == no_row) return 0;
    if (fires(app)) return release_one(app, mask, cause);  // what ends may move entries of the index
    Record& record = table.record(app);
    const Mask held = record.mask & mask;
    if (held != 0) remove_types(app, record, held, cause, now, &place);
    return held;
}

// The processes by ascending pid. All of these records are settled first, as one.
Mask Engine::Parts::release_cascading(Row app, std::uint32_t uid, Mask mask, Cause cause) noexcept {
    const std::size_t count = gather_processes(uid);
    if (count == 0) return release_one(app, mask, cause);

    std::uint64_t* const first = scratch.data();
    std::uint64_t* const last = first + count;
    std::uint64_t* const rest =
        std::partition(first, last, [&](auto key) { return due_at(row_of(key)) != no_deadline; });
    std::sort(first, rest, [&](auto left, auto right) {
        const Instant left_due = due_at(row_of(left));
        const Instant right_due = due_at(row_of(right));
        return left_due != right_due ? left_due < right_due : left < right;
    });
    std::sort(rest, last);

    for (const std::uint64_t* key = first; key != rest; ++key) {
        Row process = row_of(*key);
        const Instant at = due_at(process);
        while (app != no_row && due_at(app) < at) {
            if (!expire(app, due_at(app))) app = no_row;
        }
        expire(process, at);
    }
    Mask removed = release_one(app, mask, cause);
    for (const std::uint64_t* key = rest; key != last; ++key) removed |= release_one(row_of(*key), mask, cause);
    return removed;
}

Mask Engine::Parts::process_died(std::uint32_t uid, std::uint32_t pid) noexcept {
    const Row process = table.find_process(pid);
    if (process == no_row || table.record(process).uid != uid) return 0;
    return release_one(process, rules.mortal(), Cause::process_died);
}

// All app records, then all process records, keys ascending, after everything that is due.
Mask Engine::Parts::admin_reset_all() noexcept {
    advance();
    scratch.clear();
    table.for_each_holder(rules.all, [&](Row row) { scratch.push(sort_key(row)); });
    std::sort(scratch.begin(), scratch.end());
    const auto first_app = std::find_if(scratch.begin(), scratch.end(),
                                        [&](auto key) { return table.record(row_of(key)).kind == OwnerKind::app; });
    std::rotate(scratch.begin(), first_app, scratch.end());
    Mask removed = 0;
    for (const std::uint64_t key : scratch) removed |= release_one(row_of(key), rules.all, Cause::admin);
    return removed;
}

// Puts the process records of a uid into `scratch`, in no order, and answers their number.
std::size_t Engine::Parts::gather_processes(std::uint32_t uid) noexcept {
    scratch.clear();
    for (Row row = table.first_process(uid); row != no_row; row = table.next_of_uid(row)) {
        scratch.push(sort_key(row));
    }
    return scratch.size();
}

}  // namespace grantwheel
