// Bytes as a stream of calls on a manager, in step with the models of the tests. The limits are small, so that each is
// reached; what is seen after a call is compared, and every invariant checked.
//
// An input is a configuration (five bytes, see `Bytes::limits`, `Bytes::start` and `Run`) and then calls, each a byte and
// what it needs: how time goes on before it in the upper three bits, which call in the lower five. `fuzz/seeds.py` writes
// some by name.
#include <algorithm>
#include <memory>
#include <new>
#include <optional>

#include "bytes.hpp"
#include "lockstep.hpp"
#include "model_policy.hpp"

namespace grantwheel::fuzz {

namespace {

using test::describe;
using test::differ;
using test::Lockstep;
using test::ModelGate;
using test::ModelPolicy;
using test::same;
using test::same_status;

// An admission that waits, with texts of its own.
struct Held {
    std::string bundle;
    std::string reason;
    Admission admission;
};

class Run {
public:
    explicit Run(Bytes bytes) : bytes_(bytes), limits_(bytes_.limits()), manager_(Manager::create(limits_)) {
        if (manager_ == nullptr) differ("no manager");
        const Instant start = bytes_.start();
        eager_ = bytes_.below(4) == 3;
        both_.emplace(manager_->engine(), limits_, start, eager_);
    }

    void run() {
        while (!bytes_.done()) {
            const std::uint8_t call = bytes_.byte();
            pass_time(call >> 5);
            if (eager_) both_->advance(SIZE_MAX);
            act(call & 31u);
            both_->compare_valid();
            both_->compare_wake();
        }
        both_->compare_owners();
        both_->compare_holders(type::ALL, nullptr, 2000);
        both_->compare_stats();
        both_->compare_next_deadline();
        run_admission(manager_->admit_admin_reset_all(now()));
    }

private:
    [[nodiscard]] Instant now() const { return both_->now(); }

    void pass_time(unsigned how) {
        const Instant next = both_->model().next_deadline();
        Instant then = now();
        switch (how) {
            case 0: return;
            case 1: then += 1; break;
            case 2: then += bytes_.byte(); break;
            case 3: {
                const std::size_t power = bytes_.below(42);
                then = power == 41 ? max_now - bytes_.byte() : then + (Instant{1} << power);
                break;
            }
            case 4: then = (then | 63) + bytes_.below(2); break;  // where a slot of the wheel ends
            case 5: then = (then | 4095) + bytes_.below(2); break;
            default:
                if (next != no_deadline) then = next - (how == 6 && next > now());
        }
        both_->set_now(std::clamp(then, now(), max_now));
    }

    void act(unsigned call) {
        switch (call) {
            default: return request(false);  // 0..7 and 25..31
            case 8:
            case 9: return request(true);
            case 10: return reset_all();
            case 11: return run_admission(death_or_administration());
            case 12: return both_->advance(budget());
            case 13: return read_across();
            case 14: return read_one();
            case 15: return set_policy();
            case 16: return set_switches();
            case 17: return hold();
            case 18: return execute_held();
            case 19: return from_journal();
            case 20: return batch();
            case 21: return turn_back();
            case 22: return queries();
            case 23: return wrong_limits();
            case 24: return start();
        }
    }

    std::size_t budget() {
        const std::size_t budget = bytes_.below(8);
        return budget == 7 ? SIZE_MAX : budget;
    }

    // A text for a call. At times one of the engine's own, as it came out.
    std::string_view text(std::string& own) {
        if (bytes_.below(8) == 7) {
            RecordView view;
            const Owner owner{bytes_.flag() ? OwnerKind::app : OwnerKind::process,
                              static_cast<std::uint32_t>(bytes_.below(6))};
            same_status(manager_->engine().find(owner, now(), view), Status::ok, "find");
            if (view.grant_count != 0 && bytes_.flag()) return view.grants[view.grant_count - 1].reason;
            return view.bundle;
        }
        own = bytes_.text();
        return own;
    }

    // Each flag most often as a request needs it.
    Caller caller(std::string& own) {
        const std::int64_t uid = bytes_.uid();
        const std::int64_t pid = bytes_.pid();
        const std::uint8_t flags = bytes_.byte();
        return {uid, pid, text(own), flags % 8 != 7, flags % 16 == 7, flags >= 128};
    }

    Request request_of(std::string& own) {
        const std::uint8_t flags = bytes_.byte();
        return {.mask = bytes_.mask(),
                .is_apply = flags % 4 != 3,
                .is_persist = (flags & 0x30) == 0x30,
                .is_process = (flags & 4) != 0,
                .cpu_level = (flags & 8) != 0 ? static_cast<std::int32_t>(bytes_.below(6)) - 2 : default_level,
                .timeout_ms = bytes_.timeout(),
                .reason = text(own)};
    }

