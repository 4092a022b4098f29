// Notes: beside a std::map, as bytes that cannot be, in snapshots that are cut anywhere, and through a gate.
#include "grantwheel/notes.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "allocations.hpp"
#include "gate_rig.hpp"
#include "sealing.hpp"
#include "states.hpp"
#include "support.hpp"

namespace grantwheel::test {

namespace {

using NoteMap = std::map<std::string, std::string, std::less<>>;
using WrittenNotes = std::map<std::string, std::optional<std::string>, std::less<>>;

std::vector<Note> as_notes(const WrittenNotes& changes) {
    std::vector<Note> notes;
    for (const auto& [key, value] : changes) {
        notes.push_back({key, value ? std::string_view(*value) : std::string_view(), value.has_value()});
    }
    return notes;
}

NoteMap notes_of(const Engine& engine) {
    NoteMap notes;
    std::string last;
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < engine.note_count(); ++i) {
        const Note note = engine.note(i);
        REQUIRE_QUIETLY(note.has_value && note.key > last);
        last = note.key;
        bytes += note.key.size() + note.value.size();
        notes.emplace(note.key, note.value);
    }
    REQUIRE_EQUAL_QUIETLY(bytes, engine.note_bytes());
    return notes;
}

Status write(Engine& engine, const WrittenNotes& changes) {
    return engine.write_notes(as_notes(changes), engine.now());
}

WrittenNotes random_changes(Random& random, std::uint64_t keys) {
    WrittenNotes changes;
    for (std::uint64_t left = 1 + random.magnitude(5); left != 0; --left) {
        std::string key = std::to_string(random.below(keys));
        if (random.one_in(9)) key.resize(max_note_key_bytes, '\xFF');
        auto& value = changes[key];
        if (!random.one_in(3)) value = std::string(random.magnitude(10), static_cast<char>(random.below(256)));
    }
    return changes;
}

std::vector<std::byte> op_of_notes(const std::vector<Note>& notes, Instant now) {
    std::vector<std::byte> bytes(notes_size(notes, now));
    REQUIRE_EQUAL_QUIETLY(encode_notes(notes, now, bytes), bytes.size());
    return bytes;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(notes)

BOOST_AUTO_TEST_CASE(they_are_what_a_map_is) {
    for (const std::uint64_t seed : {101u, 102u, 103u}) {
        BOOST_TEST_CONTEXT("seed " << seed) {
            Random random(seed);
            const auto engine = Engine::create({.event_capacity = 4});
            const auto follower = Engine::create({.event_capacity = 4});
            NoteMap model;
            for (int i = 0; i < 600; ++i) {
                const WrittenNotes changes = random_changes(random, 1 + random.magnitude(9));
                REQUIRE_EQUAL_QUIETLY(write(*engine, changes), Status::ok);
                for (const auto& [key, value] : changes) {
                    model.erase(key);
                    if (value) model.emplace(key, *value);
                }
                REQUIRE_QUIETLY(notes_of(*engine) == model);
                check_valid(*engine);
                const auto bytes = op_of_notes(as_notes(changes), engine->now());
                REQUIRE_EQUAL_QUIETLY(replay_group(*follower, bytes).status, Status::ok);
            }
            BOOST_CHECK(notes_of(*follower) == model);
            BOOST_CHECK_EQUAL(state_of(*follower), state_of(*engine));
            const auto twin = loaded(everything_of(*engine));
            BOOST_REQUIRE(twin != nullptr);
            BOOST_CHECK(notes_of(*twin) == model);
            BOOST_CHECK_EQUAL(engine->last_sequence(), 0u);
        }
    }
}

BOOST_AUTO_TEST_CASE(changes_that_are_not_sound_are_refused) {
    const auto engine = Engine::create({.event_capacity = 4});
    const std::string key(max_note_key_bytes + 1, 'k');
    const std::string value(max_note_value_bytes + 1, 'v');
    const std::vector<std::vector<Note>> wrong{{},
                                               {{"", "v"}},
                                               {{key, "v"}},
                                               {{"a", value}},
                                               {{"a", "v"}, {"a", "w"}},
                                               {{"b", "v"}, {"a", "w"}},
                                               {{"\x7F", "v"}, {"\x80", "w"}, {"\x01", "x"}},
                                               std::vector<Note>(max_notes + 1, {"a", "v"})};
    for (const std::vector<Note>& each : wrong) {
        BOOST_CHECK_EQUAL(engine->write_notes(each, 5), Status::argument_invalid);
    }
    BOOST_CHECK_EQUAL(engine->note_count(), 0u);
    BOOST_CHECK_EQUAL(engine->now(), 0u);
    const std::vector<Note> right{{"\x7F", "v"}, {"\x80", std::string_view(value).substr(1)}, {"\xFF", {}, false}};
    BOOST_CHECK_EQUAL(engine->write_notes(right, 5), Status::ok);
    BOOST_CHECK_EQUAL(engine->now(), 5u);
    BOOST_CHECK_EQUAL(engine->write_notes(right, 4), Status::time_backwards);
}

BOOST_AUTO_TEST_CASE(a_write_that_reaches_a_limit_changes_nothing_in_every_replay) {
    const auto engine = Engine::create({.event_capacity = 4});
    const std::string value(max_note_value_bytes - 8, 'v');
    WrittenNotes changes;
    for (std::size_t i = 0; i < max_notes_bytes / max_note_value_bytes; ++i) {
        changes[std::to_string(10'000'000 + i)] = value;
    }
    BOOST_REQUIRE_EQUAL(write(*engine, changes), Status::ok);
    BOOST_CHECK_EQUAL(engine->note_bytes(), max_notes_bytes);
    const std::uint64_t before = state_of(*engine);
    const std::string longer = value + "12345678";
    const std::vector<Note> more{{"10000000", {}, false}, {"10000001", longer}, {"x", value}};
    BOOST_CHECK_EQUAL(engine->write_notes(more, 0), Status::out_of_memory);
    BOOST_CHECK(!engine->lacked_memory());
    BOOST_CHECK_EQUAL(state_of(*engine), before);
    BOOST_CHECK_EQUAL(replay_group(*engine, op_of_notes(more, 0)).status, Status::ok);
    BOOST_CHECK_EQUAL(state_of(*engine), before);
    check_valid(*engine);
    BOOST_CHECK_EQUAL(write(*engine, {{"10000000", std::nullopt}, {"x", value + "1234567"}}), Status::ok);
    BOOST_CHECK_EQUAL(engine->note_bytes(), max_notes_bytes);
}

BOOST_AUTO_TEST_CASE(every_allocation_of_a_write_may_fail) {
    const auto engine = Engine::create({.event_capacity = 4});
    const std::vector<Note> changes{{"a", "1"}, {"b", "2"}, {"c", {}, false}};
    {
        const FailingAllocation failing(0);  // the places, which are taken once
        BOOST_CHECK_EQUAL(engine->write_notes(changes, 0), Status::out_of_memory);
    }
    BOOST_CHECK(engine->lacked_memory());
    BOOST_REQUIRE(engine->prepare_notes(changes) != nullptr);
    std::size_t failures = 0;
    for (;; ++failures) {
        const FailingAllocation failing(failures);
        const Status status = engine->write_notes(changes, 0);
        if (!FailingAllocation::happened()) {
            BOOST_CHECK_EQUAL(status, Status::ok);
            break;
        }
        REQUIRE_EQUAL_QUIETLY(status, Status::out_of_memory);
        REQUIRE_QUIETLY(engine->lacked_memory());
        REQUIRE_EQUAL_QUIETLY(engine->note_count(), 0u);
        REQUIRE_EQUAL_QUIETLY(replay_group(*engine, op_of_notes(changes, 0)).status, Status::ok);
        REQUIRE_EQUAL_QUIETLY(engine->write_notes(std::vector<Note>{{"a", {}, false}, {"b", {}, false}}, 0),
                              Status::ok);
    }
    BOOST_CHECK_GE(failures, 6u);  // parts, their array, three blocks, the write
    const auto written = engine->prepare_notes(changes);
    BOOST_REQUIRE(written != nullptr);
    const std::size_t before = allocations();
    const Status status = engine->write_notes(*written, 0);
    const std::size_t after = allocations();
    BOOST_CHECK_EQUAL(status, Status::ok);
    BOOST_CHECK_EQUAL(after, before);
}

BOOST_AUTO_TEST_CASE(ops_of_notes_that_cannot_be_are_refused) {
    const auto status = [](std::initializer_list<unsigned> tail, std::size_t zeros = 0) {
        std::vector<std::byte> body{std::byte{1}, std::byte{250}, std::byte{7}};
        for (const unsigned byte : tail) body.push_back(static_cast<std::byte>(byte));
        body.resize(body.size() + zeros);
        return decode(sealed_op(body)).status;
    };
    BOOST_CHECK_EQUAL(status({1, 1, 'a', 0}), Status::ok);
    BOOST_CHECK_EQUAL(status({2, 1, 'a', 2, 'v', 1, 'b', 1}), Status::ok);
    BOOST_CHECK_EQUAL(status({0}), Status::parcel_failed);                          // none
    BOOST_CHECK_EQUAL(status({1}), Status::parcel_failed);                          // none of one
    BOOST_CHECK_EQUAL(status({1, 0, 0}), Status::parcel_failed);                    // an empty key
    BOOST_CHECK_EQUAL(status({1, 2, 'a'}), Status::parcel_failed);                  // half a key
    BOOST_CHECK_EQUAL(status({1, 1, 'a'}), Status::parcel_failed);                  // no number
    BOOST_CHECK_EQUAL(status({1, 1, 'a', 3, 'v'}), Status::parcel_failed);          // half a value
    BOOST_CHECK_EQUAL(status({1, 1, 'a', 0, 'v'}), Status::parcel_failed);          // something behind it
    BOOST_CHECK_EQUAL(status({1, 1, 'a', 0x82, 0, 'v'}), Status::parcel_failed);    // 2 in two bytes
    BOOST_CHECK_EQUAL(status({2, 1, 'a', 0, 1, 'a', 0}), Status::parcel_failed);    // twice
    BOOST_CHECK_EQUAL(status({2, 1, 'b', 0, 1, 'a', 0}), Status::parcel_failed);    // descending
    BOOST_CHECK_EQUAL(status({2, 1, 0x80, 0, 1, 0x7F, 0}), Status::parcel_failed);  // the same beyond ASCII
    BOOST_CHECK_EQUAL(status({2, 1, 'a', 0, 2, 'a', 'a', 0}), Status::ok);          // a longer one
    BOOST_CHECK_EQUAL(status({1, 1, 'a', 0x81, 0x80, 4}, 1 << 16), Status::ok);     // 65,536 bytes
    BOOST_CHECK_EQUAL(status({1, 1, 'a', 0x82, 0x80, 4}, (1 << 16) + 1), Status::parcel_failed);
    BOOST_CHECK_EQUAL(status({0x81, 0x80, 4}, 1 << 18), Status::parcel_failed);  // 65,537 of them
}

// Notes of such sizes that the cuts between sections lie at every place of one.
BOOST_AUTO_TEST_CASE(a_snapshot_is_cut_anywhere) {
    const std::string value(std::size_t{1} << 14, 'v');
    for (std::size_t size = value.size() - 2 * 266; size < value.size(); size += size % 7 == 0 ? 1 : 5) {
        const auto engine = Engine::create({.event_capacity = 4});
        const std::vector<Note> changes{{"a", std::string_view(value).substr(0, size)},
                                        {std::string_view(value).substr(0, max_note_key_bytes), value},
                                        {"w", ""}};
        REQUIRE_EQUAL_QUIETLY(engine->write_notes(changes, 3), Status::ok);
        REQUIRE_EQUAL_QUIETLY(engine->execute(timed(5, GPS, 100), 3).status, Status::ok);
        const auto bytes = everything_of(*engine);
        const auto twin = loaded(bytes, {.event_capacity = 4});
        REQUIRE_QUIETLY(twin != nullptr);
        check_valid(*twin);
        REQUIRE_QUIETLY(notes_of(*twin) == notes_of(*engine));
        REQUIRE_QUIETLY(everything_of(*twin) == bytes);
    }
}

BOOST_AUTO_TEST_CASE(every_allocation_of_a_load_with_notes_may_fail) {
    const auto engine = Engine::create({.event_capacity = 4});
    BOOST_REQUIRE_EQUAL(write(*engine, {{"a", std::string(40'000, 'v')}, {"b", "1"}}), Status::ok);
    const auto bytes = everything_of(*engine);
    for (std::size_t passed = 0;; ++passed) {
        std::unique_ptr<Engine> made;
        bool happened = false;
        {
            const FailingAllocation failing(passed);
            const auto reader = SnapshotReader::create({.event_capacity = 4});
            std::span<const std::byte> rest = bytes;
            for (SectionRead read; reader != nullptr && !read.done; rest = rest.subspan(read.size)) {
                read = reader->read(rest);
                if (read.status != Status::ok) break;
            }
            if (reader != nullptr) made = reader->take();
            happened = FailingAllocation::happened();
        }
        REQUIRE_EQUAL_QUIETLY(made == nullptr, happened);
        if (!happened) {
            BOOST_CHECK(notes_of(*made) == notes_of(*engine));
            BOOST_CHECK_GT(passed, 8u);
            break;
        }
    }
}

BOOST_AUTO_TEST_CASE(a_write_changes_the_state_under_a_writer_of_it) {
    const auto engine = Engine::create({.event_capacity = 4});
    BOOST_REQUIRE_EQUAL(write(*engine, {{"a", "1"}}), Status::ok);
    const auto writer = SnapshotWriter::create(*engine);
    std::vector<std::byte> out(max_section_bytes);
    BOOST_REQUIRE_EQUAL(writer->write(out).status, Status::ok);
    BOOST_REQUIRE_EQUAL(write(*engine, {{"a", "1"}}), Status::ok);
    BOOST_CHECK_EQUAL(writer->write(out).status, Status::argument_invalid);
}

// What a wrong program could write, with checks that are right.
BOOST_AUTO_TEST_CASE(sections_of_notes_that_cannot_be_are_refused) {
    using Body = std::vector<std::byte>;
    const auto engine = Engine::create({.event_capacity = 256});
    BOOST_REQUIRE_EQUAL(write(*engine, {{"a", std::string(20'000, 'v')}, {"b", "1"}}), Status::ok);
    BOOST_REQUIRE_EQUAL(engine->execute(timed(5, GPS, 100), 0).status, Status::ok);
    const auto bytes = everything_of(*engine);
    std::vector<Body> bodies;
    for (std::span<const std::byte> rest = bytes; !rest.empty();) {
        const auto size = static_cast<std::size_t>(rest[0]) | static_cast<std::size_t>(rest[1]) << 8;
        bodies.emplace_back(rest.begin() + 4, rest.begin() + 4 + static_cast<std::ptrdiff_t>(size));
        rest = rest.subspan(size + 12);
    }
    BOOST_REQUIRE_EQUAL(bodies.size(), 6u);  // head, counters, two of notes, records, end
    // The hash of the end is made right again, so that nothing else is wrong.
    const auto is_taken = [](std::vector<Body> changed) {
        Body state;
        for (const Body& body : changed) {
            const auto kind = static_cast<int>(body[0]);
            if (kind == 3 || kind == 4 || kind == 6) state.insert(state.end(), body.begin() + 1, body.end());
        }
        changed.back().resize(2);
        put_fixed(changed.back(), xxh64(state), 8);
        Body sealed;
        for (const Body& body : changed) seal_section(sealed, body);
        return loaded(sealed) != nullptr;
    };
    const auto with_notes = [&](const Body& notes) {
        std::vector<Body> changed = bodies;
        changed.erase(changed.begin() + 2);
        changed[2].assign(1, std::byte{6});
        changed[2].insert(changed[2].end(), notes.begin(), notes.end());
        return is_taken(changed);
    };
    const auto of = [](std::initializer_list<unsigned> list) {
        Body body;
        for (const unsigned byte : list) body.push_back(static_cast<std::byte>(byte));
        return body;
    };
    BOOST_CHECK(is_taken(bodies));
    BOOST_CHECK(with_notes(of({1, 'a', 1})));
    BOOST_CHECK(with_notes(of({1, 'a', 2, 'v', 1, 'b', 1})));
    BOOST_CHECK(!with_notes(of({})));                      // none
    BOOST_CHECK(!with_notes(of({1, 'a', 0})));             // one that has gone
    BOOST_CHECK(!with_notes(of({0, 1})));                  // an empty key
    BOOST_CHECK(!with_notes(of({1, 'b', 1, 1, 'a', 1})));  // descending
    BOOST_CHECK(!with_notes(of({1, 'a', 1, 1, 'a', 1})));  // twice
    BOOST_CHECK(!with_notes(of({1, 'a', 3, 'v'})));        // cut short
    BOOST_CHECK(!with_notes(of({1, 'a', 0x82, 0, 'v'})));  // 2 in two bytes
    const auto without = [&](std::size_t place) {
        std::vector<Body> changed = bodies;
        changed.erase(changed.begin() + static_cast<std::ptrdiff_t>(place));
        return is_taken(changed);
    };
    for (const std::size_t place : {0u, 1u, 2u, 3u}) BOOST_CHECK(!without(place));
    std::vector<Body> changed = bodies;
    changed.erase(changed.begin() + 2, changed.begin() + 4);
    BOOST_CHECK(!is_taken(changed));  // a version with notes, and none
    changed[0][11] = std::byte{1};
    BOOST_CHECK(is_taken(changed));
    changed = bodies;
    changed[0][11] = std::byte{1};
    BOOST_CHECK(!is_taken(changed));  // a version without them
    changed = bodies;
    std::swap(changed[3], changed[4]);
    BOOST_CHECK(!is_taken(changed));  // behind the records
    changed = bodies;
    changed.insert(changed.begin() + 4, changed[3]);
    BOOST_CHECK(!is_taken(changed));  // one more behind the last
    changed = bodies;
    const std::byte moved = changed[2].back();
    changed[2].pop_back();
    changed[3].insert(changed[3].begin() + 1, moved);
    BOOST_CHECK(!is_taken(changed));  // cut at another place
    BOOST_REQUIRE_EQUAL(changed[3][1] == moved, true);
    changed = bodies;
    changed[2].push_back(changed[3][1]);
    changed[3].erase(changed[3].begin() + 1);
    BOOST_CHECK(!is_taken(changed));
    const Body endless(std::size_t{1} << 14, std::byte{255});  // a key, and a number that does not end
    changed = bodies;
    changed[2].resize(1);
    changed[2].insert(changed[2].end(), endless.begin(), endless.end());
    changed.insert(changed.begin() + 3, 5, changed[2]);
    BOOST_CHECK(!is_taken(changed));
}

BOOST_AUTO_TEST_CASE(a_gate_writes_them_as_it_does_all_else) {
    const std::vector<Note> changes{{"a", "1"}, {"b", "2"}};
    const std::vector<Note> others{{"a", {}, false}, {"c", "3"}};
    for (const GateOptions& options :
         {GateOptions{}, GateOptions{.own_thread = true}, GateOptions{.is_behind = true}}) {
        GateRig rig({.event_capacity = 64}, options);
        const auto notes_there = [&] {
            NoteMap found;
            const auto look = [&](const Engine& engine, Instant) { found = notes_of(engine); };
            REQUIRE_EQUAL_QUIETLY(rig->read_all(look), Status::ok);
            return found;
        };
        BOOST_CHECK_EQUAL(rig.apply(10, 1000).status, Status::ok);
        BOOST_CHECK_EQUAL(rig->write_notes(changes).status, Status::ok);
        BOOST_CHECK_EQUAL(rig->write_notes(std::vector<Note>{}).status, Status::argument_invalid);
        BOOST_CHECK((notes_there() == NoteMap{{"a", "1"}, {"b", "2"}}));
        if (!options.is_behind) {
            rig.log.then({Appended::not_appended, false});
            BOOST_CHECK_EQUAL(rig->write_notes(others).status, Status::transaction_failed);
            BOOST_CHECK((notes_there() == NoteMap{{"a", "1"}, {"b", "2"}}));
        }
        BOOST_CHECK(rig->flush());
        Staged staged;
        {
            const std::lock_guard lock(*rig);
            BOOST_REQUIRE_EQUAL(rig->enter(20), Status::ok);
            staged = rig->stage_notes(others);
            BOOST_CHECK_EQUAL(rig->log_figures().waiting_ops, 1u);
            BOOST_CHECK_EQUAL(rig->log_figures().waiting_changes, 1u);
        }
        BOOST_REQUIRE_EQUAL(staged.status, Status::ok);
        if (!staged.is_answered()) staged.answer = rig->await(staged.ticket);
        BOOST_CHECK_EQUAL(staged.answer.status, Status::ok);
        BOOST_CHECK((notes_there() == NoteMap{{"b", "2"}, {"c", "3"}}));
        BOOST_CHECK(rig->flush());
        rig.check_log();
        const auto follower = Engine::create({.event_capacity = 64});
        for (const auto& group : rig.log.groups()) {
            REQUIRE_EQUAL_QUIETLY(replay_group(*follower, group).status, Status::ok);
        }
        BOOST_CHECK(notes_of(*follower) == notes_there());
        BOOST_CHECK_EQUAL(rig->close(), Status::ok);
        BOOST_CHECK_EQUAL(rig->write_notes(changes).status, Status::not_connected);
    }
    const auto alone = Gate::create(Manager::create({}));
    BOOST_CHECK_EQUAL(alone->write_notes(changes).status, Status::ok);
    BOOST_CHECK_EQUAL(alone->manager()->engine().note_count(), 2u);
    BOOST_CHECK_EQUAL(alone->close(), Status::ok);
    BOOST_CHECK_EQUAL(alone->write_notes(changes).status, Status::not_connected);
}

// What is refused with the close, or dropped with the gate, is given back: the sanitizers look.
BOOST_AUTO_TEST_CASE(a_write_that_comes_to_nothing_leaves_nothing) {
    const std::vector<Note> changes{{"a", "1"}};
    for (const std::size_t most : {std::size_t{20}, std::size_t{1} << 20}) {
        GateRig rig(false, {.event_capacity = 64}, most);
        const std::lock_guard lock(*rig);
        BOOST_CHECK_EQUAL(rig->stage_notes(changes).status, Status::ok);
        BOOST_CHECK_EQUAL(rig->stage_notes(changes).status, most == 20 ? Status::out_of_memory : Status::ok);
    }
    GateRig rig;
    std::size_t failures = 0;
    for (;; ++failures) {
        const std::lock_guard lock(*rig);
        const FailingAllocation failing(failures);
        const Status status = rig->stage_notes(changes).status;
        if (!FailingAllocation::happened()) {
            BOOST_CHECK_EQUAL(status, Status::ok);
            break;
        }
        REQUIRE_EQUAL_QUIETLY(status, Status::out_of_memory);
    }
    BOOST_CHECK_GE(failures, 4u);
    BOOST_CHECK(rig->flush());
    BOOST_CHECK_EQUAL(rig.ops(), 1);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
