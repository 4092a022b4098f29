// Which types of which owners are held for the time of a block, and by how many blocks. The engine does not count its
// grants, so what is held in common is counted here: the last one out releases it. Used under the lock of a manager.
#pragma once

#include <compare>
#include <cstdint>
#include <map>

#include "grantwheel/types.hpp"

namespace grantwheel::bindings {

// Calls `work(bit)` for each type of a mask.
template <typename Work>
void for_each_type(Mask mask, Work&& work) {
    for (; mask != 0; mask &= mask - 1) work(mask & (~mask + 1));
}

class Claims {
public:
    // One type of one owner; of a process under one uid, as its pid may be reused by another one.
    struct Key {
        Owner owner;
        std::uint32_t uid;
        Mask type;
        friend constexpr auto operator<=>(const Key&, const Key&) = default;
    };
    // A grant from the moment it was first held until it has gone. Another one of the same key has another number.
    using Generation = std::uint64_t;
    struct Claim {
        Generation generation = 0;
        std::uint32_t holds = 0;
        std::uint32_t coming = 0;  // those whose begin is staged, and not yet carried out
    };

    // Room for grants that are not known yet, so that `expect` can fail no more.
    class Room {
    public:
        // May throw bad_alloc.
        void add(const Key& key) { claims_.try_emplace(key); }

    private:
        friend Claims;
        std::map<Key, Claim> claims_;
    };

    // One more is about to hold it: who leaves from now on leaves it to that one. Pre: `room` has its key.
    void expect(const Key& key, Room& room) noexcept {
        auto place = claims_.find(key);
        if (place == claims_.end()) {
            place = claims_.insert(room.claims_.extract(key)).position;
            place->second.generation = ++last_generation_;
        }
        ++place->second.coming;
    }
    // It holds it. Pre: it was expected.
    Generation arrive(const Key& key) noexcept {
        Claim& claim = claims_.find(key)->second;
        --claim.coming;
        ++claim.holds;
        return claim.generation;
    }
    // It does not. The grant, if it is there all the same, is for whoever else holds it, or to be released.
    Generation stay_away(const Key& key) noexcept {
        Claim& claim = claims_.find(key)->second;
        --claim.coming;
        return claim.generation;
    }
    // Whether a grant is there still, as far as anybody has looked.
    [[nodiscard]] bool has(const Key& key, Generation generation) const noexcept {
        return find(key, generation) != claims_.end();
    }
    // One less holds it. When nobody does it is free: to be released, and forgotten.
    void leave(const Key& key, Generation generation) noexcept {
        const auto place = find(key, generation);
        if (place != claims_.end()) --place->second.holds;
    }
    // Whether it is there, and nobody holds it any more, nor is about to.
    [[nodiscard]] bool is_free(const Key& key, Generation generation) const noexcept {
        const auto place = find(key, generation);
        return place != claims_.end() && place->second.holds == 0 && place->second.coming == 0;
    }
    // The grant has gone, to all who held it; those who are about to will hold another one.
    void end(const Key& key) noexcept {
        const auto place = claims_.find(key);
        if (place == claims_.end()) return;
        if (place->second.coming == 0) {
            claims_.erase(place);
        } else {
            place->second.generation = ++last_generation_;
            place->second.holds = 0;
        }
    }
    void forget_if_free(const Key& key, Generation generation) noexcept {
        if (is_free(key, generation)) claims_.erase(key);
    }
    [[nodiscard]] std::size_t size() const noexcept { return claims_.size(); }

private:
    using Map = std::map<Key, Claim>;

    [[nodiscard]] Map::iterator find(const Key& key, Generation generation) noexcept {
        const auto place = claims_.find(key);
        return place != claims_.end() && place->second.generation == generation ? place : claims_.end();
    }
    [[nodiscard]] Map::const_iterator find(const Key& key, Generation generation) const noexcept {
        const auto place = claims_.find(key);
        return place != claims_.end() && place->second.generation == generation ? place : claims_.end();
    }

    Map claims_;
    Generation last_generation_ = 0;
};

}  // namespace grantwheel::bindings
