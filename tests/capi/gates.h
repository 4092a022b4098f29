/* Gates over a log in memory, in the time of the test. Not thread-safe. */
#ifndef GRANTWHEEL_TESTS_CAPI_GATES_H
#define GRANTWHEEL_TESTS_CAPI_GATES_H

#include "check.h"
#include "grantwheel/gate.h"
#include "grantwheel/snapshot.h"

enum { MOST_GROUPS = 16, MOST_BYTES = 4096 };

/* A log in memory; `answer` is what the next append answers, and `keeps` whether it has the group then. */
struct groups {
    unsigned char bytes[MOST_GROUPS][MOST_BYTES];
    size_t sizes[MOST_GROUPS];
    uint64_t count;
    int32_t answer;
    int keeps;
    int unknown;
};

static inline int32_t append(void* user, uint64_t after, const void* group, size_t size) {
    struct groups* const log = user;
    if (after != log->count || after == MOST_GROUPS || size > MOST_BYTES) return GW_APPEND_CONFLICT;
    if (log->keeps) {
        memcpy(log->bytes[log->count], group, size);
        log->sizes[log->count++] = size;
    }
    return log->answer;
}

static inline int32_t last(void* user, uint64_t* count) {
    struct groups* const log = user;
    *count = log->count;
    return log->unknown-- <= 0;
}

static inline uint64_t test_clock(void* user) { return *(const uint64_t*)user; }

static uint64_t now;

/* Has a gate put its groups into that log, emptied before, or into none. */
static inline void put_log(gw_gate_options* options, struct groups* log) {
    if (log == NULL) return;
    memset(log, 0, sizeof *log);
    log->keeps = 1;
    options->append = append;
    options->last = last;
    options->log_user = log;
}

static inline gw_gate* make_gate(struct groups* log) {
    gw_gate_options options = GW_GATE_OPTIONS_INIT;
    gw_gate* gate = NULL;
    now = 100;
    options.clock = test_clock;
    options.clock_user = &now;
    put_log(&options, log);
    CHECK_EQUAL(gw_gate_create(make_manager(), &options, &gate), GW_OK);
    return gate;
}

/* One over the log, or over none, whose manager asks and tells this quota. Its clock stands at 0. */
static inline gw_gate* make_quota_gate(struct groups* log, int32_t (*check)(void*, const gw_command*),
                                       void (*settle)(void*, uint32_t)) {
    gw_policy policy = GW_POLICY_INIT;
    gw_gate_options options = GW_GATE_OPTIONS_INIT;
    gw_manager* const manager = make_manager();
    gw_gate* gate = NULL;
    policy.quota_check = check;
    policy.quota_settle = settle;
    CHECK_EQUAL(gw_set_policy(manager, &policy), GW_OK);
    put_log(&options, log);
    CHECK_EQUAL(gw_gate_create(manager, &options, &gate), GW_OK);
    return gate;
}

static inline gw_status gate_apply(gw_gate* gate, int64_t uid, uint32_t mask, uint64_t timeout_ms) {
    const gw_caller caller = trusted(uid, 42);
    const gw_request request = timed(mask, timeout_ms);
    return gw_gate_perform(gate, &caller, &request, NULL);
}

static inline uint32_t gate_held(gw_gate* gate, uint32_t uid) {
    uint32_t mask = 77;
    CHECK_EQUAL(gw_gate_mask(gate, app(uid), &mask), GW_OK);
    return mask;
}

static inline void read_hash(void* hash, const gw_manager* manager, uint64_t at) {
    (void)at;
    CHECK_EQUAL(gw_state_hash(manager, hash), GW_OK);
}

/* Whether a follower of the log has the state of the gate. */
static inline void check_log(gw_gate* gate, const struct groups* log) {
    gw_manager* const follower = make_manager();
    uint64_t hash = 0;
    uint64_t followed = 1;
    for (uint64_t i = 0; i < log->count; ++i) {
        CHECK_EQUAL(gw_follow(follower, log->bytes[i], log->sizes[i]), GW_OK);
    }
    CHECK_EQUAL(gw_gate_read(gate, NULL, read_hash, &hash), GW_OK);
    CHECK_EQUAL(gw_state_hash(follower, &followed), GW_OK);
    CHECK(hash == followed);
    gw_destroy(follower);
}

#endif
