#include "grantwheel/policy.hpp"

#include "core/bits.hpp"
#include "core/hash.hpp"
#include "core/index.hpp"
#include "core/strings.hpp"
#include "core/text.hpp"

namespace grantwheel {

namespace {

// A caller of the registry; its bundle is a text of the policy.
struct CallerEntry {
    std::uint32_t uid = 0;
    TextId bundle = no_text;
    bool system_app = false;
    bool service_extension = false;
    bool native = false;
    std::uint32_t stored_hash = 0;
    [[nodiscard]] bool used() const noexcept { return bundle != no_text; }
    [[nodiscard]] std::uint32_t hash() const noexcept { return stored_hash; }
};

// A rule, and the types to which it gives a longest timeout.
struct Rule {
    BundleRule rule{};
    Mask limited = 0;
};

Rule rule_of(const BundleRule& rule) noexcept {
    Rule made{rule, 0};
    for_each_type(rules.all, [&](int type) {
        if (rule.timeout_max_ms[static_cast<std::size_t>(type)] != 0) made.limited |= type_bit(type);
    });
    return made;
}

}  // namespace

struct Policy::Parts {
    explicit Parts(const HashKey& key) noexcept : texts(key), hash_of_uid(key) {}

    Strings texts;
    Array<std::uint32_t> rule_of_text{};  // by text: the place of its rule in `rules`, 0 for none
    Array<Rule> rules{};                  // the first is the default
    NumberHash hash_of_uid;
    Index<CallerEntry> callers{};
    CallerEntry default_caller{};
    bool asks_quota = false;

    // The number of a text, used for good; no_text when there is no memory.
    [[nodiscard]] TextId keep(std::string_view text) noexcept {
        const TextId id = texts.find_or_add(text);
        if (id != no_text) texts.use(id);
        return id;
    }
    [[nodiscard]] Status make_caller(std::uint32_t uid, const Caller& caller, CallerEntry& entry) noexcept {
        if (caller.bundle.size() > max_text_bytes) return Status::identity_invalid;
        if (!is_utf8(caller.bundle)) return Status::parcel_failed;
        const TextId bundle = keep(caller.bundle);
        if (bundle == no_text) return Status::out_of_memory;
        entry = {uid, bundle, caller.system_app, caller.service_extension, caller.native, hash_of_uid(uid)};
        return Status::ok;
    }
    [[nodiscard]] const CallerEntry* find_caller(std::uint32_t uid) const noexcept {
        return callers.find(hash_of_uid(uid), [&](const CallerEntry& entry) { return entry.uid == uid; });
    }
    [[nodiscard]] const CallerEntry& caller(std::int64_t uid) const noexcept {
        if (callers.count() == 0 || uid < 0 || uid > max_uid) return default_caller;
        const CallerEntry* const found = find_caller(static_cast<std::uint32_t>(uid));
        return found == nullptr ? default_caller : *found;
    }
    [[nodiscard]] std::size_t place_of_rule(TextId bundle) const noexcept {
        return bundle < rule_of_text.size() ? rule_of_text[bundle] : 0;
    }
    [[nodiscard]] Caller caller_of(const CallerEntry& entry, std::int64_t uid, std::int64_t pid) const noexcept {
        return {uid, pid, texts.text(entry.bundle), entry.system_app, entry.service_extension, entry.native};
    }
};

Policy::Policy(std::unique_ptr<Parts> parts) noexcept : parts_(std::move(parts)) {}
Policy::~Policy() = default;

std::unique_ptr<Policy> Policy::create(const HashKey& key) noexcept {
    std::unique_ptr<Parts> parts(new (std::nothrow) Parts(key));
    if (parts == nullptr || !parts->rules.resize(1, Rule{})) return nullptr;
    parts->default_caller = {0, Strings::empty, true, false, true, 0};
    return std::unique_ptr<Policy>(new (std::nothrow) Policy(std::move(parts)));
}

void Policy::set_default_rule(const BundleRule& rule) noexcept { parts_->rules[0] = rule_of(rule); }

Status Policy::set_rule(std::string_view bundle, const BundleRule& rule) noexcept {
    if (bundle.size() > max_text_bytes) return Status::identity_invalid;
    if (!is_utf8(bundle)) return Status::parcel_failed;
    auto& of_text = parts_->rule_of_text;
    const TextId id = parts_->keep(bundle);
    if (id == no_text || !parts_->rules.reserve(parts_->rules.size() + 1)) return Status::out_of_memory;
    if (id >= of_text.size() && !of_text.resize(std::size_t{id} + 1, 0)) return Status::out_of_memory;
    if (of_text[id] == 0) {
        of_text[id] = static_cast<std::uint32_t>(parts_->rules.size());
        parts_->rules.push(rule_of(rule));
    } else {
        parts_->rules[of_text[id]] = rule_of(rule);
    }
    return Status::ok;
}

Status Policy::set_default_caller(const Caller& caller) noexcept {
    return parts_->make_caller(0, caller, parts_->default_caller);
}

Status Policy::set_caller(std::uint32_t uid, const Caller& caller) noexcept {
    CallerEntry entry;
    if (const Status status = parts_->make_caller(uid, caller, entry); status != Status::ok) return status;
    if (const CallerEntry* known = parts_->find_caller(uid)) {
        *const_cast<CallerEntry*>(known) = entry;
        return Status::ok;
    }
    if (!parts_->callers.reserve(parts_->callers.count() + 1)) return Status::out_of_memory;
    parts_->callers.insert(entry);
    return Status::ok;
}

void Policy::set_quota(bool asks) noexcept { parts_->asks_quota = asks; }
bool Policy::asks_quota() const noexcept { return parts_->asks_quota; }

const BundleRule& Policy::rule(std::string_view bundle) const noexcept {
    const Parts& parts = *parts_;
    if (parts.rules.size() == 1) return parts.rules[0].rule;
    return parts.rules[parts.place_of_rule(parts.texts.find(bundle))].rule;
}

Caller Policy::caller(std::int64_t uid, std::int64_t pid) const noexcept {
    return parts_->caller_of(parts_->caller(uid), uid, pid);
}

Policy::Standing Policy::standing(std::int64_t uid) const noexcept {
    const CallerEntry& entry = parts_->caller(uid);
    const Caller caller = parts_->caller_of(entry, uid, 0);
    const Rule& found = parts_->rules[parts_->place_of_rule(entry.bundle)];
    return {.is_privileged = caller.is_privileged(),
            .allowed = found.rule.permitted(),
            .limited = found.limited,
            .bundle = caller.bundle,
            .rule = &found.rule};
}

bool Policy::has_one_standing() const noexcept { return parts_->callers.count() == 0; }

}  // namespace grantwheel
