// The rival that one would write out by hand: Boost's flat map of deadlines, and a hierarchical timing wheel whose slots
// are lists through the nodes of the timers. A renewal leaves its timer where it is; one that fires too early moves on.
// It keeps no reasons, no events and no limits.
#pragma once

#include <algorithm>
#include <bit>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace benchmarks {

// `Key` is what has a deadline: an owner, or an owner's type.
template <typename Key>
class Wheel {
public:
    Wheel() : nodes_(levels * slots) {
        for (std::uint32_t slot = 0; slot < nodes_.size(); ++slot) nodes_[slot] = {0, slot, slot};
    }

    void apply(Key key, std::uint32_t timeout_ms) {
        const std::uint64_t deadline = now_ + timeout_ms;
        const auto [place, is_new] = grants_.try_emplace(key);
        Grant& grant = place->second;
        grant.deadline = std::max(grant.deadline, deadline);
        if (!is_new) return;
        grant.node = take(key);
        arm(grant.node, deadline);
    }
    void release(Key key) {
        const auto place = grants_.find(key);
        if (place == grants_.end()) return;
        unlink(place->second.node);
        give(place->second.node);
        grants_.erase(place);
    }
    [[nodiscard]] bool holds(Key key) const {
        const auto place = grants_.find(key);
        return place != grants_.end() && place->second.deadline > now_;
    }
    [[nodiscard]] std::size_t count() const { return grants_.size(); }
    void pass_time(std::uint64_t ms) { now_ += ms; }
    void end_due() {
        for (std::uint32_t slot; find_first(slot);) {
            const auto level = slot / slots;
            const std::uint64_t start = above(level) | std::uint64_t{slot % slots} << level * bits;
            if (start > now_) break;
            wheel_now_ = start;
            occupied_[slot / 64] &= ~(std::uint64_t{1} << slot % 64);
            for (std::uint32_t node = nodes_[slot].next; node != slot;) fire(std::exchange(node, nodes_[node].next));
        }
        wheel_now_ = now_;
    }

protected:
    // Asks for what a call will touch.
    void prefetch(Key key) const {
        if (const auto place = grants_.find(key); place != grants_.end())
            __builtin_prefetch(&nodes_[place->second.node], 1);
    }

private:
    struct Grant {
        std::uint64_t deadline = 0;
        std::uint32_t node = 0;
    };
    struct Node {  // of a timer; the first ones are the heads of the slots
        Key key;
        std::uint32_t next;  // in its slot, or the next free one
        std::uint32_t previous;
    };
    static constexpr std::uint32_t bits = 8;
    static constexpr std::uint32_t slots = 1u << bits;
    static constexpr std::uint32_t levels = 5;  // 34 years of milliseconds

    // The instant of the wheel without what the slots of a level tell.
    [[nodiscard]] std::uint64_t above(std::uint32_t level) const {
        return wheel_now_ >> (level + 1) * bits << (level + 1) * bits;
    }
    // The level is that of the highest digit in which the instant differs from that of the wheel.
    void arm(std::uint32_t node, std::uint64_t at) {
        const std::uint32_t level = static_cast<std::uint32_t>(63 - std::countl_zero((at ^ wheel_now_) | 1)) / bits;
        const std::uint32_t slot = level * slots + (static_cast<std::uint32_t>(at >> level * bits) & (slots - 1));
        occupied_[slot / 64] |= std::uint64_t{1} << slot % 64;
        nodes_[node].next = slot;
        nodes_[node].previous = std::exchange(nodes_[slot].previous, node);
        nodes_[nodes_[node].previous].next = node;
    }
    void unlink(std::uint32_t node) {
        nodes_[nodes_[node].previous].next = nodes_[node].next;
        nodes_[nodes_[node].next].previous = nodes_[node].previous;
    }
    void fire(std::uint32_t node) {
        unlink(node);
        const auto place = grants_.find(nodes_[node].key);
        if (place->second.deadline > wheel_now_) return arm(node, place->second.deadline);
        give(node);
        grants_.erase(place);
    }
    // The slots of a lower level come before those of a higher one. A slot that lost its last node still counts.
    [[nodiscard]] bool find_first(std::uint32_t& slot) const {
        const auto word = std::find_if(std::begin(occupied_), std::end(occupied_), [](auto some) { return some != 0; });
        if (word == std::end(occupied_)) return false;
        slot = static_cast<std::uint32_t>((word - occupied_) * 64 + std::countr_zero(*word));
        return true;
    }
    [[nodiscard]] std::uint32_t take(Key key) {
        const std::uint32_t node = free_ != 0 ? free_ : static_cast<std::uint32_t>(nodes_.size());
        if (free_ == 0) nodes_.push_back({});
        free_ = nodes_[node].next;
        nodes_[node].key = key;
        return node;
    }
    void give(std::uint32_t node) { nodes_[node].next = std::exchange(free_, node); }

    boost::unordered_flat_map<Key, Grant> grants_;
    std::vector<Node> nodes_;
    std::uint64_t occupied_[levels * slots / 64]{};
    std::uint64_t now_ = 0;
    std::uint64_t wheel_now_ = 0;
    std::uint32_t free_ = 0;
};

// One deadline for an owner, also for three types of it.
class WheelContender : public Wheel<std::uint32_t> {
public:
    static constexpr const char* name = "flat_map, timing wheel";

    explicit WheelContender(std::size_t) {}
};

// A deadline for each of an owner's three types.
class TypedWheelContender : private Wheel<std::uint64_t> {
public:
    static constexpr const char* name = "flat_map, timing wheel, by type";
    static constexpr std::uint32_t types = 3;

    explicit TypedWheelContender(std::size_t) {}

    void apply(std::uint32_t uid, std::uint32_t timeout_ms) {
        for (std::uint32_t type = 0; type < types; ++type) Wheel::apply(key_of(uid, type), timeout_ms);
    }
    void release(std::uint32_t uid) {
        for (std::uint32_t type = 0; type < types; ++type) Wheel::release(key_of(uid, type));
    }
    [[nodiscard]] bool holds(std::uint32_t uid) const {
        std::uint32_t held = 0;
        for (std::uint32_t type = 0; type < types; ++type) held += std::uint32_t{Wheel::holds(key_of(uid, type))};
        return held == types;
    }
    [[nodiscard]] std::size_t count() const { return Wheel::count() / types; }
    using Wheel::end_due;
    using Wheel::pass_time;

private:
    static constexpr std::uint64_t key_of(std::uint32_t uid, std::uint32_t type) {
        return std::uint64_t{uid} << 8 | type;
    }
};

// One deadline for an owner, for batches: the look-ups of a few owners do not wait for each other, and the work then finds all in the cache.
class PrefetchingWheelContender : public WheelContender {
public:
    static constexpr const char* name = "flat_map, timing wheel, prefetched";

    using WheelContender::WheelContender;

    template <typename Work>
    void for_each(const std::vector<std::uint32_t>& uids, Work&& work) const {
        constexpr std::size_t together = 16;
        for (std::size_t first = 0; first < uids.size(); first += together) {
            const std::size_t end = std::min(uids.size(), first + together);
            for (std::size_t i = first; i < end; ++i) prefetch(uids[i]);
            for (std::size_t i = first; i < end; ++i) work(uids[i], i);
        }
    }
};

}  // namespace benchmarks
