/* A host in C that outlives its own crashes: all that a turn of its loop brings is written to a journal as one group, and
 * only then carried out and answered. Started again, it follows the journal, and has the same grants.
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
#include <sys/uio.h>
#include <unistd.h>

#include <grantwheel/gate.h>

#define LONGEST_LINE 2048   /* of the input: a reason has at most 1024 bytes */
#define LONGEST_SLEEP 60000 /* ms: poll does not count the time in suspend, so the clock is looked at now and then */
#define EVENTS_AT_ONCE 32
#define LARGEST_GROUP (64u << 20) /* as the gate has it */

static const char usage[] =
    "usage: journal_host JOURNAL\n"
    "Reads commands, a line each, writes them to the file JOURNAL and carries them out:\n"
    "  apply UID TYPES MILLISECONDS [REASON]    0 milliseconds: until it is released\n"
    "  release UID TYPES\n"
    "  mask UID\n"
    "  quit\n";

struct host {
    gw_manager* manager;
    gw_gate* gate;
    FILE* journal; /* read at the start, then written past stdio */
    uint64_t groups;
    uint64_t last_event;
    gw_ticket tickets[LONGEST_LINE]; /* of what has not been answered */
    size_t waiting;
};

/* A group is its size and its bytes. What is written of it in vain is cut off again. */
static int32_t append(void* user, uint64_t after, const void* group, size_t size) {
    struct host* const host = user;
    const int journal = fileno(host->journal);
    const uint32_t length = (uint32_t)size;
    struct iovec parts[] = {{(void*)(uintptr_t)&length, sizeof length}, {(void*)(uintptr_t)group, size}};
    const off_t before = lseek(journal, 0, SEEK_END);
    if (before < 0 || after != host->groups) return GW_APPEND_CONFLICT;
    if (writev(journal, parts, 2) == (ssize_t)(sizeof length + size)) {
        ++host->groups;
        return GW_APPENDED;
    }
    return ftruncate(journal, before) == 0 ? GW_NOT_APPENDED : GW_APPEND_UNCERTAIN;
}

/* Only asked when a part of a group could not be cut off: nobody could read what comes after it. */
static int32_t last(void* user, uint64_t* groups) {
    (void)user;
    (void)groups;
    abort();
}

/* Follows the whole groups of the journal and cuts off what a crash has left of another. False when the journal makes no
 * sense. */
static int replay(struct host* host) {
    uint32_t size = 0;
    long good = 0;
    rewind(host->journal);
    while (fread(&size, sizeof size, 1, host->journal) == 1) {
        if (size > LARGEST_GROUP) return 0;
        unsigned char* const group = malloc(size);
        const int is_whole = group != NULL && fread(group, 1, size, host->journal) == size;
        const gw_status status = is_whole ? gw_follow(host->manager, group, size) : GW_OK;
        free(group);
        if (status != GW_OK) return 0;
        if (!is_whole) break;
        good = ftell(host->journal);
        ++host->groups;
    }
    host->last_event = gw_last_sequence(host->manager); /* these were told before the crash */
    return ftruncate(fileno(host->journal), good) == 0;
}

static void answer(gw_status status, uint32_t mask) {
    if (status == GW_OK) {
        printf("ok %" PRIu32 "\n", mask);
    } else {
        printf("refused %" PRId32 ": %s\n", gw_status_public_code(status), gw_status_text(status));
    }
}

/* Has what was staged written and carried out, and answers it in its order. */
static void commit(struct host* host) {
    for (size_t i = 0; i < host->waiting; ++i) {
        uint8_t settled = 0;
        uint32_t mask = 0;
        const gw_status status = gw_gate_await(host->gate, &host->tickets[i], GW_FOREVER, &settled, &mask);
        answer(status, mask);
    }
    host->waiting = 0;
}

