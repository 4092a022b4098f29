// What many threads need around one manager: its lock, its clock, and, where there is a log, group commit. Thread-safe; what
// is called under its lock says so.
//
// No log   The lock and nothing else: who has it calls the manager.
// Log      What changes the manager is staged under the lock, in the group that is open. A group is put into the log by one
//          `append`, without the lock, while the next one fills; then its ops are executed in their order, at their instants,
//          and answered. So what is not in the log has never been, and no reader sees what could be taken away. Who waits
//          first does that for all, or a thread of the gate's own.
// Behind   The same with ops that are executed and answered at once, under the lock, and appended by the gate's own thread
//          a little later. When that fails memory is right and the log behind: changes are refused, reads go on, and it is
//          tried again, with pauses of up to a second, until all that is due to the log is there.
// Events   May be shown as far as settled_sequence(): what caused them is in the log.
// Time     Each call, a read too, enters at an instant, which may repeat and not run backwards. So nothing is staged before
//          an instant that a reader has seen.
// Reads    What has nothing staged about it is read at once, also while the log stalls. All else is read at the instant of
//          the first op that is not executed: a consistent cut, not before the instant at which the reader came.
// Errors   transaction_failed: not in the log, nothing has changed. not_connected: closed; when a ticket is answered so,
//          the gate was closed before it could learn from the log whether the op is there. Nothing throws.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "grantwheel/log.hpp"
#include "grantwheel/macros.hpp"
#include "grantwheel/manager.hpp"
#include "grantwheel/notes.hpp"
#include "grantwheel/polite_mutex.hpp"
#include "grantwheel/recovery.hpp"
#include "grantwheel/types.hpp"

namespace grantwheel {

// What a gate reads under its lock when no instant is handed in.
struct GateClock {
    Instant (*read)(void* context) noexcept = nullptr;
    void* context = nullptr;
};

// Hears, under the lock and on whatever thread has it, that ops of a log have been executed, or appended: events may wait,
// which may be shown as far as `settled`, and the next deadline be another. It may not call the gate.
class GateObserver {
public:
    virtual void executed(const Engine& engine, Instant latest, std::uint64_t settled) noexcept = 0;

protected:
    ~GateObserver() = default;
};

// Hears, the same way and once, what has become of one op that was staged with it.
class Watcher {
public:
    // It is about to be executed. Not called when it is refused before.
    virtual void executing(const Engine&, const Command&, Instant) noexcept {}
    virtual void settled(const Result& result) noexcept = 0;

protected:
    ~Watcher() = default;
};

struct GateOptions {
    Log* log = nullptr;          // which outlives the gate; null: none
    std::uint64_t position = 0;  // how many groups the log has
    bool own_thread = false;     // a thread of the gate's own calls the log, and no other
    // Ops are executed at once, and appended behind it by a thread of the gate's own: all that there are then, so long after
    // the first of them at most, if the log is not busy. It means nothing where the log is immediate.
    bool is_behind = false;
    std::uint32_t max_delay_ms = 10;
    // Of the group that is open; of all that is not in the log, where that is behind.
    std::size_t max_group_bytes = std::size_t{64} << 20;
    GateClock clock{};
    GateObserver* observer = nullptr;  // which outlives the gate
};

// Stands for what was staged, until it is taken or abandoned.
struct Ticket {
    std::uint64_t group = 0;
    std::uint32_t place = 0;
};

// What has become of what was staged.
struct [[nodiscard]] Answer {
    Status status = Status::ok;
    Mask mask = 0;              // of a command
    std::size_t ended = 0;      // of an advance: grants,
    std::size_t records = 0;    // the records that lost them,
    bool more = false;          // whether more is due at its instant,
    Instant due = no_deadline;  // and the earliest of the deadlines that had come
};

// How a log fares: whether it takes changes,
enum class LogState : std::uint8_t {
    open,
    behind,     // not until it has what is due to it: an append has failed, and is tried again
    uncertain,  // not while it does not say where it stands
    broken,     // never again: it is somebody else's, or not what the manager is
};

// and what has become of the groups since the gate was made.
struct LogFigures {
    static constexpr std::size_t steps = 16;

