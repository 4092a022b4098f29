// The way from uids or pids to rows of the table. Systems hand such numbers out close together, so most of them have a
// place of their own in a window over them, and no look-up has to compare anything; all others are in a hash index. Not
// thread-safe.
//
// Window   An array of rows, one for each number of a span. When it is laid out, it may have 16 bytes for each entry that
//          there is or that room is being made for, or 64 KiB, and has none for a few entries.
// Survey   Where the window lies is seen to when the hash index would have to grow, or enough others have come, and these
//          are an eighth of all entries or more: it goes to the middle of all numbers and as far as numbers reach, a quarter
//          farther up for those to come. It takes memory only where the hash index would have to, and where it has not
//          enough already; it stays where it is when there is none.
// Numbers  `number_of(row)` tells that of an entry, and is asked where neither window nor entry do.
#pragma once

#include "core/hash.hpp"
#include "core/row_index.hpp"

namespace grantwheel {

class NumberIndex {
public:
    explicit NumberIndex(const HashKey& key) noexcept : hash_(key) {}

    // Takes the memory for so many entries in all, pages and all. Pre: it is empty.
    template <typename NumberOf>
    [[nodiscard]] bool reserve_all(std::size_t entries, NumberOf number_of) noexcept {
        reserved_ = entries;
        const std::size_t places = entries > fewest ? entries + entries / 4 : 0;
        if (!others_.reserve(entries, entries, hash_of(number_of)) || !window_.resize(places, no_row)) return false;
        window_.clear();
        return true;
    }
    // Makes room for so many more entries, whatever their numbers, whose rows are below `rows`.
    template <typename NumberOf>
    [[nodiscard]] bool reserve(std::size_t more, std::size_t rows, NumberOf number_of) noexcept {
        if (has_room(more, rows)) return true;
        if (others_.count() >= std::max(fewest, count() / 8)) survey(more, rows, number_of);
        next_survey_ = std::max(fewest, 2 * others_.count());
        return others_.reserve(others_with(more, rows), rows, hash_of(number_of));
    }
    // Whether that room is there already, and no survey is due.
    [[nodiscard]] bool has_room(std::size_t more, std::size_t rows) const noexcept {
        return others_has_room(more, rows) && others_.count() < next_survey_;
    }

    // Where the entry of a number is, or would go; until the next change.
    using Place = RowIndex::Place;
    template <typename NumberOf>
    [[nodiscard, gnu::always_inline]] Place locate(std::uint32_t number, NumberOf number_of) const noexcept {
        if (in_window(number)) return {window_[number - first_], 0, 0};
        return others_.locate(hash_(number), is(number, number_of), hash_of(number_of));
    }
    // The same if a first look tells, and else RowIndex::nowhere: see there.
    template <typename NumberOf>
    [[nodiscard, gnu::always_inline]] Place locate_at_once(std::uint32_t number, NumberOf number_of) const noexcept {
        if (in_window(number)) return {window_[number - first_], 0, 0};
        return others_.locate_at_once(hash_(number), is(number, number_of));
    }

    // Adds an entry at the place where it is missing, where room has been made.
    [[gnu::always_inline]] void insert(std::uint32_t number, const Place& place, Row row) noexcept {
        if (!in_window(number)) return others_.insert(place, row);
        window_[number - first_] = row;
        ++in_window_;
    }
    // Lets an entry lead to another row, of the same number.
    void replace(std::uint32_t number, const Place& place, Row row) noexcept {
        if (!in_window(number)) return others_.replace(place, row);
        window_[number - first_] = row;
    }
    // Takes the entry away that leads to this row; its place may be given.
    template <typename NumberOf>
    [[gnu::always_inline]] void erase(std::uint32_t number, Row row, const Place* place, NumberOf number_of) noexcept {
        if (in_window(number)) {
            window_[number - first_] = no_row;
            --in_window_;
        } else if (place != nullptr) {
            others_.erase_at(place->entry, hash_of(number_of));
        } else {
            others_.erase(hash_(number), row, hash_of(number_of));
        }
    }

