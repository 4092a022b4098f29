/* Every allocation of a session that touches every call may fail: the answer is GW_OUT_OF_MEMORY, nothing has changed,
 * nothing is lost, and the session ends as it would have without. */
#include "../allocations/allocations.h"
#include "check.h"
#include "grantwheel/snapshot.h"

enum { APPS = 40, MOST_STEPS = 400, CAPACITY = 64 };

/* What a session acts on, and how many times its quota was told. */
typedef struct {
    gw_manager* manager;
    uint64_t now;
    uint64_t told;
} world;

/* A step answers what its call does, and through `got` what that has written. */
typedef gw_status (*step)(world* all, uint32_t i, uint32_t* got);
typedef struct {
    step run;
    uint32_t i;
    uint64_t now;
} planned;

static char text[200];
static gw_text text_of(uint32_t i) {
    const gw_text part = {text, i * 7 % sizeof text};
    return part;
}

static gw_status create(world* all, uint32_t i, uint32_t* got) {
    gw_limits limits = GW_LIMITS_INIT;
    limits.event_capacity = CAPACITY;
    limits.reserve = i;
    *got = 0;
    CHECK(gw_limits_first_invalid(&limits) == NULL);
    return gw_create(&limits, &all->manager);
}

static int32_t check(void* user, const gw_command* command) { return user != NULL && command->mask != 0; }
static void settle(void* user, uint32_t uid) { ((world*)user)->told += uid + 1; }
static void settle_otherwise(void* user, uint32_t uid) { ((world*)user)->told += (uint64_t)(uid + 1) << 32; }

static gw_status set_policy(world* all, uint32_t i, uint32_t* got) {
    gw_bundle_rule rules[5];
    gw_caller callers[APPS];
    for (uint32_t j = 0; j < 5; ++j) {
        gw_bundle_rule rule = GW_BUNDLE_RULE_INIT;
        rule.level_limit = 2;
        rule.bundle = text_of(i + j);
        rules[j] = rule;
    }
    for (uint32_t j = 0; j < APPS; ++j) {
        callers[j] = trusted(j, 0);
        callers[j].native = 1;
        callers[j].bundle = text_of(i + j % 5);
    }
    gw_policy policy = GW_POLICY_INIT;
    policy.rules = rules;
    policy.rule_count = 5;
    policy.callers = callers;
    policy.caller_count = APPS;
    policy.default_caller = callers;
    policy.quota_check = check;
    policy.quota_settle = i == 7 ? settle_otherwise : settle;
    policy.quota_user = all;
    *got = 0;
    return gw_set_policy(all->manager, &policy);
}

static gw_request request_of(uint32_t i) {
    gw_request request = timed(i % 2 ? GW_TYPE_ALL : GW_TYPE_CPU | GW_TYPE_SENSOR, 300 + i);
    request.is_process = i % 3 == 0;
    request.is_persist = i % 5 == 0;
    request.reason = text_of(i + 1);
    return request;
}

static gw_status perform(world* all, uint32_t i, uint32_t* got) {
    gw_caller caller = trusted(i, i);
    caller.bundle = text_of(i % 5);
    const gw_request request = request_of(i);
    return gw_perform(all->manager, &caller, &request, all->now, got);
}

/* Two steps, the second of which may be refused. */
static gw_status execute(world* all, uint32_t i, uint32_t* got) {
    const gw_caller caller = trusted(i, i);
    const gw_request request = request_of(i);
    gw_command command;
    command.size = sizeof command;
    const gw_status status = gw_admit(all->manager, &caller, &request, all->now, &command);
    return status == GW_OK ? gw_execute(all->manager, &command, all->now, got) : status;
}

/* One row, so that its status is that of the batch. */
static gw_status apply_many(world* all, uint32_t i, uint32_t* got) {
    const uint32_t mask = GW_TYPE_GPS, timeout = 500;
    gw_result result = {GW_OK, 0};
    const gw_status status = gw_apply_many(all->manager, 1, &i, &i, &mask, &timeout, all->now, &result);
    *got = result.mask;
    return status == GW_OK ? result.status : status;
}

static gw_status release_many(world* all, uint32_t i, uint32_t* got) {
    const uint32_t uids[] = {i, i + 1}, masks[] = {GW_TYPE_GPS, GW_TYPE_ALL};
    gw_result results[2] = {{GW_OK, 0}, {GW_OK, 0}};
    const gw_status status = gw_release_many(all->manager, 2, uids, uids, masks, all->now, results);
    size_t count = 0;
    (void)gw_cpu_ended(all->manager, &count);
    *got = results[0].mask ^ results[1].mask << 10 ^ (uint32_t)count << 20;
    return status;
}

