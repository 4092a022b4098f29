// The shell around one gate: the GIL, the quota hook and exceptions. Python's `_core.Manager`.
//
// Lock     The gate's, held over core calls only and never while Python runs. Whoever has to wait for it lets go of the GIL
//          first. What may take long is done without the GIL, and as far as it can be cut, in slices that let others have
//          the lock in between.
// Log      What changes the manager is staged, and waited for without lock and GIL; a signal that raises ends the waiting
//          and nothing else. Not waited for is what a finaliser changes, or whom the log calls, or a log that is behind.
// Hook     Asked before a change is carried out or staged, and told of ended CPU afterwards, without any lock. It may call
//          the manager.
// Waker    Made when somebody is first to be woken. Hears of every call before its lock is let go, and of every group.
// Fork     In the child every call is refused as not connected.
#pragma once

#include <pybind11/pybind11.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bindings/around.hpp"
#include "bindings/batch.hpp"
#include "bindings/clause.hpp"
#include "bindings/clocks.hpp"
#include "bindings/errors.hpp"
#include "bindings/explain.hpp"
#include "bindings/follower.hpp"
#include "bindings/gil.hpp"
#include "bindings/hook.hpp"
#include "bindings/logs.hpp"
#include "bindings/reach.hpp"
#include "grantwheel/gate.hpp"
#include "grantwheel/manager.hpp"
#include "grantwheel/survey.hpp"
#include "host/cursor.hpp"
#include "host/home.hpp"
#include "host/owned_events.hpp"

namespace grantwheel::bindings {

// Which types of which app a call touches first; a negative uid stands for nobody.
struct About {
    std::int64_t uid = -1;
    Mask types = 0;
};

class Shell {
public:
    // So long a log has to answer for what was staged, when the manager is closed.
    static constexpr std::uint64_t close_ms = 5000;
    // So many rows are dealt with under one lock, if there are more of them: for well below a millisecond.
    static constexpr std::size_t slice = 1024;

    // Holds the lock of a shell. Before it lets go it tells the waker. Refusal in the child of a fork.
    class Guard {
    public:
        explicit Guard(Shell& shell, Gil gil = Gil::held);
        ~Guard();
        Guard(Guard&& other) noexcept : shell_(std::exchange(other.shell_, nullptr)) {}
        Guard& operator=(Guard&&) = delete;

    private:
        Shell* shell_;
    };
    using Clause = bindings::Clause;
    using Unfinished = bindings::Unfinished;
    // The manager under its lock, which is held as long as this lives.
    struct Locked {
        Guard lock;
        Manager& manager;
    };
    // The same at an instant: a call.
    struct Session {
        Guard lock;
        Manager& manager;
        Instant now;
    };

    // Goes on with what has been read of its log, if any. Refusal when memory is not to be had. `log` is null for none.
    Shell(py::object clock, Follower::Taken read, std::unique_ptr<GivenLog> log, Durability when);
    ~Shell();

    // Takes the lock. Refusal when closed. For what has nothing to do with time.
    [[nodiscard]] Locked lock();

    // Takes the lock and the instant, for a change. Refusal when closed, or when the clock has run backwards. What is kept
    // of what it is `about` is asked for before the clock is read.
    [[nodiscard]] Session begin(About about = {});
    // The same for what reads one record, or an app's and its processes': what is staged about it is waited for. Or two.
    [[nodiscard]] Session begin_reading(Owner owner) { return begin_reading(owner, owner); }
    [[nodiscard]] Session begin_reading(Owner owner, Owner also);

    // Runs `work(engine, now)` without the GIL, for what reads across records and ends nothing.
    template <typename Work>
    auto look(Work&& work);
    // The same for the processes of one uid, which `who(manager)` answers: with the GIL, when there are few in all.
    template <typename Who, typename Work>
    auto look_at_processes(Who&& who, Work&& work);
    // Runs `work(engine, now)`, which does a slice of such reading and answers whether there is more, until there is not.
    // Only the first slice is done with the GIL. Others may have the lock in between, and move the time.
    template <typename Work>
    void look_in_slices(Work&& work);

