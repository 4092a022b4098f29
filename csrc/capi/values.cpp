#include "capi/values.hpp"

#include <algorithm>
#include <iterator>

namespace grantwheel::capi {

namespace {

// The numbers of the header are those of the engine.
#define GRANTWHEEL_STATUS(name, NAME, inner, text) static_assert(static_cast<gw_status>(Status::name) == GW_##NAME);
GRANTWHEEL_STATUS_LIST(GRANTWHEEL_STATUS)
#undef GRANTWHEEL_STATUS

#define GRANTWHEEL_TYPE(name, position) static_assert(type::name == GW_TYPE_##name);
GRANTWHEEL_TYPE_LIST(GRANTWHEEL_TYPE)
#undef GRANTWHEEL_TYPE
static_assert(type::ALL == GW_TYPE_ALL && type::RETAINED == GW_TYPE_RETAINED);
static_assert(type_count == GW_TYPE_COUNT && cause_count == GW_CAUSE_COUNT);

template <typename Enumerator>
constexpr bool is(Enumerator enumerator, int number) noexcept {
    return static_cast<int>(enumerator) == number;
}

static_assert(is(OwnerKind::app, GW_OWNER_APP) && is(OwnerKind::process, GW_OWNER_PROCESS));
static_assert(is(EventKind::app_apply, GW_EVENT_APP_APPLY) && is(EventKind::app_reset, GW_EVENT_APP_RESET) &&
              is(EventKind::process_apply, GW_EVENT_PROCESS_APPLY) &&
              is(EventKind::process_reset, GW_EVENT_PROCESS_RESET));
static_assert(is(Cause::apply, GW_CAUSE_APPLY) && is(Cause::release, GW_CAUSE_RELEASE) &&
              is(Cause::reset_all, GW_CAUSE_RESET_ALL) && is(Cause::expired, GW_CAUSE_EXPIRED) &&
              is(Cause::process_died, GW_CAUSE_PROCESS_DIED) && is(Cause::app_stopped, GW_CAUSE_APP_STOPPED) &&
              is(Cause::package_removed, GW_CAUSE_PACKAGE_REMOVED) && is(Cause::pid_reused, GW_CAUSE_PID_REUSED) &&
              is(Cause::admin, GW_CAUSE_ADMIN) && is(Cause::recovered, GW_CAUSE_RECOVERED));
static_assert(command_count == GW_COMMAND_COUNT);
static_assert(default_level == GW_LEVEL_DEFAULT && max_level == GW_LEVEL_LARGE);
static_assert(no_deadline == GW_NO_DEADLINE);

// A cpu level: a small number, and no character.
std::int32_t wide(std::int8_t level) noexcept { return level; }  // NOLINT(bugprone-signed-char-misuse,cert-str34-c)

}  // namespace

void write(const Admission& admission, gw_command& out) noexcept {
    const Command& command = admission.command;
    out.kind = static_cast<std::int32_t>(command.kind);
    out.mask = command.mask;
    out.uid = command.uid;
    out.pid = command.pid;
    out.timeout_ms = command.timeout_ms;
    out.cpu_level = wide(command.cpu_level);
    out.is_persist = command.is_persist;
    out.is_process = command.is_process;
    out.ask_quota = admission.ask_quota;
    out.bundle = to_text(command.bundle);
    out.reason = to_text(command.reason);
    out.capped = command.capped;
    std::copy(command.caps_ms.begin(), command.caps_ms.end(), out.caps_ms);
    out.only_held = command.only_held;
}

void write(const Caller& caller, gw_caller& out) noexcept {
    out.system_app = caller.system_app;
    out.service_extension = caller.service_extension;
    out.native = caller.native;
    out.uid = caller.uid;
    out.pid = caller.pid;
    out.bundle = to_text(caller.bundle);
}

void write(const Event& event, gw_event& out) noexcept {
    out.kind = static_cast<std::int32_t>(event.kind);
    out.sequence = event.sequence;
    out.time = event.time;
    out.uid = event.uid;
    out.pid = event.pid;
    out.mask = event.mask;
    out.cause = static_cast<std::int32_t>(event.cause);
    out.cpu_level = wide(event.cpu_level);
    out.bundle = to_text(event.bundle);
}

void write(const RecordView& view, gw_record& out) noexcept {
    out.owner = from_owner(view.owner);
    out.uid = view.uid;
    out.pid = view.pid;
    out.mask = view.mask;
    out.cpu_level = wide(view.cpu_level);
    out.grant_count = view.grant_count;
    out.bundle = to_text(view.bundle);
    for (std::size_t i = 0; i < view.grant_count; ++i) {
        const GrantView& grant = view.grants[i];
        out.grants[i] = {grant.type, grant.timeout_ms, grant.deadline, to_text(grant.reason),
                         static_cast<std::uint8_t>(grant.is_persist)};
    }
}

void write(const Stats& stats, gw_stats& out) noexcept {
    out.app_records = stats.app_records;
    out.process_records = stats.process_records;
    std::copy(std::begin(stats.app_grants), std::end(stats.app_grants), out.app_grants);
    std::copy(std::begin(stats.process_grants), std::end(stats.process_grants), out.process_grants);
    out.granted = stats.granted;
    out.renewed = stats.renewed;
    std::copy(std::begin(stats.ended), std::end(stats.ended), out.ended);
    out.strings = stats.strings;
    out.last_sequence = stats.last_sequence;
}

}  // namespace grantwheel::capi
