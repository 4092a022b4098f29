#include "bindings/logs.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "bindings/buffers.hpp"
#include "bindings/gil.hpp"
#include "bindings/instances.hpp"

namespace grantwheel::bindings {

std::uint64_t KeptGroups::last() const {
    const std::lock_guard lock(mutex_);
    return groups_.size();
}

KeptGroups::Block& KeptGroups::block_for(std::size_t size) {
    if (blocks_.empty() || blocks_.back().capacity - blocks_.back().size < size) {
        const std::size_t capacity = std::max(size, block_bytes);
        blocks_.push_back({std::make_unique_for_overwrite<std::byte[]>(capacity), 0, capacity});
    }
    return blocks_.back();
}

Appended KeptGroups::append(std::uint64_t after, Bytes group) noexcept try {
    const std::lock_guard lock(mutex_);
    if (after != groups_.size()) return Appended::conflict;
    Block& block = block_for(group.size());
    std::byte* const place = block.bytes.get() + block.size;
    groups_.emplace_back(place, group.size());
    std::memcpy(place, group.data(), group.size());
    block.size += group.size();
    return Appended::appended;
} catch (...) {
    return Appended::not_appended;
}

KeptGroups::Bytes KeptGroups::at(std::uint64_t position) const {
    const std::lock_guard lock(mutex_);
    return position - 1 < groups_.size() ? groups_[position - 1] : Bytes();
}

namespace {

// The exceptions that a log raises; Python's own, so that a journal needs nothing that is compiled. They live as long as the
// process, as the module does.
PyObject* not_appended_class = nullptr;
PyObject* conflict_class = nullptr;

// Python's MemoryLog, and what a manager has of it.
class MemoryLog {
public:
    [[nodiscard]] const std::shared_ptr<KeptGroups>& groups() const {
        if (!groups_->is_here()) throw Refusal(Status::not_connected, "A log in memory does not survive a fork.");
        return groups_;
    }
    // In the child of a fork what another thread of the parent was changing is left alone.
    ~MemoryLog() {
        if (!groups_->is_here()) static_cast<void>(new std::shared_ptr<KeptGroups>(std::move(groups_)));
    }

private:
    std::shared_ptr<KeptGroups> groups_ = std::make_shared<KeptGroups>();
};

class GivenMemoryLog final : public GivenLog, private Log {
public:
    explicit GivenMemoryLog(std::shared_ptr<KeptGroups> groups) : groups_(std::move(groups)) {}

    [[nodiscard]] Log& log() noexcept override { return *this; }

private:
    Appended append(std::uint64_t after, std::span<const std::byte> group) noexcept override {
        return groups_->append(after, group);
    }
    Position last() noexcept override { return {true, groups_->last()}; }
    [[nodiscard]] bool is_immediate() const noexcept override { return true; }

    std::shared_ptr<KeptGroups> groups_;
};

// While it lives the thread has the GIL. A thread that comes when Python is going down stays for ever.
class WithGil {
public:
    WithGil() : state_(take()) {}
    ~WithGil() { PyGILState_Release(state_); }
    WithGil(const WithGil&) = delete;
    WithGil& operator=(const WithGil&) = delete;

private:
    static PyGILState_STATE take() {
        if (is_python_ending()) stay_for_ever();
        return as_python([] { return PyGILState_Ensure(); });
    }

    PyGILState_STATE state_;
};

// An object of Python's. Called on the thread of the gate, and on no other.
class GivenPythonLog final : public GivenLog, private Log {
public:
    explicit GivenPythonLog(py::object log) : log_(std::move(log)) {}

