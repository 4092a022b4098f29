// What needs no manager.
#include <cstring>

#include "capi/values.hpp"
#include "grantwheel/version.h"

using namespace grantwheel;

uint32_t gw_abi_version(void) noexcept { return GW_ABI_VERSION; }
const char* gw_version(void) noexcept { return GRANTWHEEL_VERSION; }

// The texts of the list are literals, and so terminated.
const char* gw_status_name(gw_status status) noexcept { return status_name(static_cast<Status>(status)).data(); }
const char* gw_status_text(gw_status status) noexcept { return status_text(static_cast<Status>(status)).data(); }
int32_t gw_status_public_code(gw_status status) noexcept { return public_code(static_cast<Status>(status)); }

gw_text gw_text_of(const char* string) noexcept { return {string, string == nullptr ? 0 : std::strlen(string)}; }
