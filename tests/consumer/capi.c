/* Grants GPS for a second, lets it run out and reads the two events: through the installed C ABI alone. */
#include <grantwheel/grantwheel.h>

#include <stdio.h>

static int fail(const char* what, gw_status status) {
    fprintf(stderr, "consumer: %s: %s (%s)\n", what, gw_status_name(status), gw_status_text(status));
    return 1;
}

static int run(gw_manager* manager) {
    gw_caller caller = GW_CALLER_INIT;
    caller.uid = 1000;
    caller.pid = 42;
    caller.system_app = 1;
    gw_request request = GW_REQUEST_INIT;
    request.mask = GW_TYPE_GPS | GW_TYPE_AUDIO;
    request.timeout_ms = 1000;
    request.reason = gw_text_of("navigation");

    uint32_t mask = 0;
    gw_status status = gw_perform(manager, &caller, &request, 5, &mask);
    if (status != GW_OK || mask != (GW_TYPE_GPS | GW_TYPE_AUDIO)) return fail("the apply was refused", status);
    if (gw_wake_at(manager) > 1005) return fail("it would wake too late", GW_OK);

    size_t ended = 0;
    status = gw_advance(manager, 1004, GW_NO_BUDGET, &ended, NULL);
    if (status != GW_OK || ended != 0) return fail("the grants ended early", status);
    status = gw_advance(manager, 1005, GW_NO_BUDGET, &ended, NULL);
    if (status != GW_OK || ended != 2) return fail("the grants did not end", status);

    gw_event events[4];
    events[0].size = sizeof events[0];
    size_t count = 0;
    status = gw_read(manager, 0, events, 4, &count, NULL);
    if (status != GW_OK || count != 2) return fail("not two events", status);
    if (events[1].cause != GW_CAUSE_EXPIRED || events[1].time != 1005) return fail("not the right expiry", GW_OK);
    printf("grantwheel %s: granted and expired\n", gw_version());
    return 0;
}

int main(void) {
    gw_manager* manager = NULL;
    if (gw_abi_version() != GW_ABI_VERSION) return fail("the library is another one", GW_OK);
    const gw_status status = gw_create(NULL, &manager);
    if (status != GW_OK) return fail("no manager", status);
    const int result = run(manager);
    gw_destroy(manager);
    return result;
}
