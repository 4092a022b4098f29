/* Changes in one step and in two. */
#include "check.h"

TEST(an_apply_grants_until_its_deadline) {
    gw_manager* const manager = make_manager();
    gw_caller caller = trusted(1000, 42);
    gw_request request = timed(GW_TYPE_GPS | GW_TYPE_AUDIO, 500);
    uint32_t mask = 0;
    CHECK_EQUAL(gw_perform(manager, &caller, &request, 100, &mask), GW_OK);
    CHECK_EQUAL(mask, GW_TYPE_GPS | GW_TYPE_AUDIO);
    CHECK_EQUAL(held(manager, 1000, 599), GW_TYPE_GPS | GW_TYPE_AUDIO);
    CHECK_EQUAL(held(manager, 1000, 600), 0);
    gw_destroy(manager);
}

TEST(a_release_answers_what_it_removed) {
    gw_manager* const manager = make_manager();
    gw_caller caller = trusted(1000, 42);
    gw_request request = timed(GW_TYPE_GPS | GW_TYPE_AUDIO, 500);
    uint32_t mask = 0;
    CHECK_EQUAL(gw_perform(manager, &caller, &request, 0, NULL), GW_OK);
    request.is_apply = 0;
    request.mask = GW_TYPE_GPS | GW_TYPE_CPU;
    CHECK_EQUAL(gw_perform(manager, &caller, &request, 1, &mask), GW_OK);
    CHECK_EQUAL(mask, GW_TYPE_GPS);
    CHECK_EQUAL(gw_reset_all(manager, &caller, 2, &mask), GW_OK);
    CHECK_EQUAL(mask, GW_TYPE_AUDIO);
    gw_destroy(manager);
}

TEST(any_flag_that_is_not_0_is_set) {
    gw_manager* const manager = make_manager();
    gw_caller caller = trusted(1000, 42);
    gw_request request = timed(GW_TYPE_CPU, 0);
    caller.system_app = 0x80;
    request.is_apply = 2;
    request.is_persist = 0xFF;
    request.is_process = 0x40;
    CHECK_EQUAL(gw_perform(manager, &caller, &request, 0, NULL), GW_OK);
    gw_record record;
    record.size = sizeof record;
    CHECK_EQUAL(gw_find(manager, (gw_owner){GW_OWNER_PROCESS, 42}, 0, &record), GW_OK);
    CHECK_EQUAL(record.grants[0].is_persist, 1);
    gw_destroy(manager);
}

TEST(a_refused_change_writes_nothing) {
    gw_manager* const manager = make_manager();
    gw_caller caller = trusted(1000, 42);
    gw_request request = timed(512, 500);
    uint32_t mask = 77;
    CHECK_EQUAL(gw_perform(manager, &caller, &request, 0, &mask), GW_REQUEST_INVALID);
    request.mask = GW_TYPE_GPS;
    caller.system_app = 0;
    CHECK_EQUAL(gw_perform(manager, &caller, &request, 0, &mask), GW_NOT_SYSTEM_APP);
    caller.uid = INT64_MIN;
    CHECK_EQUAL(gw_perform(manager, &caller, &request, 0, &mask), GW_IDENTITY_INVALID);
    request.timeout_ms = UINT64_MAX;
    CHECK_EQUAL(gw_perform(manager, &caller, &request, 0, &mask), GW_REQUEST_INVALID);
    request.reason = gw_text_of("\xFF");
    CHECK_EQUAL(gw_perform(manager, &caller, &request, 0, &mask), GW_PARCEL_FAILED);
    CHECK_EQUAL(gw_set_ready(manager, 0), GW_OK);
    CHECK_EQUAL(gw_ready(manager), 0);
    request.reason = gw_text_of(NULL);
    CHECK_EQUAL(gw_perform(manager, &caller, &request, 0, &mask), GW_NOT_READY);
    CHECK_EQUAL(mask, 77);
    CHECK_EQUAL(gw_last_sequence(manager), 0);
    gw_destroy(manager);
}

