// How far one command may reach.
#pragma once

#include <cstddef>

#include "grantwheel/engine.hpp"

namespace grantwheel::bindings {

// Whether a command may go to more than that many records.
[[nodiscard, gnu::always_inline]] inline bool may_reach(const Engine& engine, const Command& command,
                                                        std::size_t records) noexcept {
    switch (command.kind) {
        case CommandKind::release:
        case CommandKind::reset_all:
        case CommandKind::app_stopped:
        case CommandKind::package_removed: return engine.record_count(OwnerKind::process) > records;
        case CommandKind::admin_reset_all: return engine.most_owners(type::ALL) > records;
        default: return false;
    }
}

}  // namespace grantwheel::bindings
