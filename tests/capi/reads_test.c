/* Records, owners and numbers. */
#include "check.h"

/* An app with two types and two processes with CPU, at 0. */
static gw_manager* filled(void) {
    gw_manager* const manager = make_manager();
    gw_caller caller = trusted(7, 70);
    gw_request request = timed(GW_TYPE_GPS, 100);
    caller.bundle = gw_text_of("maps");
    request.reason = gw_text_of("navigation");
    CHECK_EQUAL(gw_perform(manager, &caller, &request, 0, NULL), GW_OK);
    request.mask = GW_TYPE_TIMER;
    request.is_persist = 1;
    CHECK_EQUAL(gw_perform(manager, &caller, &request, 0, NULL), GW_OK);
    request.mask = GW_TYPE_CPU;
    request.is_process = 1;
    CHECK_EQUAL(gw_perform(manager, &caller, &request, 0, NULL), GW_OK);
    caller.pid = 71;
    CHECK_EQUAL(gw_perform(manager, &caller, &request, 0, NULL), GW_OK);
    return manager;
}

/* What a newer header might have. */
typedef struct newer_record {
    gw_record known;
    uint64_t more;
} newer_record;

TEST(a_record_tells_all_that_is_held) {
    gw_manager* const manager = filled();
    newer_record room;
    memset(&room, 0x77, sizeof room);
    room.known.size = sizeof room;
    CHECK_EQUAL(gw_find(manager, app(7), 10, &room.known), GW_OK);
    const gw_record* const record = &room.known;
    CHECK_EQUAL(record->size, sizeof room);
    CHECK_EQUAL(record->owner.kind, GW_OWNER_APP);
    CHECK_EQUAL(record->owner.key, 7);
    CHECK_EQUAL(record->uid, 7);
    CHECK_EQUAL(record->pid, 70);
    CHECK_EQUAL(record->mask, GW_TYPE_GPS | GW_TYPE_TIMER);
    CHECK_EQUAL(record->cpu_level, GW_LEVEL_DEFAULT);
    CHECK_EQUAL(record->grant_count, 2);
    CHECK_TEXT(record->bundle, "maps");
    CHECK_EQUAL(record->grants[0].type, GW_TYPE_TIMER);
    CHECK_EQUAL(record->grants[0].is_persist, 1);
    CHECK(record->grants[0].deadline == GW_NO_DEADLINE);
    CHECK_EQUAL(record->grants[1].type, GW_TYPE_GPS);
    CHECK_EQUAL(record->grants[1].is_persist, 0);
    CHECK_EQUAL(record->grants[1].deadline, 100);
    CHECK_EQUAL(record->grants[1].timeout_ms, 100);
    CHECK_TEXT(record->grants[1].reason, "navigation");
    CHECK_EQUAL(room.more, 0x7777777777777777);
    CHECK_EQUAL(gw_find(manager, app(8), 10, &room.known), GW_OK);
    CHECK_EQUAL(room.known.mask, 0);
    CHECK_EQUAL(room.known.grant_count, 0);
    gw_destroy(manager);
}

TEST(owners_come_by_pages) {
    gw_manager* const manager = filled();
    gw_owner owners[2];
    size_t count = 0;
    CHECK_EQUAL(gw_owners(manager, GW_TYPE_ALL, NULL, 10, owners, 2, &count), GW_OK);
    CHECK_EQUAL(count, 2);
    CHECK_EQUAL(owners[0].kind, GW_OWNER_APP);
    CHECK_EQUAL(owners[0].key, 7);
    CHECK_EQUAL(owners[1].kind, GW_OWNER_PROCESS);
    CHECK_EQUAL(owners[1].key, 70);
    CHECK_EQUAL(gw_owners(manager, GW_TYPE_ALL, &owners[1], 10, owners, 2, &count), GW_OK);
    CHECK_EQUAL(count, 1);
    CHECK_EQUAL(owners[0].key, 71);
    CHECK_EQUAL(gw_owners(manager, GW_TYPE_ALL, NULL, 10, NULL, 0, &count), GW_OK);
    CHECK_EQUAL(count, 0);
    CHECK_EQUAL(gw_owners(manager, GW_TYPE_SENSOR, NULL, 10, owners, SIZE_MAX, &count), GW_OK);
    CHECK_EQUAL(count, 0);
    gw_destroy(manager);
}

