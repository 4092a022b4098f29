#include "core/table.hpp"

namespace grantwheel {

bool Table::make_room(std::uint32_t uid, std::size_t apps, std::size_t processes) noexcept {
    const std::size_t more = apps + processes;
    const std::size_t rows = masks_.size() + (more > free_count_ ? more - free_count_ : 0);
    return records_.reserve(rows) && details_.reserve(rows) && masks_.reserve(rows) &&
           uids_.reserve(uids_.count() + (uid_slot(uid) == nullptr ? 1 : 0)) &&
           pids_.reserve(pids_.count() + processes);
}

bool Table::reserve(std::size_t apps) noexcept {
    if (!records_.reserve(apps) || !details_.reserve(apps) || !masks_.reserve(apps) || !uids_.reserve(apps))
        return false;
    records_.touch();
    details_.touch();
    masks_.touch();
    return true;
}

void Table::prefetch_index(Owner owner) const noexcept {
    if (owner.kind == OwnerKind::app) {
        uids_.prefetch_slot(mix(owner.key));
    } else {
        pids_.prefetch_slot(mix(owner.key));
    }
}

void Table::prefetch_row(Row row) const noexcept {
    const Details& details = details_[row];
    prefetch(&records_[row]);
    prefetch(&details);
    prefetch(&details.bundle);
}

const Table::UidSlot* Table::uid_slot(std::uint32_t uid) const noexcept {
    return uids_.find(mix(uid), [&](const UidSlot& slot) { return slot.uid == uid; });
}

const Table::PidSlot* Table::pid_slot(std::uint32_t pid) const noexcept {
    return pids_.find(mix(pid), [&](const PidSlot& slot) { return slot.pid == pid; });
}

Row Table::find_app(std::uint32_t uid) const noexcept {
    const UidSlot* slot = uid_slot(uid);
    return slot == nullptr ? no_row : slot->app;
}

Row Table::find_process(std::uint32_t pid) const noexcept {
    const PidSlot* slot = pid_slot(pid);
    return slot == nullptr ? no_row : slot->row;
}

Row Table::find(Owner owner) const noexcept {
    return owner.kind == OwnerKind::app ? find_app(owner.key) : find_process(owner.key);
}

Row Table::first_process(std::uint32_t uid) const noexcept {
    const UidSlot* slot = uid_slot(uid);
    return slot == nullptr ? no_row : slot->process;
}

std::uint32_t Table::uid(Row row) const noexcept {
    return records_[row].kind == OwnerKind::app ? records_[row].key : details_[row].other;
}

std::uint32_t Table::pid(Row row) const noexcept {
    return records_[row].kind == OwnerKind::app ? details_[row].other : records_[row].key;
}

Row Table::add(OwnerKind kind, std::uint32_t uid, std::uint32_t pid, TextId bundle) noexcept {
    const bool is_app = kind == OwnerKind::app;
    Row row = free_;
    if (row != no_row) {
        free_ = records_[row].next;
        --free_count_;
    } else {
        row = static_cast<Row>(masks_.size());
        records_.push({});
        details_.push({});
        masks_.push(0);
    }
    records_[row] = {no_deadline, {}, is_app ? uid : pid, no_row, no_row, 0, 0, 0, kind, default_level};
    details_[row] = {{}, bundle, is_app ? pid : uid, no_row, no_row};
    ++record_count_[at(kind)];
    if (!is_app) {
        link_process(row, uid, pid);
    } else if (auto* slot = const_cast<UidSlot*>(uid_slot(uid))) {
        slot->app = row;
    } else {
        uids_.insert({uid, row, no_row});
    }
    return row;
}

void Table::link_process(Row row, std::uint32_t uid, std::uint32_t pid) noexcept {
    pids_.insert({pid, row});
    auto* slot = const_cast<UidSlot*>(uid_slot(uid));
    if (slot == nullptr) {
        uids_.insert({uid, no_row, row});
        return;
    }
    details_[row].next_process = slot->process;
    if (slot->process != no_row) details_[slot->process].previous_process = row;
    slot->process = row;
}

void Table::unlink_process(Row row) noexcept {
    const Details& gone = details_[row];
    if (gone.next_process != no_row) details_[gone.next_process].previous_process = gone.previous_process;
    if (gone.previous_process != no_row) details_[gone.previous_process].next_process = gone.next_process;
    pids_.erase(const_cast<PidSlot*>(pid_slot(records_[row].key)));
}

void Table::remove(Row row) noexcept {
    const OwnerKind kind = records_[row].kind;
    auto* slot = const_cast<UidSlot*>(uid_slot(uid(row)));
    UidSlot left = *slot;
    if (kind == OwnerKind::app) {
        left.app = no_row;
    } else {
        unlink_process(row);
        if (left.process == row) left.process = details_[row].next_process;
    }
    if (left.used()) {
        *slot = left;
    } else {
        uids_.erase(slot);
    }
    --record_count_[at(kind)];
    records_[row].next = free_;
    free_ = row;
    ++free_count_;
}

void Table::set_mask(Row row, Mask mask) noexcept {
    Record& record = records_[row];
    const Mask old = record.mask;
    if (mask == old) return;
    auto& counts = grant_count_[at(record.kind)];
    for_each_type(mask & ~old, [&](int type) { ++counts[type]; });
    for_each_type(old & ~mask, [&](int type) { --counts[type]; });
    record.mask = static_cast<std::uint16_t>(mask);
    masks_[row] = record.mask;
}

// What is wrong with one live record, seen from its row; null when nothing is.
const char* Table::first_broken_record(Row row) const noexcept {
    const Record& record = records_[row];
    const Mask mask = masks_[row];
    if ((mask & ~type::ALL) != 0) return "table: mask out of range";
    if (mask != record.mask) return "table: mask of a record";
    if ((record.persistent & ~mask) != 0) return "table: persistent type that is not held";
    if (record.cpu_level != default_level && (mask & type::CPU) == 0) return "table: cpu level without CPU";
    if (find(owner(row)) != row) return "table: record not in the index";
    if (record.kind == OwnerKind::app) return nullptr;
    if ((mask & ~type::CPU) != 0) return "table: process record with more than CPU";
    const Details& own = details_[row];
    if (own.previous_process == no_row) {
        if (first_process(own.other) != row) return "table: head of the processes of a uid";
    } else if (details_[own.previous_process].next_process != row) {
        return "table: link of the processes of a uid";
    }
    if (own.next_process != no_row && details_[own.next_process].other != own.other) {
        return "table: process in the list of another uid";
    }
    return nullptr;
}

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
    for (const UidSlot& slot : uids_.slots()) {
        if (!slot.used()) continue;
        if (slot.app != no_row) ++indexed;
        for (Row row = slot.process; row != no_row && indexed <= size(); row = details_[row].next_process) ++indexed;
    }
    if (indexed != size()) return broken("table: records reached by uid");
    if (pids_.count() != record_count_[at(OwnerKind::process)]) return broken("table: number of pids");
    for (std::size_t kind = 0; kind < 2; ++kind) {
        if (records[kind] != record_count_[kind]) return broken("table: number of records");
        for (int type = 0; type < type_count; ++type) {
            if (grants[kind][type] != grant_count_[kind][type]) return broken("table: number of grants of a type");
        }
    }
    std::size_t free = 0;
    for (Row row = free_; row != no_row && free <= end(); row = records_[row].next) {
        if (masks_[row] != 0) return broken("table: free row that holds something");
        ++free;
    }
    if (free != free_count_ || free + size() != end()) return broken("table: free rows");
    return true;
}

}  // namespace grantwheel
