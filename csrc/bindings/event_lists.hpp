// Events as they are handed to Python: as a list, or as columns.
#pragma once

#include <pybind11/pybind11.h>

#include <vector>

#include "host/owned_events.hpp"

namespace grantwheel::bindings {

namespace py = pybind11;

// One field of many events, as memory that becomes a buffer of Python's.
template <typename T>
class Column {
public:
    void reserve(std::size_t count) { values_.reserve(count); }
    template <typename Value>
    void add(Value value) {
        values_.push_back(static_cast<T>(value));
    }
    [[nodiscard]] std::size_t size() const noexcept { return values_.size(); }
    // A memoryview of its own copy, with the format of `struct`.
    [[nodiscard]] py::object buffer(const char* format) const {
        const py::bytes bytes(reinterpret_cast<const char*>(values_.data()), values_.size() * sizeof(T));
        return py::memoryview(bytes).attr("cast")(format);
    }

private:
    std::vector<T> values_;
};

struct ColumnsOfEvents {
    Column<std::uint64_t> sequence, time;
    Column<std::uint8_t> kind, cause;
    Column<std::uint32_t> uid, pid;
    Column<std::uint16_t> mask;
    Column<std::int8_t> cpu_level;

    [[nodiscard]] std::size_t size() const noexcept { return sequence.size(); }
    void reserve(std::size_t count) {
        sequence.reserve(count);
        time.reserve(count);
        kind.reserve(count);
        cause.reserve(count);
        uid.reserve(count);
        pid.reserve(count);
        mask.reserve(count);
        cpu_level.reserve(count);
    }
    void add(const Event& event) {
        sequence.add(event.sequence);
        time.add(event.time);
        kind.add(event.kind);
        cause.add(event.cause);
        uid.add(event.uid);
        pid.add(event.pid);
        mask.add(event.mask);
        cpu_level.add(event.cpu_level);
    }
};

[[nodiscard]] py::list list_of(const OwnedEvents& events);
[[nodiscard]] py::object list_of(const ColumnsOfEvents& events);

}  // namespace grantwheel::bindings
