#include "bindings/request_type.hpp"

#include <pybind11/critical_section.h>
#include <structmember.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <string>
#include <utility>

#include "bindings/arguments.hpp"
#include "bindings/calls.hpp"
#include "bindings/errors.hpp"

namespace grantwheel::bindings {

namespace {

constexpr const char* field_texts[field_count] = {"resourceTypes", "isApply",   "timeOut", "reason",
                                                  "isPersist",     "isProcess", "cpuLevel"};

struct RequestObject {
    PyObject base;
    PyObject* fields[field_count];
};

PyTypeObject* request_type = nullptr;     // lives as long as the process, as the module does
PyObject* interned_names[field_count]{};  // so do these

RequestObject* as_request(PyObject* object) noexcept { return reinterpret_cast<RequestObject*>(object); }

[[noreturn]] void refuse_name(PyObject* name) {
    PyErr_Format(PyExc_TypeError, "EfficiencyResourcesRequest has no field %R", name);
    throw py::error_already_set();
}

// Where the field of this name lies. To be used as it is for one that nobody else knows yet. They mostly come in their order,
// from `likely` on.
PyObject*& place_in(PyObject* self, PyObject* name, std::size_t likely = 0) {
    const bool is_likely = likely < field_count && interned_names[likely] == name;
    const std::size_t place = is_likely ? likely : place_of(interned_names, name);
    if (place == field_count) refuse_name(name);
    return as_request(self)->fields[place];
}

void set_field(PyObject* self, PyObject* name, PyObject* value) {
    PyObject*& field_there = place_in(self, name);
    PyObject* old = nullptr;
    {
        const py::scoped_critical_section lock(self);
        const std::atomic_ref field(field_there);  // CPython reads its members without the section
        old = field.load(std::memory_order_relaxed);
        field.store(Py_NewRef(value), std::memory_order_release);
    }
    Py_XDECREF(old);
}

void refuse_positional(Py_ssize_t count) {
    if (count != 0) throw py::type_error("EfficiencyResourcesRequest takes its fields by name");
}

// Makes one from a call of the type itself, without a dictionary of its keywords.
PyObject* make(PyObject* type, PyObject* const* arguments, std::size_t flagged, PyObject* keywords) {
    return guarded([&] {
        refuse_positional(PyVectorcall_NARGS(flagged));
        auto made = py::reinterpret_steal<py::object>(PyType_GenericAlloc(reinterpret_cast<PyTypeObject*>(type), 0));
        if (!made) throw py::error_already_set();
        const Py_ssize_t count = keywords == nullptr ? 0 : PyTuple_GET_SIZE(keywords);
        for (Py_ssize_t i = 0; i < count; ++i) {
            PyObject*& field = place_in(made.ptr(), PyTuple_GET_ITEM(keywords, i), static_cast<std::size_t>(i));
            PyObject* const old = std::exchange(field, Py_NewRef(arguments[i]));
            Py_XDECREF(old);
        }
        return made.release().ptr();
    });
}

// The same for subclasses, by way of __new__ and __init__.
int initialise_fields(PyObject* self, PyObject* arguments, PyObject* keywords) {
    const PyObject* const done = guarded([&] {
        refuse_positional(PyTuple_GET_SIZE(arguments));
        PyObject* name = nullptr;
        PyObject* value = nullptr;
        for (Py_ssize_t at = 0; keywords != nullptr && PyDict_Next(keywords, &at, &name, &value);) {
            set_field(self, name, value);
        }
        return Py_None;
    });
    return done == nullptr ? -1 : 0;
}

int traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    for (PyObject* field : as_request(self)->fields) Py_VISIT(field);
    return 0;
}

int clear(PyObject* self) {
    for (PyObject*& field : as_request(self)->fields) Py_CLEAR(field);
    return 0;
}

void deallocate(PyObject* self) {
    PyTypeObject* const type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

py::dict present_fields(PyObject* self) {
    py::dict present;
    for (std::size_t i = 0; i < field_count; ++i) {
        const py::object value = request_field(self, static_cast<Field>(i));
        if (value) present[py::handle(interned_names[i])] = value;
    }
    return present;
}

PyObject* represent(PyObject* self) {
    return guarded([&] {
        py::list parts;
        for (const auto& [name, value] : present_fields(self)) parts.append(py::str("{}={!r}").format(name, value));
        const py::object name = py::type::handle_of(self).attr("__name__");
        return py::str("{}({})").format(name, py::str(", ").attr("join")(parts)).release().ptr();
    });
}

PyObject* compare(PyObject* self, PyObject* other, int operation) {
    return guarded([&] {
        if (Py_TYPE(self) != Py_TYPE(other) || (operation != Py_EQ && operation != Py_NE))
            return Py_NewRef(Py_NotImplemented);
        const bool equal = present_fields(self).equal(present_fields(other));
        return PyBool_FromLong(equal == (operation == Py_EQ));
    });
}

// The classmethod `of(mapping, *, strict=False)`.
PyObject* of(PyObject* type, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
    return guarded([&] {
        static constinit Parameters<2, 1> parameters("of", {"mapping", "strict"});
        const auto [given, strict] = parameters.read(arguments, count, keywords);
        const bool is_strict = to_bool(strict, "strict", false);
        if (PyMapping_Check(given) == 0 || !py::hasattr(given, "keys")) {
            throw py::type_error(std::string("mapping must be a mapping, not ") + Py_TYPE(given)->tp_name);
        }
        py::dict fields;
        fields.attr("update")(py::handle(given));
        const py::object made = py::handle(type)();
        for (const auto& [name, value] : fields) {
            if (place_of(interned_names, name.ptr()) != field_count) {
                py::setattr(made, name, value);
            } else if (is_strict) {
                refuse_name(name.ptr());
            }
        }
        return Py_NewRef(made.ptr());
    });
}

// The form of object state that copy and pickle set by setattr.
PyObject* state(PyObject* self, PyObject*) {
    return guarded([&] { return py::make_tuple(py::none(), present_fields(self)).release().ptr(); });
}

template <std::size_t... places>
std::array<PyMemberDef, field_count + 1> make_members(std::index_sequence<places...>) {
    constexpr auto offset = static_cast<Py_ssize_t>(offsetof(RequestObject, fields));
    constexpr auto size = static_cast<Py_ssize_t>(sizeof(PyObject*));
    return {
        PyMemberDef{field_texts[places], T_OBJECT_EX, offset + static_cast<Py_ssize_t>(places) * size, 0, nullptr}...,
        PyMemberDef{}};
}

constexpr const char* documentation =
    "A request for efficiency resources (documented API: EfficiencyResourcesRequest).\n\n"
    "Any value may be given to any field, and a field left out is absent: the call that takes the request judges it.\n\n"
    "Parameters\n----------\n"
    "resourceTypes : int\n    The set of types, as the sum of `ResourceType` bits. Mandatory.\n"
    "isApply : bool\n    True to apply, False to release. Mandatory.\n"
    "timeOut : int\n    How long the grant lasts, in ms, 0..2147483647. Mandatory, though it counts for a timed apply\n"
    "    only.\n"
    "reason : str\n    Why, at most 1024 bytes of UTF-8. Mandatory; may be empty.\n"
    "isPersist : bool\n    The grant has no deadline. Default False.\n"
    "isProcess : bool\n    CPU is granted to the calling process instead of its application. Default False.\n"
    "cpuLevel : int\n    0, 1 or 2; needs a limit in the policy. Default: no level.";

}  // namespace

std::span<PyObject* const, field_count> field_names() noexcept { return interned_names; }

bool is_request(PyObject* object) noexcept { return PyObject_TypeCheck(object, request_type) != 0; }

PyObject* borrowed_field(PyObject* request, Field field) noexcept {
    return as_request(request)->fields[static_cast<std::size_t>(field)];
}

py::object request_field(PyObject* request, Field field) noexcept {
    const py::scoped_critical_section lock(request);
    return py::reinterpret_borrow<py::object>(borrowed_field(request, field));
}

void bind_request_type(py::module_& module) {
    static auto members = make_members(std::make_index_sequence<field_count>{});
    static PyMethodDef methods[] = {
        {"of", as_c_function(of), METH_CLASS | METH_FASTCALL | METH_KEYWORDS,
         "of(mapping, *, strict=False)\n--\n\n"
         "Make a request of the fields of a mapping; keys that name none are left out, as the documented calls do it.\n\n"
         "Parameters\n----------\n"
         "mapping : mapping\n    The fields by name.\n"
         "strict : bool\n    Raise TypeError for a key that names no field: it is most often a misspelt one."},
        {"__getstate__", state, METH_NOARGS, "Return what copy and pickle need."},
        {nullptr, nullptr, 0, nullptr},
    };
    PyType_Slot slots[] = {
        {Py_tp_doc, const_cast<char*>(documentation)},
        {Py_tp_new, reinterpret_cast<void*>(PyType_GenericNew)},
        {Py_tp_init, reinterpret_cast<void*>(initialise_fields)},
        {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
        {Py_tp_clear, reinterpret_cast<void*>(clear)},
        {Py_tp_dealloc, reinterpret_cast<void*>(deallocate)},
        {Py_tp_repr, reinterpret_cast<void*>(represent)},
        {Py_tp_richcompare, reinterpret_cast<void*>(compare)},
        {Py_tp_hash, reinterpret_cast<void*>(PyObject_HashNotImplemented)},
        {Py_tp_members, members.data()},
        {Py_tp_methods, methods},
        {0, nullptr},
    };
    PyType_Spec spec{"grantwheel.EfficiencyResourcesRequest", static_cast<int>(sizeof(RequestObject)), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots};
    for (std::size_t i = 0; i < field_count; ++i) interned_names[i] = interned(field_texts[i]);
    PyObject* const made = PyType_FromSpec(&spec);
    if (made == nullptr) throw py::error_already_set();
    request_type = reinterpret_cast<PyTypeObject*>(made);
    request_type->tp_vectorcall = make;
    module.attr("EfficiencyResourcesRequest") = py::handle(made);
}

}  // namespace grantwheel::bindings
