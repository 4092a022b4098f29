// Who may hold what: allowed types, cpu level limit and longest timeouts by bundle, callers by uid, and whether a quota hook is asked.
// A value that is built once and then only read; not thread-safe while it is built.
//
// Default  Trusts everyone: every caller is a native system app without a bundle name, every bundle may hold every
//          type.
// Errors   The building calls answer out_of_memory, or parcel_failed for a text that is not UTF-8; nothing throws.
#pragma once

#include <memory>
#include <string_view>

#include "grantwheel/macros.hpp"
#include "grantwheel/types.hpp"

namespace grantwheel {

// What the policy says of one bundle.
struct BundleRule {
    Mask allowed = type::ALL;
    std::int32_t level_limit = default_level;  // default_level: not configured
    bool known = true;                         // an unknown bundle may hold nothing
    bool refuses_longer = false;               // what becomes of an apply for longer: refused, or cut to the longest
    Timeouts timeout_max_ms{};                 // the longest timeout of each type; 0: no limit

    // The types that it may hold.
    [[nodiscard]] constexpr Mask permitted() const noexcept { return known ? allowed & rules.all : 0; }
};

class Policy {
public:
    // A policy that says what the default does; null when memory is not to be had.
    [[nodiscard]] static std::unique_ptr<Policy> create(const HashKey& key = {}) noexcept;
    ~Policy();
    Policy(const Policy&) = delete;
    Policy& operator=(const Policy&) = delete;

    // The rule of every bundle without one of its own.
    void set_default_rule(const BundleRule& rule) noexcept;
    [[nodiscard]] Status set_rule(std::string_view bundle, const BundleRule& rule) noexcept;

    // The caller of every uid without one of its own. Bundle and flags count; uid and pid are the call's.
    [[nodiscard]] Status set_default_caller(const Caller& caller) noexcept;
    [[nodiscard]] Status set_caller(std::uint32_t uid, const Caller& caller) noexcept;

    // Whether the host has a quota hook, which admissions then name when it has to be asked.
    void set_quota(bool asks) noexcept;

    [[nodiscard]] const BundleRule& rule(std::string_view bundle) const noexcept;
    [[nodiscard]] Caller caller(std::int64_t uid, std::int64_t pid) const noexcept;
    [[nodiscard]] bool asks_quota() const noexcept;

    // What the policy says of the caller of a uid, made ready for judging many calls.
    struct Standing {
        bool is_privileged = false;  // whether it may call
        Mask allowed = 0;
        Mask limited = 0;  // the types with a longest timeout
        std::string_view bundle{};
        const BundleRule* rule = nullptr;
    };
    [[nodiscard]] Standing standing(std::int64_t uid) const noexcept;
    // Whether that is the same for all uids.
    [[nodiscard]] bool has_one_standing() const noexcept;

private:
    struct Parts;
    explicit Policy(std::unique_ptr<Parts> parts) noexcept;
    std::unique_ptr<Parts> parts_;
};

}  // namespace grantwheel
