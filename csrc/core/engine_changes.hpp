// The two ways in which a mask changes, each with its event. Inline, as they are most of the calls that do so. Not
// thread-safe.
#pragma once

#include "core/engine_parts.hpp"

namespace grantwheel {

// The place of one more event, which has this bundle.
inline StoredEvent& Engine::Parts::add_event(TextId bundle) noexcept {
    strings.pin(bundle);
    StoredEvent& event = events.add();
    strings.unpin(event.bundle);
    return event;
}

inline void Engine::Parts::tell_apply(OwnerKind owner, const Record& record, Mask fresh, std::uint32_t pid,
                                      TextId bundle) noexcept {
    const EventKind kind = owner == OwnerKind::app ? EventKind::app_apply : EventKind::process_apply;
    add_event(bundle) = {now,
                         record.uid,
                         pid,
                         bundle,
                         static_cast<std::uint16_t>(fresh),
                         StoredEvent::pack(kind, Cause::apply),
                         record.cpu_level};
}

// Takes types that are held from a record, which is that of the row, and says so in one event. The record goes with its
// last type; the place of its uid is given where it is known.
inline void Engine::Parts::remove_types(Row row, Record& record, Mask mask, Cause cause, Instant time,
                                        const Table::Place* place) noexcept {
    const bool is_app = record.kind == OwnerKind::app;
    const EventKind kind = is_app ? EventKind::app_reset : EventKind::process_reset;
    add_event(record.bundle) = {time,
                                record.uid,
                                record.pid,
                                record.bundle,
                                static_cast<std::uint16_t>(mask),
                                StoredEvent::pack(kind, cause),
                                record.cpu_level};
    if (is_app && tracks_cpu_ended && (mask & rules.levelled) != 0) cpu_ended.push(record.uid);
    take_types(row, record, mask, cause, place);
}

inline void Engine::Parts::take_types(Row row, Record& record, Mask mask, Cause cause,
                                      const Table::Place* place) noexcept {
    for (Mask going = mask; going != 0; going &= going - 1) {
        ++ended[static_cast<std::size_t>(cause)];
        table.count_out(record.kind, std::countr_zero(going));
    }
    // Without any text in use there are no reasons, and the grants need not be looked at.
    if (strings.used_count() != 0) for_each_type(mask, [&](int type) { strings.drop(table.grant(row, type).reason); });
    if ((mask & rules.levelled) != 0) record.cpu_level = default_level;
    const Mask left = record.mask & ~mask;
    const bool was_timed = record.is_timed();
    record.persist_mask &= static_cast<std::uint16_t>(left);
    table.write_mask(row, record, left);
    timed -= std::size_t{was_timed} - std::size_t{record.is_timed()};
    if (left == 0) {
        strings.drop(record.bundle);
        table.remove(row, record, place);
    }
}

}  // namespace grantwheel