static void request(struct host* host, int64_t uid, const gw_request* asked) {
    gw_caller caller = GW_CALLER_INIT;
    gw_command command = {.size = sizeof command};
    gw_status status = GW_TIME_BACKWARDS;
    uint64_t now = 0;
    caller.uid = uid;
    caller.pid = (int64_t)getpid();
    caller.system_app = 1;
    const gw_manager* const manager = gw_gate_enter(host->gate, &now);
    if (manager != NULL) {
        status = gw_admit(manager, &caller, asked, now, &command);
        if (status == GW_OK) status = gw_gate_stage(host->gate, &command, &host->tickets[host->waiting]);
        gw_gate_leave(host->gate);
    }
    if (status == GW_OK) {
        ++host->waiting;
    } else {
        commit(host);
        answer(status, 0);
    }
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
        commit(host);
        const gw_status status = gw_gate_mask(host->gate, owner, &mask);
        answer(status, mask);
    } else {
        commit(host);
        printf("no such command\n");
    }
    return 1;
}

static const char* kind_name(int32_t kind) {
    static const char* const names[] = {"app_apply", "app_reset", "process_apply", "process_reset"};
    return kind >= 0 && kind < 4 ? names[kind] : "unknown";
}

/* Ends what is due, and prints the events since the last time. Answers how long poll may sleep. */
static int settle(struct host* host) {
    gw_event events[EVENTS_AT_ONCE];
    size_t count = EVENTS_AT_ONCE;
    uint64_t missed = 0;
    uint64_t now = 0;
    gw_gate_advance(host->gate, GW_NO_BUDGET, NULL, NULL);
    const gw_manager* const manager = gw_gate_enter(host->gate, &now);
    if (manager == NULL) return 0;
    while (count == EVENTS_AT_ONCE) {
        events[0].size = sizeof events[0];
        if (gw_read(manager, host->last_event, events, EVENTS_AT_ONCE, &count, &missed) != GW_OK) break;
        if (missed != 0) printf("missed %" PRIu64 " events\n", missed);
        for (size_t i = 0; i < count; ++i) {
            printf("event %" PRIu64 " at %" PRIu64 ": %s %" PRIu32 " %" PRIu32 "\n", events[i].sequence, events[i].time,
                   kind_name(events[i].kind), events[i].uid, events[i].mask);
            host->last_event = events[i].sequence;
        }
    }
    const uint64_t wake = gw_wake_at(manager);
    gw_gate_leave(host->gate);
    fflush(stdout);
    return wake <= now ? 0 : wake - now < LONGEST_SLEEP ? (int)(wake - now) : LONGEST_SLEEP;
}

/* Reads lines until the last one. Input is read past stdio, which would hide from poll what it has read already. */
static void serve(struct host* host) {
    char input[LONGEST_LINE];
    size_t size = 0;
    for (int more = 1; more;) {
        struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
        if (poll(&in, 1, settle(host)) <= 0) continue;
        const ssize_t got = read(STDIN_FILENO, input + size, sizeof input - 1 - size);
        if (got <= 0) break; /* the end, or a line that is too long */
        size += (size_t)got;
        input[size] = '\0';
        char* line = input;
        for (char* end; more && (end = strchr(line, '\n')) != NULL; line = end + 1) {
            *end = '\0';
            more = obey(host, line);
        }
        commit(host);
        size -= (size_t)(line - input);
        memmove(input, line, size);
    }
    settle(host);
}

int main(int count, char** arguments) {
    static struct host host;
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
    gw_gate_options options = GW_GATE_OPTIONS_INIT;
    options.append = append;
    options.last = last;
    options.log_user = &host;
    uint32_t mask = 0;
    const int is_sound = replay(&host);
    options.position = host.groups;
    if (gw_gate_create(host.manager, &options, &host.gate) != GW_OK) return 1;
    /* What another boot has written comes from later instants than there are in this one. */
    const int is_ours = is_sound && gw_gate_mask(host.gate, (gw_owner){GW_OWNER_APP, 0}, &mask) == GW_OK;
    if (is_ours) {
        printf("replayed %" PRIu64 " groups\n", host.groups);
        serve(&host);
    } else {
        fprintf(stderr, "%s: not a journal of this boot\n", arguments[1]);
    }
    gw_gate_destroy(host.gate);
    fclose(host.journal);
    return is_ours ? 0 : 1;
}
