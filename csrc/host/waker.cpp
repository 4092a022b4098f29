#include "host/waker.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace grantwheel {

Bell::Bell() : descriptor_(opened(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))) {}

Bell::~Bell() { ring(); }

void Bell::ring() noexcept {
    if (!home_.is_here() || std::exchange(is_rung_, true)) return;
    static_cast<void>(::eventfd_write(descriptor(), 1));
}

void Bell::clear() noexcept {
    if (!home_.is_here() || !std::exchange(is_rung_, false)) return;
    eventfd_t count = 0;
    static_cast<void>(::eventfd_read(descriptor(), &count));
}

void Waker::set_alarm(std::shared_ptr<Alarm> alarm, const Engine& engine) noexcept {
    alarm_ = std::move(alarm);
    alarm_at_ = engine.wake_at();
    alarm_->set(alarm_at_);
}

void Waker::rouse(const Engine& engine, Instant now, std::uint64_t settled) noexcept {
    if (settled != shown_) ring();
    shown_ = settled;
    seen_ = engine.last_sequence();
    if (alarm_ == nullptr) return;
    const Instant wake = engine.wake_at();
    // A later one waits until the alarm has gone off, as a timer does after a renewal.
    if (wake >= alarm_at_ && now < alarm_at_) return;
    if (wake != alarm_at_) alarm_->set(wake);
    alarm_at_ = wake;
}

void Waker::ring() noexcept {
    for (const std::weak_ptr<Bell>& silent : silent_) {
        const auto bell = silent.lock();
        if (bell == nullptr) continue;
        if (bell->listing.is_wanted) bell->ring();
        bell->listing = {};
    }
    silent_.clear();
}

void Waker::keep(const std::shared_ptr<Bell>& bell, bool events_wait, bool has_seen_all) {
    const bool is_wanted = !events_wait && !has_seen_all;
    if (is_wanted && !bell->listing.is_listed) {
        if (silent_.size() >= silent_at_most_) {
            std::erase_if(silent_, [](const std::weak_ptr<Bell>& silent) { return silent.expired(); });
            silent_at_most_ = std::max(silent_at_most_, 2 * silent_.size());
        }
        silent_.emplace_back(bell);
        bell->listing.is_listed = true;
    }
    bell->listing.is_wanted = is_wanted;
    if (events_wait) {
        bell->ring();
    } else {
        bell->clear();
    }
}

int Waker::joint_descriptor(const Bell& bell) {
    if (joint_.number() >= 0) return joint_.number();
    Descriptor joint = opened(::epoll_create1(EPOLL_CLOEXEC));
    for (const int part : {alarm_descriptor(), bell.descriptor()}) {
        epoll_event wanted{};
        wanted.events = EPOLLIN;
        if (::epoll_ctl(joint.number(), EPOLL_CTL_ADD, part, &wanted) != 0) throw FailedSystemCall{errno};
    }
    joint_ = std::move(joint);
    return joint_.number();
}

void Waker::end() noexcept {
    ring();
    if (alarm_ == nullptr) return;
    alarm_at_ = 0;
    alarm_->set(0);
}

}  // namespace grantwheel
