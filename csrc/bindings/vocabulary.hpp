// The words of the package that the module hands out: its named tuples and enumerations, which are written in Python
// and handed over once when the package is imported; and the ints of masks.
#pragma once

#include <pybind11/pybind11.h>

#include <array>
#include <initializer_list>
#include <span>
#include <string_view>

#include "grantwheel/types.hpp"

namespace grantwheel::bindings {

namespace py = pybind11;

struct Vocabulary {
    // Named tuples.
    py::object Event, EventColumns, Grant, Record, RecordInfo, Infos, Holders, Stats, LatenessCounts, LogStats,
        AppendTimes;
    py::object HolderColumns, InfoColumns, RecordColumns, GrantColumns;
    py::object EfficiencyResourcesInfo;
    // The ops of a log.
    py::object Command, Advance, Mark, LimitsChange, Recovery, NotesChange;
    // What callers hand in, besides the request.
    py::object Caller;
    // Members of the enumerations, in the order of the C++ lists.
    py::object owner_kinds[2];
    py::object event_kinds[4];
    py::object causes[cause_count];
    py::object command_kinds[command_count];
    py::object masks[type::ALL + 1];  // ResourceType
    py::object mapping_type;          // collections.abc.Mapping
};

// The words; ImportError as long as the package has not handed them over.
[[nodiscard]] const Vocabulary& vocabulary();

// The ints of all masks, for the fast calls: `&` of a ResourceType takes many times as long as that of an int. They live
// as long as the process, as the module does.
inline std::array<PyObject*, type::ALL + 1> mask_ints{};
// A mask as an int of Python's. It was there before: what has been carried out can fail no more.
[[nodiscard]] inline py::int_ mask_int(Mask mask) noexcept { return py::reinterpret_borrow<py::int_>(mask_ints[mask]); }

// A named tuple of this type. Takes the references of the items.
[[nodiscard]] py::object make_named(const py::object& type, std::initializer_list<py::object> items);

[[nodiscard]] py::object make_text(std::string_view text);
[[nodiscard]] py::object make_event(const Event& event, const py::object& bundle);
[[nodiscard]] py::object make_record(const RecordView& view, Instant now);
[[nodiscard]] py::object make_record_info(const RecordView& view);
// Adds a row of the documented query for each grant of a record.
void append_documented_rows(py::list& rows, const RecordView& view, Instant now);

void bind_vocabulary(py::module_& module);

}  // namespace grantwheel::bindings
