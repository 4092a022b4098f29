#include <sys/eventfd.h>

#include <algorithm>
#include <new>
#include <system_error>

#include "host/gate_parts.hpp"

namespace grantwheel {

namespace {

// So many records are ended, or looked at, under one lock.
constexpr std::size_t slice = 1024;

}  // namespace

Gate::Parts::Parts(Gate& made_for, const GateOptions& options, const HashKey& key) noexcept
    : gate(made_for),
      log(*options.log),
      observer(options.observer),
      max_group_bytes(options.max_group_bytes),
      is_immediate(options.log->is_immediate()),
      is_behind(options.is_behind && !is_immediate),
      has_thread((options.own_thread && !is_immediate) || is_behind),
      max_delay(std::chrono::milliseconds(options.max_delay_ms)),
      first_position(options.position),
      position(options.position),
      marks(key) {}

Gate::Gate(const GateOptions& options) noexcept : clock_(options.clock) {}

std::unique_ptr<Gate> Gate::create(std::unique_ptr<Manager>&& manager, const GateOptions& options) noexcept {
    if (manager == nullptr) return nullptr;
    std::unique_ptr<Gate> gate(new (std::nothrow) Gate(options));
    if (gate == nullptr) return nullptr;
    if (options.log != nullptr) {
        gate->parts_.reset(new (std::nothrow) Parts(*gate, options, manager->hash_key()));
        if (gate->parts_ == nullptr || !gate->parts_->start()) return nullptr;
    }
    gate->latest_ = manager->engine().now();
    if (gate->parts_ != nullptr) gate->parts_->settled_sequence = manager->engine().last_sequence();
    gate->manager_ = std::move(manager);
    return gate;
}

// The thread finds nothing to do until there is a manager.
bool Gate::Parts::start() noexcept {
    if (!has_thread) return true;
    try {
        thread = std::thread([this] { run(); });
        return true;
    } catch (const std::system_error&) {
        return false;
    }
}

// What is in the hands of the log has to come back.
Gate::~Gate() {
    if (parts_ == nullptr || (closed_ && !parts_->thread.joinable())) return;
    while (close(0) != Status::ok) static_cast<void>(flush());
}

Answer Gate::advance(std::uint64_t budget) noexcept {
    mutex_.lock();
    Answer total{.status = enter()};
    if (total.status == Status::ok) {
        if (parts_ == nullptr) {
            advance_directly(budget, total);
        } else {
            parts_->advance(budget, total);
        }
    }
    mutex_.unlock();
    return total;
}

void Gate::advance_directly(std::uint64_t budget, Answer& total) noexcept {
    for (std::uint64_t left = budget;;) {
        if (manager_ == nullptr) {  // closed since the last slice
            total.status = Status::not_connected;
            return;
        }
        const AdvanceResult result = manager_->engine().advance(latest_, std::min<std::uint64_t>(left, slice));
        left -= result.records;
        total.status = result.status;
        total.ended += result.ended;
        total.records += result.records;
        total.more = result.more;
        if (!result.more || left == 0) return;
        mutex_.unlock();
        mutex_.let_others();
        mutex_.lock();
    }
}

void Gate::Parts::advance(std::uint64_t budget, Answer& total) noexcept {
    for (std::uint64_t left = budget; left != 0;) {
        Looked look = gate.look(slice);
        for (; look.more; look = gate.look(slice)) {
            breathe();
            if (gate.manager_ == nullptr) {
                total.status = Status::not_connected;
                return;
            }
        }
        if (!look.is_due) return;
        const Staged staged = gate.stage_advance(std::min(left, gate.answers_at_once() ? slice : advance_slice));
        total.status = staged.status;
        if (staged.status != Status::ok) return;
        const Answer answer = staged.is_answered() ? staged.answer : gate.await_locked(staged.ticket);
        left -= std::min<std::uint64_t>(left, answer.records);
        total.status = answer.status;
        total.due = std::min(total.due, answer.due);
        total.ended += answer.ended;
        total.records += answer.records;
        total.more = answer.more;
        if (!answer.more || answer.status != Status::ok) return;
        breathe();
    }
}

// What is due only after the first op that is not executed shows by then; till then it may be.
Looked Gate::look(std::size_t budget) noexcept {
    Engine& engine = manager_->engine();
    if (engine.wake_at() > latest_) return {};
    Looked looked = engine.look(cut(0), budget);
    if (!looked.more) looked.is_due = engine.wake_at() <= latest_;
    return looked;
}

int Gate::descriptor() noexcept {
    if (parts_ == nullptr) return -1;
    if (!parts_->bell.is_open()) parts_->bell = Descriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    return parts_->bell.number();
}

void Gate::clear() noexcept {
    if (parts_ == nullptr || !std::exchange(parts_->is_rung, false)) return;
    eventfd_t count = 0;
    static_cast<void>(::eventfd_read(parts_->bell.number(), &count));
}

}  // namespace grantwheel
