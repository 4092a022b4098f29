// A hash index from keys to rows of the table, in four bytes an entry: small enough to stay in the cache when the table
// does not. The keys themselves are in the rows. Not thread-safe.
//
// Entry    Open addressing with linear probing over a power of two of entries, at most 13/16 of them used. An entry is
//          | tag | distance | row |: the bits of the hash behind those of its home, how far it lies from its home (from
//          1 on, as an unused entry has 0), and the row in as few bits as rows need. Tag and distance together let a
//          look-up pass over nearly every entry of another key without reading its row. A distance that is too long for
//          its bits is saved as the longest.
// Order    Entries lie in the order of their homes: whoever comes to an entry from farther away than its entry goes before
//          it, and moves all that follow by one. So a look-up for what is not there ends about as early as one for what
//          is.
// Removal  Moves later entries back, so there are no tombstones.
// Eight    Where a look-up ends and how many entries move is anyone's guess, so nearly always that is found for the first
//          eight places together (core/eight.hpp). Who comes from farther, is close to the end of the array or has rows of
//          27 bits or more goes from place to place: the functions `..._on`.
// Growth   Lays the entries out anew in the order in which they lie, which is about that of their new places. With every
//          doubling a home takes one bit of the hash more. Where rows take one bit more as well, the tag has one less, so
//          that both together tell as much as before: then an entry alone tells where its entry goes.
// Hashes   32 bits, well mixed in their high bits. `hash_of(row)` tells that of an entry, and is asked where its
//          entry does not.
#pragma once

#include <bit>

#include "core/array.hpp"
#include "core/eight.hpp"
#include "core/record.hpp"

namespace grantwheel {

class RowIndex {
public:
    // Makes room for `count` entries in all, whose rows are below `rows`. Entries are laid out anew at most once for each
    // doubling of `count`, and of `rows` where there are more of them than entries.
    template <typename HashOf>
    [[nodiscard]] bool reserve(std::size_t count, std::size_t rows, HashOf&& hash_of) noexcept {
        if (has_room(count, rows)) return true;
        RowIndex anew;
        const std::size_t entries = std::bit_ceil(std::max<std::size_t>(16, (count * 16 + 12) / 13));
        if (!anew.open(std::max(entries, entries_.size()), std::max<std::size_t>(rows, row_mask_))) return false;
        anew.take(*this, hash_of);
        *this = std::move(anew);
        return true;
    }
    // Whether that room is there already.
    [[nodiscard]] bool has_room(std::size_t count, std::size_t rows) const noexcept {
        return count <= limit() && rows <= row_mask_;
    }

    // Where the entry of a key is, or would go; until the next change.
    struct Place {
        Row row;                // no_row when it is not there
        std::uint32_t pattern;  // tag and distance as the entry has them or would have them
        std::size_t entry;
    };
    static constexpr std::size_t nowhere = SIZE_MAX;  // no entry

    // The place of the entry with this hash that `matches(row)`. Both functions are copied, so that those of a caller stay
    // in registers.
    template <typename Matches, typename HashOf>
    [[nodiscard, gnu::always_inline]] Place locate(std::uint32_t hash, Matches matches, HashOf hash_of) const noexcept {
        const Place place = locate_at_once(hash, matches);
        return place.entry == nowhere ? locate_on(hash, matches, hash_of) : place;
    }
    // The same if the first eight places tell, and else `nowhere`: so a caller can leave all else to another function, and
    // need not keep anything in memory over a call.
    template <typename Matches>
    [[nodiscard, gnu::always_inline]] Place locate_at_once(std::uint32_t hash, Matches matches) const noexcept {
        const std::size_t first = home(hash);
        if (first >= wide_) return {no_row, 0, nowhere};
        const auto [hits, stops] = look(first, tag(hash));
        for (unsigned left = hits; left != 0; left &= left - 1) {
            const std::size_t i = before_first(left);
            const Row row = row_in(entries_[first + i]);
            // NOLINTNEXTLINE(clang-analyzer-security.ArrayBound): it is one of the eight, as in all below
            if (matches(row)) return {row, tag(hash) | steps_[i], first + i};
        }
        if (stops == 0) return {no_row, 0, nowhere};
        const std::size_t i = before_first(stops);
        return {no_row, tag(hash) | steps_[i], first + i};  // NOLINT(clang-analyzer-security.ArrayBound)
    }

    // The row of that entry, or no_row.
    template <typename Matches, typename HashOf>
    [[nodiscard]] Row find(std::uint32_t hash, Matches&& matches, HashOf&& hash_of) const noexcept {
        return locate(hash, matches, hash_of).row;
    }

