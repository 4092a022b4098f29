/* The quota, asked by the library or by the host. */
#include "check.h"

typedef struct notes {
    gw_manager* manager;
    int32_t answer;
    int checks;
    int settles;
    uint32_t settled_uid;
    gw_command asked;
    uint32_t seen; /* what the app held when the quota was asked */
    gw_status reentered;
} notes;

static int32_t check(void* user, const gw_command* command) {
    notes* const all = user;
    ++all->checks;
    all->asked = *command;
    CHECK_EQUAL(gw_mask(all->manager, app(command->uid), 0, &all->seen), GW_OK);
    all->reentered = gw_execute(all->manager, command, 0, NULL);
    gw_destroy(all->manager);
    return all->answer;
}

static void settle(void* user, uint32_t uid) {
    notes* const all = user;
    ++all->settles;
    all->settled_uid = uid;
    all->reentered = gw_advance(all->manager, 0, 0, NULL, NULL);
}

static gw_policy with_quota(notes* all) {
    gw_policy policy = GW_POLICY_INIT;
    policy.quota_check = check;
    policy.quota_settle = settle;
    policy.quota_user = all;
    return policy;
}

TEST(the_quota_is_asked_and_told_in_one_step) {
    notes all = {make_manager(), 1, 0, 0, 0, {0}, 0, GW_OK};
    const gw_policy policy = with_quota(&all);
    CHECK_EQUAL(gw_set_policy(all.manager, &policy), GW_OK);
    CHECK_EQUAL(apply(all.manager, 7, GW_TYPE_CPU | GW_TYPE_GPS, 100, 0), GW_OK);
    CHECK_EQUAL(all.checks, 1);
    CHECK_EQUAL(all.asked.uid, 7);
    CHECK_EQUAL(all.asked.mask, GW_TYPE_CPU | GW_TYPE_GPS);
    CHECK_EQUAL(all.asked.kind, GW_COMMAND_APPLY);
    CHECK_EQUAL(all.asked.ask_quota, 1);
    CHECK_EQUAL(all.asked.size, sizeof(gw_command));
    CHECK_EQUAL(all.reentered, GW_IN_CALLBACK);
    CHECK_EQUAL(all.settles, 0);
    all.reentered = GW_OK;
    CHECK_EQUAL(gw_advance(all.manager, 100, GW_NO_BUDGET, NULL, NULL), GW_OK);
    CHECK_EQUAL(all.settles, 1);
    CHECK_EQUAL(all.settled_uid, 7);
    CHECK_EQUAL(all.reentered, GW_IN_CALLBACK);
    CHECK_EQUAL(apply(all.manager, 7, GW_TYPE_GPS, 100, 100), GW_OK); /* no CPU, no question */
    CHECK_EQUAL(all.checks, 1);
    gw_destroy(all.manager);
}

TEST(a_quota_that_says_no_refuses_the_whole_request) {
    notes all = {make_manager(), 0, 0, 0, 0, {0}, 0, GW_OK};
    const gw_policy policy = with_quota(&all);
    CHECK_EQUAL(gw_set_policy(all.manager, &policy), GW_OK);
    uint32_t mask = 77;
    const gw_caller caller = trusted(7, 8);
    const gw_request request = timed(GW_TYPE_CPU | GW_TYPE_GPS, 100);
    CHECK_EQUAL(gw_perform(all.manager, &caller, &request, 0, &mask), GW_PERMISSION_DENIED);
    CHECK_EQUAL(mask, 77);
    CHECK_EQUAL(held(all.manager, 7, 0), 0);
    const uint32_t uids[] = {7, 8}, pids[] = {1, 2}, masks[] = {GW_TYPE_CPU, GW_TYPE_GPS}, timeouts[] = {10, 10};
    gw_result results[2];
    CHECK_EQUAL(gw_apply_many(all.manager, 2, uids, pids, masks, timeouts, 0, results), GW_OK);
    CHECK_EQUAL(results[0].status, GW_PERMISSION_DENIED);
    CHECK_EQUAL(results[1].status, GW_OK);
    CHECK_EQUAL(all.checks, 2);
    gw_destroy(all.manager);
}

