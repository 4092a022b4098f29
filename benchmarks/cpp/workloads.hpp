// The workloads, each one definition for all contenders.
//
// Contender  apply(uid, timeout_ms), release(uid), holds(uid), count(), pass_time(ms), end_due(); and, if it likes to
//            know the next owners beforehand, for_each(uids, work); or, if it takes them all at once, apply_many(uids,
//            timeouts), release_many(uids) and held_of(uids).
// Meter      A function that carries out the work that it is given, and returns what that has cost.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <type_traits>
#include <vector>

#include "measure.hpp"
#include "plan.hpp"

namespace benchmarks {

enum class Workload { new_, renew, release, query, expire };

struct NamedWorkload {
    Workload workload;
    const char* name;
};

inline constexpr NamedWorkload workloads[] = {
    {Workload::new_, "new"},    {Workload::renew, "renew"},   {Workload::release, "release"},
    {Workload::query, "query"}, {Workload::expire, "expire"},
};

// Calls `work(uid, i)` for each owner, or lets the contender do so.
template <typename Contender, typename Work>
void for_each_owner(Contender& contender, const std::vector<std::uint32_t>& uids, Work&& work) {
    if constexpr (requires { contender.for_each(uids, work); }) {
        contender.for_each(uids, work);
    } else {
        for (std::size_t i = 0; i < uids.size(); ++i) work(uids[i], i);
    }
}

// Ends the program when a workload has not left what it should: its times would mean nothing.
inline void expect(const char* contender, const char* what, std::size_t found, std::size_t wanted) {
    if (found == wanted) return;
    std::fprintf(stderr, "%s: %s: %zu, not %zu\n", contender, what, found, wanted);
    std::exit(EXIT_FAILURE);
}

template <typename Contender>
void apply_all(Contender& contender, const std::vector<std::uint32_t>& uids,
               const std::vector<std::uint32_t>& timeouts) {
    if constexpr (requires { contender.apply_many(uids, timeouts); }) {
        contender.apply_many(uids, timeouts);
    } else {
        for_each_owner(contender, uids, [&](std::uint32_t uid, std::size_t i) { contender.apply(uid, timeouts[i]); });
    }
}

template <typename Contender>
void release_all(Contender& contender, const std::vector<std::uint32_t>& uids) {
    if constexpr (requires { contender.release_many(uids); }) {
        contender.release_many(uids);
    } else {
        for_each_owner(contender, uids, [&](std::uint32_t uid, std::size_t) { contender.release(uid); });
    }
}

// How many of the owners hold anything.
template <typename Contender>
std::size_t held_of(Contender& contender, const std::vector<std::uint32_t>& uids) {
    if constexpr (requires { contender.held_of(uids); }) {
        return contender.held_of(uids);
    } else {
        std::size_t held = 0;
        for_each_owner(contender, uids,
                       [&](std::uint32_t uid, std::size_t) { held += std::size_t{contender.holds(uid)}; });
        return held;
    }
}

// What the work alone costs by that meter, for all owners; checks what it has left.
template <typename Contender, typename Meter>
double run(Workload workload, Contender& contender, const Plan& plan, Meter&& meter) {
    const std::size_t owners = plan.uids.size();
    if (workload != Workload::new_) apply_all(contender, plan.uids, plan.timeouts);
    if (workload == Workload::expire) contender.pass_time(longest_ms);
    std::size_t held = owners;
    const double cost = [&] {
        switch (workload) {
            case Workload::new_: return meter([&] { apply_all(contender, plan.uids, plan.timeouts); });
            case Workload::renew: return meter([&] { apply_all(contender, plan.again, plan.longer); });
            case Workload::release: return meter([&] { release_all(contender, plan.again); });
            case Workload::query: return meter([&] { held = held_of(contender, plan.again); });
            case Workload::expire: return meter([&] { contender.end_due(); });
        }
        return 0.0;
    }();
    const bool is_empty = workload == Workload::release || workload == Workload::expire;
    expect(Contender::name, "owners found", held, owners);
    expect(Contender::name, "owners held", contender.count(), is_empty ? 0 : owners);
    return cost;
}

// A contender in fresh state for the owners of a plan. One that does not ask how many types they hold keeps one deadline
// for all of them.
template <typename Contender>
Contender made_for(const Plan& plan) {
    if constexpr (std::is_constructible_v<Contender, std::size_t, std::uint32_t>) {
        return Contender(plan.uids.size(), plan.shape.types);
    } else {
        return Contender(plan.uids.size());
    }
}

// One sample: nanoseconds per owner, in fresh state and without the loop.
template <typename Contender>
double sample(Workload workload, const Plan& plan) {
    Contender contender = made_for<Contender>(plan);
    const double loop = time_ns([&] {
        for (std::size_t i = 0; i < plan.again.size(); ++i) {
            keep(plan.again[i]);
            if (workload == Workload::new_ || workload == Workload::renew) keep(plan.longer[i]);
        }
    });
    const double all = run(workload, contender, plan, [](auto&& work) { return time_ns(work); });
    const double work = workload == Workload::expire ? all : all - loop;
    return work / static_cast<double>(plan.uids.size());
}

}  // namespace benchmarks