    void request(bool registered) {
        std::string bundle;
        std::string reason;
        Caller who = caller(bundle);
        if (registered) {
            const Caller expected = gate_.policy.caller(who.uid, who.pid);
            who = manager_->caller(who.uid, who.pid);
            compare_callers(who, expected);
        }
        const Request request = request_of(reason);
        const Admission found = manager_->admit(who, request, now());
        compare_admissions(found, gate_.admit(who, request));
        const bool in_one_step = bytes_.flag();
        if (found.ask_quota && bytes_.below(4) == 3) return;  // as if the quota refused
        if (found.status != Status::ok || !in_one_step) return run_admission(found);
        both_->execute(found.command, [&] { return manager_->request(who, request, now()); });
    }

    void reset_all() {
        std::string bundle;
        const Caller who = caller(bundle);
        const Admission found = manager_->admit_reset_all(who, now());
        compare_admissions(found, gate_.admit_reset_all(who));
        run_admission(found);
    }

    Admission death_or_administration() {
        const auto which = bytes_.below(6);
        const std::int64_t uid = bytes_.uid();
        const std::int64_t pid = bytes_.pid();
        const Mask mask = which > 3 ? bytes_.mask() : type::ALL;
        const auto same_as = [&](const Admission& found, CommandKind kind, std::int64_t a_uid, std::int64_t a_pid) {
            compare_admissions(found, ModelGate::admit_owner(kind, a_uid, a_pid, mask));
            return found;
        };
        switch (which) {
            case 0: return same_as(manager_->admit_process_died(uid, pid, now()), CommandKind::process_died, uid, pid);
            case 1: return same_as(manager_->admit_app_stopped(uid, now()), CommandKind::app_stopped, uid, 0);
            case 2: return same_as(manager_->admit_package_removed(uid, now()), CommandKind::package_removed, uid, 0);
            case 3: return same_as(manager_->admit_admin_reset_all(now()), CommandKind::admin_reset_all, 0, 0);
            case 4:
                return same_as(manager_->admit_admin_reset_app(uid, mask, now()), CommandKind::admin_reset_app, uid, 0);
            default:
                return same_as(manager_->admit_admin_reset_process(pid, mask, now()), CommandKind::admin_reset_process,
                               0, pid);
        }
    }

    // Executes what was admitted. A refused admission answers its status and changes nothing.
    void run_admission(const Admission& admission) {
        if (admission.status == Status::ok)
            return both_->execute(admission.command, [&] { return manager_->execute(admission, now()); });
        const std::uint64_t before = manager_->engine().last_sequence();
        const Result result = manager_->execute(admission, now());
        same_status(result.status, admission.status, "execution of a refusal");
        same(result.mask, 0, "mask of a refusal");
        same(manager_->engine().last_sequence(), before, "events of a refusal");
    }

    void read_across() {
        Owner after{bytes_.flag() ? OwnerKind::app : OwnerKind::process, bytes_.byte()};
        switch (bytes_.below(5)) {
            case 0: return both_->compare_next_deadline();
            case 1: return both_->compare_holders(bytes_.mask(), nullptr, bytes_.below(12));
            case 2: return both_->compare_holders(bytes_.mask(), &after, bytes_.below(12));
            case 3: return both_->compare_count(bytes_.mask());
            default: return both_->compare_stats();
        }
    }

    void read_one() {
        const auto uid = static_cast<std::uint32_t>(bytes_.uid());
        const auto pid = static_cast<std::uint32_t>(bytes_.pid());
        both_->compare_owner({OwnerKind::app, uid});
        both_->compare_owner({OwnerKind::process, pid});
        both_->compare_owners_of(uid, bytes_.below(6));
        const std::uint64_t last = manager_->engine().last_sequence();
        const std::uint64_t back = bytes_.byte();
        both_->compare_ring(bytes_.below(16) == 15 ? UINT64_MAX - back : last - std::min(last, back), bytes_.below(20));
        manager_->engine().prefetch_index(uid);
        manager_->engine().prefetch_app(uid, type::ALL);
    }

    BundleRule rule() {
        const std::uint8_t flags = bytes_.byte();
        BundleRule rule{.allowed = (flags & 1) != 0 ? type::ALL : bytes_.mask(),
                        .level_limit = static_cast<std::int32_t>(flags >> 1 & 3) - 1,
                        .known = (flags & 0x18) != 0x18,
                        .refuses_longer = (flags & 0x60) == 0x60};
        if ((flags & 0x20) != 0) bytes_.timeouts(rule.timeout_max_ms);
        return rule;
    }