    // The row of an entry of this number, or seldom of another; no_row when there is none.
    template <typename NumberOf>
    [[nodiscard]] Row likely(std::uint32_t number, NumberOf number_of) const noexcept {
        if (in_window(number)) return window_[number - first_];
        return others_.find(hash_(number), [](Row) { return true; }, hash_of(number_of));
    }
    // The row that is most likely that of a number; another one, or 0, when it is not there: without a branch that waits for
    // the entry. Pre: there are entries.
    [[nodiscard]] Row guess(std::uint32_t number) const noexcept {
        if (!in_window(number)) return others_.count() == 0 ? 0 : others_.guess(hash_(number));
        const Row row = window_[number - first_];
        return row == no_row ? 0 : row;
    }
    // Asks the processor for the place where the entry of a number would be.
    void prefetch_entry(std::uint32_t number) const noexcept {
        if (in_window(number)) {
            prefetch(window_.data() + (number - first_));
        } else {
            others_.prefetch_entry(hash_(number));
        }
    }

    [[nodiscard]] std::size_t count() const noexcept { return in_window_ + others_.count(); }
    // Calls `visit(row)` for each entry, in no order.
    template <typename Visit>
    void for_each(Visit&& visit) const noexcept {
        for (const Row row : window_) {
            if (row != no_row) visit(row);
        }
        others_.for_each(visit);
    }

    // For checks: how many entries are found by place, how many places there are for them, and how many entries the look-ups
    // of all others pass, together.
    [[nodiscard]] std::size_t windowed() const noexcept { return in_window_; }
    [[nodiscard]] std::size_t window_size() const noexcept { return window_.size(); }
    template <typename NumberOf>
    [[nodiscard]] std::size_t passed(NumberOf number_of) const noexcept {
        return others_.passed(hash_of(number_of));
    }

private:
    static constexpr std::size_t fewest = 1024;       // others before the first survey
    static constexpr std::size_t sparsest = 4;        // numbers that a window may have for each entry,
    static constexpr std::size_t smallest = 1 << 14;  // and may have always

    [[nodiscard]] bool in_window(std::uint32_t number) const noexcept { return number - first_ < window_.size(); }
    template <typename NumberOf>
    [[nodiscard]] static auto is(std::uint32_t number, NumberOf number_of) noexcept {
        return [number, number_of](Row row) { return number_of(row) == number; };
    }
    template <typename NumberOf>
    [[nodiscard]] auto hash_of(NumberOf number_of) const noexcept {
        return [this, number_of](Row row) { return hash_(number_of(row)); };
    }
    // How many others there may be with so many more: never more than rows, whatever leaves the window meanwhile.
    [[nodiscard]] std::size_t others_with(std::size_t more, std::size_t rows) const noexcept {
        return std::min(others_.count() + more, rows);
    }
    [[nodiscard]] bool others_has_room(std::size_t more, std::size_t rows) const noexcept {
        return others_.has_room(others_with(more, rows), rows);
    }
    [[nodiscard]] std::uint32_t number_at(std::size_t place) const noexcept {
        return static_cast<std::uint32_t>(first_ + place);
    }

