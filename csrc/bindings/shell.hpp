// The shell around one manager: its lock, its clock, the quota hook and the recorder. Python's `_core.Manager`.
//
// Lock     One mutex per manager, held over core calls only and never while Python runs. Whoever has to wait for it lets
//          go of the GIL first. What may take long is done without the GIL, and as far as it can be cut, in slices that
//          let others have the lock in between.
// Hook     Asked between admit and execute and told of ended CPU afterwards, without any lock. It may call the manager.
// Record   With a recorder all calls that can move time or change anything take turns, so that a replay of the record
//          meets the same instants in the same order. The recorder itself may only read single records.
// Waker    Made when somebody is first to be woken. Hears of every call before its lock is let go.
// Fork     In the child every call is refused as not connected.
#pragma once

#include <pybind11/pybind11.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "bindings/batch.hpp"
#include "bindings/claims.hpp"
#include "bindings/clause.hpp"
#include "bindings/clocks.hpp"
#include "bindings/errors.hpp"
#include "bindings/gil.hpp"
#include "grantwheel/manager.hpp"
#include "grantwheel/polite_mutex.hpp"
#include "host/cursor.hpp"
#include "host/home.hpp"
#include "host/owned_events.hpp"
#include "host/tally.hpp"
#include "host/waker.hpp"

namespace grantwheel::bindings {

// Which types of which app a call touches first; a negative uid stands for nobody.
struct About {
    std::int64_t uid = -1;
    Mask types = 0;
};

class Shell {
public:
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
    // Thrown when it is another thread's turn, and its end may not be waited for.
    struct Busy {};
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

    // Refusal when memory is not to be had; ValueError for a limit out of range.
    Shell(py::object clock, const Limits& limits, py::object recorder, const HashKey& key);
    ~Shell();

    // Takes the lock. Refusal when closed. For what has nothing to do with time.
    [[nodiscard]] Locked lock();

    // Takes the lock and the instant. Refusal when closed, or when the clock has run backwards. For what reads single
    // records only. What is kept of what it is `about` is asked for before the clock is read.
    [[nodiscard]] Session begin(About about = {});

    // Runs `work(manager, now)` without the GIL, for what reads single records.
    template <typename Work>
    auto look(Work&& work);
    // The same for what reads the processes of one uid: with the GIL, when there are few processes in all.
    template <typename Work>
    auto look_at_processes(Work&& work);
    // Runs `work(manager, now)`, which does a slice of such reading and answers whether there is more, until there is not.
    // Only the first slice is done with the GIL. Others may have the lock in between, and move the time.
    template <typename Work>
    void look_in_slices(Work&& work);

    // The same for what reads across records or ends what is due: `work(manager, now, end_some)`. `end_some(budget)` is the
    // advance of an engine, its status checked; what it ends is settled with the quota afterwards, whatever comes.
    template <typename Work>
    void in_slices(Work&& work);

    // Runs `work(manager, now)` without the GIL, which makes changes that need neither hook nor recorder. Returns false,
    // and nothing has been done, when there is one of them.
    template <typename Work>
    bool change_directly(Work&& work);
    // Carries out what `admit(manager, now, i)` admits for i = 0..count-1: all are judged at one instant; then the hook
    // is asked, and its error refuses all; then they are put on record, and carried out at one instant. Afterwards
    // `answer(i, result)` is called for each.
    template <typename Admit, typename Answer>
    void change_many(std::size_t count, Admit&& admit, Answer&& answer);

    // Carries out what `admit(manager, now)` admits, with hook and recorder. Returns the mask; throws the refusal.
    // The look-up of what it is `about`, as far as that is known, begins before the clock is read. With a
    // `clause`, only the types that it leaves are changed; when it leaves none, nothing is, and the mask is 0.
    template <typename Admit>
    Mask change(About about, Admit&& admit, Clause* clause = nullptr);

