#include <algorithm>
#include <array>
#include <mutex>
#include <string>
#include <utility>

#include "bindings/follower.hpp"

namespace grantwheel::bindings {

// What another thread of the parent was changing during a fork is not fit to be destroyed in the child.
Follower::~Follower() {
    if (!home_.is_here()) static_cast<void>(engine_.release());
}

Follower::Session Follower::take(Gil gil, std::optional<Instant> now) {
    if (!home_.is_here()) {
        throw Refusal(Status::not_connected, "A follower does not survive a fork: the child makes one of its own.");
    }
    if (!mutex_.try_lock()) wait_for(mutex_, gil);
    std::unique_lock lock(mutex_, std::adopt_lock);
    if (engine_ == nullptr) throw Refusal(Status::not_connected, "The follower has become a manager.");
    if (now) check(engine_->check_time(*now));
    return {std::move(lock), *engine_, now.value_or(engine_->now())};
}

namespace {

Refusal refusal_of(const GroupResult& found) {
    const std::string what = found.is_newer ? "the group is of a newer format" : "the group is damaged";
    Refusal refusal(found.status);
    static_cast<void>(refusal.with_rule(what + ", at byte " + std::to_string(found.place)));
    if (found.is_newer) static_cast<void>(refusal.as_newer());
    return refusal;
}

}  // namespace

void Follower::require_whole(Bytes group) {
    const GroupResult found = check_group(group);
    if (found.status != Status::ok) throw refusal_of(found);
}

// What is known of a group before it is carried out. Most have one op, which is decoded once.
struct Follower::Ahead {
    Decoded first;
    bool is_one = false;

    // What is wrong with it.
    GroupResult look(Bytes group) noexcept {
        first = decode(group);
        is_one = first.status == Status::ok && first.size == group.size();
        return is_one ? GroupResult{} : check_group(group);
    }
    [[nodiscard]] bool is_of_app() const noexcept { return is_one && first.op.kind == OpKind::command; }
};

// Some are looked at before anything of them is carried out: a group that is damaged at its end has no beginning either.
// The processor gets what they will touch.
std::uint64_t Follower::feed_many(std::span<const Bytes> groups) {
    constexpr std::size_t window = 16;
    std::array<Ahead, window> ahead;
    for (;;) {
        const std::size_t most = std::min(groups.size(), window);
        GroupResult found;
        std::size_t count = 0;
        while (count < most && (found = ahead[count].look(groups[count])).status == Status::ok) ++count;
        const Session session = take(Gil::released, {});
        for (std::size_t i = 0; i < count; ++i) {
            if (ahead[i].is_of_app()) session.engine.prefetch_index(ahead[i].first.op.command.uid);
        }
        for (std::size_t i = 0; i < count; ++i) {
            const Command& command = ahead[i].first.op.command;
            if (ahead[i].is_of_app()) session.engine.prefetch_app(command.uid, command.mask);
        }
        for (std::size_t i = 0; i < count; ++i) carry_out(session.engine, groups[i], ahead[i]);
        if (found.status != Status::ok) throw refusal_of(found);
        groups = groups.subspan(count);
        if (groups.empty()) return position_;
    }
}

void Follower::carry_out(Engine& engine, Bytes group, const Ahead& ahead) {
    if (has_lost_its_way_) {
        throw Refusal(Status::parcel_failed).with_rule("an earlier group could not be followed");
    }
    has_lost_its_way_ = true;
    const GroupResult found =
        ahead.is_one ? GroupResult{replay_logged(engine, ahead.first.op)} : replay_group(engine, group);
    if (found.status == Status::out_of_memory) {
        throw Refusal(Status::out_of_memory).with_rule("no memory to follow the group");
    }
    if (found.status != Status::ok) {
        throw Refusal(Status::parcel_failed)
            .with_rule("the group does not follow on those before it, at byte " + std::to_string(found.place) + ": " +
                       std::string(status_text(found.status)));
    }
    has_lost_its_way_ = false;
    ++position_;
}

Follower::Taken Follower::give_away() {
    const Session session = take(Gil::held, {});
    if (has_lost_its_way_) throw Refusal(Status::parcel_failed).with_rule("an earlier group could not be followed");
    const Limits limits = engine_->limits();
    return {std::move(engine_), key_, position_, limits};
}

}  // namespace grantwheel::bindings
