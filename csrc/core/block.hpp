// Blocks of memory for the arrays of the engine, the one place where it allocates. As thread-safe as operator new.
//
// Large    A block of 4 MiB or more is aligned to 2 MiB and shown to the host's advice (see advise_blocks), so that it
//          can be backed by huge pages: most of a random access to a large table is the look-up of its page.
#pragma once

#include <cstddef>

namespace grantwheel {

// A block aligned to cache lines at least, or null. Its bytes are undefined.
[[nodiscard]] void* allocate_block(std::size_t bytes) noexcept;

// Gives a block back; null is fine. `bytes` is what it was allocated with.
void free_block(void* block, std::size_t bytes) noexcept;

// Asks the processor for a line of memory that will be written soon.
inline void prefetch(const void* address) noexcept { __builtin_prefetch(address, 1); }

}  // namespace grantwheel
