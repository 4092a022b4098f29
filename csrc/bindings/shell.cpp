#include "bindings/shell.hpp"

#include <algorithm>
#include <optional>

#include "bindings/vocabulary.hpp"

namespace grantwheel::bindings {

namespace {

#define GRANTWHEEL_NAME(name, NAME) #name,
constexpr const char* command_names[] = {GRANTWHEEL_COMMAND_LIST(GRANTWHEEL_NAME)};
#undef GRANTWHEEL_NAME

}  // namespace

Shell::Shell(py::object clock, const Limits& limits, py::object recorder, const HashKey& key)
    : key_(key), clock_(std::move(clock)) {
    if (const char* field = limits.first_invalid()) {
        throw py::value_error(std::string(field) +
                              " is out of range: limits are 1..2^31-1, and reserve at most max_records");
    }
    if (!recorder.is_none()) {
        if (PyCallable_Check(recorder.ptr()) == 0) throw py::type_error("recorder must be callable");
        recorder_ = std::move(recorder);
    }
    manager_ = without_gil([&] { return Manager::create(limits, key); });
    if (manager_ == nullptr) throw Refusal(Status::out_of_memory);
}

void Shell::name_limit(Refusal& refusal) noexcept try {
    const Locked locked = lock();
    const Engine& engine = locked.manager.engine();
    const std::string records = "max_records (" + std::to_string(engine.limits().max_records) + ")";
    const std::string strings = "max_strings (" + std::to_string(engine.limits().max_strings) + ")";
    const bool has_records = engine.room_for_records() != 0;
    const bool has_strings = engine.room_for_strings() != 0;
    if (has_records && has_strings) {
        static_cast<void>(
            refusal.with_rule(records + " or " + strings + " is too small for it, or an allocation failed"));
    } else {
        static_cast<void>(refusal.with_rule((has_strings ? records : strings) + " is reached"));
    }
} catch (...) {
    // The general words have to do: it was closed meanwhile, or there is no memory for more of them.
}

// What another thread of the parent was changing during a fork is not fit to be destroyed in the child, and what
// wakes the parent is not to be rung there.
Shell::~Shell() {
    if (home_.is_here()) return;
    static_cast<void>(manager_.release());
    static_cast<void>(waker_.release());
    static_cast<void>(claims_.release());
}

// A clock in Python is asked before the lock is taken. Another thread may have brought a later instant meanwhile; then
// it is asked again. A clock that does not go on has really run backwards, and the call says so.
Shell::Session Shell::begin_asking() {
    for (Instant previous = no_deadline;;) {
        const Instant now = clock_.ask();
        Guard lock(*this);
        const bool stands_still = previous != no_deadline && now <= previous;
        if (now >= latest_ || stands_still) return session(std::move(lock), now);
        previous = now;
    }
}

Shell::Session Shell::go_on(Instant now) {
    Guard lock(*this, Gil::released);
    return session(std::move(lock), std::max(now, latest_));
}

bool Shell::keep(Admission& admission, Clause* clause, const Session& session) {
    if (clause == nullptr || admission.status != Status::ok) return true;  // to be refused
    const Mask mask = clause->left(session.manager.engine(), admission.command, session.now);
    admission.command.mask = mask;
    admission.command.capped &= mask;
    admission.ask_quota = admission.ask_quota && (mask & rules.levelled) != 0;
    return mask != 0;
}

bool Shell::is_long(const Engine& engine, const Command& command) noexcept {
    switch (command.kind) {
        case CommandKind::release:
        case CommandKind::reset_all:
        case CommandKind::app_stopped:
        case CommandKind::package_removed: return engine.record_count(OwnerKind::process) > slice;
        case CommandKind::admin_reset_all: return engine.most_owners(type::ALL) > slice;
        default: return false;
    }
}

Result Shell::execute(Session& session, const Admission& admission, Clause* clause, Ended* ended) {
    const auto work = [&](Manager& manager, Instant now) {
        const Result result = manager.execute(admission, now);
        if (ended != nullptr) note_ended(manager, *ended);
        if (clause != nullptr && result.status == Status::ok) clause->done(result.mask);
        return result;
    };
    if (!is_long(session.manager.engine(), admission.command)) return work(session.manager, session.now);
    return unlocked_by(std::move(session), work);
}

// Time goes by while the hook is asked. So what the change is about is looked at once more when nothing can come in
// between.
Mask Shell::change_in_steps(Admission admission, Clause* clause) {
    if (admission.ask_quota && !has_agreed(admission.command, clause)) throw Refusal(Status::permission_denied);
    Ended ended;
    const Result result = recorder_ ? and_unfinished([&] { return carry_out_on_record(admission, clause, ended); })
                                    : carry_out(admission, clause, ended);
    settle(ended);
    return mask_or_throw(result);
}

Result Shell::carry_out(Admission& admission, Clause* clause, Ended& ended) {
    Session session = begin();
    if (!keep(admission, clause, session)) return {};
    if (quota_) make_room(session.manager, ended);
    return execute(session, admission, clause, &ended);
}

Result Shell::carry_out_on_record(Admission& admission, Clause* clause, Ended& ended) {
    const Turn turn(*this, clause == nullptr || clause->may_wait());
    Instant now = 0;
    {
        const Session session = begin();
        now = session.now;
        if (!keep(admission, clause, session)) return {};
        if (quota_) make_room(session.manager, ended);
    }
    record(admission.command, now);
    // Not the clock again: what is on record is carried out, at the instant that is on record.
    Locked locked = lock();
    Session session{std::move(locked.lock), locked.manager, now};
    return execute(session, admission, clause, &ended);
}

bool Shell::has_agreed(const Command& command, Clause* clause) {
    return and_unfinished([&] {
        try {
            return ask_quota(command);
        } catch (const std::exception&) {
            if (clause == nullptr || !clause->goes_on()) throw;
            return true;
        }
    });
}

bool Shell::ask_quota(const Command& command) const {
    const py::object quota = quota_;
    if (!quota) return true;
    const InHook in_hook(*this);
    const py::object answer = call_method(quota, "check", command.uid, make_text(command.bundle), command.mask,
                                          command.kind == CommandKind::apply);
    if (!PyBool_Check(answer.ptr())) throw py::type_error("check() of the quota must return a bool");
    return answer.ptr() == Py_True;
}

void Shell::record(const Command& command, Instant now) const {
    const py::object recorder = recorder_;
    const py::object words =
        make_named(vocabulary().Command,
                   {py::str(command_names[static_cast<std::size_t>(command.kind)]), py::int_(now),
                    py::int_(command.uid), py::int_(command.pid), py::int_(command.mask), py::int_(command.timeout_ms),
                    py::bool_(command.is_persist), py::bool_(command.is_process), py::int_(command.cpu_level),
                    make_text(command.bundle), make_text(command.reason), make_caps(command)});
    try {
        static_cast<void>(call(recorder, words));
    } catch (py::error_already_set& error) {
        if (!error.matches(PyExc_Exception)) throw;  // KeyboardInterrupt and the like stay what they are
        throw Refusal(Status::transaction_failed, {}, error.value());
    }
}

void Shell::settle(const py::object& quota, const Ended& ended) {
    if (!quota) return;
    std::optional<py::error_already_set> interrupt;
    for (const std::uint32_t uid : ended) {
        const InHook in_hook(*this);
        try {
            static_cast<void>(call_method(quota, "settle", uid));
        } catch (py::error_already_set& error) {
            if (is_interrupt(error)) {
                interrupt = error;  // the others are told first
            } else {
                error.discard_as_unraisable("settle() of the quota");
            }
        } catch (...) {
            restore_current_exception();
            PyErr_WriteUnraisable(quota.ptr());
        }
    }
    if (interrupt) raise_afterwards(*interrupt);
    finish_postponed();
}

void Shell::set_policy(std::unique_ptr<Policy> policy, py::object quota) {
    policy->set_quota(!quota.is_none());
    check(lock().manager.set_policy(std::move(policy)));
    quota_ = quota.is_none() ? py::object() : std::move(quota);
}

void Shell::close() {
    require_here();
    std::unique_ptr<Manager> closed;
    {
        const Guard lock(*this);
        if (manager_ != nullptr) {
            const Engine& engine = manager_->engine();
            remains_ = std::make_unique<Remains>(engine, readers_->least_after(engine.last_sequence()));
        }
        closed = std::move(manager_);
        *claims_ = {};
        if (waker_) waker_->end();
        readers_->ring_all();
    }
    without_gil([&] {
        closed.reset();
        return true;
    });
    forget();
}

Waker& Shell::waker() {
    if (!waker_) waker_ = std::make_unique<Waker>(open().engine());
    return *waker_;
}

Waker& Shell::waker_with_alarm() {
    Waker& made = waker();
    if (!made.has_alarm()) made.set_alarm(clock_.make_alarm(), open().engine());
    return made;
}

int Shell::traverse(visitproc visit, void* arg) const {
    Py_VISIT(clock_.object().ptr());
    Py_VISIT(quota_.ptr());
    Py_VISIT(recorder_.ptr());
    return 0;
}

void Shell::forget() {
    // Moved out first: what goes with them may call back.
    const py::object quota = std::move(quota_);
    const py::object recorder = std::move(recorder_);
}

bool Shell::is_in_hook() const noexcept {
    return std::find(in_hook_.begin(), in_hook_.end(), std::this_thread::get_id()) != in_hook_.end();
}

Shell::InHook::InHook(const Shell& shell) : shell_(shell) { shell_.in_hook_.push_back(std::this_thread::get_id()); }

Shell::InHook::~InHook() {
    auto& threads = shell_.in_hook_;
    threads.erase(std::find(threads.begin(), threads.end(), std::this_thread::get_id()));
}

void Shell::postpone(std::shared_ptr<Unfinished> unfinished) {
    if (std::find(postponed_.begin(), postponed_.end(), unfinished) == postponed_.end()) {
        postponed_.push_back(std::move(unfinished));
    }
    // Whoever had the turn may have given it up just now.
    finish_postponed();
}

// What cannot be finished is kept up by somebody's turn, who comes here after it.
void Shell::finish_postponed() {
    const auto is_idle = [](const std::shared_ptr<Unfinished>& one) { return !one->is_being_finished(); };
    while (!is_in_turn() && !is_in_hook()) {
        const auto place = std::find_if(postponed_.begin(), postponed_.end(), is_idle);
        if (place == postponed_.end()) return;
        const std::shared_ptr<Unfinished> one = *place;
        if (!one->finish()) return;
        std::erase(postponed_, one);
    }
}

Shell::Turn::Turn(Shell& shell, bool may_wait) : shell_(shell.recorder_ ? &shell : nullptr) {
    if (shell_ == nullptr) return;
    shell_->require_here();
    if (shell_->is_in_turn()) {
        throw std::runtime_error("the recorder of a manager must not change it, nor read across its records");
    }
    if (!shell_->turn_.try_lock()) {
        if (!may_wait) throw Busy();
        wait_for(shell_->turn_, Gil::held);
    }
    shell_->turn_holder_ = std::this_thread::get_id();
}

Shell::Turn::~Turn() {
    if (shell_ == nullptr) return;
    shell_->turn_holder_ = std::thread::id();
    shell_->turn_.unlock();
}

}  // namespace grantwheel::bindings
