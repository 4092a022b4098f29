// Runs each file given through a target, without libFuzzer: for compilers that do not have it, and for the tests.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int main(int count, char** arguments) {
    int files = 0;
    for (int i = 1; i < count; ++i) {
        std::ifstream file(arguments[i], std::ios::binary);
        const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
        if (!file) return std::fprintf(stderr, "%s cannot be read\n", arguments[i]), 2;
        std::printf("%s\n", std::filesystem::path(arguments[i]).filename().c_str());
        std::fflush(stdout);  // the last line names the input of a crash
        LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
        ++files;
    }
    std::printf("%d replayed\n", files);
    return files != 0 ? 0 : 2;
}
