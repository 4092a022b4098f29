// Growth: past the chunks of every array of the table, over rows that were freed, and with memory that fails midway.
#include "allocations.hpp"
#include "core/rows.hpp"
#include "support.hpp"

namespace grantwheel::test {

namespace {

constexpr auto record_chunk = static_cast<std::uint32_t>(Rows<Record>::chunk_rows);
constexpr auto links_chunk = static_cast<std::uint32_t>(Rows<Links>::chunk_rows);
constexpr auto grant_chunk = static_cast<std::uint32_t>(Rows<Grant>::chunk_rows);

// An engine of many apps, and what each of them should hold. Only what can be looked at quickly is checked at each step.
class Crowd {
public:
    explicit Crowd(std::uint32_t reserve = 0)
        : engine_(Engine::create({.max_records = 400'000, .event_capacity = 8, .reserve = reserve})) {
        REQUIRE_QUIETLY(engine_ != nullptr);
    }

    Engine& engine() { return *engine_; }

    // The timeouts tell the types apart, and the reason one uid from another.
    Status attempt(std::uint32_t uid, Mask mask) {
        const Command command{.mask = mask, .uid = uid, .timeout_ms = timeout_of(mask), .reason = reasons_[uid % 5]};
        const Status status = engine_->execute(command, 0).status;
        if (status == Status::ok) {
            if (uid >= masks_.size()) masks_.resize(uid + std::size_t{1});
            masks_[uid] |= mask;
        }
        return status;
    }
    void apply(std::uint32_t uid, Mask mask) { REQUIRE_EQUAL_QUIETLY(attempt(uid, mask), Status::ok); }
    void release_all(std::uint32_t uid) {
        REQUIRE_EQUAL_QUIETLY(engine_->execute(release(uid, ALL), 0).mask, masks_[uid]);
        masks_[uid] = 0;
    }

    // Each of the types that a uid was given alone must be as it was given.
    void check(std::uint32_t uid) const {
        RecordView view;
        REQUIRE_EQUAL_QUIETLY(engine_->find({OwnerKind::app, uid}, 0, view), Status::ok);
        REQUIRE_EQUAL_QUIETLY(view.mask, masks_[uid]);
        for (const GrantView& grant : std::span(view.grants).first(view.grant_count)) {
            REQUIRE_EQUAL_QUIETLY(grant.timeout_ms, timeout_of(grant.type));
            REQUIRE_EQUAL_QUIETLY(grant.reason, reasons_[uid % 5]);
        }
    }
    void check_all() const {
        for (std::uint32_t uid = 0; uid < size(); ++uid) check(uid);
        check_valid(*engine_);
    }

    [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(masks_.size()); }

private:
    [[nodiscard]] static std::uint32_t timeout_of(Mask mask) { return 1000 + mask; }

    std::unique_ptr<Engine> engine_;
    std::vector<Mask> masks_;
    const std::array<std::string, 5> reasons_{"", "a", "bb", "a reason of more than sixteen bytes", "d"};
};

// What an app of this number is given first.
Mask first_type(std::uint32_t uid) { return std::array{CPU, GPS, AUDIO}[uid % 3]; }

}  // namespace

BOOST_AUTO_TEST_SUITE(engine_growth)

BOOST_AUTO_TEST_CASE(every_chunk_begins_as_the_one_before_it_ended) {
    Crowd crowd;
    constexpr std::uint32_t count = grant_chunk + record_chunk / 2;
    for (std::uint32_t uid = 0; uid < count; ++uid) {
        crowd.apply(uid, first_type(uid));
        if (uid % record_chunk == 0) {
            crowd.apply(uid, first_type(uid + 1));  // of an array that had to grow for a row without it
            if (uid != 0) crowd.check(uid - 1);
            crowd.check(uid);
        }
    }
    crowd.check_all();
    // A type that nobody had: its array comes into being for all rows at once.
    for (std::uint32_t uid = count; uid-- != 0;) {
        if (uid % 997 == 0 || uid % record_chunk == record_chunk - 1) crowd.apply(uid, TIMER);
    }
    crowd.check_all();
    std::size_t ended = 0;
    for (AdvanceResult result{.more = true}; result.more; ended += result.ended) {
        result = crowd.engine().advance(3000, 10'000);
    }
    Stats stats;
    BOOST_REQUIRE_EQUAL(crowd.engine().stats(3000, stats), Status::ok);
    BOOST_CHECK_EQUAL(ended, stats.granted);
    BOOST_CHECK_EQUAL(stats.app_records, 0u);
    check_valid(crowd.engine());
}

BOOST_AUTO_TEST_CASE(rows_freed_in_several_chunks_serve_types_that_nobody_had) {
    Crowd crowd;
    constexpr std::uint32_t count = 3 * record_chunk;
    for (std::uint32_t uid = 0; uid < count; ++uid) crowd.apply(uid, GPS);
    for (std::uint32_t uid = 7; uid < count; uid += record_chunk / 4) crowd.release_all(uid);
    // All rows are in use or free: the new apps get the free ones, and then those of a new chunk.
    for (std::uint32_t i = 0; i < 20; ++i) crowd.apply(count + i, SENSOR);
    for (std::uint32_t i = 0; i < 20; ++i) crowd.apply(count + i, CPU);
    for (std::uint32_t uid = 7; uid < count; uid += record_chunk / 4) crowd.apply(uid, AUDIO);
    crowd.check_all();
}

BOOST_AUTO_TEST_CASE(free_rows_are_room_in_a_table_that_is_full_to_its_last_chunk) {
    Crowd crowd;
    for (std::uint32_t uid = 0; uid < record_chunk; ++uid) crowd.apply(uid, GPS);
    crowd.release_all(5);
    crowd.release_all(record_chunk - 1);
    const std::size_t before = allocations();
    const Status first = crowd.engine().execute({.mask = GPS, .uid = 5, .timeout_ms = 1}, 0).status;
    const Status second = crowd.engine().execute({.mask = GPS, .uid = record_chunk, .timeout_ms = 1}, 0).status;
    const std::size_t between = allocations();
    const Status third = crowd.engine().execute({.mask = GPS, .uid = record_chunk - 1, .timeout_ms = 1}, 0).status;
    const std::size_t after = allocations();
    for (const Status status : {first, second, third}) BOOST_CHECK_EQUAL(status, Status::ok);
    BOOST_CHECK_EQUAL(between, before);
    BOOST_CHECK_GT(after, between);
    check_valid(crowd.engine());
}

BOOST_AUTO_TEST_CASE(a_reserved_engine_takes_every_type_without_memory) {
    constexpr std::uint32_t count = record_chunk + 10;
    Crowd crowd(count);
    const std::string text = "the only text";
    static_cast<void>(crowd.engine().execute({.mask = GPS, .timeout_ms = 1, .reason = text}, 0));
    const std::size_t before = allocations();
    for (std::uint32_t uid = 0; uid < count; ++uid) {
        for (const Mask mask : {first_type(uid), ALL}) {
            const Command command{.mask = mask, .uid = uid, .timeout_ms = 1, .reason = text};
            REQUIRE_EQUAL_QUIETLY(crowd.engine().execute(command, 0).status, Status::ok);
        }
    }
    BOOST_CHECK_EQUAL(allocations() - before, 0u);
    check_valid(crowd.engine());
}

// Links between the records of a uid come into being for all rows at once, with the first process record.
BOOST_AUTO_TEST_CASE(processes_may_come_long_after_the_apps) {
    constexpr std::uint32_t count = links_chunk + 3;
    const auto process = [](std::uint32_t uid, std::uint32_t pid) {
        return Command{.is_process = true, .mask = CPU, .uid = uid, .pid = pid, .timeout_ms = 1000};
    };
    for (std::size_t passed = 0; passed < 3; ++passed) {
        Crowd crowd;
        Engine& engine = crowd.engine();
        for (std::uint32_t uid = 0; uid < count; ++uid) crowd.apply(uid, CPU);
        crowd.release_all(5);
        {
            const FailingAllocation failing(passed);
            BOOST_CHECK_EQUAL(engine.execute(process(7, 70), 0).status, Status::out_of_memory);
        }
        check_valid(engine);
        for (const std::uint32_t uid : {7u, 5u, count - 1, count}) {
            for (const std::uint32_t pid : {uid + 100, uid + 10'000'000}) {
                BOOST_CHECK_EQUAL(engine.execute(process(uid, pid), 0).status, Status::ok);
            }
        }
        for (std::uint32_t uid = count + 1; uid < count + 10; ++uid) crowd.apply(uid, CPU);
        check_valid(engine);
        // By the cascade all of them go.
        for (const std::uint32_t uid : {7u, 5u, count - 1, count}) {
            std::size_t total = 0;
            BOOST_CHECK_EQUAL(engine.owners_of(uid, 0, {}, total), Status::ok);
            BOOST_CHECK_EQUAL(total, uid == 5 || uid == count ? 2u : 3u);
            BOOST_CHECK_EQUAL(engine.execute(release(uid, CPU), 0).mask, CPU);
            BOOST_CHECK_EQUAL(engine.owners_of(uid, 0, {}, total), Status::ok);
            BOOST_CHECK_EQUAL(total, 0u);
        }
        check_valid(engine);
    }
}

BOOST_AUTO_TEST_CASE(apps_may_come_long_after_the_first_process) {
    constexpr std::uint32_t count = links_chunk + 3;
    for (const std::uint32_t reserve : {0u, 10u}) {
        Crowd crowd(reserve);
        Engine& engine = crowd.engine();
        const Command process{.is_process = true, .mask = CPU, .uid = 0, .pid = 70, .timeout_ms = 1000};
        crowd.apply(0, CPU);
        BOOST_CHECK_EQUAL(engine.execute(process, 0).status, Status::ok);
        check_valid(engine);
        if (reserve == 0) {
            for (std::uint32_t uid = 1; uid < count; ++uid) crowd.apply(uid, GPS);
        }
        check_valid(engine);
        BOOST_CHECK_EQUAL(engine.execute(release(0, CPU), 0).mask, CPU);
        std::size_t total = 0;
        BOOST_CHECK_EQUAL(engine.owners_of(0, 0, {}, total), Status::ok);
        BOOST_CHECK_EQUAL(total, 0u);
    }
}

// At each border another set of arrays grows. After a failure part of them have.
BOOST_AUTO_TEST_CASE(any_allocation_at_a_border_may_fail) {
    for (const std::uint32_t border : {0u, record_chunk, links_chunk, grant_chunk}) {
        bool failed = true;
        std::size_t passed = 0;
        for (; failed; ++passed) {
            BOOST_TEST_CONTEXT("border " << border << ", after " << passed << " allocations") {
                Crowd crowd;
                for (std::uint32_t uid = 0; uid < border; ++uid) crowd.apply(uid, first_type(uid));
                Status status{};
                {
                    const FailingAllocation failing(passed);
                    status = crowd.attempt(border, GPS);
                    failed = FailingAllocation::happened();
                }
                REQUIRE_EQUAL_QUIETLY(status, failed ? Status::out_of_memory : Status::ok);
                // Either the app that was refused comes at once, or first somebody who is there has a type that nobody had.
                if (border != 0 && passed % 2 != 0) crowd.apply(border / 2, SENSOR);
                crowd.apply(border, GPS);
                if (border != 0) crowd.apply(border / 2, SENSOR);
                for (const Mask mask : {GPS, AUDIO, SENSOR, CPU}) crowd.apply(border, mask);
                crowd.apply(border + 1, TIMER);
                for (const std::uint32_t uid : {border / 2, border, border + 1}) crowd.check(uid);
                check_valid(crowd.engine());
            }
        }
        BOOST_CHECK_GT(passed, 2u);
    }
}

// Uids that lost CPU in one call are kept, however many they have become since the first was.
BOOST_AUTO_TEST_CASE(all_that_lose_cpu_at_once_are_told_however_many) {
    Crowd crowd;
    BOOST_REQUIRE(crowd.engine().track_cpu_ended(true));
    constexpr std::uint32_t count = 2 * record_chunk + 1;
    for (std::uint32_t uid = 0; uid < count; ++uid) crowd.apply(uid, CPU);
    BOOST_CHECK_EQUAL(crowd.engine().execute(admin_reset_all(), 0).mask, CPU);
    const std::span<const std::uint32_t> ended = crowd.engine().cpu_ended();
    BOOST_REQUIRE_EQUAL(ended.size(), count);
    for (std::uint32_t uid = 0; uid < count; ++uid) REQUIRE_EQUAL_QUIETLY(ended[uid], uid);
    check_valid(crowd.engine());
}

// Applies of every kind for so many uids, each with texts of its own.
std::vector<Command> crowd_of(std::uint32_t count, std::vector<std::string>& texts) {
    std::vector<Command> commands;
    texts.reserve(2 * count);
    for (std::uint32_t i = 0; i < count; ++i) {
        texts.push_back("bundle " + std::string(i % 1000, 'b') + std::to_string(i));
        texts.push_back("reason " + std::string(i % 900, 'r') + std::to_string(i));
        commands.push_back({.is_process = i % 3 == 0,
                            .mask = 1 + i % ALL,
                            .uid = i,
                            .pid = i,
                            .timeout_ms = 10,
                            .bundle = texts[2 * i],
                            .reason = texts[2 * i + 1]});
    }
    return commands;
}

BOOST_AUTO_TEST_CASE(what_was_reserved_is_enough) {
    std::vector<std::string> texts;
    const std::vector<Command> commands = crowd_of(3000, texts);
    for (const std::size_t before : {0u, 100u, 1500u}) {
        Host host({.event_capacity = 64});
        for (std::size_t i = 0; i < before; ++i) BOOST_REQUIRE(host->execute(commands[i], 0).status == Status::ok);
        Needs needs;
        for (const Command& command : commands) needs.add(command);
        BOOST_REQUIRE(host->reserve(needs));
        const std::size_t asked = allocations();
        for (const Command& command : commands) {
            if (host->execute(command, 1).status != Status::ok) BOOST_FAIL("refused");
        }
        BOOST_CHECK_EQUAL(allocations() - asked, 0u);
        check_valid(*host);
    }
}

// Whoever goes may have had a place, and whoever comes need an entry of the index instead.
BOOST_AUTO_TEST_CASE(what_was_reserved_is_enough_where_others_go_for_it) {
    constexpr std::uint32_t count = 20'000;
    constexpr std::uint32_t others = 4'000;
    for (const std::uint32_t before : {0u, 1'600u}) {
        Host host({.max_records = count, .event_capacity = 64});
        const auto apply = [&](std::uint32_t uid) {
            const Command command{.mask = GPS, .uid = uid, .timeout_ms = 10};
            if (host->execute(command, 0).status != Status::ok) BOOST_FAIL("refused");
        };
        for (std::uint32_t uid = 0; uid < count - before; ++uid) apply(uid);
        for (std::uint32_t i = 0; i < before; ++i) apply(UINT32_MAX - 1'000'000 * i - 1);
        BOOST_REQUIRE(host->reserve({.apps = others, .types = GPS}));
        const std::size_t asked = allocations();
        for (std::uint32_t i = 0; i < others; ++i) {
            BOOST_REQUIRE_EQUAL(host->execute(release(i, GPS), 0).mask, GPS);
            apply(100'000 + 300'001 * i);
        }
        BOOST_CHECK_EQUAL(allocations() - asked, 0u);
        check_valid(*host);
    }
}

BOOST_AUTO_TEST_CASE(no_more_is_reserved_than_the_limits_let_in) {
    Host host({.max_records = 10, .event_capacity = 8});
    BOOST_CHECK(host->reserve({.apps = 1u << 30, .processes = 1u << 30, .types = ALL}));
    for (std::uint32_t uid = 0; uid < 10; ++uid) host.run(0, {.mask = GPS, .uid = uid, .timeout_ms = 10});
    BOOST_CHECK_EQUAL(host.attempt(0, {.mask = GPS, .uid = 99, .timeout_ms = 10}).status, Status::out_of_memory);
    BOOST_CHECK(!host->lacked_memory());
    check_valid(*host);
}

BOOST_AUTO_TEST_CASE(who_lacked_memory_says_so_once) {
    std::vector<std::string> texts;
    const std::vector<Command> commands = crowd_of(4, texts);
    for (std::size_t passed = 0;; ++passed) {
        Host host({.event_capacity = 8});
        bool happened = false;
        Status status = Status::ok;
        {
            const FailingAllocation failing(passed);
            status = host->execute(commands[3], 5).status;
            happened = FailingAllocation::happened();
        }
        BOOST_CHECK_EQUAL(host->lacked_memory(), happened);
        BOOST_CHECK_EQUAL(status, happened ? Status::out_of_memory : Status::ok);
        BOOST_CHECK_EQUAL(host->now(), 5u);
        BOOST_CHECK(host->reserve({}));
        host.run(6, commands[3]);
        BOOST_CHECK(!host->lacked_memory());
        if (!happened) break;
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
