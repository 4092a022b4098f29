/* Arguments that cannot be: a status, and nothing else. */
#include "check.h"

TEST(a_null_manager_is_refused) {
    const gw_caller caller = trusted(1, 2);
    const gw_request request = timed(GW_TYPE_GPS, 10);
    const uint32_t one = 1;
    gw_command command;
    memset(&command, 0, sizeof command);
    command.size = sizeof command;
    gw_caller room = GW_CALLER_INIT;
    gw_record record;
    record.size = sizeof record;
    gw_stats stats;
    stats.size = sizeof stats;
    gw_event event;
    event.size = sizeof event;
    gw_owner owner;
    gw_result result;
    size_t count = 0;
    uint64_t deadline = 0;
    uint32_t mask = 0;
    const gw_status answers[] = {
        gw_set_policy(NULL, NULL),
        gw_caller_of(NULL, 1, 2, &room),
        gw_set_ready(NULL, 1),
        gw_perform(NULL, &caller, &request, 0, &mask),
        gw_reset_all(NULL, &caller, 0, &mask),
        gw_process_died(NULL, 1, 2, 0, &mask),
        gw_app_stopped(NULL, 1, 0, &mask),
        gw_package_removed(NULL, 1, 0, &mask),
        gw_admin_reset_all(NULL, 0, &mask),
        gw_admin_reset_app(NULL, 1, 1, 0, &mask),
        gw_admin_reset_process(NULL, 1, 1, 0, &mask),
        gw_admit(NULL, &caller, &request, 0, &command),
        gw_admit_reset_all(NULL, &caller, 0, &command),
        gw_admit_process_died(NULL, 1, 2, 0, &command),
        gw_admit_app_stopped(NULL, 1, 0, &command),
        gw_admit_package_removed(NULL, 1, 0, &command),
        gw_admit_admin_reset_all(NULL, 0, &command),
        gw_admit_admin_reset_app(NULL, 1, 1, 0, &command),
        gw_admit_admin_reset_process(NULL, 1, 1, 0, &command),
        gw_execute(NULL, &command, 0, &mask),
        gw_admit_query(NULL, &caller, 0),
        gw_admit_native(NULL, &caller),
        gw_apply_many(NULL, 1, &one, &one, &one, &one, 0, &result),
        gw_release_many(NULL, 1, &one, &one, &one, 0, &result),
        gw_app_masks(NULL, 1, &one, 0, &result),
        gw_advance(NULL, 0, 0, NULL, NULL),
        gw_next_deadline(NULL, 0, &deadline),
        gw_check_time(NULL, 0),
        gw_mask(NULL, app(1), 0, &mask),
        gw_find(NULL, app(1), 0, &record),
        gw_owners_of(NULL, 1, 0, &owner, 1, &count),
        gw_owners(NULL, GW_TYPE_ALL, NULL, 0, &owner, 1, &count),
        gw_count(NULL, GW_TYPE_GPS, 0, &count),
        gw_get_stats(NULL, 0, &stats),
        gw_read(NULL, 0, &event, 1, &count, NULL),
    };
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; ++i) CHECK_EQUAL(answers[i], GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_ready(NULL), 0);
    CHECK_EQUAL(gw_most_owners(NULL, GW_TYPE_ALL), 0);
    CHECK_EQUAL(gw_first_sequence(NULL), 1);
    CHECK_EQUAL(gw_last_sequence(NULL), 0);
    CHECK(gw_wake_at(NULL) == GW_NO_DEADLINE);
    CHECK_EQUAL(gw_now(NULL), 0);
    CHECK(gw_cpu_ended(NULL, &count) == NULL);
    CHECK(gw_validate(NULL) != NULL);
}

TEST(a_pointer_that_is_needed_must_not_be_null) {
    gw_manager* const manager = make_manager();
    const gw_caller caller = trusted(1, 2);
    const gw_request request = timed(GW_TYPE_GPS, 10);
    const uint32_t one = 1;
    gw_command command;
    command.size = sizeof command;
    gw_owner owner;
    gw_result result;
    size_t count = 0;
    const gw_status answers[] = {
        gw_create(NULL, NULL),
        gw_caller_of(manager, 1, 2, NULL),
        gw_perform(manager, NULL, &request, 0, NULL),
        gw_perform(manager, &caller, NULL, 0, NULL),
        gw_reset_all(manager, NULL, 0, NULL),
        gw_admit(manager, NULL, &request, 0, &command),
        gw_admit(manager, &caller, NULL, 0, &command),
        gw_admit(manager, &caller, &request, 0, NULL),
        gw_admit_reset_all(manager, NULL, 0, &command),
        gw_admit_reset_all(manager, &caller, 0, NULL),
        gw_admit_admin_reset_all(manager, 0, NULL),
        gw_execute(manager, NULL, 0, NULL),
        gw_admit_query(manager, NULL, 0),
        gw_admit_native(manager, NULL),
        gw_apply_many(manager, 1, NULL, &one, &one, &one, 0, &result),
        gw_apply_many(manager, 1, &one, NULL, &one, &one, 0, &result),
        gw_apply_many(manager, 1, &one, &one, NULL, &one, 0, &result),
        gw_apply_many(manager, 1, &one, &one, &one, NULL, 0, &result),
        gw_apply_many(manager, 1, &one, &one, &one, &one, 0, NULL),
        gw_release_many(manager, 1, &one, NULL, &one, 0, &result),
        gw_app_masks(manager, 1, NULL, 0, &result),
        gw_app_masks(manager, 1, &one, 0, NULL),
        gw_next_deadline(manager, 0, NULL),
        gw_mask(manager, app(1), 0, NULL),
        gw_find(manager, app(1), 0, NULL),
        gw_owners_of(manager, 1, 0, NULL, 1, &count),
        gw_owners_of(manager, 1, 0, &owner, 1, NULL),
        gw_owners(manager, GW_TYPE_ALL, NULL, 0, NULL, 1, &count),
        gw_owners(manager, GW_TYPE_ALL, NULL, 0, &owner, 1, NULL),
        gw_count(manager, GW_TYPE_GPS, 0, NULL),
        gw_get_stats(manager, 0, NULL),
        gw_read(manager, 0, NULL, 1, &count, NULL),
        gw_read(manager, 0, NULL, 0, NULL, NULL),
    };
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; ++i) CHECK_EQUAL(answers[i], GW_ARGUMENT_INVALID);
    CHECK(gw_cpu_ended(manager, NULL) == NULL);
    CHECK_EQUAL(gw_last_sequence(manager), 0);
    gw_destroy(manager);
}

