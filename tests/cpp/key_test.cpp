// That nothing but costs depends on the key of the hashes: engines with different hash_keys, in step through random runs.
#include "grantwheel/engine.hpp"
#include "support.hpp"

namespace grantwheel::test {

namespace {

constexpr HashKey hash_keys[] = {{}, {{1, 2}}, {{0x9E37'79B9'7F4A'7C15, 0xFFFF'FFFF'FFFF'FFFF}}};

std::string text_of(Random& random) { return std::string(random.below(40), static_cast<char>('a' + random.below(5))); }

Command random_command(Random& random, std::string& bundle, std::string& reason) {
    bundle = text_of(random);
    reason = text_of(random);
    const std::uint64_t kind = random.below(30);
    Command command{.kind = kind < 9 ? static_cast<CommandKind>(kind) : CommandKind::apply,
                    .is_persist = random.one_in(12),
                    .is_process = random.one_in(2),
                    .mask = 1 + random.below32(ALL),
                    .uid = random.below32(60),
                    .pid = random.below32(200),
                    .timeout_ms = 1 + random.below32(300),
                    .bundle = bundle,
                    .reason = reason};
    if (command.kind == CommandKind::admin_reset_all && !random.one_in(20)) command.kind = CommandKind::release;
    return command;
}

// All that one engine shows: its events since the last look, who holds what, in listing order, and its numbers.
std::string shown(Engine& engine, Instant now, std::uint64_t& seen) {
    std::string text;
    std::array<Event, 64> events;
    for (EventsRead read = engine.read(seen, events); read.count != 0; read = engine.read(seen, events)) {
        text += "missed " + std::to_string(read.missed) + "\n";
        for (std::size_t i = 0; i < read.count; ++i) text += describe(events[i]) + "\n";
        seen = events[read.count - 1].sequence;
    }
    std::array<Owner, 300> owners;
    std::size_t count = 0;
    REQUIRE_EQUAL_QUIETLY(engine.owners(ALL, nullptr, now, owners, count), Status::ok);
    for (std::size_t i = 0; i < count; ++i) {
        RecordView view;
        REQUIRE_EQUAL_QUIETLY(engine.find(owners[i], now, view), Status::ok);
        text += describe(view) + "\n";
    }
    Stats stats;
    REQUIRE_EQUAL_QUIETLY(engine.stats(now, stats), Status::ok);
    for (const std::uint64_t number : {stats.granted, stats.renewed, stats.strings, stats.last_sequence}) {
        text += std::to_string(number) + " ";
    }
    return text + std::to_string(engine.wake_at());
}

void run(std::uint64_t seed, const Limits& limits) {
    constexpr std::size_t count = std::size(hash_keys);
    std::array<std::unique_ptr<Engine>, count> engines;
    std::array<std::uint64_t, count> seen{};
    for (std::size_t i = 0; i < count; ++i) engines[i] = Engine::create(limits, hash_keys[i]);
    Random random(seed);
    Instant now = 0;
    for (int step = 0; step < 4000; ++step) {
        now += random.one_in(2) ? 0 : random.magnitude(8);
        std::string bundle;
        std::string reason;
        const Command command = random_command(random, bundle, reason);
        const std::size_t budget = random.below(4);
        const bool drives = random.one_in(5);
        const bool looks = random.one_in(40);
        std::string first;
        for (std::size_t i = 0; i < count; ++i) {
            Engine& engine = *engines[i];
            const Result result = engine.execute(command, now);
            std::string answer = std::string(status_name(result.status)) + " " + std::to_string(result.mask);
            if (drives) answer += " " + std::to_string(engine.advance(now, budget).ended);
            if (looks) answer += "\n" + shown(engine, now, seen[i]);
            if (i == 0) first = answer;
            if (answer != first) BOOST_FAIL("seed " << seed << ", step " << step << ":\n" << answer << "\n" << first);
        }
    }
    for (const auto& engine : engines) check_valid(*engine);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(key)

BOOST_AUTO_TEST_CASE(engines_with_different_keys_tell_the_same) { run(2101, {}); }

BOOST_AUTO_TEST_CASE(engines_with_different_keys_reach_their_limits_at_the_same_calls) {
    run(2102, {.max_records = 40, .max_strings = 12, .event_capacity = 64});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
