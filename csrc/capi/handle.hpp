// What a gw_manager is: a manager and the functions of its quota. It is not thread-safe, as the manager is not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "grantwheel/grantwheel.h"
#include "grantwheel/manager.hpp"

struct gw_manager {
    std::unique_ptr<grantwheel::Manager> manager;
    gw_quota_check check = nullptr;
    gw_quota_settle settle = nullptr;
    void* user = nullptr;
    bool in_callback = false;
    bool has_quota = false;
    // What the last changing call has left to settle. The engine's own list outlives calls that never reached it, and
    // has only the last row of a batch.
    std::span<const std::uint32_t> ended;
    // Room for what the rows of a batch have left.
    std::unique_ptr<std::uint32_t[]> batch_ended;
    std::size_t batch_capacity = 0;
};

namespace grantwheel::capi {

constexpr gw_status code(Status status) noexcept { return static_cast<gw_status>(status); }

constexpr gw_result to_result(Result result) noexcept {
    return {code(result.status), result.status == Status::ok ? result.mask : 0};
}

// Carries out what was admitted, the quota asked before and told afterwards.
Result carry_out(gw_manager& handle, const Admission& admission, Instant now) noexcept;

// Tells the quota which apps lost CPU in the engine call that has just been made.
void settle(gw_manager& handle) noexcept;

// Runs `call(handle)`, which may change the manager and answers a Status. It looks at its own arguments: one that is
// refused for them is a call too, and leaves nothing to settle.
template <typename Call>
gw_status change(gw_manager* handle, Call&& call) noexcept {
    if (handle == nullptr) return GW_ARGUMENT_INVALID;
    if (handle->in_callback) return GW_IN_CALLBACK;
    handle->ended = {};
    return code(call(*handle));
}

// Runs `call(engine)`, one engine call that may end grants and answers a Status; none when the arguments are not valid.
template <typename Call>
gw_status change_engine(gw_manager* handle, bool are_valid, Call&& call) noexcept {
    return change(handle, [&](gw_manager& open) {
        if (!are_valid) return Status::argument_invalid;
        const Status status = call(open.manager->engine());
        settle(open);
        return status;
    });
}

// Carries out what `admit(manager)` admits.
template <typename Admit>
gw_status change_as(gw_manager* handle, std::uint64_t now, std::uint32_t* mask, Admit&& admit) noexcept {
    return change(handle, [&](gw_manager& open) {
        const Result result = carry_out(open, admit(*open.manager), now);
        if (mask != nullptr && result.status == Status::ok) *mask = result.mask;
        return result.status;
    });
}

// Runs `call(manager)`, which changes nothing and answers a Status.
template <typename Call>
gw_status look(const gw_manager* handle, Call&& call) noexcept {
    if (handle == nullptr) return GW_ARGUMENT_INVALID;
    const Manager& manager = *handle->manager;
    return code(call(manager));
}

}  // namespace grantwheel::capi
