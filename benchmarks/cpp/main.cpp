// Runs every workload for every contender with owners of every shape, in rotating order and fresh state, and writes all
// samples as JSON, with the cost of a memory miss taken in each round between them.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
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
    std::size_t max_owners;
    std::uint32_t least_types;

    [[nodiscard]] bool takes(std::size_t owners, const Shape& shape) const {
        return owners <= max_owners && shape.types >= least_types;
    }
};

template <typename Contender>
constexpr Entry entry(std::size_t max_owners = SIZE_MAX, std::uint32_t least_types = 1) {
    return {Contender::name, sample<Contender>, max_owners, least_types};
}

// With more owners a heap takes a minute for what the others do in seconds.
constexpr std::size_t most_on_heap = 1'000'000;

constexpr Entry entries[] = {
    entry<EngineContender>(),
    entry<PrefetchingContender>(),
    entry<ManagerContender>(),
    entry<StdContender>(most_on_heap),
#ifdef GRANTWHEEL_HAS_BOOST
    entry<BoostContender>(most_on_heap),
    entry<WheelContender>(),
    entry<PrefetchingWheelContender>(),
    entry<TypedWheelContender>(SIZE_MAX, TypedWheelContender::types),
#endif
};

// An entry with owners of a shape, and what it has cost.
struct Series {
    const Entry* entry;
    const Plan* plan;
    std::vector<double> ns;
};

std::vector<Series> all_of(const std::vector<std::unique_ptr<Plan>>& plans) {
    std::vector<Series> all;
    for (const auto& plan : plans) {
        for (const Entry& entry : entries) {
            if (entry.takes(plan->uids.size(), plan->shape)) all.push_back({&entry, plan.get(), {}});
        }
    }
    return all;
}

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
        std::vector<std::unique_ptr<Plan>> plans;
        for (const Shape& shape : options.shapes) plans.push_back(std::make_unique<Plan>(owners, shape));
        for (const NamedWorkload& workload : workloads) {
            std::vector<Series> all = all_of(plans);
            for (std::size_t round = 0; round < options.rounds; ++round) {
                misses.push_back(chase.step_ns());
                misses_small_pages.push_back(chase_small_pages.step_ns());
                for (std::size_t turn = 0; turn < all.size(); ++turn) {
                    Series& series = all[(round + turn) % all.size()];
                    series.ns.push_back(series.entry->sample(workload.workload, *series.plan));
                }
            }
            for (const Series& series : all) {
                std::printf("%s\n  {\"workload\": \"%s\", \"entry\": \"%s\", \"owners\": %zu, \"shape\": \"%s\", ",
                            separator, workload.name, series.entry->name, owners, series.plan->shape.name);
                print_samples("ns", series.ns);
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
