// Every allocation of a session that touches every call of the manager and its policy may fail: the answer is
// out_of_memory, nothing has changed, nothing is lost, and the session ends as it would have without.
#include <functional>

#include "allocations.hpp"
#include "core/rows.hpp"
#include "grantwheel/manager.hpp"
#include "support.hpp"

namespace grantwheel::test {

namespace {

constexpr std::uint32_t app_count = 50;

std::string name(std::uint32_t number) { return std::to_string(number) + std::string(number % 7 * 30, 'n'); }

// Two managers go through the same session; allocations fail in one of them. Its texts outlive the commands.
struct World {
    std::unique_ptr<Manager> manager;
    std::array<Event, 16> events{};
    std::uint64_t last = 0;
};

Status build_policy(Manager& manager) {
    auto policy = Policy::create();
    if (policy == nullptr) return Status::out_of_memory;
    policy->set_quota(true);
    policy->set_default_rule({.level_limit = 2});
    static const std::string bundles[] = {name(4), name(5), name(6)};
    for (const std::string& bundle : bundles) {
        if (const Status status = policy->set_rule(bundle, {.allowed = ALL, .level_limit = 1}); status != Status::ok)
            return status;
    }
    const Caller caller{.bundle = bundles[1], .system_app = true, .native = true};
    if (const Status status = policy->set_default_caller(caller); status != Status::ok) return status;
    for (std::uint32_t uid = 0; uid < 20; ++uid) {
        if (const Status status = policy->set_caller(uid, caller); status != Status::ok) return status;
    }
    return manager.set_policy(std::move(policy));
}

// A step answers as a call does; what it has read is its mask.
struct Step {
    Instant now;
    std::function<Result(World&)> run;
};

Step command(Instant now, std::function<Admission(const Manager&)> admit) {
    return {now, [=](World& world) { return world.manager->execute(admit(*world.manager), now); }};
}

Step apply(Instant now, std::uint32_t i) {
    const auto run = [now, i, bundle = name(i % 9), reason = name(i + 20)](World& world) {
        const Caller caller{.uid = i, .pid = i, .bundle = bundle, .system_app = true};
        const Request request{
            .mask = i % 2 == 0 ? CPU | SENSOR : ALL,
            .is_persist = i % 5 == 0,
            .is_process = i % 3 == 0,
            .cpu_level = i > 4 && i % 4 == 0 ? 1 : default_level,  // the first ones come before the policy
            .timeout_ms = 400 + i,
            .reason = reason};
        return world.manager->request(caller, request, now);
    };
    return {now, run};
}

Result read_all(World& world, Instant now) {
    Engine& engine = world.manager->engine();
    std::array<Owner, app_count> owners;
    std::size_t count = 0;
    std::size_t total = 0;
    Instant deadline = 0;
    RecordView view;
    Stats stats;
    for (const Status status :
         {engine.owners(ALL, nullptr, now, owners, count), engine.owners_of(7, now, owners, total),
          engine.count(CPU, now, total), engine.next_deadline(now, deadline), engine.stats(now, stats),
          engine.find({OwnerKind::app, 7}, now, view), engine.mask({OwnerKind::process, 9}, now).status,
          world.manager->admit_query({.uid = 7, .pid = 7, .system_app = true}, now),
          world.manager->admit_native(world.manager->caller(7, 7)), engine.check_time(now)}) {
        if (status != Status::ok) return {status, 0};
    }
    world.last += engine.read(world.last, world.events).count;
    return {Status::ok, static_cast<Mask>(engine.most_owners(ALL) + engine.cpu_ended().size())};
}

std::vector<Step> session() {
    std::vector<Step> steps;
    const auto add = [&](Instant now, std::function<Result(World&)> run) { steps.push_back({now, std::move(run)}); };
    add(0, [](World& world) {
        world.manager = Manager::create({.event_capacity = 64, .reserve = 3});
        return Result{world.manager == nullptr ? Status::out_of_memory : Status::ok, 0};
    });
    for (std::uint32_t i = 0; i < 5; ++i) steps.push_back(apply(0, i));
    add(0, [](World& world) { return Result{build_policy(*world.manager), 0}; });
    for (std::uint32_t i = 0; i < app_count; ++i) steps.push_back(apply(i, i));
    add(60, [](World& world) { return read_all(world, 60); });
    const auto release = [](const Manager& manager) {
        return manager.admit(manager.caller(6, 6), {.mask = ALL, .is_apply = false}, 61);
    };
    steps.push_back(command(61, release));
    steps.push_back(command(61, [](const Manager& m) { return m.admit_reset_all(m.caller(7, 7), 61); }));
    steps.push_back(command(61, [](const Manager& m) { return m.admit_process_died(9, 9, 61); }));
    steps.push_back(command(61, [](const Manager& m) { return m.admit_app_stopped(11, 61); }));
    steps.push_back(command(61, [](const Manager& m) { return m.admit_package_removed(13, 61); }));
    steps.push_back(command(61, [](const Manager& m) { return m.admit_admin_reset_app(15, ALL, 61); }));
    steps.push_back(command(61, [](const Manager& m) { return m.admit_admin_reset_process(18, CPU, 61); }));
    // A pid that comes back under another uid, and many new owners after many that have gone.
    add(62, [](World& world) {
        const Request request{.mask = CPU, .is_process = true, .timeout_ms = 5};
        return world.manager->request({.uid = 31, .pid = 30, .system_app = true}, request, 62);
    });
    add(440, [](World& world) {
        const AdvanceResult result = world.manager->engine().advance(440, 3);
        return Result{result.status, static_cast<Mask>(result.ended)};
    });
    add(440, [](World& world) {
        const AdvanceResult result = world.manager->engine().advance(440, SIZE_MAX);
        return Result{result.status, static_cast<Mask>(result.ended)};
    });
    for (std::uint32_t i = 100; i < 100 + 3 * app_count; ++i) steps.push_back(apply(440, i));
    add(440, [](World& world) { return Result{build_policy(*world.manager), 0}; });
    add(500, [](World& world) { return read_all(world, 500); });
    steps.push_back(command(500, [](const Manager& m) { return m.admit_admin_reset_all(500); }));
    return steps;
}

// What can be seen of a manager at an instant.
std::string look(const World& world, Instant now) {
    if (world.manager == nullptr) return "none";
    Engine& engine = world.manager->engine();
    check_valid(engine);
    std::string text = std::to_string(engine.most_owners(CPU)) + (world.manager->ready() ? " ready" : " not ready");
    for (const std::int64_t uid : {3, 30}) text.append(" ").append(world.manager->caller(uid, 0).bundle);
    std::vector<Owner> owners(engine.most_owners(ALL));
    std::size_t count = 0;
    REQUIRE_EQUAL_QUIETLY(engine.owners(ALL, nullptr, now, owners, count), Status::ok);
    owners.resize(count);
    for (const Owner& owner : owners) {
        RecordView view;
        REQUIRE_EQUAL_QUIETLY(engine.find(owner, now, view), Status::ok);
        text.append("\n").append(describe(view));
    }
    Instant deadline = 0;
    REQUIRE_EQUAL_QUIETLY(engine.next_deadline(now, deadline), Status::ok);
    Stats stats;
    REQUIRE_EQUAL_QUIETLY(engine.stats(now, stats), Status::ok);
    for (const std::uint64_t number : {deadline, stats.granted, stats.renewed, stats.strings, stats.last_sequence})
        text.append(" ").append(std::to_string(number));
    std::array<Event, 64> events;
    const EventsRead read = engine.read(engine.first_sequence() - 1, events);
    for (const Event& event : std::span(events).first(read.count)) text.append("\n").append(describe(event));
    return text;
}

// Goes through the session with the allocation after `passed` others failing. Answers whether it came to that.
bool go_through(const std::vector<Step>& steps, std::size_t passed) {
    World subject;
    World twin;
    bool failed = false;
    for (const Step& step : steps) {
        fail_allocation(ALLOCATION_NOTHROW, failed ? SIZE_MAX : passed);
        Result result = step.run(subject);
        const bool fails_here = stop_failing(&passed) != 0;
        REQUIRE_EQUAL_QUIETLY(result.status, fails_here ? Status::out_of_memory : Status::ok);
        if (fails_here) {
            failed = true;
            REQUIRE_EQUAL_QUIETLY(look(subject, step.now), look(twin, step.now));
            result = step.run(subject);
            REQUIRE_EQUAL_QUIETLY(result.status, Status::ok);
        }
        REQUIRE_EQUAL_QUIETLY(result.mask, step.run(twin).mask);
    }
    REQUIRE_EQUAL_QUIETLY(look(subject, 500), look(twin, 500));
    return failed;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(manager_allocation)

BOOST_AUTO_TEST_CASE(every_allocation_of_a_session_may_fail) {
    const std::vector<Step> steps = session();
    static_cast<void>(go_through(steps, 0));  // makes what is made once
    std::size_t passed = 0;
    for (bool failed = true; failed; ++passed) {
        const std::size_t live = allocations_live();
        failed = go_through(steps, passed);
        if (allocations_live() != live) BOOST_FAIL("lost memory after the failure of allocation " << passed);
    }
    BOOST_TEST_MESSAGE(passed << " allocations");
    BOOST_CHECK_GT(passed, 60u);
}

// From the second chunk of rows on, and for tables that large, blocks come from the source of the host's.
BOOST_AUTO_TEST_CASE(every_large_block_may_be_refused) {
    static constexpr std::align_val_t alignment{64};
    static std::size_t taken = 0;
    set_block_source({[](std::size_t bytes) noexcept {
                          ++taken;
                          return ::operator new(bytes, alignment, std::nothrow);
                      },
                      [](void* block, std::size_t) noexcept { ::operator delete(block, alignment); }});
    const std::size_t live = allocations_live();
    constexpr auto chunk = static_cast<std::uint32_t>(Rows<Record>::chunk_rows);
    std::size_t passed = 0;
    for (bool failed = true; failed; ++passed) {
        const FailingAllocation failing(passed);
        failed = Manager::create({.event_capacity = 1u << 19, .reserve = chunk + 1}) == nullptr;
        REQUIRE_EQUAL_QUIETLY(failed, FailingAllocation::happened());
    }
    BOOST_CHECK_GE(taken, 2u);
    taken = 0;
    bool failed = true;
    for (passed = 0; failed; ++passed) {
        Host host({.event_capacity = 8, .reserve = chunk});
        for (std::uint32_t uid = 0; uid < chunk; ++uid) {
            if (host->execute({.mask = GPS, .uid = uid, .timeout_ms = 10}, 0).status != Status::ok)
                BOOST_FAIL("not yet");
        }
        const Command one_more{.mask = GPS, .uid = chunk, .timeout_ms = 10};
        {
            const FailingAllocation failing(passed);
            failed = host->execute(one_more, 0).status == Status::out_of_memory;
            REQUIRE_EQUAL_QUIETLY(failed, FailingAllocation::happened());
        }
        check_valid(*host);
        REQUIRE_EQUAL_QUIETLY(host.stats(0).app_records, failed ? chunk : chunk + 1);
        REQUIRE_EQUAL_QUIETLY(host->last_sequence(), failed ? chunk : chunk + 1);
        REQUIRE_EQUAL_QUIETLY(host.run(0, one_more), GPS);
        REQUIRE_EQUAL_QUIETLY(host.advance(10), chunk + 1);
    }
    BOOST_CHECK_GE(taken, 2u);
    BOOST_CHECK_GE(passed, 3u);
    set_block_source({nullptr, nullptr});
    BOOST_CHECK_EQUAL(allocations_live(), live);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
