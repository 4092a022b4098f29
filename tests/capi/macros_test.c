/* The header for C after the macros of common headers. */
#include "../macros.h"
/* */
#include "grantwheel/grantwheel.h"
#include "grantwheel/status.h"
#include "grantwheel/version.h"
/* */
#include "check.h"

TEST(names_survive_the_macros_of_common_headers) {
    gw_manager* const manager = make_manager();
    CHECK_EQUAL(apply(manager, 1, GW_TYPE_CPU, 5, 1), GW_OK);
    CHECK_EQUAL(held(manager, 1, 1), GW_TYPE_CPU);
    CHECK_EQUAL(gw_status_public_code(GW_PERMISSION_DENIED), 201);
    gw_destroy(manager);
}