TEST(time_must_not_run_backwards) {
    gw_manager* const manager = make_manager();
    CHECK_EQUAL(apply(manager, 1, GW_TYPE_GPS, 10, 100), GW_OK);
    CHECK_EQUAL(apply(manager, 1, GW_TYPE_GPS, 10, 99), GW_TIME_BACKWARDS);
    CHECK_EQUAL(gw_check_time(manager, 99), GW_TIME_BACKWARDS);
    CHECK_EQUAL(gw_check_time(manager, 100), GW_OK);
    CHECK_EQUAL(gw_check_time(manager, (UINT64_C(1) << 62) + 1), GW_TIME_OUT_OF_RANGE);
    CHECK_EQUAL(gw_advance(manager, UINT64_MAX, GW_NO_BUDGET, NULL, NULL), GW_TIME_OUT_OF_RANGE);
    gw_destroy(manager);
}

TEST(deaths_and_administration_remove_what_they_should) {
    gw_manager* const manager = make_manager();
    uint32_t mask = 0;
    CHECK_EQUAL(apply(manager, 1, GW_TYPE_GPS | GW_TYPE_TIMER, 1000, 0), GW_OK);
    CHECK_EQUAL(gw_app_stopped(manager, 1, 1, &mask), GW_OK);
    CHECK_EQUAL(mask, GW_TYPE_GPS);
    CHECK_EQUAL(gw_package_removed(manager, 1, 2, &mask), GW_OK);
    CHECK_EQUAL(mask, GW_TYPE_TIMER);
    gw_caller caller = trusted(2, 20);
    gw_request request = timed(GW_TYPE_CPU, 1000);
    request.is_process = 1;
    CHECK_EQUAL(gw_perform(manager, &caller, &request, 3, NULL), GW_OK);
    CHECK_EQUAL(gw_process_died(manager, 2, 20, 4, &mask), GW_OK);
    CHECK_EQUAL(mask, GW_TYPE_CPU);
    CHECK_EQUAL(gw_perform(manager, &caller, &request, 5, NULL), GW_OK);
    CHECK_EQUAL(gw_admin_reset_process(manager, 20, GW_TYPE_ALL, 6, &mask), GW_OK);
    CHECK_EQUAL(mask, GW_TYPE_CPU);
    CHECK_EQUAL(apply(manager, 3, GW_TYPE_GPS | GW_TYPE_AUDIO, 1000, 7), GW_OK);
    CHECK_EQUAL(gw_admin_reset_app(manager, 3, GW_TYPE_GPS, 8, &mask), GW_OK);
    CHECK_EQUAL(mask, GW_TYPE_GPS);
    CHECK_EQUAL(gw_admin_reset_all(manager, 9, &mask), GW_OK);
    CHECK_EQUAL(mask, GW_TYPE_AUDIO);
    CHECK_EQUAL(gw_process_died(manager, -1, 20, 9, NULL), GW_IDENTITY_INVALID);
    CHECK_EQUAL(gw_admin_reset_app(manager, 3, 0, 9, NULL), GW_REQUEST_INVALID);
    CHECK(gw_validate(manager) == NULL);
    gw_destroy(manager);
}

TEST(what_was_admitted_is_executed_later) {
    gw_manager* const manager = make_manager();
    gw_caller caller = trusted(1000, 42);
    gw_request request = timed(GW_TYPE_GPS, 500);
    caller.bundle = gw_text_of("maps");
    request.reason = gw_text_of("navigation");
    gw_command command;
    command.size = sizeof command;
    CHECK_EQUAL(gw_admit(manager, &caller, &request, 10, &command), GW_OK);
    CHECK_EQUAL(held(manager, 1000, 10), 0);
    CHECK_EQUAL(command.kind, GW_COMMAND_APPLY);
    CHECK_EQUAL(command.mask, GW_TYPE_GPS);
    CHECK_EQUAL(command.uid, 1000);
    CHECK_EQUAL(command.pid, 42);
    CHECK_EQUAL(command.timeout_ms, 500);
    CHECK_EQUAL(command.cpu_level, GW_LEVEL_DEFAULT);
    CHECK_EQUAL(command.ask_quota, 0);
    CHECK_EQUAL(command.size, sizeof command);
    CHECK_TEXT(command.bundle, "maps");
    CHECK_TEXT(command.reason, "navigation");
    uint32_t mask = 0;
    CHECK_EQUAL(gw_execute(manager, &command, 20, &mask), GW_OK);
    CHECK_EQUAL(mask, GW_TYPE_GPS);
    CHECK_EQUAL(held(manager, 1000, 519), GW_TYPE_GPS);
    CHECK_EQUAL(held(manager, 1000, 520), 0);
    gw_destroy(manager);
}

