/* A log that is behind, what of it is settled, and marks of the time. */
#include "gates.h"

static gw_gate* make_gate_behind(struct groups* log, uint32_t max_delay_ms) {
    gw_gate_options options = GW_GATE_OPTIONS_INIT;
    gw_gate* gate = NULL;
    now = 100;
    options.clock = test_clock;
    options.clock_user = &now;
    options.is_behind = 1;
    options.max_delay_ms = max_delay_ms;
    put_log(&options, log);
    CHECK_EQUAL(gw_gate_create(make_manager(), &options, &gate), GW_OK);
    return gate;
}

static uint64_t settled(gw_gate* gate) {
    uint64_t sequence = 77;
    CHECK_EQUAL(gw_gate_settled(gate, &sequence), GW_OK);
    return sequence;
}

static uint8_t flush(gw_gate* gate) {
    uint8_t is_done = 7;
    CHECK_EQUAL(gw_gate_flush(gate, GW_FOREVER, &is_done), GW_OK);
    return is_done;
}

TEST(what_is_behind_is_carried_out_at_once_and_in_the_log_after_a_flush) {
    static struct groups log;
    gw_gate* const gate = make_gate_behind(&log, 3600 * 1000);
    CHECK_EQUAL(gate_apply(gate, 1000, GW_TYPE_GPS, 500), GW_OK);
    CHECK_EQUAL(gate_apply(gate, 1001, GW_TYPE_GPS, 500), GW_OK);
    CHECK_EQUAL(gate_held(gate, 1001), GW_TYPE_GPS);
    CHECK_EQUAL(settled(gate), 0);
    CHECK_EQUAL(flush(gate), 1);
    CHECK_EQUAL(log.count, 1);
    CHECK_EQUAL(settled(gate), 2);
    CHECK_EQUAL(gate_apply(gate, 1002, GW_TYPE_GPS, 500), GW_OK);
    CHECK_EQUAL(settled(gate), 2);
    CHECK_EQUAL(gw_gate_close(gate, GW_FOREVER), GW_OK);
    CHECK_EQUAL(settled(gate), 3);
    CHECK_EQUAL(log.count, 2);
    check_log(gate, &log);
    gw_gate_destroy(gate);
}

TEST(what_is_behind_gets_there_by_itself) {
    static struct groups log;
    gw_gate* const gate = make_gate_behind(&log, 1);
    CHECK_EQUAL(gate_apply(gate, 1000, GW_TYPE_GPS, 500), GW_OK);
    while (settled(gate) == 0) continue;
    CHECK_EQUAL(log.count, 1);
    gw_gate_destroy(gate);
}

TEST(a_log_that_is_behind_and_fails_says_so) {
    static struct groups log;
    gw_gate* const gate = make_gate_behind(&log, 0);
    uint8_t is_done = 7;
    log.answer = GW_APPEND_CONFLICT;
    log.keeps = 0;
    CHECK_EQUAL(gate_apply(gate, 1000, GW_TYPE_GPS, 500), GW_OK);
    CHECK_EQUAL(gw_gate_flush(gate, GW_FOREVER, &is_done), GW_TRANSACTION_FAILED);
    CHECK_EQUAL(is_done, 0);
    CHECK_EQUAL(gate_apply(gate, 1001, GW_TYPE_GPS, 500), GW_TRANSACTION_FAILED);
    CHECK_EQUAL(gate_held(gate, 1000), GW_TYPE_GPS);
    CHECK_EQUAL(settled(gate), 0);
    gw_gate_destroy(gate);
}

TEST(without_a_log_and_with_one_that_is_not_behind_a_flush_has_nothing_to_wait_for) {
    static struct groups log;
    for (int with_log = 0; with_log < 2; ++with_log) {
        gw_gate* const gate = make_gate(with_log ? &log : NULL);
        CHECK_EQUAL(gate_apply(gate, 1000, GW_TYPE_GPS, 500), GW_OK);
        CHECK_EQUAL(flush(gate), 1);
        CHECK_EQUAL(settled(gate), 1);
        gw_gate_destroy(gate);
    }
}

static int told;
static int32_t agree(void* user, const gw_command* command) {
    (void)user;
    return command != NULL;
}
static void count(void* user, uint32_t uid) {
    (void)user;
    told += (int)uid;
}

