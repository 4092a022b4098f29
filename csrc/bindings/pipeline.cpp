// Calls that are gathered first and carried out together. Python's `_core.Pipeline`.
//
// Threads  One at a time. What another one, or the hook, queues while it is being executed is for the next time.
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "bindings/calls.hpp"
#include "bindings/instances.hpp"
#include "bindings/pipelined.hpp"

namespace grantwheel::bindings {

namespace {

class Pipeline {
public:
    Pipeline(py::object manager, Shell& shell) : manager_(std::move(manager)), shell_(&shell) {}

    // TypeError when the garbage collector has been here.
    [[nodiscard]] Shell& shell() const {
        if (shell_ == nullptr) throw py::type_error("the manager of the pipeline is gone");
        return *shell_;
    }
    void require_room(std::size_t wanted = 1) const {
        if (wanted <= most - size()) return;
        throw Refusal(Status::out_of_memory).with_rule("a pipeline has at most 65536 calls: execute it");
    }
    void add(TypedCall call) {
        auto reason = py::reinterpret_borrow<py::object>(call.reason);
        const std::lock_guard lock(mutex_);
        queued_.push_back({std::move(call), std::move(reason)});
    }
    void add_each(TypedCall call, const py::tuple& masks, const py::tuple& timeouts);
    [[nodiscard]] py::list execute();
    [[nodiscard]] std::size_t size() const noexcept {
        const std::lock_guard lock(mutex_);
        return queued_.size();
    }

    int traverse(visitproc visit, void* arg) const {
        Py_VISIT(manager_.ptr());
        return 0;
    }
    void forget() {
        shell_ = nullptr;
        const auto gone = std::exchange(queued_, {});
        const py::object manager = std::move(manager_);
    }

private:
    static constexpr std::size_t most = 65'536;
    static constexpr std::size_t kept = 1024;  // calls for which memory is kept

    // All that is queued, and is not any more.
    [[nodiscard]] std::vector<Queued> take() {
        const std::lock_guard lock(mutex_);
        return std::exchange(queued_, std::exchange(spare_, {}));
    }
    void keep_spare(std::vector<Queued>& empty) noexcept {  // one with no calls; it gets the one before
        const std::lock_guard lock(mutex_);
        std::swap(spare_, empty);
    }

