// What a gw_gate is: a gate, the log that the host's functions are, and the handle of the manager, which the gate owns. As
// thread-safe as the gate.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <span>

#include "capi/handle.hpp"
#include "grantwheel/gate.h"
#include "grantwheel/gate.hpp"

namespace grantwheel::capi {

class HostLog final : public Log {
public:
    explicit HostLog(const gw_gate_options& options) noexcept
        : append_(options.append),
          last_(options.last),
          user_(options.log_user),
          immediate_(options.is_immediate != 0) {}

    Appended append(std::uint64_t after, std::span<const std::byte> group) noexcept override {
        switch (append_(user_, after, group.data(), group.size())) {
            case GW_APPENDED: return Appended::appended;
            case GW_NOT_APPENDED: return Appended::not_appended;
            case GW_APPEND_CONFLICT: return Appended::conflict;
            default: return Appended::uncertain;
        }
    }
    Position last() noexcept override {
        Position position;
        position.is_known = last_(user_, &position.groups) != 0;
        return position;
    }
    [[nodiscard]] bool is_immediate() const noexcept override { return immediate_; }

private:
    gw_log_append append_;
    gw_log_last last_;
    void* user_;
    bool immediate_;
};

}  // namespace grantwheel::capi

struct gw_gate {
    explicit gw_gate(const gw_gate_options& options) noexcept
        : log(options), clock(options.clock), clock_user(options.clock_user) {}

    grantwheel::capi::HostLog log;
    std::uint64_t (*clock)(void* user);
    void* clock_user;
    gw_manager* handle = nullptr;  // its own
    std::unique_ptr<grantwheel::Gate> gate{};
};

namespace grantwheel::capi {

// A mark as it is given and handed out.
[[nodiscard]] inline gw_mark to_mark(const Mark& mark) noexcept {
    gw_mark out{mark.now, {}, mark.boot_ms, mark.wall_ms};
    std::copy(mark.boot_id.begin(), mark.boot_id.end(), out.boot_id);
    return out;
}
[[nodiscard]] inline Mark to_mark(const gw_mark& given) noexcept {
    Mark mark{.now = given.now, .boot_ms = given.boot_ms, .wall_ms = given.wall_ms};
    std::copy(std::begin(given.boot_id), std::end(given.boot_id), mark.boot_id.begin());
    return mark;
}

// Under the lock. Asks the quota, if the policy has one, about what is admitted: it may refuse it.
void ask_quota(const gw_manager& handle, Admission& admission) noexcept;
// Under the lock. Tells the quota who has lost CPU: without a log in the engine call just made, with one in all that has
// settled.
void settle(gw_gate& gate) noexcept;

}  // namespace grantwheel::capi
