#include "capi/handle.hpp"

#include <new>

#include "capi/values.hpp"

namespace grantwheel::capi {

namespace {

bool refused_by_quota(gw_manager& handle, const Admission& admission) noexcept {
    if (!admission.ask_quota || handle.check == nullptr) return false;
    gw_command command;
    command.size = sizeof command;
    write(admission, command);
    handle.in_callback = true;
    const bool refused = handle.check(handle.user, &command) == 0;
    handle.in_callback = false;
    return refused;
}

}  // namespace

Result carry_out(gw_manager& handle, const Admission& admission, Instant now) noexcept {
    if (admission.status != Status::ok) return {admission.status, 0};
    if (refused_by_quota(handle, admission)) return {Status::permission_denied, 0};
    const Result result = handle.manager->execute(admission, now);
    settle(handle);
    return result;
}

void settle(gw_manager& handle) noexcept {
    handle.ended = handle.manager->engine().cpu_ended();
    if (handle.settle == nullptr) return;
    handle.in_callback = true;
    for (const std::uint32_t uid : handle.ended) handle.settle(handle.user, uid);
    handle.in_callback = false;
}

}  // namespace grantwheel::capi

using namespace grantwheel;
using namespace grantwheel::capi;

const char* gw_limits_first_invalid(const gw_limits* limits) noexcept {
    return is_whole(limits) ? to_limits(*limits).first_invalid() : "size";
}

gw_status gw_create(const gw_limits* limits, gw_manager** manager) noexcept {
    return gw_create_keyed(limits, {}, manager);
}

gw_status gw_create_keyed(const gw_limits* limits, gw_hash_key key, gw_manager** manager) noexcept {
    const gw_limits usual = GW_LIMITS_INIT;
    if (limits == nullptr) limits = &usual;
    if (manager == nullptr || gw_limits_first_invalid(limits) != nullptr) return GW_ARGUMENT_INVALID;
    std::unique_ptr<gw_manager> handle(new (std::nothrow) gw_manager);
    if (handle != nullptr) handle->manager = Manager::create(to_limits(*limits), {{key.words[0], key.words[1]}});
    if (handle == nullptr || handle->manager == nullptr) return GW_OUT_OF_MEMORY;
    *manager = handle.release();
    return GW_OK;
}

void gw_destroy(gw_manager* manager) noexcept {
    if (manager != nullptr && !manager->in_callback) delete manager;
}

uint8_t gw_ready(const gw_manager* manager) noexcept { return manager != nullptr && manager->manager->ready(); }

gw_status gw_set_ready(gw_manager* manager, uint8_t ready) noexcept {
    return change(manager, [&](gw_manager& open) {
        open.manager->set_ready(ready != 0);
        return Status::ok;
    });
}
