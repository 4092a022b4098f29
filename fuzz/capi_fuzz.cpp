// Bytes as calls of the C ABI with arguments of every kind, beside a twin: a manager of the C++ interface, on which the
// calls are made that the C ABI must make of them. What a caller can get wrong without lying about memory is in here:
// null pointers, structs too short or longer than the library's, strides, enumerators, instants, uids and texts.
//
// An input is four bytes of limits and then calls, each a byte and what it needs. `fuzz/seeds.py` writes some by name.
#include <array>

#include "capi_twins.hpp"

namespace grantwheel::fuzz {

namespace {

class Run : Twins {
public:
    explicit Run(Bytes bytes) : Twins(bytes) {}

    void run() {
        while (!bytes_.done()) {
            pass_time();
            act(bytes_.below(24));
            compare();
        }
    }

private:
    void act(std::size_t call) {
        switch (call) {
            default: return perform();  // 0..4
            case 5: return reset_all();
            case 6: return death();
            case 7: return administration();
            case 8: return admit();
            case 9: return admit_others();
            case 10:
            case 11: return execute();
            case 12: return queries();
            case 13: return change_many();
            case 14: return app_masks();
            case 15: return advance();
            case 16: return next_deadline();
            case 17: return find();
            case 18: return owners_of();
            case 19: return owners();
            case 20: return numbers();
            case 21: return read();
            case 22: return set_policy();
            case 23: return bytes_.below(4) == 3 ? start_anew() : set_ready();
        }
    }

    // Changes in one step

    void perform() {
        const CallerArgument caller(*this);
        const RequestArgument request(*this);
        const Instant at = instant();
        change(
            "gw_perform", caller.is_valid() && request.is_valid(),
            [&] { return twin().admit(caller.value, request.value, at); }, at,
            [&](auto* to, auto* mask) { return gw_perform(to, caller.get(), request.get(), at, mask); });
    }

    void reset_all() {
        const CallerArgument caller(*this);
        const Instant at = instant();
        change(
            "gw_reset_all", caller.is_valid(), [&] { return twin().admit_reset_all(caller.value, at); }, at,
            [&](auto* to, auto* mask) { return gw_reset_all(to, caller.get(), at, mask); });
    }

    void death() {
        const std::int64_t uid = bytes_.uid();
        const std::int64_t pid = bytes_.pid();
        const Instant at = instant();
        switch (bytes_.below(3)) {
            case 0:
                return change(
                    "gw_process_died", true, [&] { return twin().admit_process_died(uid, pid, at); }, at,
                    [&](auto* to, auto* mask) { return gw_process_died(to, uid, pid, at, mask); });
            case 1:
                return change(
                    "gw_app_stopped", true, [&] { return twin().admit_app_stopped(uid, at); }, at,
                    [&](auto* to, auto* mask) { return gw_app_stopped(to, uid, at, mask); });
            default:
                return change(
                    "gw_package_removed", true, [&] { return twin().admit_package_removed(uid, at); }, at,
                    [&](auto* to, auto* mask) { return gw_package_removed(to, uid, at, mask); });
        }
    }

    void administration() {
        const std::int64_t key = bytes_.uid();
        const Mask mask = bytes_.mask();
        const Instant at = instant();
        switch (bytes_.below(5)) {
            case 0:
                return change(
                    "gw_admin_reset_all", true, [&] { return twin().admit_admin_reset_all(at); }, at,
                    [&](auto* to, auto* removed) { return gw_admin_reset_all(to, at, removed); });
            case 1:
            case 2:
                return change(
                    "gw_admin_reset_app", true, [&] { return twin().admit_admin_reset_app(key, mask, at); }, at,
                    [&](auto* to, auto* removed) { return gw_admin_reset_app(to, key, mask, at, removed); });
            default:
                return change(
                    "gw_admin_reset_process", true, [&] { return twin().admit_admin_reset_process(key, mask, at); }, at,
                    [&](auto* to, auto* removed) { return gw_admin_reset_process(to, key, mask, at, removed); });
        }
    }

    // Changes in two steps

