// What apply, renew, release and reset_all are given, for those that carry them out one by one and for pipelines.
#pragma once

#include <array>

#include "bindings/application.hpp"
#include "bindings/arguments.hpp"

namespace grantwheel::bindings {

// The arguments of a fast call as CPython hands them over.
struct Given {
    PyObject* const* arguments;
    Py_ssize_t count;
    PyObject* keywords;

    // Whether there are that many, and all by position.
    [[nodiscard]] bool has_just(Py_ssize_t wanted) const noexcept { return keywords == nullptr && count == wanted; }
};

// One call, before anybody has judged it. Its reason is a text of Python's.
struct TypedCall {
    Application application{};
    bool is_reset = false;       // of all types, and then it has no request
    PyObject* reason = nullptr;  // borrowed; null for none

    [[nodiscard]] std::int64_t uid() const noexcept { return application.uid; }
    // The types that it is about.
    [[nodiscard]] Mask types() const noexcept { return is_reset ? type::ALL : application.request.mask; }
    // Whether what it does depends on what is held when it is judged.
    [[nodiscard]] bool renews() const noexcept { return application.request.only_held; }
    [[nodiscard]] Admission admit(const Manager& manager, Instant now) const {
        if (!is_reset) return application.admit(manager, now);
        return manager.admit_reset_all(caller_of(application.caller, manager, application.uid, application.pid), now);
    }
};

// From `uid, pid, mask, timeout_ms, persist, process, reason, cpu_level, caller`. What is persistent needs no timeout.
[[nodiscard]] inline TypedCall to_apply(const std::array<PyObject*, 9>& values, bool only_held) {
    const bool is_persist = to_bool(values[4], "persist", false);
    const bool has_timeout = values[3] != nullptr && values[3] != Py_None;
    if (!has_timeout && !is_persist) throw py::type_error("timeout_ms must be given, unless persist is True");
    return {.application = {.uid = to_int64(values[0], "uid"),
                            .pid = to_int64(values[1], "pid"),
                            .caller = to_caller(values[8]),
                            .request = {.mask = to_mask(values[2], "mask"),
                                        .is_apply = true,
                                        .is_persist = is_persist,
                                        .is_process = to_bool(values[5], "process", false),
                                        .only_held = only_held,
                                        .cpu_level = to_level(values[7], "cpu_level"),
                                        .timeout_ms = has_timeout ? to_timeout(values[3], "timeout_ms") : 0,
                                        .reason = to_text(values[6], "reason")}},
            .reason = values[6]};
}

[[nodiscard]] inline TypedCall read_apply(const Given& given) {
    static constinit Parameters<9, 3, 4> parameters(
        "apply", {"uid", "pid", "mask", "timeout_ms", "persist", "process", "reason", "cpu_level", "caller"});
    return to_apply(parameters.read(given.arguments, given.count, given.keywords), false);
}

[[nodiscard]] inline TypedCall read_renew(const Given& given) {
    static constinit Parameters<9, 3, 4> parameters(
        "renew", {"uid", "pid", "mask", "timeout_ms", "persist", "process", "reason", "cpu_level", "caller"});
    return to_apply(parameters.read(given.arguments, given.count, given.keywords), true);
}

[[nodiscard]] inline TypedCall read_release(const Given& given) {
    static constinit Parameters<6, 3> parameters("release", {"uid", "pid", "mask", "process", "cpu_level", "caller"});
    const auto [uid, pid, mask, process, level, who] = parameters.read(given.arguments, given.count, given.keywords);
    return {.application = {.uid = to_int64(uid, "uid"),
                            .pid = to_int64(pid, "pid"),
                            .caller = to_caller(who),
                            .request = {.mask = to_mask(mask, "mask"),
                                        .is_apply = false,
                                        .is_process = to_bool(process, "process", false),
                                        .cpu_level = to_level(level, "cpu_level")}}};
}

[[nodiscard]] inline TypedCall read_reset_all(const Given& given) {
    static constinit Parameters<3, 2> parameters("reset_all", {"uid", "pid", "caller"});
    const auto [uid, pid, who] = parameters.read(given.arguments, given.count, given.keywords);
    return {.application = {.uid = to_int64(uid, "uid"),
                            .pid = to_int64(pid, "pid"),
                            .caller = to_caller(who),
                            .request = {.is_apply = false}},
            .is_reset = true};
}

}  // namespace grantwheel::bindings
