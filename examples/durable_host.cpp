// A host whose grants survive its end, over the journal file of the Python package: either can open what the other has written.
//
//   $ durable_host FILE
//   apply 1000 32 500     uid, types as a number, milliseconds (0: until released)
//   release 1000 32
//   mask 1000
//   hash                  that of the state: the same for all who have read this journal
#include <grantwheel/clock.hpp>
#include <grantwheel/gate.hpp>
#include <grantwheel/op.hpp>
#include <grantwheel/snapshot.hpp>

#include <algorithm>
#include <cinttypes>
#include <iostream>

#include "arguments.hpp"
#include "sqlite_log.hpp"

namespace gw = grantwheel;

namespace {

constexpr const char* usage =
    "usage: durable_host [FILE]\n"
    "Reads commands, a line each, and keeps what they change in FILE, a journal as that of the Python package:\n"
    "apply UID TYPES MILLISECONDS, release UID TYPES, mask UID, hash.\n";

// The engine of a snapshot, with the limits that it had; null when there is none in these bytes.
std::unique_ptr<gw::Engine> read_snapshot(Bytes bytes) {
    const auto head = gw::SnapshotReader::create({1, 1, 1, 0});
    if (head == nullptr || head->read(bytes).status != gw::Status::ok) return nullptr;
    const auto reader = gw::SnapshotReader::create(head->limits_then());
    for (gw::SectionRead section; reader != nullptr && !section.done; bytes = bytes.subspan(section.size)) {
        section = reader->read(bytes);
        if (section.status != gw::Status::ok || section.size == 0) return nullptr;
    }
    return reader == nullptr ? nullptr : reader->take();
}

// An engine that has carried out all that is on record.
std::unique_ptr<gw::Engine> load(SqliteLog& log) {
    auto engine = log.snapshot().empty() ? gw::Engine::create({}) : read_snapshot(log.snapshot());
    const auto follow = [&](Bytes group) {
        return gw::check_group(group).status == gw::Status::ok &&
               gw::replay_group(*engine, group).status == gw::Status::ok;
    };
    return engine != nullptr && log.read(follow) ? std::move(engine) : nullptr;
}

// The time of the log: that since boot, moved so that it goes on from the last mark, over a reboot by the time of day.
struct Clock {
    gw::Mark mark{};  // of this start

    explicit Clock(const gw::Engine& engine) {
        std::string boot;
        std::ifstream("/proc/sys/kernel/random/boot_id") >> boot;
        std::erase(boot, '-');
        for (std::size_t i = 0; i < mark.boot_id.size() && boot.size() == 32; ++i)
            std::from_chars(&boot[2 * i], &boot[2 * i] + 2, mark.boot_id[i], 16);
        mark.boot_ms = mark.now = gw::boot_now();
        mark.wall_ms = static_cast<std::int64_t>(gw::detail::read_clock(CLOCK_REALTIME));
        if (const gw::Mark* const last = engine.mark(); last != nullptr) {
            constexpr decltype(mark.boot_id) unknown{};  // as in a container: then the times since boot tell alone
            const bool are_known = last->boot_id != unknown && mark.boot_id != unknown;
            const bool is_same_id = last->boot_id == mark.boot_id || !are_known;
            const bool is_same_boot = is_same_id && mark.boot_ms >= last->boot_ms;
            const std::int64_t passed =
                is_same_boot ? static_cast<std::int64_t>(mark.boot_ms - last->boot_ms) : mark.wall_ms - last->wall_ms;
            mark.now = last->now + static_cast<gw::Instant>(std::max<std::int64_t>(passed, 0));
        }
        mark.now = std::max(mark.now, engine.now());
    }
    static gw::Instant read(void* clock) noexcept {
        const gw::Mark& mark = static_cast<const Clock*>(clock)->mark;
        return mark.now + (gw::boot_now() - mark.boot_ms);
    }
};

// Puts the mark of this start on record, as a group of its own.
bool begin(gw::Engine& engine, SqliteLog& log, const gw::Mark& mark) {
    std::array<std::byte, gw::max_op_bytes> bytes;
    const Bytes op(bytes.data(), gw::encode_mark(mark, bytes));
    return log.append(log.groups(), op) == gw::Appended::appended && engine.set_mark(mark) == gw::Status::ok;
}

void print_hash(const gw::Engine& engine) {
    std::uint64_t hash = 0;
    if (gw::state_hash(engine, hash) == gw::Status::ok) std::printf("hash %016" PRIx64 "\n", hash);
}

void print(gw::Status status, gw::Mask mask) {
    const bool is_ok = status == gw::Status::ok;
    std::printf("%s %" PRIu32 "\n", gw::status_name(status).data(), is_ok ? mask : 0);
}

void obey(gw::Gate& gate, const char* line) {
    std::int64_t uid = 0;
    gw::Request request;
    std::ignore = gate.advance();  // a host with a loop of its own would do so in time: see epoll_host.cpp
    request.is_apply =
        std::sscanf(line, "apply %" SCNd64 " %" SCNu32 " %" SCNu64, &uid, &request.mask, &request.timeout_ms) == 3;
    request.is_persist = request.is_apply && request.timeout_ms == 0;
    if (request.is_apply || std::sscanf(line, "release %" SCNd64 " %" SCNu32, &uid, &request.mask) == 2) {
        const gw::Answer answer = gate.change([&](const gw::Manager& manager, gw::Instant now) {
            return manager.admit({.uid = uid, .pid = getpid(), .system_app = true}, request, now);
        });
        print(answer.status, answer.mask);
    } else if (std::sscanf(line, "mask %" SCNd64, &uid) == 1 && uid >= 0 && uid <= gw::max_uid) {
        const gw::Owner owner{gw::OwnerKind::app, static_cast<std::uint32_t>(uid)};
        gw::Result held;
        const gw::Status status =
            gate.read(owner, [&](const gw::Engine& engine, gw::Instant at) { held = engine.mask(owner, at); });
        print(status, held.mask);
    } else if (std::strcmp(line, "hash") == 0) {
        std::ignore = gate.read_all([&](const gw::Engine& engine, gw::Instant) { print_hash(engine); });
    } else {
        std::puts("no such command");
    }
}

}  // namespace

int main(int count, char** arguments) {
    if (const auto code = usage_only(count, arguments, 1, usage)) return *code;
    const auto log = SqliteLog::open(count == 2 ? arguments[1] : "grants.db");
    if (log == nullptr) return 1;
    auto engine = load(*log);
    if (engine == nullptr) return std::fputs("what is in the journal can't be followed\n", stderr), 1;
    std::printf("read %" PRIu64 " groups\n", log->groups());
    print_hash(*engine);
    Clock clock(*engine);
    if (!begin(*engine, *log, clock.mark)) return std::fputs("the journal can't be written to\n", stderr), 1;
    const auto gate = gw::Gate::create(gw::Manager::create(std::move(engine), {}),
                                       {.log = log.get(), .position = log->groups(), .clock = {Clock::read, &clock}});
    if (gate == nullptr) return std::fputs("there is no memory\n", stderr), 1;
    for (std::string line; std::getline(std::cin, line); std::fflush(stdout)) obey(*gate, line.c_str());
}
