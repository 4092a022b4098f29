// The engine in step with the model: random runs over a ladder of configurations, everything that can be seen compared.
#include "lockstep.hpp"
#include "support.hpp"

namespace grantwheel::test {

namespace {

struct Config {
    std::uint32_t uids;
    std::uint32_t pids;
    unsigned timeout_bits;  // timeouts up to 2^timeout_bits
    unsigned step_bits;     // steps of time up to 2^step_bits
    std::uint64_t drives;   // an advance in one of that many steps
    std::size_t budget;     // of such an advance
    Limits limits{.event_capacity = 512};
    Instant start = 0;
    bool eager =
        false;  // advance before each call: then the order of events is that of the model, and gaps can be told
    std::uint32_t crowd = 0;  // so many uids and pids have come and gone before: enough, and numbers have places
};

class Run {
public:
    Run(const Config& config, std::uint64_t seed)
        : config_(config),
          seed_(seed),
          random_(seed),
          engine_(Engine::create(config.limits)),
          both_(*engine_, config.limits, config.start, config.eager) {
        BOOST_REQUIRE(engine_->track_cpu_ended(true));
        both_.expect_cpu_ended(true);
        for (std::size_t i = 0; i < 9; ++i) texts_.push_back(std::string(i * i * i, static_cast<char>('a' + i)));
    }

    void run(int steps) {
        int step = 0;
        try {
            come_and_go();
            for (; step < steps; ++step) take_step();
            both_.compare_owners();
            compare_across();
            both_.execute(admin_reset_all());
            compare_across();
        } catch (const Mismatch& mismatch) {
            BOOST_FAIL("seed " << seed_ << ", step " << step << ", at " << both_.now() << ": " << mismatch.what());
        }
    }

    [[nodiscard]] const Lockstep& both() const { return both_; }

private:
    void come_and_go() {
        for (std::uint32_t i = 0; i < config_.crowd; ++i) {
            Command command{.is_persist = true, .mask = ALL, .uid = i, .pid = i};
            both_.execute(command);
            command.is_process = true;
            both_.execute(command);
        }
        if (config_.crowd != 0) both_.execute(admin_reset_all());
    }

    void take_step() {
        pass_time();
        if (config_.eager) both_.advance(SIZE_MAX);
        act();
        if (random_.one_in(config_.drives))
            both_.advance(random_.one_in(4) ? SIZE_MAX : random_.below(config_.budget + 1));
        both_.compare_valid();
        both_.compare_wake();
        both_.compare_owner({OwnerKind::app, uid()});
        both_.compare_owner({OwnerKind::process, pid()});
        if (random_.one_in(50)) both_.compare_owners();
        if (random_.one_in(50)) compare_across();
    }

    // Random pieces

    std::uint32_t uid() {
        const std::uint32_t chosen = random_.below32(config_.uids);
        return chosen == 2 ? 0xFFFF'FFFE : chosen;
    }
    std::uint32_t pid() {
        const std::uint32_t chosen = random_.below32(config_.pids);
        return chosen == 2 ? 0x7FFF'FFFF : chosen;
    }
    Mask mask() {
        if (random_.one_in(3)) return CPU;
        return random_.one_in(3) ? Mask{1} << random_.below32(type_count) : 1 + random_.below32(ALL);
    }
    void pass_time() {
        const Instant now = both_.now();
        Instant step = random_.one_in(2) ? 0 : random_.magnitude(config_.step_bits);
        const Instant next = both_.model().next_deadline();
        if (next != no_deadline && random_.one_in(5)) step = next - now - random_.below(2);
        both_.set_now(std::min(max_now, now + step));
    }

    Command random_apply() {
        const Instant now = both_.now();
        std::uint64_t timeout = 1 + random_.magnitude(config_.timeout_bits);
        if (random_.one_in(8)) timeout = (Instant{1} << config_.timeout_bits) - 1;
        if (random_.one_in(4)) {  // until the first instant of a slot of the wheel
            const std::uint64_t low_bits = 6 * (1 + random_.below(4));
            timeout = std::max(now + 1, (now + timeout) >> low_bits << low_bits) - now;
        }
        Command command{.is_persist = random_.one_in(12),
                        .is_process = random_.one_in(2),
                        .only_held = random_.one_in(6),
                        .cpu_level = static_cast<std::int8_t>(static_cast<int>(random_.below(4)) - 1),
                        .mask = mask(),
                        .uid = uid(),
                        .pid = pid(),
                        .timeout_ms = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(timeout, 1, max_timeout)),
                        .bundle = texts_[random_.below(texts_.size())],
                        .reason = texts_[random_.below(texts_.size())]};
        if (random_.one_in(6)) command.capped = mask();
        for (std::uint32_t& most : command.caps_ms) {
            if (command.capped != 0) most = 1 + static_cast<std::uint32_t>(random_.magnitude(config_.timeout_bits));
        }
        return command;
    }

    void act() {
        switch (random_.below(24)) {
            default: return both_.execute(random_apply());
            case 0: return both_.execute(release(uid(), mask()));
            case 1: return both_.execute(release_process(uid(), pid(), mask()));
            case 2: return both_.execute(reset_all(uid(), mask()));
            case 3: return both_.execute(process_died(uid(), pid()));
            case 4: return both_.execute(app_stopped(uid()));
            case 5: return both_.execute(package_removed(uid()));
            case 6: return both_.execute(admin_reset_app(uid(), mask()));
            case 7: return both_.execute(admin_reset_process(pid(), mask()));
            case 8:
                if (random_.one_in(20)) both_.execute(admin_reset_all());
                return;
            case 9: return turn_back();
            case 10: return start();
        }
    }

