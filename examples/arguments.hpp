// How the examples in C++ read their command lines: options are refused, and --help is no name of a file.
#pragma once

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string_view>
#include <system_error>

// The exit code if there is nothing more to do than to print `usage`: 0 if it was asked for, 2 for an option or for more
// arguments than `most`.
inline std::optional<int> usage_only(int count, char** arguments, int most, const char* usage) {
    for (int i = 1; i < count; ++i) {
        const std::string_view argument = arguments[i];
        const bool is_asked_for = argument == "--help" || argument == "-h";
        if (!is_asked_for && !argument.starts_with('-') && count - 1 <= most) continue;
        std::fputs(usage, is_asked_for ? stdout : stderr);
        return is_asked_for ? 0 : 2;
    }
    return std::nullopt;
}

// The whole text as a number within 0..most, or nothing.
inline std::optional<std::uint64_t> number_of(const char* text, std::uint64_t most) {
    std::uint64_t number = 0;
    const char* const end = text + std::strlen(text);
    const auto [stop, error] = std::from_chars(text, end, number);
    if (error != std::errc{} || stop != end || number > most) return std::nullopt;
    return number;
}
