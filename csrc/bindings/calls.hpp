// The methods of `_core.Manager`, by topic. Each function adds those of its file to the class.
#pragma once

#include <pybind11/pybind11.h>

#include "bindings/instances.hpp"
#include "bindings/shell.hpp"
#include "bindings/vocabulary.hpp"

namespace grantwheel::bindings {

using ManagerClass = py::class_<Shell>;

// A method of CPython's own calling convention, put on the bound class: no dispatch of pybind11's.
void add_fast_method(const py::object& bound, PyMethodDef& definition);

template <typename Function>
PyCFunction as_c_function(Function* function) {
    return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

[[noreturn]] void refuse_without_value();
// The shell behind `self`, which CPython has checked to be an instance of the bound class.
[[nodiscard]] inline Shell& shell_of(PyObject* self) {
    Shell* const shell = value_of<Shell>(self);
    if (shell == nullptr) refuse_without_value();
    return *shell;
}

// Does the work of one call of Python's, and counts its refusal.
template <typename Work>
auto counted(Shell& shell, Work&& work) {
    try {
        return work();
    } catch (Refusal& refusal) {
        shell.tally().refusals.note(refusal.status());
        if (refusal.status() == Status::out_of_memory) shell.name_limit(refusal);
        throw;
    }
}

template <auto function>
struct Counting;
template <typename Result, typename... Arguments, Result (*function)(Shell&, Arguments...)>
struct Counting<function> {
    static Result call(Shell& shell, Arguments... arguments) {
        return counted(shell, [&] { return function(shell, arguments...); });
    }
};
// A function that pybind11 binds, with its refusals counted.
template <auto function>
inline constexpr auto counting = &Counting<function>::call;

inline PyObject* as_answer(Mask mask) noexcept { return mask_int(mask).release().ptr(); }
inline PyObject* as_answer(py::object object) noexcept { return object.release().ptr(); }
// The body of a fast method: `work(shell)`, which answers a mask or an object, with its refusal counted.
template <typename Work>
PyObject* fast_call(PyObject* self, Work&& work) noexcept {
    return guarded([&] {
        Shell& shell = shell_of(self);
        return as_answer(counted(shell, [&] { return work(shell); }));
    });
}

void bind_typed_calls(const ManagerClass& bound);             // apply, release, reset_all, app_mask, process_mask
void bind_batches(const ManagerClass& bound);                 // apply_many, release_many, app_masks
void bind_documented_calls(const ManagerClass& bound);        // apply_request, reset_all_request, get_all, infos
void bind_administration(ManagerClass& bound);                // deaths, admin resets, policy, readiness, close
void bind_time(ManagerClass& bound, py::module_& module);     // advance, next_deadline, wake_at; alarms
void bind_queries(ManagerClass& bound, py::module_& module);  // find, records, holders, count, stats, validate
void bind_notes(ManagerClass& bound, py::module_& module);    // write_notes, notes; and a write as bytes
void bind_events(ManagerClass& bound, py::module_& module);   // read, read_columns, last_sequence; Cursor
void bind_sleeping(py::module_& module);                      // Bell, Timer
void bind_pipelines(py::module_& module);                     // Pipeline
void bind_blocks(py::module_& module);                        // Block, AsyncBlock
void bind_leases(py::module_& module);                        // Lease
void bind_descriptors(py::module_& module);                   // Descriptor, and what gives one
void bind_schedules(py::module_& module);                     // Schedule
void bind_groups(py::module_& module);                        // Groups
void bind_followers(py::module_& module);                     // Follower, Sections
void bind_ops(py::module_& module);                           // Ops
void bind_recovery(py::module_& module);                      // what a start reads and writes

}  // namespace grantwheel::bindings
