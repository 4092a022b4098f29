#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

#include "bindings/arguments.hpp"
#include "bindings/buffers.hpp"
#include "bindings/calls.hpp"

namespace grantwheel::bindings {

namespace {

// A one-dimensional buffer of integers of 32 or 64 bits, signed or not, contiguous or strided.
class Integers {
public:
    Integers(PyObject* object, const char* name, bool writable = false) : name_(name) {
        const int flags = PyBUF_STRIDES | PyBUF_FORMAT | (writable ? PyBUF_WRITABLE : 0);
        if (PyObject_GetBuffer(object, &view_, flags) != 0) {
            throw_for_buffer(std::string(name) + " must be a" + (writable ? " writable" : "") + " buffer of integers");
        }
        try {
            read_format();
        } catch (...) {
            PyBuffer_Release(&view_);
            throw;
        }
    }
    ~Integers() { PyBuffer_Release(&view_); }
    Integers(const Integers&) = delete;
    Integers& operator=(const Integers&) = delete;

    [[nodiscard]] std::size_t size() const noexcept { return static_cast<std::size_t>(view_.shape[0]); }
    [[nodiscard]] bool is_int32() const noexcept { return kind_ == Integer::int32; }
    [[nodiscard]] Column column() const noexcept { return {view_.buf, stride_, kind_}; }
    [[nodiscard]] std::int64_t operator[](std::size_t i) const noexcept { return column()[i]; }
    // Pre: is_int32() and writable.
    void set(std::size_t i, std::int32_t value) const noexcept {
        char* const place = static_cast<char*>(view_.buf) + static_cast<Py_ssize_t>(i) * stride_;
        std::memcpy(place, &value, sizeof value);
    }

    void require_size(std::size_t size_wanted) const {
        if (size() != size_wanted) throw py::value_error(std::string(name_) + " must be as long as the first argument");
    }

private:
    void read_format() {
        const std::string_view format = view_.format == nullptr ? "B" : view_.format;
        const char code = format.empty() ? '?' : format.back();
        const bool native =
            format.size() == 1 || (format.size() == 2 && (format[0] == '@' || format[0] == '=' || format[0] == '<'));
        const bool is_signed = code == 'i' || code == 'l' || code == 'q';
        const bool is_integer = is_signed || code == 'I' || code == 'L' || code == 'Q';
        if (view_.ndim != 1 || !native || !is_integer || (view_.itemsize != 4 && view_.itemsize != 8)) {
            throw py::type_error(std::string(name_) + " must be a one-dimensional buffer of 32- or 64-bit integers");
        }
        stride_ = view_.strides == nullptr ? view_.itemsize : view_.strides[0];  // ctypes gives none
        const bool is_short = view_.itemsize == 4;
        if (is_signed) kind_ = is_short ? Integer::int32 : Integer::int64;
        if (!is_signed) kind_ = is_short ? Integer::uint32 : Integer::uint64;
    }

    Py_buffer view_{};
    const char* name_;
    Py_ssize_t stride_ = 0;
    Integer kind_ = Integer::int32;
};

// Where results go: `out` as it was given, or a new array('i').
class Results {
public:
    Results(PyObject* out, std::size_t size, Refusals& refusals)
        : object_(out == nullptr || out == Py_None ? new_array(size) : py::reinterpret_borrow<py::object>(out)),
          refusals_(refusals) {
        integers_.emplace(object_.ptr(), "out", true);
        if (!integers_->is_int32()) throw py::type_error("out must be a buffer of signed 32-bit integers");
        integers_->require_size(size);
    }
    void set(std::size_t i, Result result) const noexcept {
        const bool ok = result.status == Status::ok;
        if (!ok) refusals_.note(result.status);
        integers_->set(i, ok ? static_cast<std::int32_t>(result.mask) : -public_code(result.status));
    }
    // Lets go of the buffer and returns the object.
    [[nodiscard]] py::object take() {
        integers_.reset();
        return std::move(object_);
    }

private:
    [[nodiscard]] static py::object new_array(std::size_t size) {
        return py::module_::import("array").attr("array")("i",
                                                          py::bytes(std::string(size * sizeof(std::int32_t), '\0')));
    }

