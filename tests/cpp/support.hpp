// What the C++ tests share: numbers that are random and the same everywhere, and a host that reads the events of its
// engine.
#pragma once

#include <array>
#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <memory>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "grantwheel/engine.hpp"
#include "words.hpp"

namespace grantwheel {

inline std::ostream& operator<<(std::ostream& out, Status status) { return out << status_name(status); }

inline std::ostream& operator<<(std::ostream& out, OwnerKind kind) {
    return out << (kind == OwnerKind::app ? "app" : "process");
}

inline std::ostream& operator<<(std::ostream& out, Owner owner) { return out << owner.kind << ' ' << owner.key; }

}  // namespace grantwheel

// For loops: as BOOST_REQUIRE and BOOST_REQUIRE_EQUAL, but without a line in the report for each time that all is well,
// and without any allocation.
#define REQUIRE_QUIETLY(...)                                        \
    do {                                                            \
        if (!(__VA_ARGS__)) BOOST_FAIL("not so: " << #__VA_ARGS__); \
    } while (false)
#define REQUIRE_EQUAL_QUIETLY(left, right)                                                                           \
    do {                                                                                                             \
        const auto& quiet_left = (left);                                                                             \
        const auto& quiet_right = (right);                                                                           \
        if (!(quiet_left == quiet_right)) BOOST_FAIL(#left " == " #right ": " << quiet_left << ", " << quiet_right); \
    } while (false)

namespace grantwheel::test {

// A generator whose numbers depend on nothing but the seed (splitmix64).
class Random {
public:
    explicit Random(std::uint64_t seed) noexcept : state_(seed) {}

    std::uint64_t next() noexcept {
        std::uint64_t word = state_ += 0x9E37'79B9'7F4A'7C15u;
        word = (word ^ word >> 30) * 0xBF58'476D'1CE4'E5B9u;
        word = (word ^ word >> 27) * 0x94D0'49BB'1331'11EBu;
        return word ^ word >> 31;
    }
    // 0..count-1.
    std::uint64_t below(std::uint64_t count) noexcept { return next() % count; }
    std::uint32_t below32(std::uint32_t count) noexcept { return static_cast<std::uint32_t>(below(count)); }
    bool one_in(std::uint64_t count) noexcept { return below(count) == 0; }
    // A number of at most `bits` bits, of any magnitude with the same chance.
    std::uint64_t magnitude(unsigned bits) noexcept {
        const std::uint64_t length = below(bits + 1u);
        return length == 0 ? 0 : next() >> (64u - length);
    }

private:
    std::uint64_t state_;
};

// A hash that is well mixed in its high bits, and known to everybody.
constexpr std::uint32_t mixed(std::uint32_t key) noexcept {
    return static_cast<std::uint32_t>((key * 0x9E37'79B9'7F4A'7C15u) >> 32);
}

inline void check_valid(const Engine& engine) {
    const char* reason = "";
    if (!engine.validate(&reason)) BOOST_FAIL(reason);
}

// An engine, validated after each command, with a reader that has every event from the start.
class Host {
public:
    explicit Host(const Limits& limits = {.event_capacity = 256}) : engine_(Engine::create(limits)) {
        REQUIRE_QUIETLY(engine_ != nullptr);
    }

    Engine& operator*() { return *engine_; }
    Engine* operator->() { return engine_.get(); }

    // Executes a command, whatever it answers.
    Result attempt(Instant now, const Command& command) {
        const Result result = engine_->execute(command, now);
        check_valid(*engine_);
        return result;
    }
    // Executes a command that must be carried out; answers its mask.
    Mask run(Instant now, const Command& command) {
        const Result result = attempt(now, command);
        REQUIRE_EQUAL_QUIETLY(result.status, Status::ok);
        return result.mask;
    }
    // Advances without bound; answers the number of grants ended.
    std::size_t advance(Instant now) {
        const AdvanceResult result = engine_->advance(now, SIZE_MAX);
        check_valid(*engine_);
        REQUIRE_EQUAL_QUIETLY(result.status, Status::ok);
        REQUIRE_QUIETLY(!result.more);
        return result.ended;
    }

    Mask app_mask(Instant now, std::uint32_t uid) const { return mask(now, {OwnerKind::app, uid}); }
    Mask process_mask(Instant now, std::uint32_t pid) const { return mask(now, {OwnerKind::process, pid}); }
    std::string app(Instant now, std::uint32_t uid) const { return find(now, {OwnerKind::app, uid}); }
    std::string process(Instant now, std::uint32_t pid) const { return find(now, {OwnerKind::process, pid}); }

    Stats stats(Instant now) {
        Stats stats;
        REQUIRE_EQUAL_QUIETLY(engine_->stats(now, stats), Status::ok);
        return stats;
    }
    Instant next_deadline(Instant now) {
        Instant deadline = 0;
        REQUIRE_EQUAL_QUIETLY(engine_->next_deadline(now, deadline), Status::ok);
        check_valid(*engine_);
        return deadline;
    }

    // The events since the last call, described and joined by "; ". "missed n; " comes before them when the ring has
    // overwritten some.
    std::string events() {
        std::string text;
        std::array<Event, 3> page;
        for (;;) {
            const EventsRead read = engine_->read(last_, page);
            if (read.missed != 0) text += "missed " + std::to_string(read.missed) + "; ";
            last_ += read.missed;
            for (const Event& event : std::span(page).first(read.count)) {
                REQUIRE_EQUAL_QUIETLY(event.sequence, ++last_);
                text += describe(event) + "; ";
            }
            if (read.count < page.size()) break;
        }
        if (!text.empty()) text.resize(text.size() - 2);
        return text;
    }

private:
    Mask mask(Instant now, Owner owner) const {
        const Result result = engine_->mask(owner, now);
        REQUIRE_EQUAL_QUIETLY(result.status, Status::ok);
        return result.mask;
    }
    std::string find(Instant now, Owner owner) const {
        RecordView view;
        REQUIRE_EQUAL_QUIETLY(engine_->find(owner, now, view), Status::ok);
        return describe(view);
    }

    std::unique_ptr<Engine> engine_;
    std::uint64_t last_ = 0;
};

// Applies for a time.
inline Command timed(std::uint32_t uid, Mask mask = GPS, std::uint32_t timeout = 100) {
    return {.mask = mask, .uid = uid, .timeout_ms = timeout};
}

inline Command timed_process(std::uint32_t uid, std::uint32_t pid, std::uint32_t timeout = 100) {
    return {.is_process = true, .mask = CPU, .uid = uid, .pid = pid, .timeout_ms = timeout};
}

}  // namespace grantwheel::test
