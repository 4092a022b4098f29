/* A case is a function that TEST declares and main.c runs; CHECK goes on after a failure. Not thread-safe. */
#ifndef GRANTWHEEL_TESTS_CAPI_CHECK_H
#define GRANTWHEEL_TESTS_CAPI_CHECK_H

#include <string.h>

#include "grantwheel/grantwheel.h"

void add_case(const char* name, void (*run)(void));
void fail(const char* file, int line, const char* what, long long got, long long expected);

#define TEST(name)                                                                       \
    static void name(void);                                                              \
    __attribute__((constructor)) static void add_##name(void) { add_case(#name, name); } \
    static void name(void)

#define CHECK(condition)                                              \
    do {                                                              \
        if (!(condition)) fail(__FILE__, __LINE__, #condition, 0, 1); \
    } while (0)

#define CHECK_EQUAL(got, expected)                                                                  \
    do {                                                                                            \
        const long long check_got = (long long)(got);                                               \
        const long long check_expected = (long long)(expected);                                     \
        if (check_got != check_expected) fail(__FILE__, __LINE__, #got, check_got, check_expected); \
    } while (0)

#define CHECK_TEXT(text, expected) \
    CHECK((text).size == strlen(expected) && (text).size != 0 && memcmp((text).data, (expected), (text).size) == 0)

/* A manager with the usual limits. */
static inline gw_manager* make_manager(void) {
    gw_manager* manager = NULL;
    CHECK_EQUAL(gw_create(NULL, &manager), GW_OK);
    return manager;
}

/* A caller that may ask for anything. */
static inline gw_caller trusted(int64_t uid, int64_t pid) {
    gw_caller caller = GW_CALLER_INIT;
    caller.uid = uid;
    caller.pid = pid;
    caller.system_app = 1;
    return caller;
}

static inline gw_request timed(uint32_t mask, uint64_t timeout_ms) {
    gw_request request = GW_REQUEST_INIT;
    request.mask = mask;
    request.timeout_ms = timeout_ms;
    return request;
}

static inline gw_status apply(gw_manager* manager, int64_t uid, uint32_t mask, uint64_t timeout_ms, uint64_t now) {
    const gw_caller caller = trusted(uid, uid + 1);
    const gw_request request = timed(mask, timeout_ms);
    return gw_perform(manager, &caller, &request, now, NULL);
}

static inline gw_owner app(uint32_t uid) {
    const gw_owner owner = {GW_OWNER_APP, uid};
    return owner;
}

/* What an app holds; the call has to succeed. */
static inline uint32_t held(const gw_manager* manager, uint32_t uid, uint64_t now) {
    uint32_t mask = 0;
    CHECK_EQUAL(gw_mask(manager, app(uid), now, &mask), GW_OK);
    return mask;
}

#endif
