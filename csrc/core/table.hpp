// The owner table: which records there are, found by uid and by pid, and what they hold. Not thread-safe.
//
// Layout   Parallel arrays by row: the record (half a cache line), the mask (two bytes, so that a scan for a type reads
//          little), the grants of each type, the links between records of one uid, and the instant of the last apply of a
//          process record. The array of a type has memory from its first grant on, these two from the first process record
//          on. A freed row serves the next
//          record.
// Index    The entry of a uid leads to the list of its records, the app record first; one of app and processes may be
//          there without the other. Pids have entries of their own.
#pragma once

#include <cstdint>

#include "core/bits.hpp"
#include "core/number_index.hpp"
#include "core/rows.hpp"

namespace grantwheel {

class Table {
public:
    using Place = NumberIndex::Place;
    static constexpr std::size_t nowhere = RowIndex::nowhere;

    explicit Table(const HashKey& key = {}) noexcept : uids_(key), pids_(key) {}

    // Makes room for that many more records of one uid, so that as many calls of `add` cannot fail, and for grants of these
    // types.
    [[nodiscard]] bool make_room(std::uint32_t uid, std::size_t apps, std::size_t processes, Mask mask) noexcept;
    // Whether that room is there already, whoever the uid is.
    [[nodiscard]] bool has_room(std::size_t apps, std::size_t processes, Mask mask) const noexcept {
        const std::size_t rows = rows_with(apps + processes);
        return has_types(mask) && rows <= capacity() && uids_.has_room(1, rows) &&
               (processes == 0 || pids_.has_room(processes, rows));
    }
    // Whether there is room for grants of these types.
    [[nodiscard]] bool has_types(Mask mask) const noexcept { return (mask & ~reserved_mask_) == 0; }
    // Makes room for that many more records of any uids, as far as there may be `most` of them in all.
    [[nodiscard]] bool reserve_more(std::size_t apps, std::size_t processes, Mask mask, std::size_t most) noexcept;
    // Takes the memory for that many app records, pages and all. Pre: the table is empty.
    [[nodiscard]] bool reserve(std::size_t apps) noexcept;
    // How many rows have memory.
    [[nodiscard]] std::size_t capacity() const noexcept { return records_.capacity(); }

    // Asks the processor for the entry of an owner, and for the lines of a row and of its grants of some types, that will be
    // used soon.
    void prefetch_index(Owner owner) const noexcept;
    void prefetch_row(Row row, Mask mask) const noexcept;
    // The same for the grants of a record, which has come.
    void prefetch_grants(Row row) const noexcept;
    // The same for the row that is most likely that of an app, as far as the index alone can tell: when the entry has come,
    // or without waiting for it.
    void prefetch_app(std::uint32_t uid, Mask mask) const noexcept;
    void prefetch_app_at_once(std::uint32_t uid, Mask mask) const noexcept;

    [[nodiscard, gnu::always_inline]] Row find_app(std::uint32_t uid) const noexcept;
    [[nodiscard]] Row find_process(std::uint32_t pid) const noexcept;
    [[nodiscard]] Row find(Owner owner) const noexcept;
    // The first process record of a uid, and the one after a record of the uid, in no order; no_row when there is none.
    [[nodiscard]] Row first_process(std::uint32_t uid) const noexcept;
    [[nodiscard]] Row next_of_uid(Row row) const noexcept { return is_linked_ ? links_[row].next : no_row; }

    // The place in the index of the first record of a uid, until the next change; which `is_app` or is not. `place_again`
    // is the same where it is seldom asked for.
    // Inline, as GCC would let most look-ups call it, and that costs them a fourth more.
    [[nodiscard, gnu::always_inline]] Place place_of_uid(std::uint32_t uid) const noexcept;
    [[nodiscard, gnu::noinline]] Place place_again(std::uint32_t uid) const noexcept;
    // The same if a first look tells, and else with `nowhere`.
    [[nodiscard, gnu::always_inline]] Place place_at_once(std::uint32_t uid) const noexcept;
    [[nodiscard]] bool is_app(Row row) const noexcept { return records_[row].kind == OwnerKind::app; }

