// Blocks of memory for the arrays of the engine, the one place where it allocates. As thread-safe as operator new.
#pragma once

#include <cstddef>
#include <cstdint>

namespace grantwheel {

// Large blocks come from the host's source when it has set one (set_block_source), so that they can be backed by huge
// pages: most of a random access to a large table is the look-up of its page. All others come from operator new.
enum class Backing : std::uint8_t { ordinary, large };

// A block aligned to cache lines at least, or null. Its bytes are undefined.
[[nodiscard]] void* allocate_block(std::size_t bytes, Backing backing) noexcept;

// Gives a block back; null is fine. Size and backing are those that it was allocated with.
void free_block(void* block, std::size_t bytes, Backing backing) noexcept;

// Asks the processor for a line of memory that will be written soon. The empty statement keeps GCC from taking a function
// that only does this for one without any effect, and dropping its calls.
inline void prefetch(const void* address) noexcept {
    __builtin_prefetch(address, 1);
    asm volatile("" : : "r"(address));  // NOLINT(portability-no-assembler): no instruction
}

}  // namespace grantwheel
