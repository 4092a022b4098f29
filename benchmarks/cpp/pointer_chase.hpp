// What one dependent memory miss costs on this machine, now: the unit in which other costs can be read.
#pragma once

#include <cstddef>
#include <cstdint>

namespace benchmarks {

// A random cycle through 256 MiB, one step per cache line. Each step waits for the one before it. With huge pages
// (where the system gives them) a step is the miss alone, without them it is the miss and the look-up of its page.
class PointerChase {
public:
    explicit PointerChase(bool huge_pages);
    ~PointerChase();
    PointerChase(const PointerChase&) = delete;
    PointerChase& operator=(const PointerChase&) = delete;

    // Walks on, and returns the nanoseconds per step.
    double step_ns();

private:
    struct alignas(64) Line {
        std::uint32_t next;
    };
    static constexpr std::size_t bytes = std::size_t{256} << 20;
    static constexpr std::size_t line_count = bytes / sizeof(Line);

    Line* lines_;
    std::uint32_t place_ = 0;
};

}  // namespace benchmarks