    // The row that is most likely that of a key with this hash, as the first places for it tell; another one, or 0, when
    // none of them does. Takes no branch on what they hold, which the processor would have to foresee before they have come.
    // Asks for the places behind them too, which an erase may move. Pre: there are entries.
    [[nodiscard]] Row guess(std::uint32_t hash) const noexcept {
        const std::size_t first = home(hash);
        prefetch(entries_.data() + ((first + Eight::count) & (entries_.size() - 1)));
        if (first + 1 >= wide_) return entries_[first] & row_mask_;
        return entries_[first + before_first(look(first, tag(hash)).hits)] & row_mask_;
    }

    // Adds an entry at the place where it is missing, where room has been made. Pre: the place is not `nowhere`.
    void insert(const Place& place, Row row) noexcept {
        Entry* const at = entries_.data() + place.entry;
        if (place.entry + 1 >= wide_) return insert_on(place, row);
        const Eight there = Eight::load(at);
        const unsigned unused_ones = there.equal(Eight{unused}).which();
        if (unused_ones == 0) return insert_on(place, row);
        const Eight moving = Eight::first(before_first(unused_ones));
        const Eight far = (there & Eight{longest_}).equal(Eight{longest_});
        (((there + Eight{one()}.without(far)) & moving) | Eight::load(at + 1).without(moving)).store(at + 1);
        *at = place.pattern | row;
        ++count_;
    }

    // Lets an entry lead to another row, of the same key.
    void replace(const Place& place, Row row) noexcept { entries_[place.entry] = place.pattern | row; }

    // Takes the entry of a row away. Pre: there is one, of a key with this hash.
    template <typename HashOf>
    [[gnu::always_inline]] void erase(std::uint32_t hash, Row row, HashOf hash_of) noexcept {
        const std::size_t first = home(hash);
        if (first >= wide_) return erase_on(place_on(hash, row), hash_of);
        // No entry before it is unused, which looks like one of row 0.
        const Eight rows = Eight::load(entries_.data() + first) & Eight{row_mask_};
        const unsigned found = rows.equal(Eight{row}).which();
        erase_at(found != 0 ? first + before_first(found) : place_on(hash, row), hash_of);
    }
    // The same where its place is known.
    template <typename HashOf>
    [[gnu::always_inline]] void erase_at(std::size_t place, HashOf hash_of) noexcept {
        if (place + 1 >= wide_) return erase_on(place, hash_of);
        Entry* const hole = entries_.data() + place;
        const Eight next = Eight::load(hole + 1);
        const Eight steps = next & Eight{longest_};
        const unsigned stops = steps.less(Eight{2 * one()}).which();  // unused, or at home
        const unsigned longest = steps.equal(Eight{longest_}).which();
        if (stops == 0 || (longest & (stops - 1)) != 0) return erase_on(place, hash_of);
        const unsigned moved = before_first(stops);
        const Eight moving = Eight::first(moved);
        (((next - Eight{one()}) & moving) | Eight::load(hole).without(moving)).store(hole);
        hole[moved] = unused;
        --count_;
    }

    // Takes all entries away whose rows it is told to.
    template <typename Takes, typename HashOf>
    void erase_each(Takes takes, HashOf hash_of) noexcept {
        for (std::size_t i = 0; i < entries_.size();) {
            if (entries_[i] != unused && takes(entries_[i] & row_mask_)) {
                erase_at(i, hash_of);  // which moves the next one here, or none
            } else {
                ++i;
            }
        }
    }

    // Asks the processor for the place where an entry of this hash would be.
    void prefetch_entry(std::uint32_t hash) const noexcept {
        if (entries_.size() != 0) prefetch(entries_.data() + home(hash));
    }

    [[nodiscard]] std::size_t count() const noexcept { return count_; }

    // For checks: how many others the look-ups of all entries pass, together.
    template <typename HashOf>
    [[nodiscard]] std::size_t passed(HashOf&& hash_of) const noexcept {
        std::size_t passed = 0;
        for (std::size_t i = 0; i < entries_.size(); ++i) {
            if (entries_[i] != unused) passed += distance(hash_of(entries_[i] & row_mask_), i);
        }
        return passed;
    }

    // Calls `visit(row)` for each entry, in no order.
    template <typename Visit>
    void for_each(Visit&& visit) const noexcept {
        for (const Entry entry : entries_) {
            if (entry != unused) visit(entry & row_mask_);
        }
    }

    // The same for the first so many.
    template <typename Visit>
    void for_first(std::size_t most, Visit&& visit) const noexcept {
        for (std::size_t i = 0; most != 0 && i < entries_.size(); ++i) {
            if (entries_[i] == unused) continue;
            visit(entries_[i] & row_mask_);
            --most;
        }
    }

private:
    using Entry = std::uint32_t;
    static constexpr Entry unused = 0;

