#include "bindings/lease.hpp"

#include <bit>
#include <exception>
#include <optional>
#include <string>

#include "bindings/calls.hpp"
#include "bindings/instances.hpp"
#include "bindings/joining.hpp"

namespace grantwheel::bindings {

namespace {

// So often the end of a lease that nobody has any more is tried again when it is cut off.
constexpr int most_attempts_to_end = 100;

// What is being handled, as Python has it.
py::error_already_set current_error() {
    restore_current_exception();
    return {};
}

void warn(const char* text, Mask mask, const py::error_already_set& error) {
    const py::object types = py::module_::import("grantwheel.types").attr("ResourceType")(mask);
    log_warning(py::make_tuple(text, types), error.value());
}

const char* name_of(Share::State state) {
    switch (state) {
        case Share::State::fresh: return "new";
        case Share::State::beginning: return "beginning";
        case Share::State::held: return "held";
        case Share::State::ending:
        case Share::State::ended: return "ended";
    }
    return "";
}

}  // namespace

class Share::Begin final : public Shell::Clause {
public:
    explicit Begin(Share& share) : share_(share) {}

    [[nodiscard]] Mask left(const Engine&, const Command& command, Instant) override {
        if (share_.state_ != State::beginning) return 0;
        Keys keys{};
        for (std::size_t index = 0; index < keys.size(); ++index) keys[index] = share_.key_of(Mask{1} << index);
        for_each_type(command.mask, [&](Mask type) { room_.add(share_.key_of(type)); });
        share_.joining_ = std::make_shared<Joining>(share_.shell_.claims(), keys, command.mask);
        return command.mask;
    }
    void staged(Mask mask) noexcept override { share_.joining_->stage(share_.joining_, mask, room_); }
    [[nodiscard]] Watcher* watcher() noexcept override { return share_.joining_.get(); }

private:
    Share& share_;
    Claims::Room room_;
};

class Share::Renewal final : public Shell::Clause {
public:
    explicit Renewal(Share& share) : share_(share) {}

    [[nodiscard]] Mask left(const Engine&, const Command& command, Instant) override {
        return share_.state_ == State::held ? command.mask & share_.alive(share_.granted_) : 0;
    }

private:
    Share& share_;
};

class Share::Release final : public Shell::Clause {
public:
    Release(Share& share, bool may_wait) : share_(share), may_wait_(may_wait) {}

    [[nodiscard]] Mask left(const Engine&, const Command& command, Instant) override {
        return share_.free(command.mask);
    }
    // The grant has gone for all who come later.
    void staged(Mask) noexcept override { share_.forget(); }
    // A hook that raises has not refused.
    [[nodiscard]] bool goes_on() override {
        error_.emplace(current_error());
        return true;
    }
    [[nodiscard]] bool waits() const noexcept override { return may_wait_; }

    [[nodiscard]] const std::optional<py::error_already_set>& error() const noexcept { return error_; }

private:
    Share& share_;
    bool may_wait_;
    std::optional<py::error_already_set> error_;
};

// While it lives nobody else begins to release the same share.
class Share::WhileReleasing {
public:
    explicit WhileReleasing(Share& share) : share_(share), is_first_(!share.is_releasing_.exchange(true)) {}
    ~WhileReleasing() {
        if (is_first_) share_.is_releasing_.store(false);
    }
    WhileReleasing(const WhileReleasing&) = delete;
    WhileReleasing& operator=(const WhileReleasing&) = delete;

