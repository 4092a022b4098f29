// The inside of the engine: the parts, and the steps that change them together. Every public call of Engine is one of
// these steps behind a check of the time. Not thread-safe.
//
// Where    engine_apply.cpp    merging an apply into what is held
//          engine_release.cpp  releases, cascades, deaths, administration
//          engine_recovery.cpp marks, notes, other limits, what a start drops
//          engine_time.cpp     settling, expiry, the next deadline
//          engine_queries.cpp  reads
//          engine_validate.cpp the self-check
#pragma once

#include "core/array.hpp"
#include "core/events.hpp"
#include "core/notes.hpp"
#include "core/sorter.hpp"
#include "core/strings.hpp"
#include "core/table.hpp"
#include "core/wheel.hpp"
#include "grantwheel/engine.hpp"

namespace grantwheel {

struct Engine::Parts {
    explicit Parts(const HashKey& key) noexcept : table(key), strings(key) {}

    Limits limits{};
    Table table;
    Wheel wheel{};
    // What is being ended: its rows are in no slot, but their timers still say its instant.
    Sorter due{};
    Instant ending = 0;
    Events events{};
    Strings strings;
    Instant now = 0;
    Mark mark{};  // the last one, if it has one
    bool has_mark = false;
    Array<std::uint64_t> scratch{};    // rows to be sorted, as `sort_key`; as many places as the table has rows
    Array<std::uint32_t> cpu_ended{};  // as Engine::cpu_ended says; one place more than the table has rows
    std::size_t places = 0;            // how many rows these and the wheel have room for
    std::size_t timed = 0;             // records with a deadline
    bool tracks_cpu_ended = false;
    bool lacked_memory = false;  // as Engine::lacked_memory says
    std::uint64_t granted = 0;
    std::uint64_t renewed = 0;
    std::uint64_t ended[cause_count]{};
    Notes notes{};

    // Two states of one engine that differ have different sums: whatever changes what is held is counted or told.
    [[nodiscard]] std::uint64_t changes() const noexcept {
        return granted + renewed + events.last() + ended[static_cast<std::size_t>(Cause::recovered)];
    }

    // Checks `now`; `begin` also makes it the latest instant and starts a call that may change things.
    [[nodiscard]] Status check_time(Instant at) const noexcept;
    [[nodiscard]] Status begin(Instant at) noexcept;

    // engine_apply.cpp
    [[gnu::noinline]] Result apply(const Command& command) noexcept;

    // engine_release.cpp. `release_one` settles one record and takes the types that it holds; no_row holds none.
    [[gnu::noinline]] Result release(const Command& command) noexcept;
    [[gnu::noinline]] Result end(const Command& command) noexcept;  // all kinds but these two
    Mask release_app(std::uint32_t uid, Mask mask, Cause cause) noexcept;
    [[gnu::noinline]] Mask release_one(Row row, Mask mask, Cause cause) noexcept;
    Mask process_died(std::uint32_t uid, std::uint32_t pid) noexcept;
    Mask admin_reset_all() noexcept;

    // engine_recovery.cpp. The limits are in range; `drop_silently` takes types that are held, without an event.
    Status set_limits(const Limits& wanted) noexcept;
    void drop_silently(Row row, Mask mask) noexcept;