    LogState state = LogState::open;
    std::uint64_t position = 0;       // as far as it is known
    std::uint64_t groups = 0;         // that were appended,
    std::uint64_t ops = 0;            // what was in them,
    std::uint64_t bytes = 0;          // and
    std::uint64_t largest_bytes = 0;  // of the largest one
    std::uint64_t failures = 0;       // appends that came to nothing
    std::uint64_t waiting_ops = 0;    // what is not in the log yet, or never will be: it is broken
    std::uint64_t waiting_bytes = 0;
    std::uint64_t waiting_changes = 0;  // of these ops those that are no marks and no advances
    // How long appends took that came to something; nothing of an immediate log.
    std::uint64_t append_us = 0;                       // all together,
    std::uint64_t most_us = 0;                         // the longest,
    std::array<std::uint64_t, steps> append_counts{};  // below 64 us, below 128 us, ...; the last: all others

    void note_append(std::uint64_t us) noexcept;
};

// A flush that has begun: what it waits for.
struct Flush {
    std::uint64_t group = 0;
    std::uint64_t failures = 0;
};
enum class Flushed : std::uint8_t { all, not_yet, failed };

// What staging answered. With status ok a ticket; or, where the log is immediate or behind, the answer itself, and no
// ticket.
struct [[nodiscard]] Staged {
    Status status = Status::ok;
    Ticket ticket{};
    Answer answer{};

    [[nodiscard]] bool is_answered() const noexcept { return status == Status::ok && ticket.group == 0; }
};

class Gate {
public:
    static constexpr std::uint64_t forever = UINT64_MAX;

    // Null when there is no memory, or no thread to be had; then the manager is the caller's still.
    [[nodiscard]] static std::unique_ptr<Gate> create(std::unique_ptr<Manager>&& manager,
                                                      const GateOptions& options = {}) noexcept;
    // Closes: what the log has not been given is refused, and for what it has been given is waited. Pre: nobody else is in
    // a call.
    ~Gate();
    Gate(const Gate&) = delete;
    Gate& operator=(const Gate&) = delete;

    // The lock.
    [[nodiscard]] bool try_lock() noexcept { return mutex_.try_lock(); }
    void lock() noexcept { mutex_.lock(); }
    void unlock() noexcept { mutex_.unlock(); }
    // Lets those have the lock who wait for it now. Without it.
    void let_others() const noexcept { mutex_.let_others(); }

    // Whole calls, which take the lock. ----------------------------------------------------------------------------------

    // Carries out what `admit(const Manager&, Instant now)` admits, at the clock's instant or that one, and waits for it.
    // For managers without a quota: with one, the hook stands between admitting and staging.
    template <typename Admit>
    Answer change(Admit&& admit) noexcept;
    template <typename Admit>
    Answer change_at(Instant now, Admit&& admit) noexcept;

    // Calls `work(const Engine&, Instant at)` under the lock for what reads one owner: its record, or, of an app, its
    // processes too. `work` is not called when the answer is not ok.
    template <typename Work>
    Status read(Owner owner, Work&& work) noexcept;
    // The same for what reads across records, with calls that leave out what is due and end nothing.
    template <typename Work>
    Status read_all(Work&& work) noexcept;

    // Changes notes, all or none, at the clock's instant, and waits for it. Errors of Engine::write_notes and of `stage`.
    Answer write_notes(const NoteChanges& changes) noexcept;

    // Ends what is due, in at most that many records. With a log by one op for each `advance_slice`, and none when nothing
    // is due.
    Answer advance(std::uint64_t budget = UINT64_MAX) noexcept;

    // Waits until all that is staged now has settled, and, where the log is behind, until all is in it that has been
    // changed: that is appended at once. False when the time is up, or when an append has failed meanwhile.
    bool flush(std::uint64_t timeout_ms = forever) noexcept;

    // Takes no more changes. What is staged has that long to settle; what the log has not been given by then is refused as
    // not_connected. A log that is behind is given the rest once more; what it does not take then is lost, and waits
    // for ever in log_figures().
    //
    // Returns  transaction_failed when the log has still not answered: then again, to wait for it.
    Status close(std::uint64_t timeout_ms = forever) noexcept;

    // Waiting, without the lock. -----------------------------------------------------------------------------------------