/* All that allocates nothing, and all that changes nothing. */
static gw_status others(world* all, uint32_t i, uint32_t* got) {
    gw_manager* const m = all->manager;
    const uint64_t now = all->now;
    const gw_caller caller = trusted(i, i);
    gw_caller found = GW_CALLER_INIT;
    gw_command command;
    gw_record record;
    gw_stats stats;
    gw_event events[8];
    gw_owner owners[8];
    gw_result results[2];
    const uint32_t uids[] = {i, i + 1};
    uint32_t a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0;
    uint64_t deadline = 0, missed = 0;
    size_t count = 0, total = 0, holders = 0, ended = 0;
    uint8_t more = 0;
    command.size = sizeof command;
    record.size = sizeof record;
    stats.size = sizeof stats;
    events[0].size = sizeof events[0];
    const gw_status answers[] = {
        gw_caller_of(m, i, i, &found),
        gw_set_ready(m, gw_ready(m)),
        gw_admit_reset_all(m, &caller, now, &command),
        gw_admit_process_died(m, i, i, now, &command),
        gw_admit_app_stopped(m, i, now, &command),
        gw_admit_package_removed(m, i, now, &command),
        gw_admit_admin_reset_all(m, now, &command),
        gw_admit_admin_reset_app(m, i, GW_TYPE_ALL, now, &command),
        gw_admit_admin_reset_process(m, i, GW_TYPE_CPU, now, &command),
        gw_admit_query(m, &caller, now),
        gw_admit_native(m, &found),
        gw_check_time(m, now),
        gw_app_masks(m, 2, uids, now, results),
        gw_mask(m, app(i), now, &h),
        gw_find(m, app(i), now, &record),
        gw_owners_of(m, i, now, owners, 8, &total),
        gw_owners(m, GW_TYPE_ALL, NULL, now, owners, 8, &count),
        gw_count(m, GW_TYPE_CPU, now, &holders),
        gw_get_stats(m, now, &stats),
        gw_next_deadline(m, now, &deadline),
        gw_read(m, 0, events, 8, &count, &missed),
        gw_advance(m, now, 3, &ended, &more),
        gw_advance(m, now, GW_NO_BUDGET, &ended, &more),
        gw_reset_all(m, &caller, now, &a),
        gw_process_died(m, i + 3, i + 3, now, &b),
        gw_app_stopped(m, i + 5, now, &c),
        gw_package_removed(m, i + 7, now, &d),
        gw_admin_reset_app(m, i + 8, GW_TYPE_ALL, now, &e),
        gw_admin_reset_process(m, i + 9, GW_TYPE_CPU, now, &f),
        i % 2 ? gw_admin_reset_all(m, now, &g) : GW_OK,
    };
    for (size_t j = 0; j < sizeof answers / sizeof *answers; ++j) {
        if (answers[j] != GW_OK) return answers[j];
    }
    (void)gw_cpu_ended(m, &count);
    *got =
        a ^ b << 1 ^ c << 2 ^ d << 3 ^ e << 4 ^ f << 5 ^ g << 6 ^ h << 7 ^ (uint32_t)(holders + total + count + ended);
    *got += (uint32_t)(gw_wake_at(m) != 0) + (uint32_t)gw_most_owners(m, GW_TYPE_ALL);
    return GW_OK;
}

/* A snapshot is written and read into a manager of its own, which has the same state then. */
static gw_status copy(world* all, uint32_t i, uint32_t* got) {
    static unsigned char room[GW_SECTION_BYTES];
    const gw_hash_key key = {{i, i}};
    gw_snapshot_writer* writer = NULL;
    gw_snapshot_reader* reader = NULL;
    gw_manager* made = NULL;
    gw_section section = {.size = sizeof section};
    gw_section used = {.size = sizeof used};
    uint64_t hash = 0, copied = 1;
    gw_status status = gw_snapshot_write_begin(all->manager, &writer);
    if (status == GW_OK) status = gw_snapshot_read_begin(NULL, key, &reader);
    while (status == GW_OK && !section.done) {
        status = gw_snapshot_write(writer, room, sizeof room, &section);
        if (status == GW_OK) status = gw_snapshot_read(reader, room, section.bytes, &used);
    }
    if (status == GW_OK) status = gw_snapshot_take(reader, &made);
    if (status == GW_OUT_OF_MEMORY && used.done) status = gw_snapshot_take(reader, &made) == GW_OK ? status : GW_OK;
    if (status == GW_OK) status = gw_state_hash(made, &copied);
    if (status == GW_OK) status = gw_state_hash(all->manager, &hash);
    if (status == GW_OK) *got = (uint32_t)(hash == copied && used.done);
    gw_snapshot_write_end(writer);
    gw_snapshot_read_end(reader);
    gw_destroy(made);
    return status;
}

static void mix(uint64_t* hash, const void* bytes, size_t size) {
    const unsigned char* const all = bytes;
    for (size_t i = 0; i < size; ++i) *hash = (*hash ^ all[i]) * 0x100000001B3u;
}
static void mix_number(uint64_t* hash, uint64_t number) { mix(hash, &number, sizeof number); }

