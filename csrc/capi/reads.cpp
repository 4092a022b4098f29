// Time, reads and events.
#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <span>
#include <type_traits>

#include "capi/handle.hpp"
#include "capi/values.hpp"

using namespace grantwheel;
using namespace grantwheel::capi;

// Time.

gw_status gw_advance(gw_manager* manager, uint64_t now, size_t budget, size_t* ended, uint8_t* more) noexcept {
    return change_engine(manager, true, [&](Engine& engine) {
        const AdvanceResult result = engine.advance(now, budget);
        if (result.status == Status::ok && ended != nullptr) *ended = result.ended;
        if (result.status == Status::ok && more != nullptr) *more = result.more;
        return result.status;
    });
}

gw_status gw_next_deadline(gw_manager* manager, uint64_t now, uint64_t* deadline) noexcept {
    return change_engine(manager, deadline != nullptr,
                         [&](Engine& engine) { return engine.next_deadline(now, *deadline); });
}

uint64_t gw_wake_at(const gw_manager* manager) noexcept {
    return manager == nullptr ? GW_NO_DEADLINE : manager->manager->engine().wake_at();
}

uint64_t gw_now(const gw_manager* manager) noexcept {
    return manager == nullptr ? 0 : manager->manager->engine().now();
}

gw_status gw_check_time(const gw_manager* manager, uint64_t now) noexcept {
    return look(manager, [&](const Manager& open) { return open.engine().check_time(now); });
}

// Reads.

namespace {

static_assert(sizeof(Owner) == sizeof(gw_owner) && alignof(Owner) == alignof(gw_owner));
static_assert(std::is_trivially_copyable_v<Owner> && std::is_trivially_copyable_v<gw_owner>);

// Takes values of one kind for values of another. A move makes such values in the room that it moves to, here that from
// which it comes: so nothing is written, and compilers make no code of it.
template <typename To, typename From>
std::span<To> as_values_of(std::span<From> room) noexcept {
    if (room.empty()) return {};
    void* const moved = std::memmove(static_cast<void*>(room.data()), room.data(), room.size_bytes());
    return {std::launder(static_cast<To*>(moved)), room.size()};
}

// Owners that the engine writes into the memory of the host's, and what the host then finds there: one kind of value
// takes the place of the other, so that a listing of any length needs no memory of its own. Places that the engine has
// not written to stay as they are.
class OwnersInPlace {
public:
    // As much of `place` as holders of the types can fill.
    OwnersInPlace(const Engine& engine, Mask mask, std::span<gw_owner> place) noexcept
        : span_(as_values_of<Owner>(place.first(std::min(place.size(), engine.most_owners(mask))))) {}
    [[nodiscard]] std::span<Owner> span() const noexcept { return span_; }
    // Turns the first of them, as many as were found, into the host's.
    void finish(std::size_t found) const noexcept {
        const std::size_t written = std::min(found, span_.size());
        for (std::size_t i = 0; i < written; ++i) {
            const Owner owner = span_[i];
            new (static_cast<void*>(&span_[i])) gw_owner(from_owner(owner));
        }
        as_values_of<gw_owner>(span_.subspan(written));
    }

private:
    std::span<Owner> span_;
};

}  // namespace

gw_status gw_mask(const gw_manager* manager, gw_owner owner, uint64_t now, uint32_t* mask) noexcept {
    if (!is_valid(owner) || mask == nullptr) return GW_ARGUMENT_INVALID;
    return look(manager, [&](const Manager& open) {
        const Result result = open.engine().mask(to_owner(owner), now);
        if (result.status == Status::ok) *mask = result.mask;
        return result.status;
    });
}

gw_status gw_find(const gw_manager* manager, gw_owner owner, uint64_t now, gw_record* record) noexcept {
    if (!is_valid(owner) || !is_whole(record)) return GW_ARGUMENT_INVALID;
    return look(manager, [&](const Manager& open) {
        RecordView view;
        const Status status = open.engine().find(to_owner(owner), now, view);
        if (status == Status::ok) write(view, *record);
        return status;
    });
}

