// Keeps grants and ends them: the engine without policy. It is not thread-safe: one caller at a time, under a lock of
// the host's.
//
// Time     Every call takes `now`. It may repeat and must not run backwards, nor exceed 2^62: then the answer is
//          time_backwards or time_out_of_range, and nothing has changed.
// Due      A grant ends when now >= its deadline. What is due is gone for every reader at once; it becomes an event
//          when its record is next changed, when a read across records needs it gone, or by `advance`.
// Memory   Grows with owners, texts, the types in use and notes up to the limits, and only notes give any back before
//          destruction. A call on owners that only meets those seen before allocates nothing, unless uids have come from
//          elsewhere meanwhile. A failed allocation is out_of_memory, and nothing has changed.
// Errors   Nothing throws.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "grantwheel/macros.hpp"
#include "grantwheel/notes.hpp"
#include "grantwheel/recovery.hpp"
#include "grantwheel/types.hpp"

namespace grantwheel {

class Engine {
public:
    // An engine without grants, or null when `limits` are out of range or memory is not to be had.
    [[nodiscard]] static std::unique_ptr<Engine> create(const Limits& limits, const HashKey& key = {}) noexcept;
    ~Engine();
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    // Carries out one command.
    //
    // Pre      The fields of the command are in range (Manager's admit sees to it).
    // Returns  apply: the mask asked for, of a renewal what is held of it; all others: the union of the bits that were
    //          removed. out_of_memory when a limit is reached even after all that is due was freed.
    // Cost     O(types) and a few cache misses; a cascade O(processes of the uid, sorted).
    Result execute(const Command& command, Instant now) noexcept;

    // Ends every grant whose deadline `now` has reached, and says so in events: by deadline, at equal deadlines process
    // records before app records, keys ascending.
    //
    // Bound    At most `budget` records ended, and as many looked at: re-armed, moved or put in order. So a call may end
    //          nothing yet; `more` is set when there is more to do: call again. However it is sliced, and whatever other
    //          calls come in between, the order is the same.
    // Cost     O(occupied slots passed + log(due at once) for each record). Never allocates.
    // Returns  The numbers of grants and of records ended.
    AdvanceResult advance(Instant now, std::size_t budget) noexcept;
    // Ends that many records, the first of those that are due, or all when there are fewer: an advance that is on record,
    // which ends the same whatever has been put in order before.
    //
    // Cost     Looks at as many others as stand before them, which is none after `look` has found them.
    AdvanceResult end(Instant now, std::uint64_t records) noexcept;

    // Ends nothing, and does all of an advance that comes before: so that the next `end` at this instant is short.
    //
    // Bound    At most `budget` records looked at: re-armed, moved or put in order.
    // Returns  Whether anything is due; `more` when that is not known yet: call again.
    Looked look(Instant now, std::size_t budget) noexcept;

    // The earliest deadline of all grants that are held now, exactly; no_deadline when there is none. Advances to now.
    //
    // Cost     May look at every record of a slot, re-arming timers that renewals left behind as it goes.
    Status next_deadline(Instant now, Instant& deadline) noexcept;

    // The same at the instant of the last call, if looking at so many records is enough; for hosts that hold a lock.
    //
    // Returns  False when it is not, or when something waits for an advance. What has been looked at need not be again; a
    //          Survey tells the deadline in steps.
    [[nodiscard]] bool find_deadline(std::size_t looks, Instant& deadline) noexcept;

    // An instant not later than the next deadline (no_deadline when no grant is timed): a driver may sleep until then.
    // At or before now while due grants wait for an advance. Cost O(levels).
    [[nodiscard]] Instant wake_at() const noexcept;

    // The mask that the owner holds now; 0 when it holds nothing. Changes nothing.
    Result mask(Owner owner, Instant now) const noexcept;

    // Ask the processor for what a call on some types of an app will touch, while something else is done: for its place in
    // the index, and, when that has come, for the record that the place leads to; or for both at once, when the call
    // follows soon. They change nothing.
    void prefetch_index(std::uint32_t uid) const noexcept;
    void prefetch_app(std::uint32_t uid, Mask mask) const noexcept;
    void prefetch_at_once(std::uint32_t uid, Mask mask) const noexcept;

