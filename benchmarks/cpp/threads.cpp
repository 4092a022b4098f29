// What contention costs: threads that renew and read, on one gate that all share, on shards of which each uid has one, on
// shards that no other thread uses, and on an engine behind a std::mutex. Writes a table: millions of calls a second of
// all threads together, the median of the rounds, and the times that is of one thread on one gate.
#include <algorithm>
#include <barrier>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

#include "host_contenders.hpp"
#include "measure.hpp"
#include "plan.hpp"

namespace {

using namespace benchmarks;

using Time = std::chrono::steady_clock::time_point;

// An engine as a host without a gate would share it.
class LockedEngine {
public:
    explicit LockedEngine(std::size_t owners) : engine_(owners) {}

    void apply(std::uint32_t uid, std::uint32_t timeout_ms) {
        const std::lock_guard lock(mutex_);
        engine_.apply(uid, timeout_ms);
    }
    [[nodiscard]] bool holds(std::uint32_t uid) {
        const std::lock_guard lock(mutex_);
        return engine_.holds(uid);
    }

private:
    std::mutex mutex_;
    EngineContender engine_;
};

// The owners of a plan, on as many `Shard`s as there are.
template <typename Shard>
class Shards {
public:
    Shards(std::size_t shards, const Plan& plan) {
        for (std::size_t i = 0; i < shards; ++i) shards_.push_back(std::make_unique<Shard>(plan.uids.size()));
        for (std::size_t i = 0; i < plan.uids.size(); ++i) apply(plan.uids[i], plan.timeouts[i]);
    }