    // What a host does when it starts, and in between.
    void start() {
        std::vector<std::uint32_t> apps;
        std::vector<std::uint32_t> processes;
        switch (random_.below(3)) {
            case 0:
                for (std::uint32_t key = 0; key < config_.uids; key += 1 + random_.below32(4)) apps.push_back(key);
                for (std::uint32_t key = 0; key < config_.pids; key += 1 + random_.below32(4)) processes.push_back(key);
                return both_.recover(apps, processes);
            case 1: return both_.set_limits(random_limits());
            default:
                return both_.set_mark({.now = both_.now(),
                                       .boot_id = {static_cast<std::uint8_t>(random_.below(256))},
                                       .boot_ms = random_.magnitude(62),
                                       .wall_ms = static_cast<std::int64_t>(random_.next())});
        }
    }

    // Close to those that there are, and those of the configuration again.
    Limits random_limits() {
        Limits limits = config_.limits;
        if (random_.one_in(3)) return limits;
        limits.reserve = 0;
        if (limits.max_records < 1000) limits.max_records = 1 + random_.below32(limits.max_records + 4);
        if (limits.max_strings < 1000) limits.max_strings = 1 + random_.below32(limits.max_strings + 4);
        if (random_.one_in(2)) limits.event_capacity += random_.below32(limits.event_capacity + 2);
        return limits;
    }

    void turn_back() {
        const Instant now = both_.now();
        const bool beyond = now == 0 || random_.one_in(2);
        both_.turn_back(random_apply(), beyond ? max_now + 1 + random_.magnitude(60) : random_.below(now));
    }

    void compare_across() {
        both_.compare_survey(1 + random_.below(random_.one_in(2) ? 3 : 1000));
        both_.compare_next_deadline();
        both_.compare_holders(mask(), nullptr, 1 + random_.below(both_.model().records.size() + 2));
        for (int type = 0; type < type_count; ++type) both_.compare_count(Mask{1} << type);
        both_.compare_stats();
    }

    Config config_;
    std::uint64_t seed_;
    Random random_;
    std::unique_ptr<Engine> engine_;
    Lockstep both_;
    std::vector<std::string> texts_;
};

struct Totals {
    std::uint64_t refusals = 0;
    std::uint64_t gaps = 0;
};

Totals run(const std::vector<Config>& ladder, std::uint64_t first_seed, int steps) {
    Totals totals;
    std::uint64_t seed = first_seed;
    for (const Config& config : ladder) {
        for (int i = 0; i < 2; ++i, ++seed) {
            Run random(config, seed);
            random.run(steps);
            totals.refusals += random.both().refusals();
            totals.gaps += random.both().gaps();
        }
    }
    return totals;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(engine_model)

BOOST_AUTO_TEST_CASE(few_owners_and_short_timeouts) {
    run({{1, 1, 2, 2, 10, 2}, {2, 3, 3, 3, 3, 1}, {3, 4, 5, 3, 1000, 1}, {5, 8, 6, 5, 5, 4}}, 1000, 1500);
}

BOOST_AUTO_TEST_CASE(many_owners) {
    run({{12, 20, 10, 7, 20, 3}, {20, 40, 14, 10, 4, 8}, {40, 40, 7, 4, 1000, 1}}, 1100, 1500);
}

BOOST_AUTO_TEST_CASE(owners_whose_numbers_have_places) {
    constexpr Limits limits{.event_capacity = 512};
    run({{20, 40, 10, 7, 20, 3, limits, 0, false, 1200}, {40, 8, 14, 10, 4, 8, limits, 0, false, 1200}}, 1150, 700);
}

BOOST_AUTO_TEST_CASE(long_timeouts_and_long_steps) {
    run({{3, 4, 32, 32, 1000, 1}, {4, 5, 32, 33, 10, 2}, {10, 20, 32, 28, 5, 3}, {6, 8, 32, 45, 7, 2}}, 1200, 1500);
}

BOOST_AUTO_TEST_CASE(close_to_the_last_instant) {
    constexpr Limits limits{.event_capacity = 512};
    run({{6, 8, 12, 8, 5, 3, limits, max_now - 20'000},
         {6, 8, 32, 30, 5, 3, limits, max_now - (Instant{1} << 36)},
         {4, 4, 5, 1, 5, 3, limits, max_now - 300}},
        1300, 1000);
}

BOOST_AUTO_TEST_CASE(limits_that_are_often_reached) {
    const Totals totals =
        run({{8, 8, 6, 4, 1000, 1, {.max_records = 1, .max_strings = 1, .event_capacity = 512}},
             {8, 8, 6, 4, 10, 2, {.max_records = 3, .max_strings = 3, .event_capacity = 512}},
             {20, 20, 10, 8, 1000, 1, {.max_records = 12, .max_strings = 7, .event_capacity = 512}},
             {40, 40, 8, 5, 1000, 1, {.max_records = 40, .max_strings = 100, .event_capacity = 512}},
             {40, 40, 32, 30, 3, 2, {.max_records = 30, .max_strings = 5, .event_capacity = 512, .reserve = 30}}},
            1400, 1200);
    BOOST_CHECK_GT(totals.refusals, 500u);
}

BOOST_AUTO_TEST_CASE(rings_that_lose_events) {
    const auto with_ring = [](std::uint32_t capacity, bool eager) {
        const Limits limits{.max_records = 16, .max_strings = 8, .event_capacity = capacity};
        return Config{8, 10, 6, 5, 1000, 1, limits, 0, eager};
    };
    for (const bool eager : {true, false}) {
        const Totals totals = run(
            {with_ring(1, eager), with_ring(2, eager), with_ring(3, eager), with_ring(7, eager), with_ring(50, eager)},
            1500, 1200);
        BOOST_CHECK_GT(totals.gaps, 100u);
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