    // Fills `view` with all that the owner holds now; its mask is 0 when it holds nothing. Changes nothing.
    Status find(Owner owner, Instant now, RecordView& view) const noexcept;

    // Writes the app record of the uid and its process records by ascending pid, as far as they hold anything now: the
    // first ones when `out` is too short; `total` is the number of all. Changes nothing.
    Status owners_of(std::uint32_t uid, Instant now, std::span<Owner> out, std::size_t& total) const noexcept;

    // Writes the first owners after `after` (null: from the start) that hold any type of `mask`, in listing order.
    // Advances to now first.
    //
    // Cost     A scan of two bytes per row, then O(found * log(out)).
    // Returns  Through `count`, how many were written.
    Status owners(Mask mask, const Owner* after, Instant now, std::span<Owner> out, std::size_t& count) noexcept;

    // Looks at the next `out.size()` places of a scan, which begins at place 0, and writes the owners found there that hold
    // any type of `mask` now, in no order: for lists that are made in steps. Changes nothing.
    //
    // Returns  `next` is where to go on, `more` whether there is anything. Whoever holds on from the first step to the last
    //          is found once; who comes, goes or comes again in between may be found or not, or twice.
    ScanResult scan(Mask mask, Instant now, std::size_t place, std::span<Owner> out) const noexcept;

    // How many records there are of this kind; what is due and not yet freed counts.
    [[nodiscard]] std::size_t record_count(OwnerKind kind) const noexcept;

    // How many owners hold a type now. Advances to now first.
    Status count(Mask type, Instant now, std::size_t& count) noexcept;

    // The most that `owners` can find for this mask: an owner of several of its types may count for each, and what is due
    // and not yet freed counts.
    [[nodiscard]] std::size_t most_owners(Mask mask) const noexcept;

    Status stats(Instant now, Stats& stats) noexcept;

    // Copies the events after sequence number `after` into `out`, oldest first, as many as fit. Changes nothing: the
    // reader keeps the number of the last event it has.
    EventsRead read(std::uint64_t after, std::span<Event> out) const noexcept;

    // The numbers of the oldest event that is still there and of the newest; 1 and 0 before the first.
    [[nodiscard]] std::uint64_t first_sequence() const noexcept;
    [[nodiscard]] std::uint64_t last_sequence() const noexcept;

    // Takes the memory that commands may need, as far as the limits let them: as long as they need no more than that, none
    // of them is refused for want of memory. False when it is not to be had.
    [[nodiscard]] bool reserve(const Needs& needs) noexcept;
    // Whether the last call that could change anything answered out_of_memory because an allocation has failed, and not
    // because a limit is reached: what is on record would not end so on a replay.
    [[nodiscard]] bool lacked_memory() const noexcept;

    // The latest instant of all calls that were not const.
    [[nodiscard]] Instant now() const noexcept;

    // Notes when an instant was by the machine's clocks, and goes on to it. The last mark is kept, and is in snapshots.
    //
    // Errors   As check_time, of both instants: then the mark before it is still the last one.
    [[nodiscard]] Status set_mark(const Mark& mark) noexcept;
    // The last one; null when there was none. Valid until the next.
    [[nodiscard]] const Mark* mark() const noexcept;

    // Gives notes their values, and drops those without one, all or none. They are in snapshots and in the hash of the state.
    //
    // Errors   argument_invalid when the changes are not sound. out_of_memory, and nothing has changed, when there would be
    //          more than max_notes, or max_notes_bytes of them, or an allocation has failed.
    // Cost     O(bytes of the changes + notes there are + changes * log(notes there are)).
    [[nodiscard]] Status write_notes(const NoteChanges& changes, Instant now) noexcept;
    // The same in two steps: what needs memory, which is null when there is none, and the write, which then allocates
    // nothing and is done once. Others may come in between. Pre: the changes are sound.
    [[nodiscard]] std::unique_ptr<NoteWrite> prepare_notes(const NoteChanges& changes) noexcept;
    [[nodiscard]] Status write_notes(NoteWrite& write, Instant now) noexcept;
    // How many notes there are, their bytes with those of their keys, and each of them, in the order of their keys. Valid
    // until the next write. Pre: place < note_count().
    [[nodiscard]] std::size_t note_count() const noexcept;
    [[nodiscard]] std::size_t note_bytes() const noexcept;
    [[nodiscard]] Note note(std::size_t place) const noexcept;

