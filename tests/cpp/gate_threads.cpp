// Many threads at one gate, at random, over a log that fails and stalls at random: then what was answered is what is on
// record, the log replayed tells the same events, no reader has seen a grant come back, and no event was shown before what
// caused it was on record. A program of its own, to be built with the thread sanitizer as well.
//
//   grantwheel_gate_threads [--seconds N] [--threads N] [--seed N] [--own-thread] [--behind]
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "grantwheel/gate.hpp"
#include "grantwheel/op.hpp"
#include "grantwheel/snapshot.hpp"

namespace {

using namespace grantwheel;

[[noreturn]] void fail(const char* what) {
    std::fprintf(stderr, "not so: %s\n", what);
    std::abort();
}
void require(bool so, const char* what) {
    if (!so) fail(what);
}

class Random {
public:
    explicit Random(std::uint64_t seed) noexcept : state_(seed * 0x9E37'79B9'7F4A'7C15u + 1) {}
    std::uint64_t below(std::uint64_t count) noexcept {
        std::uint64_t word = state_ += 0x9E37'79B9'7F4A'7C15u;
        word = (word ^ word >> 30) * 0xBF58'476D'1CE4'E5B9u;
        word = (word ^ word >> 27) * 0x94D0'49BB'1331'11EBu;
        return (word ^ word >> 31) % count;
    }

private:
    std::uint64_t state_;
};

// Fails one time in eight, and stalls one time in four. One thread at a time.
class FlakyLog final : public Log {
public:
    explicit FlakyLog(std::uint64_t seed) : random_(seed) {}

    Appended append(std::uint64_t after, std::span<const std::byte> group) noexcept override {
        require(!is_busy_.exchange(true), "one append at a time");
        if (random_.below(4) == 0) std::this_thread::sleep_for(std::chrono::microseconds(random_.below(3000)));
        require(after == groups.size(), "the position is right");
        const std::uint64_t choice = random_.below(24);
        const bool is_there = choice != 0 && choice != 1;
        if (is_there) {
            groups.emplace_back(group.begin(), group.end());
            count.store(groups.size());
        }
        unknown_ = random_.below(3);
        is_busy_ = false;
        if (choice == 0) return Appended::not_appended;
        return choice <= 2 ? Appended::uncertain : Appended::appended;
    }
    Position last() noexcept override {
        if (unknown_ == 0) return {true, groups.size()};
        --unknown_;
        return {};
    }

    std::vector<std::vector<std::byte>> groups;
    std::atomic<std::size_t> count{0};  // of them

private:
    Random random_;
    std::atomic<bool> is_busy_{false};
    std::uint64_t unknown_ = 0;
};

// Counts the ops that have been carried out, or refused by a limit: those that must be on record.
class Executed final : public Watcher {
public:
    void settled(const Result& result) noexcept override {
        if (result.status != Status::transaction_failed) count.fetch_add(1, std::memory_order_relaxed);
    }
    std::atomic<std::uint64_t> count{0};
};

struct Plan {
    int seconds = 2;
    std::uint32_t threads = 16;
    std::uint64_t seed = 1;
    bool own_thread = false;
    bool behind = false;
};

constexpr std::uint32_t shared_uids = 64;
// Uids from here on are changed by one thread each, which counts up before and after.
constexpr std::uint32_t private_uids = 1'000'000;

class Storm {
public:
    explicit Storm(const Plan& plan)
        : plan_(plan),
          log_(plan.seed),
          changes_(plan.threads),
          limits_{.max_records = 100, .event_capacity = 1u << 22} {
        const GateClock clock{[](void* now) noexcept { return static_cast<std::atomic<Instant>*>(now)->load(); },
                              &now_};
        gate_ = Gate::create(
            Manager::create(limits_),
            {.log = &log_, .own_thread = plan.own_thread, .is_behind = plan.behind, .max_delay_ms = 2, .clock = clock});
        require(gate_ != nullptr, "there is a gate");
    }

    void run() {
        std::vector<std::thread> threads;
        for (std::uint32_t i = 0; i < plan_.threads; ++i) threads.emplace_back([this, i] { work(i); });
        std::this_thread::sleep_for(std::chrono::seconds(plan_.seconds));
        ends_ = true;
        for (std::thread& thread : threads) thread.join();
        require(gate_->close() == Status::ok, "it closes");
        check_log();
    }

private:
    void work(std::uint32_t self) {
        Random random(plan_.seed * 1000 + self);
        while (!ends_.load(std::memory_order_relaxed)) {
            if (random.below(4) == 0) now_.fetch_add(random.below(3));
            if (random.below(64) == 0) note_shown();
            if (random.below(256) == 0) static_cast<void>(gate_->flush(random.below(5)));
            switch (random.below(8)) {
                case 0: change_own(self, random); break;
                case 1: leave(random); break;
                case 2: note(gate_->advance(1 + random.below(20)).status); break;
                case 3:
                case 4: look_twice(random); break;
                default: change(random);
            }
        }
    }

