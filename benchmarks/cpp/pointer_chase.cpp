#include "pointer_chase.hpp"

#include <sys/mman.h>

#include <new>
#include <numeric>
#include <random>
#include <vector>

#include "measure.hpp"

namespace benchmarks {

namespace {

constexpr std::size_t steps = 100'000;
constexpr std::align_val_t alignment{2 << 20};

}  // namespace

// Sattolo's shuffle: a permutation that is one cycle.
PointerChase::PointerChase(bool huge_pages) : lines_(static_cast<Line*>(::operator new(bytes, alignment))) {
    ::madvise(lines_, bytes, huge_pages ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    std::vector<std::uint32_t> order(line_count);
    std::iota(order.begin(), order.end(), 0u);
    std::mt19937_64 random(1);
    for (std::size_t i = order.size() - 1; i > 0; --i) {
        std::swap(order[i], order[std::uniform_int_distribution<std::size_t>(0, i - 1)(random)]);
    }
    for (std::size_t i = 0; i < order.size(); ++i) lines_[i].next = order[i];
}

PointerChase::~PointerChase() { ::operator delete(lines_, alignment); }

double PointerChase::step_ns() {
    const double ns = time_ns([this] {
        for (std::size_t i = 0; i < steps; ++i) place_ = lines_[place_].next;
        keep(place_);
    });
    return ns / static_cast<double>(steps);
}

}  // namespace benchmarks
