// A live engine, driven in slices at random and read across its records, and its log: replayed in other slices, and from
// snapshots taken on the way, it must tell the same events with the same numbers, and have the same hash.
//
//     grantwheel_replay [--ops N] [--seed N]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "core/checksum.hpp"
#include "differential_ladder.hpp"
#include "grantwheel/batch.hpp"
#include "grantwheel/op.hpp"
#include "grantwheel/snapshot.hpp"
#include "surveying.hpp"

namespace grantwheel::test {

namespace {

using Bytes = std::vector<std::byte>;

void require(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "%s\n", what);
    std::exit(1);
}

std::uint64_t hash_of_state(const Engine& engine) {
    std::uint64_t hash = 0;
    require(state_hash(engine, hash) == Status::ok, "no memory for the hash of the state");
    return hash;
}

// Reads the events of an engine as they come, and sums them up from an event on.
class Listener {
public:
    explicit Listener(std::uint64_t after) : last_(after), events_(4096) {}

    void listen(const Engine& engine) {
        for (;;) {
            const EventsRead read = engine.read(last_, events_);
            require(read.missed == 0, "events that nobody has read");
            for (const Event& event : std::span(events_).first(read.count)) add(event);
            if (read.count < events_.size()) return;
        }
    }
    [[nodiscard]] std::uint64_t last() const { return last_; }
    [[nodiscard]] std::uint64_t sum() const { return sum_; }

private:
    // The sum of what each event is, so that a part of them has a sum as well.
    void add(const Event& event) {
        require(event.sequence == ++last_, "a number of an event");
        const std::uint64_t numbers[] = {
            event.sequence, event.time, std::uint64_t{event.uid} << 32 | event.pid,
            std::uint64_t{event.mask} << 32 | static_cast<std::uint64_t>(event.kind) << 16 |
                static_cast<std::uint64_t>(event.cause) << 8 | static_cast<std::uint8_t>(event.cpu_level)};
        Checksum checksum;
        checksum.add(std::as_bytes(std::span(numbers)));
        checksum.add(std::as_bytes(std::span(event.bundle)));
        sum_ += checksum.value();
    }

    std::uint64_t last_;
    std::uint64_t sum_ = 0;
    std::vector<Event> events_;
};

struct Settings {
    std::uint32_t owners = 10;
    unsigned timeout_bits = 8;
    unsigned step_bits = 4;
    std::uint32_t texts = 8;
    std::uint32_t max_records = 1'000'000;
    std::uint32_t max_strings = 65'536;

    [[nodiscard]] Limits limits() const {
        return {.max_records = max_records, .max_strings = max_strings, .event_capacity = 1u << 18};
    }
};

// A place in the log with all that is known of the live engine there.
struct Stand {
    std::size_t offset;
    std::uint64_t sequence;
    std::uint64_t sum;  // of the events so far
    std::uint64_t hash;
    Bytes snapshot;
};

Bytes snapshot_of(const Engine& engine) {
    const auto writer = SnapshotWriter::create(engine);
    require(writer != nullptr, "no memory for a snapshot");
    Bytes all;
    Bytes out(max_section_bytes);
    for (SectionWritten written{.more = true}; written.more;) {
        written = writer->write(out);
        require(written.status == Status::ok, "a snapshot that is not written");
        all.insert(all.end(), out.begin(), out.begin() + static_cast<std::ptrdiff_t>(written.size));
    }
    return all;
}

// Within the limits that there were, which stand in the first section.
std::unique_ptr<Engine> engine_of(std::span<const std::byte> bytes, const HashKey& key) {
    const auto first = SnapshotReader::create({});
    require(first != nullptr && first->read(bytes).status == Status::ok, "a snapshot without limits");
    const auto reader = SnapshotReader::create(first->limits_then(), key);
    require(reader != nullptr, "no memory to read a snapshot");
    for (SectionRead read; !read.done; bytes = bytes.subspan(read.size)) {
        read = reader->read(bytes);
        require(read.status == Status::ok && read.size != 0, "a snapshot that is not read");
    }
    return reader->take();
}

class Live {
public:
    Live(const Settings& settings, std::uint64_t seed)
        : settings_(settings),
          dice_(seed),
          engine_(Engine::create(settings.limits())),
          batches_(BatchWriter::create()),
          listener_(0) {
        require(engine_ != nullptr && batches_ != nullptr, "no memory for an engine");
        texts_.emplace_back();
        for (std::uint32_t i = 1; i < settings.texts; ++i) texts_.push_back("text " + std::to_string(i));
        now_ = dice_.magnitude(40);
    }

