#include "bindings/instances.hpp"

#include <algorithm>
#include <deque>
#include <mutex>
#include <vector>

namespace grantwheel::bindings {

namespace {

// An `__init__` that is replaced: the class, pybind11's function, and what CPython is told of ours.
struct Init {
    PyTypeObject* type;
    PyObject* original;
    std::string documentation;
    PyMethodDef definition;
};

// They live as long as the process, as the module does.
std::deque<Init>& inits() {
    static auto* const all = new std::deque<Init>;
    return *all;
}

// What is within a call of `__init__` now. It may run Python, and so come here again.
class Beginning {
public:
    Beginning(PyTypeObject* type, PyObject* self) : place_{type, self} {
        if (!enter()) refuse(type);
    }
    ~Beginning() {
        const std::lock_guard lock(mutex);
        all().erase(std::find(all().begin(), all().end(), place_));
    }
    Beginning(const Beginning&) = delete;
    Beginning& operator=(const Beginning&) = delete;

    [[noreturn]] static void refuse(PyTypeObject* type) {
        throw py::type_error(std::string(type->tp_name) + ".__init__() has been called already");
    }

private:
    using Place = std::pair<PyTypeObject*, PyObject*>;

    static std::vector<Place>& all() {
        static auto* const places = new std::vector<Place>;
        return *places;
    }
    [[nodiscard]] bool enter() {
        const std::lock_guard lock(mutex);
        if (std::find(all().begin(), all().end(), place_) != all().end()) return false;
        all().push_back(place_);
        return true;
    }

    inline static GilOrMutex mutex;  // over the list of all
    Place place_;
};

bool has_value(PyTypeObject* type, PyObject* self) {
    auto* const instance = reinterpret_cast<py::detail::instance*>(self);
    const auto value = instance->get_value_and_holder(py::detail::get_type_info(type), false);
    return value.inst != nullptr && value.instance_registered();
}

PyObject* initialise(PyObject* capsule, PyObject* arguments, PyObject* keywords) {
    return guarded([&]() -> PyObject* {
        const auto& init = *static_cast<const Init*>(PyCapsule_GetPointer(capsule, nullptr));
        PyObject* const self = PyTuple_GET_SIZE(arguments) > 0 ? PyTuple_GET_ITEM(arguments, 0) : nullptr;
        if (self == nullptr || PyObject_TypeCheck(self, init.type) == 0) {
            throw py::type_error(std::string(init.type->tp_name) + ".__init__() needs an instance of the class");
        }
        const Beginning beginning(init.type, self);
        if (has_value(init.type, self)) Beginning::refuse(init.type);  // maybe of a call that has just ended
        return PyObject_Call(init.original, arguments, keywords);
    });
}

py::object checked(PyObject* made) {
    if (made == nullptr) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(made);
}

void replace_init(py::handle type) {
    const py::object original = type.attr("__init__");
    Init& init = inits().emplace_back();
    init.type = reinterpret_cast<PyTypeObject*>(type.ptr());
    init.documentation = py::cast<std::string>(original.attr("__doc__"));
    init.definition = {"__init__", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(initialise)),
                       METH_VARARGS | METH_KEYWORDS, init.documentation.c_str()};
    init.original = py::object(original).release().ptr();
    const py::object capsule = checked(PyCapsule_New(&init, nullptr, nullptr));
    const py::object function = checked(PyCFunction_New(&init.definition, capsule.ptr()));
    type.attr("__init__") = checked(PyInstanceMethod_New(function.ptr()));
}

}  // namespace

void refuse_second_init(const py::module_& module) {
    const py::dict names = module.attr("__dict__");
    for (const auto& [name, value] : names) {
        if (PyType_Check(value.ptr()) == 0) continue;
        if (py::detail::get_type_info(reinterpret_cast<PyTypeObject*>(value.ptr())) != nullptr) replace_init(value);
    }
}

}  // namespace grantwheel::bindings
