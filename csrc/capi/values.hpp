// From the structs of C to the values of C++ and back; thread-safe as values are. Nothing is copied but the structs.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "grantwheel/grantwheel.h"
#include "grantwheel/manager.hpp"

namespace grantwheel::capi {

inline bool is_valid(gw_text text) noexcept { return text.data != nullptr || text.size == 0; }
inline bool is_valid(gw_owner owner) noexcept { return owner.kind == GW_OWNER_APP || owner.kind == GW_OWNER_PROCESS; }

inline bool is_kind(std::int32_t kind) noexcept { return kind >= 0 && kind < GW_COMMAND_COUNT; }

// Whether a struct is there and has every field that is read or written. No struct has grown yet, so that is all of
// them; a field that is added later is read only from a struct that is large enough.
template <typename Struct>
bool is_whole(const Struct* given) noexcept {
    return given != nullptr && given->size >= sizeof(Struct);
}

// The same for one that is read, with its texts.
inline bool is_valid(const gw_caller* caller) noexcept { return is_whole(caller) && is_valid(caller->bundle); }
inline bool is_valid(const gw_request* request) noexcept { return is_whole(request) && is_valid(request->reason); }
inline bool is_valid(const gw_bundle_rule* rule) noexcept { return is_whole(rule) && is_valid(rule->bundle); }
inline bool is_valid(const gw_command* command) noexcept {
    return is_whole(command) && is_valid(command->bundle) && is_valid(command->reason);
}

// An array whose stride is the size of its first element.
template <typename Struct>
class Strided {
public:
    explicit Strided(Struct* first) noexcept : first_(first) {}

    // Whether the first element has room for all fields, and the others lie where they can.
    [[nodiscard]] bool is_whole() const noexcept {
        return capi::is_whole(first_) && first_->size % alignof(Struct) == 0;
    }
    [[nodiscard]] Struct& operator[](std::size_t i) const noexcept {
        using Byte = std::conditional_t<std::is_const_v<Struct>, const char, char>;
        return *reinterpret_cast<Struct*>(reinterpret_cast<Byte*>(first_) + i * first_->size);
    }

private:
    Struct* first_;
};

inline std::string_view to_view(gw_text text) noexcept { return {text.data, text.size}; }
inline gw_text to_text(std::string_view view) noexcept { return {view.data(), view.size()}; }

inline Owner to_owner(gw_owner owner) noexcept {
    return {owner.kind == GW_OWNER_APP ? OwnerKind::app : OwnerKind::process, owner.key};
}
inline gw_owner from_owner(Owner owner) noexcept { return {static_cast<std::int32_t>(owner.kind), owner.key}; }

inline Limits to_limits(const gw_limits& limits) noexcept {
    return {limits.max_records, limits.max_strings, limits.event_capacity, limits.reserve};
}

inline Caller to_caller(const gw_caller& given) noexcept {
    Caller caller;
    caller.uid = given.uid;
    caller.pid = given.pid;
    caller.bundle = to_view(given.bundle);
    caller.system_app = given.system_app != 0;
    caller.service_extension = given.service_extension != 0;
    caller.native = given.native != 0;
    return caller;
}

inline Request to_request(const gw_request& given) noexcept {
    Request request;
    request.mask = given.mask;
    request.is_apply = given.is_apply != 0;
    request.is_persist = given.is_persist != 0;
    request.is_process = given.is_process != 0;
    request.cpu_level = given.cpu_level;
    request.timeout_ms = given.timeout_ms;
    request.reason = to_view(given.reason);
    request.only_held = given.only_held != 0;
    return request;
}

// Pre: the kind is one of the list. A level that does not fit becomes another one that is not legal.
inline Command to_command(const gw_command& given) noexcept {
    const bool fits = given.cpu_level >= INT8_MIN && given.cpu_level <= INT8_MAX;
    Command command;
    command.kind = static_cast<CommandKind>(given.kind);
    command.is_persist = given.is_persist != 0;
    command.is_process = given.is_process != 0;
    command.cpu_level = static_cast<std::int8_t>(fits ? given.cpu_level : INT8_MIN);
    command.mask = given.mask;
    command.uid = given.uid;
    command.pid = given.pid;
    command.timeout_ms = given.timeout_ms;
    command.bundle = to_view(given.bundle);
    command.reason = to_view(given.reason);
    command.capped = given.capped;
    command.caps_ms = std::to_array(given.caps_ms);
    command.only_held = given.only_held != 0;
    return command;
}

// Whether columns of so many rows are there.
template <typename... Columns>
bool are_there(std::size_t count, const Columns*... columns) noexcept {
    return count == 0 || ((columns != nullptr) && ...);
}

inline Column to_column(const std::uint32_t* first) noexcept { return {first, sizeof *first, Integer::uint32}; }
inline Requests to_releases(std::size_t count, const std::uint32_t* uids, const std::uint32_t* pids,
                            const std::uint32_t* masks) noexcept {
    Requests rows;
    rows.is_apply = false;
    rows.count = count;
    rows.uids = to_column(uids);
    rows.pids = to_column(pids);
    rows.masks = to_column(masks);
    return rows;
}
inline Requests to_applies(std::size_t count, const std::uint32_t* uids, const std::uint32_t* pids,
                           const std::uint32_t* masks, const std::uint32_t* timeouts_ms) noexcept {
    Requests rows = to_releases(count, uids, pids, masks);
    rows.is_apply = true;
    rows.timeouts_ms = to_column(timeouts_ms);
    return rows;
}

// Writes all fields but the size.
void write(const Admission& admission, gw_command& out) noexcept;
void write(const Caller& caller, gw_caller& out) noexcept;
void write(const Event& event, gw_event& out) noexcept;
void write(const RecordView& view, gw_record& out) noexcept;
void write(const Stats& stats, gw_stats& out) noexcept;

}  // namespace grantwheel::capi
