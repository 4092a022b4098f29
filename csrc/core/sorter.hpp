// Keys in order, however many there are: sorted in steps, none of which takes long. Not thread-safe.
//
// How      Keys that come are sorted in runs of a fixed size, and the runs are merged a page at a time. So no step costs
//          more than sorting one run, and the work may be left between any two.
#pragma once

#include <cstdint>
#include <span>

#include "core/array.hpp"

namespace grantwheel {

class Sorter {
public:
    // Makes room for that many keys, so that nothing else can fail.
    [[nodiscard]] bool reserve(std::size_t count) noexcept;

    // Begins anew, without keys.
    void open() noexcept;
    // Pre: `page` has not been asked since it was opened.
    void add(std::uint64_t key) noexcept;

    [[nodiscard]] bool empty() const noexcept { return left_ == 0; }

    // The next keys, ascending; none only when it is empty.
    [[nodiscard]] std::span<const std::uint64_t> page() noexcept;
    // Takes the first of them away.
    void drop(std::size_t count) noexcept;

    // Calls `visit(key)` for each that is left, in no order.
    template <typename Visit>
    void for_each(Visit&& visit) const noexcept;

private:
    static constexpr std::size_t run_size = 8192;
    static constexpr std::size_t page_size = 256;

    // Keys that are sorted.
    struct Run {
        std::size_t first;
        std::size_t end;
    };

    void end_run() noexcept;
    void close() noexcept;
    void sift_down() noexcept;
    void merge_page() noexcept;

    Array<std::uint64_t> keys_;
    Array<Run> runs_;  // once all have come, a heap: the one with the least key first
    Run page_keys_{};  // of `page_`
    std::uint64_t page_[page_size]{};
    std::size_t start_ = 0;  // of the run that is not yet sorted
    std::size_t left_ = 0;
    bool is_open_ = false;
};

template <typename Visit>
void Sorter::for_each(Visit&& visit) const noexcept {
    for (std::size_t i = page_keys_.first; i < page_keys_.end; ++i) visit(page_[i]);
    for (const Run& run : runs_) {
        for (std::size_t i = run.first; i < run.end; ++i) visit(keys_[i]);
    }
    for (std::size_t i = start_; i < keys_.size(); ++i) visit(keys_[i]);
}

}  // namespace grantwheel
