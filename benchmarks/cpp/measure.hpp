// Times a piece of work, and keeps the compiler from leaving it out.
#pragma once

#include <chrono>
#include <utility>

namespace benchmarks {

// Makes the compiler believe that `value` is used.
template <typename T>
inline void keep(const T& value) {
    asm volatile("" : : "r"(value) : "memory");
}

// How many nanoseconds `work` takes.
template <typename Work>
double time_ns(Work&& work) {
    const auto began = std::chrono::steady_clock::now();
    std::forward<Work>(work)();
    return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - began).count();
}

}  // namespace benchmarks