    // engine_time.cpp. `earliest` is the earliest deadline of a record, no_deadline when none of its types is
    // timed; `due_at` the same if it is due, else no_deadline; `expire` ends what
    // is due at that instant and answers whether the record is still there, as does `settle`, which ends all that is
    // due. `end_at` ends it in a record that is in no slot, and sets its timer for the rest.
    [[nodiscard, gnu::always_inline]] Instant earliest(Row row, const Record& record) const noexcept {
        Instant at = no_deadline;
        for_each_type(record.mask, [&](int type) { at = std::min(at, table.grant(row, type).deadline); });
        return at;
    }
    [[nodiscard, gnu::always_inline]] Instant earliest(Row row) const noexcept {
        return earliest(row, table.record(row));
    }
    [[nodiscard]] Instant due_at(Row row) const noexcept;
    bool expire(Row row, Instant at) noexcept;
    [[gnu::noinline]] void end_at(Row row, Instant at) noexcept;
    bool settle(Row row) noexcept;
    void settle_pair(Row& process, Row& app) noexcept {
        if (fires(process) || fires(app)) settle_fired_pair(process, app);
    }
    // How much an advance may do: how many records it may end, and at how many others look, to re-arm or move them or
    // to put them in order.
    struct Budget {
        std::size_t endings = SIZE_MAX;
        std::size_t looks = SIZE_MAX;
    };
    AdvanceResult advance(Budget budget) noexcept;
    void advance() noexcept { static_cast<void>(advance(Budget{})); }
    // Ends the first record of all that are due; false when none is.
    bool end_one() noexcept { return advance({.endings = 1}).records != 0; }
    // False when it would have to look at more records than that.
    [[nodiscard]] bool next_deadline(std::size_t looks, Instant& deadline) noexcept;
    // Whether there is nothing more to look at before a record ends.
    [[nodiscard]] bool ends_next() noexcept;
    // Whether the row is still as it was when it was taken out of its slot, to be ended.
    [[nodiscard]] bool is_popped(Row row) const noexcept {
        return table.record(row).slot == no_slot && table.record(row).armed == ending;
    }

    // engine_queries.cpp. What of a record is not due at an instant.
    [[nodiscard]] Mask mask_at(Row row, Instant at) const noexcept {
        const Record& record = table.record(row);
        return record.armed > at ? Mask{record.mask} : mask_looked_at(row, at);
    }
    [[nodiscard, gnu::noinline]] Mask mask_looked_at(Row row, Instant at) const noexcept;
    [[nodiscard, gnu::noinline]] Result mask_of(Owner owner, Instant at) const noexcept;

    // The types of a request that go to the process record.
    [[nodiscard]] static Mask process_mask_of(const Command& command) noexcept {
        return command.is_process ? command.mask & rules.per_process : 0;
    }

    // Whether the timer of a row has come; no_row has none.
    [[nodiscard]] bool fires(Row row) const noexcept { return row != no_row && table.record(row).armed <= now; }

    // Memory for what has as many places as the table has memory for rows.
    [[nodiscard]] bool reserve_places() noexcept;
    [[nodiscard]] bool has_places() const noexcept { return places >= table.capacity(); }

    // engine_changes.hpp. The two ways in which a mask changes, with their events; and the second without.
    [[gnu::always_inline]] void tell_apply(OwnerKind owner, const Record& record, Mask fresh, std::uint32_t pid,
                                           TextId bundle) noexcept;
    [[gnu::always_inline]] void remove_types(Row row, Record& record, Mask mask, Cause cause, Instant time,
                                             const Table::Place* place = nullptr) noexcept;
    [[gnu::noinline]] void remove_types(Row row, Mask mask, Cause cause, Instant time) noexcept;
    void drop_types(Row row, Mask mask, Cause cause) noexcept;

