// Snapshots: an engine from the bytes of another is the same engine, and no damage of them makes another one.
#include "grantwheel/snapshot.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "allocations.hpp"
#include "golden.hpp"
#include "sealing.hpp"
#include "support.hpp"

namespace grantwheel::test {

namespace {

using Bytes = std::vector<std::byte>;
using Sections = std::vector<Bytes>;

Sections sections_of(const Engine& engine) {
    const auto writer = SnapshotWriter::create(engine);
    REQUIRE_QUIETLY(writer != nullptr);
    Sections sections;
    for (bool more = true; more;) {
        Bytes out(max_section_bytes);
        const SectionWritten written = writer->write(out);
        REQUIRE_EQUAL_QUIETLY(written.status, Status::ok);
        more = written.more;
        out.resize(written.size);
        if (!out.empty()) sections.push_back(std::move(out));
    }
    return sections;
}

Bytes joined(const Sections& sections) {
    Bytes all;
    for (const Bytes& section : sections) all.insert(all.end(), section.begin(), section.end());
    return all;
}

std::uint64_t hash_of_state(const Engine& engine) {
    std::uint64_t hash = 0;
    REQUIRE_EQUAL_QUIETLY(state_hash(engine, hash), Status::ok);
    return hash;
}

struct Loaded {
    Status status = Status::ok;
    bool is_newer = false;
    std::unique_ptr<Engine> engine{};
};

// Reads all there is; without a status but with no engine when it was too little.
Loaded load(std::span<const std::byte> bytes, const Limits& limits = {.event_capacity = 4096}) {
    const auto reader = SnapshotReader::create(limits);
    REQUIRE_QUIETLY(reader != nullptr);
    for (;;) {
        const SectionRead read = reader->read(bytes);
        if (read.status != Status::ok) {
            REQUIRE_QUIETLY(reader->take() == nullptr);
            REQUIRE_EQUAL_QUIETLY(reader->read(bytes).status, Status::parcel_failed);
            return {read.status, read.is_newer};
        }
        if (read.size == 0) return {};
        bytes = bytes.subspan(read.size);
        if (read.done) return {bytes.empty() ? Status::ok : Status::argument_invalid, false, reader->take()};
        REQUIRE_QUIETLY(reader->take() == nullptr);
    }
}

// The limits of the engine that a snapshot is of.
Limits limits_of(std::span<const std::byte> bytes) {
    const auto reader = SnapshotReader::create({});
    REQUIRE_QUIETLY(reader != nullptr);
    REQUIRE_EQUAL_QUIETLY(reader->read(bytes).status, Status::ok);
    return reader->limits_then();
}

Command random_command(Random& random, std::uint32_t owners, const std::vector<std::string>& texts) {
    const std::uint32_t uid = random.one_in(30) ? static_cast<std::uint32_t>(max_uid) : random.below32(owners);
    const std::uint32_t pid = random.one_in(30) ? static_cast<std::uint32_t>(max_pid) : random.below32(owners);
    if (random.one_in(6)) return release(uid, 1 + random.below32(ALL));
    if (random.one_in(12)) return process_died(uid, pid);
    Command command{.is_persist = random.one_in(5),
                    .is_process = random.one_in(2),
                    .only_held = random.one_in(9),
                    .cpu_level = static_cast<std::int8_t>(static_cast<int>(random.below(4)) - 1),
                    .mask = random.one_in(2) ? CPU : 1 + random.below32(ALL),
                    .uid = uid,
                    .pid = pid,
                    .timeout_ms = static_cast<std::uint32_t>(1 + random.magnitude(31)),
                    .bundle = texts[random.below(texts.size())],
                    .reason = texts[random.below(texts.size())]};
    if (random.one_in(5)) command.capped = 1 + random.below32(ALL);
    for (std::uint32_t& most : command.caps_ms) most = static_cast<std::uint32_t>(1 + random.magnitude(31));
    return command;
}

std::vector<std::string> some_texts() {
    std::vector<std::string> texts{"", std::string(max_text_bytes, 'l'), "\xC3\xA4"};
    for (int i = 0; i < 40; ++i) texts.push_back("text " + std::to_string(i));
    return texts;
}

// Grants of all kinds, some of them due and not yet told.
Instant fill(Engine& engine, std::uint64_t seed, std::uint32_t owners, int steps) {
    Random random(seed);
    const std::vector<std::string> texts = some_texts();
    Instant now = random.magnitude(50);
    for (int i = 0; i < steps; ++i) {
        REQUIRE_EQUAL_QUIETLY(engine.execute(random_command(random, owners, texts), now).status, Status::ok);
        now += random.magnitude(12);
        if (random.one_in(50)) static_cast<void>(engine.advance(now, random.below(30)));
    }
    return now;
}

std::string events_after(const Engine& engine, std::uint64_t after) {
    std::vector<Event> events(engine.last_sequence() - after);
    const EventsRead read = engine.read(after, events);
    std::string text = std::to_string(read.missed) + " missed";
    for (const Event& event : std::span(events).first(read.count))
        text += "; " + std::to_string(event.sequence) + " " + describe(event);
    return text;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(snapshot)

BOOST_AUTO_TEST_CASE(an_engine_from_a_snapshot_goes_on_as_the_other_does) {
    for (const std::uint64_t seed : {81u, 82u, 83u, 84u}) {
        BOOST_TEST_CONTEXT("seed " << seed) {
            const std::uint32_t owners = seed == 84 ? 3000 : 40;
            const auto engine = Engine::create({.event_capacity = 65'536});
            Instant now = fill(*engine, seed, owners, seed == 84 ? 9000 : 600);
            const Bytes bytes = joined(sections_of(*engine));
            const Loaded loaded = load(bytes, {.event_capacity = 65'536});
            BOOST_REQUIRE(loaded.engine != nullptr);
            Engine& twin = *loaded.engine;
            check_valid(twin);
            BOOST_CHECK_EQUAL(hash_of_state(twin), hash_of_state(*engine));
            BOOST_CHECK(joined(sections_of(twin)) == bytes);
            const std::uint64_t before = engine->last_sequence();
            BOOST_CHECK_EQUAL(twin.last_sequence(), before);
            BOOST_CHECK_EQUAL(twin.first_sequence(), before + 1);
            BOOST_CHECK_EQUAL(events_after(twin, before == 0 ? 0 : before - 1), before == 0 ? "0 missed" : "1 missed");

            Random random(seed);
            const std::vector<std::string> texts = some_texts();
            for (int i = 0; i < 400; ++i) {
                now += random.magnitude(20);
                const Command command = random_command(random, owners, texts);
                const Result expected = engine->execute(command, now);
                const Result found = twin.execute(command, now);
                REQUIRE_EQUAL_QUIETLY(found.status, expected.status);
                REQUIRE_EQUAL_QUIETLY(found.mask, expected.mask);
                const Owner owner{random.one_in(2) ? OwnerKind::app : OwnerKind::process, random.below32(owners)};
                RecordView views[2];
                REQUIRE_EQUAL_QUIETLY(engine->find(owner, now, views[0]), Status::ok);
                REQUIRE_EQUAL_QUIETLY(twin.find(owner, now, views[1]), Status::ok);
                REQUIRE_EQUAL_QUIETLY(describe(views[1]), describe(views[0]));
                if (i % 50 == 0) check_valid(twin);
            }
            Stats stats[2];
            BOOST_REQUIRE_EQUAL(engine->stats(now, stats[0]), Status::ok);
            BOOST_REQUIRE_EQUAL(twin.stats(now, stats[1]), Status::ok);
            BOOST_CHECK_EQUAL(stats[1].granted, stats[0].granted);
            BOOST_CHECK_EQUAL(stats[1].renewed, stats[0].renewed);
            BOOST_CHECK_EQUAL(stats[1].strings, stats[0].strings);
            BOOST_CHECK_EQUAL(events_after(twin, before), events_after(*engine, before));
            BOOST_CHECK_EQUAL(hash_of_state(twin), hash_of_state(*engine));
        }
    }
}

BOOST_AUTO_TEST_CASE(the_hash_is_that_of_the_state_and_not_of_how_it_came_about) {
    const auto one = Engine::create({.event_capacity = 256});
    const auto other = Engine::create({.max_records = 99, .event_capacity = 512, .reserve = 50});
    const std::vector<Command> applies{{.mask = GPS, .uid = 5, .timeout_ms = 1000, .bundle = "b", .reason = "r"},
                                       {.is_process = true, .mask = CPU, .uid = 5, .pid = 9, .timeout_ms = 2000}};
    for (const Command& apply : applies) BOOST_REQUIRE_EQUAL(one->execute(apply, 10).status, Status::ok);
    for (auto at = applies.rbegin(); at != applies.rend(); ++at)
        BOOST_REQUIRE_EQUAL(other->execute(*at, 10).status, Status::ok);
    BOOST_CHECK_EQUAL(hash_of_state(*one), hash_of_state(*other));
    static_cast<void>(other->advance(500, 3));  // nothing is due
    BOOST_CHECK_EQUAL(hash_of_state(*one), hash_of_state(*other));

    const std::uint64_t before = hash_of_state(*one);
    BOOST_REQUIRE_EQUAL(one->execute({.mask = GPS, .uid = 5, .timeout_ms = 1000, .reason = "s"}, 10).status,
                        Status::ok);
    BOOST_CHECK_NE(hash_of_state(*one), before);  // a reason and a renewal
    static_cast<void>(other->advance(1010, SIZE_MAX));
    BOOST_CHECK_NE(hash_of_state(*other), before);
}

BOOST_AUTO_TEST_CASE(no_key_is_in_the_bytes_and_any_reads_them) {
    Bytes bytes[2];
    for (std::size_t i = 0; i < 2; ++i) {
        const auto engine = Engine::create({.event_capacity = 4096}, i == 0 ? HashKey{} : HashKey{{98, 76}});
        fill(*engine, 91, 200, 900);
        bytes[i] = joined(sections_of(*engine));
        const auto reader = SnapshotReader::create({.event_capacity = 4096}, {{54, 32 + i}});
        std::span<const std::byte> rest = bytes[i];
        for (SectionRead read; !read.done; rest = rest.subspan(read.size)) {
            read = reader->read(rest);
            BOOST_REQUIRE_EQUAL(read.status, Status::ok);
        }
        const auto restored = reader->take();
        BOOST_REQUIRE(restored != nullptr);
        BOOST_CHECK_EQUAL(hash_of_state(*restored), hash_of_state(*engine));
    }
    BOOST_CHECK(bytes[0] == bytes[1]);
}

// Rows that are being ended are in no slot of the wheel, and some of those that were have new grants.
BOOST_AUTO_TEST_CASE(a_snapshot_in_the_middle_of_an_instant_is_right) {
    for (const std::size_t budget : {1u, 7u, 40u}) {
        const auto engine = Engine::create({.event_capacity = 4096});
        for (std::uint32_t uid = 0; uid < 100; ++uid) {
            BOOST_REQUIRE_EQUAL(engine->execute(timed(uid, GPS, 70'000), 0).status, Status::ok);
            if (uid % 3 == 0) BOOST_REQUIRE_EQUAL(engine->execute(timed(uid, AUDIO, 90'000), 0).status, Status::ok);
        }
        while (engine->look(70'000, 9).more) continue;
        BOOST_REQUIRE_EQUAL(engine->end(70'000, budget).records, budget);
        BOOST_REQUIRE_EQUAL(engine->execute(timed(99, GPS, 5), 70'001).status, Status::ok);
        const Loaded loaded = load(joined(sections_of(*engine)));
        BOOST_REQUIRE(loaded.engine != nullptr);
        check_valid(*loaded.engine);
        BOOST_CHECK_EQUAL(hash_of_state(*loaded.engine), hash_of_state(*engine));
        const std::uint64_t before = engine->last_sequence();
        for (Engine* each : {engine.get(), loaded.engine.get()}) {
            BOOST_CHECK_EQUAL(each->end(70'001, 3).records, 3u);
            static_cast<void>(each->advance(100'000, SIZE_MAX));
        }
        BOOST_CHECK_EQUAL(events_after(*loaded.engine, before), events_after(*engine, before));
        BOOST_CHECK_EQUAL(hash_of_state(*loaded.engine), hash_of_state(*engine));
    }
}

// Whichever allocation fails, it is refused, and nothing is lost or half done.
BOOST_AUTO_TEST_CASE(every_allocation_of_a_load_and_of_a_writer_may_fail) {
    const auto engine = Engine::create({.event_capacity = 4096});
    fill(*engine, 92, 300, 900);
    const Sections sections = sections_of(*engine);
    const std::uint64_t hash = hash_of_state(*engine);
    std::size_t failures = 0;
    for (std::size_t passed = 0;; ++passed) {
        std::unique_ptr<Engine> made;
        bool refused = false;
        bool happened = false;
        {
            const FailingAllocation failing(passed);
            const auto reader = SnapshotReader::create({.event_capacity = 4096});
            for (std::size_t i = 0; reader != nullptr && i < sections.size() && !refused; ++i)
                refused = reader->read(sections[i]).status == Status::out_of_memory;
            if (reader != nullptr) made = reader->take();
            happened = FailingAllocation::happened();
        }
        REQUIRE_EQUAL_QUIETLY(made == nullptr, happened);
        if (!happened) {
            BOOST_CHECK_EQUAL(hash_of_state(*made), hash);
            break;
        }
        ++failures;
    }
    BOOST_CHECK_GT(failures, 20u);
    for (std::size_t passed = 0;; ++passed) {
        std::uint64_t found = 0;
        const FailingAllocation failing(passed);
        const Status status = state_hash(*engine, found);
        if (!FailingAllocation::happened()) {
            BOOST_CHECK_EQUAL(found, hash);
            break;
        }
        REQUIRE_EQUAL_QUIETLY(status, Status::out_of_memory);
    }
}

BOOST_AUTO_TEST_CASE(every_version_reads_the_snapshots_of_those_before_it) {
    std::vector<GoldenLine> lines = golden_lines("snapshots-1.txt");
    for (GoldenLine& line : golden_lines("snapshots-2.txt")) lines.push_back(std::move(line));
    for (const GoldenLine& line : lines) {
        BOOST_TEST_CONTEXT(line.text) {
            const Loaded loaded = load(line.bytes, limits_of(line.bytes));
            BOOST_REQUIRE_EQUAL(loaded.status, Status::ok);
            BOOST_REQUIRE(loaded.engine != nullptr);
            check_valid(*loaded.engine);
            BOOST_CHECK(joined(sections_of(*loaded.engine)) ==
                        line.bytes);  // as long as it is these versions that are written
            std::string text = std::to_string(hash_of_state(*loaded.engine)) + ", " +
                               std::to_string(loaded.engine->last_sequence()) + " events";
            for (const Owner owner : {Owner{OwnerKind::process, 9}, Owner{OwnerKind::app, 5}}) {
                RecordView view;
                BOOST_REQUIRE_EQUAL(loaded.engine->find(owner, 500, view), Status::ok);
                text += "; " + describe(view);
                if (view.applied != 0) text += " applied " + std::to_string(view.applied);
            }
            if (const Mark* mark = loaded.engine->mark()) text += "; " + describe(*mark);
            for (std::size_t i = 0; i < loaded.engine->note_count(); ++i) {
                const Note note = loaded.engine->note(i);
                text.append(i == 0 ? "; notes '" : " '").append(note.key).append("' '").append(note.value).append("'");
            }
            BOOST_CHECK_EQUAL(text, line.text);
        }
    }
}

BOOST_AUTO_TEST_CASE(whatever_byte_is_damaged_or_missing_is_noticed) {
    const auto engine = Engine::create({.event_capacity = 4096});
    fill(*engine, 85, 12, 60);
    Bytes bytes = joined(sections_of(*engine));
    Random random(86);
    for (std::size_t size = 0; size < bytes.size(); size += 1 + random.below(8)) {
        const Loaded loaded = load(std::span(bytes).first(size));
        REQUIRE_QUIETLY(loaded.status == Status::ok && loaded.engine == nullptr);
    }
    for (std::size_t at = 0; at < bytes.size(); ++at) {
        const auto change = static_cast<std::byte>(1 + random.below(255));
        bytes[at] ^= change;
        const Loaded loaded = load(bytes);  // a size that is too large waits for bytes that do not come
        REQUIRE_QUIETLY(loaded.engine == nullptr && !loaded.is_newer);
        bytes[at] ^= change;
    }
    BOOST_CHECK(load(bytes).engine != nullptr);
}

BOOST_AUTO_TEST_CASE(sections_that_are_missing_twice_there_or_in_another_order_are_refused) {
    const auto engine = Engine::create({.event_capacity = 65'536});
    fill(*engine, 87, 3000, 9000);
    const Sections sections = sections_of(*engine);
    BOOST_REQUIRE_GE(sections.size(), 6u);
    for (std::size_t i = 0; i + 1 < sections.size(); ++i) {
        Sections without = sections;
        without.erase(without.begin() + static_cast<std::ptrdiff_t>(i));
        BOOST_CHECK_EQUAL(load(joined(without)).status, Status::parcel_failed);
        Sections twice = sections;
        twice.insert(twice.begin() + static_cast<std::ptrdiff_t>(i), sections[i]);
        BOOST_CHECK_EQUAL(load(joined(twice)).status, Status::parcel_failed);
        Sections swapped = sections;
        std::swap(swapped[i], swapped[i + 1]);
        BOOST_CHECK_EQUAL(load(joined(swapped)).status, Status::parcel_failed);
    }
}

// What a wrong program could write, with checks that are right.
BOOST_AUTO_TEST_CASE(sound_bytes_that_say_what_cannot_be_are_refused) {
    using List = std::initializer_list<unsigned>;
    const auto body_of = [](std::string_view text, List numbers) {
        Bytes body;
        for (const char byte : text) body.push_back(static_cast<std::byte>(byte));
        for (const unsigned number : numbers) body.push_back(static_cast<std::byte>(number));
        return body;
    };
    // One snapshot, of which one part is another at a time.
    const auto status = [&](List record, List head = {1, 100, 50, 9, 9, 9}, unsigned records = 1) {
        const Bytes counters(3 + cause_count);
        const Bytes body = body_of("\4", record);
        Bytes state = counters;
        state.insert(state.end(), body.begin() + 1, body.end());
        Bytes end = body_of("\5", {records});
        put_fixed(end, xxh64(state), 8);
        Bytes bytes;
        seal_section(bytes, body_of("\1grantwheel", head));
        Bytes second = body_of("\3", {});
        second.insert(second.end(), counters.begin(), counters.end());
        seal_section(bytes, second);
        seal_section(bytes, body);
        seal_section(bytes, end);
        return load(bytes);
    };
    // The same with a section in between.
    const auto marked = [&](std::initializer_list<unsigned> tail, int times = 1) {
        Bytes bytes;
        seal_section(bytes, body_of("\1grantwheel", {1, 100, 50, 9, 9, 9}));
        Bytes mark = body_of("\2", {40});
        mark.resize(mark.size() + 16);
        for (const unsigned byte : tail) mark.push_back(static_cast<std::byte>(byte));
        for (int i = 0; i < times; ++i) seal_section(bytes, mark);
        const Bytes counters(3 + cause_count);
        Bytes second = body_of("\3", {});
        second.insert(second.end(), counters.begin(), counters.end());
        seal_section(bytes, second);
        Bytes end = body_of("\5", {0});
        put_fixed(end, xxh64(counters), 8);
        seal_section(bytes, end);
        return load(bytes);
    };
    BOOST_CHECK(marked({5, 0, 0, 0, 0, 0, 0, 0, 0}).engine != nullptr);
    BOOST_CHECK_EQUAL(marked({5, 0, 0, 0, 0, 0, 0, 0, 0}, 2).status, Status::parcel_failed);
    BOOST_CHECK_EQUAL(marked({5, 0, 0, 0, 0, 0, 0, 0}).status, Status::parcel_failed);
    BOOST_CHECK_EQUAL(marked({5, 0, 0, 0, 0, 0, 0, 0, 0, 0}).status, Status::parcel_failed);
    const auto refused = [&](List record) { return status(record).status == Status::parcel_failed; };
    // app, uid 5, pid 9, bundle, GPS, none persistent: 30 ms until 60, no reason
    BOOST_CHECK(status({1, 5, 9, 0, 32, 0, 30, 60, 0}).engine != nullptr);
    BOOST_CHECK(status({1, 5, 9, 0, 32, 32, 0, 0}).engine != nullptr);
    BOOST_CHECK(status({0, 9, 5, 100, 0, 1, 0, 30, 60, 0}).engine != nullptr);
    BOOST_CHECK(refused({0, 9, 5, 101, 0, 1, 0, 30, 60, 0}));       // applied after the snapshot
    BOOST_CHECK(refused({8, 9, 5, 7, 0, 1, 0, 30, 60, 0}));         // a level that there is not
    BOOST_CHECK(refused({3, 5, 9, 0, 32, 0, 30, 60, 0}));           // a level without CPU
    BOOST_CHECK(refused({0, 9, 5, 7, 0, 32, 0, 30, 60, 0}));        // GPS of a process
    BOOST_CHECK(refused({1, 5, 9, 0, 0, 0}));                       // nothing is held
    BOOST_CHECK(refused({1, 5, 9, 0, 32, 1, 30, 60, 0}));           // persistent, and not held
    BOOST_CHECK(refused({1, 5, 9, 0, 32, 0, 30, 49, 0}));           // before the first deadline
    BOOST_CHECK(refused({1, 5, 9, 0, 32, 0, 61, 60, 0}));           // a timeout from before time began
    BOOST_CHECK(refused({1, 5, 9, 0, 32, 0, 0, 60, 0}));            // no timeout
    BOOST_CHECK(refused({1, 5, 9, 2, 32, 0, 30, 60, 0}));           // a text that has not come
    BOOST_CHECK(refused({1, 5, 9, 1, 0, 32, 0, 30, 60, 0}));        // a text that is empty
    BOOST_CHECK(refused({1, 5, 9, 1, 1, 0xFF, 32, 0, 30, 60, 0}));  // not UTF-8
    BOOST_CHECK(status({1, 5, 9, 1, 1, 'a', 32, 0, 30, 60, 2, 1, 'b'}).engine != nullptr);
    BOOST_CHECK(refused({1, 5, 9, 1, 1, 'a', 32, 0, 30, 60, 2, 1, 'a'}));  // one text twice
    BOOST_CHECK(refused({1, 5, 9, 0, 32, 0, 30, 60, 0, 1}));               // half a record
    const List two{0, 9, 5, 7, 0, 1, 0, 30, 60, 0, 1, 5, 9, 0, 32, 0, 30, 60, 0};
    BOOST_CHECK(status(two, {1, 100, 50, 9, 9, 9}, 2).engine != nullptr);
    BOOST_CHECK_EQUAL(status(two).status, Status::parcel_failed);  // another number of records
    const auto refused_two = [&](List records) {
        return status(records, {1, 100, 50, 9, 9, 9}, 2).status == Status::parcel_failed;
    };
    BOOST_CHECK(
        refused_two({1, 5, 9, 0, 32, 0, 30, 60, 0, 0, 9, 5, 7, 0, 1, 0, 30, 60, 0}));        // an app before a process
    BOOST_CHECK(refused_two({1, 5, 9, 0, 32, 0, 30, 60, 0, 1, 4, 9, 0, 32, 0, 30, 60, 0}));  // descending
    BOOST_CHECK(refused_two({1, 5, 9, 0, 32, 0, 30, 60, 0, 1, 5, 9, 0, 32, 0, 30, 60, 0}));  // one twice
    BOOST_CHECK(refused({}));
    const List sound{1, 5, 9, 0, 32, 0, 30, 60, 0};
    BOOST_CHECK(status(sound, {3, 100, 50, 9, 9, 9}).is_newer);
    BOOST_CHECK(!status(sound, {1, 100, 101, 9, 9, 9}).is_newer);
    for (const List head :
         {List{1, 100, 101, 9, 9, 9}, List{1, 100, 50, 0, 9, 9}, List{1, 100, 50, 9, 9}, List{1, 100, 50, 9, 9, 9, 9}})
        BOOST_CHECK_EQUAL(status(sound, head).status, Status::parcel_failed);
}

BOOST_AUTO_TEST_CASE(a_state_that_does_not_fit_is_refused) {
    const auto engine = Engine::create({.event_capacity = 256});
    for (std::uint32_t uid = 0; uid < 5; ++uid) {
        const std::string reason = "reason " + std::to_string(uid);
        const Command command{.is_persist = true, .mask = GPS, .uid = uid, .bundle = "bundle", .reason = reason};
        BOOST_REQUIRE_EQUAL(engine->execute(command, 0).status, Status::ok);
    }
    const Bytes bytes = joined(sections_of(*engine));
    BOOST_CHECK(load(bytes, {.max_records = 5, .max_strings = 6, .event_capacity = 1}).engine != nullptr);
    BOOST_CHECK_EQUAL(load(bytes, {.max_records = 4, .max_strings = 6}).status, Status::out_of_memory);
    BOOST_CHECK_EQUAL(load(bytes, {.max_records = 5, .max_strings = 5}).status, Status::out_of_memory);
    BOOST_CHECK(SnapshotReader::create({.max_records = 0}) == nullptr);
}

BOOST_AUTO_TEST_CASE(a_writer_does_not_mix_two_states) {
    const auto engine = Engine::create({.event_capacity = 256});
    BOOST_REQUIRE_EQUAL(engine->execute({.mask = GPS, .uid = 1, .timeout_ms = 9}, 0).status, Status::ok);
    Bytes out(max_section_bytes);
    for (const Command& command : {Command{.mask = GPS, .uid = 1, .timeout_ms = 9}, release(1, GPS)}) {
        const auto writer = SnapshotWriter::create(*engine);
        BOOST_REQUIRE_EQUAL(writer->write(out).status, Status::ok);
        BOOST_CHECK_EQUAL(writer->write(std::span(out).first(out.size() - 1)).status, Status::argument_invalid);
        BOOST_REQUIRE_EQUAL(engine->execute(command, 0).status, Status::ok);
        BOOST_CHECK_EQUAL(writer->write(out).status, Status::argument_invalid);
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
