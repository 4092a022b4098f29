#include "core/row_index.hpp"

#include <array>
#include <map>
#include <set>

#include "allocations.hpp"
#include "support.hpp"

namespace grantwheel::test {

namespace {

using HashFunction = std::uint32_t (*)(std::uint32_t key);

constexpr std::array<HashFunction, 7> hash_functions{
    [](std::uint32_t key) { return mixed(key); },                      // well mixed
    [](std::uint32_t) { return 0u; },                                  // all collide at the first entry
    [](std::uint32_t) { return UINT32_MAX; },                          // all collide at the last entry and wrap around
    [](std::uint32_t key) { return UINT32_MAX - (key % 3 << 27); },    // three homes close to the end
    [](std::uint32_t key) { return key << 24; },                       // runs of neighbours
    [](std::uint32_t key) { return key % 2 == 0 ? 0u : UINT32_MAX; },  // first and last entry
    [](std::uint32_t key) { return UINT32_MAX - (key % 8 << 25); },    // eight homes at the end of many entries
};

// An index beside a map; the keys of the rows are in the map.
class Model {
    [[nodiscard]] auto hash_of() const {
        return [this](Row row) {
            ++asked_;
            return hash_(keys_.at(row));
        };
    }

public:
    explicit Model(HashFunction hash) : hash_(hash) {}

    // Rows are at least `rows` in number for the index, whatever the rows of its entries.
    [[nodiscard]] bool reserve(std::size_t count, std::size_t rows) {
        const bool reserved = index_.reserve(count, rows, hash_of());
        while (reserved && entries_ / 16 * 13 < count) entries_ *= 2;
        return reserved;
    }
    void insert(std::uint32_t key, Row row) {
        index_.insert(place_of(key), row);
        rows_[key] = row;
        keys_[row] = key;
    }
    void replace(std::uint32_t key, Row row) {
        index_.replace(place_of(key), row);
        keys_.erase(rows_.at(key));
        keys_[row] = key;
        rows_[key] = row;
    }
    void erase(std::uint32_t key) {
        index_.erase(hash_(key), rows_.at(key), hash_of());
        keys_.erase(rows_.at(key));
        rows_.erase(key);
    }
    [[nodiscard]] Row find(std::uint32_t key) const {
        return index_.find(hash_(key), [&](Row row) { return keys_.at(row) == key; }, hash_of());
    }
    // How many of the keys are guessed; whatever is guessed for another key must be a row of the index, or 0.
    [[nodiscard]] std::size_t guessed(std::uint32_t keys) const {
        std::size_t count = 0;
        for (std::uint32_t key = 0; key < keys; ++key) {
            const Row row = index_.guess(hash_(key));
            REQUIRE_QUIETLY(row == 0 || keys_.contains(row));
            count += row == find(key);
        }
        return count;
    }
    // How many hashes the index has asked for.
    [[nodiscard]] std::size_t asked() const { return asked_; }
    [[nodiscard]] bool has_room(std::size_t count, std::size_t rows) const { return index_.has_room(count, rows); }
    [[nodiscard]] bool has(std::uint32_t key) const { return rows_.contains(key); }
    [[nodiscard]] bool has_row(Row row) const { return keys_.contains(row); }
    [[nodiscard]] std::size_t size() const { return rows_.size(); }
    [[nodiscard]] std::uint32_t first_key() const { return rows_.begin()->first; }

    void compare(std::uint32_t keys) const {
        REQUIRE_EQUAL_QUIETLY(index_.count(), rows_.size());
        for (std::uint32_t key = 0; key < keys; ++key) {
            const auto known = rows_.find(key);
            const Row expected = known == rows_.end() ? no_row : known->second;
            if (find(key) != expected) BOOST_FAIL("key " << key << " leads to " << find(key) << ", not " << expected);
        }
        std::set<Row> rows;
        index_.for_each([&](Row row) { REQUIRE_QUIETLY(rows.insert(row).second && keys_.contains(row)); });
        REQUIRE_EQUAL_QUIETLY(rows.size(), keys_.size());
        check_order();
    }

private:
    // Entries lie in the order of their homes and without gaps: who is not at home comes behind an entry whose home is not
    // after its own.
    void check_order() const {
        std::map<std::size_t, std::size_t> distances;  // by entry
        const int home_shift = 32 - std::countr_zero(entries_);
        for (const auto& [key, row] : rows_) {
            const std::size_t entry = place_of(key).entry;
            REQUIRE_QUIETLY(entry < entries_);
            const std::size_t home = std::size_t{hash_(key)} >> home_shift;
            REQUIRE_QUIETLY(distances.emplace(entry, (entry - home) & (entries_ - 1)).second);
        }
        for (const auto& [entry, distance] : distances) {
            if (distance == 0) continue;
            const auto before = distances.find((entry - 1) & (entries_ - 1));
            REQUIRE_QUIETLY(before != distances.end() && before->second + 1 >= distance);
        }
    }

