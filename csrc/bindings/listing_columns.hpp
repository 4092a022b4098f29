// Lists of owners and records as columns: a buffer for each field, instead of an object for each record.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "bindings/event_lists.hpp"
#include "bindings/views.hpp"

namespace grantwheel::bindings {

// Records by column, and their grants.
class RecordTable {
public:
    void add(const RecordView& view);
    void add_grants(const RecordView& view);  // of the record that was added last
    [[nodiscard]] py::object infos() const;
    [[nodiscard]] py::object records() const;

private:
    // Of texts of either type, so that one is looked for without a copy of it.
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
    };

    // The place of a text among those that have come, each of them once.
    [[nodiscard]] std::uint32_t place_of(std::string_view text);
    [[nodiscard]] py::tuple texts() const;

    Column<std::uint8_t> kind_;
    Column<std::uint32_t> uid_, pid_;
    Column<std::uint16_t> mask_;
    Column<std::int8_t> cpu_level_;
    Column<std::uint32_t> bundle_;
    Column<std::uint32_t> grant_record_;
    Column<std::uint16_t> grant_type_;
    Column<std::uint32_t> grant_timeout_;
    Column<std::uint64_t> grant_deadline_;
    Column<std::uint32_t> grant_reason_;
    std::unordered_map<std::string, std::uint32_t, Hash, std::equal_to<>> places_;
};

[[nodiscard]] py::object make_holder_columns(const std::vector<Owner>& owners);

}  // namespace grantwheel::bindings
