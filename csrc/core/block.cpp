#include "core/block.hpp"

#include <new>

#include "grantwheel/types.hpp"

namespace grantwheel {

namespace {

constexpr std::align_val_t alignment{64};
BlockSource source{nullptr, nullptr};

bool is_from_source(Backing backing) noexcept { return backing == Backing::large && source.take != nullptr; }

}  // namespace

void set_block_source(const BlockSource& given) noexcept { source = given; }

void* allocate_block(std::size_t bytes, Backing backing) noexcept {
    return is_from_source(backing) ? source.take(bytes) : ::operator new(bytes, alignment, std::nothrow);
}

void free_block(void* block, std::size_t bytes, Backing backing) noexcept {
    if (block == nullptr) return;
    if (is_from_source(backing)) {
        source.give(block, bytes);
    } else {
        ::operator delete(block, alignment);
    }
}

}  // namespace grantwheel
