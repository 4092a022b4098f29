// What one block holds of the grants of its owners: applied for, renewed and released with all decisions made under the
// lock of the manager, where no signal handler, finaliser or other thread can come in between.
//
// Begin    Applies, and counts itself in what was granted. A refusal leaves nothing. With a log it counts from the moment at
//          which it is staged; if the waiting for it is cut off, what it brings is released behind it.
// Renew    Extends what it has still; once it has ended, nothing.
// End      Releases what no other lease is there for. It may be cut off anywhere, and goes on when it is called again.
//          Where the hook is running on the same thread, the release follows when that returns.
// Lost     What has gone meanwhile does not come back to it, nor to those who held it in common.
#pragma once

#include <pybind11/pybind11.h>

#include <array>
#include <atomic>
#include <bit>
#include <memory>

#include "bindings/application.hpp"
#include "bindings/claims.hpp"
#include "bindings/shell.hpp"

namespace grantwheel::bindings {

// What a lease asks for and has, which may outlive it until it has been released. With the GIL, by any thread.
class Share final : public Shell::Unfinished, public std::enable_shared_from_this<Share> {
public:
    enum class State { fresh, beginning, held, ending, ended };

    // `reason` keeps the text of the application.
    Share(Shell& shell, Application application, py::object reason)
        : shell_(shell), application_(std::move(application)), reason_(std::move(reason)) {}

    Mask begin();
    Mask renew();
    [[nodiscard]] Mask lost();
    // Raises only what interrupts: what cannot be released runs out, and that is logged.
    void end(bool may_wait);
    [[nodiscard]] bool finish() override { return release(false); }
    [[nodiscard]] bool is_being_finished() const noexcept override { return is_releasing_; }

    [[nodiscard]] Mask granted() const noexcept { return granted_; }
    [[nodiscard]] State state() const noexcept { return state_; }

private:
    class Begin;
    class Joining;
    class Renewal;
    class Release;
    class WhileReleasing;

    using Keys = std::array<Claims::Key, type_count>;
    using Generations = std::array<Claims::Generation, type_count>;

    [[nodiscard]] static std::size_t index_of(Mask type) noexcept {
        return static_cast<std::size_t>(std::countr_zero(type));
    }
    [[nodiscard]] Claims::Key key_of(Mask type) const noexcept;
    [[nodiscard]] Claims::Generation& generation_of(Mask type) noexcept;
    // Of these types those that are there still, as far as anybody has looked; and those that it is to release.
    [[nodiscard]] Mask alive(Mask types) noexcept;
    [[nodiscard]] Mask free(Mask types) noexcept;
    // The types that it has still, after a look.
    [[nodiscard]] Mask look(const Engine& engine, Instant now);
    // For a look: what is staged about the owners is waited for.
    [[nodiscard]] Shell::Session begin_look();
    Mask change(const Request& request, Shell::Clause& clause);
    void adopt();
    // Under the lock: takes over what a begin was granted.
    void adopt_granted() noexcept;
    // Gives up what is beginning.
    void abandon();
    void count_off(bool may_wait);
    [[nodiscard]] bool count_off_after_look();
    void count_off(Mask still) noexcept;
    [[nodiscard]] bool release(bool may_wait);
    // Asks, and releases.
    void release(Mask types, bool may_wait);
    void forget() noexcept;
    void forget_at_last();

    Shell& shell_;
    Application application_;
    py::object reason_;
    std::atomic<State> state_{State::fresh};
    std::atomic<bool> is_releasing_{false};
    // They change under the lock:
    std::atomic<Mask> granted_{0};
    std::atomic<Mask> lost_{0};  // at the end
    std::atomic<Mask> free_{0};  // of them, at the end: those that it is to release
    // Under the lock:
    Generations generations_{};
    std::shared_ptr<Joining> joining_{};  // from the moment at which it begins
};

// The share of one block, while Python has it. Ends it with itself, wherever that happens, and waits for nobody then.
class Lease {
public:
    Lease(py::object manager, std::shared_ptr<Share> share) : manager_(std::move(manager)), share_(std::move(share)) {}
    ~Lease() { forget(); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

    // Kept by the caller, as a call may go on when the lease has gone.
    [[nodiscard]] std::shared_ptr<Share> share() const;
    int traverse(visitproc visit, void* arg) const;
    void forget() noexcept;

private:
    py::object manager_;
    std::shared_ptr<Share> share_;  // null once it has let go
};

}  // namespace grantwheel::bindings
