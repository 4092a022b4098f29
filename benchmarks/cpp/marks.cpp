// The marks of callgrind for Python, which calls these through ctypes.
#include <valgrind/callgrind.h>

extern "C" {

// From here on it looks at what runs,
void start_looking() { CALLGRIND_START_INSTRUMENTATION; }
// and counts it between these two. The counts are written under a name.
void begin_counting() { CALLGRIND_TOGGLE_COLLECT; }
void end_counting(const char* name) {
    CALLGRIND_TOGGLE_COLLECT;
    CALLGRIND_DUMP_STATS_AT(name);
}
}
