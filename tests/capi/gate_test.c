/* Gates, the bytes of a log, and who follows it. */
#include "gates.h"

TEST(a_gate_without_a_log_is_a_manager_with_a_lock) {
    gw_gate* const gate = make_gate(NULL);
    size_t ended = 0;
    uint8_t more = 7;
    CHECK_EQUAL(gate_apply(gate, 1000, GW_TYPE_GPS, 500), GW_OK);
    CHECK_EQUAL(gate_apply(gate, 1000, 512, 500), GW_REQUEST_INVALID);
    CHECK_EQUAL(gate_held(gate, 1000), GW_TYPE_GPS);
    now = 99;
    CHECK_EQUAL(gate_apply(gate, 1000, GW_TYPE_GPS, 500), GW_TIME_BACKWARDS);
    now = 600;
    CHECK_EQUAL(gate_held(gate, 1000), 0);
    CHECK_EQUAL(gw_gate_advance(gate, GW_NO_BUDGET, &ended, &more), GW_OK);
    CHECK_EQUAL(ended, 1);
    CHECK_EQUAL(more, 0);
    CHECK_EQUAL(gw_gate_close(gate, GW_FOREVER), GW_OK);
    CHECK_EQUAL(gate_apply(gate, 1000, GW_TYPE_GPS, 500), GW_NOT_CONNECTED);
    gw_gate_destroy(gate);
}

TEST(what_a_gate_answers_is_in_its_log) {
    static struct groups log;
    gw_gate* const gate = make_gate(&log);
    const gw_caller caller = trusted(1001, 42);
    gw_command death = {.size = sizeof death, .kind = GW_COMMAND_APP_STOPPED, .mask = GW_TYPE_ALL, .uid = 1001};
    uint32_t mask = 0;
    CHECK_EQUAL(gate_apply(gate, 1000, GW_TYPE_GPS, 500), GW_OK);
    CHECK_EQUAL(gate_apply(gate, 1001, GW_TYPE_GPS | GW_TYPE_TIMER, 500), GW_OK);
    CHECK_EQUAL(gw_gate_execute(gate, &death, &mask), GW_OK);
    CHECK_EQUAL(mask, GW_TYPE_GPS);
    CHECK_EQUAL(gw_gate_reset_all(gate, &caller, &mask), GW_OK);
    CHECK_EQUAL(mask, GW_TYPE_TIMER);
    now = 600;
    CHECK_EQUAL(gw_gate_advance(gate, 10, NULL, NULL), GW_OK);
    CHECK_EQUAL(log.count, 5);
    check_log(gate, &log);
    gw_gate_destroy(gate);
}

TEST(a_log_that_fails_changes_nothing) {
    static struct groups log;
    gw_gate* const gate = make_gate(&log);
    log.answer = GW_NOT_APPENDED;
    log.keeps = 0;
    CHECK_EQUAL(gate_apply(gate, 1000, GW_TYPE_GPS, 500), GW_TRANSACTION_FAILED);
    log.answer = 99; /* what is not known is uncertain */
    log.keeps = 1;
    log.unknown = 2;
    CHECK_EQUAL(gate_apply(gate, 1001, GW_TYPE_GPS, 500), GW_OK);
    log.keeps = 0;
    CHECK_EQUAL(gate_apply(gate, 1002, GW_TYPE_GPS, 500), GW_TRANSACTION_FAILED);
    log.answer = GW_APPEND_CONFLICT;
    CHECK_EQUAL(gate_apply(gate, 1003, GW_TYPE_GPS, 500), GW_TRANSACTION_FAILED);
    log.answer = GW_APPENDED;
    log.keeps = 1;
    CHECK_EQUAL(gate_apply(gate, 1004, GW_TYPE_GPS, 500), GW_TRANSACTION_FAILED);
    CHECK_EQUAL(gate_held(gate, 1001), GW_TYPE_GPS);
    CHECK_EQUAL(gate_held(gate, 1000) | gate_held(gate, 1002) | gate_held(gate, 1003) | gate_held(gate, 1004), 0);
    check_log(gate, &log);
    gw_gate_destroy(gate);
}

TEST(what_is_staged_together_is_one_group) {
    static struct groups log;
    gw_gate* const gate = make_gate(&log);
    gw_ticket tickets[3];
    uint64_t at = 0;
    const gw_manager* const manager = gw_gate_enter(gate, &at);
    CHECK(manager != NULL);
    CHECK_EQUAL(at, 100);
    for (uint32_t i = 0; i < 3; ++i) {
        const gw_caller caller = trusted(1000 + (int64_t)i, 42);
        const gw_request request = timed((uint32_t)GW_TYPE_GPS << i, 500);
        gw_command command = {.size = sizeof command};
        CHECK_EQUAL(gw_admit(manager, &caller, &request, at, &command), GW_OK);
        CHECK_EQUAL(gw_gate_stage(gate, &command, &tickets[i]), GW_OK);
    }
    CHECK_EQUAL(gw_set_ready((gw_manager*)(uintptr_t)manager, 0), GW_IN_CALLBACK);
    gw_gate_leave(gate);
    for (uint32_t i = 0; i < 3; ++i) {
        uint8_t settled = 0;
        uint32_t mask = 0;
        CHECK_EQUAL(gw_gate_await(gate, &tickets[i], GW_FOREVER, &settled, &mask), GW_OK);
        CHECK_EQUAL(settled, 1);
        CHECK_EQUAL(mask, (uint32_t)GW_TYPE_GPS << i);
        CHECK_EQUAL(gw_gate_await(gate, &tickets[i], 0, &settled, &mask), GW_ARGUMENT_INVALID);
    }
    CHECK_EQUAL(log.count, 1);
    CHECK(gw_gate_descriptor(gate) >= 0);
    gw_gate_clear(gate);
    gw_gate_destroy(gate);
}

