// What wakes those who sleep until a manager has something for them: descriptors for poll and its like.
//
// Alarm    Readable from an instant of the clock on.
// Bell     Readable while events wait for one reader.
// Waker    Sees to the alarm and the bells of one manager after each call. Under the lock of the manager, and never blocks.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "grantwheel/engine.hpp"
#include "host/descriptor.hpp"
#include "host/home.hpp"

namespace grantwheel {

// Readable from ring() on, until clear(). Whoever uses it sees to it that one thing happens at a time. Mute in the
// child of a fork.
class Bell {
public:
    // Throws FailedSystemCall.
    Bell();
    // Rings, for those who poll a duplicate of its descriptor.
    ~Bell();
    Bell(const Bell&) = delete;
    Bell& operator=(const Bell&) = delete;

    void ring() noexcept;
    void clear() noexcept;
    [[nodiscard]] bool is_rung() const noexcept { return is_rung_; }
    // For the waker: whether it is on its list, and whether the next event is to ring it.
    struct Listing {
        bool is_listed = false;
        bool is_wanted = false;
    };
    Listing listing{};
    [[nodiscard]] int descriptor() const noexcept { return descriptor_.number(); }

private:
    Descriptor descriptor_;
    Home home_;
    bool is_rung_ = false;
};

// Readable once the clock has reached the instant that was set last.
class Alarm {
public:
    Alarm() = default;
    virtual ~Alarm() = default;
    Alarm(const Alarm&) = delete;
    Alarm& operator=(const Alarm&) = delete;

    // `at` may be past, which is at once, or no_deadline, which is never.
    virtual void set(Instant at) noexcept = 0;
    [[nodiscard]] virtual int descriptor() const noexcept = 0;
};

class Waker {
public:
    // Of events those may be shown that come no later than the `settled` one.
    Waker(const Engine& engine, std::uint64_t settled) noexcept : seen_(engine.last_sequence()), shown_(settled) {}
    // In the child of a fork nobody may destroy it.
    ~Waker() { end(); }
    Waker(const Waker&) = delete;
    Waker& operator=(const Waker&) = delete;

    // After each call of the manager, and whenever more events may be shown. `now` is the latest instant of all calls.
    //
    // A deadline earlier than all others is that of a type that was not held before, which makes an event. So without
    // an event since, and before the alarm, there is nothing to do.
    void update(const Engine& engine, Instant now, std::uint64_t settled) noexcept {
        if (engine.last_sequence() == seen_ && settled == shown_ && now < alarm_at_) return;
        rouse(engine, now, settled);
    }

    [[nodiscard]] bool has_alarm() const noexcept { return alarm_ != nullptr; }
    // Pre: has_alarm().
    [[nodiscard]] int alarm_descriptor() const noexcept { return alarm_->descriptor(); }
    void set_alarm(std::shared_ptr<Alarm> alarm, const Engine& engine) noexcept;

    // Lets a bell tell whether events wait for its reader: at once if they do; else, unless it has seen its last one,
    // with the next event.
    //
    // Cost  does not depend on how many other bells there are.
    void keep(const std::shared_ptr<Bell>& bell, bool events_wait, bool has_seen_all);

    // One descriptor for the alarm and a bell. Pre: has_alarm(); the same bell each time.
    [[nodiscard]] int joint_descriptor(const Bell& bell);

    // Wakes everybody, for good: the manager is closed.
    void end() noexcept;

private:
    void rouse(const Engine& engine, Instant now, std::uint64_t settled) noexcept;
    void ring() noexcept;

    std::uint64_t seen_;                       // the last event when somebody looked
    std::uint64_t shown_;                      // and the last one that could be shown
    Instant alarm_at_ = no_deadline;           // as it was set last
    std::shared_ptr<Alarm> alarm_;             // null until it is needed
    std::vector<std::weak_ptr<Bell>> silent_;  // those that the next event rings, if they are wanted then
    std::size_t silent_at_most_ = 64;          // when it is looked through for bells that have gone
    Descriptor joint_;
};

}  // namespace grantwheel
