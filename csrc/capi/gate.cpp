// Gates. The manager of a gate stays behind its handle, for the calls that only read; the gate owns it.
#include <algorithm>
#include <array>
#include <mutex>
#include <new>

#include "capi/gate.hpp"
#include "capi/values.hpp"
#include "grantwheel/clock.hpp"

using namespace grantwheel;
using namespace grantwheel::capi;

namespace grantwheel::capi {

// Under the lock, as the functions of a quota always are.
void ask_quota(const gw_manager& handle, Admission& admission) noexcept {
    if (admission.status != Status::ok || !admission.ask_quota || handle.check == nullptr) return;
    gw_command command;
    command.size = sizeof command;
    write(admission, command);
    if (handle.check(handle.user, &command) == 0) admission.status = Status::permission_denied;
}

namespace {

void settle(const gw_manager& handle, std::span<const std::uint32_t> uids) noexcept {
    for (const std::uint32_t uid : uids) handle.settle(handle.user, uid);
}

}  // namespace

// Under the lock: without a log the engine has what is to be told, with one the gate.
void settle(gw_gate& gate) noexcept {
    if (gate.handle->settle == nullptr || gate.gate->manager() == nullptr) return;
    if (!gate.gate->has_log()) return settle(*gate.handle, gate.gate->manager()->engine().cpu_ended());
    std::array<std::uint32_t, 64> uids;
    for (std::size_t count = uids.size(); count == uids.size();) {
        count = gate.gate->take_cpu_ended(uids);
        settle(*gate.handle, std::span(uids).first(count));
    }
}

}  // namespace grantwheel::capi

namespace {

Instant read_clock(void* gate) noexcept {
    const gw_gate& own = *static_cast<gw_gate*>(gate);
    return own.clock != nullptr ? own.clock(own.clock_user) : boot_now();
}

GateOptions to_options(gw_gate& gate, const gw_gate_options& given) noexcept {
    GateOptions options;
    options.log = given.append != nullptr ? &gate.log : nullptr;
    options.position = given.position;
    options.own_thread = given.own_thread != 0;
    options.is_behind = given.is_behind != 0;
    if (given.max_delay_ms != 0) options.max_delay_ms = given.max_delay_ms;
    if (given.max_group_bytes != 0) options.max_group_bytes = given.max_group_bytes;
    options.clock = {read_clock, &gate};
    return options;
}

// Under the lock. Stages what was admitted; without a log it is carried out, and the answer is there.
Staged stage(gw_gate& gate, const Admission& admission) noexcept {
    if (gate.gate->has_log()) return gate.gate->stage(admission);
    if (gate.gate->is_closed()) return {.status = Status::not_connected};
    const Result result = gate.gate->manager()->execute(admission, gate.gate->latest());
    return {.status = result.status, .answer = {.mask = result.mask}};
}

// Carries out what `admit(manager, now)` admits.
template <typename Admit>
gw_status change(gw_gate* gate, std::uint32_t* mask, Admit&& admit) noexcept {
    if (gate == nullptr) return GW_ARGUMENT_INVALID;
    const std::scoped_lock lock(*gate->gate);
    Staged staged{.status = gate->gate->enter()};
    if (staged.status != Status::ok) return code(staged.status);
    Admission admission = admit(std::as_const(*gate->gate->manager()), gate->gate->latest());
    ask_quota(*gate->handle, admission);
    staged = stage(*gate, admission);
    Answer answer = staged.answer;
    if (staged.status != Status::ok) answer.status = staged.status;
    if (staged.status == Status::ok && !staged.is_answered()) answer = gate->gate->await_locked(staged.ticket);
    settle(*gate);
    if (mask != nullptr && answer.status == Status::ok) *mask = answer.mask;
    return code(answer.status);
}

// Without a log the quota is told after each slice, as the engine forgets with the next one what there is to tell.
Answer advance_directly(gw_gate& gate, std::size_t budget) noexcept {
    constexpr std::size_t slice = 1024;
    std::unique_lock lock(*gate.gate);
    Answer total{.status = gate.gate->enter(), .more = true};
    for (std::size_t left = budget; total.status == Status::ok && total.more && left != 0;) {
        const AdvanceResult result = gate.gate->manager()->engine().advance(gate.gate->latest(), std::min(left, slice));
        settle(gate);
        left -= result.records;
        total.status = result.status;
        total.ended += result.ended;
        total.more = result.more;
        lock.unlock();
        gate.gate->let_others();
        lock.lock();
    }
    return total;
}

}  // namespace

gw_status gw_gate_create(gw_manager* manager, const gw_gate_options* options, gw_gate** gate) noexcept {
    constexpr gw_gate_options usual = GW_GATE_OPTIONS_INIT;
    if (options == nullptr) options = &usual;
    const bool are_valid = manager != nullptr && gate != nullptr && is_whole(options);
    if (!are_valid || (options->append != nullptr && options->last == nullptr)) return GW_ARGUMENT_INVALID;
    if (manager->in_callback) return GW_IN_CALLBACK;
    std::unique_ptr<gw_gate> made(new (std::nothrow) gw_gate(*options));
    if (made == nullptr) return GW_OUT_OF_MEMORY;
    Manager* const kept = manager->manager.get();
    made->gate = Gate::create(std::move(manager->manager), to_options(*made, *options));
    if (made->gate == nullptr) return GW_OUT_OF_MEMORY;
    manager->manager.reset(kept);  // for reads; it is let go of before the gate
    manager->in_callback = true;
    made->handle = manager;
    *gate = made.release();
    return GW_OK;
}

