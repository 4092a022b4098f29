// The types of grantwheel as text, and commands in short: for the tests in C++ and for whatever else drives an engine.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "grantwheel/recovery.hpp"
#include "grantwheel/types.hpp"

namespace grantwheel::test {

using type::ALL;
using type::AUDIO;
using type::CPU;
using type::GPS;
using type::RETAINED;
using type::SENSOR;
using type::TIMER;
using type::WORK_SCHEDULER;

// The timeouts of capped types; those of others mean nothing, and are 0 here.
inline Timeouts caps_of(Mask capped, std::span<const std::uint32_t, type_count> caps_ms) {
    Timeouts caps{};
    for (std::size_t type = 0; type < caps.size(); ++type) caps[type] = (capped >> type & 1) != 0 ? caps_ms[type] : 0;
    return caps;
}

inline bool is_same(const Caller& one, const Caller& other) {
    return one.uid == other.uid && one.pid == other.pid && one.bundle == other.bundle &&
           one.system_app == other.system_app && one.service_extension == other.service_extension &&
           one.native == other.native;
}

inline std::string_view kind_name(EventKind kind) {
#define GRANTWHEEL_NAME(name) std::string_view{#name},
    static constexpr std::array names{GRANTWHEEL_EVENT_KIND_LIST(GRANTWHEEL_NAME)};
#undef GRANTWHEEL_NAME
    return names.at(static_cast<std::size_t>(kind));
}

inline std::string_view cause_name(Cause cause) {
#define GRANTWHEEL_NAME(name) std::string_view{#name},
    static constexpr std::array names{GRANTWHEEL_CAUSE_LIST(GRANTWHEEL_NAME)};
#undef GRANTWHEEL_NAME
    return names.at(static_cast<std::size_t>(cause));
}

inline std::string_view command_name(CommandKind kind) {
#define GRANTWHEEL_NAME(name, NAME) std::string_view{#name},
    static constexpr std::array names{GRANTWHEEL_COMMAND_LIST(GRANTWHEEL_NAME)};
#undef GRANTWHEEL_NAME
    return names.at(static_cast<std::size_t>(kind));
}

// An event without its number: "time kind cause uid/pid mask", then bundle and cpu level unless they are the default.
inline std::string describe(const Event& event) {
    std::string text = std::to_string(event.time);
    text.append(" ").append(kind_name(event.kind)).append(" ").append(cause_name(event.cause));
    text.append(" ").append(std::to_string(event.uid)).append("/").append(std::to_string(event.pid));
    text.append(" ").append(std::to_string(event.mask));
    if (!event.bundle.empty()) text.append(" ").append(event.bundle);
    if (event.cpu_level != default_level) text.append(" level ").append(std::to_string(event.cpu_level));
    return text;
}

// A record: "uid/pid bundle level: " and its grants, each "type@deadline timeout reason".
inline std::string describe(const RecordView& view) {
    if (view.mask == 0) return "nothing";
    std::string text = std::to_string(view.uid) + "/" + std::to_string(view.pid);
    if (!view.bundle.empty()) text.append(" ").append(view.bundle);
    if (view.cpu_level != default_level) text.append(" level ").append(std::to_string(view.cpu_level));
    text.append(":");
    for (std::size_t i = 0; i < view.grant_count; ++i) {
        const GrantView& grant = view.grants[i];
        text.append(" ").append(std::to_string(grant.type)).append("@");
        text.append(grant.is_persist ? "never" : std::to_string(grant.deadline));
        text.append(" ").append(std::to_string(grant.timeout_ms));
        if (!grant.reason.empty()) text.append(" ").append(grant.reason);
    }
    return text;
}

inline std::string describe(const Mark& mark) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text = std::to_string(mark.now) + " mark boot ";
    for (const std::uint8_t byte : mark.boot_id) text.append({digits[byte >> 4], digits[byte & 15]});
    return text + " " + std::to_string(mark.boot_ms) + " wall " + std::to_string(mark.wall_ms);
}

// Commands in short. An apply needs no kind: it is the default.
inline Command release(std::uint32_t uid, Mask mask) {
    return {.kind = CommandKind::release, .mask = mask, .uid = uid};
}
inline Command release_process(std::uint32_t uid, std::uint32_t pid, Mask mask) {
    return {.kind = CommandKind::release, .is_process = true, .mask = mask, .uid = uid, .pid = pid};
}
inline Command reset_all(std::uint32_t uid, Mask allowed) {
    return {.kind = CommandKind::reset_all, .mask = allowed, .uid = uid};
}
inline Command process_died(std::uint32_t uid, std::uint32_t pid) {
    return {.kind = CommandKind::process_died, .mask = ALL, .uid = uid, .pid = pid};
}
inline Command app_stopped(std::uint32_t uid) { return {.kind = CommandKind::app_stopped, .mask = ALL, .uid = uid}; }
inline Command package_removed(std::uint32_t uid) {
    return {.kind = CommandKind::package_removed, .mask = ALL, .uid = uid};
}
inline Command admin_reset_all() { return {.kind = CommandKind::admin_reset_all, .mask = ALL}; }
inline Command admin_reset_app(std::uint32_t uid, Mask mask) {
    return {.kind = CommandKind::admin_reset_app, .mask = mask, .uid = uid};
}
inline Command admin_reset_process(std::uint32_t pid, Mask mask) {
    return {.kind = CommandKind::admin_reset_process, .mask = mask, .pid = pid};
}

}  // namespace grantwheel::test
