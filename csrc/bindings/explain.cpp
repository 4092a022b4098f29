#include "bindings/explain.hpp"

#include <utility>

#include "bindings/errors.hpp"

namespace grantwheel::bindings {

namespace {

const char* rule_of_request(const Request& request) noexcept {
    if (request.mask == 0 || request.mask > type::ALL) return "mask must be within 1..511";
    if (request.timeout_ms > max_timeout) return "timeout_ms must be within 0..2^32-1";
    if (request.is_apply && !request.is_persist && request.timeout_ms == 0) {
        return "timeout_ms must not be 0 unless persist";
    }
    return "reason must be at most 1024 bytes of UTF-8";
}

const char* rule_of_identity(const Caller& caller) noexcept {
    if (caller.uid < 0 || caller.uid > max_uid) return "uid must be within 0..2^32-2";
    if (caller.pid < 0 || caller.pid > max_pid) return "pid must be within 0..2^31-1";
    return "the bundle name must be at most 1024 bytes of UTF-8";
}

}  // namespace

void refuse_field(Status status, const Caller& caller, const Request& request) {
    const bool is_request = status == Status::request_invalid;
    throw Refusal(status).with_rule(is_request ? rule_of_request(request) : rule_of_identity(caller));
}

void refuse_field(Status status, const PlainCall& call, bool is_apply) {
    Request request{.mask = std::in_range<Mask>(call.mask) ? static_cast<Mask>(call.mask) : UINT32_MAX,
                    .is_apply = is_apply};
    if (is_apply) request.timeout_ms = static_cast<std::uint64_t>(call.timeout_ms);
    refuse_field(status, {.uid = call.uid, .pid = call.pid}, request);
}

}  // namespace grantwheel::bindings
