// Notes: writing them, reading them, and ops of them.
#include <memory>
#include <mutex>
#include <new>
#include <span>

#include "capi/gate.hpp"
#include "capi/handle.hpp"
#include "capi/values.hpp"
#include "grantwheel/gate.h"
#include "grantwheel/op.hpp"

using namespace grantwheel;
using namespace grantwheel::capi;

namespace {

// Calls `work(changes)`, which answers a Status, with what the host has given.
template <typename Work>
Status with_changes(const gw_note* notes, std::size_t count, Work&& work) noexcept {
    if (notes == nullptr || count == 0 || count > max_notes) return Status::argument_invalid;
    const std::unique_ptr<Note[]> changes(new (std::nothrow) Note[count]);  // NOLINT(modernize-avoid-c-arrays)
    if (changes == nullptr) return Status::out_of_memory;
    for (std::size_t i = 0; i < count; ++i) {
        const bool has_value = notes[i].has_value != 0;
        if (!is_valid(notes[i].key) || (has_value && !is_valid(notes[i].value))) return Status::argument_invalid;
        changes[i].key = to_view(notes[i].key);
        changes[i].has_value = has_value;
        if (has_value) changes[i].value = to_view(notes[i].value);
    }
    return work(NoteChanges(std::span<const Note>(changes.get(), count)));
}

gw_note to_note(const Note& note) noexcept {
    return {to_text(note.key), to_text(note.value), static_cast<std::uint8_t>(note.has_value ? 1 : 0)};
}

}  // namespace

// They end nothing, and leave nothing to settle.
gw_status gw_write_notes(gw_manager* manager, uint64_t now, const gw_note* notes, size_t count) noexcept {
    return change(manager, [&](gw_manager& open) {
        Engine& engine = open.manager->engine();
        return with_changes(notes, count, [&](const NoteChanges& changes) { return engine.write_notes(changes, now); });
    });
}

gw_status gw_gate_write_notes(gw_gate* gate, const gw_note* notes, size_t count) noexcept {
    if (gate == nullptr) return GW_ARGUMENT_INVALID;
    const auto write = [&](const NoteChanges& changes) { return gate->gate->write_notes(changes).status; };
    const Status status = with_changes(notes, count, write);
    if (gate->gate->has_log()) {  // the group may have had more in it
        const std::scoped_lock lock(*gate->gate);
        settle(*gate);
    }
    return code(status);
}

gw_status gw_notes(const gw_manager* manager, gw_note* notes, size_t capacity, size_t* count) noexcept {
    return look(manager, [&](const Manager& open) {
        if (count == nullptr || (notes == nullptr && capacity != 0)) return Status::argument_invalid;
        const Engine& engine = open.engine();
        *count = engine.note_count();
        for (std::size_t i = 0; i < *count && i < capacity; ++i) notes[i] = to_note(engine.note(i));
        return Status::ok;
    });
}

gw_status gw_decode_notes(const void* bytes, size_t size, gw_note* notes, size_t capacity, size_t* count) noexcept {
    const bool are_there = (bytes != nullptr || size == 0) && (notes != nullptr || capacity == 0);
    if (!are_there || count == nullptr) return GW_ARGUMENT_INVALID;
    const Decoded decoded = decode({static_cast<const std::byte*>(bytes), size});
    if (decoded.status != Status::ok) return code(decoded.status);
    if (decoded.op.kind != OpKind::notes) return GW_ARGUMENT_INVALID;
    *count = decoded.op.notes.size();
    std::size_t place = 0;
    decoded.op.notes.for_each([&](const Note& note) {
        if (place < capacity) notes[place++] = to_note(note);
    });
    return GW_OK;
}
