// The arguments of the command.
#pragma once

#include <cstddef>
#include <vector>

#include "plan.hpp"

namespace benchmarks {

struct Options {
    std::vector<std::size_t> owners;
    std::vector<Shape> shapes;
    std::size_t rounds = 5;
    bool huge_pages = true;
};

// Reads them; on a mistake says what is wrong and ends the program.
Options read_options(int count, char** arguments);

}  // namespace benchmarks