    void admit() {
        const CallerArgument caller(*this);
        const RequestArgument request(*this);
        const Instant at = instant();
        const Admission expected = twin().admit(caller.value, request.value, at);
        compare_admission("gw_admit", caller.is_valid() && request.is_valid(), expected, [&](auto* to, auto* command) {
            return gw_admit(to, caller.get(), request.get(), at, command);
        });
    }

    void admit_others() {
        const CallerArgument caller(*this);
        const std::int64_t uid = bytes_.uid();
        const std::int64_t pid = bytes_.pid();
        const Mask mask = bytes_.mask();
        const Instant at = instant();
        const Manager& twin = Twins::twin();
        compare_admission("gw_admit_reset_all", caller.is_valid(), twin.admit_reset_all(caller.value, at),
                          [&](auto* to, auto* out) { return gw_admit_reset_all(to, caller.get(), at, out); });
        compare_admission("gw_admit_process_died", true, twin.admit_process_died(uid, pid, at),
                          [&](auto* to, auto* out) { return gw_admit_process_died(to, uid, pid, at, out); });
        compare_admission("gw_admit_app_stopped", true, twin.admit_app_stopped(uid, at),
                          [&](auto* to, auto* out) { return gw_admit_app_stopped(to, uid, at, out); });
        compare_admission("gw_admit_package_removed", true, twin.admit_package_removed(uid, at),
                          [&](auto* to, auto* out) { return gw_admit_package_removed(to, uid, at, out); });
        compare_admission("gw_admit_admin_reset_all", true, twin.admit_admin_reset_all(at),
                          [&](auto* to, auto* out) { return gw_admit_admin_reset_all(to, at, out); });
        compare_admission("gw_admit_admin_reset_app", true, twin.admit_admin_reset_app(uid, mask, at),
                          [&](auto* to, auto* out) { return gw_admit_admin_reset_app(to, uid, mask, at, out); });
        compare_admission("gw_admit_admin_reset_process", true, twin.admit_admin_reset_process(pid, mask, at),
                          [&](auto* to, auto* out) { return gw_admit_admin_reset_process(to, pid, mask, at, out); });
    }

    void execute() {
        const Text bundle = text();
        const Text reason = text();
        gw_command given{};
        static constexpr std::int32_t kinds[] = {0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, -1, 256, INT32_MIN};
        given.kind = bytes_.one_of(kinds);
        given.mask = bytes_.mask();
        given.uid = static_cast<std::uint32_t>(bytes_.uid());
        given.pid = static_cast<std::uint32_t>(bytes_.pid());
        given.timeout_ms = static_cast<std::uint32_t>(bytes_.timeout());
        given.cpu_level = level();
        given.is_persist = bytes_.below(4) == 3 ? 0x80 : 0;
        given.is_process = bytes_.byte() & 2;
        given.ask_quota = bytes_.byte();
        given.bundle = bundle.get();
        given.reason = reason.get();
        if ((given.ask_quota & 8) != 0) {
            given.capped = bytes_.mask();
            bytes_.timeouts(given.caps_ms);
        }
        const Structs<gw_command> block(bytes_, given);
        const bool is_kind = given.kind >= GW_COMMAND_APPLY && given.kind <= GW_COMMAND_ADMIN_RESET_PROCESS;
        const bool fits = given.cpu_level >= INT8_MIN && given.cpu_level <= INT8_MAX;
        Command command{.kind = static_cast<CommandKind>(given.kind),
                        .is_persist = given.is_persist != 0,
                        .is_process = given.is_process != 0,
                        .cpu_level = static_cast<std::int8_t>(fits ? given.cpu_level : 99),
                        .mask = given.mask,
                        .uid = given.uid,
                        .pid = given.pid,
                        .timeout_ms = given.timeout_ms,
                        .bundle = bundle.view(),
                        .reason = reason.view(),
                        .capped = given.capped};
        command.caps_ms = std::to_array(given.caps_ms);
        const bool valid = block.is_whole() && is_kind && bundle.is_valid() && reason.is_valid();
        const Instant at = instant();
        change(
            "gw_execute", valid, [&] { return Admission{Manager::check(command), false, command}; }, at,
            [&](auto* to, auto* mask) { return gw_execute(to, block.get(), at, mask); });
    }

