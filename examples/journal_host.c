/* A host in C whose grants survive its crashes and those of the machine: threads change them through a gate, and what comes
 * while a sync lasts is one group of the journal, written and synced together. Started again, it follows the journal.
 *
 *   $ journal_host JOURNAL
 *   apply 1000 32 500 navigation   uid, types as a number, milliseconds (0: until released), and a reason if you like
 *   release 1000 32
 *   mask 1000
 *
 * Each line is obeyed as if it came from a client of its own: wait for an answer where the order matters. The journal grows;
 * with a snapshot (snapshot.h) a new one can begin.
 */
#define _XOPEN_SOURCE 700
#include <fcntl.h>
#include <grantwheel/gate.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { CLIENTS = 8, LONGEST_LINE = 2048, LONGEST_SLEEP = 60000 };

static struct {
    gw_gate* gate;
    int file;          /* a group is its size, the size with all bits turned, and its bytes */
    off_t end;         /* of the last whole group */
    uint64_t groups;   /* up to there */
    uint64_t event;    /* the last that was printed */
    uint64_t ahead_ms; /* how far the time of the journal is ahead of that since boot */
} host;

/* Cuts off what is not whole: after a crash that is a part of the last group, which nobody was told of. */
static int cut(void) { return ftruncate(host.file, host.end) == 0 && fsync(host.file) == 0; }

static int32_t append(void* user, uint64_t after, const void* group, size_t bytes) {
    const uint32_t head[] = {(uint32_t)bytes, ~(uint32_t)bytes};
    const struct iovec parts[] = {{(void*)(uintptr_t)head, sizeof head}, {(void*)(uintptr_t)group, bytes}};
    const ssize_t whole = (ssize_t)(sizeof head + bytes);
    (void)user, (void)after; /* nobody else writes: see lockf */
    if (writev(host.file, parts, 2) != whole || fsync(host.file) != 0)
        return cut() ? GW_NOT_APPENDED : GW_APPEND_UNCERTAIN;
    host.end += whole;
    ++host.groups;
    return GW_APPENDED;
}

static int32_t last(void* user, uint64_t* groups) { return (void)user, *groups = host.groups, cut(); }

/* Follows the whole groups. False, with the file as it is, when one of them makes no sense: a size that is none would look
 * like a part of the last group, and all behind it be cut off. */
static int replay(gw_manager* manager) {
    const off_t size = lseek(host.file, 0, SEEK_END);
    const char* const bytes = mmap(NULL, (size_t)size + 1, PROT_READ, MAP_PRIVATE, host.file, 0);
    for (uint32_t head[2]; bytes != MAP_FAILED && size - host.end >= (off_t)sizeof head; ++host.groups) {
        memcpy(head, bytes + host.end, sizeof head);
        const off_t begin = host.end + (off_t)sizeof head;
        if (head[1] != ~head[0]) return 0;
        if (head[0] > size - begin) break;
        if (gw_follow(manager, bytes + begin, head[0]) != GW_OK) return 0;
        host.end = begin + head[0];
    }
    host.event = gw_last_sequence(manager);
    return bytes != MAP_FAILED && cut();
}

static uint64_t milliseconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}
static uint64_t read_clock(void* user) { return (void)user, host.ahead_ms + milliseconds(CLOCK_BOOTTIME); }

static gw_status obey(const char* line, uint32_t* mask) {
    gw_caller caller = {.size = sizeof caller, .system_app = 1, .pid = getpid()};
    gw_request asked = GW_REQUEST_INIT;
    gw_owner owner = {GW_OWNER_APP, 0};
    int used = 0;
    if (sscanf(line, "mask %" SCNu32, &owner.key) == 1) return gw_gate_mask(host.gate, owner, mask);
    asked.is_apply = sscanf(line, "apply %" SCNd64 " %" SCNu32 " %" SCNu64 " %n", &caller.uid, &asked.mask,
                            &asked.timeout_ms, &used) == 3;
    asked.is_persist = asked.is_apply && asked.timeout_ms == 0;
    asked.reason = gw_text_of(line + used);
    if (!asked.is_apply && sscanf(line, "release %" SCNd64 " %" SCNu32, &caller.uid, &asked.mask) != 2)
        return GW_ARGUMENT_INVALID;
    return gw_gate_perform(host.gate, &caller, &asked, mask);
}

static void* serve(void* unused) {
    char line[LONGEST_LINE];
    for (uint32_t mask; fgets(line, sizeof line, stdin) != NULL;) {
        line[strcspn(line, "\n")] = '\0';
        const gw_status status = obey(line, &mask);
        printf("%s: %s %" PRIu32 "\n", line, gw_status_name(status), status == GW_OK ? mask : 0);
    }
    return unused;
}

/* Ends what is due, prints what has happened, and sleeps until there is more to do. */
static void* drive(void* unused) {
    struct pollfd settled = {gw_gate_descriptor(host.gate), POLLIN, 0};
    gw_event event = {.size = sizeof event};
    for (uint64_t now = 0;; gw_gate_clear(host.gate)) {
        const gw_status ended = gw_gate_advance(host.gate, GW_NO_BUDGET, NULL, NULL);
        const gw_manager* const manager = gw_gate_enter(host.gate, &now);
        if (manager == NULL) return unused;
        for (size_t one; gw_read(manager, host.event, &event, 1, &one, NULL) == GW_OK && one;
             host.event = event.sequence)
            printf("event %" PRIu64 " at %" PRIu64 ": %" PRIu32 " %s %" PRIu32 "\n", event.sequence, event.time,
                   event.uid, event.kind == GW_EVENT_APP_APPLY ? "gets" : "loses", event.mask);
        const uint64_t wake = ended == GW_OK ? gw_wake_at(manager) : now + 1000;
        gw_gate_leave(host.gate);
        poll(&settled, 1, wake <= now ? 0 : wake - now < LONGEST_SLEEP ? (int)(wake - now) : LONGEST_SLEEP);
    }
}

int main(int count, char** arguments) {
    pthread_t threads[1 + CLIENTS];
    gw_manager* manager = NULL;
    const int is_help = count == 2 && strcmp(arguments[1], "--help") == 0;
    if (count != 2 || arguments[1][0] == '-')
        return fputs("usage: journal_host JOURNAL\n", is_help ? stdout : stderr), !is_help * 2;
    host.file = open(arguments[1], O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (host.file < 0 || lockf(host.file, F_TLOCK, 0) != 0) return perror(arguments[1]), 1;
    if (gw_abi_version() != GW_ABI_VERSION || gw_create(NULL, &manager) != GW_OK) return 1;
    if (!replay(manager)) return fprintf(stderr, "%s: damaged at byte %jd\n", arguments[1], (intmax_t)host.end), 1;
    /* The time of day of the start, if it is not before the journal's last; from there on with the clock since boot. */
    const uint64_t today = milliseconds(CLOCK_REALTIME), then = gw_now(manager);
    host.ahead_ms = (today > then ? today : then) - milliseconds(CLOCK_BOOTTIME);
    const gw_gate_options options = {
        .size = sizeof options, .position = host.groups, .append = append, .last = last, .clock = read_clock};
    if (gw_gate_create(manager, &options, &host.gate) != GW_OK) return 1;
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("replayed %" PRIu64 " groups\n", host.groups);
    for (int i = 0; i <= CLIENTS; ++i)
        if (pthread_create(&threads[i], NULL, i == 0 ? drive : serve, NULL) != 0) return 1;
    for (int i = 1; i <= CLIENTS; ++i) pthread_join(threads[i], NULL);
    return 0; /* what is answered is on the disk: there is nothing to close */
}
