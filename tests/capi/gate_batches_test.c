/* Batches through a gate: the results of as many calls, and one entry of the log. */
#include "../allocations/allocations.h"
#include "gates.h"

enum { COUNT = 100 };

typedef struct {
    uint32_t uids[COUNT], pids[COUNT], masks[COUNT], timeouts[COUNT];
} columns;

static columns rows;

/* What cannot be among what can. */
static void fill(void) {
    for (uint32_t i = 0; i < COUNT; ++i) {
        rows.uids[i] = i % 37 == 36 ? UINT32_MAX : i % 37;
        rows.pids[i] = i % 41 == 40 ? UINT32_C(1) << 31 : i;
        rows.masks[i] = (i * 7) % 530;
        rows.timeouts[i] = i % 11;
    }
}

TEST(a_batch_through_a_gate_is_a_batch) {
    static struct groups log;
    static gw_result results[COUNT], expected[COUNT];
    fill();
    for (int with_log = 0; with_log < 2; ++with_log) {
        gw_manager* const manager = make_manager();
        gw_gate* const gate = make_gate(with_log ? &log : NULL);
        uint64_t hash = 0;
        uint64_t apart = 1;
        CHECK_EQUAL(gw_apply_many(manager, COUNT, rows.uids, rows.pids, rows.masks, rows.timeouts, now, expected),
                    GW_OK);
        CHECK_EQUAL(gw_gate_apply_many(gate, COUNT, rows.uids, rows.pids, rows.masks, rows.timeouts, results), GW_OK);
        for (size_t i = 0; i < COUNT; ++i) {
            CHECK_EQUAL(results[i].status, expected[i].status);
            CHECK_EQUAL(results[i].mask, expected[i].mask);
        }
        now += 3;
        CHECK_EQUAL(gw_release_many(manager, COUNT, rows.uids, rows.pids, rows.masks, now, expected), GW_OK);
        CHECK_EQUAL(gw_gate_release_many(gate, COUNT, rows.uids, rows.pids, rows.masks, results), GW_OK);
        for (size_t i = 0; i < COUNT; ++i) {
            CHECK_EQUAL(results[i].status, expected[i].status);
            CHECK_EQUAL(results[i].mask, expected[i].mask);
        }
        CHECK_EQUAL(gw_gate_apply_many(gate, 0, NULL, NULL, NULL, NULL, NULL), GW_OK);
        CHECK_EQUAL(gw_gate_read(gate, NULL, read_hash, &hash), GW_OK);
        CHECK_EQUAL(gw_state_hash(manager, &apart), GW_OK);
        CHECK(hash == apart);
        if (with_log) {
            gw_op op = {.size = sizeof op};
            size_t used = 0;
            op.command.size = sizeof op.command;
            CHECK_EQUAL(log.count, 2);
            CHECK_EQUAL(gw_decode(log.bytes[0], log.sizes[0], &op, &used), GW_OK);
            CHECK_EQUAL(op.kind, GW_OP_BATCH);
            CHECK_EQUAL(used, log.sizes[0]);
            check_log(gate, &log);
        }
        gw_gate_destroy(gate);
        gw_destroy(manager);
    }
}

/* An apply, and one that no batch can have. */
static void make_commands(gw_command* commands, size_t count) {
    for (size_t i = 0; i < count; ++i) {
        const gw_command command = {.size = sizeof command,
                                    .kind = GW_COMMAND_APPLY,
                                    .mask = GW_TYPE_GPS,
                                    .uid = 1000 + (uint32_t)i,
                                    .timeout_ms = 500,
                                    .cpu_level = GW_LEVEL_DEFAULT};
        commands[i] = command;
    }
}

TEST(commands_staged_as_one_have_a_result_each) {
    static struct groups log;
    for (int with_log = 0; with_log < 2; ++with_log) {
        gw_gate* const gate = make_gate(with_log ? &log : NULL);
        gw_command commands[5];
        gw_result results[5];
        gw_ticket ticket = {77, 77};
        uint8_t settled = 0;
        uint64_t at = 0;
        make_commands(commands, 5);
        commands[1].is_persist = 1;
        commands[2].kind = GW_COMMAND_RELEASE;
        commands[3].mask = 512;
        CHECK(gw_gate_enter(gate, &at) != NULL);
        CHECK_EQUAL(gw_gate_stage_many(gate, commands, 5, results, &ticket), GW_OK);
        gw_gate_leave(gate);
        CHECK_EQUAL(ticket.group != 0, with_log);
        CHECK_EQUAL(gw_gate_await_many(gate, &ticket, GW_FOREVER, &settled, results, 5), GW_OK);
        CHECK_EQUAL(settled, 1);
        CHECK_EQUAL(results[0].mask, GW_TYPE_GPS);
        CHECK_EQUAL(results[1].status, GW_REQUEST_INVALID);
        CHECK_EQUAL(results[2].status, GW_REQUEST_INVALID);
        CHECK_EQUAL(results[3].status, GW_REQUEST_INVALID);
        CHECK_EQUAL(results[4].mask, GW_TYPE_GPS);
        CHECK_EQUAL(gate_held(gate, 1000) & gate_held(gate, 1004), GW_TYPE_GPS);
        CHECK_EQUAL(gate_held(gate, 1001) | gate_held(gate, 1002) | gate_held(gate, 1003), 0);
        if (with_log) {
            CHECK_EQUAL(gw_gate_await_many(gate, &ticket, 0, &settled, results, 5), GW_ARGUMENT_INVALID);
            CHECK_EQUAL(log.count, 1);
            check_log(gate, &log);
        }
        gw_gate_destroy(gate);
    }
}

