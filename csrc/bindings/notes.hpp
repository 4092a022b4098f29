// Notes as values of Python's.
#pragma once

#include <pybind11/pybind11.h>

#include "bindings/follower.hpp"
#include "grantwheel/notes.hpp"

namespace grantwheel::bindings {

// What a follower has, as a dict.
[[nodiscard]] py::dict followed_notes(Follower& follower);
// A write of notes, as an op of a log.
[[nodiscard]] py::object make_notes_change(const NoteChanges& changes, Instant now);

}  // namespace grantwheel::bindings
