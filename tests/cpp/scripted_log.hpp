// A log in memory that does what a test says: it appends, fails in every way, and stalls until it is told. Thread-safe.
#pragma once

#include <climits>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <span>
#include <vector>

#include "grantwheel/log.hpp"

namespace grantwheel::test {

class ScriptedLog final : public Log {
public:
    // What one append answers, and whether the group is there afterwards.
    struct Step {
        Appended answer = Appended::appended;
        bool is_there = true;
        int unknown = 0;  // so often `last` does not know
    };

    Appended append(std::uint64_t after, std::span<const std::byte> group) noexcept override {
        std::unique_lock lock(mutex_);
        ++appends_;
        told_.notify_all();
        const int number = appends_;
        told_.wait(lock, [&] { return number < stalls_from_; });
        if (after != groups_.size()) return Appended::conflict;
        Step step = otherwise_;
        if (!steps_.empty()) {
            step = steps_.front();
            steps_.pop_front();
        }
        unknown_ = step.unknown;
        if (step.is_there) groups_.emplace_back(group.begin(), group.end());
        return step.answer;
    }
    Position last() noexcept override {
        const std::lock_guard lock(mutex_);
        ++lasts_;
        told_.notify_all();
        if (unknown_ != 0) {
            --unknown_;
            return {};
        }
        return {true, groups_.size()};
    }

    void then(Step step) {
        const std::lock_guard lock(mutex_);
        steps_.push_back(step);
    }
    // From the next append on it only does what it is told.
    void fail_always(Step step) {
        const std::lock_guard lock(mutex_);
        otherwise_ = step;
    }
    void heal() {
        const std::lock_guard lock(mutex_);
        otherwise_ = {};
        unknown_ = 0;
    }
    void stall(bool stalls = true) { stall_from(stalls ? 0 : INT_MAX); }
    // The appends before that one, counted from 1, go on.
    void stall_from(int append) {
        const std::lock_guard lock(mutex_);
        stalls_from_ = append;
        told_.notify_all();
    }
    // Waits until so many appends have begun in all, and until it has been asked so often where it stands.
    void wait_for_appends(int count) {
        std::unique_lock lock(mutex_);
        told_.wait(lock, [&] { return appends_ >= count; });
    }
    void wait_for_lasts(int count) {
        std::unique_lock lock(mutex_);
        told_.wait(lock, [&] { return lasts_ >= count; });
    }
    // Somebody else writes a group.
    void intrude() {
        const std::lock_guard lock(mutex_);
        groups_.emplace_back();
    }
    [[nodiscard]] std::vector<std::vector<std::byte>> groups() const {
        const std::lock_guard lock(mutex_);
        return groups_;
    }
    [[nodiscard]] int appends() const {
        const std::lock_guard lock(mutex_);
        return appends_;
    }

private:
    mutable std::mutex mutex_;
    std::condition_variable told_;
    std::vector<std::vector<std::byte>> groups_;
    std::deque<Step> steps_;
    Step otherwise_{};  // than they say
    int stalls_from_ = INT_MAX;
    int unknown_ = 0;
    int appends_ = 0;
    int lasts_ = 0;
};

inline constexpr ScriptedLog::Step says_not{Appended::not_appended, false, 0};
inline constexpr ScriptedLog::Step unsure_but_there{Appended::uncertain, true, 2};
inline constexpr ScriptedLog::Step unsure_and_not_there{Appended::uncertain, false, 2};
inline constexpr ScriptedLog::Step says_conflict{Appended::conflict, false, 0};

}  // namespace grantwheel::test
