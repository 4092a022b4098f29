#include "core/events.hpp"

#include <deque>

#include "allocations.hpp"
#include "core/strings.hpp"
#include "support.hpp"

namespace grantwheel::test {

namespace {

StoredEvent numbered(std::uint32_t number) {
    return {number, number, 0, number, 1, StoredEvent::pack(EventKind::app_apply, Cause::apply), default_level};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(events)

BOOST_AUTO_TEST_CASE(numbers_start_at_one) {
    Events ring;
    REQUIRE_QUIETLY(ring.open(4));
    BOOST_CHECK_EQUAL(ring.last(), 0u);
    BOOST_CHECK_EQUAL(ring.first(), 1u);
    ring.add() = numbered(7);
    BOOST_CHECK_EQUAL(ring.last(), 1u);
    BOOST_CHECK_EQUAL(ring.first(), 1u);
    BOOST_CHECK_EQUAL(ring.at(1).uid, 7u);
}

BOOST_AUTO_TEST_CASE(keeps_the_last_ones_and_shows_the_bundle_of_what_it_overwrites) {
    for (const std::uint32_t capacity : {1u, 2u, 3u, 4u, 5u, 64u, 100u}) {
        Events ring;
        REQUIRE_QUIETLY(ring.open(capacity));
        for (std::uint32_t number = 1; number <= 3 * capacity + 2; ++number) {
            StoredEvent& event = ring.add();
            REQUIRE_EQUAL_QUIETLY(event.bundle, number > capacity ? number - capacity : Strings::empty);
            event = numbered(number);
            REQUIRE_EQUAL_QUIETLY(ring.last(), number);
            REQUIRE_EQUAL_QUIETLY(ring.first(), number > capacity ? number - capacity + 1 : 1);
            for (std::uint64_t sequence = ring.first(); sequence <= ring.last(); ++sequence) {
                REQUIRE_EQUAL_QUIETLY(ring.at(sequence).uid, sequence);
                REQUIRE_EQUAL_QUIETLY(ring.at(sequence).time, sequence);
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(every_kind_and_cause_can_be_kept) {
    for (unsigned kind = 0; kind < 4; ++kind) {
        for (unsigned cause = 0; cause < cause_count; ++cause) {
            StoredEvent event{};
            event.kind_and_cause = StoredEvent::pack(static_cast<EventKind>(kind), static_cast<Cause>(cause));
            BOOST_CHECK(event.kind() == static_cast<EventKind>(kind));
            BOOST_CHECK(event.cause() == static_cast<Cause>(cause));
        }
    }
}

BOOST_AUTO_TEST_CASE(takes_its_memory_once) {
    Events ring;
    REQUIRE_QUIETLY(ring.open(3));
    const std::size_t before = allocations();
    for (std::uint32_t number = 1; number < 20; ++number) ring.add() = numbered(number);
    BOOST_CHECK_EQUAL(allocations(), before);
}

BOOST_AUTO_TEST_CASE(without_memory_it_does_not_open) {
    Events ring;
    const FailingAllocation failing(0);
    BOOST_CHECK(!ring.open(3));
    BOOST_CHECK(FailingAllocation::happened());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
