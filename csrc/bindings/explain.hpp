// Which field of a call is meant by a status that stands for several.
#pragma once

#include "grantwheel/manager.hpp"

namespace grantwheel::bindings {

// Throws the refusal of `status`, which is request_invalid or identity_invalid, with the rule of the first field that
// breaks one. Values are named as the arguments of the typed calls are.
[[noreturn]] void refuse_field(Status status, const Caller& caller, const Request& request);
[[noreturn]] void refuse_field(Status status, const PlainCall& call, bool is_apply);
[[nodiscard]] inline bool is_about_field(Status status) noexcept {
    return status == Status::request_invalid || status == Status::identity_invalid;
}

// Judges a request as the manager does. One that is refused for one of its fields is thrown, as that says.
[[nodiscard]] inline Admission admit(const Manager& manager, const Caller& caller, const Request& request,
                                     Instant now) {
    const Admission admission = manager.admit(caller, request, now);
    if (is_about_field(admission.status)) refuse_field(admission.status, caller, request);
    return admission;
}

}  // namespace grantwheel::bindings