    // The same for what ends what is due first, where there is no log: `work(engine, now, end_some)`. `end_some(budget)` is
    // the advance of an engine, its status checked; what it ends is settled with the quota afterwards, whatever comes. With a
    // log it ends nothing, and `now` lies before all that is staged.
    template <typename Work>
    void in_slices(Work&& work);
    // With a log: counts everything in slices, but for what is due.
    [[nodiscard]] std::unique_ptr<Survey> survey(Survey::What what);
    // Has the log end what is due, in at most so many records. Returns the number of grants.
    [[nodiscard]] std::size_t advance_on_record(std::size_t budget);
    // With a log: puts on record when it is, and does not wait. The mark's boot time is its instant less an offset.
    void put_mark(Mark mark, std::int64_t boot_offset_ms);
    // Changes notes, all or none, with the log if there is one. Pre: they are sound.
    void write_notes(const NoteChanges& changes);
    // With a log: ends these process records, each (pid, uid), one after the other. Pre: they are due.
    void end_due(const std::vector<std::pair<std::uint32_t, std::uint32_t>>& processes);

    // Carries out many requests, as one entry of the log: all are judged at one instant; then the hook is asked, and its
    // error refuses all; then they are carried out at one instant. Returns what has become of each.
    [[nodiscard]] std::vector<Result> change_many(const Requests& rows);
    // Runs `work(manager, now)` without the GIL, which makes changes that need neither hook nor log. Returns false, and
    // nothing has been done, when there is one of them.
    template <typename Work>
    bool change_directly(Work&& work);

    // Carries out what `admit(manager, now)` admits, with hook and log. Returns the mask; throws the refusal.
    // The look-up of what it is `about`, as far as that is known, begins before the clock is read. With a
    // `clause`, only the types that it leaves are changed; when it leaves none, nothing is, and the mask is 0.
    template <typename Admit>
    Mask change(About about, Admit&& admit, Clause* clause = nullptr);
    // The same for a plain call. Nearly all of them end here: it is what a call costs at least.
    template <bool is_apply>
    Mask change(const PlainCall& call);

    [[nodiscard]] bool has_log() const noexcept { return log_ != nullptr; }
    [[nodiscard]] bool has_quota() const noexcept { return hook_.is_set(); }
    [[nodiscard]] bool is_in_hook() const noexcept { return hook_.is_calling(); }  // this thread
    // Has something finished as soon as it can be; at once, if this thread is not in the hook.
    void postpone(std::shared_ptr<Unfinished> unfinished);

    // Under the lock.
    [[nodiscard]] Claims& claims() noexcept { return around_->claims; }
    [[nodiscard]] bool is_here() const noexcept { return home_.is_here(); }
    // Refusal in the child of a fork.
    void require_here() const;
    // Lets a refusal for want of room say which limit is reached.
    void name_limit(Refusal& refusal) noexcept;

    void set_policy(std::unique_ptr<Policy> policy, py::object quota);  // which may be None
    // Settles what is staged, within some seconds, and gives the memory back, but for the events that somebody has still to
    // read. Every later call is refused as not connected, but for this one and for reading those events. Refusal in the end
    // when the log has not taken what was changed. Returns whether the log is not called any more.
    bool close(std::uint64_t timeout_ms = close_ms);
    // Waits until all that is staged now has settled, that long at most, without looking at signals. Returns whether it has.
    [[nodiscard]] bool settle(std::uint64_t timeout_ms);
    // Waits until all that has been changed is in the log. False when the time is up; Refusal when the log has failed.
    [[nodiscard]] bool flush(std::uint64_t timeout_ms);
    // Whether what is changed gets into the log only afterwards, and whether the log takes no changes any more.
    [[nodiscard]] bool is_behind() const noexcept { return gate_->is_behind(); }
    [[nodiscard]] bool has_lost_log();
    // The group that has what has been changed so far, and whether the log has one by now. Of a closed manager too; of one
    // with a log that is not behind, or with none, whatever has been changed is there.
    [[nodiscard]] std::uint64_t last_group();
    [[nodiscard]] bool is_on_record(std::uint64_t group);
    // Under the lock: what a closed manager has left; null while it is open.
    [[nodiscard]] const Remains* remains() const noexcept { return remains_.get(); }
    // Under the lock. Pre: it is not closed; for the last one, has_log().
    [[nodiscard]] const Engine& engine() const noexcept { return gate_->manager()->engine(); }
    [[nodiscard]] std::uint64_t settled_sequence() const noexcept { return gate_->settled_sequence(); }
    [[nodiscard]] LogFigures log_figures() const noexcept { return gate_->log_figures(); }
    [[nodiscard]] const std::shared_ptr<Readers>& readers() const noexcept { return readers_; }

