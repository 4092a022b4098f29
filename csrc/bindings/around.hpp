// What stands beside the gate of one manager and is used under its lock: it lives as long as the gate, which may outlive the
// manager of Python's when a log does not return.
#pragma once

#include <memory>

#include "bindings/claims.hpp"
#include "grantwheel/gate.hpp"
#include "host/tally.hpp"
#include "host/waker.hpp"

namespace grantwheel::bindings {

class Around final : public GateObserver {
public:
    std::unique_ptr<Waker> waker{};  // null until it is needed
    Claims claims{};
    Tally tally{};

    void executed(const Engine& engine, Instant latest, std::uint64_t settled) noexcept override {
        if (waker && !is_ended_) waker->update(engine, latest, settled);
    }
    // Nobody is told any more: the manager is closed.
    void end() noexcept {
        is_ended_ = true;
        claims = {};
        if (waker) waker->end();
    }

private:
    bool is_ended_ = false;
};

}  // namespace grantwheel::bindings
