// Changes in one step, the same in two, and batches.
#include <algorithm>
#include <memory>
#include <new>
#include <span>
#include <utility>

#include "capi/handle.hpp"
#include "capi/values.hpp"

using namespace grantwheel;
using namespace grantwheel::capi;

// In one step.

gw_status gw_perform(gw_manager* manager, const gw_caller* caller, const gw_request* request, uint64_t now,
                     uint32_t* mask) noexcept {
    return change_as(manager, now, mask, [&](const Manager& open) {
        if (!is_valid(caller) || !is_valid(request)) return Admission{Status::argument_invalid};
        return open.admit(to_caller(*caller), to_request(*request), now);
    });
}

gw_status gw_reset_all(gw_manager* manager, const gw_caller* caller, uint64_t now, uint32_t* mask) noexcept {
    return change_as(manager, now, mask, [&](const Manager& open) {
        if (!is_valid(caller)) return Admission{Status::argument_invalid};
        return open.admit_reset_all(to_caller(*caller), now);
    });
}

gw_status gw_process_died(gw_manager* manager, int64_t uid, int64_t pid, uint64_t now, uint32_t* mask) noexcept {
    return change_as(manager, now, mask, [&](const Manager& open) { return open.admit_process_died(uid, pid, now); });
}

gw_status gw_app_stopped(gw_manager* manager, int64_t uid, uint64_t now, uint32_t* mask) noexcept {
    return change_as(manager, now, mask, [&](const Manager& open) { return open.admit_app_stopped(uid, now); });
}

gw_status gw_package_removed(gw_manager* manager, int64_t uid, uint64_t now, uint32_t* mask) noexcept {
    return change_as(manager, now, mask, [&](const Manager& open) { return open.admit_package_removed(uid, now); });
}

gw_status gw_admin_reset_all(gw_manager* manager, uint64_t now, uint32_t* mask) noexcept {
    return change_as(manager, now, mask, [&](const Manager& open) { return open.admit_admin_reset_all(now); });
}

gw_status gw_admin_reset_app(gw_manager* manager, int64_t uid, uint32_t mask, uint64_t now,
                             uint32_t* removed) noexcept {
    return change_as(manager, now, removed,
                     [&](const Manager& open) { return open.admit_admin_reset_app(uid, mask, now); });
}

gw_status gw_admin_reset_process(gw_manager* manager, int64_t pid, uint32_t mask, uint64_t now,
                                 uint32_t* removed) noexcept {
    return change_as(manager, now, removed,
                     [&](const Manager& open) { return open.admit_admin_reset_process(pid, mask, now); });
}

// In two steps.

namespace {

template <typename Admit>
gw_status admit(const gw_manager* handle, gw_command* command, Admit&& admit_it) noexcept {
    if (!is_whole(command)) return GW_ARGUMENT_INVALID;
    return look(handle, [&](const Manager& manager) {
        const Admission admission = admit_it(manager);
        if (admission.status == Status::ok) write(admission, *command);
        return admission.status;
    });
}

}  // namespace

gw_status gw_admit(const gw_manager* manager, const gw_caller* caller, const gw_request* request, uint64_t now,
                   gw_command* command) noexcept {
    if (!is_valid(caller) || !is_valid(request)) return GW_ARGUMENT_INVALID;
    return admit(manager, command,
                 [&](const Manager& open) { return open.admit(to_caller(*caller), to_request(*request), now); });
}

gw_status gw_admit_reset_all(const gw_manager* manager, const gw_caller* caller, uint64_t now,
                             gw_command* command) noexcept {
    if (!is_valid(caller)) return GW_ARGUMENT_INVALID;
    return admit(manager, command, [&](const Manager& open) { return open.admit_reset_all(to_caller(*caller), now); });
}

gw_status gw_admit_process_died(const gw_manager* manager, int64_t uid, int64_t pid, uint64_t now,
                                gw_command* command) noexcept {
    return admit(manager, command, [&](const Manager& open) { return open.admit_process_died(uid, pid, now); });
}

gw_status gw_admit_app_stopped(const gw_manager* manager, int64_t uid, uint64_t now, gw_command* command) noexcept {
    return admit(manager, command, [&](const Manager& open) { return open.admit_app_stopped(uid, now); });
}

gw_status gw_admit_package_removed(const gw_manager* manager, int64_t uid, uint64_t now, gw_command* command) noexcept {
    return admit(manager, command, [&](const Manager& open) { return open.admit_package_removed(uid, now); });
}

gw_status gw_admit_admin_reset_all(const gw_manager* manager, uint64_t now, gw_command* command) noexcept {
    return admit(manager, command, [&](const Manager& open) { return open.admit_admin_reset_all(now); });
}

