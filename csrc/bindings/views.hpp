// Records copied out of an engine under its lock, to be told to Python without it.
#pragma once

#include <deque>
#include <span>
#include <string>
#include <vector>

#include "bindings/errors.hpp"
#include "bindings/vocabulary.hpp"
#include "grantwheel/engine.hpp"

namespace grantwheel::bindings {

class OwnedViews {
public:
    // Adds what an owner holds, if anything.
    void add(const Engine& engine, Owner owner, Instant now);
    // Adds the app record of a uid and its process records.
    void add_uid(const Engine& engine, std::uint32_t uid, Instant now);

    [[nodiscard]] const std::vector<RecordView>& records() const noexcept { return records_; }
    [[nodiscard]] Instant now() const noexcept { return now_; }

private:
    [[nodiscard]] std::string_view keep(std::string_view text);

    std::vector<RecordView> records_;
    std::deque<std::string> texts_;
    Instant now_ = 0;
};

}  // namespace grantwheel::bindings
