#include "host/marks.hpp"

#include <algorithm>

namespace grantwheel {

const Marks::Place* Marks::find(Owner owner) const noexcept {
    for (const Place& place : sets_[set_of(owner)]) {
        if (place.group != 0 && place.owner == owner) return &place;
    }
    return nullptr;
}

void Marks::set(Owner owner, std::uint32_t uid, std::uint64_t group, std::uint64_t settled) noexcept {
    Place* chosen = nullptr;
    for (Place& place : sets_[set_of(owner)]) {
        if (place.group != 0 && place.owner == owner) {
            chosen = &place;
            break;
        }
        if (chosen == nullptr && place.group <= settled) chosen = &place;
    }
    if (chosen == nullptr) return set_all(group);
    *chosen = {group, owner, uid};
}

std::uint64_t Marks::group(Owner owner) const noexcept {
    const Place* const place = find(owner);
    return std::max(all_, place == nullptr ? 0 : place->group);
}

bool Marks::find_uid(std::uint32_t pid, std::uint32_t& uid) const noexcept {
    const Place* const place = find({OwnerKind::process, pid});
    if (place != nullptr) uid = place->uid;
    return place != nullptr;
}

}  // namespace grantwheel
