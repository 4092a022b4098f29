#include "core/block.hpp"

#include <cstring>
#include <map>

#include "allocations.hpp"
#include "core/array.hpp"
#include "support.hpp"

namespace grantwheel::test {

namespace {

// A source of blocks that remembers which it has given.
struct Source {
    static inline std::map<void*, std::size_t> taken{};
    static inline std::size_t takes = 0;
    static inline bool is_empty = false;

    static void* take(std::size_t bytes) noexcept {
        if (is_empty) return nullptr;
        ++takes;
        void* const block = ::operator new(bytes, std::align_val_t{4096}, std::nothrow);
        taken.emplace(block, bytes);
        return block;
    }
    static void give(void* block, std::size_t bytes) noexcept {
        const auto found = taken.find(block);
        BOOST_CHECK(found != taken.end());
        if (found == taken.end()) return;
        BOOST_CHECK_EQUAL(found->second, bytes);
        taken.erase(found);
        ::operator delete(block, std::align_val_t{4096});
    }
};

// While it lives, large blocks come from `Source`.
struct WithSource {
    WithSource() {
        Source::takes = 0;
        Source::is_empty = false;
        set_block_source({Source::take, Source::give});
    }
    ~WithSource() {
        set_block_source({nullptr, nullptr});
        BOOST_CHECK(Source::taken.empty());
    }
    WithSource(const WithSource&) = delete;
    WithSource& operator=(const WithSource&) = delete;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(block)

BOOST_AUTO_TEST_CASE(blocks_are_aligned_to_cache_lines) {
    for (const Backing backing : {Backing::ordinary, Backing::large}) {
        for (const std::size_t bytes : {std::size_t{1}, std::size_t{64}, std::size_t{1000}, std::size_t{3} << 20}) {
            void* const block = allocate_block(bytes, backing);
            REQUIRE_QUIETLY(block != nullptr);
            BOOST_CHECK_EQUAL(reinterpret_cast<std::uintptr_t>(block) % 64, 0u);
            std::memset(block, 1, bytes);
            free_block(block, bytes, backing);
        }
        free_block(nullptr, 0, backing);
    }
}

BOOST_AUTO_TEST_CASE(without_memory_there_is_no_block) {
    const FailingAllocation failing(0);
    BOOST_CHECK(allocate_block(100, Backing::ordinary) == nullptr);
    BOOST_CHECK(FailingAllocation::happened());
}

BOOST_AUTO_TEST_CASE(large_blocks_come_from_the_source_of_the_host_and_go_back_to_it) {
    const WithSource source;
    void* const ordinary = allocate_block(100, Backing::ordinary);
    BOOST_CHECK_EQUAL(Source::takes, 0u);
    void* const large = allocate_block(100, Backing::large);
    BOOST_CHECK_EQUAL(Source::takes, 1u);
    BOOST_CHECK(Source::taken.contains(large));
    free_block(ordinary, 100, Backing::ordinary);
    free_block(large, 100, Backing::large);
    free_block(nullptr, 100, Backing::large);
}

BOOST_AUTO_TEST_CASE(an_array_that_grows_large_moves_to_the_source) {
    const WithSource source;
    Array<char> values;
    std::size_t size = 1;
    for (; Source::takes < 3; size *= 2) {
        REQUIRE_QUIETLY(size < std::size_t{1} << 28);
        REQUIRE_QUIETLY(values.resize(size, static_cast<char>(size % 127)));
    }
    BOOST_CHECK_EQUAL(Source::taken.size(), 1u);
    for (std::size_t i = 1; i < size / 2; i *= 2) {
        REQUIRE_EQUAL_QUIETLY(values[i], static_cast<char>(2 * i % 127));
    }
    Source::is_empty = true;
    BOOST_CHECK(!values.reserve(size));
    BOOST_CHECK_EQUAL(values.size(), size / 2);
}

BOOST_AUTO_TEST_CASE(an_engine_grows_with_a_source_and_refuses_when_it_is_empty) {
    const WithSource source;
    Host host({.event_capacity = 8});
    std::uint32_t uid = 0;
    const auto add = [&] {
        const Status status = host->execute({.mask = GPS, .uid = uid, .timeout_ms = 10}, 0).status;
        if (status == Status::ok) ++uid;
        return status;
    };
    while (Source::takes == 0) REQUIRE_QUIETLY(add() == Status::ok);
    Source::is_empty = true;
    while (add() == Status::ok) REQUIRE_QUIETLY(uid < 10'000'000u);
    check_valid(*host);
    Source::is_empty = false;
    BOOST_CHECK(add() == Status::ok);
    BOOST_CHECK_EQUAL(host.advance(10), uid);
    BOOST_CHECK_EQUAL(host.stats(10).app_records, 0u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