    static Admission admit(const Manager& manager, Instant now, std::uint64_t choice, std::uint32_t uid,
                           std::uint32_t pid, std::uint64_t timeout_ms) {
        const Mask mask = 1u << choice % 9 | type::CPU;
        const Caller caller = manager.caller(uid, pid);
        switch (choice % 16) {
            case 0: return manager.admit_process_died(uid, pid, now);
            case 1: return manager.admit_app_stopped(uid, now);
            case 2: return manager.admit_admin_reset_process(pid, type::ALL, now);
            case 3:
            case 4: return manager.admit(caller, {.mask = mask, .is_apply = false, .is_process = choice % 2 == 0}, now);
            case 5: return manager.admit(caller, {.mask = mask, .is_persist = true, .reason = "kept"}, now);
            case 6:
            case 7: return manager.admit(caller, {.mask = mask, .is_process = true, .timeout_ms = timeout_ms}, now);
            default: return manager.admit(caller, {.mask = mask, .timeout_ms = timeout_ms, .reason = "r"}, now);
        }
    }

    void note(Status status) {
        require(status == Status::ok || status == Status::transaction_failed || status == Status::out_of_memory,
                "a change is done, refused, or too much");
    }
    void change(Random& random) {
        const std::uint64_t choice = random.below(9 * 16);
        const auto uid = static_cast<std::uint32_t>(random.below(shared_uids));
        const auto pid = static_cast<std::uint32_t>(random.below(shared_uids));
        const std::uint64_t timeout_ms = 1 + random.below(50);
        const Answer answer = gate_->change(
            [&](const Manager& manager, Instant now) { return admit(manager, now, choice, uid, pid, timeout_ms); });
        note(answer.status);
        if (answer.status != Status::transaction_failed) answered_.fetch_add(1, std::memory_order_relaxed);
    }
    // Stages and does not wait.
    void leave(Random& random) {
        const auto uid = static_cast<std::uint32_t>(random.below(shared_uids));
        const std::lock_guard lock(*gate_);
        require(gate_->enter() == Status::ok, "time goes on");
        const Staged staged =
            gate_->stage(admit(*gate_->manager(), gate_->latest(), random.below(144), uid, uid, 10), &executed_);
        if (staged.status == Status::ok) gate_->abandon(staged.ticket);
    }
    // A grant of a uid that nobody else changes.
    void change_own(std::uint32_t self, Random& random) {
        changes_[self].fetch_add(1);
        const std::uint64_t timeout_ms = 1 + random.below(10);
        const Answer answer = gate_->change([&](const Manager& manager, Instant now) {
            return manager.admit(manager.caller(private_uids + self, 1), {.mask = type::GPS, .timeout_ms = timeout_ms},
                                 now);
        });
        note(answer.status);
        if (answer.status != Status::transaction_failed) answered_.fetch_add(1, std::memory_order_relaxed);
        changes_[self].fetch_add(1);
    }

    Mask mask_of(std::uint32_t uid, bool across) {
        Mask mask = 0;
        const auto work = [&](const Engine& engine, Instant at) {
            const Result result = engine.mask({OwnerKind::app, uid}, at);
            require(result.status == Status::ok, "it is read at an instant of its own");
            mask = result.mask;
        };
        const Status status = across ? gate_->read_all(work) : gate_->read({OwnerKind::app, uid}, work);
        require(status == Status::ok, "it is read");
        return mask;
    }
    // What has gone stays away while nobody applies.
    void look_twice(Random& random) {
        const auto other = static_cast<std::uint32_t>(random.below(plan_.threads));
        const std::uint64_t before = changes_[other].load();
        const Mask first = mask_of(private_uids + other, random.below(4) == 0);
        now_.fetch_add(random.below(2));
        const Mask second = mask_of(private_uids + other, random.below(4) == 0);
        if (before % 2 == 0 && changes_[other].load() == before) {
            require(first != 0 || second == 0, "a grant that has gone does not come back");
        }
    }