    [[nodiscard]] Log& log() noexcept override { return *this; }
    [[nodiscard]] bool is_python() const noexcept override { return true; }
    [[nodiscard]] py::object failure() const override {
        const std::lock_guard lock(mutex_);
        return failure_;
    }
    int traverse(visitproc visit, void* arg) const override {
        Py_VISIT(log_.ptr());
        Py_VISIT(failure_.ptr());
        return 0;
    }
    void forget() override {
        const py::object log = std::move(log_);
        set_failure({});
    }

private:
    // Whatever goes wrong before the log was asked leaves it as it is.
    Appended append(std::uint64_t after, std::span<const std::byte> group) noexcept override {
        const WithGil gil;
        bool is_asked = false;
        try {
            const py::bytes bytes(reinterpret_cast<const char*>(group.data()), group.size());
            const py::int_ position(after);
            const py::object method = log_.attr("append");
            is_asked = true;
            const py::object answer = call(method, position, bytes);
            if (!answer.is_none() && !answer.equal(py::int_(after + 1))) {
                throw py::value_error("append() of the log must return the position of the group, or None");
            }
            return Appended::appended;
        } catch (...) {
            return is_asked ? judged() : (note(), Appended::not_appended);
        }
    }

    Position last() noexcept override {
        const WithGil gil;
        try {
            const std::uint64_t position = to_position(call_method(log_, "last"));
            is_told_ = false;
            return {true, position};
        } catch (...) {
            note();
            tell("the log of a manager does not say where it stands, and the manager waits for it");
            return {};
        }
    }

    static std::uint64_t to_position(const py::object& answer) {
        if (PyLong_Check(answer.ptr()) == 0 || PyBool_Check(answer.ptr()) != 0) {
            throw py::type_error("last() of the log must return an int");
        }
        const unsigned long long position = PyLong_AsUnsignedLongLong(answer.ptr());
        if (PyErr_Occurred() != nullptr) throw py::error_already_set();
        return position;
    }

    // What an exception of append means.
    Appended judged() noexcept {
        note();
        const py::object raised = failure();
        const auto is = [&](PyObject* type) { return raised && PyObject_IsInstance(raised.ptr(), type) == 1; };
        if (is(not_appended_class)) return Appended::not_appended;
        if (is(conflict_class)) {
            tell_end("it is written by somebody else");
            return Appended::conflict;
        }
        return Appended::uncertain;
    }

    // Keeps what is being handled, for those whose calls fail because of it.
    void note() noexcept {
        restore_current_exception();
        PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
        PyErr_Fetch(&type, &value, &traceback);
        PyErr_NormalizeException(&type, &value, &traceback);
        if (traceback != nullptr && value != nullptr) PyException_SetTraceback(value, traceback);
        Py_XDECREF(type);
        Py_XDECREF(traceback);
        set_failure(py::reinterpret_steal<py::object>(value));
    }
    void set_failure(py::object failure) noexcept {  // the one before goes when it is let go of
        const std::lock_guard lock(mutex_);
        std::swap(failure_, failure);
    }

    // Logs it, once for a row of failures.
    void tell(const char* text) noexcept {
        if (std::exchange(is_told_, true)) return;
        try {
            log_warning(py::make_tuple(text), failure());
        } catch (...) {
            restore_current_exception();
            PyErr_WriteUnraisable(log_.ptr());
        }
    }

    py::object log_;
    mutable GilOrMutex mutex_;  // over the failure, which callers of the manager read
    py::object failure_{};
    bool is_told_ = false;
};

void require_method(const py::object& log, const char* name) {
    if (py::hasattr(log, name) && PyCallable_Check(log.attr(name).ptr()) != 0) return;
    throw py::type_error(std::string("log must have the methods last() and append(after, group); ") + name +
                         " is missing");
}

// The groups of a log after a position, one after the other, also those that come meanwhile.
class GroupsAfter {
public:
    GroupsAfter(std::shared_ptr<KeptGroups> groups, std::uint64_t after) : groups_(std::move(groups)), after_(after) {}

