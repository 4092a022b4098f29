// What a shell does with the log of its gate: staging, waiting, and what has become of both; and notes, with one or without.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <utility>

#include "bindings/reach.hpp"
#include "bindings/shell.hpp"

namespace grantwheel::bindings {

namespace {

// Under the lock: nobody waits for what was staged, if there is anything to wait for. Returns its status.
Status leave(Gate& gate, const Staged& staged) noexcept {
    if (staged.status == Status::ok && !staged.is_answered()) gate.abandon(staged.ticket);
    return staged.status;
}

}  // namespace

Mask Shell::carry_out_on_record(Session& session, const Admission& admission, Clause* clause) {
    Watcher* const watcher = clause == nullptr ? nullptr : clause->watcher();
    const bool waits = may_wait(clause);
    const auto stage = [&](const Manager&, Instant) {
        if (clause != nullptr) clause->staged(admission.command.mask);
        const Staged staged = gate_->stage(admission, watcher);
        if (staged.status != Status::ok && watcher != nullptr) watcher->settled({staged.status, 0});
        if (!waits) static_cast<void>(leave(*gate_, staged));
        return staged;
    };
    // A log that needs no waiting has it carried out at once.
    const bool takes_long = gate_->answers_at_once() && may_reach(session.manager.engine(), admission.command, slice);
    const Staged staged = takes_long ? unlocked_by(std::move(session), stage) : stage(session.manager, session.now);
    {
        const Guard goes = std::move(session.lock);
    }
    if (staged.status != Status::ok) throw refusal(staged.status);
    if (!staged.is_answered() && !waits) return admission.command.mask;
    const Answer answer = staged.is_answered() ? staged.answer : await(staged.ticket);
    settle_logged();
    if (answer.status != Status::ok) throw refusal(answer.status);
    return answer.mask;
}

// A log without Python is written by whoever waits for it, and at once.
bool Shell::may_wait(const Clause* clause) const noexcept {
    if (gate_->is_in_log()) return false;
    return clause == nullptr || clause->waits() || gate_->answers_at_once();
}

void Shell::wait(std::uint64_t group) {
    constexpr std::uint64_t patience_ms = 50;  // for who waits for a signal handler
    if (gate_->answers_at_once()) return;      // and nobody waits for the lock with the GIL
    for (int tries_at_the_end = 20;;) {
        if (without_gil([&] { return gate_->wait(group, patience_ms); })) return;
        if (as_python([] { return PyErr_CheckSignals(); }) != 0) throw py::error_already_set();
        if (is_python_ending() && --tries_at_the_end == 0) {
            throw Refusal(Status::not_connected, "Python is going down, and the log has not answered.");
        }
    }
}

Answer Shell::await(Ticket ticket, std::span<Result> rows) {
    try {
        wait(ticket.group);
    } catch (...) {
        abandon(ticket);
        throw;
    }
    const Guard lock(*this);
    Answer answer;
    if (!gate_->take(ticket, answer, rows)) answer.status = Status::not_connected;
    return answer;
}

void Shell::abandon(Ticket ticket) {
    const Guard lock(*this);
    gate_->abandon(ticket);
}

Refusal Shell::refusal(Status status) {
    if (status != Status::transaction_failed) return Refusal(status);
    if (has_lost_log()) log_->tell_end("it is not what the manager has put there");
    return Refusal(status, {}, log_->failure());
}

bool Shell::has_lost_log() {
    const Guard lock(*this);
    return log_ != nullptr && gate_->log_figures().state == LogState::broken;
}

std::uint64_t Shell::last_group() {
    const Guard lock(*this);
    return gate_->last_group();
}

bool Shell::is_on_record(std::uint64_t group) {
    return without_gil([&] { return gate_->finish({.group = group, .failures = 0}, 0) == Flushed::all; });
}

std::uint64_t Shell::count_lost() {
    const Guard lock(*this);
    return is_behind() && !is_closed_ ? gate_->log_figures().waiting_changes : 0;
}

bool Shell::settle(std::uint64_t timeout_ms) {
    require_here();
    if (log_ == nullptr || gate_->is_in_log()) return true;
    return without_gil([&] {
        const Instant until = monotonic_now() + timeout_ms;
        for (Instant now = monotonic_now();; now = monotonic_now()) {
            if (gate_->flush(now < until ? until - now : 0)) return true;
            const auto [is_broken, is_told] = [this] {
                const std::lock_guard lock(*gate_);
                return std::pair(gate_->log_figures().state == LogState::broken, is_closed_);
            }();
            if (is_broken) return is_told;  // what is lost was told to whoever closed it
            if (now >= until) return false;
            ::usleep(10'000);  // it has failed: it is tried again
        }
    });
}

bool Shell::flush(std::uint64_t timeout_ms) {
    constexpr std::uint64_t patience_ms = 50;  // for who waits for a signal handler
    const auto begun = [this] {
        const Locked locked = lock();
        return gate_->begin_flush();
    }();
    if (log_ == nullptr) return true;
    if (gate_->is_in_log()) throw std::runtime_error("the log of a manager cannot wait for itself");
    for (std::uint64_t left = timeout_ms;;) {
        const std::uint64_t part = std::min(left, patience_ms);
        const Flushed flushed = without_gil([&] { return gate_->finish(begun, part); });
        if (flushed == Flushed::all) return true;
        if (flushed == Flushed::failed) throw refusal(Status::transaction_failed);
        if (as_python([] { return PyErr_CheckSignals(); }) != 0) throw py::error_already_set();
        if (left != Gate::forever) left -= part;
        if (left == 0 || is_python_ending()) return false;
    }
}

std::optional<Staged> Shell::stage_advance(std::size_t budget, Instant& now) {
    // With one append: what ends them holds up others for some milliseconds. One that costs nothing is for as many as
    // hold up nobody.
    const std::size_t most = is_behind() ? slice : 8 * slice;
    std::optional<Staged> staged;
    const auto has_more = [&](const Session& session) {
        now = session.now;
        const Looked found = gate_->look(slice);
        check(found.status);
        if (!found.is_due) return found.more;
        staged = gate_->stage_advance(std::min(budget, most));
        now = gate_->latest();
        return false;
    };
    if (has_more(begin())) {
        without_gil([&] {
            do gate_->let_others();
            while (has_more(go_on(now)));
            return true;
        });
    }
    return staged;
}

std::size_t Shell::advance_on_record(std::size_t budget) {
    std::size_t ended = 0;
    while (budget > 0) {
        Instant now = 0;
        const std::optional<Staged> staged = stage_advance(budget, now);
        if (!staged) break;
        if (staged->status != Status::ok) throw refusal(staged->status);
        if (!staged->is_answered() && gate_->is_in_log()) {
            abandon(staged->ticket);
            break;
        }
        const Answer answer = staged->is_answered() ? staged->answer : await(staged->ticket);
        settle_logged();
        if (answer.status != Status::ok) throw refusal(answer.status);
        if (ended == 0 && answer.due != no_deadline) {
            const Guard lock(*this);
            around_->tally.advanced.note(answer.due, now);
        }
        ended += answer.ended;
        budget -= std::min(budget, answer.records);
        if (!answer.more) break;
    }
    return ended;
}

void Shell::put_mark(Mark mark, std::int64_t boot_offset_ms) {
    Session session = begin();
    const auto boot_ms = static_cast<std::int64_t>(session.now) - boot_offset_ms;
    mark.boot_ms = boot_ms < 0 ? 0 : static_cast<Instant>(boot_ms);
    const Status status = leave(*gate_, gate_->stage_mark(mark));
    {
        const Guard goes = std::move(session.lock);
    }
    if (status != Status::ok) throw refusal(status);
}

void Shell::write_notes(const NoteChanges& changes) {
    Session session = begin();
    const bool waits = may_wait(nullptr);
    const Staged staged = unlocked_by(std::move(session), [&](Manager& manager, Instant now) {
        if (log_ == nullptr) return Staged{manager.engine().write_notes(changes, now)};
        const Staged made = gate_->stage_notes(changes);
        if (!waits) static_cast<void>(leave(*gate_, made));
        return made;
    });
    if (staged.status != Status::ok) throw refusal(staged.status);
    if (!staged.is_answered() && !waits) return;
    // Nothing is settled with the hook: a write of notes ends nothing, and who has ended something settles it.
    const Answer answer = staged.is_answered() ? staged.answer : await(staged.ticket);
    if (answer.status != Status::ok) throw refusal(answer.status);
}

// A release ends what is due before it takes anything, and then there is nothing left to take.
void Shell::end_due(const std::vector<std::pair<std::uint32_t, std::uint32_t>>& processes) {
    Session session = begin();
    Status status = Status::ok;
    for (const auto& [pid, uid] : processes) {
        Admission admission;
        admission.command.kind = CommandKind::release;
        admission.command.is_process = true;
        admission.command.mask = rules.per_process;
        admission.command.pid = pid;
        admission.command.uid = uid;
        status = leave(*gate_, gate_->stage(admission));
        if (status != Status::ok) break;
    }
    {
        const Guard goes = std::move(session.lock);
    }
    if (status != Status::ok) throw refusal(status);
}

void Shell::settle_logged() {
    if (!has_quota()) return;
    Ended ended;
    std::array<std::uint32_t, 256> part;
    for (std::size_t count = part.size(); count == part.size();) {
        const Guard lock(*this);
        count = gate_->take_cpu_ended(part);
        ended.insert(ended.end(), part.begin(), part.begin() + static_cast<std::ptrdiff_t>(count));
    }
    settle(ended);
}

}  // namespace grantwheel::bindings
