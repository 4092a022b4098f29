// An engine that reads a log: it carries out groups, answers as of the last one, and is written down as a snapshot.
// Python's `_core.Follower`.
//
// Lock     One mutex, held over calls of the core only. What may take long is done without the GIL.
// Time     The instant of the last op; it has no clock. A read may look further ahead.
// Errors   A group that cannot be decoded changes nothing. One that does not fit what came before it ends the following
//          for good, as does a lack of memory in the middle of a group.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <mutex>
#include <optional>
#include <span>

#include "bindings/errors.hpp"
#include "bindings/gil.hpp"
#include "grantwheel/engine.hpp"
#include "grantwheel/op.hpp"
#include "grantwheel/polite_mutex.hpp"
#include "grantwheel/snapshot.hpp"
#include "host/home.hpp"

namespace grantwheel::bindings {

class Follower {
public:
    using Bytes = std::span<const std::byte>;

    // The lock, and an instant to read at.
    struct Session {
        std::unique_lock<PoliteMutex> lock;
        Engine& engine;
        Instant now;
    };

    // What a manager goes on with; without an engine it begins with one that has these limits.
    struct Taken {
        std::unique_ptr<Engine> engine;
        HashKey key;
        std::uint64_t position = 0;
        Limits limits{};
    };

    Follower(std::unique_ptr<Engine> engine, const HashKey& key, std::uint64_t position) noexcept
        : key_(key), engine_(std::move(engine)), position_(position) {}
    ~Follower();
    Follower(const Follower&) = delete;
    Follower& operator=(const Follower&) = delete;

    // Refusal with the place of what is wrong with a group. O(its bytes).
    static void require_whole(Bytes group);
    // Without the GIL. Carries out the next group of the log, and answers its position.
    std::uint64_t feed(Bytes group) { return feed_many({&group, 1}); }
    // The same for the next ones. Those before one that is refused have been carried out.
    std::uint64_t feed_many(std::span<const Bytes> groups);

    // With the GIL. `now` is an instant that is not before the last op; nothing stands for that of the last op.
    [[nodiscard]] Session begin(std::optional<Instant> now = {}) { return take(Gil::held, now); }
    // The same without the GIL.
    [[nodiscard]] Session begin_without_gil() { return take(Gil::released, {}); }

    // Gives the engine away: every later call is refused.
    [[nodiscard]] Taken give_away();

    [[nodiscard]] std::uint64_t position() {
        const Session session = begin();
        return position_;
    }
    [[nodiscard]] Instant now() { return begin().now; }

private:
    struct Ahead;

    [[nodiscard]] Session take(Gil gil, std::optional<Instant> now);
    void carry_out(Engine& engine, Bytes group, const Ahead& ahead);

    Home home_;
    const HashKey key_;
    PoliteMutex mutex_;
    std::unique_ptr<Engine> engine_;  // null once it was given away
    std::uint64_t position_;
    bool has_lost_its_way_ = false;
};

}  // namespace grantwheel::bindings
