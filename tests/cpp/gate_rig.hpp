// A gate over a scripted log, with the calls of the tests in short, and the proof that the log tells what has happened.
#pragma once

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "grantwheel/gate.hpp"
#include "grantwheel/op.hpp"
#include "scripted_log.hpp"
#include "support.hpp"

namespace grantwheel::test {

class GateRig {
public:
    explicit GateRig(bool own_thread = false, const Limits& limits = {.event_capacity = 4096},
                     std::size_t max_group_bytes = std::size_t{1} << 20)
        : GateRig(limits, {.own_thread = own_thread, .max_group_bytes = max_group_bytes}) {}
    GateRig(const Limits& limits, GateOptions options) : limits_(limits) {
        options.log = &log;
        gate_ = Gate::create(Manager::create(limits), options);
        REQUIRE_QUIETLY(gate_ != nullptr);
    }

    ScriptedLog log;
    Gate& operator*() noexcept { return *gate_; }
    Gate* operator->() noexcept { return gate_.get(); }

    static auto applying(std::int64_t uid, Mask mask, std::uint64_t timeout_ms, std::string_view reason = "r") {
        return [=](const Manager& manager, Instant now) {
            return manager.admit(manager.caller(uid, 42), {.mask = mask, .timeout_ms = timeout_ms, .reason = reason},
                                 now);
        };
    }
    static auto of_process(std::int64_t uid, std::int64_t pid, bool is_apply, std::uint64_t timeout_ms = 1000) {
        return [=](const Manager& manager, Instant now) {
            return manager.admit(
                manager.caller(uid, pid),
                {.mask = CPU, .is_apply = is_apply, .is_process = true, .timeout_ms = is_apply ? timeout_ms : 0}, now);
        };
    }
    Answer apply(Instant now, std::int64_t uid, Mask mask = GPS, std::uint64_t timeout_ms = 1000) {
        return gate_->change_at(now, applying(uid, mask, timeout_ms));
    }

    // Stages what is admitted, and does not wait.
    template <typename Admit>
    Staged stage(Instant now, Admit&& admit, Watcher* watcher = nullptr) {
        const std::lock_guard lock(*gate_);
        const Status entered = gate_->enter(now);
        return entered == Status::ok ? gate_->stage(admit(*gate_->manager(), now), watcher) : Staged{entered};
    }
    Ticket stage_apply(Instant now, std::int64_t uid, Mask mask = GPS, std::uint64_t timeout_ms = 1000) {
        const Staged staged = stage(now, applying(uid, mask, timeout_ms));
        REQUIRE_EQUAL_QUIETLY(staged.status, Status::ok);
        return staged.ticket;
    }

    // Whether a read of an owner at an instant need not wait; then what it holds.
    bool reads_at_once(Instant now, Owner owner) {
        const std::lock_guard lock(*gate_);
        REQUIRE_EQUAL_QUIETLY(gate_->enter(now), Status::ok);
        return gate_->has_settled(gate_->group_about(owner));
    }
    Mask mask(Instant now, Owner owner) {
        const std::lock_guard lock(*gate_);
        REQUIRE_EQUAL_QUIETLY(gate_->enter(now), Status::ok);
        REQUIRE_QUIETLY(gate_->has_settled(gate_->group_about(owner)));
        return gate_->manager()->engine().mask(owner, gate_->read_instant(now)).mask;
    }
    Mask app_mask(Instant now, std::uint32_t uid) { return mask(now, {OwnerKind::app, uid}); }

    // Everything that holds anything, after a read across records.
    std::vector<Owner> holders() {
        std::vector<Owner> found(64);
        const Status status = gate_->read_all(
            [&](const Engine& engine, Instant at) { found.resize(engine.scan(ALL, at, 0, found).count); });
        REQUIRE_EQUAL_QUIETLY(status, Status::ok);
        std::sort(found.begin(), found.end());
        return found;
    }

    // All events of an engine, described.
    static std::string events(const Engine& engine) {
        std::vector<Event> all(4096);
        const EventsRead read = engine.read(0, all);
        REQUIRE_EQUAL_QUIETLY(read.missed, 0u);
        std::string text;
        for (const Event& event : std::span(all).first(read.count)) text += describe(event) + "; ";
        return text;
    }
    std::string events() {
        const std::lock_guard lock(*gate_);
        return events(gate_->manager()->engine());
    }

    // Replays the log into a new engine, and answers its events. Fails when the log is damaged, or does not fit.
    std::string replayed() const {
        const auto engine = Engine::create(limits_);
        for (const auto& group : log.groups()) {
            REQUIRE_EQUAL_QUIETLY(check_group(group).status, Status::ok);
            REQUIRE_EQUAL_QUIETLY(replay_group(*engine, group).status, Status::ok);
        }
        check_valid(*engine);
        return events(*engine);
    }
    // How many ops the log has.
    int ops() const {
        int count = 0;
        for (const auto& group : log.groups()) {
            for (std::span<const std::byte> bytes = group; !bytes.empty(); ++count) {
                bytes = bytes.subspan(decode(bytes).size);
            }
        }
        return count;
    }
    void check_log() { BOOST_CHECK_EQUAL(replayed(), events()); }

private:
    Limits limits_;
    std::unique_ptr<Gate> gate_;
};

// Has a log stall as long as it lives; at least one append has begun then.
class Stalled {
public:
    explicit Stalled(GateRig& rig) : rig_(rig), appends_(rig.log.appends()) { rig_.log.stall(); }
    ~Stalled() { release(); }
    Stalled(const Stalled&) = delete;
    Stalled& operator=(const Stalled&) = delete;

    // Waits until the log has been given what is staged.
    void wait() { rig_.log.wait_for_appends(appends_ + 1); }
    void release() { rig_.log.stall(false); }

private:
    GateRig& rig_;
    int appends_;
};

}  // namespace grantwheel::test
