#include "core/engine_parts.hpp"

namespace grantwheel {

namespace {

// Whether every text has as many users and pins as records, grants and events account for; counted in `users`.
const char* first_broken_text(const Engine::Parts& parts, Array<std::uint64_t>& users) noexcept {
    if (!users.resize(parts.strings.end() + 1, 0)) return Engine::validate_no_memory;
    for (Row row = 0; row < parts.table.end(); ++row) {
        if (parts.table.mask(row) == 0) continue;
        ++users[parts.table.record(row).bundle];
        for_each_type(parts.table.mask(row), [&](int type) { ++users[parts.table.grant(row, type).reason]; });
    }
    for (TextId id = 1; id < parts.strings.end(); ++id) {
        if (users[id] != parts.strings.users(id)) return "strings: number of users of a text";
        users[id] = 0;
    }
    for (std::uint64_t sequence = parts.events.first(); sequence <= parts.events.last(); ++sequence) {
        ++users[parts.events.at(sequence).bundle];
    }
    for (TextId id = 1; id < parts.strings.end(); ++id) {
        if (users[id] != parts.strings.pins(id)) return "strings: number of pins of a text";
    }
    return nullptr;
}

const char* first_broken_instant(const Engine::Parts& parts) noexcept {
    if (parts.wheel.current() > parts.now) return "engine: wheel ahead of now";
    if (parts.has_mark && parts.mark.now > parts.now) return "engine: mark ahead of now";
    for (Row row = 0; row < parts.table.end(); ++row) {
        const bool is_process = parts.table.mask(row) != 0 && parts.table.record(row).kind == OwnerKind::process;
        if (is_process && parts.table.applied(row) > parts.now) return "engine: last apply ahead of now";
    }
    return nullptr;
}

const char* first_broken_timer(const Engine::Parts& parts) noexcept {
    std::size_t timed = 0;
    std::size_t armed = 0;
    for (Row row = 0; row < parts.table.end(); ++row) {
        const Record& record = parts.table.record(row);
        if (record.armed > parts.earliest(row)) return "engine: timer after the first deadline";
        bool agrees = true;
        for_each_type(record.mask, [&](int type) {
            const bool is_persist = (record.persist_mask & type_bit(type)) != 0;
            agrees = agrees && is_persist == (parts.table.grant(row, type).deadline == no_deadline);
        });
        if (!agrees) return "engine: deadline of a persistent type, or none";
        timed += record.is_timed();
        armed += record.armed != no_deadline;
    }
    if (timed != parts.timed) return "engine: number of records with a deadline";
    std::size_t waiting = 0;
    parts.due.for_each([&](std::uint64_t key) { waiting += parts.is_popped(Engine::Parts::row_of(key)); });
    if (!parts.due.empty() && parts.ending > parts.now) return "engine: what ends before its time";
    std::size_t timers = 0;
    const char* reason = nullptr;
    if (!parts.wheel.validate(parts.table.records(), timers, &reason)) return reason;
    return timers + waiting == armed ? nullptr : "engine: number of timers";
}

}  // namespace

const char* const Engine::validate_no_memory = "validate: no memory to count the users of texts";

bool Engine::validate(const char** reason) const noexcept {
    const Parts& parts = *parts_;
    const auto broken = [&](const char* what) {
        if (what != nullptr) *reason = what;
        return what != nullptr;
    };
    if (!parts.table.validate(reason) || !parts.strings.validate(reason) || !parts.notes.validate(reason)) return false;
    if (broken(first_broken_timer(parts))) return false;
    if (broken(first_broken_instant(parts))) return false;
    if (parts.table.size() > parts.limits.max_records && broken("engine: more records than the limit")) return false;
    if (parts.strings.used_count() > parts.limits.max_strings && broken("engine: more texts than the limit"))
        return false;
    if (parts.scratch.capacity() < parts.table.end() && broken("engine: places for sorting")) return false;
    Array<std::uint64_t> users;
    return !broken(first_broken_text(parts, users));
}

}  // namespace grantwheel
