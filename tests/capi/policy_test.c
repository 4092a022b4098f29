/* The policy: replaced whole, or not at all. */
#include "check.h"

/* Applies as a bundle; answers the status. */
static gw_status apply_as(gw_manager* manager, const char* bundle, uint32_t mask, int32_t level, uint32_t* granted) {
    gw_caller caller = trusted(5, 6);
    gw_request request = timed(mask, 100);
    caller.bundle = gw_text_of(bundle);
    request.cpu_level = level;
    return gw_perform(manager, &caller, &request, 0, granted);
}

TEST(rules_say_what_a_bundle_may_hold) {
    gw_manager* const manager = make_manager();
    gw_bundle_rule rules[3] = {GW_BUNDLE_RULE_INIT, GW_BUNDLE_RULE_INIT, GW_BUNDLE_RULE_INIT};
    rules[0].bundle = gw_text_of("mail");
    rules[0].allowed = GW_TYPE_CPU | GW_TYPE_GPS;
    rules[0].level_limit = GW_LEVEL_MEDIUM;
    rules[1].bundle = gw_text_of("none");
    rules[1].is_known = 0;
    rules[2].bundle = gw_text_of("maps");
    gw_bundle_rule usual = GW_BUNDLE_RULE_INIT;
    usual.allowed = GW_TYPE_AUDIO;
    gw_policy policy = GW_POLICY_INIT;
    policy.rules = rules;
    policy.rule_count = 3;
    usual.bundle.size = 5; /* of a null pointer, and not read */
    policy.default_rule = &usual;
    CHECK_EQUAL(gw_set_policy(manager, &policy), GW_OK);
    memset(rules, 0xAA, sizeof rules); /* it was copied */
    uint32_t mask = 0;
    CHECK_EQUAL(apply_as(manager, "mail", GW_TYPE_ALL, GW_LEVEL_MEDIUM, &mask), GW_OK);
    CHECK_EQUAL(mask, GW_TYPE_CPU | GW_TYPE_GPS);
    CHECK_EQUAL(apply_as(manager, "mail", GW_TYPE_ALL, GW_LEVEL_LARGE, NULL), GW_LEVEL_ABOVE_LIMIT);
    CHECK_EQUAL(apply_as(manager, "maps", GW_TYPE_ALL, GW_LEVEL_SMALL, NULL), GW_LEVEL_NOT_CONFIGURED);
    CHECK_EQUAL(apply_as(manager, "none", GW_TYPE_ALL, GW_LEVEL_DEFAULT, NULL), GW_PERMISSION_DENIED);
    CHECK_EQUAL(apply_as(manager, "post", GW_TYPE_ALL, GW_LEVEL_DEFAULT, &mask), GW_OK);
    CHECK_EQUAL(mask, GW_TYPE_AUDIO);
    CHECK_EQUAL(gw_set_policy(manager, NULL), GW_OK);
    CHECK_EQUAL(apply_as(manager, "none", GW_TYPE_ALL, GW_LEVEL_DEFAULT, &mask), GW_OK);
    CHECK_EQUAL(mask, GW_TYPE_ALL);
    gw_destroy(manager);
}

