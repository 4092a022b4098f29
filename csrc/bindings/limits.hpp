// What an engine is made with, as Python gives it.
#pragma once

#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "bindings/arguments.hpp"
#include "grantwheel/types.hpp"

namespace grantwheel::bindings {

// Those that are not None.
struct GivenLimits {
    GivenLimits(const py::object& records, const py::object& strings, const py::object& events, const py::object& rows)
        : max_records(read(records, "max_records")),
          max_strings(read(strings, "max_strings")),
          event_capacity(read(events, "event_capacity")),
          reserve(read(rows, "reserve")) {}

    std::optional<std::uint32_t> max_records, max_strings, event_capacity, reserve;

private:
    // One that no engine could have becomes one that is refused by name.
    static std::optional<std::uint32_t> read(const py::object& value, const char* name) {
        if (value.is_none()) return {};
        const std::int64_t number = to_int64(value.ptr(), name);
        return number >= 0 && number <= UINT32_MAX ? static_cast<std::uint32_t>(number) : UINT32_MAX;
    }
};

// The others as in `otherwise`. ValueError for one out of range, by name. Needs no GIL.
[[nodiscard]] inline Limits to_limits(const GivenLimits& given, const Limits& otherwise = {}) {
    Limits limits;
    limits.max_records = given.max_records.value_or(otherwise.max_records);
    limits.max_strings = given.max_strings.value_or(otherwise.max_strings);
    limits.event_capacity = given.event_capacity.value_or(otherwise.event_capacity);
    limits.reserve = given.reserve.value_or(otherwise.reserve);
    if (const char* field = limits.first_invalid()) {
        throw py::value_error(std::string(field) +
                              " is out of range: limits are 1..2^31-1, and reserve at most max_records");
    }
    return limits;
}

[[nodiscard]] inline HashKey to_hash_key(std::string_view bytes) {
    HashKey key;
    if (bytes.size() != sizeof key.words) throw py::value_error("hash_key must have 16 bytes");
    std::memcpy(key.words, bytes.data(), sizeof key.words);
    return key;
}

}  // namespace grantwheel::bindings
