// Runs every workload for every contender, in rotating order and fresh state, and writes all samples as JSON, with the
// cost of a memory miss taken in each round between them.
#include <cstddef>
#include <cstdio>
#include <iterator>
#include <vector>

#include "grantwheel/pages.hpp"
#include "grantwheel_contenders.hpp"
#include "options.hpp"
#include "plan.hpp"
#include "pointer_chase.hpp"
#include "std_contender.hpp"
#include "workloads.hpp"

#ifdef GRANTWHEEL_HAS_BOOST
#include "boost_contender.hpp"
#include "wheel_contender.hpp"
#endif

namespace {

using namespace benchmarks;

struct Entry {
    const char* name;
    double (*sample)(Workload, const Plan&);
};

template <typename Contender>
constexpr Entry entry() {
    return {Contender::name, sample<Contender>};
}

constexpr Entry entries[] = {
    entry<EngineContender>(), entry<PrefetchingContender>(), entry<ManagerContender>(),          entry<StdContender>(),
#ifdef GRANTWHEEL_HAS_BOOST
    entry<BoostContender>(),  entry<WheelContender>(),       entry<PrefetchingWheelContender>(),
#endif
};
constexpr std::size_t entry_count = std::size(entries);

void print_samples(const char* key, const std::vector<double>& samples) {
    std::printf("\"%s\": [", key);
    for (std::size_t i = 0; i < samples.size(); ++i) std::printf("%s%.2f", i == 0 ? "" : ", ", samples[i]);
    std::printf("]");
}

}  // namespace

int main(int count, char** arguments) {
    const Options options = read_options(count, arguments);
    if (options.huge_pages) grantwheel::use_huge_pages();
    PointerChase chase(true);
    PointerChase chase_small_pages(false);
    std::vector<double> misses;
    std::vector<double> misses_small_pages;
    const char* separator = "";
    std::printf("{\"results\": [");
    for (const std::size_t owners : options.owners) {
        const Plan plan(owners);
        for (const NamedWorkload& workload : workloads) {
            std::vector<double> samples[entry_count];
            for (std::size_t round = 0; round < options.rounds; ++round) {
                misses.push_back(chase.step_ns());
                misses_small_pages.push_back(chase_small_pages.step_ns());
                for (std::size_t turn = 0; turn < entry_count; ++turn) {
                    const std::size_t which = (round + turn) % entry_count;
                    samples[which].push_back(entries[which].sample(workload.workload, plan));
                }
            }
            for (std::size_t i = 0; i < entry_count; ++i) {
                std::printf("%s\n  {\"workload\": \"%s\", \"entry\": \"%s\", \"owners\": %zu, ", separator,
                            workload.name, entries[i].name, owners);
                print_samples("ns", samples[i]);
                std::printf("}");
                separator = ",";
            }
            std::fflush(stdout);
        }
    }
    std::printf("\n], ");
    print_samples("miss_ns", misses);
    std::printf(",\n");
    print_samples("miss_small_pages_ns", misses_small_pages);
    std::printf("}\n");
}