    // Makes so many changes. Returns how many commands it took, rows counted.
    std::size_t run(std::size_t changes) {
        std::size_t commands = 0;
        while (commands < changes) {
            if (dice_.one_in(3)) now_ += dice_.magnitude(settings_.step_bits);
            if (dice_.one_in(6)) now_ = (now_ + 63) / 64 * 64;  // many are due at once
            commands += dice_.one_in(40) ? execute_batch() : execute();
            if (dice_.one_in(4)) drive();
            if (dice_.one_in(5000)) read_across();
            if (dice_.one_in(50)) static_cast<void>(engine_->look(now_, dice_.below(100)));
            if (dice_.one_in(64)) listener_.listen(*engine_);
            if (dice_.one_in(200)) note_of_host();
        }
        return commands;
    }

    [[nodiscard]] Stand stand() {
        listener_.listen(*engine_);
        return {log_.size(), listener_.last(), listener_.sum(), hash_of_state(*engine_), snapshot_of(*engine_)};
    }
    [[nodiscard]] std::span<const std::byte> log() const { return log_; }
    [[nodiscard]] const Engine& engine() const { return *engine_; }

private:
    [[nodiscard]] Mask mask() {
        return dice_.one_in(3) ? 1 + dice_.below(type::ALL) : Mask{1} << dice_.below(type_count);
    }
    [[nodiscard]] std::uint32_t timeout() {
        if (dice_.one_in(2)) return static_cast<std::uint32_t>(64 - now_ % 64);
        return static_cast<std::uint32_t>(1 + dice_.magnitude(settings_.timeout_bits));
    }
    [[nodiscard]] Command command() {
        Command made{.mask = mask(),
                     .uid = dice_.below(settings_.owners),
                     .pid = dice_.below(settings_.owners),
                     .timeout_ms = timeout(),
                     .bundle = texts_[dice_.below(settings_.texts)],
                     .reason = texts_[dice_.below(settings_.texts)]};
        const std::uint32_t die = dice_.below(64);
        if (die < 40) {
            made.is_persist = dice_.one_in(12);
            made.is_process = dice_.one_in(2);
            made.only_held = dice_.one_in(8);
            made.cpu_level = static_cast<std::int8_t>(static_cast<int>(dice_.below(4)) - 1);
            if (dice_.one_in(6)) made.capped = mask();
            for (std::uint32_t& most : made.caps_ms) most = timeout();
            return made;
        }
        made.kind = die < 52 ? CommandKind::release : static_cast<CommandKind>(2 + die % (command_count - 2));
        if (made.kind == CommandKind::admin_reset_all && !dice_.one_in(50)) made.kind = CommandKind::process_died;
        made.is_process = dice_.one_in(2);
        return made;
    }

