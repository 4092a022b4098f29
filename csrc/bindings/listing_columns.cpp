#include "bindings/listing_columns.hpp"

#include "bindings/vocabulary.hpp"

namespace grantwheel::bindings {

std::uint32_t RecordTable::place_of(std::string_view text) {
    const auto found = places_.find(text);
    if (found != places_.end()) return found->second;
    return places_.emplace(text, static_cast<std::uint32_t>(places_.size())).first->second;
}

py::tuple RecordTable::texts() const {
    py::tuple result(places_.size());
    for (const auto& [text, place] : places_) result[place] = make_text(text);
    return result;
}

void RecordTable::add(const RecordView& view) {
    kind_.add(view.owner.kind);
    uid_.add(view.uid);
    pid_.add(view.pid);
    mask_.add(view.mask);
    cpu_level_.add(view.cpu_level);
    bundle_.add(place_of(view.bundle));
}

void RecordTable::add_grants(const RecordView& view) {
    const std::size_t record = uid_.size() - 1;
    for (std::size_t i = 0; i < view.grant_count; ++i) {
        const GrantView& grant = view.grants[i];
        grant_record_.add(record);
        grant_type_.add(grant.type);
        grant_timeout_.add(grant.timeout_ms);
        grant_deadline_.add(grant.is_persist ? no_deadline : grant.deadline);
        grant_reason_.add(place_of(grant.reason));
    }
}

py::object RecordTable::infos() const {
    return make_named(vocabulary().InfoColumns,
                      {kind_.buffer("B"), uid_.buffer("I"), pid_.buffer("I"), mask_.buffer("H"), cpu_level_.buffer("b"),
                       bundle_.buffer("I"), texts()});
}

py::object RecordTable::records() const {
    const py::object grants = make_named(
        vocabulary().GrantColumns, {grant_record_.buffer("I"), grant_type_.buffer("H"), grant_timeout_.buffer("I"),
                                    grant_deadline_.buffer("Q"), grant_reason_.buffer("I")});
    return make_named(vocabulary().RecordColumns,
                      {kind_.buffer("B"), uid_.buffer("I"), pid_.buffer("I"), mask_.buffer("H"), cpu_level_.buffer("b"),
                       bundle_.buffer("I"), grants, texts()});
}

py::object make_holder_columns(const std::vector<Owner>& owners) {
    Column<std::uint32_t> keys[2];
    for (Column<std::uint32_t>& column : keys) column.reserve(owners.size());
    for (const Owner& owner : owners) keys[static_cast<std::size_t>(owner.kind)].add(owner.key);
    return make_named(vocabulary().HolderColumns, {keys[0].buffer("I"), keys[1].buffer("I")});
}

}  // namespace grantwheel::bindings