    // Whether neither hook nor recorder stands between admit and execute.
    [[nodiscard]] bool is_direct() const noexcept { return !quota_ && !recorder_; }

    [[nodiscard]] bool has_quota() const noexcept { return static_cast<bool>(quota_); }
    // Whether this thread is in a call of the hook, and whether it is in one of the recorder.
    [[nodiscard]] bool is_in_hook() const noexcept;
    [[nodiscard]] bool is_in_turn() const noexcept { return turn_holder_ == std::this_thread::get_id(); }
    // Has something finished as soon as it can be; at once, if this thread is in neither and it is nobody's turn.
    void postpone(std::shared_ptr<Unfinished> unfinished);

    // Under the lock: what is held for the time of a block.
    [[nodiscard]] Claims& claims() noexcept { return *claims_; }

    [[nodiscard]] bool is_here() const noexcept { return home_.is_here(); }
    // Refusal in the child of a fork.
    void require_here() const;
    // Lets a refusal for want of room say which limit is reached, as far as that shows now.
    void name_limit(Refusal& refusal) noexcept;

    // `quota` may be None.
    void set_policy(std::unique_ptr<Policy> policy, py::object quota);
    // Gives the memory back, but for the events that somebody has still to read. Every later call is refused as not
    // connected, but for this one and for reading those events.
    void close();
    // Under the lock: what a closed manager has left; null while it is open.
    [[nodiscard]] const Remains* remains() const noexcept { return remains_.get(); }
    // Under the lock. Pre: it is not closed.
    [[nodiscard]] const Engine& engine() const noexcept { return manager_->engine(); }
    [[nodiscard]] const std::shared_ptr<Readers>& readers() const noexcept { return readers_; }

    // Under the lock: what wakes those who wait for this manager.
    [[nodiscard]] Waker& waker();
    // The same with an alarm. ValueError for a clock that cannot wake anybody.
    [[nodiscard]] Waker& waker_with_alarm();
    // The instant, if it can be had under the lock; no_deadline if Python would have to be asked.
    [[nodiscard]] Instant instant_without_asking() const noexcept {
        return clock_.is_python() ? no_deadline : clock_.read();
    }

    // What the hashes of the manager are keyed with.
    [[nodiscard]] const HashKey& hash_key() const noexcept { return key_; }
    [[nodiscard]] Tally& tally() noexcept { return tally_; }
    [[nodiscard]] const py::object& clock() const noexcept { return clock_.object(); }
    // For the garbage collector: the Python objects that are held, and letting go of them.
    int traverse(visitproc visit, void* arg) const;
    void forget();

private:
    // One call at a time where there is a recorder; nothing otherwise.
    class Turn {
    public:
        // Busy when it would have to wait and may not.
        explicit Turn(Shell& shell, bool may_wait = true);
        ~Turn();
        Turn(const Turn&) = delete;
        Turn& operator=(const Turn&) = delete;

    private:
        Shell* shell_;
    };

    // While it lives this thread is in a call of the hook.
    class InHook {
    public:
        explicit InHook(const Shell& shell);
        ~InHook();
        InHook(const InHook&) = delete;
        InHook& operator=(const InHook&) = delete;

    private:
        const Shell& shell_;
    };

    // The uids whose app record lost CPU in a call.
    using Ended = std::vector<std::uint32_t>;