    void queries() {
        const CallerArgument caller(*this);
        const Instant at = instant();
        gw_manager* const to = handle();
        const bool valid = to != nullptr && caller.is_valid();
        expect("gw_admit_query", gw_admit_query(to, caller.get(), at), valid, twin().admit_query(caller.value, at));
        expect("gw_admit_native", gw_admit_native(to, caller.get()), valid, twin().admit_native(caller.value));
        expect("gw_check_time", gw_check_time(to, at), to != nullptr, twin().engine().check_time(at));

        const std::int64_t uid = bytes_.uid();
        const Structs<gw_caller> out(bytes_, 1);
        const bool is_written = to != nullptr && out.is_whole();
        expect("gw_caller_of", gw_caller_of(to, uid, 3, out.get()), is_written, Status::ok);
        require(out.only_written(is_written), "gw_caller_of");
        if (!is_written) return;
        const Caller expected = twin().caller(uid, 3);
        const gw_caller found = out[0];
        require(found.uid == expected.uid && found.pid == 3 && view_of(found.bundle) == expected.bundle &&
                    found.system_app == expected.system_app && found.service_extension == expected.service_extension &&
                    found.native == expected.native,
                "gw_caller_of");
    }

    // Batches

    void change_many() {
        const std::size_t count = bytes_.below(12);
        const Column uids(bytes_, count, 60);
        const Column pids(bytes_, count, 7);
        const Column masks(bytes_, count, type::ALL + 4);
        const Column timeouts(bytes_, count, 300);
        const Results results(bytes_, count);
        const bool is_apply = bytes_.flag();
        const Instant at = instant();
        gw_manager* const to = handle();
        const bool valid = to != nullptr && uids.is_there() && pids.is_there() && masks.is_there() &&
                           results.is_there() && (timeouts.is_there() || !is_apply);
        const Status status = valid ? twin().engine().check_time(at) : Status::argument_invalid;
        std::vector<gw_result> expected;
        begin_call();
        for (std::size_t i = 0; status == Status::ok && i < count; ++i) {
            const Request request{
                .mask = masks[i], .is_apply = is_apply, .timeout_ms = is_apply ? timeouts[i] : std::uint64_t{0}};
            const Result result = carry_out_on_twin(twin().admit(twin().caller(uids[i], pids[i]), request, at), at);
            expected.push_back({static_cast<gw_status>(result.status), result.status == Status::ok ? result.mask : 0});
        }
        const gw_status found =
            is_apply ? gw_apply_many(to, count, uids.get(), pids.get(), masks.get(), timeouts.get(), at, results.get())
                     : gw_release_many(to, count, uids.get(), pids.get(), masks.get(), at, results.get());
        expect(is_apply ? "gw_apply_many" : "gw_release_many", found, valid, status);
        require(results.are(expected), "results of a batch");
        end_call(to);
    }

    void app_masks() {
        const std::size_t count = bytes_.below(12);
        const Column uids(bytes_, count, 60);
        const Results results(bytes_, count);
        const Instant at = instant();
        gw_manager* const to = handle();
        const bool valid = to != nullptr && uids.is_there() && results.is_there();
        const Status status = twin().engine().check_time(at);
        std::vector<gw_result> expected;
        for (std::size_t i = 0; valid && status == Status::ok && i < count; ++i)
            expected.push_back({GW_OK, twin().engine().mask({OwnerKind::app, uids[i]}, at).mask});
        expect("gw_app_masks", gw_app_masks(to, count, uids.get(), at, results.get()), valid, status);
        require(results.are(expected), "results of gw_app_masks");
    }

    // Time