    void set_policy() {
        std::unique_ptr<Policy> policy = Policy::create();
        ModelPolicy expected;
        const std::uint8_t parts = bytes_.byte();
        for (unsigned i = 0; i < (parts & 3u); ++i) {
            const std::string bundle = bytes_.text();
            const BundleRule of_bundle = rule();
            same_status(policy->set_rule(bundle, of_bundle), expected.set_rule(bundle, of_bundle), "set_rule");
        }
        const unsigned callers = parts >> 2 & 3u;
        for (unsigned i = 0; i < (callers == 3 ? 15 : callers); ++i) {
            const std::string bundle = bytes_.text();
            const Caller who{.bundle = bundle,
                             .system_app = bytes_.below(4) != 3,
                             .service_extension = bytes_.flag(),
                             .native = bytes_.flag()};
            const auto uid = static_cast<std::uint32_t>(bytes_.uid());
            same_status(policy->set_caller(uid, who), expected.set_caller(uid, who), "set_caller");
            if (uid % 6 == 5)
                same_status(policy->set_default_caller(who), expected.set_default_caller(who), "set_default_caller");
        }
        if ((parts & 16) != 0) {
            const BundleRule of_rest = rule();
            policy->set_default_rule(of_rest);
            expected.set_default_rule(of_rest);
        }
        policy->set_quota((parts & 32) != 0);
        expected.set_quota((parts & 32) != 0);
        compare_policies(*policy, expected);
        same_status(manager_->set_policy(nullptr), Status::out_of_memory, "no policy");
        same_status(manager_->set_policy(std::move(policy)), Status::ok, "set_policy");
        gate_.policy = expected;
        both_->expect_cpu_ended(expected.asks_quota());
        same(manager_->engine().cpu_ended().size(), 0, "uids that lost CPU by a new policy");
    }

    void compare_policies(const Policy& found, const ModelPolicy& expected) {
        const std::string bundle = bytes_.text();
        const BundleRule one = found.rule(bundle);
        const BundleRule other = expected.rule(bundle);
        if (one.allowed != other.allowed || one.level_limit != other.level_limit || one.known != other.known ||
            one.refuses_longer != other.refuses_longer || one.timeout_max_ms != other.timeout_max_ms)
            differ("rule of a bundle");
        const std::int64_t uid = bytes_.uid();
        compare_callers(found.caller(uid, 7), expected.caller(uid, 7));
        same(found.asks_quota(), expected.asks_quota(), "whether a quota is asked");
    }

    void set_switches() {
        const std::uint8_t flags = bytes_.byte();
        gate_.ready = flags % 4 != 3;
        manager_->set_ready(gate_.ready);
        same(manager_->ready(), gate_.ready, "ready");
        if ((flags & 0x18) != 0x18) return;
        const bool track = (flags & 4) != 0;
        if (!manager_->engine().track_cpu_ended(track)) differ("track_cpu_ended");
        both_->expect_cpu_ended(track);
    }

    void hold() {
        auto held = std::make_unique<Held>();
        Caller who = caller(held->bundle);
        Request request = request_of(held->reason);
        held->bundle = who.bundle;
        held->reason = request.reason;
        who.bundle = held->bundle;
        request.reason = held->reason;
        held->admission = manager_->admit(who, request, now());
        compare_admissions(held->admission, gate_.admit(who, request));
        held_ = std::move(held);
    }

    void execute_held() {
        if (held_ != nullptr) run_admission(held_->admission);
    }

    // A command that no admission has made.
    void from_journal() {
        std::string bundle;
        std::string reason;
        const Caller who = caller(bundle);
        const Request request = request_of(reason);
        const std::size_t kind = bytes_.below(22);
        Command command{.kind = static_cast<CommandKind>(kind % 11),
                        .is_persist = request.is_persist,
                        .is_process = request.is_process,
                        .cpu_level = static_cast<std::int8_t>(request.cpu_level),
                        .mask = request.mask,
                        .uid = static_cast<std::uint32_t>(who.uid),
                        .pid = static_cast<std::uint32_t>(who.pid),
                        .timeout_ms = static_cast<std::uint32_t>(request.timeout_ms),
                        .bundle = who.bundle,
                        .reason = request.reason};
        if (kind > 10) {
            command.capped = bytes_.mask();
            bytes_.timeouts(command.caps_ms);
        }
        const Status status = Manager::check(command);
        same_status(status, ModelGate::check(command), "check");
        run_admission({status, false, command});
    }

    void batch() {
        const std::size_t count = bytes_.below(20);
        const std::uint8_t first = bytes_.byte();
        const auto uid_of = [&](std::size_t i) { return static_cast<std::uint32_t>(first + 7 * i) % 60; };
        Request request{.mask = bytes_.mask(), .timeout_ms = bytes_.timeout()};
        request.is_apply = bytes_.flag();
        const auto mask_of = [&](std::size_t) { return request.mask; };
        for_each_prefetched(manager_->engine(), count, uid_of, mask_of, [&](std::size_t i) {
            const Caller who = manager_->caller(uid_of(i), 3);
            const Admission admission = manager_->admit(who, request, now());
            compare_admissions(admission, gate_.admit(who, request));
            if (eager_) both_->advance(SIZE_MAX);
            run_admission(admission);
        });
    }