    // Goes on with other limits; `reserve` plays no part. Of the events those stay that fit, the last ones. What is due and
    // in the way of smaller limits is ended first, as by an apply that meets a limit.
    //
    // Errors   argument_invalid when they are out of range. out_of_memory, and the limits are as they were, when what is held
    //          does not fit, or there is no memory for the events.
    // Cost     O(events that stay), when `event_capacity` is another.
    [[nodiscard]] Status set_limits(const Limits& limits, Instant now) noexcept;

    // Drops what a start has found to be without a process: the records of these pids, and all types that are not retained
    // of these uids' app records. It tells no event and settles no quota, also of what is due by then; `recovered` counts it.
    // A key without record is passed over. Never allocates.
    //
    // Errors   argument_invalid when keys are out of range, or do not ascend: then nothing has changed.
    RecoveryResult recover(const Keys& apps, const Keys& processes, Instant now) noexcept;

    // Whether to keep `cpu_ended`. False, with nothing changed, when the memory for it is not to be had.
    [[nodiscard]] bool track_cpu_ended(bool track) noexcept;

    // The limits, and how much room is left for records and texts: what is due and has not been ended counts as there.
    [[nodiscard]] const Limits& limits() const noexcept;
    [[nodiscard]] std::size_t room_for_records() const noexcept;
    [[nodiscard]] std::size_t room_for_strings() const noexcept;

    // The uids whose app record lost CPU during the last call that could change anything, in order; empty unless
    // tracked. Valid until the next such call.
    [[nodiscard]] std::span<const std::uint32_t> cpu_ended() const noexcept;

    // What a call at this instant would answer about it: ok, time_backwards or time_out_of_range.
    [[nodiscard]] Status check_time(Instant now) const noexcept;

    // Checks every invariant; on failure names the first that is broken in `reason`, which is `validate_no_memory`, the
    // pointer itself, when nothing is known to be broken but the memory for the rest is not to be had. O(everything).
    [[nodiscard]] bool validate(const char** reason) const noexcept;
    static const char* const validate_no_memory;

    struct Parts;

private:
    friend class SnapshotReader;
    friend class SnapshotWriter;
    friend class Survey;
    explicit Engine(std::unique_ptr<Parts> parts) noexcept;
    // Counts everything, what is due included.
    void count_all(Stats& stats) const noexcept;
    std::unique_ptr<Parts> parts_;
};

// Calls `work(i)` for i = 0..count-1, a call on the types `mask_of(i)` of the app `uid_of(i)` each, while the processor
// gets what the calls after it will touch. For batches: with many owners most of a call is waiting for memory.
template <typename UidOf, typename MaskOf, typename Work>
void for_each_prefetched(const Engine& engine, std::size_t count, UidOf&& uid_of, MaskOf&& mask_of, Work&& work) {
    constexpr std::size_t app_ahead = 8;  // the fastest of 4, 6, 8 and 12
    constexpr std::size_t index_ahead = 2 * app_ahead;
    for (std::size_t i = 0; i < index_ahead && i < count; ++i) engine.prefetch_index(uid_of(i));
    for (std::size_t i = 0; i < app_ahead && i < count; ++i) engine.prefetch_app(uid_of(i), mask_of(i));
    for (std::size_t i = 0; i < count; ++i) {
        if (i + index_ahead < count) engine.prefetch_index(uid_of(i + index_ahead));
        if (i + app_ahead < count) engine.prefetch_app(uid_of(i + app_ahead), mask_of(i + app_ahead));
        work(i);
    }
}

}  // namespace grantwheel