    void advance() {
        const std::size_t few = bytes_.below(8);
        const std::size_t budget = few == 7 ? GW_NO_BUDGET : few;
        const Instant at = instant();
        const bool asks = bytes_.flag();
        std::size_t ended = 99'999;
        std::uint8_t more = 77;
        gw_manager* const to = handle();
        AdvanceResult expected{Status::argument_invalid};
        begin_call();
        if (to != nullptr) expected = on_twin([&](Engine& engine) { return engine.advance(at, budget); });
        const gw_status found = gw_advance(to, at, budget, asks ? &ended : nullptr, asks ? &more : nullptr);
        expect("gw_advance", found, to != nullptr, expected.status);
        const bool is_written = asks && found == GW_OK;
        require(ended == (is_written ? expected.ended : 99'999), "grants ended");
        require(more == (is_written ? std::uint8_t{expected.more} : 77), "more");
        end_call(to);
    }

    void next_deadline() {
        const Instant at = instant();
        gw_manager* const to = handle();
        Instant found = 12'345;
        Instant expected = found;
        const bool asks = bytes_.below(8) != 7;
        const bool valid = to != nullptr && asks;
        Status status = Status::ok;
        begin_call();
        if (valid) status = on_twin([&](Engine& engine) { return engine.next_deadline(at, expected); });
        expect("gw_next_deadline", gw_next_deadline(to, at, asks ? &found : nullptr), valid, status);
        require(found == expected, "next deadline");
        end_call(to);
    }

    // Reads

    void find() {
        const gw_owner owner = hostile_owner();
        const Owner of_twin{owner.kind == GW_OWNER_APP ? OwnerKind::app : OwnerKind::process, owner.key};
        const bool is_owner = owner.kind == GW_OWNER_APP || owner.kind == GW_OWNER_PROCESS;
        const Instant at = instant();
        gw_manager* const to = handle();
        const Result mask = twin().engine().mask(of_twin, at);
        std::uint32_t found = 12'345;
        expect("gw_mask", gw_mask(to, owner, at, &found), to != nullptr && is_owner, mask.status);
        require(found == (to != nullptr && is_owner && mask.status == Status::ok ? mask.mask : 12'345), "gw_mask");
        expect("gw_mask", gw_mask(to, owner, at, nullptr), false, Status::ok);

        const Structs<gw_record> out(bytes_, 1);
        RecordView expected;
        const Status status = twin().engine().find(of_twin, at, expected);
        const bool valid = to != nullptr && is_owner && out.is_whole();
        expect("gw_find", gw_find(to, owner, at, out.get()), valid, status);
        const bool is_written = valid && status == Status::ok;
        require(out.only_written(is_written), "gw_find");
        if (is_written) require(describe(out[0]) == test::describe(expected), "gw_find");
    }

    void owners_of() {
        const auto uid = static_cast<std::uint32_t>(bytes_.uid());
        const std::size_t capacity = bytes_.below(6);
        const Owners out(bytes_, capacity);
        const Instant at = instant();
        gw_manager* const to = handle();
        std::vector<Owner> expected(capacity);
        std::size_t total = 0;
        std::size_t found = 12'345;
        const Status status = twin().engine().owners_of(uid, at, expected, total);
        const bool valid = to != nullptr && out.is_there();
        expect("gw_owners_of", gw_owners_of(to, uid, at, out.get(), capacity, &found), valid, status);
        const bool is_written = valid && status == Status::ok;
        require(found == (is_written ? total : 12'345), "total of gw_owners_of");
        expected.resize(is_written ? std::min(total, capacity) : 0);
        require(out.are(expected), "gw_owners_of");
        expect("gw_owners_of", gw_owners_of(to, uid, at, out.get(), capacity, nullptr), false, Status::ok);
    }

    void owners() {
        const std::size_t capacity = bytes_.below(6);
        const Owners out(bytes_, capacity);
        const Mask mask = bytes_.mask();
        const Instant at = instant();
        gw_owner after = hostile_owner();
        const bool is_owner = after.kind == GW_OWNER_APP || after.kind == GW_OWNER_PROCESS;
        const Owner after_of_twin{after.kind == GW_OWNER_APP ? OwnerKind::app : OwnerKind::process, after.key};
        // At times it is one of the owners that are written over.
        const std::size_t where = bytes_.below(4);
        gw_owner* given = where == 0 ? nullptr : &after;
        const bool is_inside = where == 3 && out.get() != nullptr && capacity != 0;
        if (is_inside) {
            given = out.get() + capacity - 1;
            *given = after;
        }
        gw_manager* const to = handle();
        const bool valid = to != nullptr && out.is_there() && (where == 0 || is_owner);
        std::vector<Owner> expected(capacity);
        std::size_t count = 0;
        std::size_t found = 12'345;
        Status status = Status::ok;
        begin_call();
        if (valid) {
            status = on_twin([&](Engine& engine) {
                return engine.owners(mask, where == 0 ? nullptr : &after_of_twin, at, expected, count);
            });
        }
        expect("gw_owners", gw_owners(to, mask, given, at, out.get(), capacity, &found), valid, status);
        const bool is_written = valid && status == Status::ok;
        require(found == (is_written ? count : 12'345), "count of gw_owners");
        expected.resize(is_written ? count : 0);
        require(out.are(expected, is_inside ? &after : nullptr), "gw_owners");
        end_call(to);
    }

    void numbers() {
        library();
        const Mask mask = bytes_.mask();
        const Instant at = instant();
        gw_manager* const to = handle();
        require(gw_most_owners(to, mask) == (to == nullptr ? 0 : twin().engine().most_owners(mask)), "gw_most_owners");
        std::size_t count = 0;
        std::size_t found = 12'345;
        Status status = Status::ok;
        begin_call();
        if (to != nullptr) status = on_twin([&](Engine& engine) { return engine.count(mask, at, count); });
        expect("gw_count", gw_count(to, mask, at, &found), to != nullptr, status);
        require(found == (to != nullptr && status == Status::ok ? count : 12'345), "gw_count");
        end_call(to);

        const Structs<gw_stats> out(bytes_, 1);
        const bool valid = to != nullptr && out.is_whole();
        Stats expected;
        begin_call();
        if (valid) status = on_twin([&](Engine& engine) { return engine.stats(at, expected); });
        expect("gw_get_stats", gw_get_stats(to, at, out.get()), valid, status);
        const bool is_written = valid && status == Status::ok;
        require(out.only_written(is_written), "gw_get_stats");
        if (is_written) require(are_same(out[0], expected), "gw_get_stats");
        end_call(to);
    }

    void read() {
        const std::size_t capacity = bytes_.below(40);
        const std::uint64_t last = twin().engine().last_sequence();
        const std::uint64_t back = bytes_.byte();
        const std::uint64_t after = bytes_.below(8) == 7 ? UINT64_MAX - back : last - std::min(last, back);
        const Structs<gw_event> out(bytes_, capacity);
        std::size_t count = 12'345;
        std::uint64_t missed = 12'345;
        const bool asks = bytes_.flag();
        gw_manager* const to = handle();
        const bool valid = to != nullptr && (capacity == 0 || out.is_whole_array());
        std::vector<Event> expected(valid ? capacity : 0);
        const EventsRead events = twin().engine().read(after, expected);
        expect("gw_read", gw_read(to, after, out.get(), capacity, &count, asks ? &missed : nullptr), valid, Status::ok);
        require(count == (valid ? events.count : 12'345), "count of gw_read");
        require(missed == (valid && asks ? events.missed : 12'345), "missed of gw_read");
        require(capacity == 0 || out.only_written(valid ? events.count : 0), "gw_read");
        for (std::size_t i = 0; valid && i < count; ++i) require(are_same(out[i], expected[i]), "event of gw_read");
        expect("gw_read", gw_read(to, after, out.get(), capacity, nullptr, nullptr), false, Status::ok);
    }

    void set_ready() {
        gw_manager* const to = handle();
        const std::uint8_t ready = bytes_.below(4) == 3 ? 0 : bytes_.byte() | 1;
        expect("gw_set_ready", gw_set_ready(to, ready), to != nullptr, Status::ok);
        if (to == nullptr) return;
        twin().set_ready(ready != 0);
        begin_call();
        end_call(to);
    }
};

}  // namespace

}  // namespace grantwheel::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    grantwheel::fuzz::Run(grantwheel::fuzz::Bytes({data, size})).run();
    return 0;
}
