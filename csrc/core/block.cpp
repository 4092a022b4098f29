#include "core/block.hpp"

#include <new>

#include "grantwheel/types.hpp"

namespace grantwheel {

namespace {

constexpr std::size_t large = std::size_t{4} << 20;
BlockAdvice advice = nullptr;

constexpr std::align_val_t alignment(std::size_t bytes) noexcept {
    return bytes >= large ? std::align_val_t{2 << 20} : std::align_val_t{64};
}

}  // namespace

void advise_blocks(BlockAdvice given) noexcept { advice = given; }

void* allocate_block(std::size_t bytes) noexcept {
    void* const block = ::operator new(bytes, alignment(bytes), std::nothrow);
    if (block != nullptr && bytes >= large && advice != nullptr) advice(block, bytes);
    return block;
}

void free_block(void* block, std::size_t bytes) noexcept { ::operator delete(block, alignment(bytes)); }

}  // namespace grantwheel
