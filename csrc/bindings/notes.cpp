// Notes as mappings of bytes: what a manager is asked to write, what it and a follower have, and ops of them.
#include <algorithm>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "bindings/calls.hpp"
#include "bindings/clocks.hpp"
#include "bindings/follower.hpp"
#include "bindings/notes.hpp"
#include "grantwheel/op.hpp"

namespace grantwheel::bindings {

namespace {

std::string_view view_of(PyObject* bytes) {
    return {PyBytes_AS_STRING(bytes), static_cast<std::size_t>(PyBytes_GET_SIZE(bytes))};
}

std::string_view note_key(const py::handle& key) {
    if (PyBytes_Check(key.ptr()) == 0) {
        throw py::type_error(std::string("a key of changes must be bytes, not ") + Py_TYPE(key.ptr())->tp_name);
    }
    const std::string_view bytes = view_of(key.ptr());
    if (!bytes.empty() && bytes.size() <= max_note_key_bytes) return bytes;
    throw py::value_error("a key of changes must have 1.." + std::to_string(max_note_key_bytes) + " bytes, and has " +
                          std::to_string(bytes.size()));
}

std::string_view note_value(const py::handle& value) {
    if (PyBytes_Check(value.ptr()) == 0) {
        throw py::type_error(std::string("a value of changes must be bytes or None, not ") +
                             Py_TYPE(value.ptr())->tp_name);
    }
    const std::string_view bytes = view_of(value.ptr());
    if (bytes.size() <= max_note_value_bytes) return bytes;
    throw py::value_error("a value of changes must have at most " + std::to_string(max_note_value_bytes) +
                          " bytes, and has " + std::to_string(bytes.size()));
}

// The changes of a mapping, in the order of their keys, as long as this lives.
class GivenNotes {
public:
    explicit GivenNotes(const py::object& changes) {
        if (!py::isinstance(changes, vocabulary().mapping_type)) {
            throw py::type_error(std::string("changes must be a Mapping, not ") + Py_TYPE(changes.ptr())->tp_name);
        }
        for (const py::handle item : py::iter(call_method(changes, "items")))
            add(py::reinterpret_borrow<py::object>(item));
        std::sort(notes_.begin(), notes_.end(), [](const Note& one, const Note& other) { return one.key < other.key; });
        if (notes_.size() > max_notes) {
            throw py::value_error("changes must be of at most " + std::to_string(max_notes) + " notes, and are of " +
                                  std::to_string(notes_.size()));
        }
        if (!notes_.empty() && !NoteChanges(notes_).are_sound()) {
            throw py::value_error("changes must have no key twice");
        }
    }

    [[nodiscard]] bool empty() const noexcept { return notes_.empty(); }
    [[nodiscard]] NoteChanges changes() const noexcept { return NoteChanges(notes_); }

private:
    void add(const py::object& item) {
        const py::tuple pair = item;
        if (pair.size() != 2) throw py::type_error("items() of changes must give pairs");
        const py::object key = pair[0];
        const py::object value = pair[1];
        const std::string_view bytes = value.is_none() ? std::string_view() : note_value(value);
        notes_.push_back({note_key(key), bytes, !value.is_none()});
        held_.push_back(pair);
    }

    std::vector<py::object> held_;
    std::vector<Note> notes_;
};

using OwnedNotes = std::vector<std::pair<std::string, std::string>>;

OwnedNotes copy_notes(const Engine& engine) {
    OwnedNotes notes;
    notes.reserve(engine.note_count());
    for (std::size_t i = 0; i < engine.note_count(); ++i) {
        const Note note = engine.note(i);
        notes.emplace_back(note.key, note.value);
    }
    return notes;
}

py::dict dict_of(const OwnedNotes& notes) {
    py::dict result;
    for (const auto& [key, value] : notes) result[py::bytes(key)] = py::bytes(value);
    return result;
}

void write_notes(Shell& shell, const py::object& changes) {
    const GivenNotes given(changes);
    try {
        if (given.empty()) {
            static_cast<void>(shell.lock());
        } else {
            shell.write_notes(given.changes());
        }
    } catch (Refusal& refusal) {
        shell.tally().refusals.note(refusal.status());
        if (refusal.status() == Status::out_of_memory) {
            static_cast<void>(refusal.with_rule(
                "the notes may be " + std::to_string(max_notes) + ", of " + std::to_string(max_notes_bytes) +
                " bytes in all, and there must be memory and room in the log for them"));
        }
        throw;
    }
}

py::dict notes_of(Shell& shell) {
    return dict_of(shell.look([](const Engine& engine, Instant) { return copy_notes(engine); }));
}

py::bytes encoded_notes(const py::object& changes, const py::object& now) {
    const GivenNotes given(changes);
    if (given.empty()) throw py::value_error("changes must have one note at least");
    const Instant instant = to_instant(now, "now_ms");
    const std::size_t size = notes_size(given.changes(), instant);
    std::string out(size > max_batch_bytes ? 0 : size, '\0');
    out.resize(encode_notes(given.changes(), instant, std::as_writable_bytes(std::span(out))));
    if (out.empty()) throw Refusal(Status::out_of_memory).with_rule("more than an entry of a log may have");
    return py::bytes(out);
}

}  // namespace

py::dict followed_notes(Follower& follower) {
    auto begun = follower.begin();
    return dict_of(without_gil([&] {
        const auto session = std::move(begun);
        return copy_notes(session.engine);
    }));
}

py::object make_notes_change(const NoteChanges& changes, Instant now) {
    py::dict notes;
    changes.for_each([&](const Note& note) {
        py::object value = py::none();
        if (note.has_value) value = py::bytes(note.value.data(), note.value.size());
        notes[py::bytes(note.key.data(), note.key.size())] = value;
    });
    return make_named(vocabulary().NotesChange, {py::int_(now), notes});
}

void bind_notes(ManagerClass& manager, py::module_& module) {
    manager
        .def(
            "write_notes", &write_notes, py::arg("changes"),
            "Change notes, all of them or none: what layers above grants keep in the same log and snapshots.\n\n"
            "With a log they are one entry of it, for which is waited as for other changes. They make no events.\n\n"
            "Parameters\n----------\n"
            "changes : mapping of bytes to bytes or None\n    Keys of 1..255 bytes with their new values of at most 65,536\n"
            "    bytes; None removes a note, if it is there. An empty mapping changes nothing.\n\n"
            "Raises\n------\n"
            "TypeError, ValueError\n    Says what is wrong with a key, a value or their number; or the clock has run\n"
            "    backwards or out of range.\n"
            "BusinessError\n    9800001: there would be more than 65,536 notes, or more than 16,777,216 bytes of keys and\n"
            "    values, or there is not enough memory. 9800003: not in the log. 9800004: closed. Nothing has changed.")
        .def("notes", &notes_of,
             "Return all notes, in the order of their keys.\n\n"
             "Returns\n-------\ndict of bytes to bytes\n    It is the caller's own.\n\n"
             "Raises\n------\n"
             "BusinessError\n    9800004: closed.\nValueError\n    The clock has run backwards or out of range.");
    module.def("encode_notes", &encoded_notes, py::arg("changes"), py::arg("now_ms"), py::pos_only(),
               "Return a write of notes as bytes of a log.");
}

}  // namespace grantwheel::bindings
