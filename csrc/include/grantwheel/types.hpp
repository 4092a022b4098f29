// The words of grantwheel as C++ types: resource types, owners, callers, requests, commands, events and views.
// Plain values without behaviour of their own; thread-safe as values are.
//
// Texts    A string_view that comes out of the engine is valid until the next call that changes it. It may go into a
//          command as it is; a part of one must be copied first.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>
#include <type_traits>

#include "grantwheel/commands.h"
#include "grantwheel/macros.hpp"
#include "grantwheel/status.h"

namespace grantwheel {

// Milliseconds of the host's clock, 0..2^62. Deadlines may lie up to 2^32-1 beyond.
using Instant = std::uint64_t;
inline constexpr Instant max_now = Instant{1} << 62;
inline constexpr Instant no_deadline = UINT64_MAX;

// A set of resource types, one bit each.
using Mask = std::uint32_t;
inline constexpr int type_count = 9;
// Milliseconds by the index of a type. Clears itself at run time: a command in which every member is known to be zero is
// cleared by GCC as a whole, with an instruction that takes longer to begin than most calls take.
struct Timeouts : std::array<std::uint32_t, type_count> {
    constexpr Timeouts() noexcept : array() {
        if (!std::is_constant_evaluated()) fill(0);
    }
    // cppcheck-suppress noExplicitConstructor ; it is nothing but such an array
    constexpr Timeouts(const array& given) noexcept : array(given) {}  // NOLINT(misc-explicit-constructor)
};

// X(name, bit position)
#define GRANTWHEEL_TYPE_LIST(X) \
    X(CPU, 0)                   \
    X(COMMON_EVENT, 1)          \
    X(TIMER, 2)                 \
    X(WORK_SCHEDULER, 3)        \
    X(BLUETOOTH, 4)             \
    X(GPS, 5)                   \
    X(AUDIO, 6)                 \
    X(RUNNING_LOCK, 7)          \
    X(SENSOR, 8)

namespace type {
#define GRANTWHEEL_TYPE(name, position) inline constexpr Mask name = Mask{1} << (position);
GRANTWHEEL_TYPE_LIST(GRANTWHEEL_TYPE)
#undef GRANTWHEEL_TYPE
inline constexpr Mask ALL = 511;
// The types that survive the death of the application, and a reboot.
inline constexpr Mask RETAINED = WORK_SCHEDULER | TIMER;
}  // namespace type

// What types may do. The documented nine are its only value for now.
struct Rules {
    Mask all;          // the types that there are
    Mask per_process;  // go to the process record of a process request, which holds no others
    Mask retained;     // survive the death of the application, and a reboot
    Mask levelled;     // have a cpu level and a quota

    [[nodiscard]] constexpr Mask mortal() const noexcept { return all & ~retained; }
};
inline constexpr Rules rules{
    .all = type::ALL, .per_process = type::CPU, .retained = type::RETAINED, .levelled = type::CPU};

// How a call ended: the inner code of the rule, from the list in status.h.
enum class Status : std::int32_t {
#define GRANTWHEEL_STATUS(name, NAME, inner, text) name = (inner),
    GRANTWHEEL_STATUS_LIST(GRANTWHEEL_STATUS)
#undef GRANTWHEEL_STATUS
};

// The code that the documented API names for a status; 0 for ok, -1 for an error of the host.
[[nodiscard]] constexpr std::int32_t public_code(Status status) noexcept {
    const auto inner = static_cast<std::int32_t>(status);
    if (inner < 0) return -1;
    if (inner >= 9800400 && inner <= 9800499) return 401;
    return inner >= 100'000'000 ? inner / 100 : inner;
}

// The name and the rule of a status, as status.h lists them.
[[nodiscard]] std::string_view status_name(Status status) noexcept;
[[nodiscard]] std::string_view status_text(Status status) noexcept;

// What a call answers: a mask only when `status` is ok.
struct [[nodiscard]] Result {
    Status status = Status::ok;
    Mask mask = 0;
};

enum class OwnerKind : std::uint8_t { app, process };

// Who a grant belongs to: an app by uid or a process by pid. Listings order apps before processes, keys ascending.
struct Owner {
    OwnerKind kind = OwnerKind::app;
    std::uint32_t key = 0;