    // What may be shown is in as many groups as there are afterwards.
    void note_shown() {
        std::uint64_t sequence = 0;
        {
            const std::lock_guard lock(*gate_);
            sequence = gate_->settled_sequence();
            require(sequence >= shown_ && sequence <= gate_->manager()->engine().last_sequence(),
                    "more and more is shown of what there is");
            shown_ = sequence;
        }
        const std::size_t groups = log_.count.load();
        const std::lock_guard lock(shown_mutex_);
        shown_at_.emplace_back(sequence, groups);
    }

    static void check_same_events(const Engine& live, const Engine& again) {
        require(live.last_sequence() == again.last_sequence(), "as many events");
        std::vector<Event> one(1024);
        std::vector<Event> two(1024);
        for (std::uint64_t after = live.first_sequence() - 1; after < live.last_sequence();) {
            const std::size_t count = live.read(after, one).count;
            require(again.read(after, two).count == count, "the same ring");
            for (std::size_t i = 0; i < count; ++i) {
                const Event& a = one[i];
                const Event& b = two[i];
                require(a.sequence == b.sequence && a.time == b.time && a.uid == b.uid && a.pid == b.pid &&
                            a.mask == b.mask && a.kind == b.kind && a.cause == b.cause && a.bundle == b.bundle,
                        "the same events");
            }
            after += count;
        }
    }
    void check_log() {
        const auto again = Engine::create(limits_);
        std::uint64_t commands = 0;
        std::size_t ops = 0;
        std::vector<std::uint64_t> last{0};  // event of so many groups
        for (const auto& group : log_.groups) {
            for (std::span<const std::byte> bytes = group; !bytes.empty(); ++ops) {
                const Decoded decoded = decode(bytes);
                require(decoded.status == Status::ok, "the log is sound");
                const Status status = replay(*again, decoded.op).status;
                require(status == Status::ok || status == Status::out_of_memory, "the log can be replayed");
                if (decoded.op.kind == OpKind::command) ++commands;
                bytes = bytes.subspan(decoded.size);
            }
            last.push_back(again->last_sequence());
        }
        for (const auto& [sequence, groups] : shown_at_) {
            require(sequence <= last[groups], "no event was shown that was not on record");
        }
        const Engine& live = gate_->manager()->engine();
        require(gate_->settled_sequence() == live.last_sequence(), "all events may be shown in the end");
        require(gate_->log_figures().waiting_ops == 0 && gate_->log_figures().ops == ops, "the ops are counted");
        const char* reason = "";
        require(live.validate(&reason) && again->validate(&reason), reason);
        require(commands == answered_ + executed_.count, "what was answered is what is on record");
        check_same_events(live, *again);
        std::uint64_t hash = 0;
        std::uint64_t hash_again = 1;
        require(state_hash(live, hash) == Status::ok && state_hash(*again, hash_again) == Status::ok,
                "there is memory");
        require(hash == hash_again, "the same state");
        std::printf("%zu ops in %zu groups, %llu events\n", ops, log_.groups.size(),
                    static_cast<unsigned long long>(live.last_sequence()));
    }

    Plan plan_;
    FlakyLog log_;
    std::atomic<Instant> now_{0};
    std::atomic<bool> ends_{false};
    std::atomic<std::uint64_t> answered_{0};
    std::vector<std::atomic<std::uint64_t>> changes_;
    std::uint64_t shown_ = 0;  // under the lock of the gate
    std::mutex shown_mutex_;
    std::vector<std::pair<std::uint64_t, std::size_t>> shown_at_;  // an event, and the number of groups
    Executed executed_;
    Limits limits_;
    std::unique_ptr<Gate> gate_;
};

Plan plan_of(int count, char** arguments) {
    Plan plan;
    for (int i = 1; i < count; ++i) {
        const bool has_value = i + 1 < count;
        if (std::strcmp(arguments[i], "--own-thread") == 0) {
            plan.own_thread = true;
        } else if (std::strcmp(arguments[i], "--behind") == 0) {
            plan.behind = true;
        } else if (has_value && std::strcmp(arguments[i], "--seconds") == 0) {
            plan.seconds = std::atoi(arguments[++i]);
        } else if (has_value && std::strcmp(arguments[i], "--threads") == 0) {
            plan.threads = static_cast<std::uint32_t>(std::atoi(arguments[++i]));
        } else if (has_value && std::strcmp(arguments[i], "--seed") == 0) {
            plan.seed = static_cast<std::uint64_t>(std::atoll(arguments[++i]));
        } else {
            fail("the arguments are known");
        }
    }
    return plan;
}

}  // namespace

int main(int count, char** arguments) {
    Storm(plan_of(count, arguments)).run();
    return 0;
}
