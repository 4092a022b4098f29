/* A host in C that outlives its own crashes: each command is judged, written to a journal, and only then carried out.
 * Started again, it carries out what is in the journal, at the same instants, and has the same grants.
 *
 *   $ journal_host JOURNAL
 *   apply 1000 32 500 navigation   uid, types as a number, milliseconds (0: until released), and a reason if you like
 *   release 1000 32
 *   mask 1000
 *   quit                           or the end of the input
 *
 * It sleeps in poll, no longer than gw_wake_at says. Instants are milliseconds since boot, so a journal is worth nothing
 * after a reboot: keep it in /run, which a reboot empties. What is there need not be flushed to a disk.
 */
#define _POSIX_C_SOURCE 200809L

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <grantwheel/grantwheel.h>

#define LONGEST_LINE 2048   /* of the journal and of the input: a reason has at most 1024 bytes */
#define LONGEST_SLEEP 60000 /* ms: poll does not count the time in suspend, so the clock is looked at now and then */
#define EVENTS_AT_ONCE 32

static const char usage[] =
    "usage: journal_host JOURNAL\n"
    "Reads commands, a line each, writes them to the file JOURNAL and carries them out:\n"
    "  apply UID TYPES MILLISECONDS [REASON]    0 milliseconds: until it is released\n"
    "  release UID TYPES\n"
    "  mask UID\n"
    "  quit\n";

struct host {
    gw_manager* manager;
    FILE* journal; /* read at the start, then written past stdio */
    uint64_t last_event;
};