    friend constexpr auto operator<=>(const Owner&, const Owner&) = default;
};

inline constexpr std::int32_t default_level = -1;
inline constexpr std::int32_t max_level = 2;
[[nodiscard]] constexpr bool is_level(std::int32_t level) noexcept {
    return level >= default_level && level <= max_level;
}
inline constexpr std::size_t max_text_bytes = 1024;
inline constexpr std::int64_t max_uid = 0xFFFF'FFFE;
inline constexpr std::int64_t max_pid = 0x7FFF'FFFF;
inline constexpr std::uint64_t max_timeout = 0xFFFF'FFFF;

// Who calls. Nothing is checked when it is made: the call judges.
struct Caller {
    std::int64_t uid = -1;
    std::int64_t pid = -1;
    std::string_view bundle{};
    bool system_app = false;
    bool service_extension = false;
    bool native = false;

    // Whether it may make the calls of apps.
    [[nodiscard]] constexpr bool is_privileged() const noexcept { return system_app || service_extension; }
};

// What is asked for by the typed entry. Wider than what is legal, so that the call can judge any value.
struct Request {
    Mask mask = 0;
    bool is_apply = true;
    bool is_persist = false;
    bool is_process = false;
    bool only_held = false;  // renew: of an apply only those types count that are held
    std::int32_t cpu_level = default_level;
    std::uint64_t timeout_ms = 0;
    std::string_view reason{};
};

// What most calls ask for: an apply or a release of an app, timed, without reason, cpu level and renewal, by the caller that
// the policy has for the uid. As wide.
struct PlainCall {
    std::int64_t uid;
    std::int64_t pid;
    std::int64_t mask;
    std::int64_t timeout_ms;  // of a release it means nothing
};

#define GRANTWHEEL_ENUMERATOR(name, NAME) name,
enum class CommandKind : std::uint8_t { GRANTWHEEL_COMMAND_LIST(GRANTWHEEL_ENUMERATOR) };
#undef GRANTWHEEL_ENUMERATOR
#define GRANTWHEEL_KIND(name, NAME) CommandKind::name,
inline constexpr CommandKind all_commands[] = {GRANTWHEEL_COMMAND_LIST(GRANTWHEEL_KIND)};
#undef GRANTWHEEL_KIND
inline constexpr std::size_t command_count = std::size(all_commands);

// One change of the engine, fully decided: what a journal records and what a replay executes.
struct Command {
    CommandKind kind = CommandKind::apply;
    bool is_persist = false;
    bool is_process = false;
    bool only_held = false;  // an apply that renews: of the types only those count that are held when it is executed
    std::int8_t cpu_level = default_level;
    Mask mask = 0;
    std::uint32_t uid = 0;
    std::uint32_t pid = 0;
    std::uint32_t timeout_ms = 0;
    std::string_view bundle{};
    std::string_view reason{};
    Mask capped = 0;     // the types of an apply that get a timeout of their own, and are not persistent
    Timeouts caps_ms{};  // that timeout; of other types it means nothing
};

// X(name); the names are Python's too.
#define GRANTWHEEL_EVENT_KIND_LIST(X) X(app_apply) X(app_reset) X(process_apply) X(process_reset)
#define GRANTWHEEL_CAUSE_LIST(X) \
    X(apply)                     \
    X(release)                   \
    X(reset_all)                 \
    X(expired)                   \
    X(process_died)              \
    X(app_stopped)               \
    X(package_removed)           \
    X(pid_reused)                \
    X(admin)                     \
    X(recovered)

#define GRANTWHEEL_ENUMERATOR(name) name,
enum class EventKind : std::uint8_t { GRANTWHEEL_EVENT_KIND_LIST(GRANTWHEEL_ENUMERATOR) };
enum class Cause : std::uint8_t { GRANTWHEEL_CAUSE_LIST(GRANTWHEEL_ENUMERATOR) };
#undef GRANTWHEEL_ENUMERATOR
inline constexpr std::size_t cause_count = 10;

// What happened to the mask of one record: `recovered` alone makes no event. Sequence numbers start at 1 and have no holes.
struct Event {
    std::uint64_t sequence = 0;
    Instant time = 0;
    std::uint32_t uid = 0;
    std::uint32_t pid = 0;
    Mask mask = 0;
    EventKind kind = EventKind::app_apply;
    Cause cause = Cause::apply;
    std::int8_t cpu_level = default_level;
    std::string_view bundle{};
};

// What one read of the event ring gave: how many events were written out, and how many were overwritten unread before
// them.
struct EventsRead {
    std::size_t count = 0;
    std::uint64_t missed = 0;
};

struct GrantView {
    Mask type = 0;
    bool is_persist = false;
    std::uint32_t timeout_ms = 0;
    Instant deadline = no_deadline;
    std::string_view reason{};
};

// All that is held by one owner at one instant.
struct RecordView {
    Owner owner{};
    std::uint32_t uid = 0;
    std::uint32_t pid = 0;
    Mask mask = 0;
    std::int8_t cpu_level = default_level;
    std::uint8_t grant_count = 0;
    Instant applied = 0;  // when the last apply came to it; 0 for an app
    std::string_view bundle{};
    GrantView grants[type_count]{};
};

struct AdvanceResult {
    Status status = Status::ok;
    std::size_t ended = 0;  // grants
    bool more = false;
    std::size_t records = 0;  // that lost them, with an event each
};

// What commands may need in memory, together.
struct Needs {
    std::size_t apps = 0;       // new records
    std::size_t processes = 0;  // the same
    Mask types = 0;
    std::size_t texts = 0;  // new ones, of so many bytes in all
    std::size_t text_bytes = 0;