    std::size_t execute() {
        const Command made = command();
        put([&](std::span<std::byte> out) { return encode(made, now_, out); });
        static_cast<void>(engine_->execute(made, now_));
        return 1;
    }
    std::size_t execute_batch() {
        const std::size_t count = 1 + dice_.below(20);
        batches_->begin(!dice_.one_in(3), now_);
        for (std::size_t i = 0; i < count; ++i) {
            Command made = command();
            made = {.mask = made.mask,
                    .uid = made.uid,
                    .pid = made.pid,
                    .timeout_ms = made.timeout_ms,
                    .bundle = made.bundle,
                    .capped = made.capped,
                    .caps_ms = made.caps_ms};
            require(batches_->add(made) == Status::ok, "a row that does not fit");
        }
        const std::size_t at = log_.size();
        log_.resize(at + batches_->size());
        require(batches_->write(std::span(log_).subspan(at)) != 0, "a batch that does not fit");
        const Decoded decoded = decode(std::span<const std::byte>(log_).subspan(at));
        require(decoded.status == Status::ok, "a batch that is not read");
        static_cast<void>(replay(*engine_, decoded.op));
        return count;
    }
    // An advance in its place: written first, or as many as it has ended.
    void drive() {
        if (dice_.one_in(2)) {
            const std::uint64_t most = 1 + dice_.below(30);
            put([&](std::span<std::byte> out) { return encode_advance(most, now_, out); });
            static_cast<void>(engine_->end(now_, most));
        } else {
            note(engine_->advance(now_, dice_.below(40)).records);
        }
    }
    // What a host does at its start, and in between. What it drops may be due.
    void note_of_host() {
        switch (dice_.below(4)) {
            case 0: {
                Mark mark{
                    .now = now_, .boot_ms = dice_.magnitude(62), .wall_ms = static_cast<std::int64_t>(dice_.next())};
                for (std::uint8_t& byte : mark.boot_id) byte = static_cast<std::uint8_t>(dice_.below(256));
                put([&](std::span<std::byte> out) { return encode_mark(mark, out); });
                return require(engine_->set_mark(mark) == Status::ok, "a mark");
            }
            case 1: return set_limits();
            case 2: return write_notes();
            default: return recover();
        }
    }
    void write_notes() {
        const std::string value(dice_.magnitude(14), static_cast<char>(dice_.below(256)));
        std::vector<std::string> keys;
        std::vector<Note> notes;
        for (std::uint32_t key = 100 + dice_.below(30); key < 150; key += 1 + dice_.below(30)) {
            keys.push_back(std::to_string(key));
        }
        for (const std::string& key : keys) {
            const bool has_value = !dice_.one_in(3);
            notes.push_back({key, has_value ? std::string_view(value) : std::string_view(), has_value});
        }
        put([&](std::span<std::byte> out) { return encode_notes(notes, now_, out); }, notes_size(notes, now_));
        require(engine_->write_notes(notes, now_) == Status::ok, "a write of notes");
    }
    // At times less than what is held, at others what there was at first.
    void set_limits() {
        Limits limits = settings_.limits();
        if (!dice_.one_in(3)) {
            const auto held = engine_->record_count(OwnerKind::app) + engine_->record_count(OwnerKind::process);
            limits.max_records = 1 + dice_.below(2 * static_cast<std::uint32_t>(held) + 2);
            limits.max_strings = 1 + dice_.below(2 * settings_.texts);
            limits.event_capacity = (1u << 17) + dice_.below(1u << 17);
        }
        listener_.listen(*engine_);
        put([&](std::span<std::byte> out) { return encode_limits(limits, now_, out); });
        const Status status = engine_->set_limits(limits, now_);
        require(status == Status::ok || status == Status::out_of_memory, "limits");
    }
    void recover() {
        std::vector<std::uint32_t> keys[2];
        for (std::vector<std::uint32_t>& some : keys) {
            const std::uint32_t most = 1 + dice_.below(2 * settings_.owners);
            for (std::uint32_t key = dice_.below(most); key < settings_.owners; key += 1 + dice_.below(most)) {
                some.push_back(key);
            }
        }
        const std::size_t size = recovery_size(keys[0], keys[1], now_);
        put([&](std::span<std::byte> out) { return encode_recovery(keys[0], keys[1], now_, out); }, size);
        require(engine_->recover(keys[0], keys[1], now_).status == Status::ok, "a recovery");
    }
    void read_across() {
        const Surveyed survey = surveyed(*engine_, now_, 1 + dice_.below(1000));
        const std::uint64_t before = engine_->last_sequence();
        Stats stats;
        Instant next = 0;
        require(engine_->stats(now_, stats) == Status::ok, "stats");
        require(engine_->next_deadline(now_, next) == Status::ok, "next deadline");
        if (const char* what = first_difference(survey, stats, next)) require(false, what);
        note(engine_->last_sequence() - before);
    }
    void note(std::uint64_t records) {
        if (records == 0) return;
        put([&](std::span<std::byte> out) { return encode_advance(records, now_, out); });
    }
    template <typename Encode>
    void put(Encode&& encode_it, std::size_t most = max_op_bytes) {
        const std::size_t at = log_.size();
        log_.resize(at + most);
        const std::size_t size = encode_it(std::span(log_).subspan(at));
        require(size != 0, "an op that does not fit");
        log_.resize(at + size);
    }