    [[nodiscard]] std::size_t place(std::uint32_t uid) const {
        return static_cast<std::size_t>((std::uint64_t{uid} * 0x9E37'79B9U & UINT32_MAX) * shards_.size() >> 32);
    }
    void apply(std::uint32_t uid, std::uint32_t timeout_ms) { shards_[place(uid)]->apply(uid, timeout_ms); }
    [[nodiscard]] bool holds(std::uint32_t uid) { return shards_[place(uid)]->holds(uid); }

private:
    std::vector<std::unique_ptr<Shard>> shards_;
};

enum class Call { renew, query };

struct Setting {
    std::size_t owners = 100'000;
    std::size_t rounds = 7;
    std::size_t calls = 1'000'000;  // of all threads together
};

// Which uids each thread calls for: all, each thread from another place on, or those of its own shard.
template <typename Shard>
std::vector<std::vector<std::uint32_t>> uids_of(const Shards<Shard>& shards, const Plan& plan, std::size_t threads,
                                                bool owns) {
    std::vector<std::vector<std::uint32_t>> uids(threads);
    for (std::size_t i = 0; i < threads; ++i) {
        if (!owns) {
            uids[i] = plan.again;
            const auto first = static_cast<std::ptrdiff_t>(i * plan.again.size() / threads);
            std::rotate(uids[i].begin(), uids[i].begin() + first, uids[i].end());
        }
    }
    if (owns) {
        for (const std::uint32_t uid : plan.again) uids[shards.place(uid)].push_back(uid);
    }
    return uids;
}

// Millions of calls a second of so many threads together.
template <typename Shard>
double sample(Call call, std::size_t threads, std::size_t shards, bool owns, const Plan& plan, std::size_t calls) {
    Shards<Shard> on(shards, plan);
    const auto uids = uids_of(on, plan, threads, owns);
    std::barrier ready(static_cast<std::ptrdiff_t>(threads));
    std::vector<std::thread> all;
    std::vector<Time> began(threads);
    std::vector<Time> ended(threads);
    for (std::size_t i = 0; i < threads; ++i) {
        all.emplace_back([&, i] {
            const std::vector<std::uint32_t>& mine = uids[i];
            std::size_t held = 0;
            ready.arrive_and_wait();
            began[i] = std::chrono::steady_clock::now();
            for (std::size_t done = 0, at = 0; done < calls / threads;
                 ++done, at = at + 1 == mine.size() ? 0 : at + 1) {
                if (call == Call::renew) {
                    on.apply(mine[at], longest_ms + static_cast<std::uint32_t>(done));
                } else {
                    held += std::size_t{on.holds(mine[at])};
                }
            }
            ended[i] = std::chrono::steady_clock::now();
            keep(held);
        });
    }
    for (std::thread& thread : all) thread.join();
    const std::chrono::duration<double, std::micro> took = std::ranges::max(ended) - std::ranges::min(began);
    return static_cast<double>(calls / threads * threads) / took.count();
}

struct Entry {
    const char* name;
    double (*sample)(Call, std::size_t, const Plan&, std::size_t);
};

constexpr Entry entries[] = {
    {"one gate", [](Call call, std::size_t threads, const Plan& plan,
                    std::size_t calls) { return sample<GateContender>(call, threads, 1, false, plan, calls); }},
    {"shards by uid, any thread",
     [](Call call, std::size_t threads, const Plan& plan, std::size_t calls) {
         return sample<GateContender>(call, threads, threads, false, plan, calls);
     }},
    {"shards by uid, a thread each",
     [](Call call, std::size_t threads, const Plan& plan, std::size_t calls) {
         return sample<GateContender>(call, threads, threads, true, plan, calls);
     }},
    {"an engine behind a std::mutex",
     [](Call call, std::size_t threads, const Plan& plan, std::size_t calls) {
         return sample<LockedEngine>(call, threads, 1, false, plan, calls);
     }},
};

double median(std::vector<double>& samples) {
    std::ranges::sort(samples);
    return samples[samples.size() / 2];
}

void show(Call call, const Setting& setting, const Plan& plan) {
    constexpr std::size_t counts[] = {1, 2, 4, 8};
    std::vector<double> samples[std::size(entries)][std::size(counts)];
    for (std::size_t round = 0; round < setting.rounds; ++round) {
        for (std::size_t i = 0; i < std::size(counts); ++i) {
            for (std::size_t turn = 0; turn < std::size(entries); ++turn) {
                const std::size_t which = (round + turn) % std::size(entries);
                samples[which][i].push_back(entries[which].sample(call, counts[i], plan, setting.calls));
            }
        }
    }
    std::printf("| %s, millions a second | 1 thread | 2 | 4 | 8 |\n| --- | ---: | ---: | ---: | ---: |\n",
                call == Call::renew ? "renew" : "query");
    const double one = median(samples[0][0]);
    for (std::size_t which = 0; which < std::size(entries); ++which) {
        std::printf("| %s |", entries[which].name);
        for (std::vector<double>& of_count : samples[which]) {
            const double found = median(of_count);
            std::printf(" %.2f (%.2fx) |", found, found / one);
        }
        std::printf("\n");
    }
    std::printf("\n");
    std::fflush(stdout);
}

std::size_t to_number(const char* text, std::size_t least) {
    char* end = nullptr;
    const unsigned long long number = text == nullptr ? 0 : std::strtoull(text, &end, 10);
    if (number < least || *end != '\0' || number > 100'000'000) {
        std::fputs("usage: grantwheel_threads [--owners N] [--rounds N] [--calls N], 1000 owners and calls at least\n",
                   stderr);
        std::exit(2);
    }
    return static_cast<std::size_t>(number);
}

}  // namespace

int main(int count, char** arguments) {
    Setting setting;
    for (int i = 1; i < count; i += 2) {
        const std::string_view name = arguments[i];
        std::size_t unknown = 0;
        std::size_t& value = name == "--owners"   ? setting.owners
                             : name == "--rounds" ? setting.rounds
                             : name == "--calls"  ? setting.calls
                                                  : unknown;
        const std::size_t least = &value == &setting.rounds ? 1 : 1'000;  // so that each shard has an owner
        value = to_number(&value == &unknown || i + 1 == count ? nullptr : arguments[i + 1], least);
    }
    const Plan plan(setting.owners);
    std::printf("%zu owners, %zu calls, %zu rounds, %u cores\n\n", setting.owners, setting.calls, setting.rounds,
                std::thread::hardware_concurrency());
    show(Call::renew, setting, plan);
    show(Call::query, setting, plan);
}