    // Waits until a group has settled, and may do its work for all on this thread. False when the time is up, or when it is
    // called by the log.
    [[nodiscard]] bool wait(std::uint64_t group, std::uint64_t timeout_ms = forever) noexcept;
    // Waits for a ticket and takes its answer; in_callback, and the ticket is abandoned, when it is called by the log.
    Answer await(Ticket ticket) noexcept;
    // Whether this thread is in a call of the log. It may stage, and must not wait.
    [[nodiscard]] bool is_in_log() const noexcept;
    // Waits for a flush that has begun: `failed` when an append has failed since, or the log is broken.
    Flushed finish(const Flush& flush, std::uint64_t timeout_ms = forever) noexcept;

    // Under the lock. ----------------------------------------------------------------------------------------------------

    // Null once it was taken.
    [[nodiscard]] Manager* manager() noexcept { return manager_.get(); }
    // What a closed gate has left, unless the log still owes an answer; null then. Reads are refused from then on.
    [[nodiscard]] std::unique_ptr<Manager> take_manager() noexcept;
    [[nodiscard]] bool has_log() const noexcept { return parts_ != nullptr; }
    [[nodiscard]] bool is_closed() const noexcept { return closed_; }
    // Whether changes are answered at once: there is no log, or it is immediate or behind.
    [[nodiscard]] bool answers_at_once() const noexcept;
    // Whether the log is behind: what it was asked for, unless it is immediate.
    [[nodiscard]] bool is_behind() const noexcept;

    // The last event that may be shown. Pre: manager() is not null.
    [[nodiscard]] std::uint64_t settled_sequence() const noexcept {
        return parts_ == nullptr ? manager_->engine().last_sequence() : last_settled();
    }
    // Pre: has_log().
    [[nodiscard]] LogFigures log_figures() const noexcept;
    // Begins a flush, in the way that `flush` does.
    [[nodiscard]] Flush begin_flush() noexcept;

    // A call begins, at this instant or the clock's. time_backwards, time_out_of_range, or not_connected without a manager.
    [[nodiscard]] Status enter(Instant now) noexcept;
    [[nodiscard]] Status enter() noexcept;
    // The instant of the last call that did.
    [[nodiscard]] Instant latest() const noexcept { return latest_; }

    // Stages what was admitted, now or earlier, at the instant latest(). The answer to a ticket comes with the group. A
    // watcher, which lives until then, is told first.
    //
    // Pre      has_log().
    // Errors   The admission's own. not_connected when closed; transaction_failed while the log does not say where it
    //          stands or has not what is due to it, and for good after a conflict; out_of_memory when the open group is
    //          full.
    Staged stage(const Admission& admission, Watcher* watcher = nullptr) noexcept;
    // The same for many, all of them applies or all releases, of apps and timed, without reason, cpu level and renewal, as one
    // op. Those that were refused are left out, and those that are not so answer request_invalid.
    Staged stage_many(std::span<const Admission> rows, bool is_apply) noexcept;
    // The same for many that are admitted now.
    Staged stage_many(const Requests& rows) noexcept;
    // The same for the end of what is due at latest(), in at most that many records.
    Staged stage_advance(std::uint64_t records) noexcept;
    // The same for a mark, whose instant is latest(), whatever it says. time_out_of_range for a time since the boot beyond 2^62.
    Staged stage_mark(const Mark& mark) noexcept;
    // The same for a write of notes. argument_invalid for changes that are not sound.
    Staged stage_notes(const NoteChanges& changes) noexcept;
    // The same for nothing at all: settles when all before it has. For reads that are answered by a ticket.
    Staged stage_wait() noexcept;

    // Waits for a ticket as `await` does, without the lock meanwhile.
    Answer await_locked(Ticket ticket) noexcept;
    // Takes the answer of a ticket; false when it has none yet. `rows` gets those of stage_many, as many as it has room for.
    [[nodiscard]] bool take(Ticket ticket, Answer& answer, std::span<Result> rows = {}) noexcept;
    // Nobody will take it: it settles all the same.
    void abandon(Ticket ticket) noexcept;

    // The group that a read of this owner, and of the processes of an app, has to wait for; and that one across records
    // has to. Settled already, or 0, when it need not wait.
    [[nodiscard]] std::uint64_t group_about(Owner owner) const noexcept {
        return parts_ == nullptr ? 0 : staged_about(owner);
    }
    [[nodiscard]] std::uint64_t last_group() const noexcept { return parts_ == nullptr ? 0 : last_staged(); }
    [[nodiscard]] bool has_settled(std::uint64_t group) const noexcept { return parts_ == nullptr || is_over(group); }
    // Once that has settled: the instant of a read that entered at this one, whatever has been staged meanwhile.
    [[nodiscard]] Instant read_instant(Instant entered) const noexcept {
        return parts_ == nullptr ? entered : cut(entered);
    }

