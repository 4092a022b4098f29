#include "bindings/shell.hpp"

#include <algorithm>
#include <mutex>
#include <optional>

#include "bindings/reach.hpp"
#include "bindings/vocabulary.hpp"

namespace grantwheel::bindings {

namespace {

constexpr std::uint64_t forget_ms = 1000;  // so long a log has to answer when the manager is garbage

}  // namespace

Shell::Shell(py::object clock, Follower::Taken read, std::unique_ptr<GivenLog> log, Durability when)
    : key_(read.key), log_(std::move(log)), clock_(std::move(clock)), around_(std::make_unique<Around>()) {
    if (when == Durability::batch && log_ == nullptr) {
        throw py::value_error("durability 'batch' is about a log, and there is none");
    }
    GateOptions options;
    options.observer = around_.get();
    if (log_ != nullptr) {
        // One that runs Python is asked on its own thread only: it will say itself that it goes on otherwise.
        if (!log_->is_python() && log_->log().last().groups != read.position) {
            throw py::value_error("the log has other groups than the manager knows of");
        }
        options.log = &log_->log();
        options.own_thread = log_->is_python();
        options.is_behind = when == Durability::batch;
        options.position = read.position;
    }
    gate_ = without_gil([&]() -> std::unique_ptr<Gate> {
        auto manager = read.engine == nullptr ? Manager::create(read.limits, read.key)
                                              : Manager::create(std::move(read.engine), read.key);
        return manager == nullptr ? nullptr : Gate::create(std::move(manager), options);
    });
    if (gate_ == nullptr) throw Refusal(Status::out_of_memory);
}

// What another thread of the parent was changing during a fork is not fit to be destroyed in the child, and what wakes the
// parent is not to be rung there. A log that does not return keeps what it will come back to.
Shell::~Shell() {
    if (gate_ == nullptr) return;
    if (home_.is_here() && close_gate(close_ms)) {
        if (count_lost() != 0) log_->tell_end("a manager was dropped that had changes for it");
        return;
    }
    if (home_.is_here()) {
        without_gil([&] {
            const std::lock_guard lock(*gate_);
            around_->end();  // the clock goes, and with it the alarms have nothing to look at
            return true;
        });
    }
    static_cast<void>(gate_.release());
    static_cast<void>(around_.release());
    static_cast<void>(log_.release());
}

bool Shell::close_gate(std::uint64_t timeout_ms) noexcept {
    if (log_ == nullptr) return true;
    if (gate_->is_in_log()) return false;
    if (is_python_ending() && log_->is_python()) timeout_ms = 0;  // it cannot come back
    return without_gil([&] { return gate_->close(timeout_ms); }) == Status::ok;
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

// A clock in Python is asked before the lock is taken. Another thread may have brought a later instant meanwhile; then
// it is asked again. A clock that does not go on has really run backwards, and the call says so.
Shell::Session Shell::begin_asking() {
    for (Instant previous = no_deadline;;) {
        const Instant now = clock_.ask();
        Guard lock(*this);
        const bool stands_still = previous != no_deadline && now <= previous;
        if (now >= gate_->latest() || stands_still) return session(std::move(lock), now);
        previous = now;
    }
}

Shell::Session Shell::go_on(Instant now) {
    Guard lock(*this, Gil::released);
    Manager& manager = open();
    if (log_ != nullptr) return {std::move(lock), manager, gate_->read_instant(now)};
    return session(std::move(lock), std::max(now, gate_->latest()));
}

Shell::Session Shell::reading(Session begun, std::uint64_t group) {
    const Instant entered = begun.now;
    if (gate_->has_settled(group)) {
        begun.now = gate_->read_instant(entered);
        return begun;
    }
    if (gate_->is_in_log()) {  // and must not wait: it reads what comes before that
        begun.now = gate_->read_instant(0);
        return begun;
    }
    {
        const Guard goes = std::move(begun.lock);
    }
    wait(group);
    Guard lock(*this);
    Manager& manager = open();
    return {std::move(lock), manager, gate_->read_instant(entered)};
}

bool Shell::keep(Admission& admission, Clause* clause, const Session& session) {
    if (clause == nullptr || admission.status != Status::ok) return true;  // to be refused
    const Mask mask = clause->left(session.manager.engine(), admission.command, session.now);
    admission.command.mask = mask;
    admission.command.capped &= mask;
    admission.ask_quota = admission.ask_quota && (mask & rules.levelled) != 0;
    return mask != 0;
}

void Shell::tell_waker() noexcept {
    if (gate_->manager() == nullptr) return;
    around_->executed(gate_->manager()->engine(), gate_->latest(), gate_->settled_sequence());
}

Result Shell::execute(Session& session, const Admission& admission, Clause* clause, Ended* ended) {
    if (admission.status != Status::ok) clause = nullptr;  // which has not been asked
    const auto work = [&](Manager& manager, Instant now) {
        Watcher* const watcher = clause == nullptr ? nullptr : clause->watcher();
        if (clause != nullptr) clause->staged(admission.command.mask);
        if (watcher != nullptr) watcher->executing(manager.engine(), admission.command, now);
        const Result result = manager.execute(admission, now);
        if (ended != nullptr) note_ended(manager, *ended);
        if (watcher != nullptr) watcher->settled(result);
        return result;
    };
    if (!may_reach(session.manager.engine(), admission.command, slice)) return work(session.manager, session.now);
    return unlocked_by(std::move(session), work);
}

Mask Shell::change(Session& session, Admission& admission, Clause* clause) {
    if (is_direct()) {
        if (clause != nullptr && !keep(admission, clause, session)) return 0;
        if (clause == nullptr && !may_reach(session.manager.engine(), admission.command, slice)) {
            return mask_or_throw(session.manager.execute(admission, session.now));
        }
        return mask_or_throw(execute(session, admission, clause));
    }
    check(admission.status);
    if (!keep(admission, clause, session)) return 0;
    if (!admission.ask_quota) return carry_out(session, admission, clause);
    const std::string bundle(admission.command.bundle);  // it may lie in a policy that is replaced meanwhile
    admission.command.bundle = bundle;
    {
        const Guard goes = std::move(session.lock);
    }
    return ask_and_carry_out(admission, clause);
}

Mask Shell::carry_out(Session& session, const Admission& admission, Clause* clause) {
    if (log_ != nullptr) return carry_out_on_record(session, admission, clause);
    Ended ended;
    make_room(session.manager, ended);
    const Result result = execute(session, admission, clause, &ended);
    {
        const Guard goes = std::move(session.lock);
    }
    settle(ended);
    return mask_or_throw(result);
}

// Time goes by while the hook is asked. So what the change is about is looked at once more when nothing can come in
// between.
Mask Shell::ask_and_carry_out(Admission& admission, Clause* clause) {
    if (!has_agreed(admission.command, clause)) throw Refusal(Status::permission_denied);
    Session session = begin();
    if (!keep(admission, clause, session)) return 0;
    return carry_out(session, admission, clause);
}

std::unique_ptr<Survey> Shell::survey(Survey::What what) {
    constexpr std::size_t budget = 8 * slice;
    constexpr std::size_t patience = 1024;  // so many steps before the last one has no bound: others never rest
    std::unique_ptr<Survey> made;
    std::size_t steps = 0;
    look_in_slices([&](const Engine& engine, Instant now) {
        if (made == nullptr) made = Survey::create(engine, what, now);
        if (made == nullptr) throw Refusal(Status::out_of_memory);
        const Survey::Step step = made->step(++steps < patience ? budget : SIZE_MAX);
        if (step.status == Status::time_backwards && now >= gate_->read_instant(0)) {
            made = nullptr;  // time has gone on meanwhile
            return true;
        }
        check(step.status);
        return step.more;
    });
    return made;
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
    const py::object quota = hook_.object();
    if (!quota) return true;
    const Hook::Call calling(hook_);
    const py::object answer = call_method(quota, "check", command.uid, make_text(command.bundle), command.mask,
                                          command.kind == CommandKind::apply);
    if (!PyBool_Check(answer.ptr())) throw py::type_error("check() of the quota must return a bool");
    return answer.ptr() == Py_True;
}

void Shell::settle(const py::object& quota, const Ended& ended) {
    if (!quota) return;
    std::optional<py::error_already_set> interrupt;
    for (const std::uint32_t uid : ended) {
        const Hook::Call calling(hook_);
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
    if (quota.is_none()) quota = {};
    const Locked locked = lock();
    check(locked.manager.set_policy(std::move(policy)));
    hook_.swap(quota);  // the one before goes without the lock
}

bool Shell::close(std::uint64_t timeout_ms) {
    require_here();
    const bool is_settled = close_gate(timeout_ms);
    const std::uint64_t lost = is_settled ? count_lost() : 0;
    std::unique_ptr<Manager> closed;
    {
        const Guard lock(*this);
        if (!is_closed_) {
            const std::uint64_t last = gate_->settled_sequence();
            remains_ = std::make_unique<Remains>(engine(), readers_->least_after(last), last);
            is_closed_ = true;
            around_->end();
            readers_->ring_all();
        }
        closed = gate_->take_manager();
    }
    without_gil([&] {
        closed.reset();
        return true;
    });
    const py::object failure = lost == 0 ? py::object() : log_->failure();
    forget(is_settled ? forget_ms : 0);
    if (!is_settled) {
        log_warning(py::make_tuple("a manager was closed though its log has not answered for all that was staged"));
    } else if (lost != 0) {
        throw Refusal(Status::transaction_failed,
                      "The manager is closed, and its log has not taken the last " + std::to_string(lost) + " changes.",
                      failure);
    }
    return is_settled;
}

Waker& Shell::waker() {
    if (!around_->waker) around_->waker = std::make_unique<Waker>(open().engine(), gate_->settled_sequence());
    return *around_->waker;
}

Waker& Shell::waker_with_alarm() {
    Waker& made = waker();
    if (!made.has_alarm()) made.set_alarm(clock_.make_alarm(), open().engine());
    return made;
}

int Shell::traverse(visitproc visit, void* arg) const {
    Py_VISIT(clock_.object().ptr());
    Py_VISIT(hook_.held());
    return log_ == nullptr ? 0 : log_->traverse(visit, arg);
}

void Shell::forget() { forget(forget_ms); }

void Shell::forget(std::uint64_t timeout_ms) {
    // Moved out first: what goes with it may call back.
    py::object quota;
    hook_.swap(quota);
    if (log_ != nullptr && home_.is_here() && close_gate(timeout_ms)) log_->forget();
}

void Shell::postpone(std::shared_ptr<Unfinished> unfinished) {
    hook_.postpone(std::move(unfinished));
    finish_postponed();
}

// What cannot be finished is kept up by the hook, after which its caller comes here.
void Shell::finish_postponed() {
    while (!is_in_hook()) {
        const std::shared_ptr<Unfinished> one = hook_.next_postponed();
        if (one == nullptr || !one->finish()) return;
        hook_.forget_postponed(one);
    }
}

}  // namespace grantwheel::bindings