    [[nodiscard]] Manager& open() const {
        if (manager_ == nullptr) throw Refusal(Status::not_connected);
        return *manager_;
    }
    [[nodiscard]] Session begin_asking();
    // Takes the lock again, without the GIL, at an instant or the latest one.
    [[nodiscard]] Session go_on(Instant now);
    // Runs `work(manager, now)` under the lock of a session, without the GIL; the lock goes with it.
    template <typename Work>
    static auto unlocked_by(Session begun, Work&& work);
    // Executes under the lock of a session; without the GIL, and taking the lock, what may take long.
    static Result execute(Session& session, const Admission& admission, Clause* clause, Ended* ended = nullptr);
    // Whether a command may go to more than a slice of records.
    [[nodiscard]] static bool is_long(const Engine& engine, const Command& command) noexcept;
    [[nodiscard]] Mask change_in_steps(Admission admission, Clause* clause);
    void change_in_steps(Batch& batch);
    [[nodiscard]] Result carry_out(Admission& admission, Clause* clause, Ended& ended);
    [[nodiscard]] Result carry_out_on_record(Admission& admission, Clause* clause, Ended& ended);
    // Leaves the types to an admission that its clause does. False when there are none.
    [[nodiscard]] static bool keep(Admission& admission, Clause* clause, const Session& session);
    // Does the work, and then what was put off meanwhile because of it, however it ends.
    template <typename Work>
    auto and_unfinished(Work&& work);
    void finish_postponed();
    [[nodiscard]] bool has_agreed(const Command& command, Clause* clause);
    [[nodiscard]] bool ask_quota(const Command& command) const;
    void ask_quota(Batch& batch) const;
    void record(const Command& command, Instant now) const;
    void record(Batch& batch, Instant now) const;
    void settle(const Ended& ended) { settle(py::object(quota_), ended); }
    void settle(const py::object& quota, const Ended& ended);
    // Room for what `note_ended` will note after so many calls: a change that is carried out can fail no more.
    static void make_room(const Manager& manager, Ended& ended, std::size_t calls = 1) {
        ended.reserve(ended.size() + manager.engine().most_owners(rules.levelled) + calls);
    }
    static void note_ended(Manager& manager, Ended& ended) {
        const auto uids = manager.engine().cpu_ended();
        ended.insert(ended.end(), uids.begin(), uids.end());
    }

    [[nodiscard]] Session session(Guard lock, Instant now);

