// Ops as bytes: there and back, the bytes of earlier versions, and damage of every kind.
#include "grantwheel/op.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "core/bits.hpp"
#include "golden.hpp"
#include "grantwheel/manager.hpp"
#include "sealing.hpp"
#include "support.hpp"

namespace grantwheel::test {

namespace {

using Bytes = std::vector<std::byte>;

// A command in words; what makes no difference to it is left out.
std::string in_words(const Command& command) {
    std::string text(command_name(command.kind));
    if (command.is_persist) text += " persist";
    if (command.is_process) text += " process";
    if (command.only_held) text += " only_held";
    text += " level " + std::to_string(command.cpu_level) + " mask " + std::to_string(command.mask);
    text += " uid " + std::to_string(command.uid) + " pid " + std::to_string(command.pid);
    text += " timeout " + std::to_string(command.timeout_ms);
    if (command.kind == CommandKind::apply && command.capped != 0) {
        text += " capped " + std::to_string(command.capped);
        for_each_type(command.capped,
                      [&](int type) { text += " " + std::to_string(command.caps_ms[static_cast<std::size_t>(type)]); });
    }
    return text.append(" bundle '").append(command.bundle).append("' reason '").append(command.reason).append("'");
}

std::string in_words(const Limits& limits) {
    return "limits " + std::to_string(limits.max_records) + " records " + std::to_string(limits.max_strings) +
           " strings " + std::to_string(limits.event_capacity) + " events";
}

std::string in_words(const Keys& keys) {
    std::string text;
    for (std::size_t i = 0; i < keys.size(); ++i) text += " " + std::to_string(keys[i]);
    return text;
}

std::string in_words(const NoteChanges& notes) {
    std::string text = "notes";
    notes.for_each([&](const Note& note) {
        text.append(" '").append(note.key).append("' ");
        if (note.has_value) {
            text.append("'").append(note.value).append("'");
        } else {
            text += "none";
        }
    });
    return text;
}

std::string in_words(const Op& op) {
    std::string text = std::to_string(op.now) + " ";
    switch (op.kind) {
        case OpKind::command: return text + in_words(op.command);
        case OpKind::advance: return text + "advance by " + std::to_string(op.endings);
        case OpKind::mark: return describe(op.mark);
        case OpKind::limits: return text + in_words(op.limits);
        case OpKind::recovery:
            return text + "recovery of apps" + in_words(op.apps) + " and processes" + in_words(op.processes);
        case OpKind::notes: return text + in_words(op.notes);
        case OpKind::batch: break;
    }
    text += "batch";
    for (std::size_t i = 0; i < op.rows.size(); ++i) text += (i == 0 ? " " : "; ") + in_words(op.rows[i]);
    return text;
}

// Of all but a batch.
std::size_t encode_op(const Op& op, std::span<std::byte> out) {
    switch (op.kind) {
        case OpKind::command: return encode(op.command, op.now, out);
        case OpKind::advance: return encode_advance(op.endings, op.now, out);
        case OpKind::mark: return encode_mark(op.mark, out);
        case OpKind::limits: return encode_limits(op.limits, op.now, out);
        case OpKind::recovery: return encode_recovery(op.apps, op.processes, op.now, out);
        case OpKind::notes: return encode_notes(op.notes, op.now, out);
        case OpKind::batch: break;
    }
    return 0;
}

Bytes bytes_of(const Op& op) {
    std::size_t most = max_op_bytes;
    if (op.kind == OpKind::recovery) most = recovery_size(op.apps, op.processes, op.now);
    if (op.kind == OpKind::notes) most = notes_size(op.notes, op.now);
    Bytes bytes(most);
    bytes.resize(encode_op(op, bytes));
    REQUIRE_QUIETLY(!bytes.empty());
    return bytes;
}

Bytes body_of(const Op& op) {
    const Bytes bytes = bytes_of(op);
    return {bytes.begin() + 4, bytes.end() - 4};
}

Status status_of(const Bytes& bytes) { return decode(bytes).status; }

struct Texts {
    std::string bundle;
    std::string reason;
    std::vector<std::uint32_t> apps{};
    std::vector<std::uint32_t> processes{};
    std::vector<std::string> notes{};  // a key and a value each
    std::vector<Note> changes{};
};

std::string random_text(Random& random) {
    static const std::string parts[] = {"a", "maps", "\0\x7F", "\xC3\xA4", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
    std::string text;
    const std::uint64_t length = random.magnitude(10);
    while (text.size() < length) text += parts[random.below(std::size(parts))];
    if (text.size() > max_text_bytes) text.assign(max_text_bytes, 'm');
    return text;
}

std::vector<std::uint32_t> random_keys(Random& random, std::int64_t most) {
    std::vector<std::uint32_t> keys;
    std::uint64_t key = random.magnitude(30);
    for (std::uint64_t left = random.below(12); left != 0 && std::cmp_less_equal(key, most); --left) {
        keys.push_back(static_cast<std::uint32_t>(key));
        key += 1 + random.magnitude(31);
    }
    if (random.one_in(5)) keys.assign(1, static_cast<std::uint32_t>(most));
    return keys;
}

void fill_notes(Op& op, Random& random, Texts& texts) {
    texts.notes.clear();
    texts.changes.clear();
    for (std::uint64_t left = 1 + random.below(4); left != 0; --left) {
        texts.notes.push_back(std::string(1, static_cast<char>(255 - left * 40)) +
                              std::string(random.below(max_note_key_bytes), static_cast<char>(random.below(256))));
        texts.notes.emplace_back(random.magnitude(9), static_cast<char>(random.below(256)));
    }
    for (std::size_t i = 0; i < texts.notes.size(); i += 2) {
        const bool has_value = !random.one_in(3);
        texts.changes.push_back({texts.notes[i], has_value ? texts.notes[i + 1] : std::string_view(), has_value});
    }
    op.notes = texts.changes;
}

// One that is neither a command nor a batch.
void fill(Op& op, Random& random, Texts& texts) {
    switch (random.below(5)) {
        case 0:
            op.kind = OpKind::advance;
            op.endings = 1 + random.magnitude(63);
            return;
        case 1:
            op.kind = OpKind::mark;
            op.mark.now = op.now;
            for (std::uint8_t& byte : op.mark.boot_id) byte = static_cast<std::uint8_t>(random.below(256));
            op.mark.boot_ms = random.magnitude(62);
            op.mark.wall_ms = static_cast<std::int64_t>(random.next());
            return;
        case 2:
            op.kind = OpKind::limits;
            op.limits.max_records = 1 + static_cast<std::uint32_t>(random.magnitude(30));
            op.limits.max_strings = 1 + static_cast<std::uint32_t>(random.magnitude(30));
            op.limits.event_capacity =
                random.one_in(4) ? INT32_MAX : 1 + static_cast<std::uint32_t>(random.magnitude(30));
            return;
        case 3:
            op.kind = OpKind::notes;
            fill_notes(op, random, texts);
            return;
        default:
            op.kind = OpKind::recovery;
            texts.apps = random_keys(random, max_uid);
            texts.processes = random_keys(random, max_pid);
            op.apps = texts.apps;
            op.processes = texts.processes;
    }
}

Op random_op(Random& random, Texts& texts) {
    Op op{.now = random.one_in(20) ? max_now : random.magnitude(62)};
    if (random.one_in(3)) {
        fill(op, random, texts);
        return op;
    }
    texts = {random_text(random), random_text(random)};
    op.command = {.kind = static_cast<CommandKind>(random.below(command_count)),
                  .is_persist = random.one_in(2),
                  .is_process = random.one_in(2),
                  .only_held = random.one_in(2),
                  .cpu_level = static_cast<std::int8_t>(static_cast<int>(random.below(4)) - 1),
                  .mask = 1 + random.below32(ALL),
                  .uid = random.one_in(9) ? static_cast<std::uint32_t>(max_uid)
                                          : static_cast<std::uint32_t>(random.magnitude(31)),
                  .pid = static_cast<std::uint32_t>(random.magnitude(31)),
                  .timeout_ms = 1 + static_cast<std::uint32_t>(random.magnitude(31)),
                  .bundle = texts.bundle,
                  .reason = texts.reason};
    if (op.command.kind == CommandKind::apply && random.one_in(3)) op.command.capped = 1 + random.below32(ALL);
    for (std::uint32_t& most : op.command.caps_ms) most = 1 + static_cast<std::uint32_t>(random.magnitude(31));
    REQUIRE_EQUAL_QUIETLY(Manager::check(op.command), Status::ok);
    return op;
}

const Command navigation{.is_process = true,
                         .cpu_level = 2,
                         .mask = CPU | GPS,
                         .uid = 20'010'042,
                         .pid = 4242,
                         .timeout_ms = 30'000,
                         .bundle = "com.example.maps",
                         .reason = "navigation"};

}  // namespace

BOOST_AUTO_TEST_SUITE(op)

BOOST_AUTO_TEST_CASE(every_version_reads_the_bytes_of_those_before_it) {
    const std::vector<GoldenLine> lines = golden_lines("ops-1.txt");
    BOOST_CHECK_GE(lines.size(), 29u);
    for (const GoldenLine& line : lines) {
        BOOST_TEST_CONTEXT(line.text) {
            const Decoded decoded = decode(line.bytes);
            BOOST_REQUIRE_EQUAL(decoded.status, Status::ok);
            BOOST_CHECK_EQUAL(decoded.size, line.bytes.size());
            BOOST_CHECK_EQUAL(in_words(decoded.op), line.text);
            if (decoded.op.kind == OpKind::batch) continue;
            BOOST_CHECK(bytes_of(decoded.op) == line.bytes);  // as long as version 1 is the one that is written
        }
    }
}

BOOST_AUTO_TEST_CASE(random_ops_come_back_as_they_went) {
    for (const std::uint64_t seed : {51u, 52u, 53u}) {
        BOOST_TEST_CONTEXT("seed " << seed) {
            Random random(seed);
            std::vector<Texts> texts(2000);
            Bytes log;
            std::vector<std::string> expected;
            for (Texts& each : texts) {
                const Op op = random_op(random, each);
                const Bytes bytes = bytes_of(op);
                log.insert(log.end(), bytes.begin(), bytes.end());
                expected.push_back(in_words(op));
            }
            std::span<const std::byte> rest = log;
            for (const std::string& op : expected) {
                const Decoded decoded = decode(rest);
                REQUIRE_EQUAL_QUIETLY(decoded.status, Status::ok);
                REQUIRE_EQUAL_QUIETLY(in_words(decoded.op), op);
                rest = rest.subspan(decoded.size);
            }
            BOOST_CHECK(rest.empty());
        }
    }
}

BOOST_AUTO_TEST_CASE(the_longest_op_fits_and_one_byte_less_does_not) {
    const std::string text(max_text_bytes, 'x');
    Command command = navigation;
    command.mask = ALL;
    command.uid = max_uid;
    command.pid = max_pid;
    command.timeout_ms = max_timeout;
    command.bundle = text;
    command.reason = text;
    command.capped = ALL;
    command.caps_ms.fill(max_timeout);
    Bytes out(max_op_bytes);
    for (const Command& each : {command, navigation, Command{.mask = 1, .timeout_ms = 1}}) {
        const std::size_t size = encode(each, max_now, out);
        BOOST_REQUIRE_GT(size, 0u);
        Bytes tight(size, std::byte{0xEE});
        BOOST_CHECK_EQUAL(encode(each, max_now, tight), size);
        for (std::size_t room = 0; room < size; ++room) {
            std::fill(tight.begin(), tight.end(), std::byte{0xEE});
            REQUIRE_EQUAL_QUIETLY(encode(each, max_now, std::span(tight).first(room)), 0u);
            REQUIRE_QUIETLY(std::all_of(tight.begin(), tight.end(), [](auto b) { return b == std::byte{0xEE}; }));
        }
    }
    BOOST_CHECK_GT(encode_mark({.now = max_now, .boot_ms = max_now, .wall_ms = -1}, out), 0u);
    BOOST_CHECK_GT(encode_limits({INT32_MAX, INT32_MAX, INT32_MAX}, max_now, out), 0u);
    const std::vector<std::uint32_t> keys{1, 2, 3};
    const std::size_t size = recovery_size(keys, keys, max_now);
    BOOST_CHECK_EQUAL(encode_recovery(keys, keys, max_now, std::span(out).first(size)), size);
    BOOST_CHECK_EQUAL(encode_recovery(keys, keys, max_now, std::span(out).first(size - 1)), 0u);
    BOOST_CHECK_GT(encode_advance(UINT64_MAX, max_now, out), 0u);
    BOOST_CHECK_EQUAL(encode_advance(1, 0, std::span(out).first(11)), 0u);
    BOOST_CHECK_EQUAL(encode_advance(1, 0, std::span(out).first(12)), 12u);
}

BOOST_AUTO_TEST_CASE(the_texts_of_what_was_read_lie_in_the_bytes) {
    const Bytes bytes = bytes_of({.now = 5, .command = navigation});
    const Decoded decoded = decode(bytes);
    const auto* const first = reinterpret_cast<const char*>(bytes.data());
    for (const std::string_view text : {decoded.op.command.bundle, decoded.op.command.reason}) {
        BOOST_CHECK(text.data() >= first && text.data() + text.size() <= first + bytes.size());
    }
}

BOOST_AUTO_TEST_CASE(whatever_byte_is_damaged_or_missing_is_noticed) {
    Random random(54);
    Texts texts;
    for (int i = 0; i < 60; ++i) {
        const Op op = i == 0 ? Op{.now = 5, .command = navigation} : random_op(random, texts);
        Bytes bytes = bytes_of(op);
        for (std::size_t size = 0; size < bytes.size(); ++size) {
            REQUIRE_EQUAL_QUIETLY(status_of({bytes.data(), bytes.data() + size}), Status::parcel_failed);
        }
        const std::size_t step = i == 0 ? 1 : 1 + random.below(37);
        for (std::size_t at = 0; at < std::min<std::size_t>(bytes.size(), 200); ++at) {
            for (std::size_t change = step; change < 256; change += step) {
                bytes[at] ^= static_cast<std::byte>(change);
                const Decoded decoded = decode(bytes);
                REQUIRE_EQUAL_QUIETLY(decoded.status, Status::parcel_failed);
                REQUIRE_EQUAL_QUIETLY(decoded.size, 0u);
                bytes[at] ^= static_cast<std::byte>(change);
            }
        }
        BOOST_CHECK_EQUAL(status_of(bytes), Status::ok);
    }
}

// What a wrong program could write, with checks that are right.
BOOST_AUTO_TEST_CASE(sound_bytes_that_say_what_cannot_be_are_refused) {
    const Bytes sound = body_of({.now = 5, .command = navigation});
    // version, kind, now, flags, level, mask (1 byte), uid (4), pid (2), timeout (3), lengths, texts
    const auto with = [&](std::size_t at, unsigned value) {
        Bytes body = sound;
        body.at(at) = static_cast<std::byte>(value);
        return status_of(sealed_op(body));
    };
    BOOST_CHECK_EQUAL(status_of(sealed_op(sound)), Status::ok);
    BOOST_CHECK_EQUAL(with(1, 255), Status::parcel_failed);  // an advance with bytes left over
    for (const unsigned flags : {8u, 16u, 128u}) BOOST_CHECK_EQUAL(with(3, flags), Status::parcel_failed);
    BOOST_CHECK_EQUAL(with(4, 4), Status::parcel_failed);
    BOOST_CHECK_EQUAL(with(5, 0), Status::parcel_failed);      // no type
    BOOST_CHECK_EQUAL(with(15, 17), Status::parcel_failed);    // texts that are longer than what is there
    BOOST_CHECK_EQUAL(with(15, 15), Status::parcel_failed);    // and shorter
    BOOST_CHECK_EQUAL(with(17, 0xFF), Status::parcel_failed);  // not UTF-8
    Bytes longer = sound;
    longer.push_back({});
    BOOST_CHECK_EQUAL(status_of(sealed_op(longer)), Status::parcel_failed);
    BOOST_CHECK_EQUAL(status_of(sealed_op(Bytes{})), Status::parcel_failed);
    BOOST_CHECK_EQUAL(status_of(sealed_op(Bytes{std::byte{1}})), Status::parcel_failed);
    BOOST_CHECK_EQUAL(status_of(sealed_op(Bytes(max_op_bytes + 1))), Status::parcel_failed);

    // version, kind, now, flags, level, mask, uid, pid, timeout, capped (GPS), its timeout, no texts
    const auto capped = [](unsigned kind, std::initializer_list<unsigned> caps) {
        Bytes body{std::byte{1}, static_cast<std::byte>(kind)};
        for (const unsigned byte : {5u, 8u, 0u, 32u, 7u, 9u, 60u}) body.push_back(static_cast<std::byte>(byte));
        for (const unsigned byte : caps) body.push_back(static_cast<std::byte>(byte));
        body.resize(body.size() + 2);
        return status_of(sealed_op(body));
    };
    BOOST_CHECK_EQUAL(capped(0, {32, 30}), Status::ok);
    BOOST_CHECK_EQUAL(capped(0, {33, 30, 31}), Status::ok);
    BOOST_CHECK_EQUAL(capped(0, {32, 0}), Status::parcel_failed);        // no timeout
    BOOST_CHECK_EQUAL(capped(0, {0}), Status::parcel_failed);            // the flag for nothing
    BOOST_CHECK_EQUAL(capped(0, {0x80, 4, 30}), Status::parcel_failed);  // a type that there is not
    BOOST_CHECK_EQUAL(capped(0, {33, 30}), Status::parcel_failed);       // one timeout of two
    BOOST_CHECK_EQUAL(capped(1, {32, 30}), Status::parcel_failed);       // of a release

    const auto advance = [](std::initializer_list<unsigned> numbers) {
        Bytes body{std::byte{1}, std::byte{255}};
        for (const unsigned number : numbers) body.push_back(static_cast<std::byte>(number));
        return status_of(sealed_op(body));
    };
    BOOST_CHECK_EQUAL(advance({7, 1}), Status::ok);
    BOOST_CHECK_EQUAL(advance({7, 0}), Status::parcel_failed);
    BOOST_CHECK_EQUAL(advance({0x87, 0, 1}), Status::parcel_failed);  // 7 in two bytes
    BOOST_CHECK_EQUAL(advance({0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40, 1}), Status::ok);  // 2^62
    BOOST_CHECK_EQUAL(advance({0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40, 1}), Status::parcel_failed);
    BOOST_CHECK_EQUAL(advance({7, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1}), Status::ok);
    BOOST_CHECK_EQUAL(advance({7, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 3}), Status::parcel_failed);
}

BOOST_AUTO_TEST_CASE(marks_limits_and_recoveries_that_cannot_be_are_refused) {
    const auto status = [](std::initializer_list<unsigned> head, std::size_t zeros,
                           std::initializer_list<unsigned> tail) {
        Bytes body{std::byte{1}};
        for (const unsigned byte : head) body.push_back(static_cast<std::byte>(byte));
        body.resize(body.size() + zeros);
        for (const unsigned byte : tail) body.push_back(static_cast<std::byte>(byte));
        return status_of(sealed_op(body));
    };
    const auto mark = [&](std::initializer_list<unsigned> tail) { return status({253, 7}, 16, tail); };
    BOOST_CHECK_EQUAL(mark({5, 0, 0, 0, 0, 0, 0, 0, 255}), Status::ok);
    BOOST_CHECK_EQUAL(mark({5, 0, 0, 0, 0, 0, 0, 0}), Status::parcel_failed);
    BOOST_CHECK_EQUAL(mark({5, 0, 0, 0, 0, 0, 0, 0, 0, 0}), Status::parcel_failed);
    BOOST_CHECK_EQUAL(mark({0x85, 0, 0, 0, 0, 0, 0, 0, 0, 0}), Status::parcel_failed);  // 5 in two bytes
    const auto boot = [&](unsigned lowest) {
        return mark({lowest, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40, 0, 0, 0, 0, 0, 0, 0, 0});
    };
    BOOST_CHECK_EQUAL(boot(0x80), Status::ok);  // 2^62
    BOOST_CHECK_EQUAL(boot(0x81), Status::parcel_failed);

    const auto limits = [&](std::initializer_list<unsigned> tail) { return status({252, 7}, 0, tail); };
    BOOST_CHECK_EQUAL(limits({1, 1, 1}), Status::ok);
    BOOST_CHECK_EQUAL(limits({0, 1, 1}), Status::parcel_failed);
    BOOST_CHECK_EQUAL(limits({1, 0, 1}), Status::parcel_failed);
    BOOST_CHECK_EQUAL(limits({1, 1, 0}), Status::parcel_failed);
    BOOST_CHECK_EQUAL(limits({1, 1}), Status::parcel_failed);
    BOOST_CHECK_EQUAL(limits({1, 1, 1, 1}), Status::parcel_failed);
    BOOST_CHECK_EQUAL(limits({1, 1, 0xFF, 0xFF, 0xFF, 0xFF, 7}), Status::ok);  // 2^31 - 1
    BOOST_CHECK_EQUAL(limits({1, 1, 0x80, 0x80, 0x80, 0x80, 8}), Status::parcel_failed);

    const auto recovery = [&](unsigned apps, unsigned processes, std::initializer_list<unsigned> keys) {
        Bytes body{std::byte{1}, std::byte{251}, std::byte{7}};
        for (const unsigned count : {apps, processes}) put_fixed(body, count, 4);
        for (const unsigned key : keys) put_fixed(body, key, 4);
        return status_of(sealed_op(body));
    };
    BOOST_CHECK_EQUAL(recovery(0, 0, {}), Status::ok);
    BOOST_CHECK_EQUAL(recovery(2, 2, {3, 4, 3, 4}), Status::ok);
    BOOST_CHECK_EQUAL(recovery(2, 2, {4, 5, 0, 0x7FFF'FFFF}), Status::ok);
    BOOST_CHECK_EQUAL(recovery(1, 1, {0xFFFF'FFFE, 1}), Status::ok);
    BOOST_CHECK_EQUAL(recovery(1, 1, {0xFFFF'FFFF, 1}), Status::parcel_failed);
    BOOST_CHECK_EQUAL(recovery(1, 1, {1, 0x8000'0000}), Status::parcel_failed);
    BOOST_CHECK_EQUAL(recovery(2, 0, {3, 3}), Status::parcel_failed);
    BOOST_CHECK_EQUAL(recovery(0, 2, {4, 3}), Status::parcel_failed);
    BOOST_CHECK_EQUAL(recovery(2, 1, {3, 4}), Status::parcel_failed);
    BOOST_CHECK_EQUAL(recovery(1, 1, {3, 4, 5}), Status::parcel_failed);
    BOOST_CHECK_EQUAL(recovery(0xFFFF'FFFF, 0, {3}), Status::parcel_failed);
    BOOST_CHECK_EQUAL(recovery(0, 0x4000'0001, {3}), Status::parcel_failed);
    BOOST_CHECK_EQUAL(status({251, 7}, 7, {}), Status::parcel_failed);
}

BOOST_AUTO_TEST_CASE(the_keys_of_a_recovery_lie_in_the_bytes) {
    const std::vector<std::uint32_t> apps{1, 20'010'042};
    const Bytes bytes = bytes_of({.now = 5, .kind = OpKind::recovery, .apps = apps});
    const Decoded decoded = decode(bytes);
    BOOST_REQUIRE_EQUAL(decoded.op.apps.size(), 2u);
    BOOST_CHECK_EQUAL(decoded.op.apps[1], 20'010'042u);
    BOOST_CHECK_EQUAL(decoded.op.processes.size(), 0u);
    BOOST_CHECK(decoded.op.apps.ascend_to(20'010'042));
    BOOST_CHECK(!decoded.op.apps.ascend_to(20'010'041));
}

BOOST_AUTO_TEST_CASE(bytes_of_a_newer_format_are_told_from_damage) {
    const Bytes sound = body_of({.now = 5, .command = navigation});
    const auto is_newer = [&](std::size_t at, unsigned value) {
        Bytes body = sound;
        body.at(at) = static_cast<std::byte>(value);
        const Decoded decoded = decode(sealed_op(body));
        BOOST_CHECK_EQUAL(decoded.status == Status::ok, value == static_cast<unsigned>(sound.at(at)));
        Bytes damaged = sealed_op(body);
        damaged.back() ^= std::byte{1};
        BOOST_CHECK(!decode(damaged).is_newer);
        return decoded.is_newer;
    };
    BOOST_CHECK(!is_newer(0, 1));
    for (const unsigned version : {0u, 2u, 255u}) BOOST_CHECK(is_newer(0, version));
    for (const unsigned kind : {9u, 10u, 249u}) BOOST_CHECK(is_newer(1, kind));
    BOOST_CHECK(!is_newer(3, 8));
}

BOOST_AUTO_TEST_CASE(random_bytes_behind_a_right_check_are_refused_or_right) {
    for (const std::uint64_t seed : {55u, 56u}) {
        BOOST_TEST_CONTEXT("seed " << seed) {
            Random random(seed);
            Texts texts;
            for (int i = 0; i < 20'000; ++i) {
                Bytes body = body_of(random_op(random, texts));
                if (body.size() > 200) continue;
                for (std::uint64_t n = random.below(4); n != 0; --n) {
                    body.at(random.below(body.size())) = static_cast<std::byte>(random.below(256));
                }
                if (random.one_in(4)) body.resize(random.below(body.size() + 1));
                const Bytes bytes = sealed_op(body);
                const Decoded decoded = decode(bytes);
                if (decoded.status == Status::ok) REQUIRE_QUIETLY(bytes_of(decoded.op) == bytes);
            }
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
