#include "core/wheel.hpp"

#include <map>
#include <set>
#include <span>

#include "allocations.hpp"
#include "support.hpp"

namespace grantwheel::test {

namespace {

// A wheel with its rows and, beside it, a multimap of the same timers. Whoever drives a wheel does it like `advance`.
class Driven {
public:
    Driven(std::size_t rows, Instant start) : now_(start) {
        REQUIRE_QUIETLY(records_.reserve(rows));
        REQUIRE_QUIETLY(wheel_.reserve(rows));
        for (std::size_t i = 0; i < rows; ++i) records_.extend() = {};
        wheel_.enter(start);
    }

    [[nodiscard]] Instant now() const { return now_; }
    [[nodiscard]] std::size_t rows() const { return records_.size(); }
    [[nodiscard]] bool armed(Row row) const { return records_[row].armed != no_deadline; }
    [[nodiscard]] int level(Row row) const { return records_[row].slot / Wheel::slot_count; }
    [[nodiscard]] std::size_t size() const { return model_.size(); }
    [[nodiscard]] const std::set<int>& levels_seen() const { return levels_seen_; }

    void arm(Row row, Instant at) {
        if (armed(row)) forget(row);
        wheel_.arm(records_, row, at);
        model_.emplace(at, row);
        levels_seen_.insert(level(row));
    }
    void disarm(Row row) {
        if (armed(row)) forget(row);
        wheel_.arm(records_, row, no_deadline);
    }

    // Fires what is due, at most `budget` rows fired or moved; answers whether it came to the end. What fires must be
    // the earliest timer of all at that moment.
    bool advance(Instant now, std::size_t budget) {
        now_ = now;
        Wheel::Slot slot{};
        while (wheel_.first(slot) && slot.start <= now) {
            if (budget == 0) return false;
            REQUIRE_QUIETLY(slot.start >= wheel_.current());
            wheel_.enter(slot.start);
            if (slot.level == 0) check_together(slot.start);
            while (wheel_.occupied(slot) && budget != 0) fire(slot, budget);
        }
        wheel_.enter(now);
        return true;
    }

    // The wheel must agree with the model, and its first slot must not start after the first timer.
    void check() const {
        std::size_t count = 0;
        const char* reason = "";
        if (!wheel_.validate(records_, count, &reason)) BOOST_FAIL(reason);
        REQUIRE_EQUAL_QUIETLY(count, model_.size());
        for (const auto& [at, row] : model_) {
            if (records_[row].armed != at) BOOST_FAIL("row " << row << " has another timer");
        }
        Wheel::Slot slot{};
        REQUIRE_EQUAL_QUIETLY(wheel_.first(slot), !model_.empty());
        if (!model_.empty()) REQUIRE_QUIETLY(slot.start <= model_.begin()->first);
    }

    // After an advance that came to the end, nothing that is due is left.
    void check_advanced() const {
        REQUIRE_EQUAL_QUIETLY(wheel_.current(), now_);
        REQUIRE_QUIETLY(model_.empty() || model_.begin()->first > now_);
        Wheel::Slot slot{};
        REQUIRE_QUIETLY(!wheel_.first(slot) || slot.start > now_);
    }

private:
    // Takes some rows off a slot that has been entered.
    void fire(const Wheel::Slot& slot, std::size_t& budget) {
        Row rows[Wheel::tray_size];
        const std::size_t count = wheel_.take(records_, slot, budget, rows);
        REQUIRE_QUIETLY(count != 0 && count <= budget && count <= Wheel::tray_size);
        budget -= count;
        for (const Row row : std::span(rows, count)) {
            const Instant at = records_[row].armed;
            REQUIRE_EQUAL_QUIETLY(records_[row].slot, no_slot);
            if (slot.level == 0) {
                REQUIRE_EQUAL_QUIETLY(at, slot.start);
                REQUIRE_EQUAL_QUIETLY(at, model_.begin()->first);
                forget(row);
                wheel_.put(records_[row], row, no_deadline);
            } else {
                wheel_.put(records_[row], row, at);
                REQUIRE_QUIETLY(level(row) < slot.level);
            }
        }
    }

    // When an instant has come, all of its timers must be in the slot of that instant.
    void check_together(Instant instant) const {
        const auto [first, last] = model_.equal_range(instant);
        for (auto at = first; at != last; ++at) REQUIRE_EQUAL_QUIETLY(level(at->second), 0);
    }
    void forget(Row row) {
        auto [at, end] = model_.equal_range(records_[row].armed);
        while (at != end && at->second != row) ++at;
        REQUIRE_QUIETLY(at != end);
        model_.erase(at);
    }

