// Who may ask for what, in maps: the rules of a manager, one after the other, on values of its own.
//
// Time is no part of it: whoever compares asks at instants that the manager takes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "grantwheel/manager.hpp"
#include "words.hpp"

namespace grantwheel::test {

// Whether the text decodes to characters that there are, each in its shortest form.
inline bool decodes(std::string_view text) {
    for (std::size_t i = 0; i < text.size();) {
        const auto byte_at = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
        const unsigned lead = byte_at(i);
        const std::size_t more = lead < 0x80 ? 0 : lead < 0xC0 ? 9 : lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
        if (more == 9 || lead >= 0xF8 || i + more >= text.size()) return false;
        std::uint32_t character = more == 0 ? lead : lead & (0x3Fu >> more);
        for (std::size_t k = 1; k <= more; ++k) {
            if (byte_at(i + k) >> 6 != 2) return false;
            character = character << 6 | (byte_at(i + k) & 0x3Fu);
        }
        constexpr std::uint32_t first_of_length[] = {0, 0x80, 0x800, 0x10000};
        if (character < first_of_length[more] || character > 0x10FFFF) return false;
        if (character >= 0xD800 && character <= 0xDFFF) return false;
        i += more + 1;
    }
    return true;
}

class ModelPolicy {
public:
    Status set_rule(std::string_view bundle, const BundleRule& rule) {
        const Status status = judge_text(bundle);
        if (status == Status::ok) rules_[std::string(bundle)] = rule;
        return status;
    }
    Status set_caller(std::uint32_t uid, const Caller& caller) {
        const Status status = judge_text(caller.bundle);
        if (status == Status::ok) callers_[uid] = Registered(caller);
        return status;
    }
    Status set_default_caller(const Caller& caller) {
        const Status status = judge_text(caller.bundle);
        if (status == Status::ok) default_caller_ = Registered(caller);
        return status;
    }
    void set_default_rule(const BundleRule& rule) { default_rule_ = rule; }
    void set_quota(bool asks) { asks_quota_ = asks; }

    [[nodiscard]] bool asks_quota() const { return asks_quota_; }
    [[nodiscard]] BundleRule rule(std::string_view bundle) const {
        const auto at = rules_.find(std::string(bundle));
        return at == rules_.end() ? default_rule_ : at->second;
    }
    [[nodiscard]] Mask allowed(std::string_view bundle) const {
        return rule(bundle).known ? rule(bundle).allowed & ALL : 0;
    }
    [[nodiscard]] Caller caller(std::int64_t uid, std::int64_t pid) const {
        const auto at = uid < 0 || uid > max_uid ? callers_.end() : callers_.find(static_cast<std::uint32_t>(uid));
        const Registered& who = at == callers_.end() ? default_caller_ : at->second;
        return {uid, pid, who.bundle, who.system_app, who.service_extension, who.native};
    }

private:
    struct Registered {
        std::string bundle{};
        bool system_app = true;
        bool service_extension = false;
        bool native = true;

        Registered() = default;
        explicit Registered(const Caller& caller)
            : bundle(caller.bundle),
              system_app(caller.system_app),
              service_extension(caller.service_extension),
              native(caller.native) {}
    };

    static Status judge_text(std::string_view bundle) {
        if (bundle.size() > max_text_bytes) return Status::identity_invalid;
        return decodes(bundle) ? Status::ok : Status::parcel_failed;
    }

    std::map<std::string, BundleRule> rules_{};
    std::map<std::uint32_t, Registered> callers_{};
    BundleRule default_rule_{};
    Registered default_caller_{};
    bool asks_quota_ = false;
};

// A policy and readiness; each answer is what the manager's call of the same name must answer.
class ModelGate {
public:
    ModelPolicy policy{};
    bool ready = true;

    [[nodiscard]] Admission admit(const Caller& caller, const Request& request) const {
        const bool is_timed = request.is_apply && !request.is_persist;
        if (!decodes(request.reason) || !decodes(caller.bundle)) return refusal(Status::parcel_failed);
        if (!ready) return refusal(Status::not_ready);
        if (!is_mask(request.mask) || request.timeout_ms > max_timeout || (is_timed && request.timeout_ms == 0) ||
            request.reason.size() > max_text_bytes)
            return refusal(Status::request_invalid);
        if (const Status status = judge_caller(caller); status != Status::ok) return refusal(status);
        const Status level = judge_level(policy.rule(caller.bundle), request);
        if (level != Status::ok) return refusal(level);
        const Mask mask = request.mask & policy.allowed(caller.bundle);
        if (mask == 0) return refusal(Status::permission_denied);

        Admission admission = command(request.is_apply ? CommandKind::apply : CommandKind::release, caller, mask);
        const bool has_cpu = (mask & CPU) != 0;
        admission.ask_quota = policy.asks_quota() && has_cpu && !request.is_process && (is_timed || !request.is_apply);
        admission.command.is_persist = request.is_persist;
        admission.command.is_process = request.is_process;
        if (has_cpu) admission.command.cpu_level = static_cast<std::int8_t>(request.cpu_level);
        admission.command.timeout_ms = static_cast<std::uint32_t>(request.timeout_ms);
        admission.command.reason = request.reason;
        return request.is_apply ? capped(admission, policy.rule(caller.bundle)) : admission;
    }

