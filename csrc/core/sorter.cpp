#include "core/sorter.hpp"

#include <algorithm>

namespace grantwheel {

bool Sorter::reserve(std::size_t count) noexcept { return keys_.reserve(count) && runs_.reserve(count / run_size + 1); }

void Sorter::open() noexcept {
    keys_.clear();
    runs_.clear();
    page_keys_ = {};
    start_ = 0;
    left_ = 0;
    is_open_ = true;
}

void Sorter::add(std::uint64_t key) noexcept {
    keys_.push(key);
    ++left_;
    if (keys_.size() - start_ == run_size) end_run();
}

void Sorter::end_run() noexcept {
    if (start_ == keys_.size()) return;
    std::sort(keys_.begin() + start_, keys_.end());
    runs_.push({start_, keys_.size()});
    start_ = keys_.size();
}

void Sorter::close() noexcept {
    end_run();
    std::make_heap(runs_.begin(), runs_.end(),
                   [&](const Run& left, const Run& right) { return keys_[left.first] > keys_[right.first]; });
    is_open_ = false;
}

// Moves the first run to its place among the others.
void Sorter::sift_down() noexcept {
    const Run moved = runs_[0];
    const auto key = [&](std::size_t run) { return keys_[runs_[run].first]; };
    std::size_t at = 0;
    for (std::size_t child = 1; child < runs_.size(); child = 2 * at + 1) {
        if (child + 1 < runs_.size() && key(child + 1) < key(child)) ++child;
        if (keys_[moved.first] < key(child)) break;
        runs_[at] = runs_[child];
        at = child;
    }
    runs_[at] = moved;
}

void Sorter::merge_page() noexcept {
    page_keys_ = {};
    while (page_keys_.end < page_size && runs_.size() != 0) {
        Run& first = runs_[0];
        page_[page_keys_.end++] = keys_[first.first++];
        if (first.first == first.end) {
            first = runs_[runs_.size() - 1];
            static_cast<void>(runs_.resize(runs_.size() - 1, {}));
            if (runs_.size() == 0) break;
        }
        sift_down();
    }
}

std::span<const std::uint64_t> Sorter::page() noexcept {
    if (is_open_) close();
    if (page_keys_.first != page_keys_.end || runs_.size() > 1) {
        if (page_keys_.first == page_keys_.end) merge_page();
        return {page_ + page_keys_.first, page_ + page_keys_.end};
    }
    if (runs_.size() == 0) return {};
    return {keys_.data() + runs_[0].first, keys_.data() + runs_[0].end};
}

void Sorter::drop(std::size_t count) noexcept {
    left_ -= count;
    if (page_keys_.first != page_keys_.end) {
        page_keys_.first += count;
    } else {
        runs_[0].first += count;
        if (runs_[0].first == runs_[0].end) runs_.clear();
    }
}

}  // namespace grantwheel
