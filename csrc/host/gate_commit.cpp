#include <algorithm>
#include <bit>
#include <utility>

#include <sys/eventfd.h>

#include "grantwheel/op.hpp"
#include "host/gate_parts.hpp"

namespace grantwheel {

namespace {

// So many ops are executed, or records ended, before others may have the lock.
constexpr std::size_t slice = 1024;

// Less is not worth waiting for.
constexpr auto shortest_patience = std::chrono::microseconds(20);

}  // namespace

void Gate::Parts::commit() noexcept {
    is_leading = true;
    if (open.count < expected) gather();
    std::swap(open, flying);
    open.number = flying.number + 1;
    if (const Status status = append(flying); status == Status::ok) {
        execute();
    } else {
        refuse(flying, status);
    }
    settled = flying.number;
    settle(flying);
    is_leading = false;
    changed.notify_all();
}

// Who was answered just now is about to call again, and a group takes no longer with all of them. So a log that is slow is
// not called for half of them at a time.
void Gate::Parts::gather() noexcept {
    const auto patience = append_time / 8;
    if (patience < shortest_patience) return;
    gathers = true;
    const Time until = std::chrono::steady_clock::now() + patience;
    while (open.count < expected && !gate.closed_ && std::chrono::steady_clock::now() < until) {
        gate.mutex_.wait_for(filled, until);
    }
    gathers = false;
}

// Puts the group into the log, if there is anything of it. Returns why it is not there.
Status Gate::Parts::append(const Group& group) noexcept {
    if (group.bytes.size() == 0) return Status::ok;
    if (state == State::broken) return Status::transaction_failed;
    if (!reserve(group.needs)) return Status::out_of_memory;
    if (is_immediate) return append_at_once(group.content(), group.ops);
    const Time began = std::chrono::steady_clock::now();
    const Appended appended = unlocked([&] { return log.append(position, group.content()); });
    append_time = std::chrono::steady_clock::now() - began;
    expected = group.count + open.count;
    Status status = Status::ok;
    if (appended == Appended::appended) {
        ++position;
    } else if (appended == Appended::uncertain) {
        status = resolve();
        if (status != Status::ok) ++counted.failures;
    } else {
        status = not_appended(appended);
    }
    if (status == Status::ok) note_appended(group);
    return status;
}

Status Gate::Parts::not_appended(Appended appended) noexcept {
    if (appended != Appended::not_appended) state = State::broken;
    ++counted.failures;
    return Status::transaction_failed;
}

void Gate::Parts::note_appended(const Group& group) noexcept {
    count_appended(group.bytes.size(), group.ops);
    const auto took = std::chrono::duration_cast<std::chrono::microseconds>(append_time);
    counted.note_append(static_cast<std::uint64_t>(took.count()));
}

void LogFigures::note_append(std::uint64_t us) noexcept {
    append_us += us;
    most_us = std::max(most_us, us);
    ++append_counts[std::min<std::size_t>(static_cast<std::size_t>(std::bit_width(us >> 6)), steps - 1)];
}

// Asks the log where it stands until it says so, or nobody waits for it any longer.
Status Gate::Parts::resolve() noexcept {
    state = State::uncertain;
    for (std::uint64_t pause = first_pause_ms;; pause = std::min(2 * pause, longest_pause_ms)) {
        const Position last = unlocked([this] { return log.last(); });
        const bool is_in = last.groups == position + 1;
        if (last.is_known && (is_in || last.groups == position)) {
            position = last.groups;
            state = State::open;
            return is_in ? Status::ok : Status::transaction_failed;
        }
        if (last.is_known || gives_up) {
            state = State::broken;
            return Status::not_connected;
        }
        const Time until = time_after(pause);
        // cppcheck-suppress knownConditionTrueFalse ; another thread sets it meanwhile
        while (!gives_up && std::chrono::steady_clock::now() < until) gate.mutex_.wait_for(changed, until);
    }
}

// What is in the log must not fail for want of memory. Some more is taken than is needed, so that most groups find theirs.
// Whoever can lose CPU has it now, or gets it by an apply that is covered.
bool Gate::Parts::reserve_ahead(const Needs& needs) noexcept {
    constexpr std::size_t ahead = 256;
    Engine& engine = gate.manager_->engine();
    Needs wanted = needs;
    wanted.add({.apps = ahead, .types = spare.types, .texts = 2 * ahead, .text_bytes = 32 * ahead});
    if (wanted.processes != 0) wanted.processes += ahead;
    const std::size_t ended = engine.most_owners(rules.levelled) + wanted.apps + wanted.processes;
    if (!cpu_ended.reserve(cpu_ended.size() + ended) || !engine.reserve(wanted)) return false;
    spare = wanted;
    has_spare = true;
    return true;
}

bool Gate::Parts::reserve_for(const Command& command) noexcept {
    Needs needs;
    needs.add(command);
    return reserve(needs);
}

void Gate::Parts::execute() noexcept {
    for (std::size_t done = 0; !flying.is_empty(); ++done) {
        if (done != 0 && done % slice == 0 && !is_immediate) breathe();
        execute(flying.first);
        flying.pass(entries);
        if (state == State::broken) return refuse(flying, Status::not_connected);
    }
}

// Carries out an op that is in the log.
void Gate::Parts::execute(std::uint32_t place) noexcept {
    Entry& entry = entries[place];
    switch (entry.kind) {
        case Entry::Kind::wait: break;
        case Entry::Kind::advance: execute_advance(place); break;
        case Entry::Kind::many: execute_many(entry, flying.content()); break;
        case Entry::Kind::command: execute_command(entry); break;
        case Entry::Kind::notes: execute_notes(entry); break;
        case Entry::Kind::mark:
            entry.answer.status =
                executed(replay(gate.manager_->engine(), decode(flying.content().subspan(entry.texts_at)).op)).status;
            break;
    }
}

void Gate::Parts::execute_command(Entry& entry) noexcept {
    Command& command = entry.command;
    const char* const texts = flying.texts.data() + entry.texts_at;
    command.reason = {texts + command.bundle.size(), command.reason.size()};
    command.bundle = {texts, command.bundle.size()};
    const Result result = execute(gate.manager_->engine(), command, entry.now, entry.watcher);
    entry.answer = {.status = result.status, .mask = result.mask};
}

Result Gate::Parts::execute_watched(Engine& engine, const Command& command, Instant now, Watcher& watcher) noexcept {
    watcher.executing(engine, command, now);
    const Result result = executed(engine.execute(command, now));
    watcher.settled(result);
    return result;
}

// The rows of the op are those that were not refused before.
void Gate::Parts::execute_many(Entry& entry, std::span<const std::byte> group) noexcept {
    if (entry.rows->bytes_at == ManyRows::no_op) return;
    Result* next = entry.rows->results.begin();
    const auto answer_next = [&](std::size_t, Result result) {
        while (next->status != Status::ok) ++next;
        *next++ = noted(result);
    };
    const BatchRows rows = written_rows(group.subspan(entry.rows->bytes_at));
    static_cast<void>(grantwheel::execute_many(gate.manager_->engine(), rows, entry.now, answer_next));
}

// Who lost CPU is noted. A manager that lacked memory for what is in the log is not what the log says any more, and takes
// no more changes.
Result Gate::Parts::noted(Result result) noexcept {
    const Engine& engine = gate.manager_->engine();
    for (const std::uint32_t uid : engine.cpu_ended()) cpu_ended.push(uid);
    if (engine.lacked_memory()) state = State::broken;
    return state == State::broken ? Result{Status::not_connected, 0} : result;
}

// However it is sliced, it ends the same records in the same order. Between slices the entry may move.
void Gate::Parts::execute_advance(std::uint32_t place) noexcept {
    const Instant now = entries[place].now;
    Answer answer;
    for (std::uint64_t left = entries[place].records;;) {
        const AdvanceResult result = end_some(answer, now, std::min<std::uint64_t>(left, slice));
        left -= result.records;
        if (!result.more || left == 0) break;
        if (!is_immediate) breathe();
    }
    entries[place].answer = answer;
}

// The time of the first event is the earliest of the deadlines.
AdvanceResult Gate::Parts::end_some(Answer& answer, Instant now, std::uint64_t records) noexcept {
    Engine& engine = gate.manager_->engine();
    const std::uint64_t before = engine.last_sequence();
    const AdvanceResult result = engine.end(now, records);
    static_cast<void>(executed({}));
    Event first;
    if (answer.ended == 0 && result.ended > 0 && engine.read(before, {&first, 1}).count > 0) answer.due = first.time;
    answer.ended += result.ended;
    answer.records += result.records;
    answer.more = result.more;
    return result;
}

// Lets others have the lock in the middle of a group. What they read is what comes before the op that is next.
void Gate::Parts::breathe() noexcept {
    tell();
    gate.mutex_.unlock();
    gate.mutex_.let_others();
    gate.mutex_.lock();
}

void Gate::Parts::answer(Entry& entry, Status status) noexcept {
    entry.answer = {.status = status};
    delete std::exchange(entry.notes, nullptr);
    if (entry.rows != nullptr) {
        for (Result& result : entry.rows->results) {
            if (result.status == Status::ok) result = {status, 0};
        }
    }
    if (entry.watcher != nullptr) entry.watcher->settled({status, 0});
}

// Answers what is left of a group. Who only waits has waited.
void Gate::Parts::refuse(Group& group, Status status) noexcept {
    for (; !group.is_empty(); group.pass(entries)) {
        Entry& entry = entries[group.first];
        answer(entry, entry.kind == Entry::Kind::wait ? Status::ok : status);
    }
}

// All of the group is answered: tells those who wait, and forgets what nobody will take.
void Gate::Parts::settle(Group& group) noexcept {
    for (std::uint32_t place = group.head; place != no_entry;) {
        const std::uint32_t next = entries[place].next;
        if (entries[place].abandoned) entries.give(place);
        place = next;
    }
    group.clear();
    tell();
    if (!bell.is_open() || std::exchange(is_rung, true)) return;
    static_cast<void>(::eventfd_write(bell.number(), 1));
}

}  // namespace grantwheel