    // Whether they are enough for others, and what is left after these.
    [[nodiscard]] constexpr bool covers(const Needs& others) const noexcept {
        return apps >= others.apps && processes >= others.processes && (others.types & ~types) == 0 &&
               texts >= others.texts && text_bytes >= others.text_bytes;
    }
    constexpr void take(const Needs& others) noexcept {
        apps -= others.apps;
        processes -= others.processes;
        texts -= others.texts;
        text_bytes -= others.text_bytes;
    }
    // Those of both.
    constexpr void add(const Needs& more) noexcept {
        apps += more.apps;
        processes += more.processes;
        types |= more.types;
        texts += more.texts;
        text_bytes += more.text_bytes;
    }
    constexpr void add(const Command& command) noexcept {
        if (command.kind != CommandKind::apply) return;
        apps += 1;
        processes += command.is_process ? 1 : 0;
        types |= command.mask;
        texts += 2;
        text_bytes += command.bundle.size() + command.reason.size();
    }
};

// What an advance that ended nothing has found.
struct [[nodiscard]] Looked {
    Status status = Status::ok;
    bool is_due = false;
    bool more = false;
};

struct ScanResult {
    Status status = Status::ok;
    std::size_t count = 0;
    std::size_t next = 0;
    bool more = false;
};

// Everything that could grow has a limit, set at construction or by Engine::set_limits.
struct Limits {
    std::uint32_t max_records = 1'000'000;  // 1..2^31-1: app and process records together
    std::uint32_t max_strings = 65'536;     // 1..2^31-1: distinct reasons and bundle names in use by records and grants
    std::uint32_t event_capacity = 1u << 16;  // 1..2^31-1: events kept for readers
    std::uint32_t reserve = 0;                // 0..max_records: rows whose memory is taken at construction

    // The name of the first field that is out of range, or null.
    [[nodiscard]] const char* first_invalid() const noexcept;
};

// What the hashes of an engine and of a policy are keyed with, so that nobody can choose names and numbers that make its
// tables slow. A host whose callers it does not trust draws one at random and keeps it to itself. No answer depends on
// it; with the default, what a call costs is the same on every run.
struct HashKey {
    std::uint64_t words[2]{};
};

// Where the large blocks of an engine come from (2 MiB and more), when not from operator new: `take` answers null when
// there is none, `give` gets the size that was taken. Both may be called by whoever calls an engine.
struct BlockSource {
    void* (*take)(std::size_t bytes) noexcept;
    void (*give)(void* block, std::size_t bytes) noexcept;
};

// Sets the source for all engines of the process. Not thread-safe: call it before the first one is made.
void set_block_source(const BlockSource& source) noexcept;

// Plain numbers about an engine. Counters count grants (one type of one owner each) since construction.
struct Stats {
    std::uint64_t app_records = 0;
    std::uint64_t process_records = 0;
    std::uint64_t app_grants[type_count]{};
    std::uint64_t process_grants[type_count]{};
    std::uint64_t granted = 0;
    std::uint64_t renewed = 0;
    std::uint64_t ended[cause_count]{};
    std::uint64_t strings = 0;
    std::uint64_t last_sequence = 0;
};

}  // namespace grantwheel