TEST(a_refused_call_tells_the_quota_nothing_again) {
    notes all = {make_manager(), 1, 0, 0, 0, {0}, 0, GW_OK};
    const gw_policy policy = with_quota(&all);
    CHECK_EQUAL(gw_set_policy(all.manager, &policy), GW_OK);
    CHECK_EQUAL(apply(all.manager, 7, GW_TYPE_CPU, 100, 0), GW_OK);
    CHECK_EQUAL(gw_app_stopped(all.manager, 7, 1, NULL), GW_OK);
    CHECK_EQUAL(all.settles, 1);
    size_t count = 0;
    CHECK_EQUAL(*gw_cpu_ended(all.manager, &count), 7);
    CHECK_EQUAL(count, 1);
    CHECK_EQUAL(apply(all.manager, 7, 512, 100, 1), GW_REQUEST_INVALID);
    CHECK_EQUAL(apply(all.manager, 7, GW_TYPE_GPS, 100, 0), GW_TIME_BACKWARDS);
    CHECK_EQUAL(all.settles, 1);
    (void)gw_cpu_ended(all.manager, &count);
    CHECK_EQUAL(count, 0);
    gw_destroy(all.manager);
}

TEST(a_batch_tells_the_quota_row_by_row) {
    notes all = {make_manager(), 1, 0, 0, 0, {0}, 0, GW_OK};
    const gw_policy policy = with_quota(&all);
    CHECK_EQUAL(gw_set_policy(all.manager, &policy), GW_OK);
    CHECK_EQUAL(apply(all.manager, 7, GW_TYPE_CPU, 100, 0), GW_OK);
    CHECK_EQUAL(apply(all.manager, 8, GW_TYPE_CPU, 100, 0), GW_OK);
    const uint32_t uids[] = {7, 8, 9}, pids[] = {1, 2, 3}, masks[] = {GW_TYPE_ALL, GW_TYPE_ALL, GW_TYPE_ALL};
    gw_result results[3];
    CHECK_EQUAL(gw_release_many(all.manager, 3, uids, pids, masks, 0, results), GW_OK);
    CHECK_EQUAL(results[1].mask, GW_TYPE_CPU);
    CHECK_EQUAL(all.settles, 2);
    CHECK_EQUAL(all.settled_uid, 8);
    gw_destroy(all.manager);
}

TEST(a_host_that_asks_itself_is_told_when) {
    gw_manager* const manager = make_manager();
    gw_policy policy = GW_POLICY_INIT;
    policy.asks_quota = 1;
    CHECK_EQUAL(gw_set_policy(manager, &policy), GW_OK);
    const gw_caller caller = trusted(7, 8);
    gw_request request = timed(GW_TYPE_CPU, 100);
    gw_command command;
    command.size = sizeof command;
    CHECK_EQUAL(gw_admit(manager, &caller, &request, 0, &command), GW_OK);
    CHECK_EQUAL(command.ask_quota, 1);
    CHECK_EQUAL(gw_execute(manager, &command, 0, NULL), GW_OK);
    size_t count = 9;
    (void)gw_cpu_ended(manager, &count);
    CHECK_EQUAL(count, 0);
    size_t holders = 9;
    CHECK_EQUAL(gw_count(manager, GW_TYPE_CPU, 100, &holders), GW_OK); /* a read across records ends what is due */
    CHECK_EQUAL(holders, 0);
    CHECK_EQUAL(*gw_cpu_ended(manager, &count), 7);
    CHECK_EQUAL(count, 1);
    request.is_persist = 1;
    CHECK_EQUAL(gw_admit(manager, &caller, &request, 100, &command), GW_OK);
    CHECK_EQUAL(command.ask_quota, 0);
    gw_destroy(manager);
}

TEST(without_a_quota_nothing_is_told) {
    gw_manager* const manager = make_manager();
    CHECK_EQUAL(apply(manager, 7, GW_TYPE_CPU, 100, 0), GW_OK);
    CHECK_EQUAL(gw_app_stopped(manager, 7, 1, NULL), GW_OK);
    size_t count = 9;
    (void)gw_cpu_ended(manager, &count);
    CHECK_EQUAL(count, 0);
    gw_destroy(manager);
}

