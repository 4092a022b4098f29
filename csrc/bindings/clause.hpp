// What a change depends on at the moment at which it is carried out, and what is put off until it can be done.
#pragma once

#include "grantwheel/engine.hpp"

namespace grantwheel::bindings {

// What a change depends on besides what was admitted, decided at the moment at which it is carried out.
class Clause {
public:
    // Under the lock, when it is admitted and again when it is carried out: the types that it is about. When there
    // are none, nothing is done.
    [[nodiscard]] virtual Mask left(const Engine& engine, const Command& command, Instant now) = 0;
    // Under the same lock: it has been carried out, with this answer.
    virtual void done(Mask) noexcept {}
    // While an error of the hook is being handled: whether that refuses nothing.
    [[nodiscard]] virtual bool goes_on() { return false; }
    // Whether it may wait for its turn behind another thread's recorder.
    [[nodiscard]] virtual bool may_wait() const noexcept { return true; }

protected:
    ~Clause() = default;
};

// What is left to be done when the hook or the recorder returns to this thread, or ends another one's turn.
class Unfinished {
public:
    virtual ~Unfinished() = default;
    // Returns whether it is done. It is called again if not, or if it throws.
    [[nodiscard]] virtual bool finish() = 0;
    // Whether somebody is finishing it just now.
    [[nodiscard]] virtual bool is_being_finished() const noexcept = 0;
};

}  // namespace grantwheel::bindings
