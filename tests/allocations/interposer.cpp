// What stands between Python and the allocators when it is loaded first (LD_PRELOAD): large mappings, and the memory of
// the interpreter itself. With operators.cpp it is one library. Python's functions are declared here, as its headers
// may not be there. Used under the GIL.
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>

#include "allocations.h"

extern "C" {

struct PyObject;
PyObject* PyObject_CallNoArgs(PyObject* callable);

struct PyMemAllocatorEx {
    void* context;
    void* (*malloc)(void* context, std::size_t size);
    void* (*calloc)(void* context, std::size_t count, std::size_t size);
    void* (*realloc)(void* context, void* memory, std::size_t size);
    void (*free)(void* context, void* memory);
};
void PyMem_GetAllocator(int domain, PyMemAllocatorEx* allocator);
void PyMem_SetAllocator(int domain, PyMemAllocatorEx* allocator);
}

namespace {

constexpr std::size_t large = std::size_t{2} << 20;  // no mapping of Python's own is as large

std::atomic<std::size_t> mapped{0};  // bytes
std::atomic<long> python_blocks{0};  // more than 0 or less: some are older than the counting

constexpr int domains = 3;  // raw, mem, object
PyMemAllocatorEx originals[domains];

const PyMemAllocatorEx& original(void* context) { return *static_cast<const PyMemAllocatorEx*>(context); }

void* counted(void* memory) {
    if (memory != nullptr) ++python_blocks;
    return memory;
}

void* python_malloc(void* context, std::size_t size) {
    if (allocation_fails(ALLOCATION_PYTHON) != 0) return nullptr;
    return counted(original(context).malloc(original(context).context, size));
}
void* python_calloc(void* context, std::size_t count, std::size_t size) {
    if (allocation_fails(ALLOCATION_PYTHON) != 0) return nullptr;
    return counted(original(context).calloc(original(context).context, count, size));
}
void* python_realloc(void* context, void* memory, std::size_t size) {
    if (allocation_fails(ALLOCATION_PYTHON) != 0) return nullptr;
    void* const moved = original(context).realloc(original(context).context, memory, size);
    return memory == nullptr ? counted(moved) : moved;
}
void python_free(void* context, void* memory) {
    if (memory != nullptr) --python_blocks;
    original(context).free(original(context).context, memory);
}

}  // namespace

extern "C" {

// C libraries declare these differently, some as macros: so they have names of their own here.
void* map(void* address, std::size_t size, int protection, int flags, int file, off_t offset) asm("mmap");
// What was compiled with 64-bit offsets calls it so, as Python's extensions.
void* map64(void* address, std::size_t size, int protection, int flags, int file, off_t offset) asm("mmap64");
int unmap(void* address, std::size_t size) asm("munmap");
static_assert(sizeof(off_t) == 8);

void* map(void* address, std::size_t size, int protection, int flags, int file, off_t offset) {
    const bool is_block = file == -1 && size > large;
    if (is_block && allocation_fails(ALLOCATION_PAGES) != 0) return MAP_FAILED;
    void* const made = reinterpret_cast<void*>(::syscall(SYS_mmap, address, size, protection, flags, file, offset));
    if (is_block && made != MAP_FAILED) mapped += size;
    return made;
}

void* map64(void* address, std::size_t size, int protection, int flags, int file, off_t offset) {
    return map(address, size, protection, flags, file, offset);
}

int unmap(void* address, std::size_t size) {
    mapped -= size;
    return static_cast<int>(::syscall(SYS_munmap, address, size));
}

// Bytes of large mappings; they are given back in parts, so that bytes are what can be counted.
std::size_t bytes_mapped() { return mapped; }
long blocks_of_python() { return python_blocks; }

// From now on the interpreter's own allocations can fail too.
void watch_python() {
    for (int domain = 0; domain < domains; ++domain) {
        PyMem_GetAllocator(domain, &originals[domain]);
        PyMemAllocatorEx watched{&originals[domain], python_malloc, python_calloc, python_realloc, python_free};
        PyMem_SetAllocator(domain, &watched);
    }
}

// Calls without arguments, and lets an allocation fail until the answer is there: nothing else of Python's happens
// meanwhile. Says whether it has come to it; until then `passed` becomes less.
PyObject* call_failing(PyObject* callable, unsigned kinds, std::size_t* passed, int* happened) {
    fail_allocation(kinds, *passed);
    PyObject* const answer = PyObject_CallNoArgs(callable);
    *happened = stop_failing(passed);
    return answer;
}
}