TEST(callers_are_found_by_uid) {
    gw_manager* const manager = make_manager();
    gw_caller callers[2] = {GW_CALLER_INIT, GW_CALLER_INIT};
    callers[0].uid = 10;
    callers[0].bundle = gw_text_of("mail");
    callers[0].service_extension = 1;
    callers[1].uid = 11;
    callers[1].native = 1;
    gw_caller usual = GW_CALLER_INIT;
    usual.bundle = gw_text_of("other");
    gw_policy policy = GW_POLICY_INIT;
    policy.callers = callers;
    policy.caller_count = 2;
    policy.default_caller = &usual;
    CHECK_EQUAL(gw_set_policy(manager, &policy), GW_OK);
    gw_caller caller;
    caller.size = sizeof caller;
    CHECK_EQUAL(gw_caller_of(manager, 10, 77, &caller), GW_OK);
    CHECK_TEXT(caller.bundle, "mail");
    CHECK_EQUAL(caller.uid, 10);
    CHECK_EQUAL(caller.pid, 77);
    CHECK_EQUAL(caller.service_extension, 1);
    CHECK_EQUAL(caller.system_app, 0);
    CHECK_EQUAL(gw_caller_of(manager, 11, 1, &caller), GW_OK);
    CHECK_EQUAL(caller.native, 1);
    CHECK_EQUAL(gw_caller_of(manager, -4, 1, &caller), GW_OK);
    CHECK_TEXT(caller.bundle, "other");
    CHECK_EQUAL(caller.uid, -4);
    CHECK_EQUAL(gw_set_policy(manager, NULL), GW_OK);
    CHECK_EQUAL(gw_caller_of(manager, 10, 77, &caller), GW_OK);
    CHECK_EQUAL(caller.bundle.size, 0);
    CHECK_EQUAL(caller.system_app, 1);
    CHECK_EQUAL(caller.native, 1);
    gw_destroy(manager);
}

/* What a newer header might have: more fields behind those that the library knows. */
typedef struct newer_rule {
    gw_bundle_rule known;
    uint64_t more[3];
} newer_rule;

TEST(the_size_of_the_first_rule_is_the_stride) {
    gw_manager* const manager = make_manager();
    newer_rule rules[2];
    memset(rules, 0x55, sizeof rules);
    for (int i = 0; i < 2; ++i) {
        rules[i].known = (gw_bundle_rule)GW_BUNDLE_RULE_INIT;
        rules[i].known.size = sizeof(newer_rule);
        rules[i].known.allowed = i == 0 ? GW_TYPE_CPU : GW_TYPE_GPS;
        rules[i].known.bundle = gw_text_of(i == 0 ? "first" : "second");
    }
    gw_policy policy = GW_POLICY_INIT;
    policy.rules = &rules[0].known;
    policy.rule_count = 2;
    CHECK_EQUAL(gw_set_policy(manager, &policy), GW_OK);
    uint32_t mask = 0;
    CHECK_EQUAL(apply_as(manager, "second", GW_TYPE_ALL, GW_LEVEL_DEFAULT, &mask), GW_OK);
    CHECK_EQUAL(mask, GW_TYPE_GPS);
    rules[1].known.size = sizeof(gw_bundle_rule);
    CHECK_EQUAL(gw_set_policy(manager, &policy), GW_ARGUMENT_INVALID);
    rules[0].known.size = sizeof(gw_bundle_rule) + 1;
    CHECK_EQUAL(gw_set_policy(manager, &policy), GW_ARGUMENT_INVALID);
    gw_destroy(manager);
}