    [[nodiscard]] py::tuple next() {
        for (std::uint64_t after = after_.load();;) {
            const KeptGroups::Bytes group = groups_->at(after + 1);
            if (group.data() == nullptr) throw py::stop_iteration();
            py::bytes bytes(reinterpret_cast<const char*>(group.data()), group.size());
            py::tuple item = py::make_tuple(after + 1, std::move(bytes));
            if (after_.compare_exchange_strong(after, after + 1)) return item;  // or else it is another's
        }
    }

private:
    std::shared_ptr<KeptGroups> groups_;
    std::atomic<std::uint64_t> after_;
};

std::unique_ptr<GroupsAfter> groups_after(const MemoryLog& log, std::uint64_t after) {
    return std::make_unique<GroupsAfter>(log.groups(), after);
}

std::uint64_t append_to(const MemoryLog& log, std::uint64_t after, const py::object& group) {
    const ByteBuffer bytes(group.ptr(), "group");
    const Appended answer = log.groups()->append(after, bytes.bytes());
    if (answer == Appended::appended) return after + 1;
    if (answer == Appended::not_appended) throw Refusal(Status::out_of_memory);
    PyErr_SetString(conflict_class, "the log has another group there, or none before it");
    throw py::error_already_set();
}

}  // namespace

Durability to_durability(const py::object& word) {
    if (word.equal(py::str("commit"))) return Durability::commit;
    if (word.equal(py::str("batch"))) return Durability::batch;
    throw py::value_error("durability must be 'commit' or 'batch', not " + std::string(py::repr(word)));
}

void GivenLog::tell_end(const char* why) noexcept {
    if (is_end_told_.exchange(true)) return;
    try {
        log_error(py::make_tuple("a manager takes no changes any more, as its log does not: %s", why), failure());
    } catch (...) {
        restore_current_exception();
        PyErr_WriteUnraisable(nullptr);
    }
}

std::unique_ptr<GivenLog> GivenLog::of(py::object log) {
    // One that is derived from it may do something else.
    if (py::type::of(log).is(py::type::of<MemoryLog>())) {
        return std::make_unique<GivenMemoryLog>(log.cast<const MemoryLog&>().groups());
    }
    for (const char* name : {"last", "append"}) require_method(log, name);
    return std::make_unique<GivenPythonLog>(std::move(log));
}

void bind_logs(py::module_& module) {
    const auto of_python = [&](const char* name) {
        const py::object made = py::module_::import("grantwheel._log_errors").attr(name);
        module.attr(name) = made;
        return py::object(made).release().ptr();
    };
    not_appended_class = of_python("NotAppended");
    conflict_class = of_python("Conflict");
    auto groups = bind_class<GroupsAfter>(module, "LogGroups",
                                          "The groups of a MemoryLog after a position, with their positions.");
    bind_class<MemoryLog>(
        module, "MemoryLog",
        "A log in memory, which a manager writes without a thread of its own: for tests, followers in the\n"
        "same process, and for handing groups on. It grows with every change.")
        .def(py::init([] { return std::make_unique<MemoryLog>(); }))
        .def(
            "last", [](const MemoryLog& log) { return log.groups()->last(); },
            "Return how many groups there are: the position of the last one.")
        .def(
            "append", &append_to, py::arg("after"), py::arg("group"),
            "Append a group, and return its position.\n\n"
            "Parameters\n----------\nafter : int\n    The position of the last one.\n"
            "group : buffer\n    The bytes.\n\n"
            "Raises\n------\nConflict\n    The last one is another.\nBusinessError\n    9800001: there is not enough memory.")
        .def(
            "read", &groups_after, py::arg("after") = 0,
            "Return an iterator over the groups after a position: of (position, bytes). It has those that come meanwhile.");
    groups.def(py::init(&groups_after), py::arg("log"), py::arg("after"), py::pos_only())
        .def(
            "__iter__", [](GroupsAfter& self) -> GroupsAfter& { return self; }, py::return_value_policy::reference)
        .def("__next__", &GroupsAfter::next);
}

}  // namespace grantwheel::bindings