    [[nodiscard]] Admission admit_reset_all(const Caller& caller) const {
        if (!decodes(caller.bundle)) return refusal(Status::parcel_failed);
        if (!ready) return refusal(Status::not_ready);
        if (const Status status = judge_caller(caller); status != Status::ok) return refusal(status);
        const Mask mask = policy.allowed(caller.bundle);
        return mask == 0 ? refusal(Status::permission_denied) : command(CommandKind::reset_all, caller, mask);
    }

    // Deaths and administration: what is no part of a call is 0 here, or every type.
    [[nodiscard]] static Admission admit_owner(CommandKind kind, std::int64_t uid, std::int64_t pid, Mask mask) {
        const Caller owner{.uid = uid, .pid = pid};
        if (!is_mask(mask)) return refusal(Status::request_invalid);
        return is_identity(owner) ? command(kind, owner, mask) : refusal(Status::identity_invalid);
    }

    [[nodiscard]] static Status check(const Command& command) {
        const bool is_timed = command.kind == CommandKind::apply && !command.is_persist;
        if (!decodes(command.reason) || !decodes(command.bundle)) return Status::parcel_failed;
        if (command.kind > CommandKind::admin_reset_process || !is_mask(command.mask)) return Status::request_invalid;
        if ((is_timed && command.timeout_ms == 0) || command.reason.size() > max_text_bytes)
            return Status::request_invalid;
        for (std::size_t bit = 0; bit < 32 && command.kind == CommandKind::apply; ++bit) {
            if ((command.capped >> bit & 1) != 0 && (bit >= command.caps_ms.size() || command.caps_ms[bit] == 0))
                return Status::request_invalid;
        }
        if (!is_identity({.uid = command.uid, .pid = command.pid, .bundle = command.bundle}))
            return Status::identity_invalid;
        return command.cpu_level >= -1 && command.cpu_level <= 2 ? Status::ok : Status::level_invalid;
    }

    [[nodiscard]] Status admit_query(const Caller& caller) const {
        if (!decodes(caller.bundle)) return Status::query_parcel_failed;
        return ready ? judge_caller(caller) : Status::query_not_ready;
    }
    [[nodiscard]] static Status admit_native(const Caller& caller) {
        return caller.native ? Status::ok : Status::permission_denied;
    }

private:
    static Admission refusal(Status status) { return {.status = status}; }
    // An apply with each type that would last longer cut to the longest, or refused.
    [[nodiscard]] Admission capped(Admission admission, const BundleRule& rule) const {
        Command& command = admission.command;
        for (std::size_t type = 0; type < rule.timeout_max_ms.size(); ++type) {
            const std::uint64_t longest = rule.timeout_max_ms[type] == 0 ? UINT64_MAX : rule.timeout_max_ms[type];
            const std::uint64_t wanted = command.is_persist ? UINT64_MAX : command.timeout_ms;
            if ((command.mask >> type & 1) == 0 || wanted <= longest) continue;
            command.capped |= Mask{1} << type;
            command.caps_ms[type] = rule.timeout_max_ms[type];
        }
        if (command.capped != 0 && rule.refuses_longer) return refusal(Status::permission_denied);
        const bool ends = !command.is_persist || (command.capped & CPU) != 0;
        admission.ask_quota = policy.asks_quota() && (command.mask & CPU) != 0 && !command.is_process && ends;
        return admission;
    }
    static bool is_mask(Mask mask) { return mask >= 1 && mask <= ALL; }
    static bool is_identity(const Caller& caller) {
        return caller.uid >= 0 && caller.uid <= 0xFFFF'FFFE && caller.pid >= 0 && caller.pid <= 0x7FFF'FFFF &&
               caller.bundle.size() <= max_text_bytes;
    }
    static Status judge_caller(const Caller& caller) {
        if (!is_identity(caller)) return Status::identity_invalid;
        return caller.system_app || caller.service_extension ? Status::ok : Status::not_system_app;
    }
    static Status judge_level(const BundleRule& rule, const Request& request) {
        if ((request.mask & CPU) == 0 || request.cpu_level == -1) return Status::ok;
        if (request.cpu_level < 0 || request.cpu_level > 2) return Status::level_invalid;
        if (rule.level_limit == -1) return Status::level_not_configured;
        if (!rule.known) return Status::level_bundle_unknown;
        return request.cpu_level > rule.level_limit ? Status::level_above_limit : Status::ok;
    }
    static Admission command(CommandKind kind, const Caller& caller, Mask mask) {
        Admission admission;
        admission.command.kind = kind;
        admission.command.mask = mask;
        admission.command.uid = static_cast<std::uint32_t>(caller.uid);
        admission.command.pid = static_cast<std::uint32_t>(caller.pid);
        admission.command.bundle = caller.bundle;
        return admission;
    }
};

}  // namespace grantwheel::test
