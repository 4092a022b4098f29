// What an engine holds at one instant, counted without ending what is due: for reads of a host with a log, in which an
// advance must stand first. As thread-safe as the engine.
//
// Lists    Engine::scan makes them in the same way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "grantwheel/engine.hpp"
#include "grantwheel/types.hpp"

namespace grantwheel {

class Survey {
public:
    enum class What : std::uint8_t { stats, next_deadline };

    // A survey of the engine, which must outlive it, at `now`. Null when there is no memory.
    [[nodiscard]] static std::unique_ptr<Survey> create(const Engine& engine, What what, Instant now) noexcept;
    ~Survey();
    Survey(const Survey&) = delete;
    Survey& operator=(const Survey&) = delete;

    // What one step did. With `more`, call again.
    struct [[nodiscard]] Step {
        Status status = Status::ok;
        bool more = false;
    };

    // Looks at the next records. When the engine has changed since the step before, it begins anew; a host in which others
    // never rest gives the last step no bound.
    //
    // Bound    At most `budget` places of records. None is looked at for `stats` when nothing can be due.
    // Errors   As Engine::check_time, of the engine as it is by then; out_of_memory. Call no more after any.
    Step step(std::size_t budget) noexcept;

    // Once there is no more to do: what Engine::stats would answer if what is due had been ended, but for the number of
    // the last event, which is that of what has been.
    [[nodiscard]] const Stats& stats() const noexcept;
    // And what Engine::next_deadline would answer.
    [[nodiscard]] Instant next_deadline() const noexcept;

private:
    struct Parts;
    explicit Survey(std::unique_ptr<Parts> parts) noexcept;
    std::unique_ptr<Parts> parts_;
};

}  // namespace grantwheel