    // Orders rows by kind, processes first, then key. Leaves 31 bits for the row, which the limit of records respects.
    static constexpr int row_bits = 31;
    [[nodiscard]] std::uint64_t sort_key(Row row) const noexcept { return sort_key(row, table.record(row)); }
    [[nodiscard]] static std::uint64_t sort_key(Row row, const Record& record) noexcept {
        const std::uint64_t apps_last = record.kind == OwnerKind::app ? std::uint64_t{1} << 31 : 0;
        return (apps_last + record.key()) << row_bits | row;
    }
    // The row of such a key, and its owner.
    [[nodiscard]] static Owner owner_of(std::uint64_t key) noexcept {
        const std::uint64_t apps_last = std::uint64_t{1} << 31;
        key >>= row_bits;
        if (key < apps_last) return {OwnerKind::process, static_cast<std::uint32_t>(key)};
        return {OwnerKind::app, static_cast<std::uint32_t>(key - apps_last)};
    }
    [[nodiscard]] static Row row_of(std::uint64_t key) noexcept {
        return static_cast<Row>(key & ((std::uint64_t{1} << row_bits) - 1));
    }

private:
    [[nodiscard, gnu::always_inline]] StoredEvent& add_event(TextId bundle) noexcept;
    void keep_events_in(Events& others) noexcept;
    void settle_fired_pair(Row& process, Row& app) noexcept;
    [[gnu::always_inline]] void take_types(Row row, Record& record, Mask mask, Cause cause,
                                           const Table::Place* place = nullptr) noexcept;
    [[nodiscard, gnu::noinline]] Mask release_with_process(const Command& command, Mask process_mask) noexcept;
    [[nodiscard, gnu::noinline]] Mask release_cascading(Row app, std::uint32_t uid, Mask mask, Cause cause) noexcept;
    [[nodiscard]] std::size_t gather_processes(std::uint32_t uid) noexcept;
    void prefetch_all(Row row) const noexcept { table.prefetch_row(row, table.mask(row)); }
    // What of a record is over at an instant, nothing being due before it, and when the rest of it is.
    struct Over {
        Mask mask;
        Instant rest;
    };
    [[nodiscard]] Over over_at(Row row, const Record& record, Instant at) const noexcept;
    // A record that ends, and its place in the order, as `sort_key`.
    struct Ending {
        Instant at;
        std::uint64_t key;
        [[nodiscard]] friend bool operator<(const Ending& left, const Ending& right) noexcept {
            return left.at != right.at ? left.at < right.at : left.key < right.key;
        }
    };
    static constexpr std::size_t most_few = 64;
    template <typename Visit>
    [[gnu::always_inline]] void empty(const Wheel::Slot& slot, std::size_t& budget, Visit&& visit) noexcept;
    [[nodiscard, gnu::noinline]] bool end_few(const Wheel::Slot& slot, Budget& budget) noexcept;
    [[gnu::noinline]] void gather(const Wheel::Slot& slot, std::size_t& budget) noexcept;
    [[gnu::noinline]] void end_due(Budget& budget) noexcept;
    [[gnu::noinline]] void empty_slot(const Wheel::Slot& slot, std::size_t& budget) noexcept;

    // What an apply needs before it changes anything.
    struct Texts {
        TextId reason;
        TextId bundle;
    };
    Texts no_texts{Strings::empty, Strings::empty};  // of a command that has none; stays so
    // Whether there is a text to be taken; the empty one is always there.
    [[nodiscard]] static bool has_any(const Texts& texts, bool tells) noexcept {
        return texts.reason != Strings::empty || (tells && texts.bundle != Strings::empty);
    }
    [[gnu::noinline]] Result apply_with_texts(const Command& command) noexcept;
    [[gnu::noinline]] Result apply_to_app(const Command& command, Table::Place place) noexcept;
    [[gnu::always_inline]] Result apply_any(const Command& command, Texts& texts) noexcept;
    template <bool has_texts>
    [[gnu::always_inline]] Result apply(const Command& command, Texts& texts, const Table::Place& place) noexcept;
    [[nodiscard, gnu::always_inline]] static bool extends(const Command& command, const Record& record) noexcept;
    [[gnu::always_inline]] void extend(Grant& grant, const Command& command) const noexcept;
    [[gnu::noinline]] void set_reason(Grant& grant, TextId reason) noexcept;
    [[gnu::noinline]] Result add_types(const Command& command, Texts& texts, Row app) noexcept;
    [[gnu::noinline]] Result add_app(const Command& command, Texts& texts, Table::Place place) noexcept;
    [[gnu::noinline]] Result apply_with_process(const Command& command, Texts& texts) noexcept;
    [[gnu::noinline]] Result renew(const Command& command, Texts& texts) noexcept;
    [[nodiscard]] bool make_room(const Command& command, bool adds_app, bool adds_process, bool reused) noexcept;
    [[nodiscard]] bool take_texts(const Command& command, bool tells, bool adds, Texts& texts) noexcept;
    Row add(OwnerKind kind, const Command& command, Texts texts) noexcept;
    // Inline, as most of the time a call goes straight through all of them.
    template <OwnerKind kind, bool is_new>
    [[gnu::always_inline]] void grant(Row row, Record& record, Mask mask, const Command& command, Texts texts) noexcept;
    template <bool is_new>
    [[gnu::always_inline]] void merge(Row row, Record& record, Mask mask, const Command& command,
                                      TextId reason) noexcept;
    [[gnu::noinline]] void merge_capped(Row row, Record& record, Mask mask, const Command& command,
                                        TextId reason) noexcept;
};

}  // namespace grantwheel