    // Under the lock: what wakes those who wait for this manager.
    [[nodiscard]] Waker& waker();
    // The same with an alarm. ValueError for a clock that cannot wake anybody.
    [[nodiscard]] Waker& waker_with_alarm();
    // The instant, if it can be had under the lock; no_deadline if Python would have to be asked.
    [[nodiscard]] Instant instant_without_asking() const noexcept {
        return clock_.is_python() ? no_deadline : clock_.read();
    }

    [[nodiscard]] const HashKey& hash_key() const noexcept { return key_; }
    [[nodiscard]] Tally& tally() noexcept { return around_->tally; }
    [[nodiscard]] const py::object& clock() const noexcept { return clock_.object(); }
    // For the garbage collector: the Python objects that are held, and letting go of them.
    int traverse(visitproc visit, void* arg) const;
    void forget();
    void forget(std::uint64_t timeout_ms);  // in which what is staged may settle

private:
    friend class Pipelined;  // many changes in a row

    // The uids whose app record lost CPU in a call.
    using Ended = std::vector<std::uint32_t>;

    // Whether neither hook nor log stands between admit and execute.
    [[nodiscard]] bool is_direct() const noexcept { return !has_quota() && log_ == nullptr; }
    [[nodiscard]] Manager& open() const {
        if (is_closed_) throw Refusal(Status::not_connected);
        return *gate_->manager();
    }
    [[nodiscard]] Session begin_asking();
    // Takes the lock again, without the GIL, at an instant or the latest one.
    [[nodiscard]] Session go_on(Instant now);
    // The same session at the instant at which it may read, once a group has settled.
    [[nodiscard]] Session reading(Session begun, std::uint64_t group);
    [[nodiscard]] Session begin_reading_all();
    // Runs `work(manager, now)` under the lock of a session, without the GIL; the lock goes with it.
    template <typename Work>
    static auto unlocked_by(Session begun, Work&& work);
    // Executes under the lock of a session; without the GIL, and taking the lock, what may take long.
    static Result execute(Session& session, const Admission& admission, Clause* clause, Ended* ended = nullptr);
    // Goes on with a change that was judged.
    [[nodiscard]] Mask change(Session& session, Admission& admission, Clause* clause);
    // Carries out what was admitted, or has the log do so, and settles with the quota.
    [[nodiscard]] Mask carry_out(Session& session, const Admission& admission, Clause* clause);
    [[nodiscard]] Mask carry_out_on_record(Session& session, const Admission& admission, Clause* clause);
    [[nodiscard]] Mask ask_and_carry_out(Admission& admission, Clause* clause);
    void carry_out(Batch& batch);
    void finish(const Staged& staged, std::span<Result> results);
    // Looks for what is due, and has the log end some of it, at `now`; nothing when nothing is.
    [[nodiscard]] std::optional<Staged> stage_advance(std::size_t budget, Instant& now);
    // Leaves the types to an admission that its clause does. False when there are none.
    [[nodiscard]] static bool keep(Admission& admission, Clause* clause, const Session& session);

