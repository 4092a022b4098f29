// About whom something is staged: for each uid and pid the last group with an op about it. Not thread-safe.
//
// Bound    A fixed number of places. When too many are in use at once, everybody counts as marked: whoever reads waits
//          for nothing, and never too little.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/hash.hpp"
#include "grantwheel/types.hpp"

namespace grantwheel {

class Marks {
public:
    explicit Marks(const HashKey& key) noexcept : hash_(key) {}

    // There is an op about this owner in a group; `uid` is its own, or that of the process. All groups up to `settled` are
    // over, and may be forgotten.
    void set(Owner owner, std::uint32_t uid, std::uint64_t group, std::uint64_t settled) noexcept;
    void set_all(std::uint64_t group) noexcept { all_ = group; }

    // The last group about this owner, which may be over.
    [[nodiscard]] std::uint64_t group(Owner owner) const noexcept;
    // Whether a process is marked by itself; then under which uid it was last.
    [[nodiscard]] bool find_uid(std::uint32_t pid, std::uint32_t& uid) const noexcept;

private:
    struct Place {
        std::uint64_t group = 0;  // 0: free
        Owner owner{};
        std::uint32_t uid = 0;
    };
    static constexpr std::size_t ways = 8;
    using Set = std::array<Place, ways>;
    static constexpr std::size_t sets = 256;

    [[nodiscard]] std::size_t set_of(Owner owner) const noexcept {
        return hash_(owner.key ^ (owner.kind == OwnerKind::process ? 0x8000'0000u : 0)) % sets;
    }
    [[nodiscard]] const Place* find(Owner owner) const noexcept;

    NumberHash hash_;
    std::uint64_t all_ = 0;
    std::array<Set, sets> sets_{};
};

}  // namespace grantwheel
