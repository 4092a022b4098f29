// What a workload acts on: owners in random order and timeouts, the same for every contender and every round.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <random>
#include <vector>

namespace benchmarks {

// Timeouts are spread evenly between these.
inline constexpr std::uint32_t shortest_ms = 600'000;
inline constexpr std::uint32_t longest_ms = 1'200'000;

struct Plan {
    explicit Plan(std::size_t owners) : uids(owners), timeouts(owners) {
        std::mt19937_64 random(owners);
        std::iota(uids.begin(), uids.end(), first_uid);
        std::shuffle(uids.begin(), uids.end(), random);
        again = uids;
        std::shuffle(again.begin(), again.end(), random);
        std::uniform_int_distribution<std::uint32_t> choose(shortest_ms, longest_ms);
        for (std::uint32_t& timeout : timeouts) timeout = choose(random);
        longer = timeouts;
        for (std::uint32_t& timeout : longer) timeout += shortest_ms;
    }

    static constexpr std::uint32_t first_uid = 10'000;

    std::vector<std::uint32_t> uids;      // in the order in which they are first granted something
    std::vector<std::uint32_t> again;     // in another order
    std::vector<std::uint32_t> timeouts;  // of the first grants
    std::vector<std::uint32_t> longer;    // of renewals: later than all of the first
};

}  // namespace benchmarks
