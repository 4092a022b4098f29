// Grants GPS for a second, lets it run out and reads the two events: through the installed headers and library alone.
#include <grantwheel/version.h>
#include <grantwheel/clock.hpp>
#include <grantwheel/manager.hpp>

#include <cstdio>

namespace gw = grantwheel;

namespace {

int fail(const char* what) {
    std::fprintf(stderr, "consumer: %s\n", what);
    return 1;
}

}  // namespace

int main() {
    const auto manager = gw::Manager::create(gw::Limits{});
    if (!manager) return fail("no manager");

    gw::Caller caller;
    caller.uid = 1000;
    caller.pid = 42;
    caller.system_app = true;
    gw::Request request;
    request.mask = gw::type::GPS;
    request.timeout_ms = 1000;
    request.reason = "navigation";

    const gw::Instant start = gw::boot_now();
    const gw::Result granted = manager->request(caller, request, start);
    if (granted.status != gw::Status::ok || granted.mask != gw::type::GPS) return fail("the apply was refused");

    gw::Engine& engine = manager->engine();
    if (engine.advance(start + 999, 100).ended != 0) return fail("the grant ended early");
    if (engine.advance(start + 1000, 100).ended != 1) return fail("the grant did not end");

    gw::Event events[4];
    if (engine.read(0, events).count != 2) return fail("not two events");
    if (events[1].cause != gw::Cause::expired || events[1].time != start + 1000) return fail("not the right expiry");
    std::printf("grantwheel %s: granted and expired\n", GRANTWHEEL_VERSION);
    return 0;
}