    void turn_back() {
        const std::uint64_t far = bytes_.number(7);
        const bool back = bytes_.flag() && now() != 0;
        const Instant wrong = back ? now() - 1 - far % now() : max_now + 1 + far;
        const Status expected = back ? Status::time_backwards : Status::time_out_of_range;
        both_->turn_back({.mask = type::ALL, .timeout_ms = 5}, wrong);
        const Caller who{.uid = 1, .pid = 1, .system_app = true};
        same_status(manager_->request(who, {.mask = 1, .timeout_ms = 5}, wrong).status, expected, "request");
        same_status(manager_->reset_all(who, wrong).status, expected, "reset_all");
        same_status(manager_->admit_query(who, wrong), expected, "admit_query");
        same_status(manager_->admit_process_died(1, 1, wrong).status, expected, "admit_process_died");
        const Engine& engine = manager_->engine();
        RecordView view;
        std::size_t count = 0;
        Instant deadline = 0;
        Stats stats;
        same_status(engine.mask({}, wrong).status, expected, "mask");
        same_status(engine.find({}, wrong, view), expected, "find");
        same_status(engine.owners_of(0, wrong, {}, count), expected, "owners_of");
        same_status(manager_->engine().owners(type::ALL, nullptr, wrong, {}, count), expected, "owners");
        same_status(manager_->engine().count(type::ALL, wrong, count), expected, "count");
        same_status(manager_->engine().next_deadline(wrong, deadline), expected, "next_deadline");
        same_status(manager_->engine().stats(wrong, stats), expected, "stats");
    }

    void queries() {
        std::string own;
        const Caller who = caller(own);
        same_status(manager_->admit_query(who, now()), gate_.admit_query(who), "admit_query");
        same_status(manager_->admit_native(who), ModelGate::admit_native(who), "admit_native");
    }

    // Limits that make no manager: each is 0 in its turn, or too large, or too much is reserved.
    void wrong_limits() {
        const std::uint32_t wrong = bytes_.flag() ? 0 : 0x8000'0000u + bytes_.byte();
        Limits limits = limits_;
        const char* name = "reserve";
        switch (bytes_.below(4)) {
            case 0: limits.max_records = wrong, name = "max_records"; break;
            case 1: limits.max_strings = wrong, name = "max_strings"; break;
            case 2: limits.event_capacity = wrong, name = "event_capacity"; break;
            default: limits.reserve = limits.max_records + 1;
        }
        const char* const found = limits.first_invalid();
        if (found == nullptr || std::string_view(found) != name) differ("first_invalid");
        if (Manager::create(limits) != nullptr) differ("a manager with limits out of range");
    }

    // What a host does when it starts, and in between: it drops what has lost its process, has other limits, sets a mark.
    void start() {
        const std::size_t how = bytes_.below(3);
        if (how == 0) return both_->set_mark({.now = now(), .boot_ms = bytes_.byte(), .wall_ms = -1});
        if (how == 1) return both_->set_limits(bytes_.limits());
        const std::vector<std::uint32_t> apps = bytes_.keys();
        both_->recover(apps, bytes_.keys());
    }

    static void compare_callers(const Caller& found, const Caller& expected) {
        if (!test::is_same(found, expected)) differ("caller of a uid");
    }

    static void compare_admissions(const Admission& found, const Admission& expected) {
        same_status(found.status, expected.status, "admission");
        same(found.ask_quota, expected.ask_quota, "whether the quota is to be asked");
        const auto numbers = [](const Command& command) {
            return std::tuple(command.kind, command.is_persist, command.is_process, command.cpu_level, command.mask,
                              command.uid, command.pid, command.timeout_ms, command.bundle, command.reason,
                              command.capped, test::caps_of(command.capped, command.caps_ms));
        };
        if (numbers(found.command) != numbers(expected.command)) differ("command that was admitted");
    }

    Bytes bytes_;
    Limits limits_;
    bool eager_ = false;
    std::unique_ptr<Manager> manager_;
    ModelGate gate_;
    std::optional<Lockstep> both_;
    std::unique_ptr<Held> held_;
};

}  // namespace

}  // namespace grantwheel::fuzz

// Large blocks from a source of the host's.
constexpr grantwheel::BlockSource source{
    [](std::size_t bytes) noexcept { return ::operator new(bytes, std::align_val_t{64}, std::nothrow); },
    [](void* block, std::size_t) noexcept { ::operator delete(block, std::align_val_t{64}); }};

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const bool is_set = (grantwheel::set_block_source(source), true);
    static_cast<void>(is_set);
    grantwheel::fuzz::Run(grantwheel::fuzz::Bytes({data, size})).run();
    return 0;
}
