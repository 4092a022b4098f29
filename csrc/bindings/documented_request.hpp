// The documented request: reading and checking what a caller handed in, field by field; the first failure wins.
#pragma once

#include <pybind11/pybind11.h>

#include "bindings/request_type.hpp"
#include "grantwheel/types.hpp"

namespace grantwheel::bindings {

namespace py = pybind11;

class DocumentedRequest {
public:
    // Reads an EfficiencyResourcesRequest or a mapping. Refusal (401) with a sentence that names the field and the
    // rule; parcel_failed for a reason that is fine but cannot be encoded.
    explicit DocumentedRequest(PyObject* given);

    // Its reason lives as long as this.
    [[nodiscard]] const Request& request() const noexcept { return request_; }

private:
    // What has been taken out of a mapping: its own reference of each, or the mapping's.
    struct Taken {
        PyObject* fields[field_count]{};
        bool is_own = false;

        Taken() = default;
        Taken(const Taken&) = delete;
        Taken& operator=(const Taken&) = delete;
        ~Taken() {
            if (is_own) drop();
        }
        void drop() noexcept;
    };

    void walk();
    // What a field holds; null when it is absent. It is there until something of Python's runs.
    [[nodiscard, gnu::always_inline]] inline PyObject* read(Field field);
    [[nodiscard]] PyObject* look_up(Field field);
    // Keeps a reference of its own, or null, of a field that is read once, and answers it.
    [[nodiscard]] PyObject* keep(Field field, PyObject* value) noexcept;
    [[nodiscard]] std::int64_t number(Field field, Status status);
    [[nodiscard]] bool flag(Field field, Status status);
    [[nodiscard]] bool optional_flag(Field field, Status status);
    [[nodiscard]] bool read_reason();
    void read_level();

    PyObject* given_;
    bool is_request_;
    bool is_walked_ = false;
    Taken taken_{};
    py::object reason_;
    Request request_;
};

// Refusal unless exactly one argument was given: the request.
void require_one_argument(std::size_t count);

// Adds read_request, which reads a documented request for tests of other ways into the engine.
void bind_documented_request(py::module_& module);

}  // namespace grantwheel::bindings
