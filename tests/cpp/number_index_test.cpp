#include "core/number_index.hpp"

#include <functional>
#include <map>
#include <vector>

#include "allocations.hpp"
#include "support.hpp"

namespace grantwheel::test {

namespace {

// An index beside a map. Rows are given out as the table does it: the one that was freed last, or the next.
class Model {
public:
    [[nodiscard]] bool reserve_all(std::size_t entries) { return index_.reserve_all(entries, number_of()); }
    [[nodiscard]] bool reserve(std::size_t more) { return index_.reserve(more, numbers_.size() + more, number_of()); }
    [[nodiscard]] bool has_room(std::size_t more) const { return index_.has_room(more, numbers_.size() + more); }
    void insert(std::uint32_t number) {
        Row row = static_cast<Row>(numbers_.size());
        if (free_.empty()) {
            numbers_.push_back(number);
        } else {
            row = free_.back();
            free_.pop_back();
            numbers_[row] = number;
        }
        index_.insert(number, place_of(number), row);
        rows_[number] = row;
    }
    // Its record gets another row.
    void replace(std::uint32_t number) {
        const Row row = rows_.at(number);
        numbers_.push_back(number);
        rows_[number] = static_cast<Row>(numbers_.size() - 1);
        index_.replace(number, place_of(number), rows_[number]);
        free_.push_back(row);
    }
    void erase(std::uint32_t number, bool tells_place) {
        const NumberIndex::Place place = place_of(number);
        const Row row = rows_.at(number);
        index_.erase(number, row, tells_place ? &place : nullptr, number_of());
        free_.push_back(row);
        rows_.erase(number);
    }
    [[nodiscard]] bool has(std::uint32_t number) const { return rows_.contains(number); }
    [[nodiscard]] std::size_t size() const { return rows_.size(); }
    [[nodiscard]] std::uint32_t any(Random& random) const {
        const auto place = rows_.lower_bound(static_cast<std::uint32_t>(random.next()));
        return (place == rows_.end() ? rows_.begin() : place)->first;
    }
    [[nodiscard]] const NumberIndex& index() const { return index_; }

    void check(std::uint32_t number) const {
        const auto known = rows_.find(number);
        const Row expected = known == rows_.end() ? no_row : known->second;
        REQUIRE_EQUAL_QUIETLY(place_of(number).row, expected);
        const NumberIndex::Place at_once = index_.locate_at_once(number, number_of());
        if (at_once.entry != RowIndex::nowhere) REQUIRE_EQUAL_QUIETLY(at_once.row, expected);
        if (size() != 0) REQUIRE_QUIETLY(index_.guess(number) < numbers_.size());
        if (expected == no_row) return;
        const Row likely = index_.likely(number, number_of());
        REQUIRE_QUIETLY(likely < numbers_.size() && (likely == expected || index_.windowed() != size()));
    }
    void compare() const {
        REQUIRE_EQUAL_QUIETLY(index_.count(), size());
        for (const auto& [number, row] : rows_) {
            for (const std::uint32_t near : {number - 1, number, number + 1}) check(near);
        }
        std::map<std::uint32_t, Row> found;
        index_.for_each([&](Row row) { REQUIRE_QUIETLY(found.emplace(numbers_[row], row).second); });
        REQUIRE_QUIETLY(found == rows_);
        REQUIRE_QUIETLY(index_.windowed() <= index_.window_size());
    }

private:
    [[nodiscard]] std::function<std::uint32_t(Row)> number_of() const {
        return [this](Row row) { return numbers_[row]; };
    }
    [[nodiscard]] NumberIndex::Place place_of(std::uint32_t number) const { return index_.locate(number, number_of()); }

