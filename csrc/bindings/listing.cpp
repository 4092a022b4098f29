#include "bindings/listing.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace grantwheel::bindings {

namespace {

// Sorts many owners by the digits of their places in the order of lists, the lowest digit first: in a pass for each digit
// that is not the same for all, where comparing them would take one for each doubling of their number.
void sort_by_digits(std::vector<Owner>& owners) {
    constexpr std::size_t digits = 3;
    constexpr unsigned bits = 11;  // of a digit: 33 together, for the kind and the key
    constexpr std::size_t values = std::size_t{1} << bits;
    const auto digit_of = [](Owner owner, std::size_t digit) {
        const std::uint64_t place = static_cast<std::uint64_t>(owner.kind) << 32 | owner.key;
        return static_cast<std::size_t>(place >> (bits * digit)) % values;
    };
    std::array<std::array<std::size_t, values>, digits> places{};
    for (const Owner& owner : owners) {
        for (std::size_t digit = 0; digit < digits; ++digit) ++places[digit][digit_of(owner, digit)];
    }
    std::vector<Owner> sorted(owners.size());
    for (std::size_t digit = 0; digit < digits; ++digit) {
        if (places[digit][digit_of(owners.front(), digit)] == owners.size()) continue;
        std::size_t next = 0;
        for (std::size_t& place : places[digit]) next += std::exchange(place, next);
        for (const Owner& owner : owners) sorted[places[digit][digit_of(owner, digit)]++] = owner;
        owners.swap(sorted);
    }
}

}  // namespace

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
        if (sorted_ == 0 && limit_ >= found_.size()) {
            sort_by_digits(found_);
            sorted_ = found_.size();
            return true;
        }
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