TEST(a_struct_that_is_too_small_is_refused) {
    gw_manager* const manager = make_manager();
    gw_caller caller = trusted(1, 2);
    gw_request request = timed(GW_TYPE_GPS, 10);
    gw_command command;
    gw_record record;
    gw_stats stats;
    gw_event event;
    size_t count = 0;
    request.size = 0; /* forgotten */
    CHECK_EQUAL(gw_perform(manager, &caller, &request, 0, NULL), GW_ARGUMENT_INVALID);
    request.size = sizeof request;
    caller.size = sizeof caller - 1;
    CHECK_EQUAL(gw_perform(manager, &caller, &request, 0, NULL), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_caller_of(manager, 1, 2, &caller), GW_ARGUMENT_INVALID);
    caller.size = sizeof caller;
    command.size = sizeof command - 1;
    CHECK_EQUAL(gw_admit(manager, &caller, &request, 0, &command), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_execute(manager, &command, 0, NULL), GW_ARGUMENT_INVALID);
    record.size = sizeof record - 1;
    CHECK_EQUAL(gw_find(manager, app(1), 0, &record), GW_ARGUMENT_INVALID);
    stats.size = sizeof stats - 1;
    CHECK_EQUAL(gw_get_stats(manager, 0, &stats), GW_ARGUMENT_INVALID);
    event.size = sizeof event - 1;
    CHECK_EQUAL(gw_read(manager, 0, &event, 1, &count, NULL), GW_ARGUMENT_INVALID);
    gw_limits limits = GW_LIMITS_INIT;
    gw_manager* other = NULL;
    limits.size = 4;
    CHECK_EQUAL(gw_create(&limits, &other), GW_ARGUMENT_INVALID);
    limits.size = sizeof limits;
    limits.event_capacity = 0;
    CHECK_EQUAL(gw_create(&limits, &other), GW_ARGUMENT_INVALID);
    CHECK(other == NULL);
    gw_destroy(manager);
}

TEST(an_enumerator_that_is_none_is_refused) {
    gw_manager* const manager = make_manager();
    const int32_t kinds[] = {-1, 2, 256, INT32_MAX, INT32_MIN};
    gw_record record;
    record.size = sizeof record;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; ++i) {
        const gw_owner owner = {kinds[i], 1};
        gw_owner room;
        uint32_t mask = 0;
        size_t count = 0;
        CHECK_EQUAL(gw_mask(manager, owner, 0, &mask), GW_ARGUMENT_INVALID);
        CHECK_EQUAL(gw_find(manager, owner, 0, &record), GW_ARGUMENT_INVALID);
        CHECK_EQUAL(gw_owners(manager, GW_TYPE_ALL, &owner, 0, &room, 1, &count), GW_ARGUMENT_INVALID);
    }
    gw_caller caller = trusted(1, 2);
    gw_request request = timed(GW_TYPE_CPU, 10);
    request.cpu_level = INT32_MAX;
    CHECK_EQUAL(gw_perform(manager, &caller, &request, 0, NULL), GW_LEVEL_INVALID);
    request.cpu_level = INT32_MIN;
    CHECK_EQUAL(gw_perform(manager, &caller, &request, 0, NULL), GW_LEVEL_INVALID);
    gw_destroy(manager);
}

TEST(a_text_without_memory_is_refused) {
    gw_manager* const manager = make_manager();
    gw_caller caller = trusted(1, 2);
    gw_request request = timed(GW_TYPE_GPS, 10);
    request.reason.size = 5;
    CHECK_EQUAL(gw_perform(manager, &caller, &request, 0, NULL), GW_ARGUMENT_INVALID);
    request.reason = gw_text_of("");
    CHECK_EQUAL(gw_perform(manager, &caller, &request, 0, NULL), GW_OK);
    caller.bundle.size = 5;
    CHECK_EQUAL(gw_perform(manager, &caller, &request, 0, NULL), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_admit_query(manager, &caller, 0), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_admit_native(manager, &caller), GW_ARGUMENT_INVALID);
    gw_destroy(manager);
}

TEST(a_mask_beyond_the_types_finds_nobody_more) {
    gw_manager* const manager = make_manager();
    CHECK_EQUAL(apply(manager, 1, GW_TYPE_GPS, 10, 0), GW_OK);
    size_t count = 9;
    gw_owner owners[4];
    CHECK_EQUAL(gw_count(manager, 0xFFFFFE00u, 0, &count), GW_OK);
    CHECK_EQUAL(count, 0);
    CHECK_EQUAL(gw_owners(manager, UINT32_MAX, NULL, 0, owners, 4, &count), GW_OK);
    CHECK_EQUAL(count, 1);
    CHECK_EQUAL(gw_most_owners(manager, UINT32_MAX), 1);
    gw_destroy(manager);
}