    // Numbers from a first to a last one.
    struct Span {
        std::uint32_t first;
        std::uint32_t last;
        [[nodiscard]] bool has(std::uint32_t number) const noexcept { return number - first <= last - first; }
        [[nodiscard]] std::size_t size() const noexcept { return std::size_t{last} - first + 1; }
        void extend(std::uint32_t number) noexcept { *this = {std::min(first, number), std::max(last, number)}; }
    };
    // The span that a window of at most so many numbers may have: around the middle of all, or about that, as a sample tells.
    // False when it would spare too few of the others the hash index, the entries of which come in a random order.
    template <typename NumberOf>
    [[nodiscard]] bool find_most(Span& most, std::size_t size, NumberOf number_of) const noexcept {
        constexpr std::size_t enough = 1024;
        std::uint32_t sample[2 * enough]{};
        std::uint32_t* end = sample;
        const std::size_t step = (count() + enough - 1) / enough;
        others_.for_first(std::max<std::size_t>(1, others_.count() / step), [&](Row row) { *end++ = number_of(row); });
        const std::ptrdiff_t others = end - sample;
        for (std::size_t i = 0; i < window_.size() && end != std::end(sample); i += step) {
            if (window_[i] != no_row) *end++ = number_at(i);
        }
        std::uint32_t sorted[2 * enough]{};
        std::uint32_t* const half = sorted + (end - sample) / 2;
        std::nth_element(sorted, half, std::copy(sample, end, sorted));
        const std::size_t reach = size / 2;
        most = {static_cast<std::uint32_t>(*half - std::min<std::size_t>(*half, reach)),
                static_cast<std::uint32_t>(std::min<std::size_t>(UINT32_MAX, *half + reach - 1))};
        return std::count_if(sample, sample + others, [&](auto number) { return most.has(number); }) >= others / 4;
    }
    // What of the window is used and in that span, into which `span` is extended.
    void extend_to_window(Span& span, const Span& most) const noexcept {
        const auto is_found = [&](std::size_t i) { return window_[i] != no_row && most.has(number_at(i)); };
        std::size_t first = 0;
        std::size_t end = window_.size();
        while (first < end && !is_found(first)) ++first;
        while (end > first && !is_found(end - 1)) --end;
        if (first == end) return;
        span.extend(number_at(first));
        span.extend(number_at(end - 1));
    }
    // Moves the window to where the numbers are, if that spares enough of them the hash index. Takes no memory as long as
    // there is room without it.
    template <typename NumberOf>
    [[gnu::noinline]] void survey(std::size_t more, std::size_t rows, NumberOf number_of) noexcept {
        const bool takes_none = others_has_room(more, rows);
        const std::size_t size = std::max({smallest, reserved_ * sparsest, (count() + more) * sparsest});
        if (takes_none && window_.capacity() == 0) return;
        Span most{};
        if (!find_most(most, takes_none ? std::min(size, window_.capacity()) : size, number_of)) return;
        Span span{most.last, most.first};  // of none yet
        std::size_t comes = 0;
        others_.for_each([&](Row row) {
            const std::uint32_t number = number_of(row);
            if (!most.has(number)) return;
            span.extend(number);
            ++comes;
        });
        if (comes < others_.count() / 4) return;
        extend_to_window(span, most);
        span.last = std::min(most.last, span.last + std::min((span.last - span.first) / 4, UINT32_MAX - span.last));
        move_window(span, comes, rows, takes_none, number_of);
    }
    // To that span, in which so many others are. Where its own memory is enough, all that it has goes to the hash index first.
    template <typename NumberOf>
    void move_window(const Span& span, std::size_t comes, std::size_t rows, bool takes_none,
                     NumberOf number_of) noexcept {
        const auto is_kept = [&](std::size_t i) { return span.has(number_at(i)); };
        const auto leaves = [&](std::size_t i) { return window_[i] != no_row && !is_kept(i); };
        std::size_t goes = 0;
        std::size_t kept = 0;
        for (; kept < window_.size() && !is_kept(kept); ++kept) goes += std::size_t{leaves(kept)};
        for (std::size_t i = window_.size(); i > kept && !is_kept(i - 1); --i) goes += std::size_t{leaves(i - 1)};
        if (comes < goes + others_.count() / 4) return;
        const bool is_enough = span.size() <= window_.capacity() && others_.has_room(count(), rows);
        if (takes_none && !is_enough) return;
        Array<Row> window;
        if (!is_enough &&
            (!others_.reserve(others_.count() + goes, rows, hash_of(number_of)) || !window.resize(span.size(), no_row)))
            return;
        for (std::size_t i = 0; i < window_.size(); ++i) {
            const std::uint32_t number = number_at(i);
            if (!is_enough && is_kept(i)) {
                window[number - span.first] = window_[i];
            } else if (window_[i] != no_row) {
                others_.insert(others_.locate(hash_(number), is(number, number_of), hash_of(number_of)), window_[i]);
                --in_window_;
            }
        }
        first_ = span.first;
        if (is_enough) {
            window_.clear();
            static_cast<void>(window_.resize(span.size(), no_row));
        } else {
            std::swap(window, window_);
        }
        const auto comes_in = [&](Row row) {
            const std::uint32_t number = number_of(row);
            if (!in_window(number)) return false;
            window_[number - first_] = row;
            ++in_window_;
            return true;
        };
        others_.erase_each(comes_in, hash_of(number_of));
    }

    NumberHash hash_;
    std::uint32_t first_ = 0;  // number of the window
    Array<Row> window_;
    std::size_t in_window_ = 0;
    RowIndex others_;
    std::size_t next_survey_ = fewest;  // how many others there are when it is due
    std::size_t reserved_ = 0;          // entries for which all memory has been taken
};

}  // namespace grantwheel
