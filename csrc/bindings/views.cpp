#include "bindings/views.hpp"

namespace grantwheel::bindings {

std::string_view OwnedViews::keep(std::string_view text) {
    if (text.empty()) return {};
    return texts_.emplace_back(text);
}

void OwnedViews::add(const Engine& engine, Owner owner, Instant now) {
    now_ = now;
    RecordView view;
    check(engine.find(owner, now, view));
    if (view.mask == 0) return;
    view.bundle = keep(view.bundle);
    for (std::size_t i = 0; i < view.grant_count; ++i) view.grants[i].reason = keep(view.grants[i].reason);
    records_.push_back(view);
}

void OwnedViews::add_uid(const Engine& engine, std::uint32_t uid, Instant now) {
    std::size_t total = 0;
    check(engine.owners_of(uid, now, {}, total));
    std::vector<Owner> owners(total);
    check(engine.owners_of(uid, now, owners, total));
    for (const Owner& owner : owners) add(engine, owner, now);
}

}  // namespace grantwheel::bindings