TEST(an_op_can_be_written_and_read) {
    unsigned char bytes[256];
    size_t size = 0;
    size_t used = 0;
    gw_op op = {.size = sizeof op};
    gw_command command = {.size = sizeof command, .kind = GW_COMMAND_APPLY, .mask = GW_TYPE_GPS, .uid = 5};
    command.cpu_level = GW_LEVEL_DEFAULT;
    command.timeout_ms = 10;
    command.reason = gw_text_of("why");
    op.command.size = sizeof op.command;
    CHECK_EQUAL(gw_encode(&command, 100, bytes, 3, &size), GW_OUT_OF_MEMORY);
    CHECK_EQUAL(gw_encode(&command, 100, bytes, size, &size), GW_OK);
    CHECK_EQUAL(gw_decode(bytes, size, &op, &used), GW_OK);
    CHECK_EQUAL(used, size);
    CHECK_EQUAL(op.now, 100);
    CHECK_EQUAL(op.kind, GW_OP_COMMAND);
    CHECK_EQUAL(op.command.uid, 5);
    CHECK_TEXT(op.command.reason, "why");
    bytes[size - 1] ^= 1;
    CHECK_EQUAL(gw_decode(bytes, size, &op, &used), GW_PARCEL_FAILED);
    CHECK_EQUAL(op.is_newer, 0);
    gw_manager* const manager = make_manager();
    CHECK_EQUAL(gw_follow(manager, bytes, size), GW_PARCEL_FAILED);
    CHECK_EQUAL(held(manager, 5, 100), 0);
    gw_destroy(manager);
}

TEST(a_gate_refuses_what_cannot_be) {
    gw_gate_options options = GW_GATE_OPTIONS_INIT;
    gw_gate* gate = NULL;
    gw_manager* const manager = make_manager();
    gw_ticket ticket = {0, 0};
    CHECK_EQUAL(gw_gate_create(NULL, NULL, &gate), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_gate_create(manager, NULL, NULL), GW_ARGUMENT_INVALID);
    options.append = append; /* and no `last` */
    CHECK_EQUAL(gw_gate_create(manager, &options, &gate), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_gate_create(manager, NULL, &gate), GW_OK);
    CHECK_EQUAL(gw_set_ready(manager, 0), GW_IN_CALLBACK);
    CHECK_EQUAL(gw_gate_perform(gate, NULL, NULL, NULL), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_gate_perform(NULL, NULL, NULL, NULL), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_gate_execute(gate, NULL, NULL), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_gate_mask(gate, app(1), NULL), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_gate_read(gate, NULL, NULL, NULL), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_gate_stage(gate, NULL, &ticket), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_gate_await(gate, &ticket, 0, NULL, NULL), GW_ARGUMENT_INVALID);
    CHECK(gw_gate_enter(gate, NULL) == NULL);
    CHECK_EQUAL(gw_gate_descriptor(NULL), -1);
    gw_gate_clear(NULL);
    gw_gate_leave(NULL);
    gw_gate_destroy(NULL);
    gw_gate_destroy(gate);
}

static int asked;
static int told;
static int32_t refuse_second(void* user, const gw_command* command) {
    (void)user;
    (void)command;
    return ++asked != 2;
}
static void count(void* user, uint32_t uid) {
    (void)user;
    told += (int)uid;
}

TEST(a_gate_asks_the_quota_and_tells_it) {
    static struct groups log;
    for (int with_log = 0; with_log < 2; ++with_log) {
        gw_gate* const gate = make_quota_gate(with_log ? &log : NULL, refuse_second, count);
        const gw_caller caller = trusted(7, 1);
        asked = told = 0;
        CHECK_EQUAL(gate_apply(gate, 7, GW_TYPE_CPU, 1000000), GW_OK);
        CHECK_EQUAL(gate_apply(gate, 8, GW_TYPE_CPU, 1000000), GW_PERMISSION_DENIED);
        CHECK_EQUAL(gw_gate_reset_all(gate, &caller, NULL), GW_OK);
        CHECK_EQUAL(asked, 2);
        CHECK_EQUAL(told, 7);
        gw_gate_destroy(gate);
    }
}