    py::object object_;
    std::optional<Integers> integers_;
    Refusals& refusals_;
};

void change_many(Shell& shell, const Results& results, const Requests& rows) {
    const bool is_done = shell.change_directly([&](Manager& manager, Instant now) {
        check(manager.admit_each(rows, now, [&](std::size_t i, const Admission& admission) {
            results.set(i, manager.execute(admission, now));
        }));
        return true;
    });
    if (is_done) return;
    const std::vector<Result> answers = shell.change_many(rows);
    for (std::size_t i = 0; i < answers.size(); ++i) results.set(i, answers[i]);
}

PyObject* apply_many(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
    return fast_call(self, [&](Shell& shell) {
        static constinit Parameters<5, 4> parameters("apply_many", {"uids", "pids", "masks", "timeouts_ms", "out"});
        const auto [uids, pids, masks, timeouts_ms, out] = parameters.read(arguments, count, keywords);
        const Integers users(uids, "uids");
        const Integers tasks(pids, "pids");
        const Integers types(masks, "masks");
        const Integers timeouts(timeouts_ms, "timeouts_ms");
        for (const Integers* other : {&tasks, &types, &timeouts}) other->require_size(users.size());
        Results results(out, users.size(), shell.tally().refusals);
        change_many(shell, results,
                    {.count = users.size(),
                     .uids = users.column(),
                     .pids = tasks.column(),
                     .masks = types.column(),
                     .timeouts_ms = timeouts.column()});
        return results.take();
    });
}

PyObject* release_many(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
    return fast_call(self, [&](Shell& shell) {
        static constinit Parameters<4, 3> parameters("release_many", {"uids", "pids", "masks", "out"});
        const auto [uids, pids, masks, out] = parameters.read(arguments, count, keywords);
        const Integers users(uids, "uids");
        const Integers tasks(pids, "pids");
        const Integers types(masks, "masks");
        for (const Integers* other : {&tasks, &types}) other->require_size(users.size());
        Results results(out, users.size(), shell.tally().refusals);
        change_many(shell, results,
                    {.is_apply = false,
                     .count = users.size(),
                     .uids = users.column(),
                     .pids = tasks.column(),
                     .masks = types.column(),
                     .timeouts_ms = {}});
        return results.take();
    });
}

// Reads the masks of a slice of the uids that come after those read. Returns whether there are more.
bool read_slice(const Engine& engine, Instant now, const Integers& uids, std::vector<Result>& masks) {
    const std::size_t first = masks.size();
    const std::size_t count = std::min(uids.size() - first, Shell::slice);
    const auto uid_of = [&](std::size_t i) { return static_cast<std::uint32_t>(uids[first + i]); };
    const auto no_types = [](std::size_t) { return Mask{0}; };
    for_each_prefetched(engine, count, uid_of, no_types, [&](std::size_t i) {
        const std::int64_t uid = uids[first + i];
        const bool is_valid = uid >= 0 && uid <= max_uid;
        masks.push_back(is_valid ? engine.mask({OwnerKind::app, uid_of(i)}, now) : Result{Status::identity_invalid, 0});
    });
    return masks.size() < uids.size();
}

PyObject* app_masks(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
    return fast_call(self, [&](Shell& shell) {
        static constinit Parameters<2, 1> parameters("app_masks", {"uids", "out"});
        const auto [uids, out] = parameters.read(arguments, count, keywords);
        const Integers users(uids, "uids");
        Results results(out, users.size(), shell.tally().refusals);
        std::vector<Result> masks;
        masks.reserve(users.size());
        shell.look_in_slices([&](const Engine& engine, Instant now) {
            check(engine.check_time(now));
            return read_slice(engine, now, users, masks);
        });
        for (std::size_t i = 0; i < masks.size(); ++i) results.set(i, masks[i]);
        return results.take();
    });
}

PyMethodDef batch_methods[] = {
    {"apply_many", as_c_function(apply_many), METH_FASTCALL | METH_KEYWORDS,
     "apply_many($self, uids, pids, masks, timeouts_ms, *, out=None)\n--\n\n"
     "Apply for many owners: as many calls of `apply`, at one instant, between which there is no other.\n\n"
     "Others who call the manager meanwhile wait, without the GIL. With a quota all rows are judged first and asked for,\n"
     "and an exception of its ``check`` refuses them all; then they are carried out.\n\n"
     "Parameters\n----------\n"
     "uids, pids, masks, timeouts_ms : buffer, shape (n,)\n"
     "    Signed or unsigned integers of 32 or 64 bits; array, numpy and memoryview will do, strided too.\n"
     "out : buffer, shape (n,)\n    Signed 32-bit integers to be written. Default: a new array('i').\n\n"
     "Returns\n-------\nout\n    For each owner the mask in effect, or minus the public code of the refusal.\n\n"
     "Raises\n------\n"
     "TypeError, ValueError\n    A buffer of another kind or length: names the argument; nothing has changed."},
    {"release_many", as_c_function(release_many), METH_FASTCALL | METH_KEYWORDS,
     "release_many($self, uids, pids, masks, *, out=None)\n--\n\n"
     "Release for many owners: as many calls of `release`, at one instant. Arguments and results as `apply_many`."},
    {"app_masks", as_c_function(app_masks), METH_FASTCALL | METH_KEYWORDS,
     "app_masks($self, uids, *, out=None)\n--\n\n"
     "Return what the apps of many uids hold now: as many calls of `app_mask`, 1024 at one instant. Buffers as\n"
     "`apply_many`."},
};

}  // namespace

void bind_batches(const ManagerClass& bound) {
    for (PyMethodDef& definition : batch_methods) add_fast_method(bound, definition);
}

}  // namespace grantwheel::bindings
