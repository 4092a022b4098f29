// Memory: nothing is allocated for owners and texts seen before, and any allocation may fail without harm.
#include "allocations.hpp"

#include "grantwheel/manager.hpp"
#include "support.hpp"

namespace grantwheel::test {

namespace {

constexpr std::size_t never = SIZE_MAX;

constexpr std::uint32_t uid_count = 40;
constexpr std::uint32_t pid_count = 50;

// One call of each kind on owners and texts from a fixed set, at random. Allocates nothing itself.
class Traffic {
public:
    explicit Traffic(Manager& manager) : manager_(manager), engine_(manager.engine()) {
        for (std::size_t i = 0; i < texts_.size(); ++i) texts_[i] = std::string(i * 37, static_cast<char>('a' + i));
    }

    // Lets every owner and every text be there at the same time.
    void fill() {
        for (std::uint32_t i = 0; i < pid_count; ++i) {
            const Caller caller{
                .uid = i % uid_count, .pid = i, .bundle = texts_[i % texts_.size()], .system_app = true};
            Request request{.mask = ALL, .timeout_ms = 50, .reason = texts_[(i + 1) % texts_.size()]};
            require(manager_.request(caller, request, now_));
            request.is_process = true;
            require(manager_.request(caller, request, now_));
        }
    }

    void step(Random& random) {
        now_ += random.one_in(2) ? 0 : random.magnitude(6);
        const std::uint32_t uid = random.below32(uid_count);
        const std::uint32_t pid = random.below32(pid_count);
        const Caller caller{
            .uid = uid, .pid = pid, .bundle = texts_[random.below(texts_.size())], .system_app = true, .native = true};
        const Request request{.mask = 1 + random.below32(ALL),
                              .is_apply = !random.one_in(3),
                              .is_persist = random.one_in(10),
                              .is_process = random.one_in(2),
                              .timeout_ms = 1 + random.magnitude(9),
                              .reason = texts_[random.below(texts_.size())]};
        switch (random.below(20)) {
            default: return require(manager_.request(caller, request, now_));
            case 0: return require(manager_.reset_all(caller, now_));
            case 1: return require(manager_.execute(manager_.admit_process_died(uid, pid, now_), now_));
            case 2: return require(manager_.execute(manager_.admit_app_stopped(uid, now_), now_));
            case 3: return require(manager_.execute(manager_.admit_package_removed(uid, now_), now_));
            case 4: return require(manager_.execute(manager_.admit_admin_reset_app(uid, request.mask, now_), now_));
            case 5: return require(manager_.execute(manager_.admit_admin_reset_process(pid, request.mask, now_), now_));
            case 6:
                if (random.one_in(20)) require(manager_.execute(manager_.admit_admin_reset_all(now_), now_));
                return;
            case 7: require(engine_.advance(now_, random.below(20)).status); return;
            case 8: require(engine_.advance(now_, SIZE_MAX).status); return;
            case 9: return read_one(caller, uid, pid);
            case 10: return read_across(request.mask);
        }
    }

private:
    // Not BOOST_REQUIRE, which may allocate.
    static void require(Status status) {
        if (status != Status::ok) BOOST_FAIL(status_name(status));
    }
    static void require(const Result& result) { require(result.status); }

    void read_one(const Caller& caller, std::uint32_t uid, std::uint32_t pid) {
        std::array<Owner, pid_count + 1> owners;
        const std::array<std::uint32_t, 2> keys{uid, uid + 1};
        std::size_t total = 0;
        RecordView view;
        require(manager_.admit_query(caller, now_));
        require(manager_.admit_native(caller));
        require(engine_.mask({OwnerKind::process, pid}, now_));
        for (const std::uint32_t key : keys) {
            engine_.prefetch_index(key);
            engine_.prefetch_app(key, type::ALL);
        }
        require(engine_.find({OwnerKind::app, uid}, now_, view));
        require(engine_.owners_of(uid, now_, owners, total));
    }