    // Whether nobody else had begun.
    [[nodiscard]] bool is_first() const noexcept { return is_first_; }

private:
    Share& share_;
    const bool is_first_;
};

Claims::Key Share::key_of(Mask type) const noexcept {
    const auto uid = static_cast<std::uint32_t>(application_.uid);
    if (application_.request.is_process && (type & rules.per_process) != 0) {
        return {{OwnerKind::process, static_cast<std::uint32_t>(application_.pid)}, uid, type};
    }
    return {{OwnerKind::app, uid}, uid, type};
}

Claims::Generation& Share::generation_of(Mask type) noexcept { return generations_[index_of(type)]; }

Mask Share::alive(Mask types) noexcept {
    Mask found = 0;
    for_each_type(types, [&](Mask type) {
        if (shell_.claims().has(key_of(type), generation_of(type))) found |= type;
    });
    return found;
}

Mask Share::free(Mask types) noexcept {
    Mask found = 0;
    for_each_type(types, [&](Mask type) {
        if (shell_.claims().is_free(key_of(type), generation_of(type))) found |= type;
    });
    return found;
}

Shell::Session Share::begin_look() {
    const auto uid = static_cast<std::uint32_t>(application_.uid);
    return shell_.begin_reading(key_of(type::CPU).owner, {OwnerKind::app, uid});
}

Mask Share::look(const Engine& engine, Instant now) {
    const Mask had = alive(granted_);
    const Command command{.is_process = application_.request.is_process,
                          .mask = had,
                          .uid = static_cast<std::uint32_t>(application_.uid),
                          .pid = static_cast<std::uint32_t>(application_.pid)};
    const Mask held = held_of(engine, command, now);
    for_each_type(had & ~held, [&](Mask type) { shell_.claims().end(key_of(type)); });
    return held;
}

Mask Share::change(const Request& request, Shell::Clause& clause) {
    return counted(shell_, [&] {
        return shell_.change(
            {application_.uid, request.mask},
            [&](const Manager& manager, Instant now) { return application_.admit(manager, request, now); }, &clause);
    });
}

Mask Share::begin() {
    State found = State::fresh;
    if (!state_.compare_exchange_strong(found, State::beginning)) {
        throw std::runtime_error(std::string("a hold can be used once; this one is ") + name_of(found));
    }
    Begin clause(*this);
    try {
        const Mask mask = change(application_.request, clause);
        adopt();
        if (state_ != State::held) throw std::runtime_error("the hold was ended while it began");
        return mask;
    } catch (const Refusal&) {
        if (state_ == State::beginning) end(false);
        throw;
    } catch (const std::exception&) {
        if (state_ == State::beginning) end(false);
        throw;
    }
}

// Takes over what was granted, unless it was abandoned meanwhile.
void Share::adopt() {
    const auto locked = shell_.lock();
    if (state_ == State::beginning && joining_ && joining_->granted() != 0) adopt_granted();
}

void Share::adopt_granted() noexcept {
    granted_ = joining_->granted();
    generations_ = joining_->generations();
    state_ = State::held;
}

// What was staged settles though nobody waits for it any more: it is released behind that.
void Share::abandon() {
    try {
        const auto locked = shell_.lock();
        if (state_ != State::beginning) return;
        if (joining_ && joining_->is_staged()) {
            granted_ = joining_->types();
            generations_ = joining_->abandon();
            free_ = free(granted_);
            state_ = State::ending;
        } else if (joining_ && joining_->granted() != 0) {
            adopt_granted();
        } else {
            state_ = State::ended;
        }
    } catch (const Refusal&) {  // closed: nothing is held any more
        state_ = State::ended;
    }
}

Mask Share::renew() {
    if (state_ != State::held) return 0;
    Request request = application_.request;
    {
        const auto session = begin_look();
        request.mask = look(session.manager.engine(), session.now);
    }
    if (request.mask == 0) return 0;
    request.only_held = true;
    Renewal clause(*this);
    return change(request, clause);
}

Mask Share::lost() {
    shell_.require_here();
    if (state_ != State::held) return lost_;
    try {
        const auto session = begin_look();
        return granted_ & ~look(session.manager.engine(), session.now);
    } catch (const Refusal& refusal) {
        if (refusal.status() != Status::not_connected) throw;
        return granted_;  // a closed manager has no grants
    }
}

void Share::end(bool may_wait) {
    if (!shell_.is_here()) return;
    State found = State::fresh;
    state_.compare_exchange_strong(found, State::ended);
    if (state_ == State::beginning) abandon();
    if (state_ == State::held) count_off(may_wait);
    if (state_ == State::ending && !release(may_wait)) shell_.postpone(shared_from_this());
}

void Share::count_off(bool may_wait) {
    try {
        if ((!may_wait && shell_.has_log()) || !count_off_after_look()) {
            const auto locked = shell_.lock();
            count_off(alive(granted_));
        }
    } catch (const Refusal&) {  // closed: nothing is held any more
        lost_ = granted_.load();
        state_ = State::ended;
    }
}

// Returns whether there was a look. It is not needed: if the clock fails, the release will tell.
bool Share::count_off_after_look() {
    try {
        const auto session = begin_look();
        count_off(look(session.manager.engine(), session.now));
        return true;
    } catch (const Refusal& refusal) {
        if (refusal.status() == Status::not_connected) throw;
    } catch (const std::exception&) {
        if (const auto error = current_error(); is_interrupt(error)) throw error;
    }
    return false;
}

void Share::count_off(Mask still) noexcept {
    if (state_ != State::held) return;  // another thread was faster
    lost_ = granted_ & ~still;
    for_each_type(still, [&](Mask type) { shell_.claims().leave(key_of(type), generation_of(type)); });
    free_ = free(granted_);
    state_ = State::ending;
}

// Returns whether it is done, or else has to wait for the hook, or who is at it already.
bool Share::release(bool may_wait) {
    if (state_ != State::ending) return true;
    const Mask types = free_;
    const bool asks = shell_.has_quota() && !application_.request.is_process && (types & rules.levelled) != 0;
    if (asks && shell_.is_in_hook()) return false;
    const WhileReleasing while_releasing(*this);
    if (!while_releasing.is_first()) return false;
    if (state_ == State::ending) release(types, may_wait);  // else another thread has just been faster
    return true;
}

void Share::release(Mask types, bool may_wait) {
    Release clause(*this, may_wait);
    std::optional<py::error_already_set> failure;
    try {
        const Request request{.mask = types, .is_apply = false, .is_process = application_.request.is_process};
        if (types != 0) change(request, clause);
    } catch (const Refusal& refusal) {
        if (refusal.status() != Status::not_connected) failure.emplace(current_error());  // else nothing is held
    } catch (const std::exception&) {
        failure.emplace(current_error());
        if (is_interrupt(*failure)) throw *failure;
    }
    if (failure) forget_at_last();
    state_ = State::ended;
    if (failure) warn("%r could not be released, and runs out", types, *failure);
    if (const auto& error = clause.error()) {
        if (is_interrupt(*error)) throw *error;
        warn("the quota failed when it was asked about the end of a hold: %r has been released", types, *error);
    }
}

void Share::forget() noexcept {
    for_each_type(granted_, [&](Mask type) { shell_.claims().forget_if_free(key_of(type), generation_of(type)); });
}

void Share::forget_at_last() {
    try {
        const auto locked = shell_.lock();
        forget();
    } catch (const Refusal&) {  // closed: nothing is held any more
    }
}

std::shared_ptr<Share> Lease::share() const {
    if (!share_) throw std::runtime_error("the lease has let go of its manager");
    return share_;
}

int Lease::traverse(visitproc visit, void* arg) const {
    Py_VISIT(manager_.ptr());
    return 0;
}

void Lease::forget() noexcept {
    const std::shared_ptr<Share> share = std::move(share_);
    const py::object manager = std::move(manager_);
    for (int attempt = 0; share && attempt < most_attempts_to_end; ++attempt) {
        const PyObject* const done = guarded([&] {
            share->end(false);
            return Py_None;
        });
        if (done != nullptr) return;
        PyErr_WriteUnraisable(nullptr);
    }
}

namespace {

std::unique_ptr<Lease> make_lease(const py::object& manager, const py::object& uid, const py::object& pid,
                                  const py::object& mask, const py::object& timeout_ms, const py::object& process,
                                  const py::object& reason, const py::object& cpu_level, const py::object& caller) {
    Shell& shell = manager.cast<Shell&>();
    Application application{.uid = to_int64(uid.ptr(), "uid"),
                            .pid = to_int64(pid.ptr(), "pid"),
                            .caller = to_caller(caller.ptr()),
                            .request = {.mask = to_mask(mask.ptr(), "mask"),
                                        .is_apply = true,
                                        .is_process = to_bool(process.ptr(), "process", false),
                                        .cpu_level = to_level(cpu_level.ptr(), "cpu_level"),
                                        .timeout_ms = to_timeout(timeout_ms.ptr(), "timeout_ms"),
                                        .reason = to_text(reason.ptr(), "reason")}};
    return std::make_unique<Lease>(manager, std::make_shared<Share>(shell, std::move(application), reason));
}

}  // namespace

void bind_leases(py::module_& module) {
    bind_class<Lease>(module, "Lease", "What one block holds of the grants of its owners. Ends with itself.",
                      see_through<Lease>)
        .def(py::init(&make_lease), py::arg("manager"), py::arg("uid"), py::arg("pid"), py::arg("mask"),
             py::arg("timeout_ms"), py::arg("process"), py::arg("reason"), py::arg("cpu_level"), py::arg("caller"),
             py::pos_only())
        .def(
            "begin", [](const Lease& lease) { return mask_int(lease.share()->begin()); },
            "Apply. Returns the types that were granted; raises what `Manager.apply` does.")
        .def(
            "renew", [](const Lease& lease) { return mask_int(lease.share()->renew()); },
            "Extend what it has still. Returns the types that were renewed; raises what `Manager.apply` does.")
        .def(
            "lost", [](const Lease& lease) { return mask_int(lease.share()->lost()); },
            "Return the types that have gone; once it has ended, those that had gone by then.")
        .def(
            "end", [](const Lease& lease) { lease.share()->end(true); },
            "Release what no other lease is there for. Raises only what interrupts it; then it goes on when it is\n"
            "called again.")
        .def_property_readonly("types", [](const Lease& lease) { return mask_int(lease.share()->granted()); })
        .def_property_readonly("state", [](const Lease& lease) { return name_of(lease.share()->state()); });
}

}  // namespace grantwheel::bindings