/* A manager whose host asks its quota itself: two apps hold CPU, and a third has just lost it. */
static gw_manager* with_one_to_settle(void) {
    gw_manager* const manager = make_manager();
    gw_policy policy = GW_POLICY_INIT;
    policy.asks_quota = 1;
    CHECK_EQUAL(gw_set_policy(manager, &policy), GW_OK);
    for (uint32_t uid = 7; uid <= 9; ++uid) CHECK_EQUAL(apply(manager, uid, GW_TYPE_CPU, 100, 0), GW_OK);
    CHECK_EQUAL(gw_app_stopped(manager, 9, 1, NULL), GW_OK);
    size_t count = 0;
    (void)gw_cpu_ended(manager, &count);
    CHECK_EQUAL(count, 1);
    return manager;
}

TEST(a_call_with_wrong_arguments_leaves_nothing_to_settle) {
    const gw_caller caller = trusted(7, 8);
    const gw_request request = timed(GW_TYPE_GPS, 10);
    const gw_owner nobody = {-1, 0};
    gw_command command;
    memset(&command, 0, sizeof command);
    gw_owner owner;
    size_t found = 0;
    for (int i = 0; i < 13; ++i) {
        gw_manager* const m = with_one_to_settle();
        gw_policy policy = GW_POLICY_INIT;
        policy.size = 1;
        command.size = sizeof command;
        command.kind = 99;
        const gw_status answer = i == 0    ? gw_perform(m, NULL, &request, 1, NULL)
                                 : i == 1  ? gw_perform(m, &caller, NULL, 1, NULL)
                                 : i == 2  ? gw_reset_all(m, NULL, 1, NULL)
                                 : i == 3  ? gw_execute(m, NULL, 1, NULL)
                                 : i == 4  ? gw_execute(m, &command, 1, NULL)
                                 : i == 5  ? gw_apply_many(m, 1, NULL, NULL, NULL, NULL, 1, NULL)
                                 : i == 6  ? gw_release_many(m, 1, NULL, NULL, NULL, 1, NULL)
                                 : i == 7  ? gw_next_deadline(m, 1, NULL)
                                 : i == 8  ? gw_owners(m, GW_TYPE_ALL, NULL, 1, NULL, 1, &found)
                                 : i == 9  ? gw_owners(m, GW_TYPE_ALL, &nobody, 1, &owner, 1, &found)
                                 : i == 10 ? gw_count(m, GW_TYPE_GPS, 1, NULL)
                                 : i == 11 ? gw_get_stats(m, 1, NULL)
                                           : gw_set_policy(m, &policy);
        CHECK_EQUAL(answer, GW_ARGUMENT_INVALID);
        size_t count = 9;
        (void)gw_cpu_ended(m, &count);
        CHECK_EQUAL(count, 0);
        gw_destroy(m);
    }
}

TEST(a_batch_tells_all_that_its_rows_have_left_to_settle) {
    gw_manager* const manager = with_one_to_settle();
    const uint32_t uids[] = {8, 9, 7, 512}, pids[] = {1, 2, 3, 4}, timeouts[] = {10, 10, 10, 10};
    uint32_t masks[] = {GW_TYPE_ALL, GW_TYPE_ALL, GW_TYPE_ALL, 0};
    gw_result results[4];
    CHECK_EQUAL(gw_release_many(manager, 4, uids, pids, masks, 1, results), GW_OK);
    CHECK_EQUAL(results[3].status, GW_REQUEST_INVALID);
    size_t count = 0;
    const uint32_t* ended = gw_cpu_ended(manager, &count);
    CHECK_EQUAL(count, 2);
    CHECK(count == 2 && ended[0] == 8 && ended[1] == 7);
    for (int i = 0; i < 3; ++i) masks[i] = GW_TYPE_CPU;
    CHECK_EQUAL(gw_apply_many(manager, 4, uids, pids, masks, timeouts, 2, results), GW_OK);
    (void)gw_cpu_ended(manager, &count);
    CHECK_EQUAL(count, 0);
    CHECK_EQUAL(gw_apply_many(manager, 4, uids, pids, masks, timeouts, 12, results), GW_OK); /* all were due */
    ended = gw_cpu_ended(manager, &count);
    CHECK_EQUAL(count, 3);
    CHECK(count == 3 && ended[0] == 8 && ended[1] == 9 && ended[2] == 7);
    CHECK_EQUAL(gw_release_many(manager, 4, uids, pids, masks, 11, results), GW_TIME_BACKWARDS);
    (void)gw_cpu_ended(manager, &count);
    CHECK_EQUAL(count, 0);
    gw_destroy(manager);
}
