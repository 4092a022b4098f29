// The rival of the standard library: a hash map of deadlines and a priority queue of timers, re-armed lazily. It keeps
// no reasons, no events and no limits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <queue>
#include <unordered_map>
#include <utility>
#include <vector>

namespace benchmarks {

class StdContender {
public:
    static constexpr const char* name = "unordered_map, priority_queue";

    explicit StdContender(std::size_t) {}

    void apply(std::uint32_t uid, std::uint32_t timeout_ms) {
        const std::uint64_t deadline = now_ + timeout_ms;
        const auto [place, is_new] = grants_.try_emplace(uid, Grant{deadline, deadline});
        Grant& grant = place->second;
        if (!is_new && grant.deadline > now_) {
            if (deadline > grant.deadline) grant.deadline = deadline;
            return;
        }
        grant = {deadline, deadline};
        timers_.emplace(deadline, uid);
    }
    void release(std::uint32_t uid) {
        if (grants_.erase(uid) != 0 && timers_.size() > 2 * grants_.size() + 64) sweep();
    }
    [[nodiscard]] bool holds(std::uint32_t uid) const {
        const auto place = grants_.find(uid);
        return place != grants_.end() && place->second.deadline > now_;
    }
    [[nodiscard]] std::size_t count() const { return grants_.size(); }
    void pass_time(std::uint64_t ms) { now_ += ms; }
    void end_due() {
        while (!timers_.empty() && timers_.top().first <= now_) {
            const auto [armed, uid] = timers_.top();
            timers_.pop();
            const auto place = grants_.find(uid);
            if (place == grants_.end() || place->second.armed != armed) continue;  // released, or armed anew
            if (Grant& grant = place->second; grant.deadline > now_) {
                grant.armed = grant.deadline;
                timers_.emplace(grant.armed, uid);
            } else {
                grants_.erase(place);
            }
        }
    }

private:
    struct Grant {
        std::uint64_t deadline;
        std::uint64_t armed;  // the instant of its timer
    };
    using Timer = std::pair<std::uint64_t, std::uint32_t>;
    using Timers = std::priority_queue<Timer, std::vector<Timer>, std::greater<>>;

    // Takes away the timers of what was released, when they are the most.
    void sweep() {
        std::vector<Timer> live;
        live.reserve(grants_.size());
        for (const auto& [uid, grant] : grants_) live.emplace_back(grant.armed, uid);
        timers_ = Timers(std::greater<>(), std::move(live));
    }

    std::unordered_map<std::uint32_t, Grant> grants_;
    Timers timers_;
    std::uint64_t now_ = 0;
};

}  // namespace benchmarks
