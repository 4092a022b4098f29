/* Events and time. */
#include "check.h"

TEST(events_are_read_by_number) {
    gw_manager* const manager = make_manager();
    gw_caller caller = trusted(3, 4);
    gw_request request = timed(GW_TYPE_CPU, 10);
    caller.bundle = gw_text_of("mail");
    CHECK_EQUAL(gw_perform(manager, &caller, &request, 5, NULL), GW_OK);
    size_t ended = 0;
    uint8_t more = 9;
    CHECK_EQUAL(gw_advance(manager, 100, GW_NO_BUDGET, &ended, &more), GW_OK);
    CHECK_EQUAL(ended, 1);
    CHECK_EQUAL(more, 0);
    gw_event events[4];
    memset(events, 0x77, sizeof events);
    events[0].size = sizeof events[0];
    size_t count = 0;
    uint64_t missed = 9;
    CHECK_EQUAL(gw_read(manager, 0, events, 4, &count, &missed), GW_OK);
    CHECK_EQUAL(count, 2);
    CHECK_EQUAL(missed, 0);
    CHECK_EQUAL(events[0].kind, GW_EVENT_APP_APPLY);
    CHECK_EQUAL(events[0].cause, GW_CAUSE_APPLY);
    CHECK_EQUAL(events[0].sequence, 1);
    CHECK_EQUAL(events[0].time, 5);
    CHECK_EQUAL(events[1].size, sizeof events[1]);
    CHECK_EQUAL(events[1].kind, GW_EVENT_APP_RESET);
    CHECK_EQUAL(events[1].cause, GW_CAUSE_EXPIRED);
    CHECK_EQUAL(events[1].sequence, 2);
    CHECK_EQUAL(events[1].time, 15);
    CHECK_EQUAL(events[1].uid, 3);
    CHECK_EQUAL(events[1].pid, 4);
    CHECK_EQUAL(events[1].mask, GW_TYPE_CPU);
    CHECK_EQUAL(events[1].cpu_level, GW_LEVEL_DEFAULT);
    CHECK_TEXT(events[1].bundle, "mail");
    CHECK_EQUAL(events[2].size, 0x77777777);
    CHECK_EQUAL(gw_read(manager, 2, events, 4, &count, NULL), GW_OK);
    CHECK_EQUAL(count, 0);
    CHECK_EQUAL(gw_read(manager, UINT64_MAX, events, 4, &count, NULL), GW_OK);
    CHECK_EQUAL(count, 0);
    CHECK_EQUAL(gw_first_sequence(manager), 1);
    CHECK_EQUAL(gw_last_sequence(manager), 2);
    gw_destroy(manager);
}

/* What a newer header might have. */
typedef struct newer_event {
    gw_event known;
    uint64_t more;
} newer_event;

TEST(the_size_of_the_first_event_is_the_stride) {
    gw_manager* const manager = make_manager();
    for (int64_t uid = 0; uid < 40; ++uid) CHECK_EQUAL(apply(manager, uid, GW_TYPE_GPS, 10, 0), GW_OK);
    newer_event events[40];
    memset(events, 0x77, sizeof events);
    events[0].known.size = sizeof events[0];
    size_t count = 0;
    CHECK_EQUAL(gw_read(manager, 0, &events[0].known, 40, &count, NULL), GW_OK);
    CHECK_EQUAL(count, 40);
    for (size_t i = 0; i < 40; ++i) {
        CHECK_EQUAL(events[i].known.sequence, i + 1);
        CHECK_EQUAL(events[i].known.uid, i);
        CHECK_EQUAL(events[i].known.size, sizeof(newer_event));
        CHECK_EQUAL(events[i].more, 0x7777777777777777);
    }
    events[0].known.size = sizeof(gw_event) + 4;
    CHECK_EQUAL(gw_read(manager, 0, &events[0].known, 40, &count, NULL), GW_ARGUMENT_INVALID);
    gw_destroy(manager);
}

TEST(a_reader_that_is_late_is_told_how_many_it_missed) {
    gw_limits limits = GW_LIMITS_INIT;
    gw_manager* manager = NULL;
    limits.event_capacity = 20;
    CHECK_EQUAL(gw_create(&limits, &manager), GW_OK);
    for (int64_t uid = 0; uid < 50; ++uid) CHECK_EQUAL(apply(manager, uid, GW_TYPE_GPS, 10, 0), GW_OK);
    gw_event events[20];
    events[0].size = sizeof events[0];
    size_t count = 9;
    uint64_t missed = 0;
    CHECK_EQUAL(gw_read(manager, 4, NULL, 0, &count, &missed), GW_OK);
    CHECK_EQUAL(count, 0);
    CHECK_EQUAL(missed, 26);
    CHECK_EQUAL(gw_read(manager, 4, events, 20, &count, &missed), GW_OK);
    CHECK_EQUAL(count, 20);
    CHECK_EQUAL(missed, 26);
    CHECK_EQUAL(events[0].sequence, 31);
    CHECK_EQUAL(events[19].sequence, 50);
    gw_destroy(manager);
}

TEST(a_driver_knows_when_to_wake) {
    gw_manager* const manager = make_manager();
    uint64_t deadline = 0;
    CHECK(gw_wake_at(manager) == GW_NO_DEADLINE);
    CHECK_EQUAL(gw_next_deadline(manager, 0, &deadline), GW_OK);
    CHECK(deadline == GW_NO_DEADLINE);
    CHECK_EQUAL(apply(manager, 1, GW_TYPE_GPS, 1000, 0), GW_OK);
    CHECK_EQUAL(apply(manager, 2, GW_TYPE_GPS, 2000, 0), GW_OK);
    CHECK(gw_wake_at(manager) <= 1000);
    CHECK_EQUAL(gw_next_deadline(manager, 0, &deadline), GW_OK);
    CHECK_EQUAL(deadline, 1000);
    uint8_t more = 0;
    CHECK_EQUAL(gw_advance(manager, 5000, 1, NULL, &more), GW_OK);
    CHECK_EQUAL(more, 1);
    CHECK(gw_wake_at(manager) <= 5000);
    CHECK_EQUAL(gw_advance(manager, 5000, GW_NO_BUDGET, NULL, &more), GW_OK);
    CHECK_EQUAL(more, 0);
    CHECK(gw_wake_at(manager) == GW_NO_DEADLINE);
    gw_destroy(manager);
}
