// What a `with` block of ours is made of. A context manager in Python can be interrupted before the first line of its
// `__exit__`, and then what it is for never happens; C functions are called by the statement without a gap.
//
// Begin    `__enter__` calls `_begin()`, and `_end()` if that raises. `__aenter__` does so with `_begin_on_loop()`, all
//          within the call: what it returns is awaited without a wait.
// End      `__exit__` and `__aexit__` call `_end()`. What that raises has come in from outside (signal handlers, an
//          exception that another thread has set), so it is called again until it returns, and then the first such
//          error is raised. `_end` may be cut off anywhere and called any number of times. What `__aexit__` returns is
//          that of `_rest()`: what is still to be awaited after the end, nothing unless a class has its own.
#include <atomic>
#include <optional>
#include <utility>

#include "bindings/calls.hpp"

namespace grantwheel::bindings {

namespace {

// So often an end that is cut off is tried again.
constexpr int most_attempts = 100;

struct BlockObject {
    PyObject base;
    bool is_inside;  // between the begin and the end of a statement
};

std::atomic_ref<bool> is_inside(PyObject* self) noexcept {
    return std::atomic_ref(reinterpret_cast<BlockObject*>(self)->is_inside);
}

struct Names {
    PyObject* begin = interned("_begin");
    PyObject* begin_on_loop = interned("_begin_on_loop");
    PyObject* end = interned("_end");
    PyObject* rest = interned("_rest");
};

const Names& names() {
    static const Names made;
    return made;
}

using Error = std::optional<py::error_already_set>;

// Calls a method without arguments. Nothing when it has returned.
Error call(PyObject* self, PyObject* method) {
    if (PyObject* const answer = PyObject_CallMethodNoArgs(self, method)) {
        Py_DECREF(answer);
        return {};
    }
    return py::error_already_set();
}

// An interrupt is not lost behind an error of the work.
bool outranks(const py::error_already_set& later, const py::error_already_set& first) {
    return first.matches(PyExc_Exception) && !later.matches(PyExc_Exception);
}

// Calls `_end` until it returns. What is to be raised afterwards: of this error and those that came meanwhile.
Error end(PyObject* self, Error error = {}) {
    for (int attempt = 0; attempt < most_attempts; ++attempt) {
        Error cut_off = call(self, names().end);
        if (!cut_off) break;
        if (!error || outranks(*cut_off, *error)) error = std::move(cut_off);
    }
    is_inside(self).store(false, std::memory_order_release);
    return error;
}

void raise_if(Error error) {
    if (error) throw *std::move(error);
}

// The end belongs to who came in: a second one only hears what `_begin` has to say to it.
void enter(PyObject* self, PyObject* begin) {
    if (is_inside(self).exchange(true)) return raise_if(call(self, begin));
    if (Error error = call(self, begin)) raise_if(end(self, std::move(error)));
}

// Awaiting it gives a value at once.
struct DoneObject {
    PyObject base;
    PyObject* value;
};

PyTypeObject* done_type = nullptr;  // lives as long as the process, as the module does

PyObject*& done_value(PyObject* done) noexcept { return reinterpret_cast<DoneObject*>(done)->value; }

PyObject* make_done(PyObject* value) {
    PyObject* const done = PyType_GenericAlloc(done_type, 0);
    if (done == nullptr) throw py::error_already_set();
    done_value(done) = Py_NewRef(value);
    return done;
}

// Not with the value itself, of which CPython would take a tuple apart.
PyObject* finish(PyObject* done) {
    PyObject* const stop = PyObject_CallOneArg(PyExc_StopIteration, done_value(done));
    if (stop != nullptr) {
        PyErr_SetObject(PyExc_StopIteration, stop);
        Py_DECREF(stop);
    }
    return nullptr;
}

int traverse_done(PyObject* done, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(done));
    Py_VISIT(done_value(done));
    return 0;
}

int clear_done(PyObject* done) {
    Py_CLEAR(done_value(done));
    return 0;
}

void deallocate_done(PyObject* done) {
    PyTypeObject* const type = Py_TYPE(done);
    PyObject_GC_UnTrack(done);
    clear_done(done);
    type->tp_free(done);
    Py_DECREF(type);
}

PyObject* enter_block(PyObject* self, PyObject*) {
    return guarded([&] {
        enter(self, names().begin);
        return Py_NewRef(self);
    });
}

PyObject* exit_block(PyObject* self, PyObject* const*, Py_ssize_t) {
    return guarded([&] {
        raise_if(end(self));
        return Py_NewRef(Py_None);
    });
}

PyObject* enter_on_loop(PyObject* self, PyObject*) {
    return guarded([&] {
        const auto done = py::reinterpret_steal<py::object>(make_done(self));
        enter(self, names().begin_on_loop);
        return done.inc_ref().ptr();
    });
}

PyObject* exit_on_loop(PyObject* self, PyObject* const*, Py_ssize_t) {
    return guarded([&] {
        raise_if(end(self));
        return PyObject_CallMethodNoArgs(self, names().rest);
    });
}

PyObject* no_rest(PyObject*, PyObject*) {
    return guarded([] { return make_done(Py_None); });
}

PyTypeObject* make_type(PyType_Spec& spec, PyObject* base = nullptr) {
    PyObject* const made = base == nullptr ? PyType_FromSpec(&spec) : PyType_FromSpecWithBases(&spec, base);
    if (made == nullptr) throw py::error_already_set();
    return reinterpret_cast<PyTypeObject*>(made);
}

void make_done_type() {
    static PyType_Slot slots[] = {
        {Py_tp_traverse, reinterpret_cast<void*>(traverse_done)},
        {Py_tp_clear, reinterpret_cast<void*>(clear_done)},
        {Py_tp_dealloc, reinterpret_cast<void*>(deallocate_done)},
        {Py_tp_iter, reinterpret_cast<void*>(PyObject_SelfIter)},
        {Py_tp_iternext, reinterpret_cast<void*>(finish)},
        {Py_am_await, reinterpret_cast<void*>(PyObject_SelfIter)},
        {0, nullptr},
    };
    static PyType_Spec spec{"grantwheel._core.Done", static_cast<int>(sizeof(DoneObject)), 0,
                            Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
    done_type = make_type(spec);
}

PyMethodDef block_methods[] = {
    {"__enter__", enter_block, METH_NOARGS, "__enter__($self, /)\n--\n\nCall `_begin`, and `_end` if that raises."},
    {"__exit__", as_c_function(exit_block), METH_FASTCALL,
     "__exit__($self, /, *error)\n--\n\nCall `_end`, until it comes through."},
    {nullptr, nullptr, 0, nullptr},
};

PyMethodDef async_block_methods[] = {
    {"__aenter__", enter_on_loop, METH_NOARGS,
     "__aenter__($self, /)\n--\n\nCall `_begin_on_loop`, and `_end` if that raises. To be awaited, without a wait."},
    {"__aexit__", as_c_function(exit_on_loop), METH_FASTCALL,
     "__aexit__($self, /, *error)\n--\n\nCall `_end`, until it comes through. To be awaited, as `_rest` says."},
    {"_rest", no_rest, METH_NOARGS, "_rest($self, /)\n--\n\nReturn what is to be awaited after the end: no wait here."},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

void bind_blocks(py::module_& module) {
    static_cast<void>(names());
    make_done_type();
    constexpr const char* text = "A context manager whose end comes through, whatever interrupts it.";
    PyType_Slot slots[] = {
        {Py_tp_doc, const_cast<char*>(text)},
        {Py_tp_new, reinterpret_cast<void*>(PyType_GenericNew)},
        {Py_tp_methods, block_methods},
        {0, nullptr},
    };
    PyType_Spec spec{"grantwheel._core.Block", static_cast<int>(sizeof(BlockObject)), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots};
    PyObject* const block = reinterpret_cast<PyObject*>(make_type(spec));
    module.attr("Block") = py::handle(block);

    constexpr const char* async_text = "The same for `async with` too.";
    PyType_Slot async_slots[] = {
        {Py_tp_doc, const_cast<char*>(async_text)},
        {Py_tp_methods, async_block_methods},
        {0, nullptr},
    };
    PyType_Spec async_spec{"grantwheel._core.AsyncBlock", static_cast<int>(sizeof(BlockObject)), 0,
                           Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, async_slots};
    module.attr("AsyncBlock") = py::handle(reinterpret_cast<PyObject*>(make_type(async_spec, block)));
}

}  // namespace grantwheel::bindings
