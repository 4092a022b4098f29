/* What a program asks of the allocators, counted, and made to fail on demand. Replaces every `operator new`. Counting is
 * thread-safe; what fails is an allocation of the thread that has asked for it.
 *
 * It stands in the tests in C++ and in C, whose programs define the operators, and in the library that is loaded before
 * Python's (interposer.cpp). */
#ifndef GRANTWHEEL_TESTS_ALLOCATIONS_H
#define GRANTWHEEL_TESTS_ALLOCATIONS_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Which allocations may fail. The last two exist beside Python only: large mappings, and what the interpreter itself
 * takes. */
enum {
    ALLOCATION_NOTHROW = 1, /* operator new that answers null */
    ALLOCATION_THROWING = 2,
    ALLOCATION_PAGES = 4,
    ALLOCATION_PYTHON = 8
};

/* How often memory was asked of operator new since the program began, and how many of these blocks are not given back. */
size_t allocations_asked(void);
size_t allocations_live(void);

/* Lets one allocation of these kinds fail: the one after `passed` others. */
void fail_allocation(unsigned kinds, size_t passed);
/* Ends that. Returns whether it has come to it, and writes how many others were still to come before it (null is fine). */
int stop_failing(size_t* left);
/* Whether it has come to it, which others may ask before the end. */
int allocation_has_failed(void);

/* Whether an allocation of this kind is to fail now: for those who allocate. */
int allocation_fails(unsigned kind);

#ifdef __cplusplus
}
#endif

#endif