    NumberIndex index_{HashKey{1, 2}};
    std::map<std::uint32_t, Row> rows_;
    std::vector<std::uint32_t> numbers_;  // by row
    std::vector<Row> free_;
};

using Numbers = std::function<std::uint32_t(Random&, std::uint32_t step)>;

struct Kind {
    const char* name;
    Numbers numbers;
};

const Kind kinds[] = {
    {"close together", [](Random& random, std::uint32_t) { return 20'010'000 + random.below32(6'000); }},
    {"from the first on", [](Random& random, std::uint32_t) { return random.below32(6'000); }},
    {"up to the last", [](Random& random, std::uint32_t) { return UINT32_MAX - random.below32(6'000); }},
    {"at both ends", [](Random& random, std::uint32_t) { return random.below32(6'000) - 3'000; }},
    {"anywhere", [](Random& random, std::uint32_t) { return static_cast<std::uint32_t>(random.next()); }},
    {"close together, or anywhere",
     [](Random& random, std::uint32_t) {
         return random.one_in(3) ? static_cast<std::uint32_t>(random.next()) : 1'000'000 + random.below32(5'000);
     }},
    {"in two groups", [](Random& random, std::uint32_t) { return random.below32(2) << 30 | random.below32(4'000); }},
    {"ever higher", [](Random&, std::uint32_t step) { return 300'000'000 + step; }},
    {"wandering", [](Random& random, std::uint32_t step) { return step / 6'000 * 50'000 + random.below32(4'000); }},
};

// Random changes; the number of entries goes up and down, and each is there for the more steps the more there are.
void run(std::uint64_t seed, const Numbers& numbers, std::uint32_t steps, std::uint32_t most) {
    Random random(seed);
    Model model;
    for (std::uint32_t step = 0; step < steps; ++step) {
        const std::uint32_t number = numbers(random, step);
        if (!model.has(number)) {
            REQUIRE_QUIETLY(model.reserve(1));
            model.insert(number);
        } else if (random.one_in(4)) {
            model.replace(number);
        }
        while (model.size() > most || (random.one_in(3) && model.size() != 0)) {
            model.erase(model.any(random), random.one_in(2));
        }
        model.check(number);
        if (step % 2'048 == 0) model.compare();
    }
    model.compare();
    while (model.size() != 0) model.erase(model.any(random), random.one_in(2));
    model.compare();
}

// Grants numbers one by one.
void fill(Model& model, std::size_t count, const std::function<std::uint32_t(std::uint32_t)>& number) {
    for (std::uint32_t i = 0; i < count; ++i) {
        REQUIRE_QUIETLY(model.reserve(1));
        model.insert(number(i));
    }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(number_index)

BOOST_AUTO_TEST_CASE(an_empty_index_finds_nothing) {
    const Model model;
    for (const std::uint32_t number : {0u, 1u, UINT32_MAX}) model.check(number);
    model.compare();
}

BOOST_AUTO_TEST_CASE(agrees_with_a_map_for_every_kind_of_numbers) {
    for (const Kind& kind : kinds) {
        for (const std::uint32_t most : {100u, 3'000u, 7'000u}) {
            BOOST_TEST_CONTEXT("numbers " << kind.name << ", at most " << most << ", seed " << most) {
                run(most, kind.numbers, 20'000, most);
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(numbers_that_lie_close_together_have_places) {
    Model model;
    constexpr std::uint32_t count = 20'000;
    fill(model, count, [](std::uint32_t i) { return 10'000 + i * 7'919 % count; });
    model.compare();
    BOOST_CHECK_GT(model.index().windowed(), count * 9 / 10);
    BOOST_CHECK_LE(model.index().window_size(), count * 5 / 4);
}

BOOST_AUTO_TEST_CASE(numbers_that_go_up_have_places) {
    Model model;
    constexpr std::uint32_t count = 100'000;
    fill(model, count, [](std::uint32_t i) { return 4'000'000'000 + i; });
    BOOST_CHECK_GT(model.index().windowed(), count * 8 / 10);
    model.compare();
}

BOOST_AUTO_TEST_CASE(a_few_far_away_do_not_matter) {
    Model model;
    constexpr std::uint32_t count = 20'000;
    fill(model, count, [](std::uint32_t i) { return i % 10 == 0 ? UINT32_MAX / count * i : 70'000'000 + i; });
    model.compare();
    BOOST_CHECK_GT(model.index().windowed(), count * 8 / 10);
}

BOOST_AUTO_TEST_CASE(numbers_from_anywhere_take_no_window) {
    Model model;
    constexpr std::uint32_t count = 50'000;
    fill(model, count, [](std::uint32_t i) { return mixed(i); });
    model.compare();
    BOOST_CHECK_EQUAL(model.index().window_size(), 0);
}

BOOST_AUTO_TEST_CASE(a_window_is_no_larger_than_its_entries_allow) {
    for (const std::uint32_t step : {3u, 4u, 5u, 8u, 100u}) {
        Model model;
        constexpr std::uint32_t count = 30'000;
        fill(model, count, [&](std::uint32_t i) { return i * 7'919 % count * step; });
        model.compare();
        BOOST_CHECK_LE(model.index().window_size(), 4 * count);
        if (step < 4) BOOST_CHECK_GT(model.index().windowed(), count / 2);
    }
}

constexpr std::uint32_t no_window = 1'664;  // so many entries, of the 2,048 that the hash index has then

BOOST_AUTO_TEST_CASE(few_entries_need_no_window) {
    Model model;
    fill(model, no_window, [](std::uint32_t i) { return i; });
    BOOST_CHECK_EQUAL(model.index().window_size(), 0);
    fill(model, 1, [](std::uint32_t i) { return no_window + i; });
    BOOST_CHECK_EQUAL(model.index().windowed(), no_window + 1);
}

// Where memory has been taken for all of them, a window is there soon, and nothing else is taken.
BOOST_AUTO_TEST_CASE(a_reserved_index_has_a_window_and_takes_no_memory) {
    for (const std::uint32_t step : {1u, 1'000u}) {
        Model model;
        constexpr std::uint32_t count = 100'000;
        REQUIRE_QUIETLY(model.reserve_all(count));
        for (std::uint32_t i = 0; i < count; ++i) {
            const std::size_t asked = allocations();
            REQUIRE_QUIETLY(model.reserve(1));
            REQUIRE_EQUAL_QUIETLY(allocations(), asked);
            model.insert(i * 7'919 % count * step);
            if (i == 2'000 && step == 1) BOOST_CHECK_GT(model.index().windowed(), 1'900);
        }
        BOOST_CHECK_EQUAL(model.index().windowed() > count * 98 / 100, step == 1);
        model.compare();
    }
}

// Room for many is there for any numbers, so they need no window; it comes where memory has to be taken again.
BOOST_AUTO_TEST_CASE(room_that_has_been_made_is_enough) {
    Model model;
    constexpr std::uint32_t count = 100'000;
    REQUIRE_QUIETLY(model.reserve(count));
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::size_t asked = allocations();
        if (!model.has_room(1)) REQUIRE_QUIETLY(model.reserve(1));
        REQUIRE_EQUAL_QUIETLY(allocations(), asked);
        model.insert(i * 7'919 % count);
    }
    model.compare();
    REQUIRE_QUIETLY(model.reserve(count));
    BOOST_CHECK_EQUAL(model.index().windowed(), count);
    model.compare();
}

BOOST_AUTO_TEST_CASE(a_window_goes_where_the_numbers_go) {
    Model model;
    constexpr std::uint32_t count = 5'000;
    for (std::uint32_t i = 0; i < 40 * count; ++i) {
        REQUIRE_QUIETLY(model.reserve(1));
        model.insert(i);
        // One of a thousand stays for good.
        if (i >= count && (i - count) % 1'000 != 0) model.erase(i - count, true);
    }
    model.compare();
    BOOST_CHECK_GT(model.index().windowed(), count / 2);
    BOOST_CHECK_LE(model.index().window_size(), std::size_t{1} << 15);
}

BOOST_AUTO_TEST_CASE(a_small_window_need_not_be_dense) {
    Model model;
    fill(model, no_window + 1, [](std::uint32_t i) { return 8 * i; });
    BOOST_CHECK_GT(model.index().windowed(), no_window * 9 / 10);
    model.compare();
}

BOOST_AUTO_TEST_CASE(a_window_moves_to_clearly_more_numbers_than_it_leaves) {
    for (const std::uint32_t stay : {1'000u, 1'400u}) {
        Model model;
        fill(model, 2'500, [](std::uint32_t i) { return i; });
        for (std::uint32_t i = stay; i < 2'500; ++i) model.erase(i, true);
        BOOST_CHECK_EQUAL(model.index().windowed(), stay);
        fill(model, no_window + 1, [](std::uint32_t i) { return 1'000'000 + i; });
        BOOST_CHECK_EQUAL(model.index().windowed(), stay == 1'000 ? no_window + 1 : stay);
        model.compare();
    }
}

BOOST_AUTO_TEST_CASE(a_survey_without_memory_changes_nothing) {
    Model model;
    fill(model, no_window, [](std::uint32_t i) { return i; });
    {
        const FailingAllocation failing(0);
        BOOST_CHECK(model.reserve(1));
        BOOST_CHECK(failing.happened());
    }
    BOOST_CHECK_EQUAL(model.index().windowed(), 0);
    BOOST_CHECK(model.has_room(no_window));
    model.compare();
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