void gw_gate_destroy(gw_gate* gate) noexcept {
    if (gate == nullptr) return;
    // NOLINTNEXTLINE(bugprone-unused-return-value): the gate has it
    static_cast<void>(gate->handle->manager.release());
    delete gate->handle;
    delete gate;
}

gw_status gw_gate_close(gw_gate* gate, uint64_t timeout_ms) noexcept {
    return gate == nullptr ? GW_ARGUMENT_INVALID : code(gate->gate->close(timeout_ms));
}

gw_status gw_gate_perform(gw_gate* gate, const gw_caller* caller, const gw_request* request, uint32_t* mask) noexcept {
    if (!is_valid(caller) || !is_valid(request)) return GW_ARGUMENT_INVALID;
    return change(gate, mask, [&](const Manager& manager, Instant now) {
        return manager.admit(to_caller(*caller), to_request(*request), now);
    });
}

gw_status gw_gate_reset_all(gw_gate* gate, const gw_caller* caller, uint32_t* mask) noexcept {
    if (!is_valid(caller)) return GW_ARGUMENT_INVALID;
    return change(gate, mask, [&](const Manager& manager, Instant now) {
        return manager.admit_reset_all(to_caller(*caller), now);
    });
}

gw_status gw_gate_execute(gw_gate* gate, const gw_command* command, uint32_t* mask) noexcept {
    if (!is_valid(command) || !is_kind(command->kind)) return GW_ARGUMENT_INVALID;
    const Command decided = to_command(*command);
    return change(gate, mask,
                  [&](const Manager&, Instant) { return Admission{Manager::check(decided), false, decided}; });
}

gw_status gw_gate_advance(gw_gate* gate, size_t budget, size_t* ended, uint8_t* more) noexcept {
    if (gate == nullptr) return GW_ARGUMENT_INVALID;
    const Answer answer = gate->gate->has_log() ? gate->gate->advance(budget) : advance_directly(*gate, budget);
    if (gate->gate->has_log()) {
        const std::scoped_lock lock(*gate->gate);
        settle(*gate);
    }
    if (answer.status != Status::ok) return code(answer.status);
    if (ended != nullptr) *ended = answer.ended;
    if (more != nullptr) *more = answer.more ? 1 : 0;
    return GW_OK;
}

gw_status gw_gate_mask(gw_gate* gate, gw_owner owner, uint32_t* mask) noexcept {
    if (gate == nullptr || mask == nullptr || !is_valid(owner)) return GW_ARGUMENT_INVALID;
    const Owner read = to_owner(owner);
    return code(gate->gate->read(read, [&](const Engine& engine, Instant at) { *mask = engine.mask(read, at).mask; }));
}

gw_status gw_gate_read(gw_gate* gate, const gw_owner* owner, gw_gate_reader read, void* user) noexcept {
    const bool is_about_one = owner != nullptr;
    if (gate == nullptr || read == nullptr || (is_about_one && !is_valid(*owner))) return GW_ARGUMENT_INVALID;
    const auto work = [&](const Engine&, Instant at) { read(user, gate->handle, at); };
    return code(is_about_one ? gate->gate->read(to_owner(*owner), work) : gate->gate->read_all(work));
}

const gw_manager* gw_gate_enter(gw_gate* gate, uint64_t* now) noexcept {
    if (gate == nullptr || now == nullptr) return nullptr;
    gate->gate->lock();
    if (gate->gate->enter() == Status::ok) {
        *now = gate->gate->latest();
        return gate->handle;
    }
    gate->gate->unlock();
    return nullptr;
}

void gw_gate_leave(gw_gate* gate) noexcept {
    if (gate != nullptr) gate->gate->unlock();
}

// A ticket of no group has the mask in the place of its place.
gw_status gw_gate_stage(gw_gate* gate, const gw_command* command, gw_ticket* ticket) noexcept {
    if (gate == nullptr || ticket == nullptr || !is_valid(command) || !is_kind(command->kind))
        return GW_ARGUMENT_INVALID;
    const Command decided = to_command(*command);
    const Staged staged = stage(*gate, {Manager::check(decided), false, decided});
    const Status status = staged.is_answered() ? staged.answer.status : staged.status;
    if (status != Status::ok) return code(status);
    *ticket = {staged.ticket.group, staged.is_answered() ? staged.answer.mask : staged.ticket.place};
    return GW_OK;
}

gw_status gw_gate_await(gw_gate* gate, const gw_ticket* ticket, uint64_t timeout_ms, uint8_t* settled,
                        uint32_t* mask) noexcept {
    if (gate == nullptr || ticket == nullptr || settled == nullptr) return GW_ARGUMENT_INVALID;
    Answer answer{.mask = static_cast<Mask>(ticket->place)};
    *settled = gate->gate->wait(ticket->group, timeout_ms) ? 1 : 0;
    if (*settled == 0) return GW_OK;
    const std::scoped_lock lock(*gate->gate);
    settle(*gate);
    const Ticket taken{ticket->group, static_cast<std::uint32_t>(ticket->place)};
    if (ticket->group != 0 && !gate->gate->take(taken, answer)) return GW_ARGUMENT_INVALID;
    if (mask != nullptr && answer.status == Status::ok) *mask = answer.mask;
    return code(answer.status);
}

int gw_gate_descriptor(gw_gate* gate) noexcept {
    if (gate == nullptr) return -1;
    const std::scoped_lock lock(*gate->gate);
    return gate->gate->descriptor();
}

void gw_gate_clear(gw_gate* gate) noexcept {
    if (gate == nullptr) return;
    const std::scoped_lock lock(*gate->gate);
    gate->gate->clear();
}
