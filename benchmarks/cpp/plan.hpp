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

// Uids side by side, or sparse: anywhere among all that there may be; and how many types each owner holds.
struct Shape {
    const char* name;
    bool is_sparse;
    std::uint32_t types;
};

inline constexpr Shape shapes[] = {
    {"dense, one type", false, 1},
    {"sparse, one type", true, 1},
    {"dense, three types", false, 3},
    {"sparse, three types", true, 3},
};

struct Plan {
    explicit Plan(std::size_t owners, const Shape& of = shapes[0]) : shape(of), uids(owners), timeouts(owners) {
        std::mt19937_64 random(owners);
        if (shape.is_sparse) {
            draw(random);
        } else {
            std::iota(uids.begin(), uids.end(), first_uid);
        }
        std::shuffle(uids.begin(), uids.end(), random);
        again = uids;
        std::shuffle(again.begin(), again.end(), random);
        std::uniform_int_distribution<std::uint32_t> choose(shortest_ms, longest_ms);
        for (std::uint32_t& timeout : timeouts) timeout = choose(random);
        longer = timeouts;
        for (std::uint32_t& timeout : longer) timeout += shortest_ms;
    }

    static constexpr std::uint32_t first_uid = 10'000;
    static constexpr std::uint32_t max_uid = UINT32_MAX - 1;

    Shape shape;
    std::vector<std::uint32_t> uids;      // in the order in which they are first granted something
    std::vector<std::uint32_t> again;     // in another order
    std::vector<std::uint32_t> timeouts;  // of the first grants
    std::vector<std::uint32_t> longer;    // of renewals: later than all of the first

private:
    // Draws as many as there are owners, none twice.
    void draw(std::mt19937_64& random) {
        const std::size_t owners = uids.size();
        std::uniform_int_distribution<std::uint32_t> choose(0, max_uid);
        uids.clear();
        while (uids.size() < owners) {
            while (uids.size() < owners) uids.push_back(choose(random));
            std::sort(uids.begin(), uids.end());
            uids.erase(std::unique(uids.begin(), uids.end()), uids.end());
        }
    }
};

}  // namespace benchmarks
