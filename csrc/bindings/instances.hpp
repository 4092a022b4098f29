// How instances of bound classes are made, and used, where pybind11 leaves something open.
//
// Memory   pybind11 expects that it can always be had: it throws through C when it meets a class for the first time, and
//          frees a value twice that it could not note down.
// Init     An instance that `__new__` alone has made has no value. pybind11 would make up memory for it when it is used,
//          pass over a second `__init__` in silence, and be confused by one that comes during the first.
#pragma once

#include <pybind11/pybind11.h>

#include <string>
#include <vector>

#include "bindings/errors.hpp"

namespace grantwheel::bindings {

// What pybind11 keeps of a class, made before there is an instance that could be left half made. It must not keep what
// it could make only a part of.
inline void meet_class(PyTypeObject* type) {
    try {
        static_cast<void>(py::detail::all_type_info(type));
    } catch (...) {
        py::detail::with_internals([&](py::detail::internals& all) { all.registered_types_py.erase(type); });
        throw;
    }
}

inline PyObject* make_instance(PyTypeObject* type, PyObject*, PyObject*) {
    return guarded([&] {
        meet_class(type);
        PyObject* const self = type->tp_alloc(type, 0);
        if (self != nullptr) reinterpret_cast<py::detail::instance*>(self)->allocate_layout();
        return self;
    });
}

// The value of an instance that has several.
template <typename Class>
[[nodiscard, gnu::noinline]] Class* value_looked_up(py::detail::instance* instance) {
    const auto value = instance->get_value_and_holder(py::detail::get_type_info(typeid(Class)), false);
    if (value.inst == nullptr || !value.holder_constructed()) return nullptr;
    return value.template value_ptr<Class>();
}
// The value of an instance of a bound class, or of one derived from it in Python; null without `__init__`.
template <typename Class>
[[nodiscard]] Class* value_of(PyObject* self) {
    auto* const instance = reinterpret_cast<py::detail::instance*>(self);
    if (instance->simple_layout) {  // of one bound class; looking it up would take most of a short call
        return instance->simple_holder_constructed ? static_cast<Class*>(instance->simple_value_holder[0]) : nullptr;
    }
    return value_looked_up<Class>(instance);
}

// Lets the `__init__` of every bound class of a module refuse a second call. To be called when all are bound.
void refuse_second_init(const py::module_& module);

// A class of the module. Its constructors must be factories that return a unique_ptr, which then is what frees a value
// that could not be entered in pybind11's list of all instances: the instance forgets it here.
template <typename Class>
[[nodiscard]] py::class_<Class> bind_class(
    py::module_& module, const char* name, const char* documentation,
    void (*setup)(PyHeapTypeObject*) = [](PyHeapTypeObject*) {}) {
    const auto setup_all = [setup](PyHeapTypeObject* type) {
        type->ht_type.tp_new = make_instance;
        setup(type);
    };
    py::class_<Class> bound(module, name, py::custom_type_setup(setup_all), documentation);
    py::detail::type_info* const info = py::detail::get_type_info(reinterpret_cast<PyTypeObject*>(bound.ptr()));
    static const char* const class_name = name;
    info->operator_new = [](std::size_t) -> void* {
        throw py::type_error(std::string(class_name) + ".__init__() must be called before anything else");
    };
    static auto* const enter = info->init_instance;
    info->init_instance = [](py::detail::instance* instance, const void* holder) {
        try {
            enter(instance, holder);
        } catch (...) {
            instance->get_value_and_holder().value_ptr() = nullptr;
            throw;
        }
    };
    return bound;
}

// A list of objects that were gathered before there was a list, for which garbage may be collected; they are moved into it.
[[nodiscard]] inline py::list take_list(std::vector<py::object>& found) {
    py::list list(found.size());
    Py_ssize_t place = 0;
    for (py::object& one : found) PyList_SET_ITEM(list.ptr(), place++, one.release().ptr());
    return list;
}

// Lets the garbage collector see through the instances of a class that has `traverse` and `forget`.
template <typename Class>
void see_through(PyHeapTypeObject* heap_type) {
    PyTypeObject* const type = &heap_type->ht_type;
    type->tp_flags |= Py_TPFLAGS_HAVE_GC;
    type->tp_traverse = [](PyObject* self, visitproc visit, void* arg) -> int {
        Py_VISIT(Py_TYPE(self));
        const Class* const value = value_of<Class>(self);
        return value == nullptr ? 0 : value->traverse(visit, arg);
    };
    type->tp_clear = [](PyObject* self) -> int {
        if (Class* const value = value_of<Class>(self)) value->forget();
        return 0;
    };
}

}  // namespace grantwheel::bindings
