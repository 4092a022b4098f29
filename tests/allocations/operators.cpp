// Every `operator new` and `operator delete` that C++20 has, on malloc: counted, and failing on demand.
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

#include "allocations.h"

namespace {

std::atomic<std::size_t> asked{0};
std::atomic<std::size_t> live{0};

// Of one thread: that of the test.
struct Failing {
    unsigned kinds = 0;
    std::size_t left_to_pass = 0;
    bool happened = false;
};
thread_local Failing failing;

// Null also for what no machine has, which a sanitizer would take for a mistake.
void* take(std::size_t size, std::size_t alignment, unsigned kind) noexcept {
    if (allocation_fails(kind) != 0) return nullptr;
    asked.fetch_add(1, std::memory_order_relaxed);
    if (size > std::size_t{1} << 40) return nullptr;
    const bool ordinary = alignment <= alignof(std::max_align_t);
    const std::size_t rounded = (size + alignment - 1) / alignment * alignment;
    void* const memory = ordinary ? std::malloc(size == 0 ? 1 : size) : std::aligned_alloc(alignment, rounded);
    if (memory != nullptr) live.fetch_add(1, std::memory_order_relaxed);
    return memory;
}

void* take_or_throw(std::size_t size, std::size_t alignment) {
    void* const memory = take(size, alignment, ALLOCATION_THROWING);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
}

void give(void* memory) noexcept {
    if (memory == nullptr) return;
    live.fetch_sub(1, std::memory_order_relaxed);
    std::free(memory);
}

}  // namespace

std::size_t allocations_asked() { return asked; }
std::size_t allocations_live() { return live; }

void fail_allocation(unsigned kinds, std::size_t passed) { failing = {kinds, passed, false}; }

int stop_failing(std::size_t* left) {
    failing.kinds = 0;
    if (left != nullptr) *left = failing.left_to_pass;
    return failing.happened;
}

int allocation_has_failed() { return failing.happened; }

int allocation_fails(unsigned kind) {
    if ((failing.kinds & kind) == 0 || failing.left_to_pass-- != 0) return 0;
    failing.kinds = 0;
    failing.happened = true;
    return 1;
}

void* operator new(std::size_t size) { return take_or_throw(size, 1); }
void* operator new[](std::size_t size) { return take_or_throw(size, 1); }
void* operator new(std::size_t size, std::align_val_t alignment) {
    return take_or_throw(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
    return take_or_throw(size, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return take(size, 1, ALLOCATION_NOTHROW); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return take(size, 1, ALLOCATION_NOTHROW); }
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
    return take(size, static_cast<std::size_t>(alignment), ALLOCATION_NOTHROW);
}
void* operator new[](std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
    return take(size, static_cast<std::size_t>(alignment), ALLOCATION_NOTHROW);
}
void operator delete(void* memory) noexcept { give(memory); }
void operator delete[](void* memory) noexcept { give(memory); }
void operator delete(void* memory, std::size_t) noexcept { give(memory); }
void operator delete[](void* memory, std::size_t) noexcept { give(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { give(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { give(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { give(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { give(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { give(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { give(memory); }
void operator delete(void* memory, std::align_val_t, const std::nothrow_t&) noexcept { give(memory); }
void operator delete[](void* memory, std::align_val_t, const std::nothrow_t&) noexcept { give(memory); }
