#include "core/engine_parts.hpp"

namespace grantwheel {

// Texts that are known are held from the first step to the last: they may be the engine's own, which move and go with
// their last grant, and such grants may end on the way.
Result Engine::Parts::apply(const Command& command) noexcept {
    Texts texts{strings.find(command.reason), strings.find(command.bundle)};
    if (texts.reason != no_text) strings.use(texts.reason);
    if (texts.bundle != no_text) strings.pin(texts.bundle);
    const Result result = command.only_held    ? renew(command, texts)
                          : command.is_process ? apply_with_process(command, texts)
                                               : apply<false>(command, texts);
    if (texts.reason != no_text) strings.drop(texts.reason);
    if (texts.bundle != no_text) strings.unpin(texts.bundle);
    return result;
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

Result Engine::Parts::apply_with_process(const Command& command, Texts& texts) noexcept {
    return apply<true>(command, texts);
}

// Settles the records that the request goes to, makes sure that nothing can fail any more, then grants: CPU of a
// process request to the process record, the rest to the app record. What is not a process request, as nearly all are, has
// the steps for these left out.
template <bool may_have_process>
inline Result Engine::Parts::apply(const Command& command, Texts& texts) noexcept {
    constexpr Result refused{Status::out_of_memory, 0};
    const Mask process_mask = may_have_process ? process_mask_of(command) : 0;
    const Mask app_mask = command.mask & ~process_mask;
    Row process = process_mask != 0 ? table.find_process(command.pid) : no_row;
    Row app = app_mask != 0 ? table.find_app(command.uid) : no_row;
    if constexpr (may_have_process) {
        settle_pair(process, app);
    } else if (fires(app) && !settle(app)) {
        app = no_row;
    }

    // A process record of another uid is that of a dead process whose pid was reused. Its row is as good as free.
    const bool reused = process != no_row && table.record(process).uid != command.uid;
    const bool adds_process = process_mask != 0 && (process == no_row || reused);
    const bool adds_app = app_mask != 0 && app == no_row;
    const bool adds = adds_process || adds_app;
    const bool needs_room = adds || !table.has_types(command.mask);
    if (needs_room && !make_room(command, adds_app, adds_process, reused)) return refused;

    const bool tells = adds || (app != no_row && (app_mask & ~table.mask(app)) != 0);
    // The empty text is always there.
    const bool has_texts = texts.reason != Strings::empty || (tells && texts.bundle != Strings::empty);
    if (has_texts && !take_texts(command, tells, adds, texts)) return refused;

    if (reused) remove_types(process, table.mask(process), Cause::pid_reused, now);
    if (process_mask != 0) {
        if (adds_process) process = add(OwnerKind::process, command, texts);
        grant<OwnerKind::process>(process, process_mask, command, texts);
    }
    if (app_mask != 0) {
        if (adds_app) app = add(OwnerKind::app, command, texts);
        grant<OwnerKind::app>(app, app_mask, command, texts);
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

// Merges the types into what the record holds, and tells which of them are new.
template <OwnerKind kind>
inline void Engine::Parts::grant(Row row, Mask mask, const Command& command, Texts texts) noexcept {
    Record& record = table.record(row);
    const Mask fresh = mask & ~Mask{record.mask};
    const bool is_levelled = (mask & rules.levelled) != 0;
    if (is_levelled && ((fresh & rules.levelled) != 0 || command.cpu_level != default_level)) {
        record.cpu_level = command.cpu_level;
    }
    if constexpr (kind == OwnerKind::process) table.applied(row) = now;
    if ((mask & command.capped) != 0) {
        merge_capped(row, record, mask, command, texts.reason);
    } else {
        merge(row, record, mask, command, texts.reason);
    }
    if (fresh != 0) tell_apply(kind, record, fresh, command.pid, texts.bundle);
}

// Sets reason, deadline and timeout of each type. "Never" is the latest deadline of all, so that becoming
// persistent is one more way to extend.
inline void Engine::Parts::merge(Row row, Record& record, Mask mask, const Command& command, TextId reason) noexcept {
    const Mask held = record.mask;
    const bool was_timed = record.is_timed();
    const Instant deadline = command.is_persist ? no_deadline : now + command.timeout_ms;
    Mask extended = 0;
    for_each_type(mask, [&](int type) {
        const Mask bit = type_bit(type);
        const bool is_held = (held & bit) != 0;
        Grant& grant = table.grant(row, type);
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
        ++(is_held ? renewed : granted);
    });
    if (command.is_persist) record.persist_mask |= static_cast<std::uint16_t>(extended);
    if ((mask & ~held) != 0) table.set_mask(row, record, held | mask);
    timed += std::size_t{record.is_timed()} - std::size_t{was_timed};
    // A new record may have come to a timer of the past.
    if (extended != 0 && (deadline < record.armed || record.armed <= now)) wheel.arm(table.records(), row, deadline);
}

// The same where types have timeouts of their own: the others first, then each of these.
void Engine::Parts::merge_capped(Row row, Record& record, Mask mask, const Command& command, TextId reason) noexcept {
    Command part = command;
    Mask types = mask & ~command.capped;
    for (Mask capped = mask & command.capped;; capped &= capped - 1) {
        merge(row, record, types, part, reason);
        if (capped == 0) return;
        const int type = std::countr_zero(capped);
        types = type_bit(type);
        part.is_persist = false;
        part.timeout_ms = command.caps_ms[static_cast<std::size_t>(type)];
    }
}

}  // namespace grantwheel
