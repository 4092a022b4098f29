#include "bindings/listing.hpp"

#include <algorithm>
#include <array>

namespace grantwheel::bindings {

void Listing::find(Shell& shell) {
    shell.in_slices([&](const Engine& engine, Instant now, auto&& end_some) {
        if (place_ == 0 && end_some(Shell::slice).more) return true;
        return find_some(engine, now);
    });
}

bool Listing::find_some(const Engine& engine, Instant now) {
    std::array<Owner, Shell::slice> part;
    const ScanResult scan = engine.scan(mask_, now, place_, part);
    check(scan.status);
    place_ = scan.next;
    for (const Owner& owner : std::span(part).first(scan.count)) {
        if (!after_ || owner > *after_) found_.push_back(owner);
    }
    if (scan.more) return true;
    if (found_.size() <= Shell::slice) {
        std::sort(found_.begin(), found_.end());
        sorted_ = found_.size();
        read(engine, now, first_page_);
    }
    return false;
}

// At first no more than are asked for. The others follow when some of those have gone.
void Listing::sort() {
    without_gil([&] {
        const auto from = found_.begin() + static_cast<std::ptrdiff_t>(sorted_);
        const std::size_t left = found_.size() - sorted_;
        const std::size_t wanted = sorted_ == 0 ? std::min(limit_, left) : left;
        if (wanted < left) {
            std::partial_sort(from, from + static_cast<std::ptrdiff_t>(wanted), found_.end());
        } else {
            std::sort(from, found_.end());
        }
        sorted_ += wanted;
        return true;
    });
}

void Listing::read(const Engine& engine, Instant now, OwnedViews& page) {
    const std::size_t most = std::min(Shell::slice, limit_ - given_);
    for (; next_ < sorted_ && page.records().size() < most; ++next_) {
        if (next_ > 0 && found_[next_] == found_[next_ - 1]) continue;
        page.add(engine, found_[next_], now);
    }
    given_ += page.records().size();
}

std::vector<Owner> Listing::take_owners() {
    if (sorted_ < found_.size()) sort();
    found_.erase(std::unique(found_.begin(), found_.end()), found_.end());
    return std::move(found_);
}

OwnedViews Listing::next_page(Shell& shell) {
    OwnedViews page = std::exchange(first_page_, {});
    while (page.records().empty() && next_ < found_.size() && given_ < limit_) {
        if (next_ == sorted_) sort();
        shell.look([&](const Engine& engine, Instant now) {
            read(engine, now, page);
            return true;
        });
    }
    return page;
}

}  // namespace grantwheel::bindings