gw_status gw_owners_of(const gw_manager* manager, uint32_t uid, uint64_t now, gw_owner* owners, size_t capacity,
                       size_t* total) noexcept {
    if (total == nullptr || (owners == nullptr && capacity != 0)) return GW_ARGUMENT_INVALID;
    return look(manager, [&](const Manager& open) {
        const OwnersInPlace room(open.engine(), type::ALL, {owners, capacity});
        std::size_t found = 0;
        const Status status = open.engine().owners_of(uid, now, room.span(), found);
        room.finish(found);
        if (status == Status::ok) *total = found;
        return status;
    });
}

gw_status gw_owners(gw_manager* manager, uint32_t mask, const gw_owner* after, uint64_t now, gw_owner* owners,
                    size_t capacity, size_t* count) noexcept {
    const bool are_valid =
        count != nullptr && (owners != nullptr || capacity == 0) && (after == nullptr || is_valid(*after));
    const Owner last = after == nullptr ? Owner{} : to_owner(*after);  // `after` may lie in `owners`
    return change_engine(manager, are_valid, [&](Engine& engine) {
        const OwnersInPlace room(engine, mask, {owners, capacity});
        std::size_t found = 0;
        const Status status = engine.owners(mask, after == nullptr ? nullptr : &last, now, room.span(), found);
        room.finish(found);
        if (status == Status::ok) *count = found;
        return status;
    });
}

gw_status gw_count(gw_manager* manager, uint32_t type, uint64_t now, size_t* count) noexcept {
    return change_engine(manager, count != nullptr, [&](Engine& engine) {
        std::size_t owners = 0;
        const Status status = engine.count(type, now, owners);
        if (status == Status::ok) *count = owners;
        return status;
    });
}

size_t gw_most_owners(const gw_manager* manager, uint32_t mask) noexcept {
    return manager == nullptr ? 0 : manager->manager->engine().most_owners(mask);
}

gw_status gw_get_stats(gw_manager* manager, uint64_t now, gw_stats* stats) noexcept {
    return change_engine(manager, is_whole(stats), [&](Engine& engine) {
        Stats numbers;
        const Status status = engine.stats(now, numbers);
        if (status == Status::ok) write(numbers, *stats);
        return status;
    });
}

// Events.

gw_status gw_read(const gw_manager* manager, uint64_t after, gw_event* events, size_t capacity, size_t* count,
                  uint64_t* missed) noexcept {
    const Strided<gw_event> out(events);
    if (count == nullptr || (capacity != 0 && !out.is_whole())) return GW_ARGUMENT_INVALID;
    return look(manager, [&](const Manager& open) {
        std::array<Event, 16> chunk;
        std::size_t written = 0;
        EventsRead read = open.engine().read(after, std::span(chunk).first(std::min(capacity, chunk.size())));
        if (missed != nullptr) *missed = read.missed;
        while (read.count != 0) {
            for (std::size_t i = 0; i < read.count; ++i) {
                gw_event& event = out[written++];
                event.size = events->size;
                write(chunk[i], event);
            }
            const std::size_t left = std::min(capacity - written, chunk.size());
            read = open.engine().read(chunk[read.count - 1].sequence, std::span(chunk).first(left));
        }
        *count = written;
        return Status::ok;
    });
}

uint64_t gw_first_sequence(const gw_manager* manager) noexcept {
    return manager == nullptr ? 1 : manager->manager->engine().first_sequence();
}

uint64_t gw_last_sequence(const gw_manager* manager) noexcept {
    return manager == nullptr ? 0 : manager->manager->engine().last_sequence();
}

const char* gw_validate(const gw_manager* manager) noexcept {
    const char* broken = nullptr;
    if (manager == nullptr) return "the manager is null";
    return manager->manager->engine().validate(&broken) ? nullptr : broken;
}