TEST(a_flush_tells_the_quota_nothing_twice) {
    static struct groups log;
    for (int with_log = 0; with_log < 2; ++with_log) {
        gw_gate* const gate = make_quota_gate(with_log ? &log : NULL, agree, count);
        const gw_caller caller = trusted(7, 1);
        told = 0;
        CHECK_EQUAL(gate_apply(gate, 7, GW_TYPE_CPU, 1000000), GW_OK);
        CHECK_EQUAL(gw_gate_reset_all(gate, &caller, NULL), GW_OK);
        CHECK_EQUAL(flush(gate), 1);
        CHECK_EQUAL(told, 7);
        gw_gate_destroy(gate);
    }
}

static void read_mark(void* mark, const gw_manager* manager, uint64_t at) {
    uint8_t is_there = 7;
    (void)at;
    CHECK_EQUAL(gw_last_mark(manager, mark, &is_there), GW_OK);
    CHECK_EQUAL(is_there, 1);
}

TEST(a_mark_is_in_the_log_and_in_who_follows_it) {
    static struct groups log;
    const gw_mark given = {7, {1, 2, 3}, 90, -5};
    for (int behind = 0; behind < 2; ++behind) {
        gw_gate* const gate = behind ? make_gate_behind(&log, 0) : make_gate(&log);
        gw_manager* const follower = make_manager();
        gw_op op = {.size = sizeof op};
        gw_mark mark = {0};
        uint8_t is_there = 7;
        size_t used = 0;
        op.command.size = sizeof op.command;
        CHECK_EQUAL(gw_last_mark(follower, &mark, &is_there), GW_OK);
        CHECK_EQUAL(is_there, 0);
        now = 120;
        CHECK_EQUAL(gw_gate_put_mark(gate, &given), GW_OK);
        CHECK_EQUAL(flush(gate), 1);
        CHECK_EQUAL(log.count, 1);
        CHECK_EQUAL(gw_decode(log.bytes[0], log.sizes[0], &op, &used), GW_OK);
        CHECK_EQUAL(op.kind, GW_OP_MARK);
        CHECK_EQUAL(gw_follow(follower, log.bytes[0], log.sizes[0]), GW_OK);
        CHECK_EQUAL(gw_last_mark(follower, &mark, &is_there), GW_OK);
        CHECK_EQUAL(is_there, 1);
        CHECK(memcmp(&mark, &op.mark, sizeof mark) == 0);
        CHECK_EQUAL(gw_gate_read(gate, NULL, read_mark, &mark), GW_OK);
        CHECK_EQUAL(mark.now, 120);
        CHECK_EQUAL(mark.boot_ms, 90);
        CHECK_EQUAL(mark.wall_ms, -5);
        CHECK(memcmp(mark.boot_id, given.boot_id, sizeof mark.boot_id) == 0);
        gw_destroy(follower);
        gw_gate_destroy(gate);
    }
}

TEST(what_is_behind_refuses_what_cannot_be) {
    static struct groups log;
    gw_gate* const gate = make_gate_behind(&log, 0);
    gw_gate* const bare = make_gate(NULL);
    gw_mark mark = {0};
    uint8_t flag = 0;
    CHECK_EQUAL(gw_gate_flush(NULL, 0, &flag), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_gate_flush(gate, 0, NULL), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_gate_settled(NULL, &mark.now), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_gate_settled(gate, NULL), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_gate_put_mark(NULL, &mark), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_gate_put_mark(gate, NULL), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_gate_put_mark(bare, &mark), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_last_mark(NULL, &mark, &flag), GW_ARGUMENT_INVALID);
    mark.boot_ms = UINT64_MAX;
    CHECK_EQUAL(gw_gate_put_mark(gate, &mark), GW_TIME_OUT_OF_RANGE);
    now = 99;
    CHECK_EQUAL(gw_gate_put_mark(gate, &mark), GW_TIME_BACKWARDS);
    CHECK_EQUAL(gw_gate_close(gate, GW_FOREVER), GW_OK);
    now = 100;
    mark.boot_ms = 0;
    CHECK_EQUAL(gw_gate_put_mark(gate, &mark), GW_NOT_CONNECTED);
    gw_gate_destroy(bare);
    gw_gate_destroy(gate);
}
