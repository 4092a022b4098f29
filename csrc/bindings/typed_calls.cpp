#include "bindings/arguments.hpp"
#include "bindings/calls.hpp"
#include "bindings/instances.hpp"
#include "bindings/typed_arguments.hpp"

namespace grantwheel::bindings {

namespace {

// One that is carried out now.
template <typename Read>
[[gnu::noinline]] PyObject* change(PyObject* self, const Given& given, Read&& read) {
    return fast_call(self, [&](Shell& shell) {
        const TypedCall call = read(given);
        return shell.change({call.uid(), call.types()},
                            [&](const Manager& manager, Instant now) { return call.admit(manager, now); });
    });
}

// The same without options, as most are.
template <bool is_apply>
PyObject* change_plainly(PyObject* self, PyObject* const* arguments) {
    // cppcheck-suppress constParameterReference ; it overlooks a call that names its template's argument
    return fast_call(self, [&](Shell& shell) {
        const std::int64_t uid = to_int64(arguments[0], "uid");
        const std::int64_t pid = to_int64(arguments[1], "pid");
        const std::int64_t mask = to_int64(arguments[2], "mask");
        return shell.change<is_apply>({uid, pid, mask, is_apply ? to_int64(arguments[3], "timeout_ms") : 0});
    });
}

PyObject* renew_plainly(PyObject* self, PyObject* const* arguments) {
    return fast_call(self, [&](Shell& shell) {
        const std::int64_t uid = to_int64(arguments[0], "uid");
        const std::int64_t pid = to_int64(arguments[1], "pid");
        const Request request{.mask = to_mask(arguments[2], "mask"),
                              .only_held = true,
                              .timeout_ms = to_timeout(arguments[3], "timeout_ms")};
        return shell.change({uid, request.mask}, [&](const Manager& manager, Instant now) {
            return admit(manager, manager.caller(uid, pid), request, now);
        });
    });
}

[[nodiscard]] bool is_plain_apply(const Given& given) { return given.has_just(4) && given.arguments[3] != Py_None; }

PyObject* apply(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
    const Given given{arguments, count, keywords};
    if (is_plain_apply(given)) return change_plainly<true>(self, arguments);
    return change(self, given, [](const Given& those) { return read_apply(those); });
}

PyObject* renew(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
    const Given given{arguments, count, keywords};
    if (is_plain_apply(given)) return renew_plainly(self, arguments);
    return change(self, given, [](const Given& those) { return read_renew(those); });
}

PyObject* release(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
    const Given given{arguments, count, keywords};
    if (given.has_just(3)) return change_plainly<false>(self, arguments);
    return change(self, given, [](const Given& those) { return read_release(those); });
}

PyObject* reset_all(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
    return change(self, {arguments, count, keywords}, [](const Given& given) { return read_reset_all(given); });
}

// The mask of one owner; a key out of range is refused as an identity is.
PyObject* owner_mask(PyObject* self, OwnerKind kind, PyObject* key, std::int64_t most, const char* name) {
    return fast_call(self, [&](Shell& shell) {
        const std::int64_t number = to_int64(key, name);
        if (number < 0 || number > most) throw Refusal(Status::identity_invalid);
        const Owner owner{kind, static_cast<std::uint32_t>(number)};
        const auto session = shell.begin_reading(owner);
        return mask_or_throw(session.manager.engine().mask(owner, session.now));
    });
}

PyObject* app_mask(PyObject* self, PyObject* uid) { return owner_mask(self, OwnerKind::app, uid, max_uid, "uid"); }
PyObject* process_mask(PyObject* self, PyObject* pid) {
    return owner_mask(self, OwnerKind::process, pid, max_pid, "pid");
}

PyMethodDef typed_methods[] = {
    {"apply", as_c_function(apply), METH_FASTCALL | METH_KEYWORDS,
     "apply($self, uid, pid, mask, timeout_ms=None, *, persist=False, process=False, reason='', cpu_level=-1, caller=None)\n--\n\n"
     "Grant the types of a mask, or renew them: a deadline is extended, never shortened.\n\n"
     "Parameters\n----------\n"
     "uid, pid : int\n    The caller: 0..2^32-2 and 0..2^31-1.\n"
     "mask : int\n    The types, 1..511.\n"
     "timeout_ms : int\n    How long, in ms, 1..2^32-1; with `persist` it may be left out.\n"
     "persist : bool\n    Grant without a deadline, until released.\n"
     "process : bool\n    Grant CPU to the process; the other types always go to the app.\n"
     "reason : str\n    Why, at most 1024 bytes of UTF-8.\n"
     "cpu_level : int\n    -1 (none) to 2; needs a limit in the policy.\n"
     "caller : Caller\n    Bundle and flags; by default the policy's for this uid.\n\n"
     "Returns\n-------\nint\n    The mask in effect: the types asked for that the policy allows.\n\n"
     "Raises\n------\n"
     "BusinessError\n    201, 202, 9800001, 9800002, 9800003, 9800004 or 18700001; nothing has changed then.\n"
     "TypeError\n    An argument has the wrong type.\n"
     "ValueError\n    The clock has run backwards or out of range."},
    {"renew", as_c_function(renew), METH_FASTCALL | METH_KEYWORDS,
     "renew($self, uid, pid, mask, timeout_ms=None, *, persist=False, process=False, reason='', cpu_level=-1, caller=None)\n--\n\n"
     "Apply for those types of a mask that are held: what has ended is not granted again.\n\n"
     "Parameters are those of `apply`.\n\n"
     "Returns\n-------\nint\n    The types that were renewed; 0 when none is held.\n\n"
     "Raises\n------\n"
     "BusinessError, TypeError, ValueError\n    As `apply`."},
    {"release", as_c_function(release), METH_FASTCALL | METH_KEYWORDS,
     "release($self, uid, pid, mask, *, process=False, cpu_level=-1, caller=None)\n--\n\n"
     "Release the types of a mask: those of the app and of all its processes, or with `process` CPU of this process.\n\n"
     "Parameters are those of `apply`. Releasing what is not held is fine.\n\n"
     "Returns\n-------\nint\n    The types that were removed, over all records.\n\n"
     "Raises\n------\n"
     "BusinessError, TypeError, ValueError\n    As `apply`."},
    {"reset_all", as_c_function(reset_all), METH_FASTCALL | METH_KEYWORDS,
     "reset_all($self, uid, pid, *, caller=None)\n--\n\n"
     "Release every type that the caller's bundle is allowed, of the app and of all its processes.\n\n"
     "Returns\n-------\nint\n    The types that were removed, over all records.\n\n"
     "Raises\n------\n"
     "BusinessError, TypeError, ValueError\n    As `apply`."},
    {"app_mask", app_mask, METH_O,
     "app_mask($self, uid, /)\n--\n\n"
     "Return the types that the app of a uid holds now; 0 for none.\n\n"
     "Raises\n------\nBusinessError\n    18700001 for a uid out of range, 9800004 when closed."},
    {"process_mask", process_mask, METH_O,
     "process_mask($self, pid, /)\n--\n\n"
     "Return the types that a process holds now; 0 for none.\n\n"
     "Raises\n------\nBusinessError\n    18700001 for a pid out of range, 9800004 when closed."},
};

}  // namespace

void add_fast_method(const py::object& bound, PyMethodDef& definition) {
    PyObject* const method = PyDescr_NewMethod(reinterpret_cast<PyTypeObject*>(bound.ptr()), &definition);
    if (method == nullptr) throw py::error_already_set();
    bound.attr(definition.ml_name) = py::reinterpret_steal<py::object>(method);
}

void refuse_without_value() { throw py::type_error("Manager.__init__() must be called when overriding __init__"); }

void bind_typed_calls(const ManagerClass& bound) {
    for (PyMethodDef& definition : typed_methods) add_fast_method(bound, definition);
}

}  // namespace grantwheel::bindings
