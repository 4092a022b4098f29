// What a gate with a log has besides its lock. Thread-safe as its members say.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <thread>

#include "grantwheel/batch.hpp"
#include "grantwheel/gate.hpp"
#include "host/descriptor.hpp"
#include "host/entries.hpp"
#include "host/group.hpp"
#include "host/marks.hpp"

namespace grantwheel {

struct Gate::Parts {
    using Time = PoliteMutex::Time;
    using State = LogState;

    Parts(Gate& made_for, const GateOptions& options, const HashKey& key) noexcept;

    // As they were made:
    Gate& gate;
    Log& log;
    GateObserver* const observer;
    const std::size_t max_group_bytes;
    const bool is_immediate;
    const bool is_behind;
    const bool has_thread;
    const Time::duration max_delay;
    const std::uint64_t first_position;

    // Under the lock of the gate; `flying.bytes` and `position` are with whoever leads:
    State state = State::open;
    bool gives_up = false;  // it is closed, and nobody waits for the log any longer
    bool is_leading = false;
    bool ends = false;  // the thread has nothing more to do
    bool is_rung = false;
    bool gathers = false;          // whoever leads waits for more to come along,
    std::size_t expected = 0;      // so many as were there lately,
    Time::duration append_time{};  // for a fraction of what the last append took
    std::uint64_t position;
    std::uint64_t settled = 0;  // the last group all of which is answered, or appended if that comes later
    std::uint64_t refused_from = UINT64_MAX;  // and those from here on, which were never given to the log
    Group flying;                             // being committed, while somebody leads
    Group open;
    Entries entries;
    Marks marks;
    Array<std::uint32_t> cpu_ended;
    Needs spare{};                       // memory that has been taken and no op has needed yet,
    bool has_spare = false;              // once it has been
    std::unique_ptr<BatchWriter> batch;  // null until it is needed
    Descriptor bell;
    LogFigures counted{};  // as far as it is counted
    // Where the log is behind:
    std::uint64_t settled_sequence = 0;  // the last event that what is in the log has caused
    std::uint64_t flying_sequence = 0;   // and that what is being appended has
    Time open_since{};                   // when the first op of the open group came
    std::uint64_t hurried = 0;           // groups up to this one are not waited for to fill,
    bool tries_again = false;            // and what has failed is tried again at once
    std::condition_variable changed;     // something has settled, or the state is another
    std::condition_variable filled;      // the open group is not empty any more, or is to be waited for no longer

    // Anybody's:
    std::atomic<std::thread::id> in_log{};
    std::thread thread;

    // Starts the thread, if there is to be one.
    [[nodiscard]] bool start() noexcept;

    // Staging (gate_staging.cpp, gate_batches.cpp, gate_notes.cpp). Under the lock.
    [[nodiscard]] Status check_open() const noexcept;
    [[nodiscard]] bool make_room(std::size_t bytes, std::size_t text) noexcept;
    [[nodiscard]] std::uint32_t add(Entry::Kind kind, Watcher* watcher) noexcept;
    [[nodiscard]] std::size_t write(const Command& command) noexcept;
    void mark(const Command& command) noexcept;
    void mark_process(std::uint32_t pid, const std::uint32_t* uid) noexcept;
    [[nodiscard]] Staged staged(std::uint32_t place) noexcept;
    [[nodiscard]] std::unique_ptr<ManyRows> begin_many(std::size_t count, bool is_apply) noexcept;
    [[nodiscard]] bool add_row(ManyRows& many, const Admission& row, bool is_apply) noexcept;
    [[nodiscard]] Staged stage_batch(std::unique_ptr<ManyRows> many, bool is_apply) noexcept;
    void mark_many(std::span<const std::byte> op) noexcept;
    [[nodiscard, gnu::always_inline]] Staged carry_out(const Command& command, std::size_t text, Instant now,
                                                       Watcher* watcher) noexcept;
    [[nodiscard, gnu::noinline]] Staged carry_out_texts(Command command, std::size_t text, Instant now,
                                                        Watcher* watcher) noexcept;
    [[nodiscard]] Status put_behind(const Command& command, std::size_t text) noexcept;
    [[nodiscard]] Status put_at_once(const Command& command, std::size_t text, Instant now) noexcept;
    // What comes after an op that was executed at once.
    void tell() noexcept { tell(gate.manager_->engine(), gate.latest_); }
    [[gnu::always_inline]] void tell(const Engine& engine, Instant latest) noexcept {
        if (observer == nullptr) return;
        observer->executed(engine, latest, is_behind ? settled_sequence : engine.last_sequence());
    }

    // Waiting (gate_waiting.cpp). Under the lock.
    [[nodiscard]] std::uint64_t last_group() const noexcept {
        const bool is_empty = is_behind ? open.bytes.size() == 0 : open.is_empty();
        return is_empty ? open.number - 1 : open.number;
    }
    [[nodiscard]] bool has_settled(std::uint64_t group) const noexcept {
        return settled >= group || group >= refused_from || is_behind;
    }
    [[nodiscard]] bool is_in_log() const noexcept {
        return in_log.load(std::memory_order_relaxed) == std::this_thread::get_id();
    }
    bool wait_until(std::uint64_t group, Time until) noexcept;
    void give_up() noexcept;
    void run() noexcept;

