#include "options.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <string_view>

namespace benchmarks {

namespace {

[[noreturn]] void fail() {
    std::fputs(
        "usage: grantwheel_benchmark [--owners N]... [--shape NAME]... [--rounds N] [--small-pages]\n"
        "  --owners N      the number of owners, once for each to be measured (100000 and 1000000)\n"
        "  --shape NAME    'dense, one type', 'sparse, one type', 'dense, three types' or 'sparse, three types': what\n"
        "                  owners look like, once for each to be measured in turn (all)\n"
        "  --rounds N      how many samples of each (5)\n"
        "  --small-pages   do not ask for huge pages for grantwheel's memory\n"
        "Writes JSON: all samples, in nanoseconds per owner.\n",
        stderr);
    std::exit(2);
}

std::size_t to_number(const char* text) {
    if (text == nullptr) fail();
    char* end = nullptr;
    const unsigned long long number = std::strtoull(text, &end, 10);
    if (end == text || *end != '\0' || number == 0 || number > 100'000'000) fail();
    return static_cast<std::size_t>(number);
}

Shape to_shape(const char* text) {
    if (text == nullptr) fail();
    const auto found = std::ranges::find(shapes, std::string_view(text), &Shape::name);
    if (found == std::end(shapes)) fail();
    return *found;
}

}  // namespace

Options read_options(int count, char** arguments) {
    Options options;
    for (int i = 1; i < count; ++i) {
        const std::string_view name = arguments[i];
        if (name == "--small-pages") {
            options.huge_pages = false;
        } else if (name == "--owners") {
            options.owners.push_back(to_number(arguments[++i]));
        } else if (name == "--shape") {
            options.shapes.push_back(to_shape(arguments[++i]));
        } else if (name == "--rounds") {
            options.rounds = to_number(arguments[++i]);
        } else {
            fail();
        }
    }
    if (options.owners.empty()) options.owners = {100'000, 1'000'000};
    if (options.shapes.empty()) options.shapes.assign(std::begin(shapes), std::end(shapes));
    return options;
}

}  // namespace benchmarks
