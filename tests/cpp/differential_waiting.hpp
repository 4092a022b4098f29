// Endings that the model has reported and the engine not yet: a queue in the order of expiry, and in it one by record.
#pragma once

#include <vector>

#include "quick_model.hpp"

namespace grantwheel::test {

class Waiting {
public:
    explicit Waiting(std::size_t records) : first_(records, none), last_(records, none) {}

    void add(const QuickEvent& event) {
        const std::size_t place = entries_.size();
        entries_.push_back({event, none, false});
        std::size_t& first = first_[event.record];
        (first == none ? first : entries_[last_[event.record]].next) = place;
        last_[event.record] = place;
    }
    // The first that waits of a record; null when none does.
    [[nodiscard]] const QuickEvent* first_of(Place record) const {
        return first_[record] == none ? nullptr : &entries_[first_[record]].event;
    }
    // Takes the first of a record away.
    void told(Place record) {
        Entry& entry = entries_[first_[record]];
        entry.told = true;
        first_[record] = entry.next;
        while (head_ < entries_.size() && entries_[head_].told) ++head_;
        if (!empty()) return;
        entries_.clear();
        head_ = 0;
    }
    [[nodiscard]] bool empty() const { return head_ == entries_.size(); }
    // The first of all that wait; null when none does.
    [[nodiscard]] const QuickEvent* first() const { return empty() ? nullptr : &entries_[head_].event; }
    // The instant of the first of all; no_deadline when none waits.
    [[nodiscard]] Instant earliest() const { return empty() ? no_deadline : entries_[head_].event.time; }

private:
    static constexpr std::size_t none = SIZE_MAX;
    struct Entry {
        QuickEvent event;
        std::size_t next;  // of the same record
        bool told;
    };

    std::vector<Entry> entries_{};
    std::size_t head_ = 0;  // all before it are told
    std::vector<std::size_t> first_;
    std::vector<std::size_t> last_;
};

}  // namespace grantwheel::test
