// A host with several threads, over the managers of shards.hpp.
//
//   $ sharded_host                    shows what is different when there are several managers
//   $ sharded_host CALLS [ROUNDS]     measures what two threads gain: calls of each thread, rounds to take medians of
#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "arguments.hpp"
#include "shards.hpp"

namespace gw = grantwheel;

namespace {

constexpr const char* usage =
    "usage: sharded_host [CALLS [ROUNDS]]\n"
    "Shows what is different when there are several managers; with CALLS (of each thread) measures what two threads\n"
    "gain, medians of so many ROUNDS (9).\n";

gw::Request timed(gw::Mask mask, bool is_process = false) {
    return {.mask = mask, .is_process = is_process, .timeout_ms = 3'600'000};
}

int show() {
    const auto shards = Shards::create(4, {});
    if (!shards) return 1;
    for (std::int64_t uid = 1000; uid < 1010; ++uid) {
        (void)shards->request({.uid = uid, .pid = uid, .system_app = true}, timed(gw::type::GPS));
    }
    std::printf("GPS is held by %zu apps:", shards->count(gw::type::GPS));
    for (const gw::Owner& owner : shards->holders(gw::type::GPS)) std::printf(" %u", owner.key);

    // Process 42 of app 1000 has ended, nobody has said so, and app 1001 gets a process with the same pid.
    (void)shards->request({.uid = 1000, .pid = 42, .system_app = true}, timed(gw::type::CPU, true));
    (void)shards->request({.uid = 1001, .pid = 42, .system_app = true}, timed(gw::type::CPU, true));
    std::printf("\nCPU is held by %zu process\n", shards->count(gw::type::CPU));
    std::printf("the death of 1000's process 42 takes %u, that of 1001's %u\n", shards->process_died(1000, 42).mask,
                shards->process_died(1001, 42).mask);

    std::size_t events = 0;
    const std::uint64_t missed = shards->drain([&events](const gw::Event&) { ++events; });
    std::printf("%zu events, %" PRIu64 " missed\n", events, missed);
    std::printf("to be woken: %s\n", shards->advance(1000) == gw::no_deadline ? "never" : "yes");
    return 0;
}

constexpr std::uint32_t apps = 100'000;

// Applies, releases and asks, for apps at random: an order that the processor could foresee, such as that in which the
// records were made, would measure something else.
void work(Shards& shards, std::uint32_t thread, std::size_t calls) {
    std::minstd_rand random(thread + 1);
    for (std::size_t i = 0; i < calls; ++i) {
        const auto uid = static_cast<std::uint32_t>(random() % apps);
        if (i % 4 == 3) {
            (void)shards.app_mask(uid);
        } else {
            gw::Request request = timed(gw::type::GPS);
            request.is_apply = i % 4 != 2;
            (void)shards.request({.uid = uid, .pid = 1, .system_app = true}, request);
        }
    }
}

// Million calls in a second, of all threads together.
double rate(Shards& shards, std::uint32_t threads, std::size_t calls) {
    std::vector<std::thread> running;
    const auto begin = std::chrono::steady_clock::now();
    for (std::uint32_t thread = 0; thread < threads; ++thread) {
        running.emplace_back([&shards, thread, calls] { work(shards, thread, calls); });
    }
    for (std::thread& thread : running) thread.join();
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - begin;
    return static_cast<double>(calls) * threads / took.count();
}

double median(std::vector<double> values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

struct Setting {
    std::uint32_t threads;
    std::unique_ptr<Shards> managers;
    std::vector<double> rates;
};

int measure(std::size_t calls, std::size_t rounds) {
    if (calls == 0 || rounds == 0) {
        std::fprintf(stderr, "usage: sharded_host [CALLS [ROUNDS]]\n");
        return 2;
    }
    std::vector<Setting> settings;
    for (const std::uint32_t shards : {1u, 16u, 64u}) {
        // The same for all together, as events take memory, and memory that is in no cache takes time.
        const gw::Limits limits{.max_records = 1'000'000 / shards, .event_capacity = 65'536 / shards};
        for (const std::uint32_t threads : {1u, 2u}) {
            settings.push_back({threads, Shards::create(shards, limits), {}});
            if (!settings.back().managers) return 1;
            (void)rate(*settings.back().managers, threads, 4 * apps);  // not counted: memory is taken here
        }
    }
    for (std::size_t round = 0; round < rounds; ++round) {  // in turn, so that a disturbance meets all of them
        for (Setting& setting : settings) {
            setting.rates.push_back(rate(*setting.managers, setting.threads, calls));
        }
    }
    std::printf("million calls a second, medians of %zu rounds:\n", rounds);
    for (std::size_t i = 0; i < settings.size(); ++i) {
        const Setting& setting = settings[i];
        std::printf("%2zu managers, %u threads: %6.2f", setting.managers->size(), setting.threads,
                    median(setting.rates));
        if (setting.threads == 2) {
            std::vector<double> gains;  // within each round
            for (std::size_t k = 0; k < rounds; ++k) gains.push_back(setting.rates[k] / settings[i - 1].rates[k]);
            std::printf(", %.2f times one thread", median(gains));
        }
        std::printf("\n");
    }
    return 0;
}

}  // namespace

int main(int count, char** arguments) {
    if (const auto code = usage_only(count, arguments, 2, usage)) return *code;
    if (count == 1) return show();
    const auto calls = number_of(arguments[1], 1'000'000'000);
    const auto rounds = number_of(count > 2 ? arguments[2] : "9", 1'000);
    if (!calls || *calls == 0 || !rounds || *rounds == 0) {
        std::fputs(usage, stderr);
        return 2;
    }
    return measure(*calls, *rounds);
}
