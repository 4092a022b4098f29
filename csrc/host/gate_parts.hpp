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
    // Whether the log takes changes; not while it does not say where it stands, and never again once it is somebody else's.
    enum class State : std::uint8_t { open, uncertain, broken };

    Parts(Gate& made_for, const GateOptions& options, const HashKey& key) noexcept;

    // As they were made:
    Gate& gate;
    Log& log;
    GateObserver* const observer;
    const std::size_t max_group_bytes;
    const bool has_thread;
    const bool is_immediate;

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
    std::uint64_t settled = 0;                // the last group all of which is answered
    std::uint64_t refused_from = UINT64_MAX;  // and those from here on, which were never given to the log
    Group flying;                             // being committed, while somebody leads
    Group open;
    Entries entries;
    Marks marks;
    Array<std::uint32_t> cpu_ended;
    Needs spare{};                       // memory that the engine has taken and no op has needed yet
    std::unique_ptr<BatchWriter> batch;  // null until it is needed
    Descriptor bell;
    std::condition_variable changed;  // something has settled, or the state is another
    std::condition_variable filled;   // the open group is not empty any more, or has as many as are expected

    // Anybody's:
    std::atomic<std::thread::id> in_log{};
    std::thread thread;

    // Starts the thread, if there is to be one.
    [[nodiscard]] bool start() noexcept;

    // Staging (gate_staging.cpp, gate_batches.cpp). Under the lock.
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
    [[nodiscard]] Staged carry_out(const Command& command, Watcher* watcher) noexcept;

    // Waiting (gate_waiting.cpp). Under the lock.
    [[nodiscard]] std::uint64_t last_group() const noexcept { return open.is_empty() ? open.number - 1 : open.number; }
    [[nodiscard]] bool has_settled(std::uint64_t group) const noexcept {
        return settled >= group || group >= refused_from;
    }
    [[nodiscard]] bool is_in_log() const noexcept {
        return in_log.load(std::memory_order_relaxed) == std::this_thread::get_id();
    }
    bool wait_until(std::uint64_t group, Time until) noexcept;
    void give_up() noexcept;
    void run() noexcept;

    // Ends what is due, under the lock, which it lets go of meanwhile (gate.cpp).
    void advance(std::uint64_t budget, Answer& total) noexcept;

    // Committing (gate_commit.cpp). Under the lock, which they let go of meanwhile. Pre: nobody leads, and the open group
    // is not empty.
    void commit() noexcept;
    void gather() noexcept;
    [[nodiscard]] Status append(Group& group) noexcept;
    [[nodiscard]] Status resolve() noexcept;
    [[nodiscard]] bool reserve(const Group& group) noexcept;
    void execute() noexcept;
    void execute(std::uint32_t place) noexcept;
    void execute_command(Entry& entry) noexcept;
    [[nodiscard]] Answer execute(const Command& command, Instant now, Watcher* watcher) noexcept;
    void execute_many(Entry& entry) noexcept;
    void execute_advance(std::uint32_t place) noexcept;
    void breathe() noexcept;
    [[nodiscard]] Result executed(Result result) noexcept;
    static void answer(Entry& entry, Status status) noexcept;
    void refuse(Group& group, Status status) noexcept;
    void settle(Group& group) noexcept;
    template <typename Work>
    auto unlocked(Work&& work) noexcept;
};

// An instant of the steady clock so many milliseconds from now, or never.
[[nodiscard]] PoliteMutex::Time time_after(std::uint64_t timeout_ms) noexcept;

}  // namespace grantwheel
