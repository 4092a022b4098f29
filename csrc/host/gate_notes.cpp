// Writes of notes, by whatever a gate has: a log or none.
#include <memory>
#include <utility>

#include "grantwheel/op.hpp"
#include "host/gate_parts.hpp"

namespace grantwheel {

// The memory is taken before the write is on record.
Staged Gate::stage_notes(const NoteChanges& changes) noexcept {
    if (!changes.are_sound()) return {Status::argument_invalid};
    if (const Status status = parts_->check_open(); status != Status::ok) return {status};
    if (changes.kept_bytes() > max_notes_bytes) return {Status::out_of_memory};
    const std::size_t size = notes_size(changes, latest_);
    if (size > max_batch_bytes || !parts_->make_room(size, 0)) return {Status::out_of_memory};
    std::unique_ptr<NoteWrite> write = manager_->engine().prepare_notes(changes);
    if (write == nullptr) return {Status::out_of_memory};
    const auto encode_it = [&](std::span<std::byte> out) { return encode_notes(changes, latest_, out); };
    if (parts_->is_behind) {
        Staged staged;
        ++parts_->open.changes;
        parts_->came(parts_->open.write_op(encode_it));
        staged.answer.status = parts_->executed({manager_->engine().write_notes(*write, latest_), 0}).status;
        parts_->tell();
        return staged;
    }
    const std::uint32_t place = parts_->add(Entry::Kind::notes, nullptr);
    if (place == no_entry) return {Status::out_of_memory};
    parts_->entries[place].notes = write.release();
    ++parts_->open.changes;
    parts_->open.write_op(encode_it);
    Staged staged = parts_->staged(place);
    if (parts_->is_immediate) {
        static_cast<void>(take(staged.ticket, staged.answer));
        staged.ticket = {};
    }
    return staged;
}

Answer Gate::write_notes(const NoteChanges& changes) noexcept {
    mutex_.lock();
    Answer answer{.status = enter()};
    if (answer.status == Status::ok && parts_ == nullptr) {
        answer.status = closed_ ? Status::not_connected : manager_->engine().write_notes(changes, latest_);
    } else if (answer.status == Status::ok) {
        const Staged staged = stage_notes(changes);
        answer.status = staged.status;
        if (staged.status == Status::ok) answer = staged.is_answered() ? staged.answer : await_locked(staged.ticket);
    }
    mutex_.unlock();
    return answer;
}

void Gate::Parts::execute_notes(Entry& entry) noexcept {
    const std::unique_ptr<NoteWrite> write(std::exchange(entry.notes, nullptr));
    entry.answer.status = executed({gate.manager_->engine().write_notes(*write, entry.now), 0}).status;
}

}  // namespace grantwheel
