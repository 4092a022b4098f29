// Events that outlive the lock of their manager, and the manager: each with its bundle.
#pragma once

#include <algorithm>
#include <list>
#include <string>
#include <vector>

#include "grantwheel/engine.hpp"

namespace grantwheel {

// Copies of events. Neighbours share the copy of their bundle when it is the same.
class OwnedEvents {
public:
    void reserve(std::size_t count) { events_.reserve(count); }
    void add(const Event& event) {
        Event& own = events_.emplace_back(event);
        if (own.bundle.empty()) return;
        if (bundles_.empty() || bundles_.back() != own.bundle) bundles_.emplace_back(own.bundle);
        own.bundle = bundles_.back();
    }
    [[nodiscard]] std::size_t size() const noexcept { return events_.size(); }
    [[nodiscard]] const std::vector<Event>& events() const noexcept { return events_; }

private:
    std::vector<Event> events_;
    std::list<std::string> bundles_;  // which takes no memory while it is empty
};

// What a manager that was closed leaves to those who had not read everything.
class Remains {
public:
    // Keeps what comes after an event, as far as another. When there is no memory for it, it counts as overwritten.
    Remains(const Engine& engine, std::uint64_t after, std::uint64_t last) noexcept : last_(last) {
        try {
            keep(engine, std::max(after, engine.first_sequence() - 1));
        } catch (...) {
            events_ = OwnedEvents();
        }
    }

    [[nodiscard]] std::uint64_t first() const noexcept { return last_ + 1 - events_.size(); }
    [[nodiscard]] std::uint64_t last() const noexcept { return last_; }
    // Pre: first() <= sequence <= last().
    [[nodiscard]] const Event& at(std::uint64_t sequence) const noexcept {
        return events_.events()[sequence - first()];
    }

private:
    void keep(const Engine& engine, std::uint64_t after) {
        if (after >= last_) return;
        events_.reserve(last_ - after);
        std::vector<Event> part(std::min<std::uint64_t>(last_ - after, 1024));
        while (after < last_) {
            const std::size_t count = engine.read(after, part).count;
            for (std::size_t i = 0; i < count; ++i) events_.add(part[i]);
            after += count;
        }
    }

    OwnedEvents events_;
    std::uint64_t last_;
};

}  // namespace grantwheel
