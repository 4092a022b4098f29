// A manager of the C ABI and its twin of the C++ interface, and what a call on both needs: arguments, the quota's
// functions, and the comparison of what can be seen afterwards.
#pragma once

#include <algorithm>
#include <array>
#include <tuple>

#include "blocks.hpp"
#include "capi_values.hpp"
#include "grantwheel/manager.hpp"

namespace grantwheel::fuzz {

class Twins {
public:
    explicit Twins(Bytes bytes) : bytes_(bytes) {
        static constexpr std::uint32_t sizes[] = {1, 2, 3, 5, 8, 40, 512};
        limits_ = {bytes_.one_of(sizes), bytes_.one_of(sizes), bytes_.one_of(sizes)};
        if (bytes_.below(4) == 3) now_ = max_now - 5000;
        make();
    }
    ~Twins() { gw_destroy(handle_); }
    Twins(const Twins&) = delete;
    Twins& operator=(const Twins&) = delete;

protected:
    struct CallerArgument {
        explicit CallerArgument(Twins& twins) : CallerArgument(twins, twins.bytes_.uid(), twins.bytes_.pid()) {}
        CallerArgument(Twins& twins, std::int64_t uid, std::int64_t pid)
            : bundle(twins.text()),
              given(given_of(twins.bytes_.byte(), uid, pid, bundle.get())),
              block(twins.bytes_, given),
              value{uid, pid, bundle.view(), given.system_app != 0, given.service_extension != 0, given.native != 0} {}
        [[nodiscard]] bool is_valid() const { return block.is_whole() && bundle.is_valid(); }
        [[nodiscard]] const gw_caller* get() const { return block.get(); }
        static gw_caller given_of(std::uint8_t flags, std::int64_t uid, std::int64_t pid, gw_text bundle) {
            const auto is_app = static_cast<std::uint8_t>(flags % 8 != 7 ? flags | 1 : 0);
            return {0,   is_app, static_cast<std::uint8_t>(flags & 64), static_cast<std::uint8_t>(flags & 128), uid,
                    pid, bundle};
        }

        Text bundle;
        gw_caller given;
        Structs<gw_caller> block;
        Caller value;
    };

    struct RequestArgument {
        explicit RequestArgument(Twins& twins)
            : reason(twins.text()), given(given_of(twins, reason.get())), block(twins.bytes_, given) {
            value = {.mask = given.mask,
                     .is_apply = given.is_apply != 0,
                     .is_persist = given.is_persist != 0,
                     .is_process = given.is_process != 0,
                     .cpu_level = given.cpu_level,
                     .timeout_ms = given.timeout_ms,
                     .reason = reason.view()};
        }
        [[nodiscard]] bool is_valid() const { return block.is_whole() && reason.is_valid(); }
        [[nodiscard]] const gw_request* get() const { return block.get(); }
        static gw_request given_of(Twins& twins, gw_text reason) {
            const std::uint8_t flags = twins.bytes_.byte();
            gw_request given = GW_REQUEST_INIT;
            given.mask = twins.bytes_.mask();
            given.is_apply = flags % 4 != 3 ? flags | 1 : 0;
            given.is_persist = (flags & 0x30) == 0x30 ? flags : 0;
            given.is_process = flags & 4;
            given.cpu_level = twins.level();
            given.timeout_ms = twins.bytes_.timeout();
            given.reason = reason;
            return given;
        }

        Text reason;
        gw_request given;
        Structs<gw_request> block;
        Request value;
    };

    [[nodiscard]] Manager& twin() { return *twin_; }
    // The manager, or now and then null.
    gw_manager* handle() { return bytes_.below(32) == 31 ? nullptr : handle_; }

    // Arguments

