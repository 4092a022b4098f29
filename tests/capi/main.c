/* Runs every case, or those named, and says of each whether it passed. */
#include <stdio.h>

#include "check.h"

enum { MOST_CASES = 200 };

static struct {
    const char* name;
    void (*run)(void);
} cases[MOST_CASES];
static int case_count;
static int failures;

void add_case(const char* name, void (*run)(void)) {
    if (case_count == MOST_CASES) {
        fail(__FILE__, __LINE__, "there are too many cases", case_count, 0);
        return;
    }
    cases[case_count].name = name;
    cases[case_count++].run = run;
}

void fail(const char* file, int line, const char* what, long long got, long long expected) {
    printf("%s:%d: %s: got %lld, not %lld\n", file, line, what, got, expected);
    ++failures;
}

int main(int argc, char** argv) {
    int failed = failures != 0;
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ); /* what was said stays said when a case crashes */
    for (int i = 0; i < case_count; ++i) {
        int wanted = argc == 1;
        for (int j = 1; j < argc; ++j) wanted |= strcmp(argv[j], cases[i].name) == 0;
        if (!wanted) continue;
        failures = 0;
        cases[i].run();
        printf("%s: %s\n", cases[i].name, failures == 0 ? "passed" : "failed");
        failed |= failures != 0;
    }
    return failed;
}
