#include "core/wheel.hpp"

#include <bit>

namespace grantwheel {

namespace {

constexpr int group_bits = 6;
constexpr unsigned group_mask = 63;

unsigned group(Instant at, int level) noexcept {
    return static_cast<unsigned>(at >> (level * group_bits)) & group_mask;
}

// `at` with the groups of this level and below set to zero.
Instant above(Instant at, int level) noexcept {
    const int bits = (level + 1) * group_bits;
    return bits >= 64 ? 0 : at >> bits << bits;
}

}  // namespace

Wheel::Wheel() noexcept {
    for (auto& level : heads_) {
        for (Row& head : level) head = no_row;
    }
}

std::uint16_t Wheel::slot_of(Instant at) const noexcept {
    const Instant difference = at ^ current_;
    const int level = difference == 0 ? 0 : (63 - std::countl_zero(difference)) / group_bits;
    return static_cast<std::uint16_t>(static_cast<unsigned>(level * slot_count) + group(at, level));
}

void Wheel::link(Rows<Record>& records, Row row, std::uint16_t slot) noexcept {
    const int level = slot / slot_count;
    const int position = slot % slot_count;
    Row& head = heads_[level][position];
    Record& record = records[row];
    record.slot = slot;
    record.previous = no_row;
    record.next = head;
    if (head != no_row) records[head].previous = row;
    head = row;
    occupied_[level] |= std::uint64_t{1} << position;
    occupied_levels_ |= 1u << level;
}

void Wheel::unlink(Rows<Record>& records, Row row) noexcept {
    const Record& record = records[row];
    if (record.slot == no_slot) return;
    if (record.next != no_row) records[record.next].previous = record.previous;
    if (record.previous != no_row) {
        records[record.previous].next = record.next;
        return;
    }
    const int level = record.slot / slot_count;
    const int position = record.slot % slot_count;
    heads_[level][position] = record.next;
    if (record.next != no_row) return;
    occupied_[level] &= ~(std::uint64_t{1} << position);
    if (occupied_[level] == 0) occupied_levels_ &= ~(1u << level);
}

void Wheel::arm(Rows<Record>& records, Row row, Instant at) noexcept {
    records[row].armed = at;
    link(records, row, slot_of(at));
}

void Wheel::disarm(Rows<Record>& records, Row row) noexcept {
    unlink(records, row);
    records[row].armed = no_deadline;
}

void Wheel::move(Rows<Record>& records, Row row, Instant at) noexcept {
    const std::uint16_t slot = slot_of(at);
    if (slot != records[row].slot) {
        unlink(records, row);
        link(records, row, slot);
    }
    records[row].armed = at;
}

Row Wheel::pop(Rows<Record>& records, const Slot& slot) noexcept {
    const Row row = head(slot);
    unlink(records, row);
    records[row].slot = no_slot;
    return row;
}

bool Wheel::first(Slot& slot) const noexcept {
    bool found = false;
    for (std::uint32_t levels = occupied_levels_; levels != 0; levels &= levels - 1) {
        const int level = std::countr_zero(levels);
        const int position = std::countr_zero(occupied_[level]);
        const Instant start = above(current_, level) | static_cast<Instant>(position) << (level * group_bits);
        // Of two that start now, the higher is the one that was entered and not yet emptied: it comes first.
        if (!found || start <= slot.start) slot = {level, position, start};
        found = true;
    }
    return found;
}

bool Wheel::validate(const Rows<Record>& records, std::size_t& count, const char** reason) const noexcept {
    const auto broken = [&](const char* what) {
        *reason = what;
        return false;
    };
    count = 0;
    for (int level = 0; level < level_count; ++level) {
        if (((occupied_levels_ >> level & 1u) != 0) != (occupied_[level] != 0)) return broken("wheel: word of levels");
        for (int position = 0; position < slot_count; ++position) {
            const Row head = heads_[level][position];
            if (((occupied_[level] >> position & 1u) != 0) != (head != no_row)) return broken("wheel: word of slots");
            Row previous = no_row;
            for (Row row = head; row != no_row; previous = row, row = records[row].next) {
                if (row >= records.size() || ++count > records.size()) return broken("wheel: list of a slot");
                const Record& record = records[row];
                if (record.previous != previous) return broken("wheel: link backwards");
                if (record.slot != level * slot_count + position) return broken("wheel: slot of a row");
                if (record.armed < current_) return broken("wheel: timer before the current instant");
                if (above(record.armed, level) != above(current_, level)) return broken("wheel: level of a timer");
                if (group(record.armed, level) != static_cast<unsigned>(position))
                    return broken("wheel: slot of a timer");
            }
        }
    }
    return true;
}

}  // namespace grantwheel