    // Looks for what is due before the first op that is not executed, at that many records at most, and ends nothing.
    //
    // Pre      has_log(). To be called again while `more`.
    Looked look(std::size_t budget) noexcept;

    // Takes the uids whose app record lost CPU in what has settled, as many as fit. Only where the policy has a quota.
    std::size_t take_cpu_ended(std::span<std::uint32_t> out) noexcept;

    // A descriptor that is readable once a group has settled, until clear(). -1 when there is none to be had.
    [[nodiscard]] int descriptor() noexcept;
    void clear() noexcept;

    struct Parts;

    // So many records are ended by one op.
    static constexpr std::uint64_t advance_slice = 65'536;

private:
    explicit Gate(const GateOptions& options) noexcept;
    template <typename Admit>
    Answer change_entered(Status entered, Admit&& admit) noexcept;
    // Under the lock: waits as `wait` does, and comes back with it.
    bool wait_locked(std::uint64_t group, std::uint64_t timeout_ms) noexcept;
    [[nodiscard]] std::uint64_t staged_about(Owner owner) const noexcept;
    [[nodiscard]] std::uint64_t last_staged() const noexcept;
    [[nodiscard]] bool is_over(std::uint64_t group) const noexcept;
    [[nodiscard]] Instant cut(Instant entered) const noexcept;
    [[nodiscard]] std::uint64_t last_settled() const noexcept;
    void advance_directly(std::uint64_t budget, Answer& total) noexcept;
    template <typename Group, typename Work>
    Status read_after(Group&& group_of, Work&& work) noexcept;

    PoliteMutex mutex_;
    // Under it:
    std::unique_ptr<Manager> manager_;
    Instant latest_ = 0;
    bool closed_ = false;
    // As they were made:
    GateClock clock_;
    std::unique_ptr<Parts> parts_;  // null without a log
};

inline Status Gate::enter(Instant now) noexcept {
    if (manager_ == nullptr) return Status::not_connected;
    if (now < latest_) return Status::time_backwards;
    if (now > max_now) return Status::time_out_of_range;
    latest_ = now;
    return Status::ok;
}

inline Status Gate::enter() noexcept { return enter(clock_.read == nullptr ? latest_ : clock_.read(clock_.context)); }

template <typename Admit>
Answer Gate::change(Admit&& admit) noexcept {
    mutex_.lock();
    return change_entered(enter(), admit);
}

template <typename Admit>
Answer Gate::change_at(Instant now, Admit&& admit) noexcept {
    mutex_.lock();
    return change_entered(enter(now), admit);
}

template <typename Admit>
Answer Gate::change_entered(Status entered, Admit&& admit) noexcept {
    Answer answer{.status = entered};
    if (entered == Status::ok) {
        const Admission admission = admit(std::as_const(*manager_), latest_);
        if (parts_ != nullptr) {
            const Staged staged = stage(admission);
            answer.status = staged.status;
            if (staged.status == Status::ok)
                answer = staged.is_answered() ? staged.answer : await_locked(staged.ticket);
        } else {
            const Result result = closed_ ? Result{Status::not_connected, 0} : manager_->execute(admission, latest_);
            answer = {.status = result.status, .mask = result.mask};
        }
    }
    mutex_.unlock();
    return answer;
}

template <typename Group, typename Work>
Status Gate::read_after(Group&& group_of, Work&& work) noexcept {
    mutex_.lock();
    Status status = enter();
    const Instant entered = latest_;
    if (status == Status::ok) {
        const std::uint64_t group = group_of();
        if (!has_settled(group) && !wait_locked(group, forever)) status = Status::in_callback;
        if (manager_ == nullptr) status = Status::not_connected;
        if (status == Status::ok) work(std::as_const(*manager_).engine(), read_instant(entered));
    }
    mutex_.unlock();
    return status;
}

template <typename Work>
Status Gate::read(Owner owner, Work&& work) noexcept {
    return read_after([&] { return group_about(owner); }, work);
}

template <typename Work>
Status Gate::read_all(Work&& work) noexcept {
    return read_after([&] { return last_group(); }, work);
}

}  // namespace grantwheel