    void read_across(Mask mask) {
        std::array<Owner, 20> owners;
        std::array<Event, 30> events;
        std::size_t count = 0;
        Instant deadline = 0;
        Stats stats;
        require(engine_.owners(mask, nullptr, now_, owners, count));
        require(engine_.count(CPU, now_, count));
        if (engine_.most_owners(mask) > uid_count + pid_count) BOOST_FAIL("more records than owners");
        require(engine_.next_deadline(now_, deadline));
        require(engine_.stats(now_, stats));
        last_ += engine_.read(last_, events).count;
    }

    Manager& manager_;
    Engine& engine_;
    std::array<std::string, 12> texts_;
    Instant now_ = 0;
    std::uint64_t last_ = 0;
};

// A fixed story in which everything that can grow does: rows, indexes, texts, places for sorting, uids that lost CPU.
std::vector<std::pair<Instant, Command>> story() {
    static std::vector<std::string> texts;
    if (texts.empty()) {
        for (std::size_t i = 0; i < 60; ++i) texts.push_back(std::to_string(i) + std::string(i * 17, 't'));
    }
    std::vector<std::pair<Instant, Command>> steps;
    for (std::uint32_t i = 0; i < 40; ++i) {
        Command command{.mask = CPU | GPS, .uid = i, .pid = i, .timeout_ms = 500, .bundle = texts[i]};
        command.is_process = i % 2 == 0;
        command.reason = texts[i + 1];
        steps.emplace_back(i, command);
        const Command persistent{
            .is_persist = true, .mask = AUDIO, .uid = i, .bundle = texts[i], .reason = texts[59 - i]};
        if (i % 3 == 0) steps.emplace_back(i, persistent);
        const Command reuse{
            .is_process = true, .mask = CPU, .uid = i + 1, .pid = i, .timeout_ms = 300, .bundle = texts[i + 2]};
        if (i % 4 == 0) steps.emplace_back(i, reuse);
        if (i % 5 == 0) steps.push_back({i, release(i / 2, CPU | AUDIO)});
        if (i % 7 == 0) steps.push_back({i, process_died(i, i)});
    }
    steps.push_back(
        {400, {.is_process = true, .mask = ALL, .uid = 42, .pid = 42, .timeout_ms = 9, .reason = texts[58]}});
    steps.push_back({400, app_stopped(3)});
    steps.push_back({400, reset_all(6, ALL)});
    steps.push_back({2000, package_removed(9)});
    steps.push_back({2000, admin_reset_all()});
    return steps;
}

// What can be seen of an engine at an instant, without changing it.
std::string look(const Engine& engine, Instant now) {
    std::string text = std::to_string(engine.last_sequence()) + " " + std::to_string(engine.wake_at());
    for (std::uint32_t key = 0; key <= 42; ++key) {
        for (const OwnerKind kind : {OwnerKind::app, OwnerKind::process}) {
            RecordView view;
            REQUIRE_EQUAL_QUIETLY(engine.find({kind, key}, now, view), Status::ok);
            if (view.mask != 0) text += "\n" + std::to_string(key) + " " + describe(view);
        }
    }
    return text;
}

// Tells the story with the allocation after `passed` others failing; the step that it meets must be refused whole, and
// is then repeated. Answers all that was told, or nothing when no allocation failed.
std::string tell(std::size_t passed) {
    auto engine = Engine::create({.event_capacity = 64});
    REQUIRE_QUIETLY(engine != nullptr);
    REQUIRE_QUIETLY(engine->track_cpu_ended(true));
    std::string told;
    std::uint64_t last = 0;
    std::size_t left = passed;
    bool failed = false;
    for (const auto& [now, command] : story()) {
        static_cast<void>(engine->advance(now, SIZE_MAX));  // so that a refused step has nothing of its own to tell
        const std::string before = failed ? "" : look(*engine, now);
        const std::size_t allocated_before = allocations();
        Result result;
        bool fails_here = false;
        {
            const FailingAllocation failing(failed ? never : left);
            result = engine->execute(command, now);
            fails_here = FailingAllocation::happened();
        }
        left -= std::min(left, allocations() - allocated_before);
        check_valid(*engine);
        REQUIRE_EQUAL_QUIETLY(result.status, fails_here ? Status::out_of_memory : Status::ok);
        if (fails_here) {
            failed = true;
            REQUIRE_EQUAL_QUIETLY(look(*engine, now), before);
            REQUIRE_QUIETLY(engine->cpu_ended().empty());
            result = engine->execute(command, now);
            check_valid(*engine);
            REQUIRE_EQUAL_QUIETLY(result.status, Status::ok);
        }
        told += "\n" + std::to_string(result.mask);
        for (const std::uint32_t uid : engine->cpu_ended()) told += " " + std::to_string(uid);
        std::array<Event, 64> events;
        const EventsRead read = engine->read(last, events);
        for (const Event& event : std::span(events).first(read.count)) told += "\n" + describe(event);
        last = engine->last_sequence();
        if (now == 39) told += "\n" + look(*engine, now);
    }
    told += "\n" + look(*engine, 2000);
    return failed || passed == never ? told : "";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(allocation)

BOOST_AUTO_TEST_CASE(owners_and_texts_seen_before_allocate_nothing) {
    for (const std::uint64_t seed : {2001u, 2002u, 2003u}) {
        BOOST_TEST_CONTEXT("seed " << seed) {
            auto manager = Manager::create({.event_capacity = 128});
            REQUIRE_QUIETLY(manager != nullptr);
            auto policy = Policy::create();
            REQUIRE_QUIETLY(policy != nullptr);
            policy->set_quota(true);
            REQUIRE_EQUAL_QUIETLY(manager->set_policy(std::move(policy)), Status::ok);
            Traffic traffic(*manager);
            traffic.fill();
            Random random(seed);
            const std::size_t before = allocations();
            for (int step = 0; step < 20'000; ++step) traffic.step(random);
            BOOST_CHECK_EQUAL(allocations() - before, 0u);
            check_valid(manager->engine());
        }
    }
}

BOOST_AUTO_TEST_CASE(a_reserved_engine_allocates_nothing_for_new_apps) {
    Host host({.max_records = 1000, .event_capacity = 8, .reserve = 1000});
    const std::size_t before = allocations();
    for (std::uint32_t uid = 0; uid < 1000; ++uid) {
        if (host->execute({.mask = GPS, .uid = uid, .timeout_ms = 10}, 0).status != Status::ok) BOOST_FAIL("refused");
    }
    BOOST_CHECK_EQUAL(allocations() - before, 0u);
}

BOOST_AUTO_TEST_CASE(a_refused_call_of_a_full_engine_allocates_nothing_in_the_long_run) {
    Host host({.max_records = 20, .max_strings = 20, .event_capacity = 8});
    const std::string stranger(900, 's');
    for (std::uint32_t uid = 0; uid < 20; ++uid) {
        const std::string reason = "reason " + std::to_string(uid);
        host.run(0, {.mask = GPS, .uid = uid, .timeout_ms = 10, .reason = reason});
    }
    const Command too_many_texts{.mask = GPS, .uid = 1, .timeout_ms = 10, .reason = stranger};
    const Command too_many_records{.mask = GPS, .uid = 99, .timeout_ms = 10, .reason = "reason 1"};
    BOOST_CHECK_EQUAL(host.attempt(0, too_many_texts).status, Status::out_of_memory);
    const std::size_t before = allocations();
    for (int i = 0; i < 100; ++i) {
        static_cast<void>(host->execute(too_many_texts, 0));
        static_cast<void>(host->execute(too_many_records, 0));
    }
    BOOST_CHECK_EQUAL(allocations() - before, 0u);
}

BOOST_AUTO_TEST_CASE(every_allocation_of_a_story_may_fail) {
    const std::string expected = tell(never);
    std::size_t passed = 0;
    for (std::string told; !(told = tell(passed)).empty(); ++passed) {
        if (told != expected) BOOST_FAIL("the story goes on differently after allocation " << passed);
    }
    BOOST_TEST_MESSAGE(passed << " allocations");
    BOOST_CHECK_GT(passed, 20u);
}

BOOST_AUTO_TEST_CASE(an_engine_that_cannot_grow_goes_on_with_whom_it_has) {
    Host host({.event_capacity = 8});
    for (std::uint32_t uid = 0; uid < 12; ++uid) host.run(0, {.mask = GPS, .uid = uid, .timeout_ms = 100});
    std::size_t refused = 0;
    for (std::uint32_t uid = 12; uid < 40; ++uid) {
        {
            const FailingAllocation failing(0);
            const Result result = host->execute({.mask = GPS, .uid = uid, .timeout_ms = 100}, 1);
            refused += result.status == Status::out_of_memory;
            REQUIRE_EQUAL_QUIETLY(result.status == Status::out_of_memory, FailingAllocation::happened());
        }
        check_valid(*host);
        host.run(1, {.mask = AUDIO, .uid = uid % 12, .timeout_ms = 100});
    }
    BOOST_CHECK_GT(refused, 0u);
    BOOST_CHECK_EQUAL(host.advance(200), 24u + (28u - refused));
}

BOOST_AUTO_TEST_CASE(an_engine_that_cannot_be_made_is_null) {
    bool failed = true;
    std::size_t passed = 0;
    for (; failed; ++passed) {
        const FailingAllocation failing(passed);
        failed = Engine::create({.event_capacity = 4, .reserve = 10}) == nullptr;
        REQUIRE_EQUAL_QUIETLY(failed, FailingAllocation::happened());
    }
    BOOST_CHECK_GE(passed, 8u);
}

BOOST_AUTO_TEST_CASE(records_that_come_and_go_allocate_nothing_whatever_their_number) {
    for (std::uint32_t count = 2; count <= 100; ++count) {
        Host host({.event_capacity = 8});
        const Command process{.is_process = true, .mask = CPU, .uid = 0, .pid = 7, .timeout_ms = 100};
        Command reused = process;
        reused.uid = 1;
        host.run(0, process);
        for (std::uint32_t uid = 0; uid < count; ++uid) host.run(0, {.mask = GPS, .uid = uid, .timeout_ms = 100});
        const std::size_t before = allocations();
        static_cast<void>(host->execute(release_process(0, 7, CPU), 0));
        static_cast<void>(host->execute(process, 0));
        BOOST_CHECK_MESSAGE(allocations() == before, count << " apps and a process that comes back");
        const std::size_t between = allocations();
        static_cast<void>(host->execute(reused, 0));
        BOOST_CHECK_MESSAGE(allocations() == between, count << " apps and a pid that is reused");
    }
}

BOOST_AUTO_TEST_CASE(tracking_that_is_on_stays_on_when_there_is_no_memory) {
    for (std::size_t passed = 0; passed < 8; ++passed) {
        Host host({.event_capacity = 8});
        REQUIRE_QUIETLY(host->track_cpu_ended(true));
        bool refused = false;
        for (std::uint32_t uid = 0; uid < 100 && !refused; ++uid) {
            host.run(0, {.mask = GPS, .uid = 1, .timeout_ms = 100});
            const FailingAllocation failing(passed);
            refused = host->execute({.mask = GPS, .uid = uid, .timeout_ms = 100}, 0).status != Status::ok;
        }
        {
            const FailingAllocation failing(0);
            static_cast<void>(host->track_cpu_ended(true));
        }
        host.run(0, {.mask = CPU, .uid = 1, .timeout_ms = 100});
        host.run(0, release(1, CPU));
        BOOST_CHECK_MESSAGE(host->cpu_ended().size() == 1, "after a failure of allocation " << passed);
    }
}

BOOST_AUTO_TEST_CASE(tracking_that_is_off_stays_off_when_there_is_no_memory) {
    Host host({.event_capacity = 8});
    for (std::uint32_t uid = 0; uid < 3; ++uid) host.run(0, {.mask = CPU, .uid = uid, .timeout_ms = 100});
    {
        const FailingAllocation failing(0);
        BOOST_CHECK(!host->track_cpu_ended(true));
    }
    host.run(0, release(0, CPU));
    BOOST_CHECK(host->cpu_ended().empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