    // Whether a change is waited for, under the lock.
    [[nodiscard]] bool may_wait(const Clause* clause) const noexcept;
    // Waits until a group has settled, without lock and GIL. Throws what a signal handler raises, and Refusal when the
    // interpreter goes down and nobody is left to do it. Pre: this is no call of the log.
    void wait(std::uint64_t group);
    // Waits for a ticket, and takes what has become of it. If the waiting is cut off it settles all the same.
    [[nodiscard]] Answer await(Ticket ticket, std::span<Result> rows = {});
    void abandon(Ticket ticket);
    // What a status of the gate is raised as: with what the log has raised, if that is the reason. The end of a log is logged.
    [[nodiscard]] Refusal refusal(Status status);
    [[nodiscard]] std::uint64_t count_lost();  // changes of the closed gate that its log has not taken

    // Does the work, and then what was put off meanwhile because of it, however it ends.
    template <typename Work>
    auto and_unfinished(Work&& work);
    void finish_postponed();
    [[nodiscard]] bool has_agreed(const Command& command, Clause* clause);
    [[nodiscard]] bool ask_quota(const Command& command) const;
    void ask_quota(Batch& batch) const;
    // Tells the hook of those, and of those that the log has ended.
    void settle(const Ended& ended) { settle(hook_.object(), ended); }
    void settle(const py::object& quota, const Ended& ended);
    void settle_logged();
    // Room for what `note_ended` will note after so many calls: a change that is carried out can fail no more.
    static void make_room(const Manager& manager, Ended& ended, std::size_t calls = 1) {
        ended.reserve(ended.size() + manager.engine().most_owners(rules.levelled) + calls);
    }
    static void note_ended(Manager& manager, Ended& ended) {
        const auto uids = manager.engine().cpu_ended();
        ended.insert(ended.end(), uids.begin(), uids.end());
    }

    [[nodiscard]] Session session(Guard lock, Instant now);
    [[gnu::noinline]] void tell_waker() noexcept;  // that a call has changed something, or the instant
    // Closes the gate. False when its log has not answered by then, or when this is a call of the log.
    [[nodiscard]] bool close_gate(std::uint64_t timeout_ms) noexcept;

