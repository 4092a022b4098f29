// The rows of a batch that takes steps: what was admitted of each, and then what has become of it.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "grantwheel/manager.hpp"

namespace grantwheel::bindings {

class Batch {
public:
    explicit Batch(std::size_t count) { rows_.reserve(count); }

    // Pre: fewer than `count` have been added.
    void add(const Admission& admission) {
        Admission& row = rows_.emplace_back(admission);
        std::string_view& bundle = row.command.bundle;
        // It may lie in a policy that is replaced before the row is carried out.
        if (bundles_.empty() || bundles_.back() != bundle) bundles_.emplace_back(bundle);
        bundle = bundles_.back();
    }
    [[nodiscard]] std::vector<Admission>& rows() noexcept { return rows_; }

    [[nodiscard]] static bool is_refused(const Admission& row) noexcept { return row.status != Status::ok; }
    static void refuse(Admission& row, Status status) noexcept { row.status = status; }
    static void answer(Admission& row, Result result) noexcept {
        row.status = result.status;
        row.command.mask = result.mask;
    }
    [[nodiscard]] Result result(std::size_t i) const noexcept { return {rows_[i].status, rows_[i].command.mask}; }

private:
    std::vector<Admission> rows_;
    std::deque<std::string> bundles_;
};

}  // namespace grantwheel::bindings
