#include <bit>

#include "bindings/arguments.hpp"
#include "bindings/calls.hpp"

namespace grantwheel::bindings {

namespace {

py::int_ process_died(Shell& shell, const py::object& uid, const py::object& pid) {
    const std::int64_t user = to_int64(uid.ptr(), "uid");
    const std::int64_t task = to_int64(pid.ptr(), "pid");
    return mask_int(shell.change(
        {user}, [&](const Manager& manager, Instant now) { return manager.admit_process_died(user, task, now); }));
}

py::int_ app_stopped(Shell& shell, const py::object& uid) {
    const std::int64_t user = to_int64(uid.ptr(), "uid");
    return mask_int(shell.change(
        {user, type::ALL}, [&](const Manager& manager, Instant now) { return manager.admit_app_stopped(user, now); }));
}

py::int_ package_removed(Shell& shell, const py::object& uid) {
    const std::int64_t user = to_int64(uid.ptr(), "uid");
    return mask_int(shell.change({user, type::ALL}, [&](const Manager& manager, Instant now) {
        return manager.admit_package_removed(user, now);
    }));
}

py::int_ admin_reset_all(Shell& shell) {
    return mask_int(
        shell.change({}, [](const Manager& manager, Instant now) { return manager.admit_admin_reset_all(now); }));
}

py::int_ admin_reset_app(Shell& shell, const py::object& uid, const py::object& mask) {
    const std::int64_t user = to_int64(uid.ptr(), "uid");
    const Mask types = to_mask(mask.ptr(), "mask");
    return mask_int(shell.change({user, types}, [&](const Manager& manager, Instant now) {
        return manager.admit_admin_reset_app(user, types, now);
    }));
}

py::int_ admin_reset_process(Shell& shell, const py::object& pid, const py::object& mask) {
    const std::int64_t task = to_int64(pid.ptr(), "pid");
    const Mask types = to_mask(mask.ptr(), "mask");
    return mask_int(shell.change(
        {}, [&](const Manager& manager, Instant now) { return manager.admit_admin_reset_process(task, types, now); }));
}

// The parts of a grantwheel.Policy, which has checked them; what would not fit all the same is refused.

Mask allowed_types(const py::handle& types) {
    const Mask mask = to_mask(types.ptr(), "allowed types of the policy");
    if (mask > type::ALL) throw py::value_error("allowed types of the policy must be within 0..511");
    return mask;
}

std::int32_t level_limit(const py::handle& level) {
    const std::int32_t limit = to_level(level.ptr(), "a limit in cpu_level_max");
    if (limit < 0 || limit > max_level) throw py::value_error("a limit in cpu_level_max must be within 0..2");
    return limit;
}

void set_timeouts(BundleRule& rule, const py::handle& given) {
    rule.timeout_max_ms.fill(0);
    const py::dict timeouts = py::reinterpret_borrow<py::object>(given);
    for (const auto& [type, timeout] : timeouts) {
        const Mask bit = to_mask(type.ptr(), "a type in timeout_max_ms");
        const std::uint64_t most = to_timeout(timeout.ptr(), "a timeout in timeout_max_ms");
        if (bit > type::ALL || !std::has_single_bit(bit))
            throw py::value_error("timeout_max_ms must be by single types");
        if (most == 0 || most > max_timeout)
            throw py::value_error("a timeout in timeout_max_ms must be within 1..2^32-1");
        rule.timeout_max_ms[static_cast<std::size_t>(std::countr_zero(bit))] = static_cast<std::uint32_t>(most);
    }
}

void add_rules(Policy& policy, const py::object& given) {
    BundleRule common;
    common.allowed = allowed_types(given.attr("default_allowed"));
    common.refuses_longer = py::object(given.attr("over_timeout_max")).equal(py::str("refuse"));
    set_timeouts(common, given.attr("default_timeout_max_ms"));
    policy.set_default_rule(common);

    const py::dict allowed(given.attr("allowed"));
    const py::dict levels(given.attr("cpu_level_max"));
    const py::dict timeouts(given.attr("timeout_max_ms"));
    const py::set unknown(given.attr("unknown_bundles"));
    py::set bundles;
    for (const py::handle bundle : unknown) bundles.add(bundle);
    for (const py::dict& fields : {allowed, levels, timeouts}) {
        for (const auto& [bundle, field] : fields) bundles.add(bundle);
    }
    for (const py::handle bundle : bundles) {
        BundleRule rule = common;
        if (allowed.contains(bundle)) rule.allowed = allowed_types(allowed[bundle]);
        if (levels.contains(bundle)) rule.level_limit = level_limit(levels[bundle]);
        if (timeouts.contains(bundle)) set_timeouts(rule, timeouts[bundle]);
        rule.known = !unknown.contains(bundle);
        check(policy.set_rule(to_text(bundle.ptr(), "a bundle of the policy"), rule));
    }
}

void add_callers(Policy& policy, const py::object& given) {
    const auto caller_of = [](const py::handle& value) {
        if (value.is_none()) throw py::type_error("a caller of the policy must be a Caller, not None");
        return to_caller(value.ptr());
    };
    check(policy.set_default_caller(caller_of(given.attr("default_caller")).caller));
    const py::dict callers(given.attr("callers"));
    for (const auto& [uid, caller] : callers) {
        const std::int64_t user = to_int64(uid.ptr(), "a uid of the policy");
        if (user < 0 || user > max_uid) throw Refusal(Status::identity_invalid);
        check(policy.set_caller(static_cast<std::uint32_t>(user), caller_of(caller).caller));
    }
}

void set_policy(Shell& shell, const py::object& given) {
    const py::object quota = given.attr("quota");
    auto policy = Policy::create(shell.hash_key());
    if (policy == nullptr) throw Refusal(Status::out_of_memory);
    add_rules(*policy, given);
    add_callers(*policy, given);
    shell.set_policy(std::move(policy), quota);
}

}  // namespace

void bind_administration(ManagerClass& bound) {
    bound
        .def(
            "process_died", counting<&process_died>, py::arg("uid"), py::arg("pid"),
            "Drop the process record of a process that has died. A record of another uid stays: its pid was reused.\n\n"
            "Returns\n-------\nint\n    The types that were removed; 0 when it held nothing, which is fine.\n\n"
            "Raises\n------\n"
            "BusinessError\n    18700001: uid or pid out of range. 9800003: not in the log. 9800004: closed.\n"
            "ValueError\n    The clock has run backwards or out of range.")
        .def("app_stopped", counting<&app_stopped>, py::arg("uid"),
             "Release everything of an application but the retained types, with all its processes.\n\n"
             "Retained types (WORK_SCHEDULER, TIMER) go on and still expire.\n\n"
             "Returns\n-------\nint\n    The types that were removed, over all records.\n\n"
             "Raises\n------\nBusinessError, ValueError\n    As `process_died`.")
        .def("package_removed", counting<&package_removed>, py::arg("uid"),
             "Release everything of an application, with all its processes.\n\n"
             "Returns\n-------\nint\n    The types that were removed, over all records.\n\n"
             "Raises\n------\nBusinessError, ValueError\n    As `process_died`.")
        .def("admin_reset_all", counting<&admin_reset_all>,
             "Release everything of everyone: all app records, then all process records, whatever the policy says.\n\n"
             "Returns\n-------\nint\n    The types that were removed, over all records.\n\n"
             "Raises\n------\nBusinessError\n    9800003: not in the log. 9800004: closed.\n"
             "ValueError\n    The clock has run backwards or out of range.")
        .def("admin_reset_app", counting<&admin_reset_app>, py::arg("uid"), py::arg("mask"),
             "Release types of one app record, its processes left alone, whatever the policy says.\n\n"
             "Returns\n-------\nint\n    The types that were removed.\n\n"
             "Raises\n------\n"
             "BusinessError\n    18700001: uid out of range, or mask not within 1..511. 9800003: not in the log.\n"
             "    9800004: closed.\n"
             "ValueError\n    The clock has run backwards or out of range.")
        .def("admin_reset_process", counting<&admin_reset_process>, py::arg("pid"), py::arg("mask"),
             "Release types of one process record, whatever the policy says.\n\n"
             "Returns\n-------\nint\n    The types that were removed.\n\n"
             "Raises\n------\nBusinessError, ValueError\n    As `admin_reset_app`, for the pid.")
        .def("set_policy", &set_policy, py::arg("policy"),
             "Replace the policy, from the next call on. No grant is dropped by it.\n\n"
             "Raises\n------\nTypeError, ValueError, BusinessError\n    The policy is not valid; the old one stays.")
        .def_property(
            "ready", [](Shell& shell) { return shell.lock().manager.ready(); },
            [](Shell& shell, const py::object& ready) {
                const bool is_ready = to_bool(ready.ptr(), "ready", false);
                shell.lock().manager.set_ready(is_ready);
            },
            "Whether the manager serves. While it is False, apply, release and reset_all are refused with 9800004,\n"
            "get_all with 18700004. Deaths, expiry and administration go on.")
        .def_property_readonly("clock", &Shell::clock, "The clock that the manager was made with.")
        .def(
            "close", [](Shell& shell) { shell.close(); },
            "Drop all grants without events and give the memory back. Every later call is refused with 9800004\n"
            "(queries of the documented API with 18700004), except another close.");
}

}  // namespace grantwheel::bindings