TEST(every_change_can_be_made_in_two_steps) {
    gw_manager* const manager = make_manager();
    const gw_caller caller = trusted(1, 2);
    gw_command command;
    command.size = sizeof command;
    CHECK_EQUAL(gw_admit_reset_all(manager, &caller, 0, &command), GW_OK);
    CHECK_EQUAL(command.kind, GW_COMMAND_RESET_ALL);
    CHECK_EQUAL(gw_execute(manager, &command, 0, NULL), GW_OK);
    CHECK_EQUAL(gw_admit_process_died(manager, 1, 2, 0, &command), GW_OK);
    CHECK_EQUAL(command.kind, GW_COMMAND_PROCESS_DIED);
    CHECK_EQUAL(gw_execute(manager, &command, 0, NULL), GW_OK);
    CHECK_EQUAL(gw_admit_app_stopped(manager, 1, 0, &command), GW_OK);
    CHECK_EQUAL(command.kind, GW_COMMAND_APP_STOPPED);
    CHECK_EQUAL(gw_execute(manager, &command, 0, NULL), GW_OK);
    CHECK_EQUAL(gw_admit_package_removed(manager, 1, 0, &command), GW_OK);
    CHECK_EQUAL(command.kind, GW_COMMAND_PACKAGE_REMOVED);
    CHECK_EQUAL(gw_execute(manager, &command, 0, NULL), GW_OK);
    CHECK_EQUAL(gw_admit_admin_reset_all(manager, 0, &command), GW_OK);
    CHECK_EQUAL(command.kind, GW_COMMAND_ADMIN_RESET_ALL);
    CHECK_EQUAL(gw_execute(manager, &command, 0, NULL), GW_OK);
    CHECK_EQUAL(gw_admit_admin_reset_app(manager, 1, GW_TYPE_GPS, 0, &command), GW_OK);
    CHECK_EQUAL(command.kind, GW_COMMAND_ADMIN_RESET_APP);
    CHECK_EQUAL(gw_execute(manager, &command, 0, NULL), GW_OK);
    CHECK_EQUAL(gw_admit_admin_reset_process(manager, 2, GW_TYPE_CPU, 0, &command), GW_OK);
    CHECK_EQUAL(command.kind, GW_COMMAND_ADMIN_RESET_PROCESS);
    CHECK_EQUAL(gw_execute(manager, &command, 0, NULL), GW_OK);
    gw_destroy(manager);
}

/* A command that applies GPS: what a journal might hold. */
static gw_command journaled(void) {
    gw_command command;
    memset(&command, 0, sizeof command);
    command.size = sizeof command;
    command.kind = GW_COMMAND_APPLY;
    command.mask = GW_TYPE_GPS;
    command.timeout_ms = 100;
    command.cpu_level = GW_LEVEL_DEFAULT;
    return command;
}