    // Takes the memory for so many entries, a power of two, and divides their bits for rows up to this one.
    [[nodiscard]] bool open(std::size_t size, std::size_t last_row) noexcept {
        if (!entries_.resize(size, unused)) return false;
        home_bits_ = std::countr_zero(size);
        row_bits_ = std::clamp(static_cast<int>(std::bit_width(std::max(last_row, limit()))), 15, 31);
        row_mask_ = (Entry{1} << row_bits_) - 1;
        longest_ = ((Entry{1} << std::min(5, 32 - row_bits_)) - 1) << row_bits_;
        tag_mask_ = ~(longest_ | row_mask_);
        const bool tells_eight = longest_ >> 31 == 0;  // with five bits then, and they can be compared
        wide_ = tells_eight ? size - Eight::count + 1 : 0;
        for (Entry i = 0; i < Eight::count; ++i) steps_[i] = (i + 1) << (tells_eight ? row_bits_ : 0);
        return true;
    }
    // Of the eight places from a home on, which have an entry of this tag and that home, and which one that lies behind all
    // of that home.
    struct Seen {
        unsigned hits;
        unsigned stops;
    };
    [[nodiscard, gnu::always_inline]] Seen look(std::size_t first, Entry tag) const noexcept {
        const Eight there = Eight::load(entries_.data() + first);
        const Eight steps = Eight::load(steps_);
        return {there.without(Eight{row_mask_}).equal(Eight{tag} | steps).which(),
                (there & Eight{longest_}).less(steps).which()};
    }
    // The number of the first place that is told, or of the one behind the eight.
    [[nodiscard]] static unsigned before_first(unsigned places) noexcept {
        return static_cast<unsigned>(std::countr_zero(places | 1u << Eight::count));
    }