TEST(the_owners_of_a_uid_are_its_app_and_its_processes) {
    gw_manager* const manager = filled();
    gw_owner owners[8];
    size_t total = 0;
    CHECK_EQUAL(gw_owners_of(manager, 7, 10, NULL, 0, &total), GW_OK);
    CHECK_EQUAL(total, 3);
    CHECK_EQUAL(gw_owners_of(manager, 7, 10, owners, 2, &total), GW_OK);
    CHECK_EQUAL(total, 3);
    CHECK_EQUAL(owners[1].key, 70);
    CHECK_EQUAL(gw_owners_of(manager, 7, 10, owners, 8, &total), GW_OK);
    CHECK_EQUAL(total, 3);
    CHECK_EQUAL(owners[2].kind, GW_OWNER_PROCESS);
    CHECK_EQUAL(owners[2].key, 71);
    CHECK_EQUAL(gw_owners_of(manager, 8, 10, owners, 8, &total), GW_OK);
    CHECK_EQUAL(total, 0);
    gw_destroy(manager);
}

TEST(a_listing_at_a_bad_instant_writes_nothing) {
    gw_manager* const manager = filled();
    gw_owner owners[2] = {{5, 55}, {6, 66}};
    size_t count = 9;
    CHECK_EQUAL(gw_advance(manager, 10, GW_NO_BUDGET, NULL, NULL), GW_OK);
    CHECK_EQUAL(gw_owners(manager, GW_TYPE_ALL, NULL, 9, owners, 2, &count), GW_TIME_BACKWARDS);
    CHECK_EQUAL(gw_owners_of(manager, 7, 9, owners, 2, &count), GW_TIME_BACKWARDS);
    CHECK_EQUAL(gw_count(manager, GW_TYPE_CPU, 9, &count), GW_TIME_BACKWARDS);
    CHECK_EQUAL(count, 9);
    CHECK_EQUAL(owners[0].kind, 5);
    CHECK_EQUAL(owners[1].key, 66);
    gw_destroy(manager);
}

TEST(numbers_add_up) {
    gw_manager* const manager = filled();
    size_t count = 0;
    CHECK_EQUAL(gw_count(manager, GW_TYPE_CPU, 10, &count), GW_OK);
    CHECK_EQUAL(count, 2);
    CHECK(gw_most_owners(manager, GW_TYPE_CPU) >= 2);
    CHECK_EQUAL(gw_most_owners(manager, GW_TYPE_SENSOR), 0);
    gw_stats stats;
    stats.size = sizeof stats;
    CHECK_EQUAL(gw_get_stats(manager, 200, &stats), GW_OK);
    CHECK_EQUAL(stats.app_records, 1);
    CHECK_EQUAL(stats.process_records, 2);
    CHECK_EQUAL(stats.app_grants[2], 1); /* TIMER */
    CHECK_EQUAL(stats.app_grants[5], 0); /* GPS has run out */
    CHECK_EQUAL(stats.process_grants[0], 2);
    CHECK_EQUAL(stats.granted, 4);
    CHECK_EQUAL(stats.ended[GW_CAUSE_EXPIRED], 1);
    CHECK_EQUAL(stats.strings, 2);
    CHECK_EQUAL(stats.last_sequence, 5);
    CHECK(gw_validate(manager) == NULL);
    gw_destroy(manager);
}

TEST(places_after_the_owners_found_stay_untouched) {
    gw_manager* const manager = make_manager();
    for (uint32_t uid = 1; uid <= 3; ++uid) CHECK_EQUAL(apply(manager, uid, GW_TYPE_GPS, 10, 0), GW_OK);
    gw_owner owners[3], before[3];
    memset(before, 0xA5, sizeof before);
    memcpy(owners, before, sizeof owners);
    size_t count = 0;
    CHECK_EQUAL(gw_owners_of(manager, 2, 0, owners, 3, &count), GW_OK);
    CHECK_EQUAL(count, 1);
    CHECK(owners[0].kind == GW_OWNER_APP && owners[0].key == 2);
    CHECK(memcmp(owners + 1, before, 2 * sizeof *owners) == 0);
    memcpy(owners, before, sizeof owners);
    const gw_owner after = app(2);
    CHECK_EQUAL(gw_owners(manager, GW_TYPE_ALL, &after, 0, owners, 3, &count), GW_OK);
    CHECK_EQUAL(count, 1);
    CHECK(owners[0].kind == GW_OWNER_APP && owners[0].key == 3);
    CHECK(memcmp(owners + 1, before, 2 * sizeof *owners) == 0);
    memcpy(owners, before, sizeof owners);
    CHECK_EQUAL(gw_owners_of(manager, 2, UINT64_MAX, owners, 3, &count), GW_TIME_OUT_OF_RANGE);
    CHECK(memcmp(owners, before, sizeof owners) == 0);
    gw_destroy(manager);
}