    Instant instant() {
        const std::uint8_t choice = bytes_.byte();
        if (choice < 240) return now_;
        if (choice < 250) return now_ - std::min<Instant>(now_, choice - 239);
        return choice == 255 ? UINT64_MAX : max_now + choice - 249;
    }
    void pass_time() {
        const std::uint8_t how = bytes_.byte();
        const Instant wake = twin_->engine().wake_at();
        if (how < 128) return;
        if (how < 192) now_ += how - 128;
        if (how >= 192 && how < 224) now_ += Instant{1} << (how - 192);
        if (how >= 224 && wake != no_deadline) now_ = std::max(now_, wake - how % 2);
        now_ = std::min(now_, max_now);
    }
    std::int32_t level() {
        static constexpr std::int32_t levels[] = {-1, -1, 0, 1, 2, 3, -2, 127, 128, -128, -129, INT32_MAX, INT32_MIN};
        return bytes_.one_of(levels);
    }
    gw_owner hostile_owner() {
        const std::uint8_t choice = bytes_.byte();
        if (choice < 230) return {choice % 2, static_cast<std::uint32_t>(choice / 2 % 6)};
        return {choice < 240 ? 2 : choice < 250 ? -1 : INT32_MIN, choice};
    }
    // At times one that the library has given out.
    Text text() {
        if (bytes_.below(8) != 7) return Text(bytes_);
        gw_record record{};
        record.size = sizeof record;
        const gw_owner owner{bytes_.below(2) == 0 ? GW_OWNER_APP : GW_OWNER_PROCESS,
                             static_cast<std::uint32_t>(bytes_.below(6))};
        if (gw_find(handle_, owner, now_, &record) != GW_OK) return Text(bytes_);
        if (record.grant_count != 0 && bytes_.flag()) return Text(record.grants[0].reason);
        return Text(record.bundle);
    }

    // One call on both: `begin_call`, the call on the twin, the call, `end_call`.

    void begin_call() {
        checks_.clear();
        expected_checks_.clear();
        settled_.clear();
        expected_settled_.clear();
        expected_ended_.clear();
        refuses_ = bytes_.below(4) == 3;
    }
    template <typename Call>
    auto on_twin(Call&& call) {
        const auto result = call(twin_->engine());
        const auto ended = twin_->engine().cpu_ended();
        expected_ended_.insert(expected_ended_.end(), ended.begin(), ended.end());
        if (has_settle_) expected_settled_.insert(expected_settled_.end(), ended.begin(), ended.end());
        return result;
    }
    Result carry_out_on_twin(const Admission& admission, Instant at) {
        if (admission.status != Status::ok) return {admission.status, 0};
        if (admission.ask_quota && has_check_) {
            expected_checks_.push_back(numbers_of(admission.command));
            if (refuses_) return {Status::permission_denied, 0};
        }
        return on_twin([&](Engine&) { return twin_->execute(admission, at); });
    }
    // `to`: the manager of the call, which was made even when it was refused; a call on none was not.
    void end_call(const gw_manager* to) {
        require(checks_ == expected_checks_, "commands that the quota was asked about");
        require(settled_ == expected_settled_, "uids that the quota was told");
        if (to != nullptr) last_ended_ = expected_ended_;
        std::size_t count = 99'999;
        const std::uint32_t* const uids = gw_cpu_ended(handle_, &count);
        require(std::vector<std::uint32_t>(uids, uids + count) == last_ended_, "gw_cpu_ended");
    }