/* A clock that counts the time in suspend: a grant must not outlive a night. */
static uint64_t clock_ms(void) {
    struct timespec time;
    clock_gettime(CLOCK_BOOTTIME, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

static const char* kind_name(int32_t kind) {
    static const char* const names[] = {"app_apply", "app_reset", "process_apply", "process_reset"};
    return kind >= 0 && kind < 4 ? names[kind] : "unknown";
}

/* One line for each command, the reason last. The initial policy knows no bundles, levels and longest timeouts, so there
 * are none to write. False when it could not be written: then it must not be carried out. */
static int record(int journal, const gw_command* command, uint64_t now) {
    char line[LONGEST_LINE];
    const int size = snprintf(
        line, sizeof line, "%" PRIu64 " %" PRId32 " %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32 " %d %.*s\n", now,
        command->kind, command->mask, command->uid, command->pid, command->timeout_ms, command->is_persist,
        (int)command->reason.size, command->reason.data != NULL ? command->reason.data : "");
    const off_t before = lseek(journal, 0, SEEK_END);
    if (size < 0 || size >= LONGEST_LINE || before < 0) return 0;
    if (write(journal, line, (size_t)size) == size) return 1;
    if (ftruncate(journal, before) != 0) abort(); /* nobody could read what comes after half a line */
    return 0;
}

/* Reads what `record` has written; false when it is something else. The reason points into the line. */
static int parse_record(char* line, gw_command* command, uint64_t* now) {
    int is_persist = 0;
    int length = 0;
    memset(command, 0, sizeof *command);
    command->size = sizeof *command;
    command->cpu_level = GW_LEVEL_DEFAULT;
    if (sscanf(line, "%" SCNu64 " %" SCNd32 " %" SCNu32 " %" SCNu32 " %" SCNu32 " %" SCNu32 " %d%n", now,
               &command->kind, &command->mask, &command->uid, &command->pid, &command->timeout_ms, &is_persist,
               &length) != 7 ||
        line[length] != ' ')
        return 0;
    command->is_persist = is_persist != 0;
    command->reason = gw_text_of(line + length + 1);
    return 1;
}

/* Carries out the whole lines of the journal and cuts off what a crash has left of another. The number of commands, or
 * -1 when the journal makes no sense. */
static int replay(struct host* host) {
    char line[LONGEST_LINE];
    long good = 0;
    int count = 0;
    rewind(host->journal);
    while (fgets(line, sizeof line, host->journal) != NULL) {
        gw_command command;
        uint64_t now = 0;
        char* const end = strchr(line, '\n');
        if (end == NULL) break;
        *end = '\0';
        if (!parse_record(line, &command, &now)) return -1;
        /* What a limit refused is refused again. */
        const gw_status status = gw_execute(host->manager, &command, now, NULL);
        if (status != GW_OK && status != GW_OUT_OF_MEMORY) return -1;
        good = ftell(host->journal);
        ++count;
    }
    if (gw_check_time(host->manager, clock_ms()) != GW_OK) return -1; /* of another boot */
    /* These were told before the crash; an end that came after the last command may be told once more. */
    host->last_event = gw_last_sequence(host->manager);
    return ftruncate(fileno(host->journal), good) == 0 ? count : -1;
}

static void answer(gw_status status, uint32_t mask) {
    if (status == GW_OK) {
        printf("ok %" PRIu32 "\n", mask);
    } else {
        printf("refused %" PRId32 ": %s\n", gw_status_public_code(status), gw_status_text(status));
    }
}

static void request(struct host* host, int64_t uid, gw_request* asked) {
    const uint64_t now = clock_ms();
    gw_caller caller = GW_CALLER_INIT;
    gw_command command = {.size = sizeof command};
    uint32_t mask = 0;
    caller.uid = uid;
    caller.pid = (int64_t)getpid();
    caller.system_app = 1;
    gw_status status = gw_admit(host->manager, &caller, asked, now, &command);
    if (status == GW_OK && !record(fileno(host->journal), &command, now)) status = GW_TRANSACTION_FAILED;
    if (status == GW_OK) status = gw_execute(host->manager, &command, now, &mask);
    answer(status, mask);
}

/* One line of the input; false for the last. */
static int obey(struct host* host, const char* line) {
    gw_request asked = GW_REQUEST_INIT;
    int64_t uid = -1;
    int length = 0;
    if (strcmp(line, "quit") == 0) return 0;
    if (sscanf(line, "apply %" SCNd64 " %" SCNu32 " %" SCNu64 "%n", &uid, &asked.mask, &asked.timeout_ms, &length) ==
        3) {
        asked.is_persist = asked.timeout_ms == 0;
        asked.reason = gw_text_of(line + length + (line[length] == ' '));
        request(host, uid, &asked);
    } else if (sscanf(line, "release %" SCNd64 " %" SCNu32, &uid, &asked.mask) == 2) {
        asked.is_apply = 0;
        request(host, uid, &asked);
    } else if (sscanf(line, "mask %" SCNd64, &uid) == 1 && uid >= 0 && uid < UINT32_MAX) {
        uint32_t mask = 0;
        const gw_owner owner = {GW_OWNER_APP, (uint32_t)uid};
        const gw_status status = gw_mask(host->manager, owner, clock_ms(), &mask);
        answer(status, mask);
    } else {
        printf("no such command\n");
    }
    return 1;
}

/* Ends what is due, and prints the events since the last time. */
static void settle(struct host* host) {
    gw_event events[EVENTS_AT_ONCE];
    size_t count = 0;
    uint64_t missed = 0;
    gw_advance(host->manager, clock_ms(), GW_NO_BUDGET, NULL, NULL);
    do {
        events[0].size = sizeof events[0];
        if (gw_read(host->manager, host->last_event, events, EVENTS_AT_ONCE, &count, &missed) != GW_OK) return;
        if (missed != 0) printf("missed %" PRIu64 " events\n", missed);
        for (size_t i = 0; i < count; ++i) {
            printf("event %" PRIu64 " at %" PRIu64 ": %s %" PRIu32 " %" PRIu32 "\n", events[i].sequence, events[i].time,
                   kind_name(events[i].kind), events[i].uid, events[i].mask);
            host->last_event = events[i].sequence;
        }
    } while (count == EVENTS_AT_ONCE);
    fflush(stdout);
}

/* How long poll may sleep. */
static int sleep_ms(const gw_manager* manager) {
    const uint64_t wake = gw_wake_at(manager);
    const uint64_t now = clock_ms();
    if (wake <= now) return 0;
    return wake - now < LONGEST_SLEEP ? (int)(wake - now) : LONGEST_SLEEP;
}

/* Reads lines until the last one. Input is read past stdio, which would hide from poll what it has read already. */
static void serve(struct host* host) {
    char input[LONGEST_LINE];
    size_t size = 0;
    for (;;) {
        settle(host);
        struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
        if (poll(&in, 1, sleep_ms(host->manager)) <= 0) continue;
        const ssize_t got = read(STDIN_FILENO, input + size, sizeof input - 1 - size);
        if (got <= 0) return; /* the end, or a line that is too long */
        size += (size_t)got;
        input[size] = '\0';
        char* line = input;
        for (char* end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
            *end = '\0';
            if (!obey(host, line)) return;
        }
        size -= (size_t)(line - input);
        memmove(input, line, size);
    }
}

int main(int count, char** arguments) {
    struct host host = {NULL, NULL, 0};
    const int wants_help = count == 2 && (strcmp(arguments[1], "--help") == 0 || strcmp(arguments[1], "-h") == 0);
    if (wants_help || count != 2 || arguments[1][0] == '-') {
        fputs(usage, wants_help ? stdout : stderr);
        return wants_help ? 0 : 2;
    }
    if (gw_abi_version() != GW_ABI_VERSION) {
        fprintf(stderr, "journal_host: needs a library of ABI %d\n", GW_ABI_VERSION);
        return 1;
    }
    host.journal = fopen(arguments[1], "a+");
    if (host.journal == NULL || gw_create(NULL, &host.manager) != GW_OK) {
        perror(arguments[1]);
        return 1;
    }
    const int replayed = replay(&host);
    if (replayed >= 0) {
        printf("replayed %d commands\n", replayed);
        serve(&host);
        settle(&host);
    } else {
        fprintf(stderr, "%s: not a journal of this boot\n", arguments[1]);
    }
    gw_destroy(host.manager);
    fclose(host.journal);
    return replayed >= 0 ? 0 : 1;
}
