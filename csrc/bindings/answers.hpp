// What queries answer, those of managers and of followers alike.
#pragma once

#include <pybind11/pybind11.h>

#include <vector>

#include "grantwheel/engine.hpp"
#include "grantwheel/gate.hpp"
#include "host/tally.hpp"

namespace grantwheel::bindings {

namespace py = pybind11;

// What is counted around an engine.
struct Counts {
    const Refusals& refusals;
    std::uint64_t missed;
    Histogram advanced;
    Histogram delivered;
    const LogFigures* log = nullptr;  // null without one
};

[[nodiscard]] py::object make_holders(const std::vector<Owner>& owners);
[[nodiscard]] py::object make_stats(const Stats& stats, const Counts& counts);
// AssertionError with what `validate` of an engine has found broken; Refusal when it had no memory to look.
void require_sound(bool is_sound, const char* reason);

}  // namespace grantwheel::bindings