TEST(a_policy_that_is_refused_leaves_the_old_one) {
    gw_manager* const manager = make_manager();
    gw_bundle_rule rule = GW_BUNDLE_RULE_INIT;
    gw_policy policy = GW_POLICY_INIT;
    rule.bundle = gw_text_of("mail");
    rule.allowed = GW_TYPE_GPS;
    policy.rules = &rule;
    policy.rule_count = 1;
    CHECK_EQUAL(gw_set_policy(manager, &policy), GW_OK);

    rule.allowed = GW_TYPE_ALL;
    rule.level_limit = GW_LEVEL_LARGE + 1;
    CHECK_EQUAL(gw_set_policy(manager, &policy), GW_ARGUMENT_INVALID);
    rule.level_limit = GW_LEVEL_DEFAULT;
    rule.bundle = gw_text_of("\xED\xA0\x80");
    CHECK_EQUAL(gw_set_policy(manager, &policy), GW_PARCEL_FAILED);
    static char long_text[1025];
    memset(long_text, 'x', sizeof long_text);
    rule.bundle = (gw_text){long_text, sizeof long_text};
    CHECK_EQUAL(gw_set_policy(manager, &policy), GW_IDENTITY_INVALID);
    rule.bundle = (gw_text){NULL, 1};
    CHECK_EQUAL(gw_set_policy(manager, &policy), GW_ARGUMENT_INVALID);
    policy.rules = NULL;
    CHECK_EQUAL(gw_set_policy(manager, &policy), GW_ARGUMENT_INVALID);
    policy.rule_count = 0;
    gw_caller caller = GW_CALLER_INIT; /* its uid is -1 */
    policy.callers = &caller;
    policy.caller_count = 1;
    CHECK_EQUAL(gw_set_policy(manager, &policy), GW_IDENTITY_INVALID);
    caller.uid = 3;
    policy.callers = NULL;
    CHECK_EQUAL(gw_set_policy(manager, &policy), GW_ARGUMENT_INVALID);
    policy.caller_count = 0;
    gw_bundle_rule usual = GW_BUNDLE_RULE_INIT;
    usual.size = 4;
    policy.default_rule = &usual;
    CHECK_EQUAL(gw_set_policy(manager, &policy), GW_ARGUMENT_INVALID);
    policy.default_rule = NULL;
    caller.size = 4;
    policy.default_caller = &caller;
    CHECK_EQUAL(gw_set_policy(manager, &policy), GW_ARGUMENT_INVALID);
    policy.default_caller = NULL;
    policy.size = 4;
    CHECK_EQUAL(gw_set_policy(manager, &policy), GW_ARGUMENT_INVALID);

    uint32_t mask = 0;
    CHECK_EQUAL(apply_as(manager, "mail", GW_TYPE_ALL, GW_LEVEL_DEFAULT, &mask), GW_OK);
    CHECK_EQUAL(mask, GW_TYPE_GPS);
    gw_destroy(manager);
}

TEST(longer_timeouts_are_cut_or_refused) {
    gw_manager* const manager = make_manager();
    gw_bundle_rule rules[2] = {GW_BUNDLE_RULE_INIT, GW_BUNDLE_RULE_INIT};
    rules[0].bundle = gw_text_of("mail");
    rules[0].timeout_max_ms[5] = 40; /* of GW_TYPE_GPS */
    rules[1] = rules[0];
    rules[1].bundle = gw_text_of("post");
    rules[1].refuses_longer = 1;
    gw_policy policy = GW_POLICY_INIT;
    policy.rules = rules;
    policy.rule_count = 2;
    CHECK_EQUAL(gw_set_policy(manager, &policy), GW_OK);

    gw_caller caller = trusted(5, 6);
    caller.bundle = gw_text_of("mail");
    gw_request request = timed(GW_TYPE_GPS | GW_TYPE_CPU, 100);
    gw_command command;
    command.size = sizeof command;
    CHECK_EQUAL(gw_admit(manager, &caller, &request, 0, &command), GW_OK);
    CHECK_EQUAL(command.timeout_ms, 100);
    CHECK_EQUAL(command.capped, GW_TYPE_GPS);
    CHECK_EQUAL(command.caps_ms[5], 40);
    CHECK_EQUAL(gw_execute(manager, &command, 0, NULL), GW_OK);
    CHECK_EQUAL(held(manager, 5, 39), GW_TYPE_GPS | GW_TYPE_CPU);
    CHECK_EQUAL(held(manager, 5, 40), GW_TYPE_CPU);
    gw_record record;
    record.size = sizeof record;
    CHECK_EQUAL(gw_find(manager, app(5), 0, &record), GW_OK);
    CHECK_EQUAL(record.grants[1].timeout_ms, 40);

    command.caps_ms[5] = 0;
    CHECK_EQUAL(gw_execute(manager, &command, 0, NULL), GW_REQUEST_INVALID);
    caller.bundle = gw_text_of("post");
    CHECK_EQUAL(gw_perform(manager, &caller, &request, 0, NULL), GW_PERMISSION_DENIED);
    request.timeout_ms = 40;
    CHECK_EQUAL(gw_perform(manager, &caller, &request, 0, NULL), GW_OK);
    gw_destroy(manager);
}
