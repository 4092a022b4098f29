/* Batches: the results of as many calls. */
#include "check.h"

enum { COUNT = 100 };

TEST(a_batch_is_as_many_calls) {
    gw_manager* const together = make_manager();
    gw_manager* const apart = make_manager();
    uint32_t uids[COUNT], pids[COUNT], masks[COUNT], timeouts[COUNT];
    gw_result results[COUNT];
    for (uint32_t i = 0; i < COUNT; ++i) {
        uids[i] = i % 37 == 36 ? UINT32_MAX : i % 37;
        pids[i] = i % 41 == 40 ? UINT32_C(1) << 31 : i;
        masks[i] = (i * 7) % 530; /* 0 and some beyond 511 among them */
        timeouts[i] = i % 11;     /* 0 among them */
    }
    CHECK_EQUAL(gw_apply_many(together, COUNT, uids, pids, masks, timeouts, 5, results), GW_OK);
    for (uint32_t i = 0; i < COUNT; ++i) {
        gw_caller caller;
        caller.size = sizeof caller;
        CHECK_EQUAL(gw_caller_of(apart, uids[i], pids[i], &caller), GW_OK);
        const gw_request request = timed(masks[i], timeouts[i]);
        uint32_t mask = 0;
        CHECK_EQUAL(results[i].status, gw_perform(apart, &caller, &request, 5, &mask));
        CHECK_EQUAL(results[i].mask, mask);
    }
    CHECK_EQUAL(gw_app_masks(together, COUNT, uids, 9, results), GW_OK);
    for (uint32_t i = 0; i < COUNT; ++i) CHECK_EQUAL(results[i].mask, held(apart, uids[i], 9));
    CHECK_EQUAL(gw_release_many(together, COUNT, uids, pids, masks, 9, results), GW_OK);
    for (uint32_t i = 0; i < COUNT; ++i) {
        gw_caller caller;
        caller.size = sizeof caller;
        CHECK_EQUAL(gw_caller_of(apart, uids[i], pids[i], &caller), GW_OK);
        gw_request request = timed(masks[i], 0);
        request.is_apply = 0;
        uint32_t mask = 0;
        CHECK_EQUAL(results[i].status, gw_perform(apart, &caller, &request, 9, &mask));
        CHECK_EQUAL(results[i].mask, mask);
    }
    CHECK_EQUAL(gw_last_sequence(together), gw_last_sequence(apart));
    CHECK(gw_validate(together) == NULL);
    gw_destroy(together);
    gw_destroy(apart);
}

TEST(a_batch_at_a_bad_instant_is_refused_whole) {
    gw_manager* const manager = make_manager();
    const uint32_t one = 1;
    gw_result result = {GW_NOT_READY, 99};
    CHECK_EQUAL(apply(manager, 1, GW_TYPE_GPS, 10, 10), GW_OK);
    CHECK_EQUAL(gw_apply_many(manager, 1, &one, &one, &one, &one, 9, &result), GW_TIME_BACKWARDS);
    CHECK_EQUAL(gw_release_many(manager, 1, &one, &one, &one, 9, &result), GW_TIME_BACKWARDS);
    CHECK_EQUAL(gw_app_masks(manager, 1, &one, 9, &result), GW_TIME_BACKWARDS);
    CHECK_EQUAL(result.mask, 99);
    gw_destroy(manager);
}

TEST(an_empty_batch_needs_no_columns) {
    gw_manager* const manager = make_manager();
    CHECK_EQUAL(gw_apply_many(manager, 0, NULL, NULL, NULL, NULL, 0, NULL), GW_OK);
    CHECK_EQUAL(gw_release_many(manager, 0, NULL, NULL, NULL, 0, NULL), GW_OK);
    CHECK_EQUAL(gw_app_masks(manager, 0, NULL, 0, NULL), GW_OK);
    gw_destroy(manager);
}