/* A number that depends on all that can be seen of a manager. */
static uint64_t look(const world* all) {
    uint64_t hash = 0xCBF29CE484222325u;
    gw_manager* const m = all->manager;
    if (m == NULL) return hash;
    CHECK(gw_validate(m) == NULL);
    mix_number(&hash, gw_ready(m));
    gw_owner owners[4 * APPS];
    size_t count = 0;
    CHECK_EQUAL(gw_owners(m, GW_TYPE_ALL, NULL, all->now, owners, sizeof owners / sizeof *owners, &count), GW_OK);
    for (size_t i = 0; i < count; ++i) {
        gw_record record;
        record.size = sizeof record;
        CHECK_EQUAL(gw_find(m, owners[i], all->now, &record), GW_OK);
        const uint64_t numbers[] = {(uint64_t)owners[i].kind, owners[i].key, record.uid, record.pid, record.mask};
        mix(&hash, numbers, sizeof numbers);
        mix(&hash, record.bundle.data, record.bundle.size);
        for (uint32_t j = 0; j < record.grant_count; ++j) {
            const gw_grant* const grant = &record.grants[j];
            const uint64_t more[] = {grant->type, grant->timeout_ms, grant->deadline, grant->is_persist};
            mix(&hash, more, sizeof more);
            mix(&hash, grant->reason.data, grant->reason.size);
        }
    }
    mix_number(&hash, all->told); /* what has ended above included: by the functions that are in effect */
    gw_stats stats;
    memset(&stats, 0, sizeof stats);
    stats.size = sizeof stats;
    CHECK_EQUAL(gw_get_stats(m, all->now, &stats), GW_OK);
    mix(&hash, &stats, sizeof stats);
    uint64_t deadline = 0;
    CHECK_EQUAL(gw_next_deadline(m, all->now, &deadline), GW_OK);
    mix_number(&hash, deadline);
    gw_event events[CAPACITY];
    events[0].size = sizeof events[0];
    CHECK_EQUAL(gw_read(m, 0, events, CAPACITY, &count, NULL), GW_OK);
    for (size_t i = 0; i < count; ++i) {
        const uint64_t numbers[] = {
            (uint64_t)events[i].kind, events[i].sequence,       events[i].time, events[i].uid, events[i].pid,
            events[i].mask,           (uint64_t)events[i].cause};
        mix(&hash, numbers, sizeof numbers);
        mix(&hash, events[i].bundle.data, events[i].bundle.size);
    }
    gw_caller caller = GW_CALLER_INIT;
    CHECK_EQUAL(gw_caller_of(m, 1, 1, &caller), GW_OK);
    mix(&hash, caller.bundle.data, caller.bundle.size);
    return hash;
}

static planned plan[MOST_STEPS];
static size_t planned_count;

static void add(step run, uint32_t i, uint64_t now) {
    const planned one = {run, i, now};
    plan[planned_count++] = one;
}

static void make_plan(void) {
    memset(text, 't', sizeof text);
    planned_count = 0;
    add(create, 3, 0);
    add(perform, 1, 0);
    add(set_policy, 2, 0);
    for (uint32_t i = 0; i < APPS; ++i) add(i % 4 == 1 ? execute : perform, i, i);
    for (uint32_t i = 0; i < 10; ++i) add(apply_many, APPS + i, 50);
    add(release_many, 2, 60);
    add(others, 2, 60);
    for (uint32_t i = 0; i < 5; ++i) add(perform, i, 61);
    add(set_policy, 7, 400); /* some are due, and nobody has said so yet */
    for (uint32_t i = 0; i < 2 * APPS; ++i) add(perform, 2 * APPS + i, 400);
    add(release_many, 3 * APPS, 401);
    add(others, 5, 405);
    add(copy, 9, 405);
}

/* Goes through the plan with the allocation after `passed` others failing. Returns whether it came to that. */
static int go_through(size_t passed) {
    world subject = {NULL, 0, 0}, twin = {NULL, 0, 0};
    int failed = 0;
    for (size_t i = 0; i < planned_count; ++i) {
        const planned* const one = &plan[i];
        uint32_t got = 0, expected = 0;
        subject.now = twin.now = one->now;
        fail_allocation(failed ? 0 : ALLOCATION_NOTHROW | ALLOCATION_THROWING, passed);
        gw_status status = one->run(&subject, one->i, &got);
        const int fails_here = stop_failing(&passed);
        CHECK_EQUAL(status, fails_here ? GW_OUT_OF_MEMORY : GW_OK);
        if (fails_here) {
            failed = 1;
            CHECK_EQUAL(got, 0);
            CHECK_EQUAL(look(&subject), look(&twin));
            status = one->run(&subject, one->i, &got);
            CHECK_EQUAL(status, GW_OK);
        }
        CHECK_EQUAL(one->run(&twin, one->i, &expected), GW_OK);
        CHECK_EQUAL(got, expected);
        if (subject.manager == NULL || twin.manager == NULL) return 0;
    }
    CHECK_EQUAL(look(&subject), look(&twin));
    gw_destroy(subject.manager);
    gw_destroy(twin.manager);
    return failed;
}

TEST(every_allocation_of_a_session_may_fail) {
    make_plan();
    const size_t live = allocations_live();
    size_t passed = 0;
    while (go_through(passed)) {
        ++passed;
        CHECK_EQUAL(allocations_live(), live);
    }
    CHECK(passed > 60); /* or the operators of this program are not those of the library */
}