    // A change that `admit()` judges on the twin and `call(manager, mask)` makes on the other.
    template <typename Admit, typename Call>
    void change(const char* name, bool valid, Admit&& admit, Instant at, Call&& call) {
        gw_manager* const to = handle();
        valid = valid && to != nullptr;
        const bool asks = bytes_.below(4) != 3;
        std::uint32_t mask = 12'345;
        Result expected;
        begin_call();
        if (valid) expected = carry_out_on_twin(admit(), at);
        expect(name, call(to, asks ? &mask : nullptr), valid, expected.status);
        require(mask == (valid && asks && expected.status == Status::ok ? expected.mask : 12'345), name);
        end_call(to);
    }

    // An admission into a command of any size.
    template <typename Call>
    void compare_admission(const char* name, bool valid, const Admission& expected, Call&& call) {
        const Structs<gw_command> out(bytes_, 1);
        gw_manager* const to = handle();
        valid = valid && to != nullptr && out.is_whole();
        expect(name, call(to, out.get()), valid, expected.status);
        const bool is_written = valid && expected.status == Status::ok;
        require(out.only_written(is_written), name);
        if (!is_written) return;
        const gw_command found = out[0];
        require(numbers_of(found) == numbers_of(expected.command), name);
        require(view_of(found.bundle) == expected.command.bundle, name);
        require(view_of(found.reason) == expected.command.reason, name);
        require(found.ask_quota == expected.ask_quota, name);
    }

    // What can be seen after any call.
    void compare() {
        const Engine& engine = twin_->engine();
        require(gw_first_sequence(handle_) == engine.first_sequence(), "gw_first_sequence");
        require(gw_last_sequence(handle_) == engine.last_sequence(), "gw_last_sequence");
        require(gw_wake_at(handle_) == engine.wake_at(), "gw_wake_at");
        require(gw_most_owners(handle_, type::ALL) == engine.most_owners(type::ALL), "gw_most_owners");
        require(gw_ready(handle_) == twin_->ready(), "gw_ready");
        require(gw_check_time(handle_, now_) == static_cast<gw_status>(engine.check_time(now_)), "gw_check_time");
        const char* const broken = gw_validate(handle_);
        require(broken == nullptr, broken);
        const gw_owner owner{GW_OWNER_APP, static_cast<std::uint32_t>(bytes_.byte() % 6)};
        std::uint32_t mask = 0;
        const gw_status status = gw_mask(handle_, owner, now_, &mask);
        const Result expected = engine.mask({OwnerKind::app, owner.key}, now_);
        require(status == static_cast<gw_status>(expected.status) && mask == expected.mask, "gw_mask");
        require(gw_validate(nullptr) != nullptr && gw_wake_at(nullptr) == GW_NO_DEADLINE && gw_ready(nullptr) == 0 &&
                    gw_most_owners(nullptr, 1) == 0 && gw_first_sequence(nullptr) == 1 &&
                    gw_last_sequence(nullptr) == 0,
                "answers about no manager");
    }

    // Policies. Where several things are wrong with one, any of their statuses will do.
    void set_policy() {
        const std::uint8_t parts = bytes_.byte();
        std::unique_ptr<Policy> policy = Policy::create();
        std::vector<Status> wrong;
        const auto note = [&](Status status) {
            if (status != Status::ok) wrong.push_back(status);
        };
        const auto note_unless = [&](bool valid) { note(valid ? Status::ok : Status::argument_invalid); };

        std::vector<Text> texts;
        gw_bundle_rule given_default = rule(texts);
        // Not read, and so it may be anything.
        given_default.bundle = {reinterpret_cast<const char*>(std::uintptr_t{parts} & 1), SIZE_MAX};
        const Structs<gw_bundle_rule> default_rule(bytes_, given_default);
        std::vector<gw_bundle_rule> given_rules;
        for (unsigned i = 0; i < (parts & 3u); ++i) given_rules.push_back(rule(texts));
        for (const gw_bundle_rule& one : given_rules) {
            const bool is_right = is_level(one.level_limit) && (one.bundle.data != nullptr || one.bundle.size == 0);
            note_unless(is_right);
            if (is_right) note(policy->set_rule(view_of(one.bundle), to_rule(one)));
        }
        Structs<gw_bundle_rule> rules(bytes_, given_rules);
        std::vector<std::unique_ptr<CallerArgument>> arguments;
        std::vector<gw_caller> given_callers;
        for (unsigned i = 0; i < (parts >> 2 & 3u); ++i) {
            const CallerArgument& who = *arguments.emplace_back(std::make_unique<CallerArgument>(*this));
            given_callers.push_back(who.given);
            const bool is_uid = who.value.uid >= 0 && who.value.uid <= max_uid;
            note_unless(who.bundle.is_valid());
            note(is_uid ? policy->set_caller(static_cast<std::uint32_t>(who.value.uid), who.value)
                        : Status::identity_invalid);
        }
        Structs<gw_caller> callers(bytes_, given_callers);
        if (bytes_.below(16) == 15) {
            rules.spoil_last();
            callers.spoil_last();
            note_unless(given_rules.size() < 2 || !rules.is_whole_array());
            note_unless(given_callers.size() < 2 || !callers.is_whole_array());
        }
        const CallerArgument default_caller(*this);

        gw_policy given = GW_POLICY_INIT;
        given.asks_quota = parts & 16;
        if (bytes_.flag()) given.default_rule = default_rule.get();
        if (given.default_rule != nullptr) {
            note_unless(default_rule.is_whole() && is_level(given_default.level_limit));
            policy->set_default_rule(to_rule(given_default));
        }
        given.rules = rules.get();
        given.rule_count = given_rules.size();
        note_unless(given_rules.empty() || rules.is_whole_array());
        given.callers = callers.get();
        given.caller_count = given_callers.size();
        note_unless(given_callers.empty() || callers.is_whole_array());
        if ((parts & 128) != 0) {
            given.default_caller = default_caller.get();
            note_unless(given.default_caller == nullptr || default_caller.is_valid());
            if (given.default_caller != nullptr) note(policy->set_default_caller(default_caller.value));
        }
        const bool checks = (parts & 32) != 0;
        const bool settles = (parts & 64) != 0;
        if (checks) given.quota_check = &check;
        if (settles) given.quota_settle = &settle;
        given.quota_user = this;
        policy->set_quota((parts & 16) != 0 || checks || settles);
        const Structs<gw_policy> block(bytes_, given);
        note_unless(block.get() == nullptr || block.is_whole());

        gw_manager* const to = handle();
        note_unless(to != nullptr);
        begin_call();
        const gw_status found = gw_set_policy(to, block.get());
        if (to == nullptr || (block.get() != nullptr && !wrong.empty())) {
            require(std::find(wrong.begin(), wrong.end(), static_cast<Status>(found)) != wrong.end(), "gw_set_policy");
            end_call(to);
            return;
        }
        require(found == GW_OK, "gw_set_policy");
        const bool is_initial = block.get() == nullptr;
        has_check_ = checks && !is_initial;
        has_settle_ = settles && !is_initial;
        require(twin_->set_policy(is_initial ? Policy::create() : std::move(policy)) == Status::ok,
                "policy of the twin");
        end_call(to);
    }

    // What needs no manager.
    void library() {
        const gw_status status = (bytes_.flag() ? bytes_.one_of(codes) : static_cast<std::int32_t>(bytes_.number(4)));
        const auto known = static_cast<Status>(status);
        require(gw_status_name(status) == status_name(known), "gw_status_name");
        require(gw_status_text(status) == status_text(known), "gw_status_text");
        require(gw_status_public_code(status) == public_code(known), "gw_status_public_code");
        const std::string string = std::string(bytes_.text()).c_str();
        require(view_of(gw_text_of(string.c_str())) == string, "gw_text_of");
        require(gw_text_of(nullptr).size == 0, "gw_text_of");
        require(gw_abi_version() == GW_ABI_VERSION && gw_version() == std::string_view(GRANTWHEEL_VERSION), "version");
    }

    // Another manager instead of this one, of limits that may be wrong.
    void start_anew() {
        static constexpr std::uint32_t sizes[] = {1, 2, 3, 5, 8, 40, 512, 0, 0x8000'0000, UINT32_MAX};
        const gw_limits given{0, bytes_.one_of(sizes), bytes_.one_of(sizes), bytes_.one_of(sizes),
                              bytes_.below(16) == 15 ? bytes_.one_of(sizes) : 0};
        const Limits limits{given.max_records, given.max_strings, given.event_capacity, given.reserve};
        const Structs<gw_limits> block(bytes_, given);
        const char* const wrong = gw_limits_first_invalid(block.get());
        const char* const expected = block.is_whole() ? limits.first_invalid() : "size";
        require((wrong == nullptr) == (expected == nullptr), "gw_limits_first_invalid");
        require(wrong == nullptr || std::string_view(wrong) == expected, "gw_limits_first_invalid");
        require(gw_create(block.get(), nullptr) == GW_ARGUMENT_INVALID, "gw_create");
        if (wrong != nullptr && block.get() != nullptr) {
            gw_manager* none = handle_;
            require(gw_create(block.get(), &none) == GW_ARGUMENT_INVALID && none == handle_, "gw_create");
        }
        gw_destroy(nullptr);
        if (wrong != nullptr) return;
        gw_destroy(handle_);
        limits_ = limits;
        make();
    }

    Bytes bytes_;

private:
    using Numbers =
        std::tuple<int, bool, bool, std::int32_t, Mask, std::uint32_t, std::uint32_t, std::uint32_t, Mask, Timeouts>;
    // Of a Command or a gw_command.
    template <typename From>
    static Numbers numbers_of(const From& from) {
        return {static_cast<int>(from.kind),
                from.is_persist != 0,
                from.is_process != 0,
                from.cpu_level,
                from.mask,
                from.uid,
                from.pid,
                from.timeout_ms,
                from.capped,
                test::caps_of(from.capped, from.caps_ms)};
    }

    void make() {
        const gw_limits given{sizeof(gw_limits), limits_.max_records, limits_.max_strings, limits_.event_capacity,
                              limits_.reserve};
        handle_ = nullptr;
        require(gw_create(&given, &handle_) == GW_OK && handle_ != nullptr, "gw_create");
        twin_ = Manager::create(limits_);
        require(twin_ != nullptr, "a twin");
        has_check_ = has_settle_ = false;
        last_ended_.clear();
    }

    gw_bundle_rule rule(std::vector<Text>& texts) {
        const std::uint8_t flags = bytes_.byte();
        gw_bundle_rule given = GW_BUNDLE_RULE_INIT;
        given.allowed = (flags & 1) != 0 ? type::ALL : bytes_.mask();
        given.level_limit = bytes_.below(16) == 15 ? level() : static_cast<std::int32_t>(flags >> 1 & 3) - 1;
        given.is_known = (flags & 0x18) != 0x18 ? flags | 1 : 0;
        given.bundle = texts.emplace_back(bytes_).get();
        given.refuses_longer = (flags & 0x60) == 0x60 ? flags : 0;
        if ((flags & 0x20) != 0) bytes_.timeouts(given.timeout_max_ms);
        return given;
    }
    static BundleRule to_rule(const gw_bundle_rule& given) {
        BundleRule rule{given.allowed, given.level_limit, given.is_known != 0, given.refuses_longer != 0};
        rule.timeout_max_ms = std::to_array(given.timeout_max_ms);
        return rule;
    }

    // The quota. Each makes the calls that it may make, and others, which must be refused.

    static std::int32_t check(void* user, const gw_command* command) {
        auto& self = *static_cast<Twins*>(user);
        require(command->size == sizeof *command && command->ask_quota == 1, "command for the quota");
        self.checks_.push_back(numbers_of(*command));
        self.call_back();
        return self.refuses_ ? 0 : 2;
    }
    static void settle(void* user, std::uint32_t uid) {
        auto& self = *static_cast<Twins*>(user);
        self.settled_.push_back(uid);
        self.call_back();
    }
    void call_back() {
        std::uint32_t mask = 0;
        std::uint64_t deadline = 0;
        const gw_caller caller{sizeof caller, 1, 0, 0, 1, 1, {nullptr, 0}};
        const gw_request request{sizeof request, 1, 1, 0, 0, 0, -1, 5, {nullptr, 0}};
        gw_destroy(handle_);
        require(gw_perform(handle_, &caller, &request, now_, &mask) == GW_IN_CALLBACK, "gw_perform in a callback");
        require(gw_advance(handle_, now_, 9, nullptr, nullptr) == GW_IN_CALLBACK, "gw_advance in a callback");
        require(gw_next_deadline(handle_, now_, &deadline) == GW_IN_CALLBACK, "gw_next_deadline in a callback");
        require(gw_set_policy(handle_, nullptr) == GW_IN_CALLBACK, "gw_set_policy in a callback");
        require(gw_set_ready(handle_, 0) == GW_IN_CALLBACK, "gw_set_ready in a callback");
        require(gw_perform(handle_, nullptr, nullptr, now_, nullptr) == GW_IN_CALLBACK, "nothing in a callback");
        require(gw_count(handle_, 1, now_, nullptr) == GW_IN_CALLBACK, "gw_count in a callback");
        require(gw_mask(handle_, {GW_OWNER_APP, 1}, now_, &mask) != GW_IN_CALLBACK, "gw_mask in a callback");
        require(gw_validate(handle_) == nullptr, "gw_validate in a callback");
    }

#define GRANTWHEEL_STATUS(name, NAME, inner, text) (inner),
    static constexpr std::int32_t codes[] = {GRANTWHEEL_STATUS_LIST(GRANTWHEEL_STATUS)};
#undef GRANTWHEEL_STATUS

    gw_manager* handle_ = nullptr;
    std::unique_ptr<Manager> twin_;
    Limits limits_{};
    Instant now_ = 0;
    bool has_check_ = false;
    bool has_settle_ = false;
    bool refuses_ = false;
    std::vector<Numbers> checks_;
    std::vector<Numbers> expected_checks_;
    std::vector<std::uint32_t> settled_;
    std::vector<std::uint32_t> expected_settled_;
    std::vector<std::uint32_t> expected_ended_;  // in the call that is being made
    std::vector<std::uint32_t> last_ended_;      // in the last one on the manager
};

}  // namespace grantwheel::fuzz