TEST(a_command_out_of_a_journal_is_checked) {
    gw_manager* const manager = make_manager();
    gw_command command = journaled();
    CHECK_EQUAL(gw_execute(manager, &command, 0, NULL), GW_OK);
    command.mask = 0;
    CHECK_EQUAL(gw_execute(manager, &command, 0, NULL), GW_REQUEST_INVALID);
    command.mask = UINT32_MAX;
    CHECK_EQUAL(gw_execute(manager, &command, 0, NULL), GW_REQUEST_INVALID);
    command = journaled();
    command.timeout_ms = 0;
    CHECK_EQUAL(gw_execute(manager, &command, 0, NULL), GW_REQUEST_INVALID);
    command = journaled();
    command.uid = UINT32_MAX;
    CHECK_EQUAL(gw_execute(manager, &command, 0, NULL), GW_IDENTITY_INVALID);
    command = journaled();
    command.pid = UINT32_C(1) << 31;
    CHECK_EQUAL(gw_execute(manager, &command, 0, NULL), GW_IDENTITY_INVALID);
    const int32_t levels[] = {-2, 3, 255, 256, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; ++i) {
        command = journaled();
        command.cpu_level = levels[i];
        CHECK_EQUAL(gw_execute(manager, &command, 0, NULL), GW_LEVEL_INVALID);
    }
    const int32_t kinds[] = {-1, 9, 256, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; ++i) {
        command = journaled();
        command.kind = kinds[i];
        CHECK_EQUAL(gw_execute(manager, &command, 0, NULL), GW_ARGUMENT_INVALID);
    }
    static char long_text[1025];
    memset(long_text, 'x', sizeof long_text);
    command = journaled();
    command.reason = (gw_text){long_text, sizeof long_text};
    CHECK_EQUAL(gw_execute(manager, &command, 0, NULL), GW_REQUEST_INVALID);
    command.reason.size = 1024;
    CHECK_EQUAL(gw_execute(manager, &command, 0, NULL), GW_OK);
    command.bundle = gw_text_of("\xC0\x80");
    CHECK_EQUAL(gw_execute(manager, &command, 0, NULL), GW_PARCEL_FAILED);
    CHECK(gw_validate(manager) == NULL);
    gw_destroy(manager);
}

TEST(who_may_ask_is_judged) {
    gw_manager* const manager = make_manager();
    gw_caller caller = trusted(1, 2);
    CHECK_EQUAL(gw_admit_query(manager, &caller, 0), GW_OK);
    CHECK_EQUAL(gw_admit_native(manager, &caller), GW_PERMISSION_DENIED);
    caller.native = 1;
    CHECK_EQUAL(gw_admit_native(manager, &caller), GW_OK);
    caller.system_app = 0;
    CHECK_EQUAL(gw_admit_query(manager, &caller, 0), GW_NOT_SYSTEM_APP);
    CHECK_EQUAL(gw_set_ready(manager, 0), GW_OK);
    CHECK_EQUAL(gw_admit_query(manager, &caller, 0), GW_QUERY_NOT_READY);
    gw_destroy(manager);
}

TEST(a_renewal_grants_nothing_anew) {
    gw_manager* const manager = make_manager();
    const gw_caller caller = trusted(1000, 42);
    gw_request renewal = timed(GW_TYPE_GPS | GW_TYPE_AUDIO, 500);
    renewal.only_held = 1;
    uint32_t mask = 77;
    CHECK_EQUAL(gw_perform(manager, &caller, &renewal, 0, &mask), GW_OK);
    CHECK_EQUAL(mask, 0);
    CHECK_EQUAL(apply(manager, 1000, GW_TYPE_GPS, 100, 0), GW_OK);
    gw_command command;
    command.size = sizeof command;
    CHECK_EQUAL(gw_admit(manager, &caller, &renewal, 50, &command), GW_OK);
    CHECK_EQUAL(command.only_held, 1);
    CHECK_EQUAL(gw_execute(manager, &command, 60, &mask), GW_OK);
    CHECK_EQUAL(mask, GW_TYPE_GPS);
    CHECK_EQUAL(held(manager, 1000, 559), GW_TYPE_GPS);
    CHECK_EQUAL(gw_execute(manager, &command, 560, &mask), GW_OK);
    CHECK_EQUAL(mask, 0);
    gw_destroy(manager);
}
