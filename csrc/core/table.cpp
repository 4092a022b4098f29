#include "core/table.hpp"

namespace grantwheel {

bool Table::make_room(std::uint32_t uid, std::size_t apps, std::size_t processes, Mask mask) noexcept {
    const std::size_t rows = rows_with(apps + processes);
    const std::size_t uids = first_of(uid) == no_row ? 1 : 0;
    return reserve_rows(rows, mask, processes != 0) && reserve_index(uids, processes, rows);
}

bool Table::reserve_more(std::size_t apps, std::size_t processes, Mask mask, std::size_t most) noexcept {
    const std::size_t rows = std::min(rows_with(apps + processes), std::max<std::size_t>(most, end()));
    const bool is_there = rows <= capacity() && has_types(mask) && (processes == 0 || is_linked_);
    return (is_there || reserve_rows(rows, mask, processes != 0)) && reserve_index(apps + processes, processes, rows);
}

bool Table::reserve(std::size_t apps) noexcept {
    if (apps == 0) return true;
    if (!reserve_rows(apps, rules.all, false) || !uids_.reserve_all(apps, uid_of())) return false;
    records_.touch(apps);
    masks_.touch(apps);
    for (Rows<Grant>& grants : grants_) grants.touch(apps);
    return true;
}

// The records' capacity is that of the table, so theirs comes last: all others have memory for as many rows by then.
bool Table::reserve_rows(std::size_t rows, Mask mask, bool linked) noexcept {
    constexpr std::size_t chunk = Rows<Record>::chunk_rows;
    const std::size_t all = std::max(capacity(), (rows + chunk - 1) / chunk * chunk);
    bool reserved = masks_.reserve(all);
    if (linked || is_linked_) reserved = reserved && links_.reserve(all) && applied_.reserve(all);
    for_each_type(mask | reserved_mask_, [&](int type) { reserved = reserved && grants_[type].reserve(all); });
    if (!reserved || !records_.reserve(all)) return false;
    reserved_mask_ |= mask;
    if (linked && !is_linked_) {
        while (links_.size() < end()) links_.extend() = {no_row, no_row};
        while (applied_.size() < end()) applied_.extend() = 0;
        is_linked_ = true;
    }
    return true;
}

bool Table::reserve_index(std::size_t more_uids, std::size_t more_pids, std::size_t rows) noexcept {
    return uids_.reserve(more_uids, rows, uid_of()) && (more_pids == 0 || pids_.reserve(more_pids, rows, pid_of()));
}

void Table::prefetch_index(Owner owner) const noexcept {
    if (owner.kind == OwnerKind::app) {
        uids_.prefetch_entry(owner.key);
    } else {
        pids_.prefetch_entry(owner.key);
    }
}

void Table::prefetch_row(Row row, Mask mask) const noexcept {
    prefetch(&records_[row]);
    prefetch_grants(row, mask);
}

void Table::prefetch_grants(Row row) const noexcept { prefetch_grants(row, records_[row].mask); }

inline void Table::prefetch_grants(Row row, Mask mask) const noexcept {
    for_each_type(mask & reserved_mask_, [&](int type) { prefetch(&grants_[type][row]); });
}

void Table::prefetch_app(std::uint32_t uid, Mask mask) const noexcept {
    if (const Row row = uids_.likely(uid, uid_of()); row != no_row) prefetch_row(row, mask);
}

void Table::prefetch_app_at_once(std::uint32_t uid, Mask mask) const noexcept {
    if (uids_.count() == 0) return;
    const Row row = uids_.guess(uid);
    prefetch_row(row, mask);
    prefetch(&masks_[row]);
}

Row Table::first_of(std::uint32_t uid) const noexcept { return place_of_uid(uid).row; }

Row Table::find_process(std::uint32_t pid) const noexcept { return place_of_pid(pid).row; }

Row Table::find(Owner owner) const noexcept {
    return owner.kind == OwnerKind::app ? find_app(owner.key) : find_process(owner.key);
}

Row Table::first_process(std::uint32_t uid) const noexcept {
    const Row first = first_of(uid);
    return first != no_row && is_app(first) ? next_of_uid(first) : first;
}

Table::Place Table::place_again(std::uint32_t uid) const noexcept { return place_of_uid(uid); }

Row Table::add(OwnerKind kind, std::uint32_t uid, std::uint32_t pid, TextId bundle) noexcept {
    return add(kind, uid, pid, bundle, place_again(uid));
}

// Puts an app in front of the other records of its uid, and a process behind the first one.
void Table::link(Row row, const Place& place) noexcept {
    const Row first = place.row;
    Links& own = links_[row];
    if (is_app(row)) {
        uids_.replace(records_[row].uid, place, row);
        own.next = first;
        links_[first].previous = row;
        return;
    }
    own = {links_[first].next, first};
    links_[first].next = row;
    if (own.next != no_row) links_[own.next].previous = row;
}

// Takes it out of the list of its uid, and of the indexes.
void Table::remove_linked(Row row, const Record& record) noexcept {
    const std::uint32_t uid = record.uid;
    const Row next = next_of_uid(row);
    const Row previous = previous_of_uid(row);
    if (next != no_row) links_[next].previous = previous;
    if (previous != no_row) {
        links_[previous].next = next;
    } else if (next != no_row) {
        uids_.replace(uid, place_of_uid(uid), next);
    } else {
        uids_.erase(uid, row, nullptr, uid_of());
    }
    if (record.kind == OwnerKind::process) pids_.erase(record.pid, row, nullptr, pid_of());
}

// What is wrong with one live record, seen from its row; null when nothing is.
const char* Table::first_broken_record(Row row) const noexcept {
    const Record& record = records_[row];
    const Mask mask = masks_[row];
    if ((mask & ~rules.all) != 0) return "table: mask out of range";
    if (mask != record.mask) return "table: mask of a record";
    if ((record.persist_mask & ~mask) != 0) return "table: persistent type that is not held";
    if (record.cpu_level != default_level && (mask & rules.levelled) == 0) return "table: cpu level without CPU";
    if (find(owner(row)) != row) return "table: record not in the index";
    const Row next = next_of_uid(row);
    const Row previous = previous_of_uid(row);
    if (previous == no_row) {
        if (first_of(records_[row].uid) != row) return "table: first record of a uid";
    } else if (is_app(row)) {
        return "table: app that is not the first record of its uid";
    } else if (next_of_uid(previous) != row) {
        return "table: link of the records of a uid";
    }
    if (next != no_row && (is_app(next) || records_[next].uid != records_[row].uid)) {
        return "table: record in the list of another uid";
    }
    if (!is_app(row) && (mask & ~rules.per_process) != 0) return "table: process record with more than CPU";
    return nullptr;
}

std::size_t Table::passed() const noexcept { return uids_.passed(uid_of()) + pids_.passed(pid_of()); }

bool Table::validate(const char** reason) const noexcept {
    const auto broken = [&](const char* what) {
        *reason = what;
        return false;
    };
    std::size_t records[2]{};
    std::size_t grants[2][type_count]{};
    for (Row row = 0; row < end(); ++row) {
        if (masks_[row] == 0) continue;
        if (const char* what = first_broken_record(row)) return broken(what);
        const std::size_t kind = at(records_[row].kind);
        ++records[kind];
        for_each_type(masks_[row], [&](int type) { ++grants[kind][type]; });
    }
    std::size_t indexed = 0;
    std::size_t uids = 0;
    uids_.for_each([&](Row row) {
        ++uids;
        for (; row != no_row && indexed <= size(); row = next_of_uid(row)) ++indexed;
    });
    if (indexed != size()) return broken("table: records reached by uid");
    if (uids_.count() != uids) return broken("table: number of uids");
    if (pids_.count() != record_count_[at(OwnerKind::process)]) return broken("table: number of pids");
    for (std::size_t kind = 0; kind < 2; ++kind) {
        if (records[kind] != record_count_[kind]) return broken("table: number of records");
        for (int type = 0; type < type_count; ++type) {
            if (grants[kind][type] != grant_count_[kind][type]) return broken("table: number of grants of a type");
        }
    }
    std::size_t free = 0;
    for (Row row = free_; row != no_row && free <= end(); row = records_[row].uid) {
        if (masks_[row] != 0) return broken("table: free row that holds something");
        ++free;
    }
    if (free != free_count_ || free + size() != end()) return broken("table: free rows");
    return true;
}

}  // namespace grantwheel