    // A log that is behind (gate_behind.cpp). Under the lock, which those let go of meanwhile that call the log or wait.
    void came(std::size_t bytes) noexcept;
    void hurry(std::uint64_t group) noexcept;
    void follow() noexcept;
    void let_fill() noexcept;
    void catch_up() noexcept;
    [[nodiscard]] bool try_append() noexcept;
    [[nodiscard]] bool ask() noexcept;
    void pause(std::uint64_t pause_ms) noexcept;
    [[nodiscard]] bool is_over() const noexcept { return !is_leading && (open.bytes.size() == 0 || is_broken()); }
    [[nodiscard]] bool is_broken() const noexcept { return state == State::broken; }
    [[nodiscard]] bool finish_behind(Time until) noexcept;
    [[nodiscard]] Flushed wait_for(const Flush& flush, Time until) noexcept;

    // Ends what is due, under the lock, which it lets go of meanwhile (gate.cpp).
    void advance(std::uint64_t budget, Answer& total) noexcept;

    // Committing (gate_commit.cpp). Under the lock, which they let go of meanwhile. Pre: nobody leads, and the open group
    // is not empty.
    void commit() noexcept;
    void gather() noexcept;
    [[nodiscard]] Status append(const Group& group) noexcept;
    // To a log that is immediate, and so never uncertain.
    [[nodiscard, gnu::always_inline]] Status append_at_once(std::span<const std::byte> ops,
                                                            std::size_t count) noexcept {
        const Appended appended = log.append(position, ops);
        if (appended != Appended::appended) return not_appended(appended);
        ++position;
        count_appended(ops.size(), count);
        return Status::ok;
    }
    [[nodiscard]] Status resolve() noexcept;
    [[nodiscard]] Status not_appended(Appended appended) noexcept;
    void count_appended(std::size_t bytes, std::size_t ops) noexcept {
        counted.ops += ops;
        counted.bytes += bytes;
        if (counted.largest_bytes < bytes) counted.largest_bytes = bytes;
    }
    void note_appended(const Group& group) noexcept;
    [[nodiscard]] bool reserve(const Needs& needs) noexcept {
        if ((!has_spare || !spare.covers(needs)) && !reserve_ahead(needs)) return false;
        spare.take(needs);
        return true;
    }
    // The same for one command, with so many bytes of texts.
    [[nodiscard]] bool reserve(const Command& command, std::size_t text) noexcept {
        if (command.kind != CommandKind::apply) return has_spare || reserve_ahead({});
        const bool is_spare = spare.apps != 0 && spare.texts >= 2 && (command.mask & ~spare.types) == 0;
        if (!is_spare || command.is_process) return reserve_for(command);
        if (text != 0) {
            if (spare.text_bytes < text) return reserve_for(command);
            spare.text_bytes -= text;
        }
        --spare.apps;
        spare.texts -= 2;
        return true;
    }
    [[nodiscard, gnu::noinline]] bool reserve_for(const Command& command) noexcept;
    [[nodiscard]] bool reserve_ahead(const Needs& needs) noexcept;
    void execute() noexcept;
    void execute(std::uint32_t place) noexcept;
    void execute_command(Entry& entry) noexcept;
    [[nodiscard]] Result execute(Engine& engine, const Command& command, Instant now, Watcher* watcher) noexcept {
        return watcher == nullptr ? executed(engine.execute(command, now))
                                  : execute_watched(engine, command, now, *watcher);
    }
    [[nodiscard, gnu::noinline]] Result execute_watched(Engine& engine, const Command& command, Instant now,
                                                        Watcher& watcher) noexcept;
    void execute_many(Entry& entry, std::span<const std::byte> group) noexcept;
    void execute_advance(std::uint32_t place) noexcept;
    void execute_notes(Entry& entry) noexcept;
    [[nodiscard]] AdvanceResult end_some(Answer& answer, Instant now, std::uint64_t records) noexcept;
    void breathe() noexcept;
    // What comes after each, and mostly is nothing.
    [[nodiscard]] Result executed(Result result) noexcept {
        const Engine& engine = gate.manager_->engine();
        return engine.cpu_ended().empty() && !engine.lacked_memory() ? result : noted(result);
    }
    [[nodiscard, gnu::noinline]] Result noted(Result result) noexcept;
    static void answer(Entry& entry, Status status) noexcept;
    void refuse(Group& group, Status status) noexcept;
    void settle(Group& group) noexcept;
    template <typename Work>
    auto unlocked(Work&& work) noexcept;
};

// Does something without the lock. It is marked on whose thread, who would wait for itself.
template <typename Work>
auto Gate::Parts::unlocked(Work&& work) noexcept {
    in_log.store(std::this_thread::get_id(), std::memory_order_relaxed);
    gate.mutex_.unlock();
    const auto answer = work();
    gate.mutex_.lock();
    in_log.store(std::thread::id(), std::memory_order_relaxed);
    return answer;
}

// So long who gives up waits for whoever asks the log where it stands.
inline constexpr std::uint64_t last_wait_ms = 100;
// How long to wait before the log is asked again.
inline constexpr std::uint64_t first_pause_ms = 1;
inline constexpr std::uint64_t longest_pause_ms = 1000;

// An instant of the steady clock so many milliseconds from now, or never.
[[nodiscard]] PoliteMutex::Time time_after(std::uint64_t timeout_ms) noexcept;

}  // namespace grantwheel
