#include <algorithm>
#include <bit>
#include <utility>

#include "core/engine_parts.hpp"

namespace grantwheel {

Status Engine::set_mark(const Mark& mark) noexcept {
    if (mark.boot_ms > max_now) return Status::time_out_of_range;
    if (const Status status = parts_->begin(mark.now); status != Status::ok) return status;
    parts_->mark = mark;
    parts_->has_mark = true;
    return Status::ok;
}

const Mark* Engine::mark() const noexcept { return parts_->has_mark ? &parts_->mark : nullptr; }

Status Engine::write_notes(const NoteChanges& changes, Instant now) noexcept {
    if (!changes.are_sound()) return Status::argument_invalid;
    if (const Status status = parts_->begin(now); status != Status::ok) return status;
    if (changes.kept_bytes() > max_notes_bytes) return Status::out_of_memory;  // before memory is taken for them
    const std::unique_ptr<NoteWrite> write = prepare_notes(changes);
    parts_->lacked_memory = write == nullptr;
    return write == nullptr ? Status::out_of_memory : parts_->notes.write(*write);
}

std::unique_ptr<NoteWrite> Engine::prepare_notes(const NoteChanges& changes) noexcept {
    return parts_->notes.reserve() ? NoteWrite::create(changes) : nullptr;
}

Status Engine::write_notes(NoteWrite& write, Instant now) noexcept {
    if (const Status status = parts_->begin(now); status != Status::ok) return status;
    parts_->lacked_memory = !parts_->notes.reserve();  // which another engine may have prepared
    return parts_->lacked_memory ? Status::out_of_memory : parts_->notes.write(write);
}

std::size_t Engine::note_count() const noexcept { return parts_->notes.size(); }
std::size_t Engine::note_bytes() const noexcept { return parts_->notes.bytes(); }
Note Engine::note(std::size_t place) const noexcept { return parts_->notes.note(place); }

Status Engine::set_limits(const Limits& limits, Instant now) noexcept {
    Limits checked = limits;
    checked.reserve = 0;
    if (checked.first_invalid() != nullptr) return Status::argument_invalid;
    if (const Status status = parts_->begin(now); status != Status::ok) return status;
    return parts_->set_limits(checked);
}

RecoveryResult Engine::recover(const Keys& apps, const Keys& processes, Instant now) noexcept {
    if (!apps.ascend_to(max_uid) || !processes.ascend_to(max_pid)) return {Status::argument_invalid};
    if (const Status status = parts_->begin(now); status != Status::ok) return {status};
    RecoveryResult result;
    const auto drop = [&](Row row, Mask mask) {
        const Mask held = row == no_row ? 0 : parts_->table.mask(row) & mask;
        if (held == 0) return;
        result.ended += static_cast<std::size_t>(std::popcount(held));
        ++result.records;
        parts_->drop_silently(row, held);
    };
    for (std::size_t i = 0; i < processes.size(); ++i) drop(parts_->table.find_process(processes[i]), rules.all);
    for (std::size_t i = 0; i < apps.size(); ++i) drop(parts_->table.find_app(apps[i]), rules.mortal());
    return result;
}

// Takes the memory for other events first: what is ended on the way may not be for nothing.
Status Engine::Parts::set_limits(const Limits& wanted) noexcept {
    Events others;
    const bool needs_others = wanted.event_capacity != limits.event_capacity;
    lacked_memory = needs_others && !others.open(wanted.event_capacity);
    if (lacked_memory) return Status::out_of_memory;
    while (table.size() > wanted.max_records || strings.used_count() > wanted.max_strings) {
        if (!end_one()) return Status::out_of_memory;
    }
    if (needs_others) keep_events_in(others);
    const std::uint32_t reserve = std::min(limits.reserve, wanted.max_records);
    limits = wanted;
    limits.reserve = reserve;
    return Status::ok;
}

// Goes on with another ring, which has room for some of the last events.
void Engine::Parts::keep_events_in(Events& others) noexcept {
    const std::uint64_t kept = std::max(events.first(), others.first_of(events.last()));
    for (std::uint64_t sequence = events.first(); sequence < kept; ++sequence) {
        strings.unpin(events.at(sequence).bundle);
    }
    others.begin_after(kept - 1);
    for (std::uint64_t sequence = kept; sequence <= events.last(); ++sequence) others.add() = events.at(sequence);
    std::swap(events, others);
}

// What is being ended has its timer at that instant and in no slot, and is ended for good there: a record that stays and is
// not due then gets a timer.
void Engine::Parts::drop_silently(Row row, Mask mask) noexcept {
    const bool stays = mask != table.mask(row);
    drop_types(row, mask, Cause::recovered);
    if (stays && is_popped(row) && earliest(row) != ending) wheel.arm(table.records(), row, earliest(row));
}

}  // namespace grantwheel
