// grantwheel as a contender: the bare engine, the engine as batches use it, and the manager that judges callers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "grantwheel/manager.hpp"

namespace benchmarks {

inline constexpr grantwheel::Mask granted_type = grantwheel::type::GPS;
inline constexpr grantwheel::Mask three_types = granted_type | grantwheel::type::BLUETOOTH | grantwheel::type::SENSOR;

// A pid for each uid: it has one bit less.
constexpr std::uint32_t pid_of(std::uint32_t uid) { return uid & INT32_MAX; }

inline grantwheel::Limits limits_for(std::size_t owners) {
    grantwheel::Limits limits;
    limits.max_records = static_cast<std::uint32_t>(owners + 1'000);
    return limits;
}

// What follows the clock and reads, the same for an engine of its own and for that of a manager.
class OnEngine {
public:
    explicit OnEngine(grantwheel::Engine& engine, std::uint32_t types = 1)
        : engine_(&engine), granted_(types == 1 ? granted_type : three_types) {}

    [[nodiscard]] bool holds(std::uint32_t uid) const {
        return engine_->mask({grantwheel::OwnerKind::app, uid}, now_).mask == granted_;
    }
    [[nodiscard]] std::size_t count() const { return engine_->most_owners(grantwheel::type::ALL); }
    void pass_time(std::uint64_t ms) { now_ += ms; }
    void end_due() { static_cast<void>(engine_->advance(now_, SIZE_MAX)); }

protected:
    [[nodiscard]] grantwheel::Engine& engine() const { return *engine_; }
    [[nodiscard]] grantwheel::Instant now() const { return now_; }
    [[nodiscard]] grantwheel::Mask granted() const { return granted_; }

private:
    grantwheel::Engine* engine_;
    grantwheel::Mask granted_;
    grantwheel::Instant now_ = 0;
};

// Owns what `OnEngine` looks at, so that it is there first.
template <typename Owned>
struct Owner {
    explicit Owner(std::size_t owners) : owned(Owned::create(limits_for(owners))) {}
    std::unique_ptr<Owned> owned;
};

class EngineContender : private Owner<grantwheel::Engine>, public OnEngine {
public:
    static constexpr const char* name = "grantwheel engine";

    explicit EngineContender(std::size_t owners, std::uint32_t types = 1) : Owner(owners), OnEngine(*owned, types) {}

    void apply(std::uint32_t uid, std::uint32_t timeout_ms) {
        grantwheel::Command command;
        command.mask = granted();
        command.uid = uid;
        command.pid = pid_of(uid);
        command.timeout_ms = timeout_ms;
        static_cast<void>(engine().execute(command, now()));
    }
    void release(std::uint32_t uid) {
        grantwheel::Command command;
        command.kind = grantwheel::CommandKind::release;
        command.mask = granted();
        command.uid = uid;
        static_cast<void>(engine().execute(command, now()));
    }
};

// The same as batches do it.
class PrefetchingContender : public EngineContender {
public:
    static constexpr const char* name = "grantwheel engine, prefetched";

    using EngineContender::EngineContender;

    template <typename Work>
    void for_each(const std::vector<std::uint32_t>& uids, Work&& work) const {
        grantwheel::for_each_prefetched(
            engine(), uids.size(), [&](std::size_t i) { return uids[i]; }, [&](std::size_t) { return granted(); },
            [&](std::size_t i) { work(uids[i], i); });
    }
};

class ManagerContender : private Owner<grantwheel::Manager>, public OnEngine {
public:
    static constexpr const char* name = "grantwheel manager";

    explicit ManagerContender(std::size_t owners, std::uint32_t types = 1)
        : Owner(owners), OnEngine(owned->engine(), types) {}

    void apply(std::uint32_t uid, std::uint32_t timeout_ms) {
        grantwheel::Request request;
        request.mask = granted();
        request.timeout_ms = timeout_ms;
        static_cast<void>(owned->request(owned->caller(uid, pid_of(uid)), request, now()));
    }
    void release(std::uint32_t uid) {
        grantwheel::Request request;
        request.is_apply = false;
        request.mask = granted();
        static_cast<void>(owned->request(owned->caller(uid, pid_of(uid)), request, now()));
    }
};

}  // namespace benchmarks
