#include <algorithm>

#include "core/engine_parts.hpp"

namespace grantwheel {

namespace {

// Keeps the first owners of all that are added, as many as fit; sorts them at the end.
class FirstOwners {
public:
    explicit FirstOwners(std::span<Owner> out) noexcept : out_(out) {}

    void add(const Owner& owner) noexcept {
        if (count_ < out_.size()) {
            out_[count_++] = owner;
            if (count_ == out_.size()) std::make_heap(out_.begin(), out_.end());
        } else if (!out_.empty() && owner < out_.front()) {
            std::pop_heap(out_.begin(), out_.end());
            out_.back() = owner;
            std::push_heap(out_.begin(), out_.end());
        }
    }
    [[nodiscard]] std::size_t sort() noexcept {
        std::sort(out_.begin(), out_.begin() + static_cast<std::ptrdiff_t>(count_));
        return count_;
    }

private:
    std::span<Owner> out_;
    std::size_t count_ = 0;
};

}  // namespace

Mask Engine::Parts::mask_looked_at(Row row, Instant at) const noexcept {
    Mask mask = table.mask(row);
    for_each_type(mask, [&](int type) {
        if (table.grant(row, type).deadline <= at) mask &= ~type_bit(type);
    });
    return mask;
}

// What most reads ask for needs no frame, as applies that renew do not; anything else goes on elsewhere.
Result Engine::mask(Owner owner, Instant now) const noexcept {
    if (const Status status = parts_->check_time(now); status != Status::ok) return {status, 0};
    if (owner.kind != OwnerKind::app) return parts_->mask_of(owner, now);
    const Table::Place place = parts_->table.place_at_once(owner.key);
    if (place.row == no_row) return place.entry == Table::nowhere ? parts_->mask_of(owner, now) : Result{};
    const Record& record = parts_->table.record(place.row);
    if (record.kind != OwnerKind::app || record.armed <= now) return parts_->mask_of(owner, now);
    return {Status::ok, record.mask};
}

Result Engine::Parts::mask_of(Owner owner, Instant at) const noexcept {
    const Row row = table.find(owner);
    return {Status::ok, row == no_row ? 0 : mask_at(row, at)};
}

void Engine::prefetch_index(std::uint32_t uid) const noexcept { parts_->table.prefetch_index({OwnerKind::app, uid}); }
void Engine::prefetch_app(std::uint32_t uid, Mask mask) const noexcept { parts_->table.prefetch_app(uid, mask); }
void Engine::prefetch_at_once(std::uint32_t uid, Mask mask) const noexcept {
    parts_->table.prefetch_app_at_once(uid, mask);
}

Status Engine::find(Owner owner, Instant now, RecordView& view) const noexcept {
    view = RecordView{};
    view.owner = owner;
    if (const Status status = parts_->check_time(now); status != Status::ok) return status;
    const Table& table = parts_->table;
    const Row row = table.find(owner);
    if (row == no_row) return Status::ok;
    const Record& record = table.record(row);
    view.mask = parts_->mask_at(row, now);
    if (view.mask == 0) return Status::ok;
    view.uid = record.uid;
    view.pid = record.pid;
    view.cpu_level = (view.mask & rules.levelled) != 0 ? record.cpu_level : static_cast<std::int8_t>(default_level);
    view.bundle = parts_->strings.text(record.bundle);
    if (record.kind == OwnerKind::process) view.applied = table.applied(row);
    for_each_type(view.mask, [&](int type) {
        const bool is_persist = (record.persist_mask & type_bit(type)) != 0;
        const Grant& grant = table.grant(row, type);
        view.grants[view.grant_count++] = {type_bit(type), is_persist, grant.timeout_ms, grant.deadline,
                                           parts_->strings.text(grant.reason)};
    });
    return Status::ok;
}

Status Engine::owners_of(std::uint32_t uid, Instant now, std::span<Owner> out, std::size_t& total) const noexcept {
    total = 0;
    if (const Status status = parts_->check_time(now); status != Status::ok) return status;
    const Table& table = parts_->table;
    FirstOwners first(out);
    const auto add = [&](Row row) {
        if (parts_->mask_at(row, now) == 0) return;
        first.add(table.owner(row));
        ++total;
    };
    if (const Row app = table.find_app(uid); app != no_row) add(app);
    for (Row row = table.first_process(uid); row != no_row; row = table.next_of_uid(row)) add(row);
    static_cast<void>(first.sort());
    return Status::ok;
}

Status Engine::owners(Mask mask, const Owner* after, Instant now, std::span<Owner> out, std::size_t& count) noexcept {
    count = 0;
    if (const Status status = parts_->begin(now); status != Status::ok) return status;
    parts_->advance();
    const Table& table = parts_->table;
    FirstOwners first(out);
    table.for_each_holder(mask & rules.all, [&](Row row) {
        const Owner owner = table.owner(row);
        if (after == nullptr || owner > *after) first.add(owner);
    });
    count = first.sort();
    return Status::ok;
}

ScanResult Engine::scan(Mask mask, Instant now, std::size_t place, std::span<Owner> out) const noexcept {
    ScanResult result;
    result.status = parts_->check_time(now);
    if (result.status != Status::ok) return result;
    const Table& table = parts_->table;
    const std::size_t end = table.end();
    result.next = place + std::min(out.size(), end - std::min(place, end));
    result.more = result.next < end;
    for (Row row = static_cast<Row>(place); row < result.next; ++row) {
        if ((table.mask(row) & mask) != 0 && (parts_->mask_at(row, now) & mask) != 0) {
            out[result.count++] = table.owner(row);
        }
    }
    return result;
}

std::size_t Engine::record_count(OwnerKind kind) const noexcept { return parts_->table.record_count(kind); }

Status Engine::count(Mask type, Instant now, std::size_t& count) noexcept {
    count = 0;
    if (const Status status = parts_->begin(now); status != Status::ok) return status;
    parts_->advance();
    const Table& table = parts_->table;
    for_each_type(type & rules.all, [&](int index) {
        count += table.grant_count(OwnerKind::app, index) + table.grant_count(OwnerKind::process, index);
    });
    return Status::ok;
}

std::size_t Engine::most_owners(Mask mask) const noexcept {
    const Table& table = parts_->table;
    std::size_t grants = 0;
    for_each_type(mask & rules.all, [&](int index) {
        grants += table.grant_count(OwnerKind::app, index) + table.grant_count(OwnerKind::process, index);
    });
    return std::min(grants, table.size());
}

const Limits& Engine::limits() const noexcept { return parts_->limits; }

std::size_t Engine::room_for_records() const noexcept { return parts_->limits.max_records - parts_->table.size(); }

std::size_t Engine::room_for_strings() const noexcept {
    return parts_->limits.max_strings - parts_->strings.used_count();
}

Status Engine::stats(Instant now, Stats& stats) noexcept {
    stats = {};
    if (const Status status = parts_->begin(now); status != Status::ok) return status;
    parts_->advance();
    count_all(stats);
    return Status::ok;
}

void Engine::count_all(Stats& stats) const noexcept {
    const Parts& parts = *parts_;
    stats.app_records = parts.table.record_count(OwnerKind::app);
    stats.process_records = parts.table.record_count(OwnerKind::process);
    for (int type = 0; type < type_count; ++type) {
        stats.app_grants[type] = parts.table.grant_count(OwnerKind::app, type);
        stats.process_grants[type] = parts.table.grant_count(OwnerKind::process, type);
    }
    stats.granted = parts.granted;
    stats.renewed = parts.renewed;
    std::copy(std::begin(parts.ended), std::end(parts.ended), std::begin(stats.ended));
    stats.strings = parts.strings.used_count();
    stats.last_sequence = parts.events.last();
}

EventsRead Engine::read(std::uint64_t after, std::span<Event> out) const noexcept {
    const Events& events = parts_->events;
    EventsRead result;
    std::uint64_t sequence = after + 1;
    if (after >= events.last()) return result;
    if (sequence < events.first()) {
        result.missed = events.first() - sequence;
        sequence = events.first();
    }
    for (; sequence <= events.last() && result.count < out.size(); ++sequence) {
        const StoredEvent& event = events.at(sequence);
        out[result.count++] = {sequence,      event.time,      event.uid,
                               event.pid,     event.mask,      event.kind(),
                               event.cause(), event.cpu_level, parts_->strings.text(event.bundle)};
    }
    return result;
}

std::uint64_t Engine::last_sequence() const noexcept { return parts_->events.last(); }
std::uint64_t Engine::first_sequence() const noexcept { return parts_->events.first(); }

}  // namespace grantwheel
