// What an apply is given, in its different forms, and which types it would find held.
#pragma once

#include "bindings/arguments.hpp"
#include "bindings/explain.hpp"
#include "grantwheel/manager.hpp"

namespace grantwheel::bindings {

// The caller with what was given of it, or with what the policy says of its uid.
inline Caller caller_of(const CallerArgument& given, const Manager& manager, std::int64_t uid, std::int64_t pid) {
    return given.given ? given.as(uid, pid) : manager.caller(uid, pid);
}

struct Application {
    std::int64_t uid = -1;
    std::int64_t pid = -1;
    CallerArgument caller{};
    Request request{};

    [[nodiscard]] Admission admit(const Manager& manager, Instant now) const { return admit(manager, request, now); }
    // The same for another request of the caller's.
    [[nodiscard]] Admission admit(const Manager& manager, const Request& other, Instant now) const {
        return bindings::admit(manager, caller_of(caller, manager, uid, pid), other, now);
    }
};

// The types of a command that are held, by the records that an apply of them goes to; none at an instant that the engine
// does not take. Changes nothing.
inline Mask held_of(const Engine& engine, const Command& command, Instant now) noexcept {
    const Mask process_mask = command.is_process ? command.mask & rules.per_process : 0;
    Mask held = engine.mask({OwnerKind::app, command.uid}, now).mask & ~process_mask;
    if (process_mask != 0) {
        RecordView record;
        static_cast<void>(engine.find({OwnerKind::process, command.pid}, now, record));
        if (record.uid == command.uid) held |= record.mask;  // else the pid is that of a dead process
    }
    return command.mask & held;
}

}  // namespace grantwheel::bindings