    Settings settings_;
    Dice dice_;
    std::unique_ptr<Engine> engine_;
    std::unique_ptr<BatchWriter> batches_;
    Listener listener_;
    std::vector<std::string> texts_;
    Instant now_ = 0;
    Bytes log_;
};

// Replays the log from an offset to the next, with looks in between that the live engine did not have.
void follow(Engine& engine, std::span<const std::byte> log, Listener& listener, Dice& dice) {
    while (!log.empty()) {
        const Decoded decoded = decode(log);
        require(decoded.status == Status::ok, "an op that is not read");
        if (dice.one_in(3)) static_cast<void>(engine.look(decoded.op.now, dice.below(50)));
        const Result result = replay(engine, decoded.op);
        require(result.status == Status::ok || result.status == Status::out_of_memory, "an op that is not carried out");
        log = log.subspan(decoded.size);
        if (dice.one_in(64)) listener.listen(engine);
    }
    listener.listen(engine);
}

void compare(const Engine& engine, const Listener& listener, const Stand& from, const Stand& to) {
    require(listener.last() == to.sequence, "another number of events");
    require(listener.sum() == to.sum - from.sum, "other events");
    require(hash_of_state(engine) == to.hash, "another state");
    require(snapshot_of(engine) == to.snapshot, "another snapshot");
    const char* reason = "";
    require(engine.validate(&reason), reason);
}

// One life of so many commands, with four stands on the way, and its replays.
void live_and_replay(const Settings& settings, std::size_t commands, std::uint64_t seed) {
    Live live(settings, seed);
    std::vector<Stand> stands{live.stand()};
    for (int part = 0; part < 4; ++part) {
        live.run(commands / 4);
        stands.push_back(live.stand());
    }
    Dice dice(seed + 1);
    const auto whole = Engine::create(settings.limits(), {{seed, 1}});
    require(whole != nullptr, "no memory for an engine");
    Listener all(0);
    for (std::size_t i = 1; i < stands.size(); ++i) {
        const auto part = live.log().subspan(stands[i - 1].offset, stands[i].offset - stands[i - 1].offset);
        follow(*whole, part, all, dice);
        compare(*whole, all, stands[0], stands[i]);
        // From the stand before it, with another key of its hashes.
        const auto restored = engine_of(stands[i - 1].snapshot, {{seed, 2}});
        require(restored != nullptr && hash_of_state(*restored) == stands[i - 1].hash, "another state was restored");
        Listener later(stands[i - 1].sequence);
        follow(*restored, part, later, dice);
        compare(*restored, later, stands[i - 1], stands[i]);
    }
    std::printf("%zu commands, %zu bytes, %llu events, hash %016llx\n", commands, live.log().size(),
                static_cast<unsigned long long>(stands.back().sequence),
                static_cast<unsigned long long>(stands.back().hash));
}

std::uint64_t option(int count, char** words, const char* name, std::uint64_t otherwise) {
    for (int i = 1; i + 1 < count; ++i) {
        if (std::strcmp(words[i], name) == 0) return std::strtoull(words[i + 1], nullptr, 10);
    }
    return otherwise;
}

}  // namespace

}  // namespace grantwheel::test

int main(int count, char** words) {
    using namespace grantwheel::test;
    const Settings runs[] = {
        {},
        {.owners = 1, .timeout_bits = 4, .step_bits = 3},
        {.owners = 40, .timeout_bits = 10, .step_bits = 5, .max_records = 12, .max_strings = 6},
        {.owners = 300, .timeout_bits = 12, .step_bits = 6, .texts = 40, .max_records = 200, .max_strings = 20},
        {.owners = 20'000, .timeout_bits = 20, .step_bits = 7, .texts = 500},
        {.owners = 50, .timeout_bits = 32, .step_bits = 30},
    };
    const std::uint64_t all = option(count, words, "--ops", 200'000);
    std::uint64_t seed = option(count, words, "--seed", 1);
    // In lives that are not too long to be kept in memory with their logs.
    constexpr std::uint64_t most = 1'000'000;
    const std::uint64_t each = all / std::size(runs);
    for (const Settings& settings : runs) {
        for (std::uint64_t left = each; left != 0;) {
            const std::uint64_t commands = std::min(left, most);
            live_and_replay(settings, commands, seed++);
            left -= commands;
        }
    }
    return 0;
}