gw_status gw_admit_admin_reset_app(const gw_manager* manager, int64_t uid, uint32_t mask, uint64_t now,
                                   gw_command* command) noexcept {
    return admit(manager, command, [&](const Manager& open) { return open.admit_admin_reset_app(uid, mask, now); });
}

gw_status gw_admit_admin_reset_process(const gw_manager* manager, int64_t pid, uint32_t mask, uint64_t now,
                                       gw_command* command) noexcept {
    return admit(manager, command, [&](const Manager& open) { return open.admit_admin_reset_process(pid, mask, now); });
}

gw_status gw_execute(gw_manager* manager, const gw_command* command, uint64_t now, uint32_t* mask) noexcept {
    return change_as(manager, now, mask, [&](const Manager&) {
        if (!is_valid(command) || !is_kind(command->kind)) return Admission{Status::argument_invalid};
        const Command decided = to_command(*command);
        return Admission{Manager::check(decided), false, decided};
    });
}

const uint32_t* gw_cpu_ended(const gw_manager* manager, size_t* count) noexcept {
    if (manager == nullptr || count == nullptr) return nullptr;
    *count = manager->ended.size();
    return manager->ended.data();
}

gw_status gw_admit_query(const gw_manager* manager, const gw_caller* caller, uint64_t now) noexcept {
    if (!is_valid(caller)) return GW_ARGUMENT_INVALID;
    return look(manager, [&](const Manager& open) { return open.admit_query(to_caller(*caller), now); });
}

gw_status gw_admit_native(const gw_manager* manager, const gw_caller* caller) noexcept {
    if (!is_valid(caller)) return GW_ARGUMENT_INVALID;
    return look(manager, [&](const Manager& open) { return open.admit_native(to_caller(*caller)); });
}

// Batches.

namespace {

// Room for all apps that can lose CPU in a batch, taken before anything changes: each that has it now, once. What a row
// applies ends later than `now`, and a batch that applies takes nothing away but what is due.
bool reserve_ended(gw_manager& handle) noexcept {
    const std::size_t most = handle.has_quota ? handle.manager->engine().most_owners(rules.levelled) : 0;
    if (most <= handle.batch_capacity) return true;
    const std::size_t capacity = 2 * most;  // so that a manager that fills up does not ask again for each batch
    std::unique_ptr<std::uint32_t[]> room(new (std::nothrow) std::uint32_t[capacity]);
    if (room == nullptr) return false;
    handle.batch_ended = std::move(room);
    handle.batch_capacity = capacity;
    return true;
}

// Carries out the rows, which are there, unless `are_valid` says no.
gw_status change_many(gw_manager* handle, bool are_valid, const Requests& rows, Instant now,
                      gw_result* results) noexcept {
    return change(handle, [&](gw_manager& open) {
        if (!are_valid) return Status::argument_invalid;
        if (const Status status = open.manager->engine().check_time(now); status != Status::ok) return status;
        if (!reserve_ended(open)) return Status::out_of_memory;
        std::uint32_t* ended = open.batch_ended.get();
        const Status status = open.manager->admit_each(rows, now, [&](std::size_t i, const Admission& admission) {
            open.ended = {};
            results[i] = to_result(carry_out(open, admission, now));
            ended = std::copy(open.ended.begin(), open.ended.end(), ended);
        });
        open.ended = {open.batch_ended.get(), ended};
        return status;
    });
}

}  // namespace

gw_status gw_apply_many(gw_manager* manager, size_t count, const uint32_t* uids, const uint32_t* pids,
                        const uint32_t* masks, const uint32_t* timeouts_ms, uint64_t now, gw_result* results) noexcept {
    const bool are_valid = are_there(count, uids, pids, masks, timeouts_ms, results);
    return change_many(manager, are_valid, to_applies(count, uids, pids, masks, timeouts_ms), now, results);
}

gw_status gw_release_many(gw_manager* manager, size_t count, const uint32_t* uids, const uint32_t* pids,
                          const uint32_t* masks, uint64_t now, gw_result* results) noexcept {
    const bool are_valid = are_there(count, uids, pids, masks, results);
    return change_many(manager, are_valid, to_releases(count, uids, pids, masks), now, results);
}

gw_status gw_app_masks(const gw_manager* manager, size_t count, const uint32_t* uids, uint64_t now,
                       gw_result* results) noexcept {
    if (!are_there(count, uids, results)) return GW_ARGUMENT_INVALID;
    return look(manager, [&](const Manager& open) {
        const Engine& engine = open.engine();
        const Status status = engine.check_time(now);
        if (status != Status::ok) return status;
        const auto uid_of = [&](std::size_t i) { return uids[i]; };
        const auto no_mask = [](std::size_t) { return Mask{0}; };
        for_each_prefetched(engine, count, uid_of, no_mask, [&](std::size_t i) {
            results[i] = to_result(engine.mask({OwnerKind::app, uids[i]}, now));
        });
        return Status::ok;
    });
}