TEST(a_batch_is_in_the_log_as_a_whole_or_not_at_all) {
    static struct groups log;
    gw_gate* const gate = make_gate(&log);
    gw_result results[2] = {{GW_NOT_READY, 99}, {GW_NOT_READY, 99}};
    const uint32_t uids[] = {1000, 1001}, masks[] = {GW_TYPE_GPS, GW_TYPE_GPS}, timeouts[] = {500, 500};
    log.answer = GW_NOT_APPENDED;
    log.keeps = 0;
    CHECK_EQUAL(gw_gate_apply_many(gate, 2, uids, uids, masks, timeouts, results), GW_TRANSACTION_FAILED);
    CHECK_EQUAL(results[0].status, GW_NOT_READY);
    CHECK_EQUAL(results[1].mask, 99);
    CHECK_EQUAL(gate_held(gate, 1000) | gate_held(gate, 1001), 0);
    log.answer = GW_APPENDED;
    log.keeps = 1;
    CHECK_EQUAL(gw_gate_apply_many(gate, 2, uids, uids, masks, timeouts, results), GW_OK);
    now = 99;
    CHECK_EQUAL(gw_gate_apply_many(gate, 2, uids, uids, masks, timeouts, results), GW_TIME_BACKWARDS);
    now = 100;
    CHECK_EQUAL(gw_gate_close(gate, GW_FOREVER), GW_OK);
    CHECK_EQUAL(gw_gate_release_many(gate, 2, uids, uids, masks, results), GW_NOT_CONNECTED);
    CHECK_EQUAL(gate_held(gate, 1000), GW_TYPE_GPS);
    check_log(gate, &log);
    gw_gate_destroy(gate);
}

static uint32_t asked, told;
static int32_t refuse_odd(void* user, const gw_command* command) {
    (void)user;
    ++asked;
    return command->uid % 2 == 0;
}
static void tell(void* user, uint32_t uid) {
    (void)user;
    told += uid;
}

TEST(a_batch_through_a_gate_asks_the_quota) {
    static struct groups log;
    const uint32_t uids[] = {2, 3, 4}, masks[] = {GW_TYPE_CPU, GW_TYPE_CPU, GW_TYPE_CPU}, timeouts[] = {500, 500, 500};
    for (int with_log = 0; with_log < 2; ++with_log) {
        gw_gate* const gate = make_quota_gate(with_log ? &log : NULL, refuse_odd, tell);
        gw_result results[3];
        asked = told = 0;
        CHECK_EQUAL(gw_gate_apply_many(gate, 3, uids, uids, masks, timeouts, results), GW_OK);
        CHECK_EQUAL(results[0].status, GW_OK);
        CHECK_EQUAL(results[1].status, GW_PERMISSION_DENIED);
        CHECK_EQUAL(results[2].status, GW_OK);
        CHECK_EQUAL(asked, 3);
        CHECK_EQUAL(gw_gate_release_many(gate, 3, uids, uids, masks, results), GW_OK);
        CHECK_EQUAL(told, 6);
        gw_gate_destroy(gate);
    }
}

