#include <algorithm>
#include <chrono>

#include "host/gate_parts.hpp"

namespace grantwheel {

PoliteMutex::Time time_after(std::uint64_t timeout_ms) noexcept {
    constexpr std::uint64_t century_ms = std::uint64_t{1} << 42;
    if (timeout_ms >= century_ms) return PoliteMutex::Time::max();
    return std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
}

// Whoever comes first does the work for all, unless there is a thread for that.
bool Gate::Parts::wait_until(std::uint64_t group, Time until) noexcept {
    if (has_settled(group)) return true;
    if (is_in_log() || group > last_group()) return false;
    while (!has_settled(group)) {
        if (!is_leading && !has_thread) {
            commit();
            continue;
        }
        if (until != Time::max() && std::chrono::steady_clock::now() >= until) return false;
        gate.mutex_.wait_for(changed, until);
    }
    return true;
}

// What the log has not been given can be refused for certain.
void Gate::Parts::give_up() noexcept {
    gives_up = true;
    if (!open.is_empty()) {
        refused_from = open.number;
        refuse(open, Status::not_connected);
        settle(open);
    }
    changed.notify_all();
}

void Gate::Parts::run() noexcept {
    if (is_behind) return follow();
    gate.mutex_.lock();
    for (;;) {
        if (!open.is_empty()) {
            commit();
        } else if (ends) {
            break;
        } else {
            gate.mutex_.wait_for(filled, Time::max());
        }
    }
    gate.mutex_.unlock();
}

bool Gate::wait_locked(std::uint64_t group, std::uint64_t timeout_ms) noexcept {
    return has_settled(group) || parts_->wait_until(group, time_after(timeout_ms));
}

bool Gate::wait(std::uint64_t group, std::uint64_t timeout_ms) noexcept {
    if (parts_ == nullptr) return true;
    mutex_.lock();
    const bool is_settled = wait_locked(group, timeout_ms);
    mutex_.unlock();
    return is_settled;
}

Answer Gate::await(Ticket ticket) noexcept {
    if (parts_ == nullptr) return {.status = Status::argument_invalid};
    mutex_.lock();
    const Answer answer = await_locked(ticket);
    mutex_.unlock();
    return answer;
}

Answer Gate::await_locked(Ticket ticket) noexcept {
    Answer answer{.status = Status::in_callback};
    if (wait_locked(ticket.group, forever)) {
        static_cast<void>(take(ticket, answer));
    } else {
        abandon(ticket);
    }
    return answer;
}

bool Gate::is_in_log() const noexcept { return parts_ != nullptr && parts_->is_in_log(); }

bool Gate::take(Ticket ticket, Answer& answer, std::span<Result> rows) noexcept {
    const std::uint32_t place = parts_ == nullptr ? no_entry : parts_->entries.find(ticket);
    if (place == no_entry) {
        answer = {.status = Status::argument_invalid};
        return true;
    }
    if (!parts_->has_settled(ticket.group)) return false;
    const Entry& entry = parts_->entries[place];
    answer = entry.answer;
    if (entry.rows != nullptr) {
        const std::size_t count = std::min(rows.size(), entry.rows->results.size());
        std::copy_n(entry.rows->results.data(), count, rows.begin());
    }
    parts_->entries.give(place);
    return true;
}

void Gate::abandon(Ticket ticket) noexcept {
    const std::uint32_t place = parts_ == nullptr ? no_entry : parts_->entries.find(ticket);
    if (place == no_entry) return;
    if (parts_->has_settled(ticket.group)) {
        parts_->entries.give(place);
    } else {
        parts_->entries[place].abandoned = true;
    }
}

Flush Gate::begin_flush() noexcept {
    if (parts_ == nullptr) return {};
    const std::uint64_t group = parts_->last_group();
    if (parts_->is_behind) parts_->hurry(group);
    return {group, parts_->counted.failures};
}

Flushed Gate::finish(const Flush& flush, std::uint64_t timeout_ms) noexcept {
    if (parts_ == nullptr) return Flushed::all;
    mutex_.lock();
    const Flushed flushed = parts_->wait_for(flush, time_after(timeout_ms));
    mutex_.unlock();
    return flushed;
}

bool Gate::flush(std::uint64_t timeout_ms) noexcept {
    mutex_.lock();
    const Flush begun = begin_flush();
    mutex_.unlock();
    return finish(begun, timeout_ms) == Flushed::all;
}

Status Gate::close(std::uint64_t timeout_ms) noexcept {
    if (is_in_log()) return Status::in_callback;
    mutex_.lock();
    closed_ = true;
    if (parts_ != nullptr) parts_->filled.notify_all();
    bool is_settled = true;
    if (parts_ != nullptr && parts_->is_behind) {
        is_settled = parts_->finish_behind(time_after(timeout_ms));
    } else if (!wait_locked(last_group(), timeout_ms)) {
        parts_->give_up();
        is_settled = !parts_->is_leading || parts_->wait_until(parts_->flying.number, time_after(last_wait_ms));
    }
    std::thread ended;
    if (is_settled && parts_ != nullptr) {
        parts_->ends = true;
        parts_->filled.notify_one();
        ended = std::move(parts_->thread);
    }
    mutex_.unlock();
    if (ended.joinable()) ended.join();
    return is_settled ? Status::ok : Status::transaction_failed;
}

std::unique_ptr<Manager> Gate::take_manager() noexcept {
    if (!closed_ || (parts_ != nullptr && (parts_->is_leading || (parts_->is_behind && !parts_->is_over())))) {
        return nullptr;
    }
    return std::move(manager_);
}

std::uint64_t Gate::last_staged() const noexcept { return parts_->last_group(); }
bool Gate::is_over(std::uint64_t group) const noexcept { return parts_->has_settled(group); }
bool Gate::answers_at_once() const noexcept { return parts_ == nullptr || parts_->is_immediate || parts_->is_behind; }
bool Gate::is_behind() const noexcept { return parts_ != nullptr && parts_->is_behind; }
std::uint64_t Gate::last_settled() const noexcept {
    return parts_->is_behind ? parts_->settled_sequence : manager_->engine().last_sequence();
}

LogFigures Gate::log_figures() const noexcept {
    LogFigures figures = parts_->counted;
    figures.state = parts_->state;
    figures.position = parts_->position;
    figures.groups = parts_->position - parts_->first_position;
    figures.waiting_ops = parts_->open.ops + parts_->flying.ops;
    figures.waiting_changes = parts_->open.changes + parts_->flying.changes;
    figures.waiting_bytes = parts_->open.bytes.size() + parts_->flying.bytes.size();
    return figures;
}

// The stamp of the first op that is not executed, if that is before.
Instant Gate::cut(Instant entered) const noexcept {
    const Group& first = parts_->flying.is_empty() ? parts_->open : parts_->flying;
    const Instant at = first.is_empty() ? latest_ : std::min(latest_, parts_->entries[first.first].now);
    return std::max(entered, at);
}

std::size_t Gate::take_cpu_ended(std::span<std::uint32_t> out) noexcept {
    if (parts_ == nullptr) return 0;
    Array<std::uint32_t>& ended = parts_->cpu_ended;
    const std::size_t count = std::min(out.size(), ended.size());
    const std::size_t left = ended.size() - count;
    std::copy_n(ended.data() + left, count, out.begin());
    ended.set_size(left);
    return count;
}

}  // namespace grantwheel
