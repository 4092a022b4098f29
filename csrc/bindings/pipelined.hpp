// Many calls that are carried out in a row, each after the one before it: what `execute` of a pipeline does.
//
// Log      All are staged in their order under one lock, so that they are one group, and waited for once. What is staged
//          settles, also when the waiting is cut off.
// Hook     Asked before the call that it is about is carried out or staged, when those before it have been, without the
//          lock; told of ended CPU after that.
// Errors   A refusal, or an Exception of the hook or of a clock in Python, is the answer of that one call. Any other
//          exception ends the rest.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "bindings/shell.hpp"
#include "bindings/typed_arguments.hpp"

namespace grantwheel::bindings {

// A call that waits in a pipeline, with the text that its request points into.
struct Queued {
    TypedCall call;
    py::object reason;
};

class Pipelined {
public:
    // Takes the memory that it needs by itself, before anything is done.
    Pipelined(Shell& shell, std::span<const Queued> calls);

    void run();
    // What has become of each: a mask as an int, or an exception. Once each, after run().
    [[nodiscard]] py::object answer(std::size_t place);

private:
    struct Outcome {
        Result result{};
        Ticket ticket{};                     // of what is staged, until its answer is taken
        std::unique_ptr<Refusal> refusal{};  // when it says more than the status
        py::object error{};
    };
    // Why the calls are not gone on with: the hook is asked about the next one, or it waits for what is staged.
    enum class Stop { at_end, to_ask, to_wait };

    [[nodiscard]] bool has_more() const noexcept { return next_ < calls_.size(); }
    [[nodiscard]] Stop go_on();
    [[nodiscard]] Stop change_all(Manager& manager, Instant now);
    void change(Manager& manager, Instant now, const Admission& admission);
    [[nodiscard]] bool takes_long(const Engine& engine) const noexcept;
    [[nodiscard]] bool must_wait(const TypedCall& call) noexcept;
    void prefetch(const Engine& engine) const noexcept;
    void ask();
    void tell_ended();
    void take_all();
    void abandon_all() noexcept;
    void keep_error();

    Shell& shell_;
    std::span<const Queued> calls_;
    std::vector<Outcome> outcomes_;
    std::size_t cascades_;           // how many of the calls may go to many records
    std::size_t next_ = 0;           // the first call of which nothing has been done
    std::uint64_t last_group_ = 0;   // of the tickets
    std::uint64_t awaited_ = 0;      // the group that is waited for before the next call,
    std::size_t waited_ = SIZE_MAX;  // and the last call for which it was
    bool has_quota_ = false;
    Shell::Ended ended_{};  // without a log: those who lost CPU, and the hook has not been told of
    bool is_agreed_ = false;
    Admission asked_{};     // what the hook is asked about,
    std::string bundle_{};  // and its bundle: it may lie in a policy that is replaced meanwhile
};

}  // namespace grantwheel::bindings