    [[nodiscard]] RowIndex::Place place_of(std::uint32_t key) const {
        return index_.locate(hash_(key), [&](Row row) { return keys_.at(row) == key; }, hash_of());
    }

    HashFunction hash_;
    RowIndex index_;
    std::size_t entries_ = 16;  // it has at least once something was reserved
    std::map<std::uint32_t, Row> rows_;
    std::map<Row, std::uint32_t> keys_;
    mutable std::size_t asked_ = 0;
};

// Random changes; the number of keys held goes up and down. All rows are below `rows`.
void run(std::uint64_t seed, std::uint32_t keys, int steps, HashFunction hash, std::uint32_t rows) {
    Random random(seed);
    Model model(hash);
    const auto free_row = [&] {
        for (;;) {
            // The highest rows too, as they look most like an unused entry.
            const Row row = random.one_in(4) ? rows - 1 - random.below32(2 * keys) : random.below32(rows);
            if (!model.has_row(row)) return row;
        }
    };
    for (int step = 0; step < steps; ++step) {
        const std::uint32_t key = random.below32(keys);
        const bool grows = step / 200 % 2 == 0;
        if (!model.has(key) && (grows || random.one_in(3))) {
            REQUIRE_QUIETLY(model.reserve(model.size() + 1, rows));
            model.insert(key, free_row());
        } else if (model.has(key) && (!grows || random.one_in(3))) {
            model.erase(key);
        } else if (model.has(key)) {
            model.replace(key, free_row());
        }
        if (step % 64 == 0) model.compare(keys);
    }
    model.compare(keys);
    while (model.size() != 0) {
        model.erase(model.first_key());
        if (model.size() % 16 == 0) model.compare(keys);
    }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(row_index)

BOOST_AUTO_TEST_CASE(an_empty_index_finds_nothing) {
    const Model model(hash_functions[0]);
    BOOST_CHECK_EQUAL(model.find(0), no_row);
    BOOST_CHECK_EQUAL(model.find(UINT32_MAX), no_row);
    model.compare(1);
}

// From rows of few bits, which leave room for tags, to rows of all 31.
BOOST_AUTO_TEST_CASE(agrees_with_a_map_for_every_kind_of_hash_and_width_of_rows) {
    for (const std::uint32_t rows :
         {100u, 32'767u, 32'768u, 1u << 20, (1u << 27) + 1, (1u << 28) - 1, INT32_MAX + 0u}) {
        for (std::size_t kind = 0; kind < hash_functions.size(); ++kind) {
            const std::uint64_t seed = rows + kind;
            BOOST_TEST_CONTEXT("seed " << seed << ", hash function " << kind << ", rows " << rows) {
                run(seed, 8, 400, hash_functions[kind], rows);
                run(seed, 40, 800, hash_functions[kind], rows);
                if (rows > 400) run(seed, 200, 1200, hash_functions[kind], rows);
            }
        }
        BOOST_TEST_CONTEXT("seed 13, many keys, rows " << rows) {
            if (rows > 10'000) run(13, 3000, 8000, hash_functions[0], rows);
        }
    }
}

BOOST_AUTO_TEST_CASE(most_rows_are_guessed_and_nothing_else_but_rows) {
    for (const std::uint32_t rows : {30'000u, 1u << 20, (1u << 28) - 1, INT32_MAX + 0u}) {
        BOOST_TEST_CONTEXT("rows " << rows) {
            Model model(hash_functions[0]);
            constexpr std::uint32_t keys = 13'000;  // of 16384 entries
            for (std::uint32_t key = 0; key < keys; ++key) {
                REQUIRE_QUIETLY(model.reserve(key + 1, rows));
                model.insert(key, rows - 1 - key);
            }
            const std::size_t guessed = model.guessed(2 * keys);
            // Where rows take nearly all bits of an entry, there is little to guess by.
            if (rows <= 1u << 20) BOOST_CHECK_GT(guessed, keys * 3 / 4);
        }
    }
}

BOOST_AUTO_TEST_CASE(entries_outlast_wider_rows) {
    for (const HashFunction hash : hash_functions) {
        Model model(hash);
        for (std::uint32_t bits = 10; bits < 31; ++bits) {
            REQUIRE_QUIETLY(model.reserve(model.size() + 3, (std::size_t{1} << bits) + 1));
            model.compare(100);
            for (std::uint32_t i = 0; i < 3; ++i) model.insert(3 * bits + i, (Row{1} << bits) - i);
            model.compare(100);
        }
    }
}

// Once rows need more bits with every doubling, homes and tags tell as many bits of the hashes as more entries need.
BOOST_AUTO_TEST_CASE(a_large_index_grows_without_asking_for_hashes) {
    Model model(hash_functions[0]);
    constexpr std::uint32_t keys = 110'000;  // of 262,144 entries
    constexpr std::uint32_t large = 26'624;  // of 32,768
    for (std::uint32_t key = 0; key < keys; ++key) {
        const std::size_t asked = model.asked();
        REQUIRE_QUIETLY(model.reserve(key + 1, key + 1));
        if (key > large) REQUIRE_EQUAL_QUIETLY(model.asked(), asked);
        model.insert(key, key);
    }
    for (std::uint32_t key = 0; key < keys; ++key) REQUIRE_EQUAL_QUIETLY(model.find(key), key);
    BOOST_CHECK_EQUAL(model.find(keys), no_row);
}

// Entries of one home are passed with distances that no longer fit into an entry.
BOOST_AUTO_TEST_CASE(distances_too_long_for_a_slot_are_found_and_shrink_again) {
    for (const std::uint32_t rows : {1000u, (1u << 28) - 1, INT32_MAX + 0u}) {
        for (const HashFunction hash : {hash_functions[1], hash_functions[2], hash_functions[6]}) {
            Model model(hash);
            for (std::uint32_t key = 0; key < 100; ++key) {
                REQUIRE_QUIETLY(model.reserve(key + 1, rows));
                model.insert(key, key);
                model.compare(100);
            }
            for (std::uint32_t key = 0; key < 100; ++key) {
                model.erase(key * 37 % 100);
                model.compare(100);
            }
        }
    }
}

// Entries that shared a home may then lie far apart, in any order, and with places between them.
BOOST_AUTO_TEST_CASE(an_index_grows_by_any_number_of_doublings_at_once) {
    for (const HashFunction hash : hash_functions) {
        for (const std::uint32_t count : {1u, 13u, 100u, 800u}) {
            for (const std::uint32_t wanted : {2 * count, 4 * count, 7 * count, 60 * count}) {
                Model model(hash);
                REQUIRE_QUIETLY(model.reserve(count, count));
                for (std::uint32_t key = 0; key < count && key < 200; ++key) model.insert(key, key);
                REQUIRE_QUIETLY(model.reserve(wanted, 3 * wanted));
                model.compare(std::min(count, 200u) + 10);
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(reserved_inserts_do_not_allocate) {
    for (const std::uint32_t count : {1u, 13u, 14u, 26u, 27u, 1000u, 3328u, 3329u}) {
        Model model(hash_functions[0]);
        REQUIRE_QUIETLY(model.reserve(count, count));
        for (std::uint32_t key = 0; key < count; ++key) {
            const std::size_t before = allocations();
            REQUIRE_QUIETLY(model.reserve(model.size() + 1, count));
            REQUIRE_EQUAL_QUIETLY(allocations(), before);
            model.insert(key, key);
        }
        model.compare(count);
    }
}

BOOST_AUTO_TEST_CASE(room_ends_with_thirteen_of_sixteen_slots_and_with_the_bits_of_rows) {
    Model model(hash_functions[0]);
    BOOST_CHECK(!model.has_room(1, 1));
    REQUIRE_QUIETLY(model.reserve(1, 1));
    BOOST_CHECK(model.has_room(13, 1));
    BOOST_CHECK(!model.has_room(14, 1));
    BOOST_CHECK(model.has_room(13, 30'000));
    BOOST_CHECK(!model.has_room(13, 40'000));
    REQUIRE_QUIETLY(model.reserve(14, 40'000));
    BOOST_CHECK(model.has_room(26, 40'000));
    BOOST_CHECK(!model.has_room(27, 40'000));
}

BOOST_AUTO_TEST_CASE(a_failed_allocation_changes_nothing) {
    Model model(hash_functions[0]);
    {
        const FailingAllocation failing(0);
        BOOST_CHECK(!model.reserve(1, 1));
    }
    REQUIRE_QUIETLY(model.reserve(13, 13));
    for (std::uint32_t key = 0; key < 13; ++key) model.insert(key, key);
    for (const std::size_t rows : {std::size_t{14}, std::size_t{1} << 20}) {
        const FailingAllocation failing(0);
        BOOST_CHECK(!model.reserve(14, rows));
    }
    model.compare(20);
    BOOST_CHECK(model.reserve(14, std::size_t{1} << 20));
    model.compare(20);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
