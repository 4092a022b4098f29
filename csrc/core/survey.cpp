#include "grantwheel/survey.hpp"

#include <algorithm>

#include "core/engine_parts.hpp"

namespace grantwheel {

struct Survey::Parts {
    const Engine& engine;
    const Engine::Parts& of;
    What what;
    Instant now;
    std::uint64_t changes = 0;
    Row row = 0;  // the next to be looked at
    bool has_begun = false;
    Array<std::uint64_t> due_users{};  // of each text
    Stats stats{};
    Instant next = no_deadline;

    [[nodiscard]] bool begin() noexcept;
    void look_at(Row at) noexcept;
    void leave_out(Row at, Mask due) noexcept;
    void let_go(TextId text) noexcept;
};

// Counts everything, what is due included.
bool Survey::Parts::begin() noexcept {
    has_begun = true;
    changes = of.changes();
    row = 0;
    next = no_deadline;
    engine.count_all(stats);
    if (what == What::next_deadline) return true;
    if (engine.wake_at() > now) {
        row = of.table.end();
        return true;
    }
    due_users.clear();
    return due_users.resize(of.strings.end() + 1, 0);
}

void Survey::Parts::look_at(Row at) noexcept {
    const Instant armed = of.table.record(at).armed;
    if (what == What::stats) {
        if (armed <= now) leave_out(at, of.table.mask(at) & ~of.mask_at(at, now));
        return;
    }
    if (armed >= next) return;  // no deadline of the record comes before its timer
    for_each_type(of.table.mask(at), [&](int type) {
        const Instant deadline = of.table.grant(at, type).deadline;
        if (deadline > now) next = std::min(next, deadline);
    });
}

void Survey::Parts::leave_out(Row at, Mask due) noexcept {
    const Record& record = of.table.record(at);
    const bool is_app = record.kind == OwnerKind::app;
    for_each_type(due, [&](int type) {
        --(is_app ? stats.app_grants : stats.process_grants)[type];
        ++stats.ended[static_cast<std::size_t>(Cause::expired)];
        let_go(of.table.grant(at, type).reason);
    });
    if (due == 0 || due != of.table.mask(at)) return;
    --(is_app ? stats.app_records : stats.process_records);
    let_go(record.bundle);
}

// One of the users of a text is due; with the last of them the text is not in use.
void Survey::Parts::let_go(TextId text) noexcept {
    if (text != Strings::empty && ++due_users[text] == of.strings.users(text)) --stats.strings;
}

Survey::Survey(std::unique_ptr<Parts> parts) noexcept : parts_(std::move(parts)) {}
Survey::~Survey() = default;

std::unique_ptr<Survey> Survey::create(const Engine& engine, What what, Instant now) noexcept {
    std::unique_ptr<Parts> parts(new (std::nothrow) Parts{engine, *engine.parts_, what, now});
    if (parts == nullptr) return nullptr;
    return std::unique_ptr<Survey>(new (std::nothrow) Survey(std::move(parts)));
}

Survey::Step Survey::step(std::size_t budget) noexcept {
    Parts& parts = *parts_;
    if (const Status status = parts.of.check_time(parts.now); status != Status::ok) return {status};
    const bool is_stale = !parts.has_begun || parts.changes != parts.of.changes();
    if (is_stale && !parts.begin()) return {Status::out_of_memory};
    const Row end = parts.of.table.end();
    const Row stop = end - parts.row > budget ? parts.row + static_cast<Row>(budget) : end;
    for (; parts.row < stop; ++parts.row) {
        if (parts.of.table.mask(parts.row) != 0) parts.look_at(parts.row);
    }
    return {Status::ok, parts.row != end};
}

const Stats& Survey::stats() const noexcept { return parts_->stats; }
Instant Survey::next_deadline() const noexcept { return parts_->next; }

}  // namespace grantwheel
