// Where a gate puts what changes its manager: groups of ops (op.hpp), one behind the other. The host's; a gate calls it from
// one thread at a time, and not under its lock unless it is immediate.
//
// Position  How many groups there are. A group is there as a whole or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace grantwheel {

// What has become of a group.
enum class Appended : std::uint8_t {
    appended,      // it is there, and stays there, whatever happens
    not_appended,  // it certainly is not, and never will be; the next one may be
    uncertain,     // it may be there: `last` will tell
    conflict,      // it is not, and somebody else's is in its place: this writer has been replaced
};

// Where a log stands, as far as that is known.
struct [[nodiscard]] Position {
    bool is_known = false;
    std::uint64_t groups = 0;
};

class Log {
public:
    virtual ~Log() = default;

    // Puts a group behind `after` others. It may take as long as it likes.
    [[nodiscard]] virtual Appended append(std::uint64_t after, std::span<const std::byte> group) noexcept = 0;

    // How many groups there are. Asked after an uncertain append, again and again until it is known.
    virtual Position last() noexcept = 0;

    // Whether `append` waits for nothing, is never uncertain and calls nobody: then it is called under the lock, and each op
    // is a group of its own. Asked once.
    [[nodiscard]] virtual bool is_immediate() const noexcept { return false; }
};

}  // namespace grantwheel
