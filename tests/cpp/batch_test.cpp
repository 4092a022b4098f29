// Batches as one op: rows there and back, bundles and longest timeouts, damage, and the same answers as row by row.
#include "grantwheel/batch.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "allocations.hpp"
#include "core/bits.hpp"
#include "grantwheel/manager.hpp"
#include "grantwheel/op.hpp"
#include "sealing.hpp"
#include "support.hpp"

namespace grantwheel::test {

namespace {

using Bytes = std::vector<std::byte>;

std::string row_in_words(const Command& command) {
    std::string text(command_name(command.kind));
    for (const std::uint32_t number : {command.mask, command.uid, command.pid, command.timeout_ms, command.capped})
        text += " " + std::to_string(number);
    for_each_type(command.capped,
                  [&](int type) { text += "/" + std::to_string(command.caps_ms[static_cast<std::size_t>(type)]); });
    return text.append(" ").append(command.bundle);
}

Bytes written(const BatchWriter& writer) {
    Bytes bytes(writer.size());
    REQUIRE_EQUAL_QUIETLY(writer.write(bytes), bytes.size());
    return bytes;
}

Command random_row(Random& random, bool is_apply, const std::vector<std::string>& bundles) {
    const std::size_t bundle = random.below(bundles.size());
    Command command{.kind = is_apply ? CommandKind::apply : CommandKind::release,
                    .mask = 1 + random.below32(ALL),
                    .uid = random.one_in(20) ? static_cast<std::uint32_t>(max_uid) : random.below32(1000),
                    .pid = random.one_in(20) ? static_cast<std::uint32_t>(max_pid) : random.below32(1000),
                    .timeout_ms = is_apply ? 1 + static_cast<std::uint32_t>(random.magnitude(31)) : 0,
                    .bundle = bundles[bundle]};
    // As rules have them: the same for all rows of a bundle, but now and then not.
    if (bundle % 2 == 0 || random.one_in(50)) {
        for (std::size_t type = 0; type < type_count; ++type)
            command.caps_ms[type] = static_cast<std::uint32_t>(1000 + type + bundle + (random.one_in(50) ? 7 : 0));
        if (is_apply && random.one_in(2)) command.capped = 1 + random.below32(ALL);
    }
    REQUIRE_EQUAL_QUIETLY(Manager::check(command), Status::ok);
    return command;
}

std::vector<std::string> some_bundles(std::size_t count) {
    std::vector<std::string> bundles{"", std::string(max_text_bytes, 'b'), "\xC3\xA4"};
    for (std::size_t i = 0; i < count; ++i) bundles.push_back("com.example.app" + std::to_string(i));
    return bundles;
}

// A batch of these bytes behind a right check: flags, rows, bundles, then what follows.
Status status_of_batch(std::initializer_list<unsigned> bytes) {
    Bytes body{std::byte{1}, std::byte{254}, std::byte{5}};
    for (const unsigned byte : bytes) body.push_back(static_cast<std::byte>(byte));
    return decode(sealed_op(body)).status;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(batch)

BOOST_AUTO_TEST_CASE(rows_come_back_as_they_went) {
    const auto writer = BatchWriter::create();
    BOOST_REQUIRE(writer != nullptr);
    const std::vector<std::string> bundles = some_bundles(6000);  // more than are looked for by their place
    for (const std::uint64_t seed : {61u, 62u, 63u, 64u}) {
        Random random(seed);
        const bool is_apply = random.one_in(2);
        const std::size_t count = 1 + random.below(seed == 64 ? 20'000 : 300);
        writer->begin(is_apply, 1000 + seed);
        std::vector<std::string> expected;
        for (std::size_t i = 0; i < count; ++i) {
            const Command row = random_row(random, is_apply, bundles);
            REQUIRE_EQUAL_QUIETLY(writer->add(row), Status::ok);
            expected.push_back(row_in_words(row));
        }
        BOOST_CHECK_EQUAL(writer->count(), count);
        const Bytes bytes = written(*writer);
        const Decoded decoded = decode(bytes);
        BOOST_REQUIRE_EQUAL(decoded.status, Status::ok);
        BOOST_CHECK_EQUAL(decoded.size, bytes.size());
        BOOST_CHECK(decoded.op.kind == OpKind::batch);
        BOOST_CHECK_EQUAL(decoded.op.now, 1000 + seed);
        BOOST_CHECK_EQUAL(decoded.op.rows.is_apply(), is_apply);
        BOOST_REQUIRE_EQUAL(decoded.op.rows.size(), count);
        for (std::size_t i = 0; i < count; ++i) {
            REQUIRE_EQUAL_QUIETLY(row_in_words(decoded.op.rows[i]), expected[i]);
            REQUIRE_EQUAL_QUIETLY(Manager::check(decoded.op.rows[i]), Status::ok);
        }
    }
}

BOOST_AUTO_TEST_CASE(a_bundle_stands_there_once_and_no_key_changes_the_bytes) {
    const std::string bundle(500, 'b');
    const std::string same = bundle;
    Bytes bytes[2];
    for (std::size_t i = 0; i < 2; ++i) {
        const auto writer = BatchWriter::create(i == 0 ? HashKey{} : HashKey{{12, 34}});
        writer->begin(true, 7);
        for (std::uint32_t uid = 0; uid < 40; ++uid) {
            const Command row{.mask = GPS, .uid = uid, .timeout_ms = 9, .bundle = uid % 2 == 0 ? bundle : same};
            BOOST_REQUIRE_EQUAL(writer->add(row), Status::ok);
        }
        bytes[i] = written(*writer);
    }
    BOOST_CHECK(bytes[0] == bytes[1]);
    BOOST_CHECK_LT(bytes[0].size(), 40u * 20 + 600);
}

BOOST_AUTO_TEST_CASE(a_batch_that_does_not_fit_is_not_written) {
    const auto writer = BatchWriter::create();
    writer->begin(true, 7);
    BOOST_REQUIRE_EQUAL(writer->add({.mask = GPS, .uid = 1, .timeout_ms = 9, .bundle = "b"}), Status::ok);
    Bytes bytes(writer->size() - 1, std::byte{0xEE});
    BOOST_CHECK_EQUAL(writer->write(bytes), 0u);
    BOOST_CHECK(std::all_of(bytes.begin(), bytes.end(), [](std::byte byte) { return byte == std::byte{0xEE}; }));
}

BOOST_AUTO_TEST_CASE(every_allocation_of_a_writer_may_fail) {
    const std::vector<std::string> bundles = some_bundles(30);
    std::vector<Command> rows;
    Random random(67);
    for (int i = 0; i < 200; ++i) rows.push_back(random_row(random, true, bundles));
    const auto usual = BatchWriter::create();
    usual->begin(true, 7);
    for (const Command& row : rows) BOOST_REQUIRE_EQUAL(usual->add(row), Status::ok);
    const Bytes expected = written(*usual);
    for (std::size_t passed = 0;; ++passed) {
        std::unique_ptr<BatchWriter> writer;
        std::size_t refused = 0;
        bool happened = false;
        {
            const FailingAllocation failing(passed);
            writer = BatchWriter::create();
            if (writer != nullptr) writer->begin(true, 7);
            for (std::size_t i = 0; writer != nullptr && i < rows.size(); ++i) {
                const Status status = writer->add(rows[i]);
                if (status == Status::ok) continue;
                ++refused;
                --i;  // the next time there is memory
            }
            happened = FailingAllocation::happened();
        }
        if (writer == nullptr) continue;
        REQUIRE_EQUAL_QUIETLY(refused, happened ? 1u : 0u);
        REQUIRE_EQUAL_QUIETLY(decode(written(*writer)).op.rows.size(), rows.size());
        if (happened) continue;
        BOOST_CHECK(written(*writer) == expected);
        break;
    }
}

BOOST_AUTO_TEST_CASE(whatever_byte_is_damaged_or_missing_is_noticed) {
    const auto writer = BatchWriter::create();
    const std::vector<std::string> bundles = some_bundles(3);
    Random random(65);
    writer->begin(true, 7);
    for (int i = 0; i < 12; ++i) BOOST_REQUIRE_EQUAL(writer->add(random_row(random, true, bundles)), Status::ok);
    Bytes bytes = written(*writer);
    for (std::size_t size = 0; size < bytes.size(); ++size)
        REQUIRE_EQUAL_QUIETLY(decode(std::span(bytes).first(size)).status, Status::parcel_failed);
    for (std::byte& byte : bytes) {
        const auto change = static_cast<std::byte>(1 + random.below(255));
        byte ^= change;
        REQUIRE_EQUAL_QUIETLY(decode(bytes).status, Status::parcel_failed);
        byte ^= change;
    }
    // Behind a right check anything is refused, or may be executed.
    const Bytes body(bytes.begin() + 4, bytes.end() - 4);
    for (int i = 0; i < 20'000; ++i) {
        Bytes other = body;
        for (std::uint64_t n = 1 + random.below(3); n != 0; --n)
            other[random.below(random.one_in(2) ? 20 : other.size())] = static_cast<std::byte>(random.below(256));
        if (random.one_in(4)) other.resize(random.below(other.size() + 1));
        const Bytes sealed = sealed_op(other);
        const Decoded decoded = decode(sealed);
        if (decoded.status != Status::ok || decoded.op.kind != OpKind::batch) continue;
        for (std::size_t row = 0; row < decoded.op.rows.size(); ++row)
            REQUIRE_EQUAL_QUIETLY(Manager::check(decoded.op.rows[row]), Status::ok);
    }
}

BOOST_AUTO_TEST_CASE(sound_bytes_that_say_what_cannot_be_are_refused) {
    const auto one = [](unsigned flags, std::initializer_list<unsigned> row, std::initializer_list<unsigned> rest,
                        unsigned bundles = 1) {
        std::vector<unsigned> bytes{flags, 1, 0, 0, 0, bundles, 0, 0, 0};
        bytes.insert(bytes.end(), row);
        bytes.insert(bytes.end(), rest);
        Bytes body{std::byte{1}, std::byte{254}, std::byte{5}};
        for (const unsigned byte : bytes) body.push_back(static_cast<std::byte>(byte));
        return decode(sealed_op(body)).status;
    };
    using List = std::initializer_list<unsigned>;
    // uid 7, pid 9, 60 ms, bundle 1, GPS, capped GPS; the bundle: 8 bytes, GPS at most 30 ms, "ab"
    const List row{7, 0, 0, 0, 9, 0, 0, 0, 60, 0, 0, 0, 1, 0, 0, 0, 32, 0, 32, 0};
    const List bundle{8, 0, 0, 0, 32, 0, 30, 0, 0, 0, 'a', 'b'};
    BOOST_CHECK_EQUAL(one(1, row, bundle), Status::ok);
    BOOST_CHECK_EQUAL(one(2, row, bundle), Status::parcel_failed);     // a flag that there is not
    BOOST_CHECK_EQUAL(one(0, row, bundle), Status::parcel_failed);     // a release with a longest timeout
    BOOST_CHECK_EQUAL(one(1, row, bundle, 2), Status::parcel_failed);  // half a bundle
    BOOST_CHECK_EQUAL(one(1, row, {}, 0), Status::parcel_failed);      // a bundle that there is not
    BOOST_CHECK_EQUAL(one(1, row, {9, 0, 0, 0, 32, 0, 30, 0, 0, 0, 'a', 'b'}), Status::parcel_failed);
    BOOST_CHECK_EQUAL(one(1, row, {8, 0, 0, 0, 32, 0, 0, 0, 0, 0, 'a', 'b'}), Status::parcel_failed);    // no timeout
    BOOST_CHECK_EQUAL(one(1, row, {8, 0, 0, 0, 32, 2, 30, 0, 0, 0, 'a', 'b'}), Status::parcel_failed);   // no such type
    BOOST_CHECK_EQUAL(one(1, row, {8, 0, 0, 0, 32, 0, 30, 0, 0, 0, 'a', 0xFF}), Status::parcel_failed);  // not UTF-8
    BOOST_CHECK_EQUAL(one(1, row, {8, 0, 0, 0, 64, 0, 30, 0, 0, 0, 'a', 'b'}), Status::parcel_failed);   // not for GPS
    const auto with = [&](std::size_t at, unsigned value) {
        std::vector<unsigned> bytes(row);
        bytes[at] = value;
        std::vector<unsigned> all{1, 1, 0, 0, 0, 1, 0, 0, 0};
        all.insert(all.end(), bytes.begin(), bytes.end());
        all.insert(all.end(), bundle);
        Bytes body{std::byte{1}, std::byte{254}, std::byte{5}};
        for (const unsigned byte : all) body.push_back(static_cast<std::byte>(byte));
        return decode(sealed_op(body)).status;
    };
    BOOST_CHECK_EQUAL(with(7, 0x80), Status::parcel_failed);  // a pid above all
    BOOST_CHECK_EQUAL(with(8, 0), Status::parcel_failed);     // no timeout
    BOOST_CHECK_EQUAL(with(12, 2), Status::parcel_failed);    // another bundle
    BOOST_CHECK_EQUAL(with(16, 0), Status::parcel_failed);    // no type
    BOOST_CHECK_EQUAL(with(17, 2), Status::parcel_failed);    // one that there is not
    BOOST_CHECK_EQUAL(with(0, 8), Status::ok);
    BOOST_CHECK_EQUAL(status_of_batch({1, 0, 0, 0, 0, 0, 0, 0, 0}), Status::parcel_failed);  // no row
    BOOST_CHECK_EQUAL(status_of_batch({1, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0}), Status::parcel_failed);
    BOOST_CHECK_EQUAL(status_of_batch({}), Status::parcel_failed);
}

BOOST_AUTO_TEST_CASE(many_requests_are_as_many_calls_and_their_log_is_the_same) {
    const auto make = [] {
        auto manager = Manager::create({.max_records = 300, .event_capacity = 65'536});
        auto policy = Policy::create();
        for (std::uint32_t i = 0; i < 20; ++i) {
            const std::string bundle = "bundle " + std::to_string(i);
            BundleRule rule{.allowed = i % 7 == 0 ? 0 : ALL & ~Mask{i}};
            if (i % 3 == 0) rule.timeout_max_ms[5] = 40;
            REQUIRE_EQUAL_QUIETLY(policy->set_rule(bundle, rule), Status::ok);
            for (std::uint32_t uid = i; uid < 400; uid += 20) {
                const Caller caller{.bundle = bundle, .system_app = true};
                REQUIRE_EQUAL_QUIETLY(policy->set_caller(uid, caller), Status::ok);
            }
        }
        REQUIRE_EQUAL_QUIETLY(manager->set_policy(std::move(policy)), Status::ok);
        return manager;
    };
    const auto one_by_one = make();
    const auto at_once = make();
    const auto replayed = make();
    const auto writer = BatchWriter::create();
    Random random(66);
    Instant now = 0;
    for (int step = 0; step < 200; ++step, now += random.below(30)) {
        const std::size_t count = random.below(random.one_in(8) ? 400 : 60);
        std::vector<std::int64_t> uids(count);
        std::vector<std::uint32_t> pids(count);
        std::vector<std::int32_t> masks(count);
        std::vector<std::uint64_t> timeouts(count);
        for (std::size_t i = 0; i < count; ++i) {
            uids[i] = random.one_in(30) ? -1 : static_cast<std::int64_t>(random.below(400));
            pids[i] = random.below32(9);
            masks[i] = random.one_in(30) ? -5 : static_cast<std::int32_t>(random.below(600));
            timeouts[i] = random.one_in(30) ? UINT64_MAX : random.below(90);
        }
        const Requests rows{.is_apply = !random.one_in(4),
                            .count = count,
                            .uids = {uids.data(), 8, Integer::int64},
                            .pids = Column(pids),
                            .masks = {masks.data(), 4, Integer::int32},
                            .timeouts_ms = {timeouts.data(), 8, Integer::uint64}};
        std::vector<Result> results(count);
        BOOST_REQUIRE_EQUAL(at_once->request_many(rows, now, results), Status::ok);
        writer->begin(rows.is_apply, now);
        for (std::size_t i = 0; i < count; ++i) {
            Request request{.mask = static_cast<Mask>(masks[i]), .is_apply = rows.is_apply, .timeout_ms = timeouts[i]};
            if (!rows.is_apply) request.timeout_ms = 0;
            const Admission admission = one_by_one->admit(one_by_one->caller(uids[i], pids[i]), request, now);
            if (admission.status == Status::ok) REQUIRE_EQUAL_QUIETLY(writer->add(admission.command), Status::ok);
            const Result expected = one_by_one->execute(admission, now);
            REQUIRE_EQUAL_QUIETLY(results[i].status, expected.status);
            REQUIRE_EQUAL_QUIETLY(results[i].mask, expected.mask);
        }
        if (writer->count() == 0) continue;
        const Bytes bytes = written(*writer);
        const Decoded decoded = decode(bytes);
        BOOST_REQUIRE_EQUAL(decoded.status, Status::ok);
        BOOST_REQUIRE_EQUAL(replay(replayed->engine(), decoded.op).status, Status::ok);
    }
    BOOST_CHECK_GT(at_once->engine().last_sequence(), 500u);
    std::vector<Event> events(at_once->engine().last_sequence());
    for (const Manager* other : {one_by_one.get(), replayed.get()}) {
        BOOST_REQUIRE_EQUAL(other->engine().last_sequence(), events.size());
        std::vector<Event> others(events.size());
        BOOST_REQUIRE_EQUAL(at_once->engine().read(0, events).count, events.size());
        BOOST_REQUIRE_EQUAL(other->engine().read(0, others).count, events.size());
        for (std::size_t i = 0; i < events.size(); ++i) REQUIRE_EQUAL_QUIETLY(describe(others[i]), describe(events[i]));
    }
    const Instant earlier = at_once->engine().stats(now + 1000, *std::make_unique<Stats>()) == Status::ok ? now : 0;
    BOOST_CHECK_EQUAL(at_once->request_many({}, earlier, {}), Status::time_backwards);
}

// What follows a batch is none of its business.
BOOST_AUTO_TEST_CASE(rows_that_were_just_written_are_found_without_a_look) {
    const auto writer = BatchWriter::create();
    BOOST_REQUIRE(writer != nullptr);
    const std::vector<std::string> bundles = some_bundles(20);
    Random random(71);
    writer->begin(true, 123'456);
    for (int i = 0; i < 100; ++i) BOOST_REQUIRE_EQUAL(writer->add(random_row(random, true, bundles)), Status::ok);
    Bytes bytes = written(*writer);
    bytes.resize(bytes.size() + 17, std::byte{0xFF});
    const BatchRows found = written_rows(bytes);
    const BatchRows decoded = decode(bytes).op.rows;
    BOOST_REQUIRE_EQUAL(found.size(), decoded.size());
    BOOST_CHECK(found.is_apply());
    for (std::size_t i = 0; i < found.size(); ++i) {
        REQUIRE_EQUAL_QUIETLY(row_in_words(found[i]), row_in_words(decoded[i]));
    }
}

BOOST_AUTO_TEST_CASE(memory_that_is_lacking_for_any_row_is_told) {
    const auto writer = BatchWriter::create();
    BOOST_REQUIRE(writer != nullptr);
    const std::vector<std::string> bundles = some_bundles(3);
    writer->begin(true, 5);
    for (std::uint32_t uid = 0; uid < 3; ++uid) {
        const Command command{.mask = GPS, .uid = uid, .timeout_ms = 10, .bundle = bundles[3 + uid]};
        BOOST_REQUIRE_EQUAL(writer->add(command), Status::ok);
    }
    const Bytes group = written(*writer);
    std::size_t passed = 0;
    for (bool failed = true; failed; ++passed) {
        const auto engine = Engine::create({.event_capacity = 8});
        GroupResult result;
        {
            const FailingAllocation failing(passed);
            result = replay_group(*engine, group);
            failed = FailingAllocation::happened();
        }
        BOOST_CHECK_EQUAL(result.status, failed ? Status::out_of_memory : Status::ok);
    }
    BOOST_CHECK_GT(passed, 3u);
}

BOOST_AUTO_TEST_CASE(bundles_of_earlier_batches_take_no_memory) {
    const auto writer = BatchWriter::create();
    BOOST_REQUIRE(writer != nullptr);
    std::vector<std::string> bundles;
    for (int i = 0; i < 4000; ++i)
        bundles.push_back("a bundle that nobody else has, number " + std::to_string(10'000 + i));
    const auto write_some = [&](std::size_t first) {
        for (std::size_t i = first; i < first + 2000; ++i) {
            writer->begin(true, 5);
            const Command command{.mask = GPS, .uid = 1, .timeout_ms = 10, .bundle = bundles[i]};
            REQUIRE_EQUAL_QUIETLY(writer->add(command), Status::ok);
        }
    };
    write_some(0);
    const std::size_t asked = allocations();
    write_some(2000);
    BOOST_CHECK_EQUAL(allocations(), asked);
}

BOOST_AUTO_TEST_CASE(memory_that_is_lacking_for_a_command_is_told_too) {
    const Command command{.mask = GPS, .uid = 7, .timeout_ms = 10, .bundle = "mail", .reason = "sync"};
    Bytes group(max_op_bytes);
    group.resize(encode(command, 5, group));
    std::size_t passed = 0;
    for (bool failed = true; failed; ++passed) {
        const auto engine = Engine::create({.event_capacity = 8});
        GroupResult result;
        {
            const FailingAllocation failing(passed);
            result = replay_group(*engine, group);
            failed = FailingAllocation::happened();
        }
        BOOST_CHECK_EQUAL(result.status, failed ? Status::out_of_memory : Status::ok);
    }
    BOOST_CHECK_GT(passed, 1u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
