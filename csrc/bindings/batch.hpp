// The rows of a batch that the hook is asked about: what was admitted of each.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "grantwheel/manager.hpp"

namespace grantwheel::bindings {

class Batch {
public:
    explicit Batch(const Requests& rows) : is_apply_(rows.is_apply), results_(rows.count) { rows_.reserve(rows.count); }

    // Pre: fewer than that have been added.
    void add(const Admission& admission) {
        Admission& row = rows_.emplace_back(admission);
        std::string_view& bundle = row.command.bundle;
        // It may lie in a policy that is replaced before the row is carried out.
        if (bundles_.empty() || bundles_.back() != bundle) bundles_.emplace_back(bundle);
        bundle = bundles_.back();
    }
    [[nodiscard]] std::vector<Admission>& rows() noexcept { return rows_; }
    [[nodiscard]] bool is_apply() const noexcept { return is_apply_; }

    [[nodiscard]] static bool is_refused(const Admission& row) noexcept { return row.status != Status::ok; }
    static void refuse(Admission& row, Status status) noexcept { row.status = status; }

    // What has become of each, to be filled in. It is there beforehand: what has been carried out can fail no more.
    [[nodiscard]] std::vector<Result>& results() noexcept { return results_; }

private:
    bool is_apply_;
    std::vector<Admission> rows_;
    std::vector<Result> results_;
    std::deque<std::string> bundles_;
};

}  // namespace grantwheel::bindings
