#include "bindings/pipelined.hpp"

#include <algorithm>

#include "bindings/vocabulary.hpp"

namespace grantwheel::bindings {

Pipelined::Pipelined(Shell& shell, std::span<const Queued> calls)
    : shell_(shell),
      calls_(calls),
      outcomes_(calls.size()),
      cascades_(static_cast<std::size_t>(std::count_if(calls.begin(), calls.end(), [](const Queued& queued) {
          return !queued.call.application.request.is_apply;
      }))) {}

void Pipelined::run() {
    try {
        while (has_more()) {
            switch (go_on()) {
                case Stop::at_end: break;
                case Stop::to_ask: ask(); break;
                case Stop::to_wait: shell_.wait(awaited_); break;
            }
        }
        if (last_group_ != 0 && shell_.gate_->is_in_log()) {
            abandon_all();  // it is not waited for
        } else if (last_group_ != 0) {
            shell_.wait(last_group_);
            take_all();
        }
        tell_ended();
    } catch (...) {
        abandon_all();
        throw;
    }
}

// As many as can be carried out or staged under one lock.
Pipelined::Stop Pipelined::go_on() {
    try {
        const TypedCall& first = calls_[next_].call;
        Shell::Session session = shell_.begin({first.uid(), first.types()});
        has_quota_ = shell_.has_quota();
        if (has_quota_ && !shell_.has_log()) Shell::make_room(session.manager, ended_, calls_.size() - next_);
        const auto work = [this](Manager& manager, Instant now) { return change_all(manager, now); };
        if (takes_long(session.manager.engine())) return Shell::unlocked_by(std::move(session), work);
        return work(session.manager, session.now);
    } catch (...) {
        keep_error();
        return Stop::at_end;
    }
}

// What is staged only costs the same for all calls.
bool Pipelined::takes_long(const Engine& engine) const noexcept {
    if (calls_.size() - next_ > Shell::slice) return true;
    return shell_.gate_->answers_at_once() && cascades_ * engine.record_count(OwnerKind::process) > Shell::slice;
}

Pipelined::Stop Pipelined::change_all(Manager& manager, Instant now) {
    const bool executes = shell_.gate_->answers_at_once();
    if (is_agreed_) {
        is_agreed_ = false;
        change(manager, now, asked_);
    }
    while (has_more()) {
        const TypedCall& call = calls_[next_].call;
        if (must_wait(call)) return Stop::to_wait;
        if (executes) prefetch(manager.engine());
        try {
            const Admission admission = call.admit(manager, now);
            if (admission.status == Status::ok && admission.ask_quota) {
                bundle_ = admission.command.bundle;
                asked_ = admission;
                asked_.command.bundle = bundle_;
                return Stop::to_ask;
            }
            change(manager, now, admission);
        } catch (const Refusal& refusal) {
            outcomes_[next_].refusal = std::make_unique<Refusal>(refusal);
            ++next_;
        }
    }
    return Stop::at_end;
}

// A renewal of what is staged only would find nothing. What others stage meanwhile is not waited for again.
bool Pipelined::must_wait(const TypedCall& call) noexcept {
    const Gate& gate = *shell_.gate_;
    if (!call.renews() || waited_ == next_ || gate.is_in_log()) return false;
    const Application& renewal = call.application;
    awaited_ = gate.group_about({OwnerKind::app, static_cast<std::uint32_t>(renewal.uid)});
    if (renewal.request.is_process) {
        const Owner process{OwnerKind::process, static_cast<std::uint32_t>(renewal.pid)};
        awaited_ = std::max(awaited_, gate.group_about(process));
    }
    if (gate.has_settled(awaited_)) return false;
    waited_ = next_;
    return true;
}

// As far ahead as `for_each_prefetched` is.
void Pipelined::prefetch(const Engine& engine) const noexcept {
    constexpr std::size_t app_ahead = 8;
    const auto uid_of = [](const TypedCall& call) { return static_cast<std::uint32_t>(call.uid()); };
    if (next_ + 2 * app_ahead < calls_.size()) engine.prefetch_index(uid_of(calls_[next_ + 2 * app_ahead].call));
    if (next_ + app_ahead >= calls_.size()) return;
    const TypedCall& soon = calls_[next_ + app_ahead].call;
    engine.prefetch_app(uid_of(soon), soon.types() & type::ALL);
}

void Pipelined::change(Manager& manager, Instant now, const Admission& admission) {
    Outcome& outcome = outcomes_[next_++];
    if (!shell_.has_log()) {
        outcome.result = manager.execute(admission, now);
        if (has_quota_ && admission.status == Status::ok) Shell::note_ended(manager, ended_);
        return;
    }
    const Staged staged = shell_.gate_->stage(admission);
    outcome.result = {staged.status, admission.command.mask};
    if (staged.is_answered()) {
        outcome.result = {staged.answer.status, staged.answer.mask};
    } else if (staged.status == Status::ok) {
        outcome.ticket = staged.ticket;
        last_group_ = staged.ticket.group;
    }
}

void Pipelined::ask() {
    tell_ended();
    try {
        is_agreed_ = shell_.has_agreed(asked_.command, nullptr);
        if (!is_agreed_) outcomes_[next_++].result.status = Status::permission_denied;
    } catch (...) {
        keep_error();
    }
}

// What came up about the next call is its answer.
void Pipelined::keep_error() {
    Outcome& outcome = outcomes_[next_];
    is_agreed_ = false;
    try {
        throw;
    } catch (const Refusal& refusal) {
        outcome.refusal = std::make_unique<Refusal>(refusal);
    } catch (const py::error_already_set& error) {
        if (!error.matches(PyExc_Exception)) throw;
        outcome.error = error.value();
    } catch (const std::bad_alloc&) {
        outcome.result.status = Status::out_of_memory;
    } catch (const py::builtin_exception& error) {
        error.set_error();
        outcome.error = py::error_already_set().value();
    }
    ++next_;
}

void Pipelined::tell_ended() {
    if (shell_.has_log()) return shell_.settle_logged();
    if (ended_.empty()) return;
    Shell::Ended ended;
    std::swap(ended, ended_);
    shell_.settle(ended);
}

void Pipelined::take_all() {
    const Shell::Guard lock(shell_);
    for (Outcome& outcome : outcomes_) {
        if (outcome.ticket.group == 0) continue;
        Answer answer;
        if (!shell_.gate_->take(outcome.ticket, answer)) answer.status = Status::not_connected;
        outcome.result = {answer.status, answer.mask};
        outcome.ticket = {};
    }
}

void Pipelined::abandon_all() noexcept try {
    if (last_group_ == 0) return;
    const Shell::Guard lock(shell_);
    for (Outcome& outcome : outcomes_) {
        if (outcome.ticket.group != 0) shell_.gate_->abandon(outcome.ticket);
        outcome.ticket = {};
    }
} catch (...) {
    // In the child of a fork, where nobody will look for them.
}

py::object Pipelined::answer(std::size_t place) {
    Outcome& outcome = outcomes_[place];
    if (outcome.error) return std::move(outcome.error);
    const Status status = outcome.result.status;
    if (outcome.refusal == nullptr) {
        if (status == Status::ok) return mask_int(outcome.result.mask);
        outcome.refusal = std::make_unique<Refusal>(shell_.has_log() ? shell_.refusal(status) : Refusal(status));
    }
    Refusal& refusal = *outcome.refusal;
    shell_.tally().refusals.note(refusal.status());
    if (refusal.status() == Status::out_of_memory) shell_.name_limit(refusal);
    return refusal.exception();
}

}  // namespace grantwheel::bindings