    py::object manager_;
    Shell* shell_;
    mutable GilOrMutex mutex_;  // over what follows
    std::vector<Queued> queued_;
    std::vector<Queued> spare_;  // empty, with memory
};

// Nothing is queued when one of the elements is no number. An `__index__` of theirs may queue and execute by itself.
void Pipeline::add_each(TypedCall call, const py::tuple& masks, const py::tuple& timeouts) {
    if (masks.size() != timeouts.size()) throw py::value_error("masks and timeouts_ms must have the same length");
    require_room(masks.size());
    std::vector<Queued> calls;
    calls.reserve(masks.size());
    for (std::size_t i = 0; i < masks.size(); ++i) {
        Request& request = call.application.request;
        request.mask = to_mask(PyTuple_GET_ITEM(masks.ptr(), static_cast<Py_ssize_t>(i)), "masks");
        request.timeout_ms = to_timeout(PyTuple_GET_ITEM(timeouts.ptr(), static_cast<Py_ssize_t>(i)), "timeouts_ms");
        calls.push_back({call, {}});
    }
    require_room(calls.size());
    const std::lock_guard lock(mutex_);
    queued_.insert(queued_.end(), std::make_move_iterator(calls.begin()), std::make_move_iterator(calls.end()));
}

// The list is there beforehand: what has been carried out can fail no more, but for the words of a refusal.
py::list Pipeline::execute() {
    Shell& own = shell();
    const py::object manager = manager_;  // which keeps it
    std::vector<Queued> calls = take();
    py::list answers(calls.size());
    for (std::size_t i = 0; i < calls.size(); ++i) {
        PyList_SET_ITEM(answers.ptr(), static_cast<Py_ssize_t>(i), mask_int(0).release().ptr());
    }
    Pipelined pipelined(own, calls);
    pipelined.run();
    for (std::size_t i = 0; i < calls.size(); ++i) {
        PyObject* const answer = pipelined.answer(i).release().ptr();
        if (PyList_SetItem(answers.ptr(), static_cast<Py_ssize_t>(i), answer) != 0) throw py::error_already_set();
    }
    calls.clear();
    if (calls.capacity() <= kept) keep_spare(calls);
    return answers;
}

Pipeline& pipeline_of(PyObject* self) {
    Pipeline* const pipeline = value_of<Pipeline>(self);
    if (pipeline == nullptr) throw py::type_error("Pipeline.__init__() must be called when overriding __init__");
    return *pipeline;
}

template <typename Read>
PyObject* queue(PyObject* self, const Given& given, Read&& read) {
    return guarded([&] {
        Pipeline& pipeline = pipeline_of(self);
        pipeline.require_room();
        return counted(pipeline.shell(), [&] {
            pipeline.add(read(given));
            return Py_NewRef(Py_None);
        });
    });
}

PyObject* apply(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
    return queue(self, {arguments, count, keywords}, [](const Given& given) { return read_apply(given); });
}

PyObject* apply_each(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
    return guarded([&] {
        static constinit Parameters<4, 4> parameters("apply_each", {"uid", "pid", "masks", "timeouts_ms"});
        const auto [uid, pid, masks, timeouts] = parameters.read(arguments, count, keywords);
        const auto tuple = [](PyObject* given) {
            auto read = py::reinterpret_steal<py::tuple>(PySequence_Tuple(given));
            if (!read) throw py::error_already_set();
            return read;
        };
        Pipeline& pipeline = pipeline_of(self);
        const TypedCall call{
            .application = {.uid = to_int64(uid, "uid"), .pid = to_int64(pid, "pid"), .request = {.is_apply = true}}};
        return counted(pipeline.shell(), [&] {
            pipeline.add_each(call, tuple(masks), tuple(timeouts));
            return Py_NewRef(Py_None);
        });
    });
}

PyObject* renew(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
    return queue(self, {arguments, count, keywords}, [](const Given& given) { return read_renew(given); });
}

PyObject* release(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
    return queue(self, {arguments, count, keywords}, [](const Given& given) { return read_release(given); });
}

PyObject* reset_all(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
    return queue(self, {arguments, count, keywords}, [](const Given& given) { return read_reset_all(given); });
}

PyObject* execute(PyObject* self, PyObject*) {
    return guarded([&] { return pipeline_of(self).execute().release().ptr(); });
}

PyMethodDef pipeline_methods[] = {
    {"apply", as_c_function(apply), METH_FASTCALL | METH_KEYWORDS,
     "apply($self, uid, pid, mask, timeout_ms=None, *, persist=False, process=False, reason='', cpu_level=-1, caller=None)\n--\n\n"
     "Queue a call of `Manager.apply`.\n\n"
     "Raises\n------\n"
     "TypeError\n    An argument has the wrong type.\n"
     "BusinessError\n    9800001: 65536 calls are queued. 9800002: a text cannot be encoded. Nothing is queued then. What is out of\n"
     "    range is refused when the call is carried out."},
    {"apply_each", as_c_function(apply_each), METH_FASTCALL | METH_KEYWORDS,
     "apply_each($self, uid, pid, masks, timeouts_ms)\n--\n\n"
     "Queue an apply for each mask, with the timeout at the same place, in ms: as many calls of `apply`, for one owner and\n"
     "without options.\n\n"
     "Raises\n------\n"
     "TypeError\n    An argument has the wrong type.\n"
     "ValueError\n    There are not as many timeouts as masks.\n"
     "BusinessError\n    9800001: more than 65536 calls would be queued. Nothing is queued then."},
    {"renew", as_c_function(renew), METH_FASTCALL | METH_KEYWORDS,
     "renew($self, uid, pid, mask, timeout_ms=None, *, persist=False, process=False, reason='', cpu_level=-1, caller=None)\n--\n\n"
     "Queue a call of `Manager.renew`, as `apply`."},
    {"release", as_c_function(release), METH_FASTCALL | METH_KEYWORDS,
     "release($self, uid, pid, mask, *, process=False, cpu_level=-1, caller=None)\n--\n\n"
     "Queue a call of `Manager.release`, as `apply`."},
    {"reset_all", as_c_function(reset_all), METH_FASTCALL | METH_KEYWORDS,
     "reset_all($self, uid, pid, *, caller=None)\n--\n\n"
     "Queue a call of `Manager.reset_all`, as `apply`."},
    {"execute", execute, METH_NOARGS,
     "execute($self, /)\n--\n\n"
     "Carry out all that is queued, in order, and return what has become of each. The pipeline is empty then, whatever\n"
     "comes.\n\n"
     "Returns\n-------\nlist of int or Exception\n"
     "    For each call what it would have returned, or raised: a BusinessError, or what the quota or a clock in Python\n"
     "    raises. A call that is refused does not keep the others from being carried out.\n\n"
     "Raises\n------\n"
     "BusinessError\n    9800001: there is no memory for it, and nothing was carried out.\n"
     "MemoryError\n    There is none for the answers: what they would tell was carried out.\n"
     "KeyboardInterrupt\n    Or what else a signal handler raises: what has been carried out stays, and what was staged settles."},
};

}  // namespace

void bind_pipelines(py::module_& module) {
    py::class_<Pipeline> bound = bind_class<Pipeline>(
        module, "Pipeline", "Calls of a manager that are carried out together.", see_through<Pipeline>);
    bound
        .def(py::init(
                 [](const py::object& manager) { return std::make_unique<Pipeline>(manager, manager.cast<Shell&>()); }),
             py::arg("manager"), py::pos_only())
        .def("__len__", &Pipeline::size);
    for (PyMethodDef& definition : pipeline_methods) add_fast_method(bound, definition);
}

}  // namespace grantwheel::bindings