TEST(a_batch_through_a_gate_refuses_what_cannot_be) {
    static struct groups log;
    const uint32_t one = 1;
    gw_command command;
    gw_result result;
    gw_ticket ticket = {0, 0};
    uint8_t settled = 0;
    for (int with_log = 0; with_log < 2; ++with_log) {
        gw_gate* const gate = make_gate(with_log ? &log : NULL);
        make_commands(&command, 1);
        CHECK_EQUAL(gw_gate_apply_many(NULL, 1, &one, &one, &one, &one, &result), GW_ARGUMENT_INVALID);
        CHECK_EQUAL(gw_gate_apply_many(gate, 1, NULL, &one, &one, &one, &result), GW_ARGUMENT_INVALID);
        CHECK_EQUAL(gw_gate_apply_many(gate, 1, &one, &one, &one, NULL, &result), GW_ARGUMENT_INVALID);
        CHECK_EQUAL(gw_gate_apply_many(gate, 1, &one, &one, &one, &one, NULL), GW_ARGUMENT_INVALID);
        CHECK_EQUAL(gw_gate_release_many(NULL, 1, &one, &one, &one, &result), GW_ARGUMENT_INVALID);
        CHECK_EQUAL(gw_gate_release_many(gate, 1, &one, NULL, &one, &result), GW_ARGUMENT_INVALID);
        CHECK_EQUAL(gw_gate_stage_many(NULL, &command, 1, &result, &ticket), GW_ARGUMENT_INVALID);
        CHECK_EQUAL(gw_gate_stage_many(gate, NULL, 1, &result, &ticket), GW_ARGUMENT_INVALID);
        CHECK_EQUAL(gw_gate_stage_many(gate, &command, 1, NULL, &ticket), GW_ARGUMENT_INVALID);
        CHECK_EQUAL(gw_gate_stage_many(gate, &command, 1, &result, NULL), GW_ARGUMENT_INVALID);
        command.size -= 1;
        CHECK_EQUAL(gw_gate_stage_many(gate, &command, 1, &result, &ticket), GW_ARGUMENT_INVALID);
        command.size += 1;
        command.kind = GW_COMMAND_COUNT;
        CHECK_EQUAL(gw_gate_stage_many(gate, &command, 1, &result, &ticket), GW_ARGUMENT_INVALID);
        command.kind = GW_COMMAND_APPLY;
        command.bundle.size = 5;
        CHECK_EQUAL(gw_gate_stage_many(gate, &command, 1, &result, &ticket), GW_ARGUMENT_INVALID);
        CHECK_EQUAL(gw_gate_await_many(NULL, &ticket, 0, &settled, &result, 1), GW_ARGUMENT_INVALID);
        CHECK_EQUAL(gw_gate_await_many(gate, NULL, 0, &settled, &result, 1), GW_ARGUMENT_INVALID);
        CHECK_EQUAL(gw_gate_await_many(gate, &ticket, 0, NULL, &result, 1), GW_ARGUMENT_INVALID);
        CHECK_EQUAL(gw_gate_await_many(gate, &ticket, 0, &settled, NULL, 1), GW_ARGUMENT_INVALID);
        CHECK_EQUAL(gate_held(gate, 1000), 0);
        if (with_log) CHECK_EQUAL(log.count, 0);
        gw_gate_destroy(gate);
    }
}

/* Applies two, in one call or in two steps. A ticket whose answer could not be taken for want of memory is taken again. */
static gw_status apply_two(gw_gate* gate, int in_steps, gw_result* results) {
    const uint32_t uids[] = {1000, 1001}, masks[] = {GW_TYPE_GPS, GW_TYPE_GPS}, timeouts[] = {500, 500};
    gw_command commands[2];
    gw_ticket ticket = {0, 0};
    uint8_t settled = 0;
    uint64_t at = 0;
    if (!in_steps) return gw_gate_apply_many(gate, 2, uids, uids, masks, timeouts, results);
    make_commands(commands, 2);
    CHECK(gw_gate_enter(gate, &at) != NULL);
    const gw_status status = gw_gate_stage_many(gate, commands, 2, results, &ticket);
    gw_gate_leave(gate);
    if (status != GW_OK) return status;
    const gw_status first = gw_gate_await_many(gate, &ticket, GW_FOREVER, &settled, results, 2);
    if (first != GW_OUT_OF_MEMORY || settled) return first;
    return gw_gate_await_many(gate, &ticket, GW_FOREVER, &settled, results, 2);
}

TEST(every_allocation_of_a_batch_through_a_gate_may_fail) {
    static struct groups log;
    for (int kind = 0; kind < 4; ++kind) {
        const int with_log = kind & 1;
        size_t passed = 0;
        for (int failed = 1; failed; ++passed) {
            gw_gate* const gate = make_gate(with_log ? &log : NULL);
            gw_result results[2] = {{GW_NOT_READY, 0}, {GW_NOT_READY, 0}};
            size_t left = passed;
            fail_allocation(ALLOCATION_NOTHROW | ALLOCATION_THROWING, left);
            const gw_status status = apply_two(gate, kind & 2, results);
            failed = stop_failing(&left);
            if (status == GW_OK && with_log) CHECK_EQUAL(log.count, 1);
            if (status != GW_OK) {
                CHECK(failed);
                CHECK_EQUAL(status, GW_OUT_OF_MEMORY);
                CHECK_EQUAL(gate_held(gate, 1000) | gate_held(gate, 1001), 0);
                CHECK_EQUAL(results[0].status, GW_NOT_READY);
                CHECK_EQUAL(apply_two(gate, kind & 2, results), GW_OK);
            }
            if (results[1].status == GW_OUT_OF_MEMORY) CHECK(failed && !with_log); /* each row is for itself there */
            CHECK_EQUAL(apply_two(gate, kind & 2, results), GW_OK);
            CHECK_EQUAL(results[0].mask & results[1].mask, GW_TYPE_GPS);
            if (with_log) check_log(gate, &log);
            gw_gate_destroy(gate);
        }
        CHECK(passed > 3);
    }
}