    Home home_;
    PoliteMutex mutex_;
    const HashKey key_;
    std::unique_ptr<Manager> manager_;  // null once closed
    std::unique_ptr<Remains> remains_;  // null before
    std::shared_ptr<Readers> readers_ = std::make_shared<Readers>();
    Instant latest_ = 0;  // of all calls, those included that only read
    ClockReader clock_;
    py::object quota_;     // null when there is none
    py::object recorder_;  // null when there is none
    PoliteMutex turn_;
    std::atomic<std::thread::id> turn_holder_{};
    mutable std::vector<std::thread::id> in_hook_;        // with the GIL
    std::vector<std::shared_ptr<Unfinished>> postponed_;  // with the GIL
    std::unique_ptr<Claims> claims_ = std::make_unique<Claims>();
    Tally tally_;
    std::unique_ptr<Waker> waker_;  // null until it is needed; goes before the clock
};

// Does the work of one call of Python's, and counts its refusal.
template <typename Work>
auto counted(Shell& shell, Work&& work) {
    try {
        return work();
    } catch (Refusal& refusal) {
        shell.tally().refusals.note(refusal.status());
        if (refusal.status() == Status::out_of_memory) shell.name_limit(refusal);
        throw;
    }
}

template <auto function>
struct Counting;
template <typename Result, typename... Arguments, Result (*function)(Shell&, Arguments...)>
struct Counting<function> {
    static Result call(Shell& shell, Arguments... arguments) {
        return counted(shell, [&] { return function(shell, arguments...); });
    }
};
// A function that pybind11 binds, with its refusals counted.
template <auto function>
inline constexpr auto counting = &Counting<function>::call;

inline Mask mask_or_throw(const Result& result) {
    check(result.status);
    return result.mask;
}

inline void Shell::require_here() const {
    if (home_.is_here()) return;
    throw Refusal(Status::not_connected, "A manager does not survive a fork: the child makes one of its own.");
}

inline Shell::Guard::Guard(Shell& shell, Gil gil) : shell_(&shell) {
    shell.require_here();
    if (!shell.mutex_.try_lock()) wait_for(shell.mutex_, gil);
}

inline Shell::Guard::~Guard() {
    if (shell_ == nullptr) return;
    if (shell_->waker_ && shell_->manager_) shell_->waker_->update(shell_->manager_->engine(), shell_->latest_);
    shell_->mutex_.unlock();
}

inline Shell::Locked Shell::lock() {
    Guard lock(*this);
    return {std::move(lock), open()};
}

// Reads the clock under the lock, so that no call comes with an earlier instant than the one before it.
inline Shell::Session Shell::begin(About about) {
    if (clock_.is_python()) return begin_asking();
    Guard lock(*this);
    const Engine& engine = open().engine();
    if (about.uid >= 0) engine.prefetch_at_once(static_cast<std::uint32_t>(about.uid), about.types);
    return session(std::move(lock), clock_.read());
}

inline Shell::Session Shell::session(Guard lock, Instant now) {
    Manager& manager = open();
    if (now < latest_) throw Refusal(Status::time_backwards);
    latest_ = now;
    return {std::move(lock), manager, now};
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
    return unlocked_by(begin(), work);
}

template <typename Work>
auto Shell::unlocked_by(Session begun, Work&& work) {
    return without_gil([&] {
        const Session session = std::move(begun);  // goes at once: nobody waits for the GIL with the lock
        return work(session.manager, session.now);
    });
}

template <typename Work>
auto Shell::look_at_processes(Work&& work) {
    Session session = begin();
    if (session.manager.engine().record_count(OwnerKind::process) <= slice) return work(session.manager, session.now);
    return unlocked_by(std::move(session), work);
}

template <typename Work>
void Shell::look_in_slices(Work&& work) {
    Instant now = 0;
    const auto has_more = [&](const Session& session) {
        now = session.now;
        return work(session.manager, now);
    };
    if (!has_more(begin())) return;
    without_gil([&] {
        do mutex_.let_others();
        while (has_more(go_on(now)));
        return true;
    });
}

template <typename Work>
void Shell::in_slices(Work&& work) {
    const py::object quota = quota_;  // which may go, or be replaced, in the middle of it
    Ended ended;
    try {
        and_unfinished([&] {
            const Turn turn(*this);
            look_in_slices([&](Manager& manager, Instant now) {
                if (quota) make_room(manager, ended);
                const auto end_some = [&](std::size_t budget) {
                    const AdvanceResult result = manager.engine().advance(now, budget);
                    check(result.status);
                    if (quota) note_ended(manager, ended);
                    return result;
                };
                return work(manager, now, end_some);
            });
            return true;
        });
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

template <typename Admit, typename Answer>
void Shell::change_many(std::size_t count, Admit&& admit, Answer&& answer) {
    Batch batch(count);
    look([&](const Manager& manager, Instant now) {
        check(manager.engine().check_time(now));
        for (std::size_t i = 0; i < count; ++i) batch.add(admit(manager, now, i));
        return true;
    });
    change_in_steps(batch);
    for (std::size_t i = 0; i < count; ++i) answer(i, batch.result(i));
}

template <typename Admit>
Mask Shell::change(About about, Admit&& admit, Clause* clause) {
    if (is_direct()) {
        Session session = begin(about);
        if (is_direct()) {  // still, should it have waited for the lock
            Admission admission = admit(session.manager, session.now);
            if (clause != nullptr && !keep(admission, clause, session)) return 0;
            return mask_or_throw(execute(session, admission, clause));
        }
    }
    std::string bundle;
    Admission admission;
    {
        const Session session = begin();
        admission = admit(session.manager, session.now);
        check(admission.status);
        if (!keep(admission, clause, session)) return 0;
        bundle = admission.command.bundle;  // it may lie in a policy that is replaced before the command is executed
        admission.command.bundle = bundle;
    }
    return change_in_steps(std::move(admission), clause);
}

}  // namespace grantwheel::bindings
