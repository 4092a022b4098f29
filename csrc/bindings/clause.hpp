// What a change depends on at the moment at which it is carried out, and what is put off until it can be done.
#pragma once

#include "grantwheel/engine.hpp"
#include "grantwheel/gate.hpp"

namespace grantwheel::bindings {

// What a change depends on besides what was admitted, decided at the moment from which on its place in the order of all
// changes is certain: when it is carried out, or, with a log, when it is staged.
class Clause {
public:
    // Under the lock, when it is admitted and again at that moment: the types that it is about. When there are none,
    // nothing is done.
    [[nodiscard]] virtual Mask left(const Engine& engine, const Command& command, Instant now) = 0;
    // Under the same lock, at that moment: from here on it is not taken back.
    virtual void staged(Mask) noexcept {}
    // Who is told, under the lock, when it is carried out and with what answer; null for nobody. It lives until then.
    [[nodiscard]] virtual Watcher* watcher() noexcept { return nullptr; }
    // While an error of the hook is being handled: whether that refuses nothing.
    [[nodiscard]] virtual bool goes_on() { return false; }
    // Whether whoever asks waits until it is in the log.
    [[nodiscard]] virtual bool waits() const noexcept { return true; }

protected:
    ~Clause() = default;
};

// What is left to be done when the hook returns to this thread.
class Unfinished {
public:
    virtual ~Unfinished() = default;
    // Returns whether it is done. It is called again if not, or if it throws.
    [[nodiscard]] virtual bool finish() = 0;
    // Whether somebody is finishing it just now.
    [[nodiscard]] virtual bool is_being_finished() const noexcept = 0;
};

}  // namespace grantwheel::bindings
