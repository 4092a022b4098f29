#include "core/index.hpp"

#include <algorithm>
#include <array>
#include <unordered_map>

#include "allocations.hpp"
#include "support.hpp"

namespace grantwheel::test {

namespace {

// An entry whose hash is chosen by the test, so that it can decide which keys collide.
struct TestEntry {
    std::uint32_t key = 0;
    std::uint32_t stored_hash = 0;
    std::uint32_t value = 0;
    bool is_used = false;
    [[nodiscard]] bool used() const noexcept { return is_used; }
    [[nodiscard]] std::uint32_t hash() const noexcept { return stored_hash; }
};

using TestIndex = Index<TestEntry>;
using HashFunction = std::uint32_t (*)(std::uint32_t key);

TestEntry* find(TestIndex& index, std::uint32_t hash, std::uint32_t key) {
    return index.find(hash, [&](const TestEntry& entry) { return entry.key == key; });
}

// Every entry must be reached from its home without passing an unused one, and at most three quarters may be used.
void check_probes(const TestIndex& index) {
    const auto& entries = index.entries();
    const std::size_t capacity = entries.size();
    REQUIRE_QUIETLY(std::has_single_bit(capacity));
    std::size_t used = 0;
    for (std::size_t i = 0; i < capacity; ++i) {
        if (!entries[i].used()) continue;
        ++used;
        const auto bits = static_cast<unsigned>(std::countr_zero(capacity));
        for (std::size_t home = entries[i].hash() >> (32u - bits); home != i; home = (home + 1) % capacity) {
            if (!entries[home].used()) BOOST_FAIL("an entry is cut off from its home");
        }
    }
    REQUIRE_EQUAL_QUIETLY(used, index.count());
    REQUIRE_QUIETLY(used * 4 <= capacity * 3);
}

void compare(TestIndex& index, const std::unordered_map<std::uint32_t, std::uint32_t>& model, HashFunction hash,
             std::uint32_t keys) {
    REQUIRE_EQUAL_QUIETLY(index.count(), model.size());
    for (std::uint32_t key = 0; key < keys; ++key) {
        const TestEntry* entry = find(index, hash(key), key);
        const auto known = model.find(key);
        if ((entry != nullptr) != (known != model.end())) BOOST_FAIL("key " << key << " is there in one of both only");
        if (entry != nullptr && entry->value != known->second) BOOST_FAIL("key " << key << " has another value");
    }
}

// Random inserts and erases; the number of keys held goes up and down.
void run(std::uint64_t seed, std::uint32_t keys, int steps, HashFunction hash) {
    Random random(seed);
    TestIndex index;
    std::unordered_map<std::uint32_t, std::uint32_t> model;
    for (int step = 0; step < steps; ++step) {
        const std::uint32_t key = random.below32(keys);
        const bool grows = step / 200 % 2 == 0;
        TestEntry* entry = find(index, hash(key), key);
        if ((entry != nullptr) != model.contains(key)) BOOST_FAIL("key " << key << " at step " << step);
        if (entry == nullptr && (grows || random.one_in(3))) {
            REQUIRE_QUIETLY(index.reserve(index.count() + 1));
            const auto value = static_cast<std::uint32_t>(step);
            entry = index.insert({key, hash(key), value, true});
            if (entry->key != key || entry->value != value) BOOST_FAIL("insert answers another entry");
            model.emplace(key, value);
        } else if (entry != nullptr && (!grows || random.one_in(3))) {
            index.erase(entry);
            model.erase(key);
        }
        if (step % 16 == 0 && index.entries().size() != 0) check_probes(index);
        if (step % 64 == 0) compare(index, model, hash, keys);
    }
    compare(index, model, hash, keys);
    while (!model.empty()) {
        const std::uint32_t key = model.begin()->first;
        index.erase(find(index, hash(key), key));
        model.erase(key);
        check_probes(index);
    }
    const auto& entries = index.entries();
    BOOST_CHECK(std::none_of(entries.begin(), entries.end(), [](const TestEntry& entry) { return entry.used(); }));
}

constexpr std::array<HashFunction, 6> hash_functions{
    [](std::uint32_t key) { return mixed(key); },                      // well mixed
    [](std::uint32_t) { return 0u; },                                  // all collide at the first entry
    [](std::uint32_t) { return UINT32_MAX; },                          // all collide at the last entry and wrap around
    [](std::uint32_t key) { return UINT32_MAX - (key % 3 << 27); },    // three homes close to the end
    [](std::uint32_t key) { return key << 24; },                       // runs of neighbours
    [](std::uint32_t key) { return key % 2 == 0 ? 0u : UINT32_MAX; },  // first and last entry
};

}  // namespace

BOOST_AUTO_TEST_SUITE(index)

BOOST_AUTO_TEST_CASE(an_empty_index_finds_nothing) {
    TestIndex index;
    BOOST_CHECK(find(index, 0, 0) == nullptr);
    BOOST_CHECK(find(index, UINT32_MAX, 0) == nullptr);
    BOOST_CHECK_EQUAL(index.count(), 0u);
    BOOST_CHECK_EQUAL(index.entries().size(), 0u);
}

BOOST_AUTO_TEST_CASE(agrees_with_a_map_for_every_kind_of_hash) {
    for (std::size_t kind = 0; kind < hash_functions.size(); ++kind) {
        for (const std::uint64_t seed : {11u, 12u}) {
            BOOST_TEST_CONTEXT("seed " << seed << ", hash function " << kind) {
                run(seed, 8, 600, hash_functions[kind]);
                run(seed, 40, 1200, hash_functions[kind]);
            }
        }
    }
    BOOST_TEST_CONTEXT("seed 13, many keys") { run(13, 5000, 20'000, hash_functions[0]); }
}

BOOST_AUTO_TEST_CASE(erase_at_the_end_moves_slots_back_over_the_wrap) {
    TestIndex index;
    REQUIRE_QUIETLY(index.reserve(5));
    REQUIRE_EQUAL_QUIETLY(index.entries().size(), 16u);
    for (std::uint32_t key = 0; key < 4; ++key) index.insert({key, UINT32_MAX, key, true});
    index.insert({4, 0, 4, true});  // its home is taken by what wrapped around
    BOOST_CHECK_EQUAL(index.entries()[15].key, 0u);
    BOOST_CHECK_EQUAL(index.entries()[3].key, 4u);
    index.erase(find(index, UINT32_MAX, 0));
    BOOST_CHECK_EQUAL(index.entries()[15].key, 1u);
    BOOST_CHECK_EQUAL(index.entries()[2].key, 4u);
    BOOST_CHECK(!index.entries()[3].used());
    for (const std::uint32_t key : {1u, 2u, 3u}) BOOST_CHECK(find(index, UINT32_MAX, key) != nullptr);
}

BOOST_AUTO_TEST_CASE(a_slot_at_home_is_not_moved_before_its_home) {
    TestIndex index;
    REQUIRE_QUIETLY(index.reserve(2));
    REQUIRE_EQUAL_QUIETLY(index.entries().size(), 16u);
    index.insert({1, 0x2000'0000u, 0, true});
    index.insert({2, 0x3000'0000u, 0, true});
    index.erase(find(index, 0x2000'0000u, 1));
    BOOST_CHECK(!index.entries()[2].used());
    BOOST_CHECK_EQUAL(index.entries()[3].key, 2u);
}

BOOST_AUTO_TEST_CASE(reserved_inserts_do_not_allocate) {
    for (const std::size_t count : {1u, 12u, 13u, 24u, 25u, 1000u, 3072u, 3073u}) {
        TestIndex index;
        REQUIRE_QUIETLY(index.reserve(count));
        const std::size_t before = allocations();
        for (std::uint32_t key = 0; key < count; ++key) {
            REQUIRE_QUIETLY(index.reserve(index.count() + 1));
            index.insert({key, mixed(key), 0, true});
        }
        BOOST_CHECK_EQUAL(allocations(), before);
        check_probes(index);
    }
}

BOOST_AUTO_TEST_CASE(a_failed_allocation_changes_nothing) {
    TestIndex index;
    {
        const FailingAllocation failing(0);
        BOOST_CHECK(!index.reserve(1));
    }
    REQUIRE_QUIETLY(index.reserve(1));
    REQUIRE_QUIETLY(index.reserve(12));
    REQUIRE_EQUAL_QUIETLY(index.entries().size(), 16u);
    for (std::uint32_t key = 0; key < 12; ++key) index.insert({key, mixed(key), key, true});
    {
        const FailingAllocation failing(0);
        BOOST_CHECK(!index.reserve(13));
    }
    BOOST_CHECK_EQUAL(index.count(), 12u);
    for (std::uint32_t key = 0; key < 12; ++key) BOOST_CHECK(find(index, mixed(key), key) != nullptr);
    BOOST_CHECK(index.reserve(13));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
