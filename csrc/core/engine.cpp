#include "grantwheel/engine.hpp"

#include "core/engine_changes.hpp"

namespace grantwheel {

const char* Limits::first_invalid() const noexcept {
    constexpr std::uint32_t most = INT32_MAX;
    if (max_records == 0 || max_records > most) return "max_records";
    if (max_strings == 0 || max_strings > most) return "max_strings";
    if (event_capacity == 0 || event_capacity > most) return "event_capacity";
    if (reserve > max_records) return "reserve";
    return nullptr;
}

Engine::Engine(std::unique_ptr<Parts> parts) noexcept : parts_(std::move(parts)) {}
Engine::~Engine() = default;

std::unique_ptr<Engine> Engine::create(const Limits& limits, const HashKey& key) noexcept {
    if (limits.first_invalid() != nullptr) return nullptr;
    std::unique_ptr<Parts> parts(new (std::nothrow) Parts(key));
    if (parts == nullptr || !parts->events.open(limits.event_capacity)) return nullptr;
    parts->limits = limits;
    if (!parts->table.reserve(limits.reserve) || !parts->reserve_places()) return nullptr;
    parts->wheel.touch(limits.reserve);
    return std::unique_ptr<Engine>(new (std::nothrow) Engine(std::move(parts)));
}

Result Engine::execute(const Command& command, Instant now) noexcept {
    if (const Status status = parts_->begin(now); status != Status::ok) return {status, 0};
    if (command.kind == CommandKind::apply) return parts_->apply(command);
    if (command.kind == CommandKind::release) return parts_->release(command);
    return parts_->end(command);
}

AdvanceResult Engine::advance(Instant now, std::size_t budget) noexcept {
    if (const Status status = parts_->begin(now); status != Status::ok) return {status, 0, false};
    return parts_->advance({.endings = budget, .looks = budget});
}

AdvanceResult Engine::end(Instant now, std::uint64_t records) noexcept {
    if (const Status status = parts_->begin(now); status != Status::ok) return {status, 0, false};
    return parts_->advance({.endings = records});
}

Looked Engine::look(Instant now, std::size_t budget) noexcept {
    if (const Status status = parts_->begin(now); status != Status::ok) return {status};
    const bool stopped = parts_->advance({.endings = 0, .looks = budget}).more;
    const bool is_due = stopped && parts_->ends_next();
    return {Status::ok, is_due, stopped && !is_due};
}

Status Engine::next_deadline(Instant now, Instant& deadline) noexcept {
    if (const Status status = parts_->begin(now); status != Status::ok) return status;
    parts_->advance();
    static_cast<void>(parts_->next_deadline(SIZE_MAX, deadline));
    return Status::ok;
}

bool Engine::find_deadline(std::size_t looks, Instant& deadline) noexcept {
    const bool is_due = wake_at() <= parts_->now;
    return !is_due && parts_->next_deadline(looks, deadline);
}

Instant Engine::wake_at() const noexcept {
    Wheel::Slot slot;
    if (parts_->timed == 0) return no_deadline;
    if (!parts_->due.empty()) return parts_->ending;
    return parts_->wheel.first(slot) ? slot.start : no_deadline;
}

bool Engine::reserve(const Needs& needs) noexcept {
    return parts_->table.reserve_more(needs.apps, needs.processes, needs.types, parts_->limits.max_records) &&
           (parts_->has_places() || parts_->reserve_places()) && parts_->strings.reserve(needs.texts, needs.text_bytes);
}

bool Engine::lacked_memory() const noexcept { return parts_->lacked_memory; }
Instant Engine::now() const noexcept { return parts_->now; }

bool Engine::track_cpu_ended(bool track) noexcept {
    if (track && !parts_->cpu_ended.reserve(parts_->table.capacity() + 1)) return false;
    parts_->tracks_cpu_ended = track;
    parts_->cpu_ended.clear();
    return true;
}

std::span<const std::uint32_t> Engine::cpu_ended() const noexcept {
    return {parts_->cpu_ended.data(), parts_->cpu_ended.size()};
}

Status Engine::check_time(Instant now) const noexcept { return parts_->check_time(now); }

Status Engine::Parts::check_time(Instant at) const noexcept {
    if (at < now) return Status::time_backwards;
    return at > max_now ? Status::time_out_of_range : Status::ok;
}

Status Engine::Parts::begin(Instant at) noexcept {
    cpu_ended.clear();
    lacked_memory = false;
    const Status status = check_time(at);
    if (status == Status::ok) now = at;
    return status;
}

bool Engine::Parts::reserve_places() noexcept {
    const std::size_t rows = table.capacity();
    if (!scratch.reserve(rows) || !due.reserve(rows) || !wheel.reserve(rows)) return false;
    if (tracks_cpu_ended && !cpu_ended.reserve(rows + 1)) return false;
    places = rows;
    return true;
}

void Engine::Parts::remove_types(Row row, Mask mask, Cause cause, Instant time) noexcept {
    remove_types(row, table.record(row), mask, cause, time);
}

void Engine::Parts::drop_types(Row row, Mask mask, Cause cause) noexcept {
    take_types(row, table.record(row), mask, cause);
}

}  // namespace grantwheel
