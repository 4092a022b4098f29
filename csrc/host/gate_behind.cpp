// A log that is behind: what is executed at once goes into the open group, and the thread of the gate appends it.
#include <algorithm>
#include <utility>

#include "host/gate_parts.hpp"

namespace grantwheel {

namespace {

// A group of that size is not waited for to fill.
constexpr std::size_t full_bytes = std::size_t{1} << 20;

}  // namespace

// So many bytes have been added to the open group, for what is executed before the lock is let go of.
void Gate::Parts::came(std::size_t bytes) noexcept {
    const std::size_t size = open.bytes.size();
    if (size == bytes) {
        open_since = std::chrono::steady_clock::now();
        filled.notify_one();
    }
    if (size >= full_bytes && size - bytes < full_bytes) {
        hurried = open.number;
        filled.notify_one();
    }
}

void Gate::Parts::hurry(std::uint64_t group) noexcept {
    if (settled >= group) return;
    hurried = std::max(hurried, group);
    tries_again = true;
    filled.notify_one();
}

// The work of the thread.
void Gate::Parts::follow() noexcept {
    gate.mutex_.lock();
    while (!ends) {
        if (open.bytes.size() == 0 || is_broken()) {
            gate.mutex_.wait_for(filled, Time::max());
        } else {
            let_fill();
            catch_up();
        }
    }
    gate.mutex_.unlock();
}

void Gate::Parts::let_fill() noexcept {
    const Time until = open_since + max_delay;
    while (state == State::open && hurried < open.number && !gate.closed_ && std::chrono::steady_clock::now() < until) {
        gate.mutex_.wait_for(filled, until);
    }
}

// Appends the open group, however often it takes.
void Gate::Parts::catch_up() noexcept {
    is_leading = true;
    std::swap(open, flying);
    open.number = flying.number + 1;
    flying_sequence = gate.manager_->engine().last_sequence();
    for (std::uint64_t pause_ms = first_pause_ms; !is_broken(); pause_ms = std::min(2 * pause_ms, longest_pause_ms)) {
        tries_again = false;
        if (try_append()) {
            note_appended(flying);
            settled = flying.number;
            settled_sequence = flying_sequence;
            state = open.bytes.size() == 0 ? State::open : state;
            settle(flying);
            break;
        }
        ++counted.failures;
        if (gives_up) state = State::broken;
        changed.notify_all();
        if (!is_broken()) pause(pause_ms);
    }
    is_leading = false;
    changed.notify_all();
}

// Whether the group is in the log now; if not, the state says why.
bool Gate::Parts::try_append() noexcept {
    if (state == State::uncertain) return ask();
    const Time began = std::chrono::steady_clock::now();
    const Appended appended = unlocked([&] { return log.append(position, flying.content()); });
    append_time = std::chrono::steady_clock::now() - began;
    if (is_broken() && appended != Appended::appended) return false;  // since then, by what was executed meanwhile
    switch (appended) {
        case Appended::appended: ++position; return true;
        case Appended::not_appended: state = State::behind; return false;
        case Appended::uncertain: state = State::uncertain; return ask();
        case Appended::conflict: break;
    }
    state = State::broken;
    return false;
}

// The log has not said whether it has the group.
bool Gate::Parts::ask() noexcept {
    const Position last = unlocked([this] { return log.last(); });
    if (!last.is_known || is_broken()) return false;
    const bool is_in = last.groups == position + 1;
    if (!is_in && last.groups != position) {
        state = State::broken;
        return false;
    }
    state = State::behind;
    position = last.groups;
    return is_in;
}

void Gate::Parts::pause(std::uint64_t pause_ms) noexcept {
    const Time until = time_after(pause_ms);
    while (!gives_up && !tries_again && std::chrono::steady_clock::now() < until) gate.mutex_.wait_for(filled, until);
}

// Waits until all is in the log, and then has the rest tried once more. False when the log has not come back.
bool Gate::Parts::finish_behind(Time until) noexcept {
    hurry(last_group());
    while (!is_over() && std::chrono::steady_clock::now() < until) gate.mutex_.wait_for(changed, until);
    if (is_over()) return true;
    gives_up = true;
    filled.notify_one();
    const Time last = time_after(last_wait_ms);
    while (!is_over() && std::chrono::steady_clock::now() < last) gate.mutex_.wait_for(changed, last);
    return is_over();
}

Flushed Gate::Parts::wait_for(const Flush& flush, Time until) noexcept {
    if (!is_behind) return wait_until(flush.group, until) ? Flushed::all : Flushed::not_yet;
    while (settled < flush.group) {
        if (is_broken() || counted.failures != flush.failures) return Flushed::failed;
        if (is_in_log() || std::chrono::steady_clock::now() >= until) return Flushed::not_yet;
        gate.mutex_.wait_for(changed, until);
    }
    return Flushed::all;
}

}  // namespace grantwheel