    // The same from place to place.
    template <typename Matches, typename HashOf>
    [[nodiscard, gnu::noinline]] Place locate_on(std::uint32_t hash, Matches matches, HashOf hash_of) const noexcept {
        if (entries_.size() == 0) return {no_row, 0, 0};
        Entry wanted = tag(hash) | one();
        for (std::size_t i = home(hash);; i = next(i), wanted += one()) {
            const Entry entry = entries_[i];
            if ((entry ^ wanted) <= row_mask_ && matches(row_in(entry))) return {row_in(entry), wanted, i};
            if ((entry & longest_) < (wanted & longest_)) return {no_row, wanted, i};
            if (is_longest(wanted)) return locate_far(hash, i, wanted, matches, hash_of);
        }
    }
    [[gnu::noinline]] void insert_on(const Place& place, Row row) noexcept {
        Entry moved = place.pattern | row;
        for (std::size_t i = place.entry;; i = next(i)) {
            std::swap(moved, entries_[i]);
            if (moved == unused) break;
            moved = farther(moved);
        }
        ++count_;
    }
    [[nodiscard, gnu::noinline]] std::size_t place_on(std::uint32_t hash, Row row) const noexcept {
        std::size_t place = home(hash);
        while ((entries_[place] & row_mask_) != row) place = next(place);
        return place;
    }
    template <typename HashOf>
    [[gnu::noinline]] void erase_on(std::size_t hole, HashOf hash_of) noexcept {
        for (std::size_t i = next(hole);; hole = i, i = next(i)) {
            const Entry entry = entries_[i];
            const Entry nearer = is_longest(entry) ? nearer_far(i, hash_of) : entry - one();
            if ((entry & longest_) == 0 || (nearer & longest_) == 0) break;  // unused, or at home
            entries_[hole] = nearer;
        }
        entries_[hole] = unused;
        --count_;
    }
    // Takes all entries of another index, in its order. Their new homes come in about that order too, so each finds a place
    // at home or close by, and few have to move for it.
    template <typename HashOf>
    void take(const RowIndex& other, HashOf& hash_of) noexcept {
        const std::size_t mask = entries_.size() - 1;
        const bool is_known = other.hash_bits() >= hash_bits();
        for (std::size_t i = 0; i < other.entries_.size(); ++i) {
            const Entry entry = other.entries_[i];
            if (entry == unused) continue;
            const Row row = entry & other.row_mask_;
            const std::uint32_t hash = is_known && !other.is_longest(entry) ? other.known_hash(i) : hash_of(row);
            const std::size_t wanted = home(hash);
            std::size_t at = wanted;
            while (entries_[at & mask] != unused) ++at;
            for (; at != wanted; --at) {
                const Entry before = entries_[(at - 1) & mask];
                if (far(before, (at - 1) & mask, hash_of) >= at - 1 - wanted) break;
                entries_[at & mask] = farther(before);
            }
            entries_[at & mask] = tag(hash) | saved(at - wanted) | row;
        }
        count_ = other.count_;
    }
    // How far from its home an entry lies at this place.
    template <typename HashOf>
    [[nodiscard]] std::size_t far(Entry entry, std::size_t at, HashOf& hash_of) const noexcept {
        return is_longest(entry) ? distance(hash_of(entry & row_mask_), at) : steps(entry);
    }
    // Goes on with a look-up whose distance is the longest that is saved: only hashes tell how far entries have come.
    template <typename Matches, typename HashOf>
    [[nodiscard, gnu::noinline]] Place locate_far(std::uint32_t hash, std::size_t i, Entry wanted, Matches matches,
                                                  HashOf hash_of) const noexcept {
        for (;; i = next(i)) {
            const Entry entry = entries_[i];
            if ((entry ^ wanted) <= row_mask_ && matches(row_in(entry))) return {row_in(entry), wanted, i};
            if (!is_longest(entry) || distance(hash_of(entry & row_mask_), i) < distance(hash, i))
                return {no_row, wanted, i};
        }
    }
    // An entry of the longest distance as it is one place nearer to its home; without a distance when it is at home.
    template <typename HashOf>
    [[nodiscard, gnu::noinline]] Entry nearer_far(std::size_t i, HashOf hash_of) const noexcept {
        const std::size_t steps = far(entries_[i], i, hash_of);
        return (entries_[i] & ~longest_) | (steps == 0 ? 0 : saved(steps - 1));
    }
    [[nodiscard]] std::size_t limit() const noexcept { return entries_.size() / 16 * 13; }
    // The home of a hash is in the upper half, and the bits behind it, which the tag is taken of, in the lower one.
    [[nodiscard]] std::uint64_t divided(std::uint32_t hash) const noexcept { return std::uint64_t{hash} << home_bits_; }
    [[nodiscard]] std::size_t home(std::uint32_t hash) const noexcept { return divided(hash) >> 32; }
    [[nodiscard]] Entry tag(std::uint32_t hash) const noexcept { return static_cast<Entry>(divided(hash)) & tag_mask_; }
    // How far an entry lies from the home of a hash.
    [[nodiscard]] std::size_t distance(std::uint32_t hash, std::size_t entry) const noexcept {
        return (entry - home(hash)) & (entries_.size() - 1);
    }
    [[nodiscard]] std::size_t next(std::size_t i) const noexcept { return (i + 1) & (entries_.size() - 1); }
    // The row of an entry. That it has less than 32 bits saves callers a comparison with `no_row`.
    [[nodiscard]] Row row_in(Entry entry) const noexcept {
        const Row row = entry & row_mask_;
        if (row == no_row) __builtin_unreachable();
        return row;
    }
    // How many bits of a hash its home and its tag tell, and these bits of that of an entry, with zeros behind them.
    [[nodiscard]] int hash_bits() const noexcept { return home_bits_ + std::popcount(tag_mask_); }
    [[nodiscard]] std::uint32_t known_hash(std::size_t i) const noexcept {
        const Entry entry = entries_[i];
        const std::size_t home = (i - steps(entry)) & (entries_.size() - 1);
        return static_cast<std::uint32_t>((std::uint64_t{home} << 32 | (entry & tag_mask_)) >> home_bits_);
    }
    // One step of distance, in its place; what an entry at home has.
    [[nodiscard]] Entry one() const noexcept { return row_mask_ + 1; }
    [[nodiscard]] Entry farther(Entry entry) const noexcept { return is_longest(entry) ? entry : entry + one(); }
    [[nodiscard]] bool is_longest(Entry entry) const noexcept { return (entry & longest_) == longest_; }
    // How many steps from home, as entries have it, and as an entry tells that has not the longest distance.
    [[nodiscard]] Entry saved(std::size_t far) const noexcept {
        return static_cast<Entry>(std::min<std::size_t>(far + 1, longest_ >> row_bits_) << row_bits_);
    }
    [[nodiscard]] std::size_t steps(Entry entry) const noexcept { return ((entry & longest_) >> row_bits_) - 1; }

    Array<Entry> entries_;
    std::size_t count_ = 0;
    // How the bits of an entry and of a hash are divided.
    int home_bits_ = 0;
    int row_bits_ = 0;
    Entry row_mask_ = 0;
    Entry longest_ = 0;            // the longest distance, in its place
    Entry tag_mask_ = 0;           // what is left for the tag
    std::size_t wide_ = 0;         // the homes before it have eight places before the end, whose distances entries tell
    Entry steps_[Eight::count]{};  // the distances of eight places from their home
};

}  // namespace grantwheel