    Rows<Record> records_;
    Wheel wheel_;
    std::multimap<Instant, Row> model_;
    std::set<int> levels_seen_;
    Instant now_;
};

constexpr std::size_t no_budget = SIZE_MAX;

// Timers up to 2^range_bits ahead, time going on by up to 2^step_bits at once, in slices of up to `budget`.
struct Course {
    unsigned range_bits;
    unsigned step_bits;
    std::size_t budget;
    Instant start;
};

void run(const Course& course, std::uint64_t seed, int steps) {
    Random random(seed);
    Driven driven(48, course.start);
    bool at_end = true;
    for (int step = 0; step < steps; ++step) {
        const Row row = random.below32(static_cast<std::uint32_t>(driven.rows()));
        Instant at = driven.now() + 1 + random.magnitude(course.range_bits);
        // Often the first instant of a slot, of any level.
        const std::uint64_t low_bits = random.one_in(3) ? 8 * random.below(8) : 0;
        at = std::max(driven.now() + 1, at >> low_bits << low_bits);
        switch (random.below(8)) {
            case 0:
            case 1:
            case 2:
            case 3: driven.arm(row, at); break;
            case 4: driven.disarm(row); break;
            default: {
                const Instant room = max_now - driven.now();
                const Instant now = driven.now() + std::min(room, random.magnitude(course.step_bits));
                at_end = driven.advance(now, course.budget == no_budget ? no_budget : random.below(course.budget + 1));
                if (at_end) driven.check_advanced();
            }
        }
        driven.check();
    }
    while (!at_end) at_end = driven.advance(driven.now(), std::min<std::size_t>(course.budget, 5));
    driven.check_advanced();
    // The longest way of all.
    while (!driven.advance(max_now + max_timeout, std::min<std::size_t>(course.budget, 5))) driven.check();
    driven.check();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(wheel)

BOOST_AUTO_TEST_CASE(an_empty_wheel_has_no_first_slot) {
    const Wheel wheel;
    Wheel::Slot slot{};
    BOOST_CHECK(!wheel.first(slot));
    BOOST_CHECK_EQUAL(wheel.current(), 0u);
}

BOOST_AUTO_TEST_CASE(agrees_with_a_multimap) {
    std::uint64_t seed = 30;
    for (const unsigned range_bits : {1u, 4u, 7u, 12u, 20u, 32u, 45u, 62u}) {
        for (const std::size_t budget : {std::size_t{1}, std::size_t{3}, no_budget}) {
            ++seed;
            const Course course{range_bits, std::min(range_bits + 1, 58u), budget, 0};
            BOOST_TEST_CONTEXT("seed " << seed << ", range 2^" << range_bits << ", budget " << budget) {
                run(course, seed, 500);
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(agrees_with_a_multimap_close_to_the_last_instant) {
    std::uint64_t seed = 60;
    for (const Instant distance : {Instant{0}, Instant{1}, Instant{256}, Instant{70'000}, Instant{1} << 32}) {
        ++seed;
        BOOST_TEST_CONTEXT("seed " << seed << ", 2^62 - " << distance) {
            run({32, 12, 2, max_now - distance}, seed, 500);
        }
    }
}

BOOST_AUTO_TEST_CASE(agrees_with_a_multimap_around_every_power_of_256) {
    std::uint64_t seed = 70;
    for (unsigned bits = 8; bits <= 56; bits += 8) {
        ++seed;
        BOOST_TEST_CONTEXT("seed " << seed << ", 2^" << bits) { run({8, 3, 2, (Instant{1} << bits) - 20}, seed, 300); }
    }
}

BOOST_AUTO_TEST_CASE(uses_all_levels) {
    Driven driven(64, 0);
    Row row = 0;
    for (unsigned bits = 0; bits <= 62; ++bits) driven.arm(row++, Instant{1} << bits);
    BOOST_CHECK_EQUAL(driven.levels_seen().size(), std::size_t{Wheel::level_count});
    driven.check();
    std::size_t left = driven.size();
    for (unsigned bits = 0; bits <= 62; ++bits) {
        const Instant at = Instant{1} << bits;
        REQUIRE_QUIETLY(driven.advance(at - 1, no_budget));
        REQUIRE_EQUAL_QUIETLY(driven.size(), left);
        REQUIRE_QUIETLY(driven.advance(at, no_budget));
        REQUIRE_EQUAL_QUIETLY(driven.size(), --left);
        driven.check();
    }
}

BOOST_AUTO_TEST_CASE(one_jump_fires_everything_in_order) {
    Driven driven(126, 0);
    Row row = 0;
    for (unsigned bits = 0; bits <= 62; ++bits) {
        driven.arm(row++, Instant{1} << bits);
        driven.arm(row++, (Instant{1} << bits) + 12'345);
    }
    REQUIRE_QUIETLY(driven.advance(max_now, no_budget));
    BOOST_CHECK_EQUAL(driven.size(), 1u);
    driven.check_advanced();
}

BOOST_AUTO_TEST_CASE(a_half_emptied_slot_comes_first_and_takes_changes) {
    Driven driven(8, 0);
    for (Row row = 0; row < 6; ++row) driven.arm(row, 65'536 + 256 * row);  // one slot of level 2
    BOOST_CHECK_EQUAL(driven.level(5), 2);
    BOOST_CHECK(!driven.advance(80'000, 2));  // two were moved, four wait
    driven.check();
    BOOST_CHECK_EQUAL(driven.level(3), 2);
    BOOST_CHECK_LT(driven.level(4), 2);
    driven.arm(0, 200'000);
    driven.check();
    driven.disarm(1);
    driven.arm(6, 80'001);
    driven.arm(7, 4'000'000);
    driven.check();
    BOOST_CHECK(driven.advance(80'000, no_budget));
    driven.check_advanced();
    BOOST_CHECK_EQUAL(driven.size(), 3u);
}

BOOST_AUTO_TEST_CASE(a_slot_may_hold_many_rows_in_any_order_of_coming_and_going) {
    constexpr Row rows = 1000;
    for (const std::uint64_t seed : {91u, 92u, 93u}) {
        BOOST_TEST_CONTEXT("seed " << seed) {
            Random random(seed);
            Driven driven(rows, 0);
            for (int step = 0; step < 4000; ++step) {
                const Row row = random.below32(rows);
                const Instant at = 1'000'000 + random.below(2);  // one slot, until it is entered
                if (!driven.armed(row)) {
                    driven.arm(row, at);
                } else if (step / 1000 % 2 == 1) {
                    driven.disarm(row);
                } else {
                    driven.arm(row, random.one_in(2) ? at : 5'000'000);
                }
                if (step % 50 == 0) driven.check();
            }
            while (!driven.advance(1'000'000, 7)) driven.check();
            REQUIRE_QUIETLY(driven.advance(5'000'000, no_budget));
            BOOST_CHECK_EQUAL(driven.size(), 0u);
            driven.check();
        }
    }
}

BOOST_AUTO_TEST_CASE(reserved_rows_can_all_have_timers_without_memory) {
    for (const Row rows : {1u, 14u, 15u, 16u, 2047u, 2048u, 2049u, 20'000u}) {
        Wheel wheel;
        Rows<Record> records;
        REQUIRE_QUIETLY(records.reserve(rows));
        REQUIRE_QUIETLY(wheel.reserve(rows));
        const std::size_t before = allocations();
        Random random(rows);
        for (Row row = 0; row < rows; ++row) {
            records.extend() = {};
            wheel.arm(records, row, random.magnitude(62));
        }
        for (int step = 0; step < 20'000; ++step) wheel.arm(records, random.below32(rows), random.magnitude(62));
        BOOST_CHECK_EQUAL(allocations(), before);
        std::size_t count = 0;
        const char* reason = "";
        BOOST_CHECK_MESSAGE(wheel.validate(records, count, &reason), reason);
        BOOST_CHECK_EQUAL(count, rows);
    }
}

BOOST_AUTO_TEST_CASE(validate_names_what_is_broken) {
    const auto reason_after = [](auto&& damage) {
        Wheel wheel;
        Rows<Record> records;
        REQUIRE_QUIETLY(records.reserve(3));
        REQUIRE_QUIETLY(wheel.reserve(3));
        for (Row row = 0; row < 3; ++row) {
            records.extend() = {};
            wheel.arm(records, row, 1000);
        }
        damage(wheel, records);
        std::size_t count = 0;
        const char* reason = "";
        BOOST_CHECK(!wheel.validate(records, count, &reason));
        return std::string(reason);
    };
    using Records = Rows<Record>;
    BOOST_CHECK_EQUAL(reason_after([](Wheel&, Records& records) { records[2].place = 1; }), "wheel: place of a row");
    BOOST_CHECK_EQUAL(reason_after([](Wheel&, Records& records) { records[0].place += 16; }), "wheel: place of a row");
    BOOST_CHECK_EQUAL(reason_after([](Wheel&, Records& records) { records[1].slot = 5; }), "wheel: slot of a row");
    BOOST_CHECK_EQUAL(reason_after([](Wheel&, Records& records) { records[1].armed = 70'000; }),
                      "wheel: level of a timer");
    BOOST_CHECK_EQUAL(reason_after([](Wheel&, Records& records) { records[1].armed = 700; }), "wheel: slot of a timer");
    BOOST_CHECK_EQUAL(reason_after([](Wheel& wheel, Records&) { wheel.enter(1001); }),
                      "wheel: timer before the current instant");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
