// Every public header after the macros of common headers, and their names used: this has to compile.
#include "../macros.h"
//
#include "grantwheel/clock.hpp"
#include "grantwheel/engine.hpp"
#include "grantwheel/grantwheel.h"
#include "grantwheel/manager.hpp"
#include "grantwheel/pages.hpp"
#include "grantwheel/policy.hpp"
#include "grantwheel/status.h"
#include "grantwheel/types.hpp"
#include "grantwheel/version.h"
// Xlib.h after one of ours, and then another.
#define Status int
#include "grantwheel/macros.hpp"

namespace grantwheel::test {

bool names_survive_macros();

bool names_survive_macros() {
    const auto manager = Manager::create({});
    if (manager == nullptr) return false;
    auto policy = Policy::create();
    const grantwheel::Status set = manager->set_policy(std::move(policy));
    const Result result =
        manager->request({.uid = 1, .pid = 2, .system_app = true}, {.mask = type::CPU, .timeout_ms = 5}, Instant{1});
    // What the macro stood for goes on to stand for it.
    const ::Status of_xlib = True;
    return set == grantwheel::Status::ok && result.status == grantwheel::Status::ok && result.mask == type::CPU &&
           of_xlib == 1 && GW_OK == 0;
}

}  // namespace grantwheel::test
