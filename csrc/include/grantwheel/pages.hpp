// Huge pages for the large blocks of the engine, on hosts that have them; the core does not include this. Not
// thread-safe: a host asks for them before it makes its first engine.
#pragma once

#include <sys/mman.h>

#include "grantwheel/types.hpp"

namespace grantwheel {

namespace detail {

inline constexpr std::size_t page = 4096;
inline constexpr std::size_t huge_page = std::size_t{2} << 20;

constexpr std::size_t round_up(std::size_t bytes, std::size_t unit) noexcept {
    return (bytes + unit - 1) / unit * unit;
}

// Maps more than is asked for, so that an aligned part of it can be kept.
inline void* take_pages(std::size_t bytes) noexcept {
    const std::size_t kept = round_up(bytes, page);
    void* const mapped = ::mmap(nullptr, kept + huge_page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) return nullptr;
    char* const begin = static_cast<char*>(mapped);
    const std::size_t before =
        round_up(reinterpret_cast<std::size_t>(begin), huge_page) - reinterpret_cast<std::size_t>(begin);
    if (before != 0) ::munmap(begin, before);
    ::munmap(begin + before + kept, huge_page - before);
    ::madvise(begin + before, kept, MADV_HUGEPAGE);
    return begin + before;
}

inline void give_pages(void* block, std::size_t bytes) noexcept { ::munmap(block, round_up(bytes, page)); }

}  // namespace detail

// Has every large block that an engine takes from now on lie in mappings of its own, backed by huge pages where the
// system allows it: random access to many owners gets faster, and what an engine gives back goes back to the system at
// once. Not thread-safe: call it before the first engine is made.
inline void use_huge_pages() noexcept { set_block_source({detail::take_pages, detail::give_pages}); }

}  // namespace grantwheel
