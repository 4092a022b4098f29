// What is staged, one by one: from the moment at which it is, until its answer has been taken. Not thread-safe.
//
// Memory   As many places as there ever were at once.
// Errors   A place that is not to be had answers no_entry.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/array.hpp"
#include "grantwheel/gate.hpp"

namespace grantwheel {

inline constexpr std::uint32_t no_entry = UINT32_MAX;

// The rows of an op for many, and what has become of them.
struct ManyRows {
    static constexpr std::size_t no_op = SIZE_MAX;

    Array<Result> results;
    Needs needs{};
    std::string_view bundle{};     // of the last row
    std::size_t bytes_at = no_op;  // in its group

    // Notes what a row needs. Neighbours mostly share their bundle.
    void count(const Command& command) noexcept {
        ++needs.apps;
        needs.types |= command.mask;
        if (command.bundle.empty() || command.bundle.data() == bundle.data()) return;
        bundle = command.bundle;
        ++needs.texts;
        needs.text_bytes += bundle.size();
    }
};

struct Entry {
    enum class Kind : std::uint8_t { command, many, advance, mark, notes, wait };

    std::uint64_t group = 0;  // 0: the place is free
    std::uint32_t next = no_entry;
    Kind kind = Kind::wait;
    bool abandoned = false;
    Instant now = 0;
    Watcher* watcher = nullptr;
    std::size_t texts_at = 0;   // of its group: the bundle of the command, then its reason; of a mark, its bytes
    std::uint64_t records = 0;  // of an advance: the most
    ManyRows* rows = nullptr;   // of many; its own
    Answer answer{};
    Command command{};
    NoteWrite* notes = nullptr;  // of a write of notes; its own until it is answered
};

class Entries {
public:
    Entries() noexcept = default;
    ~Entries() {
        for (const Entry& entry : all_) {
            delete entry.rows;
            delete entry.notes;
        }
    }
    Entries(const Entries&) = delete;
    Entries& operator=(const Entries&) = delete;

    Entry& operator[](std::uint32_t place) noexcept { return all_[place]; }
    const Entry& operator[](std::uint32_t place) const noexcept { return all_[place]; }
    // The place of a ticket; no_entry when it stands for nothing.
    [[nodiscard]] std::uint32_t find(Ticket ticket) const noexcept {
        const bool is_there =
            ticket.group != 0 && ticket.place < all_.size() && all_[ticket.place].group == ticket.group;
        return is_there ? ticket.place : no_entry;
    }

    [[nodiscard]] std::uint32_t take() noexcept {
        if (free_ != no_entry) {
            const std::uint32_t place = free_;
            free_ = all_[place].next;
            return place;
        }
        if (all_.size() >= no_entry || !all_.reserve(all_.size() + 1)) return no_entry;
        all_.push({});
        return static_cast<std::uint32_t>(all_.size() - 1);
    }
    void give(std::uint32_t place) noexcept {
        delete all_[place].rows;
        all_[place].rows = nullptr;
        all_[place].group = 0;
        all_[place].next = free_;
        free_ = place;
    }

private:
    Array<Entry> all_;
    std::uint32_t free_ = no_entry;
};

}  // namespace grantwheel