    // As they were made:
    Home home_;
    const HashKey key_;
    std::unique_ptr<GivenLog> log_;  // null when there is none
    ClockReader clock_;              // which outlives the alarms that it has made
    std::unique_ptr<Around> around_;
    std::unique_ptr<Gate> gate_;
    std::shared_ptr<Readers> readers_ = std::make_shared<Readers>();
    // Under the lock:
    bool is_closed_ = false;
    std::unique_ptr<Remains> remains_;  // null before
    // With the GIL:
    Hook hook_;  // replaced together with the policy, under the lock
};

inline void Shell::require_here() const {
    if (home_.is_here()) return;
    throw Refusal(Status::not_connected, "A manager does not survive a fork: the child makes one of its own.");
}

[[gnu::always_inline]] inline Shell::Guard::Guard(Shell& shell, Gil gil) : shell_(&shell) {
    shell.require_here();
    if (!shell.gate_->try_lock()) wait_for(*shell.gate_, gil);
}

inline Shell::Guard::~Guard() {
    if (shell_ == nullptr) return;
    if (shell_->around_->waker) shell_->tell_waker();
    shell_->gate_->unlock();
}

inline Shell::Locked Shell::lock() {
    Guard lock(*this);
    return {std::move(lock), open()};
}

// Reads the clock under the lock, so that no call comes with an earlier instant than the one before it.
[[gnu::always_inline]] inline Shell::Session Shell::begin(About about) {
    if (clock_.is_python()) return begin_asking();
    Guard lock(*this);
    Manager& manager = open();
    if (about.uid >= 0) manager.engine().prefetch_at_once(static_cast<std::uint32_t>(about.uid), about.types);
    const Instant now = clock_.read();
    check(gate_->enter(now));
    return {std::move(lock), manager, now};
}

inline Shell::Session Shell::session(Guard lock, Instant now) {
    Manager& manager = open();
    check(gate_->enter(now));
    return {std::move(lock), manager, now};
}

inline Shell::Session Shell::begin_reading(Owner owner, Owner also) {
    Session begun = begin({owner.kind == OwnerKind::app ? std::int64_t{owner.key} : -1});
    if (log_ == nullptr) return begun;
    const std::uint64_t group = std::max(gate_->group_about(owner), gate_->group_about(also));
    return reading(std::move(begun), group);
}

inline Shell::Session Shell::begin_reading_all() {
    Session begun = begin();
    if (log_ == nullptr) return begun;
    const std::uint64_t group = gate_->last_group();
    return reading(std::move(begun), group);
}

// An error that is none of Python's or ours goes through: a thread that is being ended has no right to run Python.
template <typename Work>
auto Shell::and_unfinished(Work&& work) {
    try {
        auto answer = work();
        finish_postponed();
        return answer;
    } catch (const Refusal&) {
        finish_postponed();
        throw;
    } catch (const std::exception&) {
        finish_postponed();
        throw;
    }
}

template <typename Work>
auto Shell::look(Work&& work) {
    return unlocked_by(begin_reading_all(),
                       [&](const Manager& manager, Instant now) { return work(manager.engine(), now); });
}

template <typename Work>
auto Shell::unlocked_by(Session begun, Work&& work) {
    return without_gil([&] {
        const Session session = std::move(begun);  // goes at once: nobody waits for the GIL with the lock
        return work(session.manager, session.now);
    });
}

template <typename Who, typename Work>
auto Shell::look_at_processes(Who&& who, Work&& work) {
    Session begun = begin();
    const std::uint32_t uid = who(std::as_const(begun.manager), begun.now);
    const std::uint64_t group = log_ == nullptr ? 0 : gate_->group_about({OwnerKind::app, uid});
    Session session = log_ == nullptr ? std::move(begun) : reading(std::move(begun), group);
    const auto read = [&](const Manager& manager, Instant now) { return work(manager.engine(), uid, now); };
    if (session.manager.engine().record_count(OwnerKind::process) <= slice) return read(session.manager, session.now);
    return unlocked_by(std::move(session), read);
}

template <typename Work>
void Shell::look_in_slices(Work&& work) {
    in_slices([&](const Engine& engine, Instant now, auto&&) { return work(engine, now); });
}

template <typename Work>
void Shell::in_slices(Work&& work) {
    const py::object quota = hook_.object();  // which may go, or be replaced, in the middle of it
    const bool has_quota = quota && log_ == nullptr;
    Ended ended;
    Instant now = 0;
    const auto has_more = [&](const Session& session) {
        now = session.now;
        Manager& manager = session.manager;
        if (has_quota) make_room(manager, ended);
        const auto end_some = [&](std::size_t budget) {
            if (log_ != nullptr) return AdvanceResult{};
            const AdvanceResult result = manager.engine().advance(now, budget);
            check(result.status);
            if (has_quota) note_ended(manager, ended);
            return result;
        };
        return work(manager.engine(), now, end_some);
    };
    try {
        if (has_more(begin_reading_all())) {
            without_gil([&] {
                do gate_->let_others();
                while (has_more(go_on(now)));
                return true;
            });
        }
    } catch (...) {
        settle(quota, ended);
        throw;
    }
    settle(quota, ended);
}

template <typename Work>
bool Shell::change_directly(Work&& work) {
    if (!is_direct()) return false;
    Session session = begin();
    if (!is_direct()) return false;  // since it has waited for the lock
    return unlocked_by(std::move(session), work);
}

template <typename Admit>
Mask Shell::change(About about, Admit&& admit, Clause* clause) {
    Session session = begin(about);
    Admission admission = admit(session.manager, session.now);
    return change(session, admission, clause);
}

template <bool is_apply>
Mask Shell::change(const PlainCall& call) {
    Session session = begin({call.uid, static_cast<Mask>(call.mask)});
    PlainJudge judge(session.manager, is_apply);
    const Admission& judged = judge.judge(call);
    if (is_about_field(judged.status)) refuse_field(judged.status, call, is_apply);
    if (is_direct() && (is_apply || !may_reach(session.manager.engine(), judged.command, slice))) {
        return mask_or_throw(session.manager.execute(judged, session.now));
    }
    Admission admission = judged;
    return change(session, admission, nullptr);
}

}  // namespace grantwheel::bindings
