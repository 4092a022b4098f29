/* What needs no manager. */
#include "check.h"

TEST(the_versions_are_those_of_the_headers) {
    CHECK_EQUAL(gw_abi_version(), GW_ABI_VERSION);
    CHECK(strcmp(gw_version(), GRANTWHEEL_VERSION) == 0);
}

TEST(every_status_has_its_name_and_text) {
#define LISTED(name, NAME, inner, text)                    \
    CHECK(strcmp(gw_status_name(GW_##NAME), #name) == 0);  \
    CHECK(strcmp(gw_status_text(GW_##NAME), (text)) == 0); \
    CHECK_EQUAL(GW_##NAME, inner);
    GRANTWHEEL_STATUS_LIST(LISTED)
#undef LISTED
    CHECK(strcmp(gw_status_name(12345), "unknown") == 0);
    CHECK(strcmp(gw_status_text(-12345), "unknown") == 0);
}

TEST(public_codes_are_those_of_the_documentation) {
    CHECK_EQUAL(gw_status_public_code(GW_OK), 0);
    CHECK_EQUAL(gw_status_public_code(GW_ARGUMENT_INVALID), -1);
    CHECK_EQUAL(gw_status_public_code(GW_TIMEOUT_INVALID), 401);
    CHECK_EQUAL(gw_status_public_code(GW_PERMISSION_DENIED), 201);
    CHECK_EQUAL(gw_status_public_code(GW_NOT_READY), 9800004);
    CHECK_EQUAL(gw_status_public_code(GW_LEVEL_ABOVE_LIMIT), 18700001);
}

TEST(a_terminated_string_is_a_text) {
    CHECK_TEXT(gw_text_of("navigation"), "navigation");
    CHECK_EQUAL(gw_text_of("").size, 0);
    CHECK_EQUAL(gw_text_of(NULL).size, 0);
    CHECK(gw_text_of(NULL).data == NULL);
}

TEST(a_limit_out_of_range_is_named) {
    gw_limits limits = GW_LIMITS_INIT;
    CHECK(gw_limits_first_invalid(&limits) == NULL);
    limits.reserve = limits.max_records + 1;
    CHECK(strcmp(gw_limits_first_invalid(&limits), "reserve") == 0);
    limits.max_strings = 0;
    CHECK(strcmp(gw_limits_first_invalid(&limits), "max_strings") == 0);
    limits.max_records = UINT32_MAX;
    CHECK(strcmp(gw_limits_first_invalid(&limits), "max_records") == 0);
    limits.size = sizeof limits - 1;
    CHECK(strcmp(gw_limits_first_invalid(&limits), "size") == 0);
    CHECK(strcmp(gw_limits_first_invalid(NULL), "size") == 0);
}

TEST(a_manager_is_made_with_limits) {
    gw_limits limits = GW_LIMITS_INIT;
    gw_manager* manager = NULL;
    limits.max_records = 2;
    CHECK_EQUAL(gw_create(&limits, &manager), GW_OK);
    CHECK_EQUAL(apply(manager, 1, GW_TYPE_GPS, 10, 0), GW_OK);
    CHECK_EQUAL(apply(manager, 2, GW_TYPE_GPS, 50, 0), GW_OK);
    CHECK_EQUAL(apply(manager, 3, GW_TYPE_GPS, 50, 9), GW_OUT_OF_MEMORY);
    CHECK_EQUAL(apply(manager, 3, GW_TYPE_GPS, 50, 10), GW_OK); /* what is due is freed first */
    gw_destroy(manager);
    gw_destroy(NULL);
}

/* The key has no part in any answer. */
TEST(managers_with_any_key_answer_the_same) {
    const gw_hash_key keys[2] = {{{0, 0}}, {{UINT64_MAX, 12345}}};
    for (int i = 0; i < 2; ++i) {
        gw_manager* manager = NULL;
        CHECK_EQUAL(gw_create_keyed(NULL, keys[i], &manager), GW_OK);
        for (uint32_t uid = 0; uid < 100; ++uid) CHECK_EQUAL(apply(manager, uid, GW_TYPE_CPU, 50, 1), GW_OK);
        gw_owner owners[3];
        size_t count = 0;
        CHECK_EQUAL(gw_owners(manager, GW_TYPE_ALL, NULL, 2, owners, 3, &count), GW_OK);
        CHECK_EQUAL(count, 3);
        for (uint32_t uid = 0; uid < 3; ++uid) CHECK_EQUAL(owners[uid].key, uid);
        gw_destroy(manager);
    }
    CHECK_EQUAL(gw_create_keyed(NULL, keys[0], NULL), GW_ARGUMENT_INVALID);
}
