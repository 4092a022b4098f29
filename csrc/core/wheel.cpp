#include "core/wheel.hpp"

#include <bit>

namespace grantwheel {

namespace {

constexpr int word_bits = 64;

}  // namespace

Wheel::Wheel() noexcept {
    for (Stack& stack : stacks_) stack = {no_tray, 0};
}

// All trays of a slot are full but the topmost.
bool Wheel::reserve(std::size_t rows) noexcept {
    return trays_.reserve(std::min(rows, rows / Tray::size + std::size(stacks_)));
}

// A tray on top of a slot, which is empty or whose trays are full.
void Wheel::add_tray(std::uint16_t slot) noexcept {
    std::uint32_t tray = free_trays_;
    if (tray != no_tray) {
        free_trays_ = trays_[tray].below;
    } else {
        tray = static_cast<std::uint32_t>(trays_.size());
        trays_.extend();
    }
    Stack& stack = stacks_[slot];
    trays_[tray].below = stack.tray;
    stack = {tray, 0};
    occupied_[slot / word_bits] |= std::uint64_t{1} << slot % word_bits;
    occupied_words_ |= 1u << slot / word_bits;
}

// Takes the topmost tray away, which is empty.
void Wheel::drop_tray(std::uint16_t slot) noexcept {
    Stack& stack = stacks_[slot];
    const std::uint32_t tray = stack.tray;
    const std::uint32_t below = trays_[tray].below;
    trays_[tray].below = free_trays_;
    free_trays_ = tray;
    stack = {below, below == no_tray ? 0 : Tray::size};
    if (stack.filled != 0) return;
    std::uint64_t& word = occupied_[slot / word_bits];
    word &= ~(std::uint64_t{1} << slot % word_bits);
    if (word == 0) occupied_words_ &= ~(1u << slot / word_bits);
}

// The topmost row of the slot takes the place of the one that goes.
void Wheel::unlink(Rows<Record>& records, Row row) noexcept {
    const Record& record = records[row];
    Stack& stack = stacks_[record.slot];
    const Row top = trays_[stack.tray].rows[--stack.filled];
    if (stack.filled == 0) drop_tray(record.slot);
    if (top == row) return;
    trays_[record.place >> place_bits].rows[record.place & ((1u << place_bits) - 1)] = top;
    records[top].place = record.place;
}

void Wheel::arm(Rows<Record>& records, Row row, Instant at) noexcept {
    Record& record = records[row];
    const std::uint16_t slot = at == no_deadline ? no_slot : slot_of(at);
    record.armed = at;
    if (slot == record.slot) return;
    if (record.slot != no_slot) unlink(records, row);
    record.slot = slot;
    if (slot != no_slot) link(record, row, slot);
}

std::size_t Wheel::take(Rows<Record>& records, const Slot& slot, std::size_t most, Row* rows) noexcept {
    const auto number = static_cast<std::uint16_t>(slot.level * slot_count + slot.position);
    Stack& stack = stacks_[number];
    const Tray& tray = trays_[stack.tray];
    const std::size_t count = std::min<std::size_t>(most, stack.filled);
    if (tray.below != no_tray) {
        for (const Row row : trays_[tray.below].rows) prefetch(&records[row]);
    }
    stack.filled -= static_cast<std::uint32_t>(count);
    for (std::size_t i = 0; i < count; ++i) {
        rows[i] = tray.rows[stack.filled + i];
        records[rows[i]].slot = no_slot;
    }
    if (stack.filled == 0) drop_tray(number);
    return count;
}

bool Wheel::has_more(const Slot& slot, std::size_t rows) const noexcept {
    const Stack& stack = stacks_[slot.level * slot_count + slot.position];
    if (stack.filled == 0) return false;
    std::size_t found = stack.filled;
    for (std::uint32_t at = trays_[stack.tray].below; at != no_tray && found <= rows; at = trays_[at].below) {
        found += Tray::size;
    }
    return found > rows;
}

bool Wheel::find_first(Slot& slot) const noexcept {
    bool found = false;
    for (std::uint64_t occupied = occupied_words_; occupied != 0;) {
        const int word = std::countr_zero(occupied);
        const int level = word / words;
        const int position = word % words * word_bits + std::countr_zero(occupied_[word]);
        const Instant start = start_of(level, position);
        // Of two that start now, the higher is the one that was entered and not yet emptied: it comes first.
        if (!found || start <= slot.start) slot = {level, position, start};
        found = true;
        occupied &= ~std::uint64_t{0} << (level + 1) * words;
    }
    return found;
}

// What is wrong with a row at a place of a slot; null when nothing is.
const char* Wheel::first_broken_row(const Rows<Record>& records, std::uint16_t slot, Row row,
                                    std::uint32_t place) const noexcept {
    if (row >= records.size()) return "wheel: row in a slot";
    const Record& record = records[row];
    const int level = slot / slot_count;
    if (record.slot != slot) return "wheel: slot of a row";
    if (record.place != place) return "wheel: place of a row";
    if (record.armed < current_) return "wheel: timer before the current instant";
    if (above(record.armed, level) != above(current_, level)) return "wheel: level of a timer";
    if (group(record.armed, level) != static_cast<unsigned>(slot % slot_count)) return "wheel: slot of a timer";
    return nullptr;
}

bool Wheel::validate(const Rows<Record>& records, std::size_t& count, const char** reason) const noexcept {
    const auto broken = [&](const char* what) {
        *reason = what;
        return false;
    };
    count = 0;
    std::size_t trays = 0;
    for (int word = 0; word < level_count * words; ++word) {
        if (((occupied_words_ >> word & 1u) != 0) != (occupied_[word] != 0)) return broken("wheel: occupied words");
    }
    for (std::uint16_t slot = 0; slot < level_count * slot_count; ++slot) {
        Stack stack = stacks_[slot];
        const bool is_occupied = (occupied_[slot / word_bits] >> slot % word_bits & 1u) != 0;
        if (is_occupied != (stack.filled != 0)) return broken("wheel: occupied slots");
        if (stack.filled > Tray::size || (stack.filled == 0) != (stack.tray == no_tray)) return broken("wheel: stack");
        for (; stack.tray != no_tray; stack = {trays_[stack.tray].below, Tray::size}) {
            if (stack.tray >= trays_.size() || ++trays > trays_.size()) return broken("wheel: trays of a slot");
            for (std::uint32_t i = 0; i < stack.filled; ++i, ++count) {
                const Row row = trays_[stack.tray].rows[i];
                if (const char* what = first_broken_row(records, slot, row, stack.tray << place_bits | i))
                    return broken(what);
            }
        }
    }
    for (std::uint32_t tray = free_trays_; tray != no_tray && trays <= trays_.size(); tray = trays_[tray].below)
        ++trays;
    return trays == trays_.size() ? true : broken("wheel: free trays");
}

}  // namespace grantwheel