    // Adds a record that holds nothing yet; its timer is that of its row. Pre: the owner has none, and room has been made.
    Row add(OwnerKind kind, std::uint32_t uid, std::uint32_t pid, TextId bundle) noexcept;
    // The same where the place of the uid is known.
    [[gnu::always_inline]] Row add(OwnerKind kind, std::uint32_t uid, std::uint32_t pid, TextId bundle,
                                   const Place& place) noexcept;
    // Takes a record away, which is the first of its uid if the place of that, as it is now, is given. Pre: it holds
    // nothing.
    [[gnu::always_inline]] void remove(Row row, Record& record, const Place* place = nullptr) noexcept;
    void remove(Row row) noexcept { remove(row, records_[row]); }

    [[nodiscard]] Mask mask(Row row) const noexcept { return records_[row].mask; }
    // Sets what a record holds, and keeps the counts.
    void set_mask(Row row, Mask mask) noexcept {
        Record& record = records_[row];
        for_each_type(mask & ~Mask{record.mask}, [&](int type) { count_in(record.kind, type); });
        for_each_type(record.mask & ~mask, [&](int type) { count_out(record.kind, type); });
        write_mask(row, record, mask);
    }

    // The same in two steps: each type that comes or goes is counted, and then all that is held is set.
    void count_in(OwnerKind kind, int type) noexcept { ++grant_count_[at(kind)][type]; }
    void count_out(OwnerKind kind, int type) noexcept { --grant_count_[at(kind)][type]; }
    void write_mask(Row row, Record& record, Mask mask) noexcept {
        record.mask = static_cast<std::uint16_t>(mask);
        masks_[row] = record.mask;
    }

    [[nodiscard]] Rows<Record>& records() noexcept { return records_; }
    [[nodiscard]] const Rows<Record>& records() const noexcept { return records_; }
    [[nodiscard]] Record& record(Row row) noexcept { return records_[row]; }
    [[nodiscard]] const Record& record(Row row) const noexcept { return records_[row]; }

    // Pre: the record holds the type, or is about to.
    [[nodiscard]] Grant& grant(Row row, int type) noexcept { return grants_[type][row]; }
    [[nodiscard]] const Grant& grant(Row row, int type) const noexcept { return grants_[type][row]; }
    // When the last apply came to a record. Pre: it is that of a process.
    [[nodiscard]] Instant& applied(Row row) noexcept { return applied_[row]; }
    [[nodiscard]] Instant applied(Row row) const noexcept { return applied_[row]; }
    // The neighbours of a row among the records of its uid. Pre: room has been made for a process at least once.
    [[nodiscard]] Links& links(Row row) noexcept { return links_[row]; }

    [[nodiscard]] Owner owner(Row row) const noexcept { return {records_[row].kind, records_[row].key()}; }

    // Calls `visit(row)` for each row that holds any type of the mask (at most ALL), ascending. Reads two bytes per row.
    template <typename Visit>
    void for_each_holder(Mask mask, Visit&& visit) const noexcept;

    // Rows are 0..end(); a free one has mask 0.
    [[nodiscard]] Row end() const noexcept { return static_cast<Row>(masks_.size()); }
    [[nodiscard]] std::size_t size() const noexcept { return record_count_[0] + record_count_[1]; }
    [[nodiscard]] std::size_t record_count(OwnerKind kind) const noexcept { return record_count_[at(kind)]; }
    [[nodiscard]] std::size_t grant_count(OwnerKind kind, int type) const noexcept {
        return grant_count_[at(kind)][type];
    }

    // For checks: how many others the look-ups of all uids and pids pass in their indexes, together.
    [[nodiscard]] std::size_t passed() const noexcept;
    // Whether rows, indexes, lists and counts agree; names what is wrong in `reason`.
    [[nodiscard]] bool validate(const char** reason) const noexcept;

private:
    // How many rows there will be with so many more records.
    [[nodiscard]] std::size_t rows_with(std::size_t more) const noexcept {
        return masks_.size() + (more > free_count_ ? more - free_count_ : 0);
    }
    void prefetch_grants(Row row, Mask mask) const noexcept;
    [[nodiscard, gnu::always_inline]] Row take_row() noexcept;
    [[nodiscard]] static std::size_t at(OwnerKind kind) noexcept { return static_cast<std::size_t>(kind); }
    // The first record of a uid: that of the app, if there is one.
    [[nodiscard]] Row first_of(std::uint32_t uid) const noexcept;
    // The place in the index of a pid.
    [[nodiscard, gnu::always_inline]] Place place_of_pid(std::uint32_t pid) const noexcept;
    [[nodiscard]] auto uid_of() const noexcept {
        return [this](Row row) { return records_[row].uid; };
    }
    [[nodiscard]] auto pid_of() const noexcept {
        return [this](Row row) { return records_[row].pid; };
    }
    [[nodiscard]] bool reserve_rows(std::size_t rows, Mask mask, bool linked) noexcept;
    [[nodiscard]] bool reserve_index(std::size_t more_uids, std::size_t more_pids, std::size_t rows) noexcept;
    [[nodiscard]] Row previous_of_uid(Row row) const noexcept { return is_linked_ ? links_[row].previous : no_row; }
    [[gnu::noinline]] void link(Row row, const Place& place) noexcept;
    [[gnu::noinline]] void remove_linked(Row row, const Record& record) noexcept;
    [[nodiscard]] const char* first_broken_record(Row row) const noexcept;

