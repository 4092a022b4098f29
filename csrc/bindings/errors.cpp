#include "bindings/errors.hpp"

#include <cerrno>
#include <map>

namespace grantwheel::bindings {

namespace {

struct PublicCode {
    std::int32_t code;
    const char* class_name;
    const char* message;
};

constexpr PublicCode public_codes[] = {
#define GRANTWHEEL_PUBLIC(code, name, message) {code, #name, message},
    GRANTWHEEL_PUBLIC_LIST(GRANTWHEEL_PUBLIC)
#undef GRANTWHEEL_PUBLIC
};

// The classes by public code. They live as long as the process, as the module does.
std::map<std::int32_t, PyObject*>& classes() {
    static auto* const by_code = new std::map<std::int32_t, PyObject*>;
    return *by_code;
}

const char* message_of(std::int32_t code) {
    for (const PublicCode& entry : public_codes) {
        if (entry.code == code) return entry.message;
    }
    return "Unknown error.";
}

py::object make_class(const char* name, const char* documentation, PyObject* base) {
    const std::string qualified = std::string("grantwheel.") + name;
    PyObject* made = PyErr_NewExceptionWithDoc(qualified.c_str(), documentation, base, nullptr);
    if (made == nullptr) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(made);
}

}  // namespace

py::object Refusal::exception() const {
    const std::int32_t code = public_code(status_);
    const std::string rule(rule_.empty() ? status_text(status_) : rule_);
    if (code < 0) return py::reinterpret_borrow<py::object>(PyExc_ValueError)(rule);
    std::string message = message_of(code);
    if (!sentence_.empty()) message += " " + sentence_;
    const auto detail = static_cast<std::int32_t>(status_);
    const std::string text =
        "[" + std::to_string(code) + "] " + message + " (" + std::to_string(detail) + ": " + rule + ")";
    py::object error = py::reinterpret_borrow<py::object>(classes().at(code))(text);
    error.attr("code") = code;
    error.attr("detail") = detail;
    error.attr("message") = message;
    if (is_newer_) error.attr("is_newer") = true;
    if (cause_) error.attr("__cause__") = cause_;
    return error;
}

void Refusal::restore() const {
    const py::object error = exception();
    PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(error.ptr())), error.ptr());
}

namespace {

// Whether CPython has said already that there is no memory. What pybind11 throws then has other words for it.
bool lacks_memory() noexcept { return PyErr_Occurred() != nullptr && PyErr_ExceptionMatches(PyExc_MemoryError) != 0; }

// An error may be set still: there was no memory to take hold of it.
void restore_out_of_memory() {
    PyErr_Clear();
    Refusal(Status::out_of_memory).restore();
}

// The same for what is being handled; bad_alloc when there is no memory for its words.
void restore_unless_out_of_memory() {
    try {
        throw;
    } catch (const Refusal& refusal) {
        refusal.restore();
    } catch (const FailedSystemCall& failed) {
        errno = failed.error;
        PyErr_SetFromErrno(PyExc_OSError);
    } catch (py::error_already_set& error) {
        error.restore();
    } catch (const std::bad_alloc&) {
        throw;
    } catch (const py::builtin_exception& error) {
        if (!lacks_memory()) error.set_error();
    } catch (const std::exception& error) {
        if (!lacks_memory()) PyErr_SetString(PyExc_RuntimeError, error.what());
    }
}

}  // namespace

void restore_current_exception() noexcept {
    try {
        try {
            restore_unless_out_of_memory();
        } catch (const std::bad_alloc&) {
            restore_out_of_memory();
        }
    } catch (...) {
        // Not even the exception object could be made; CPython has said why, or there is no memory to say anything.
        if (PyErr_Occurred() == nullptr) PyErr_NoMemory();
    }
}

namespace {

void log_at(const char* level, const py::tuple& words, const py::object& exception) {
    const py::object logger = py::module_::import("logging").attr("getLogger")("grantwheel");
    const py::object write = logger.attr(level);
    py::dict keywords;
    if (exception) keywords["exc_info"] = exception;
    PyObject* const done = as_python([&] { return PyObject_Call(write.ptr(), words.ptr(), keywords.ptr()); });
    if (done == nullptr) throw py::error_already_set();
    Py_DECREF(done);
}

}  // namespace

void log_warning(const py::tuple& words, const py::object& exception) { log_at("warning", words, exception); }
void log_error(const py::tuple& words, const py::object& exception) { log_at("error", words, exception); }

void bind_errors(py::module_& module) {
    const py::object base = make_class(
        "BusinessError",
        "A call that was refused; nothing has changed.\n\n"
        "Attributes\n----------\n"
        "code : int\n    The public code, as the documented API names it.\n"
        "detail : int\n    The inner code: which rule refused the call.\n"
        "message : str\n    The documented message; for 401 with a sentence that names the field and the rule.\n"
        "is_newer : bool\n    Whether what was to be read is sound, and of a newer format than this program knows.",
        PyExc_Exception);
    base.attr("is_newer") = false;
    module.attr("BusinessError") = base;
    py::list codes;
    for (const PublicCode& entry : public_codes) {
        const std::string documentation = std::to_string(entry.code) + ": " + entry.message;
        py::object made = make_class(entry.class_name, documentation.c_str(), base.ptr());
        module.attr(entry.class_name) = made;
        classes()[entry.code] = made.release().ptr();
        codes.append(py::make_tuple(entry.code, entry.class_name, entry.message));
    }
    module.attr("PUBLIC_CODES") = py::tuple(codes);

    py::list statuses;
#define GRANTWHEEL_STATUS(name, NAME, inner, text) \
    statuses.append(py::make_tuple(#name, inner, public_code(Status::name), text));
    GRANTWHEEL_STATUS_LIST(GRANTWHEEL_STATUS)
#undef GRANTWHEEL_STATUS
    module.attr("STATUSES") = py::tuple(statuses);

    module.def(
        "business_error",
        [](int detail, const std::string& sentence, const std::string& rule) {
            for (const auto status : {
#define GRANTWHEEL_STATUS(name, NAME, inner, text) Status::name,
                     GRANTWHEEL_STATUS_LIST(GRANTWHEEL_STATUS)
#undef GRANTWHEEL_STATUS
                 }) {
                if (static_cast<int>(status) == detail && public_code(status) > 0)
                    return Refusal(status, sentence).with_rule(rule).exception();
            }
            throw py::value_error("detail must be an inner code of STATUSES");
        },
        py::arg("detail"), py::arg("sentence") = "", py::arg("rule") = "", py::pos_only(),
        "Return the exception of an inner code, its message followed by a sentence, with a rule in place of the general one.");

    // Of this module alone: a bad_alloc of another one is no refusal.
    py::register_local_exception_translator([](std::exception_ptr current) {
        try {
            std::rethrow_exception(current);
        } catch (...) {
            restore_current_exception();
        }
    });
}

}  // namespace grantwheel::bindings
