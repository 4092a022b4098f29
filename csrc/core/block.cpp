#include "core/block.hpp"

#include <new>

#include "grantwheel/types.hpp"

namespace grantwheel {

namespace {

constexpr std::size_t alignment = 64;
BlockSource source{nullptr, nullptr};

bool is_from_source(Backing backing) noexcept { return backing == Backing::large && source.take != nullptr; }

// An aligned part of a block of the C++ library, with the way back to its start in front. Its own aligned blocks are not
// for this: many versions of glibc hardly use them again once they are freed (its bug 14581), and a process that makes
// one engine after the other grows.
void* take_aligned(std::size_t bytes) noexcept {
    auto* const start = static_cast<unsigned char*>(::operator new(bytes + alignment, std::nothrow));
    if (start == nullptr) return nullptr;
    const std::size_t before = alignment - reinterpret_cast<std::uintptr_t>(start) % alignment;
    start[before - 1] = static_cast<unsigned char>(before);
    return start + before;
}

void give_aligned(void* block) noexcept {
    auto* const aligned = static_cast<unsigned char*>(block);
    ::operator delete(aligned - aligned[-1]);
}

}  // namespace

void set_block_source(const BlockSource& given) noexcept { source = given; }

void* allocate_block(std::size_t bytes, Backing backing) noexcept {
    return is_from_source(backing) ? source.take(bytes) : take_aligned(bytes);
}

void free_block(void* block, std::size_t bytes, Backing backing) noexcept {
    if (block == nullptr) return;
    if (is_from_source(backing)) {
        source.give(block, bytes);
    } else {
        give_aligned(block);
    }
}

}  // namespace grantwheel