    Rows<Record> records_;
    Rows<std::uint16_t> masks_;  // what a scan for a type reads; Record::mask is the same
    Rows<Grant> grants_[type_count];
    Mask reserved_mask_ = 0;  // whose array has memory for as many rows as there are
    Rows<Links> links_;
    Rows<Instant> applied_;
    bool is_linked_ = false;  // whether there are both; without, no uid has more than one record
    NumberIndex uids_;
    NumberIndex pids_;
    Row free_ = no_row;
    std::size_t free_count_ = 0;
    std::size_t record_count_[2]{};
    std::size_t grant_count_[2][type_count]{};
};

inline Table::Place Table::place_of_uid(std::uint32_t wanted) const noexcept { return uids_.locate(wanted, uid_of()); }

inline Table::Place Table::place_of_pid(std::uint32_t wanted) const noexcept { return pids_.locate(wanted, pid_of()); }

inline Table::Place Table::place_at_once(std::uint32_t wanted) const noexcept {
    return uids_.locate_at_once(wanted, uid_of());
}

inline Row Table::find_app(std::uint32_t uid) const noexcept {
    const Row first = place_of_uid(uid).row;
    return first != no_row && is_app(first) ? first : no_row;
}

// A row for a new record: the one that was freed last, or one at the end.
inline Row Table::take_row() noexcept {
    const Row row = free_;
    if (row == no_row) {
        records_.extend() = {};
        if (is_linked_) {
            links_.extend();
            applied_.extend();
        }
        masks_.extend() = 0;
        return end() - 1;
    }
    free_ = records_[row].uid;
    --free_count_;
    if (free_ != no_row) prefetch_row(free_, 0);  // for the next record
    return row;
}

inline Row Table::add(OwnerKind kind, std::uint32_t uid, std::uint32_t pid, TextId bundle,
                      const Place& place) noexcept {
    const bool app = kind == OwnerKind::app;
    const Row row = take_row();
    Record& record = records_[row];
    record.uid = uid;
    record.pid = pid;
    record.bundle = bundle;
    record.kind = kind;
    record.cpu_level = default_level;
    if (is_linked_) links_[row] = {no_row, no_row};
    ++record_count_[at(kind)];
    if (place.row == no_row) {
        uids_.insert(uid, place, row);
    } else {
        link(row, place);
    }
    if (!app) pids_.insert(pid, place_of_pid(pid), row);
    return row;
}

inline void Table::remove(Row row, Record& record, const Place* place) noexcept {
    if (is_linked_) {
        remove_linked(row, record);
    } else {
        uids_.erase(record.uid, row, place, uid_of());
    }
    --record_count_[at(record.kind)];
    record.uid = free_;
    free_ = row;
    ++free_count_;
}

template <typename Visit>
void Table::for_each_holder(Mask mask, Visit&& visit) const noexcept {
    // Four rows at a time, as a word, as long as there are four.
    constexpr Row four = sizeof(std::uint64_t) / sizeof(std::uint16_t);
    const std::uint64_t wanted = mask * 0x0001'0001'0001'0001u;
    const auto visit_one = [&](Row row) {
        if ((masks_[row] & mask) != 0) visit(row);
    };
    Row row = 0;
    for (; row + four <= end(); row += four) {
        std::uint64_t word = 0;
        std::memcpy(&word, &masks_[row], sizeof word);
        if ((word & wanted) == 0) continue;
        for (Row i = row; i < row + four; ++i) visit_one(i);
    }
    for (; row < end(); ++row) visit_one(row);
}

}  // namespace grantwheel
