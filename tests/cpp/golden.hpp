// The files of tests/golden: lines of words, each with its bytes in hex below, in lines that begin with a space. What
// begins with '#' is for the reader.
#pragma once

#include <cstddef>
#include <fstream>
#include <string>
#include <vector>

#include "support.hpp"

namespace grantwheel::test {

struct GoldenLine {
    std::string text;
    std::vector<std::byte> bytes;
};

inline std::vector<GoldenLine> golden_lines(const std::string& name) {
    std::ifstream file(std::string(GRANTWHEEL_GOLDEN) + "/" + name);
    BOOST_REQUIRE_MESSAGE(file, "no golden file " << name);
    std::vector<GoldenLine> lines;
    for (std::string line; std::getline(file, line);) {
        if (line.empty() || line.front() == '#') continue;
        if (line.front() != ' ') {
            lines.push_back({line, {}});
            continue;
        }
        for (std::size_t i = line.find_first_not_of(' '); i + 1 < line.size(); i += 2) {
            lines.back().bytes.push_back(static_cast<std::byte>(std::stoul(line.substr(i, 2), nullptr, 16)));
        }
    }
    return lines;
}

}  // namespace grantwheel::test
