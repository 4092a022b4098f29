// The rival of Boost: a hash map of handles into a heap of four children, which moves a timer as soon as it is renewed.
// It keeps no reasons, no events and no limits.
#pragma once

#include <boost/heap/d_ary_heap.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <unordered_map>
#include <utility>

namespace benchmarks {

class BoostContender {
public:
    static constexpr const char* name = "unordered_map, boost d_ary_heap";

    explicit BoostContender(std::size_t) {}

    void apply(std::uint32_t uid, std::uint32_t timeout_ms) {
        const std::uint64_t deadline = now_ + timeout_ms;
        const auto [place, is_new] = grants_.try_emplace(uid);
        if (is_new) {
            place->second = timers_.push({deadline, uid});
        } else if (deadline > (*place->second).first) {
            timers_.decrease(place->second, {deadline, uid});  // later: further from the top
        }
    }
    void release(std::uint32_t uid) {
        const auto place = grants_.find(uid);
        if (place == grants_.end()) return;
        timers_.erase(place->second);
        grants_.erase(place);
    }
    [[nodiscard]] bool holds(std::uint32_t uid) const {
        const auto place = grants_.find(uid);
        return place != grants_.end() && (*place->second).first > now_;
    }
    [[nodiscard]] std::size_t count() const { return grants_.size(); }
    void pass_time(std::uint64_t ms) { now_ += ms; }
    void end_due() {
        while (!timers_.empty() && timers_.top().first <= now_) {
            grants_.erase(timers_.top().second);
            timers_.pop();
        }
    }

private:
    using Timer = std::pair<std::uint64_t, std::uint32_t>;
    using Timers = boost::heap::d_ary_heap<Timer, boost::heap::arity<4>, boost::heap::mutable_<true>,
                                           boost::heap::compare<std::greater<Timer>>>;

    Timers timers_;
    std::unordered_map<std::uint32_t, Timers::handle_type> grants_;
    std::uint64_t now_ = 0;
};

}  // namespace benchmarks
