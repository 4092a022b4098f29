#include "core/engine_changes.hpp"

namespace grantwheel {

namespace {

constexpr Result refused{Status::out_of_memory, 0};

}  // namespace

// What renews types of an app, as nearly all calls do, goes straight through here, and without the frame of a function that
// calls others: whatever needs more goes on elsewhere, with the place where the app is or would be.
Result Engine::Parts::apply(const Command& command) noexcept {
    if (!command.reason.empty() || !command.bundle.empty()) return apply_with_texts(command);
    if (command.only_held) return renew(command, no_texts);
    if (process_mask_of(command) != 0) return apply_with_process(command, no_texts);
    const Table::Place place = table.place_at_once(command.uid);
    if (place.row == no_row) return apply_to_app(command, place);
    const Record& record = table.record(place.row);
    if (record.kind != OwnerKind::app || record.armed <= now || !extends(command, record)) {
        return apply_to_app(command, place);
    }
    std::uint64_t count = 0;
    for (Mask left = command.mask; left != 0; left &= left - 1) {
        Grant& grant = table.grant(place.row, std::countr_zero(left));
        if (grant.reason != Strings::empty) return apply_to_app(command, place);  // which extends the others once more
        extend(grant, command);
        ++count;
    }
    renewed += count;
    return {Status::ok, command.mask};
}

Result Engine::Parts::apply_to_app(const Command& command, Table::Place place) noexcept {
    if (place.entry == Table::nowhere) place = table.place_again(command.uid);
    return apply<false>(command, no_texts, place);
}

// Texts that are known are held from the first step to the last: they may be the engine's own, which move and go with
// their last grant, and such grants may end on the way.
Result Engine::Parts::apply_with_texts(const Command& command) noexcept {
    Texts texts{strings.find(command.reason), strings.find(command.bundle)};
    if (texts.reason != no_text) strings.use(texts.reason);
    if (texts.bundle != no_text) strings.pin(texts.bundle);
    const Result result = apply_any(command, texts);
    if (texts.reason != no_text) strings.drop(texts.reason);
    if (texts.bundle != no_text) strings.unpin(texts.bundle);
    return result;
}

inline Result Engine::Parts::apply_any(const Command& command, Texts& texts) noexcept {
    if (command.only_held) return renew(command, texts);
    if (process_mask_of(command) != 0) return apply_with_process(command, texts);
    return apply<true>(command, texts, table.place_of_uid(command.uid));
}

// Settles the app record, makes sure that nothing can fail any more, then grants.
template <bool has_texts>
inline Result Engine::Parts::apply(const Command& command, Texts& texts, const Table::Place& place) noexcept {
    const Row app = place.row;
    if (app == no_row || !table.is_app(app)) return add_app(command, texts, place);
    const Record& record = table.record(app);
    if (record.armed <= now && !settle(app)) return add_app(command, texts, table.place_again(command.uid));
    if (!extends(command, record)) return add_types(command, texts, app);
    if (has_texts && has_any(texts, false) && !take_texts(command, false, false, texts)) return refused;
    for (Mask left = command.mask; left != 0; left &= left - 1) {
        Grant& grant = table.grant(app, std::countr_zero(left));
        if (grant.reason != texts.reason) set_reason(grant, texts.reason);
        extend(grant, command);
        ++renewed;
    }
    return {Status::ok, command.mask};
}

// Whether it sets no more than reason, deadline and timeout of types that are held. No timer can be too late for a later
// deadline.
inline bool Engine::Parts::extends(const Command& command, const Record& record) noexcept {
    return (command.mask & ~Mask{record.mask}) == 0 && !command.is_persist && (command.mask & command.capped) == 0 &&
           command.cpu_level == default_level;
}

inline void Engine::Parts::extend(Grant& grant, const Command& command) const noexcept {
    const Instant deadline = now + command.timeout_ms;
    if (deadline <= grant.deadline) return;
    grant.deadline = deadline;
    grant.timeout_ms = command.timeout_ms;
}

void Engine::Parts::set_reason(Grant& grant, TextId reason) noexcept {
    strings.use(reason);
    strings.drop(grant.reason);
    grant.reason = reason;
}

// The same where more changes than that.
Result Engine::Parts::add_types(const Command& command, Texts& texts, Row app) noexcept {
    Record& record = table.record(app);
    const bool tells = (command.mask & ~Mask{record.mask}) != 0;
    if (!table.has_types(command.mask) && !make_room(command, false, false, false)) return refused;
    if (has_any(texts, tells) && !take_texts(command, tells, false, texts)) return refused;
    grant<OwnerKind::app, false>(app, record, command.mask, command, texts);
    return {Status::ok, command.mask};
}

// The same for an app without record, and the place for it.
Result Engine::Parts::add_app(const Command& command, Texts& texts, Table::Place place) noexcept {
    const std::uint64_t told = events.last();
    const bool fits = table.size() < limits.max_records && table.has_room(1, 0, command.mask) && has_places();
    if (!fits && !make_room(command, true, false, false)) return refused;
    if (has_any(texts, true) && !take_texts(command, true, true, texts)) return refused;
    // What makes room lays the index out anew, and what is ended for it moves entries.
    if (!fits || events.last() != told) place = table.place_again(command.uid);
    strings.use(texts.bundle);
    const Row app = table.add(OwnerKind::app, command.uid, command.pid, texts.bundle, place);
    grant<OwnerKind::app, true>(app, table.record(app), command.mask, command, texts);
    return {Status::ok, command.mask};
}

// Applies for those of the types that are held.
Result Engine::Parts::renew(const Command& command, Texts& texts) noexcept {
    const Mask process_mask = process_mask_of(command);
    const Mask app_mask = command.mask & ~process_mask;
    Row process = process_mask != 0 ? table.find_process(command.pid) : no_row;
    Row app = app_mask != 0 ? table.find_app(command.uid) : no_row;
    settle_pair(process, app);
    Command held = command;
    held.mask = app == no_row ? 0 : app_mask & table.mask(app);
    if (process != no_row && table.record(process).uid == command.uid) held.mask |= process_mask & table.mask(process);
    return held.mask == 0 ? Result{} : apply_with_process(held, texts);
}

// Settles the records that a process request goes to, makes sure that nothing can fail any more, then grants: CPU to the
// process record, the rest to the app record.
Result Engine::Parts::apply_with_process(const Command& command, Texts& texts) noexcept {
    const Mask process_mask = process_mask_of(command);
    const Mask app_mask = command.mask & ~process_mask;
    Row process = process_mask != 0 ? table.find_process(command.pid) : no_row;
    Row app = app_mask != 0 ? table.find_app(command.uid) : no_row;
    settle_pair(process, app);

    // A process record of another uid is that of a dead process whose pid was reused. Its row is as good as free.
    const bool reused = process != no_row && table.record(process).uid != command.uid;
    const bool adds_process = process_mask != 0 && (process == no_row || reused);
    const bool adds_app = app_mask != 0 && app == no_row;
    const bool adds = adds_process || adds_app;
    const bool needs_room = adds || !table.has_types(command.mask);
    if (needs_room && !make_room(command, adds_app, adds_process, reused)) return refused;

    const bool tells = adds || (app != no_row && (app_mask & ~table.mask(app)) != 0);
    if (has_any(texts, tells) && !take_texts(command, tells, adds, texts)) return refused;

    if (reused) remove_types(process, table.mask(process), Cause::pid_reused, now);
    if (process_mask != 0) {
        if (adds_process) process = add(OwnerKind::process, command, texts);
        grant<OwnerKind::process, false>(process, table.record(process), process_mask, command, texts);
    }
    if (app_mask != 0) {
        if (adds_app) app = add(OwnerKind::app, command, texts);
        grant<OwnerKind::app, false>(app, table.record(app), app_mask, command, texts);
    }
    return {Status::ok, command.mask};
}

// Rows for new records, `reused` of which takes the place of an old one, and room for the types. False when the limit is
// reached even after all that is due was freed, or when there is no memory.
bool Engine::Parts::make_room(const Command& command, bool adds_app, bool adds_process, bool reused) noexcept {
    const std::size_t processes = std::size_t{adds_process} - std::size_t{reused};
    const std::size_t more = std::size_t{adds_app} + processes;
    while (table.size() + more > limits.max_records) {
        if (!end_one()) return false;
    }
    if (table.has_room(adds_app, processes, command.mask) && has_places()) return true;
    lacked_memory = !table.make_room(command.uid, adds_app, processes, command.mask) || !reserve_places();
    return !lacked_memory;
}

// Adds the reason, and the bundle when an event will `tell` it, unless they are held already. False when a text that was
// not in use finds no free place even after all that is due was freed, or when there is no memory.
bool Engine::Parts::take_texts(const Command& command, bool tells, bool adds, Texts& texts) noexcept {
    if (texts.reason == no_text) {
        texts.reason = strings.find_or_add(command.reason);
        lacked_memory = texts.reason == no_text;
        if (lacked_memory) return false;
        strings.use(texts.reason);
    }
    if (tells && texts.bundle == no_text) {
        texts.bundle = strings.find_or_add(command.bundle);
        lacked_memory = texts.bundle == no_text;
        if (lacked_memory) return false;
        strings.pin(texts.bundle);
    }
    while (strings.used_count() + std::size_t{adds && !strings.used(texts.bundle)} > limits.max_strings) {
        if (!end_one()) return false;
    }
    return true;
}

Row Engine::Parts::add(OwnerKind kind, const Command& command, Texts texts) noexcept {
    strings.use(texts.bundle);
    return table.add(kind, command.uid, command.pid, texts.bundle);
}

// Merges the types into what the record holds, which is nothing when it is new, and tells which of them are new.
template <OwnerKind kind, bool is_new>
inline void Engine::Parts::grant(Row row, Record& record, Mask mask, const Command& command, Texts texts) noexcept {
    const Mask fresh = is_new ? mask : mask & ~Mask{record.mask};
    const bool is_levelled = (mask & rules.levelled) != 0;
    if (is_levelled && ((fresh & rules.levelled) != 0 || command.cpu_level != default_level)) {
        record.cpu_level = command.cpu_level;
    }
    if constexpr (kind == OwnerKind::process) table.applied(row) = now;
    if ((mask & command.capped) != 0) {
        merge_capped(row, record, mask, command, texts.reason);
    } else {
        merge<is_new>(row, record, mask, command, texts.reason);
    }
    if (fresh != 0) tell_apply(kind, record, fresh, command.pid, texts.bundle);
}

// Sets reason, deadline and timeout of each type. "Never" is the latest deadline of all, so that becoming
// persistent is one more way to extend.
template <bool is_new>
inline void Engine::Parts::merge(Row row, Record& record, Mask mask, const Command& command, TextId reason) noexcept {
    const Mask held = is_new ? 0 : Mask{record.mask};
    const Instant deadline = command.is_persist ? no_deadline : now + command.timeout_ms;
    Mask extended = 0;
    for (Mask left = mask; left != 0; left &= left - 1) {
        const Mask bit = left & -left;
        const bool is_held = (held & bit) != 0;
        Grant& grant = table.grant(row, std::countr_zero(left));
        if (!is_held || grant.reason != reason) {
            strings.use(reason);
            if (is_held) strings.drop(grant.reason);
            grant.reason = reason;
        }
        if (!is_held || grant.deadline < deadline) {
            extended |= bit;
            grant.timeout_ms = command.timeout_ms;
            grant.deadline = deadline;
        }
        if (!is_held) table.count_in(record.kind, std::countr_zero(left));
        ++(is_held ? renewed : granted);
    }
    if ((mask & ~held) != 0 || command.is_persist) {
        const bool was_timed = !is_new && record.is_timed();
        if (command.is_persist) record.persist_mask |= static_cast<std::uint16_t>(extended);
        table.write_mask(row, record, held | mask);
        timed += std::size_t{record.is_timed()} - std::size_t{was_timed};
    }
    // A new record may have come to a timer of the past.
    if (extended == 0 || (deadline >= record.armed && record.armed > now)) return;
    if (is_new && record.slot == no_slot) {
        wheel.put(record, row, deadline);
    } else {
        wheel.arm(table.records(), row, deadline);
    }
}

// The same where types have timeouts of their own: the others first, then each of these.
void Engine::Parts::merge_capped(Row row, Record& record, Mask mask, const Command& command, TextId reason) noexcept {
    Command part = command;
    Mask types = mask & ~command.capped;
    for (Mask capped = mask & command.capped;; capped &= capped - 1) {
        merge<false>(row, record, types, part, reason);
        if (capped == 0) return;
        const int type = std::countr_zero(capped);
        types = type_bit(type);
        part.is_persist = false;
        part.timeout_ms = command.caps_ms[static_cast<std::size_t>(type)];
    }
}

}  // namespace grantwheel
