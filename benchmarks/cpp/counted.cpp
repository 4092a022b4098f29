// Carries out the workloads for one contender under valgrind's callgrind, which counts what each does and no more:
//
//   grantwheel_counted [NAME OWNERS]
//
// The counts of a call are those of one workload with so many owners, in fresh state, and are written under the name of
// the contender and that of the workload. Without arguments it names the contenders.
#include <valgrind/callgrind.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "grantwheel_contenders.hpp"
#include "host_contenders.hpp"
#include "plan.hpp"
#include "std_contender.hpp"
#include "workloads.hpp"

#ifdef GRANTWHEEL_HAS_BOOST
#include "boost_contender.hpp"
#include "wheel_contender.hpp"
#endif

namespace {

using namespace benchmarks;

template <typename Contender>
void count_all(std::string_view entry, const Plan& plan) {
    for (const NamedWorkload& workload : workloads) {
        const std::string name = std::string(entry) + "." + workload.name;
        Contender contender(plan.uids.size());
        run(workload.workload, contender, plan, [&](auto&& work) {
            CALLGRIND_TOGGLE_COLLECT;
            work();
            CALLGRIND_TOGGLE_COLLECT;
            CALLGRIND_DUMP_STATS_AT(name.c_str());
            return 0.0;
        });
    }
}

struct Entry {
    std::string_view name;
    void (*count_all)(std::string_view, const Plan&);
    const Shape* shape = &shapes[0];
};

constexpr Entry entries[] = {
    {"engine", count_all<EngineContender>},
    {"engine-sparse", count_all<EngineContender>, &shapes[1]},
    {"engine-prefetched", count_all<PrefetchingContender>},
    {"manager", count_all<ManagerContender>},
    {"manager-batch", count_all<BatchContender>},
    {"gate", count_all<GateContender>},
    {"gate-log", count_all<LoggedContender<true>>},
    {"gate-groups", count_all<LoggedContender<false>>},
    {"capi", count_all<CapiContender>},
    {"capi-batch", count_all<CapiBatchContender>},
    {"std-heap", count_all<StdContender>},
#ifdef GRANTWHEEL_HAS_BOOST
    {"boost-heap", count_all<BoostContender>},
    {"boost-wheel", count_all<WheelContender>},
    {"boost-wheel-prefetched", count_all<PrefetchingWheelContender>},
#endif
};

}  // namespace

int main(int count, char** arguments) {
    if (count == 1) {
        for (const Entry& entry : entries) std::puts(entry.name.data());
        return EXIT_SUCCESS;
    }
    for (const Entry& entry : entries) {
        if (count != 3 || entry.name != arguments[1]) continue;
        entry.count_all(entry.name, Plan(std::strtoull(arguments[2], nullptr, 10), *entry.shape));
        return EXIT_SUCCESS;
    }
    std::fputs("usage: grantwheel_counted [NAME OWNERS]\n", stderr);
    return 2;
}
