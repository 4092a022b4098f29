// Batches through a gate.
#include <memory>
#include <mutex>
#include <new>
#include <span>
#include <utility>

#include "capi/gate.hpp"
#include "capi/values.hpp"
#include "grantwheel/batch.hpp"

using namespace grantwheel;
using namespace grantwheel::capi;

namespace {

// Room for the answers of many rows, taken before anything changes.
class Answers {
public:
    explicit Answers(std::size_t count) noexcept : count_(count), rows_(new (std::nothrow) Result[count]) {}

    [[nodiscard]] bool is_there() const noexcept { return rows_ != nullptr; }
    [[nodiscard]] std::span<Result> rows() const noexcept { return {rows_.get(), count_}; }
    void write(gw_result* results) const noexcept {
        for (std::size_t i = 0; i < count_; ++i) results[i] = to_result(rows_[i]);
    }

private:
    std::size_t count_;
    std::unique_ptr<Result[]> rows_;
};

// Under the lock, without a log. The quota is told after each row, as the engine forgets with the next one.
Result carry_out_row(gw_gate& gate, const Admission& admission) noexcept {
    const Result result = gate.gate->manager()->execute(admission, gate.gate->latest());
    if (admission.status == Status::ok) settle(gate);
    return result;
}

Status carry_out(gw_gate& gate, const Requests& rows, gw_result* results) noexcept {
    if (gate.gate->is_closed()) return Status::not_connected;
    const Manager& manager = *gate.gate->manager();
    return manager.admit_each(rows, gate.gate->latest(), [&](std::size_t i, const Admission& judged) {
        Admission admission = judged;
        ask_quota(*gate.handle, admission);
        results[i] = to_result(carry_out_row(gate, admission));
    });
}

// Under the lock, with a log. Where there is somebody to ask, all are judged and asked for first.
Staged stage(gw_gate& gate, const Requests& rows) noexcept {
    if (gate.handle->check == nullptr) return gate.gate->stage_many(rows);
    const std::unique_ptr<Admission[]> judged(new (std::nothrow) Admission[rows.count]);
    if (judged == nullptr) return {Status::out_of_memory};
    const Manager& manager = *gate.gate->manager();
    const Status status = manager.admit_each(rows, gate.gate->latest(), [&](std::size_t i, const Admission& admission) {
        judged[i] = admission;
        ask_quota(*gate.handle, judged[i]);
    });
    if (status != Status::ok) return {status};
    return gate.gate->stage_many({judged.get(), rows.count}, rows.is_apply);
}

// Waits for the answers, and takes them.
Status finish(gw_gate& gate, Ticket ticket, std::span<Result> rows) noexcept {
    const bool has_settled = gate.gate->wait(ticket.group);
    const std::scoped_lock lock(*gate.gate);
    if (!has_settled) {
        gate.gate->abandon(ticket);
        return Status::in_callback;
    }
    settle(gate);
    Answer answer;
    return gate.gate->take(ticket, answer, rows) ? answer.status : Status::argument_invalid;
}

// Carries out the rows, which are there, unless `are_valid` says no.
gw_status change_many(gw_gate* gate, bool are_valid, const Requests& rows, gw_result* results) noexcept {
    if (gate == nullptr || !are_valid) return GW_ARGUMENT_INVALID;
    const bool has_log = gate->gate->has_log();
    const Answers answers(has_log ? rows.count : 0);
    if (!answers.is_there()) return GW_OUT_OF_MEMORY;
    Staged staged;
    {
        const std::scoped_lock lock(*gate->gate);
        staged.status = gate->gate->enter();
        if (staged.status == Status::ok && !has_log) return code(carry_out(*gate, rows, results));
        if (staged.status == Status::ok) staged = stage(*gate, rows);
    }
    if (staged.status == Status::ok) staged.status = finish(*gate, staged.ticket, answers.rows());
    if (staged.status == Status::ok) answers.write(results);
    return code(staged.status);
}

// Reads commands, and refuses those that a batch cannot have.
gw_status read_many(const gw_command* commands, std::size_t count, std::unique_ptr<Admission[]>& rows) noexcept {
    const Strided<const gw_command> given(commands);
    if (count != 0 && !given.is_whole()) return GW_ARGUMENT_INVALID;
    for (std::size_t i = 0; i < count; ++i) {
        const bool has_texts = is_valid(given[i].bundle) && is_valid(given[i].reason);
        if (!has_texts || !is_kind(given[i].kind)) return GW_ARGUMENT_INVALID;
    }
    rows.reset(new (std::nothrow) Admission[count]);
    if (rows == nullptr) return GW_OUT_OF_MEMORY;
    for (std::size_t i = 0; i < count; ++i) {
        const Command command = to_command(given[i]);
        rows[i] = {Manager::check(command), false, command};
        const bool fits = is_plain(command, given[0].kind == GW_COMMAND_APPLY);
        if (rows[i].status == Status::ok && !fits) rows[i].status = Status::request_invalid;
    }
    return GW_OK;
}

}  // namespace

gw_status gw_gate_apply_many(gw_gate* gate, size_t count, const uint32_t* uids, const uint32_t* pids,
                             const uint32_t* masks, const uint32_t* timeouts_ms, gw_result* results) noexcept {
    const bool are_valid = are_there(count, uids, pids, masks, timeouts_ms, results);
    return change_many(gate, are_valid, to_applies(count, uids, pids, masks, timeouts_ms), results);
}

gw_status gw_gate_release_many(gw_gate* gate, size_t count, const uint32_t* uids, const uint32_t* pids,
                               const uint32_t* masks, gw_result* results) noexcept {
    const bool are_valid = are_there(count, uids, pids, masks, results);
    return change_many(gate, are_valid, to_releases(count, uids, pids, masks), results);
}

gw_status gw_gate_stage_many(gw_gate* gate, const gw_command* commands, size_t count, gw_result* results,
                             gw_ticket* ticket) noexcept {
    if (gate == nullptr || ticket == nullptr || !are_there(count, results)) return GW_ARGUMENT_INVALID;
    std::unique_ptr<Admission[]> rows;
    if (const gw_status status = read_many(commands, count, rows); status != GW_OK) return status;
    if (gate->gate->has_log()) {
        const bool is_apply = count == 0 || rows[0].command.kind == CommandKind::apply;
        const Staged staged = gate->gate->stage_many({rows.get(), count}, is_apply);
        if (staged.status == Status::ok) *ticket = {staged.ticket.group, staged.ticket.place};
        return code(staged.status);
    }
    if (gate->gate->is_closed()) return GW_NOT_CONNECTED;
    for (std::size_t i = 0; i < count; ++i) results[i] = to_result(carry_out_row(*gate, rows[i]));
    *ticket = {0, 0};
    return GW_OK;
}

gw_status gw_gate_await_many(gw_gate* gate, const gw_ticket* ticket, uint64_t timeout_ms, uint8_t* settled,
                             gw_result* results, size_t count) noexcept {
    const bool are_valid = ticket != nullptr && settled != nullptr && are_there(count, results);
    if (gate == nullptr || !are_valid) return GW_ARGUMENT_INVALID;
    const Answers answers(ticket->group == 0 ? 0 : count);
    if (!answers.is_there()) return GW_OUT_OF_MEMORY;
    *settled = gate->gate->wait(ticket->group, timeout_ms) ? 1 : 0;
    if (*settled == 0 || ticket->group == 0) return GW_OK;
    const Status status = finish(*gate, {ticket->group, static_cast<std::uint32_t>(ticket->place)}, answers.rows());
    if (status == Status::ok) answers.write(results);
    return code(status);
}
