/* grantwheel for C, and for whatever calls C: grants of typed resources that end on time. A gw_manager is not
 * thread-safe: one caller at a time, under a lock of the host's; calls without a manager are thread-safe, and managers
 * have nothing in common.
 *
 * Unstable until 1.0: an incompatible change gives GW_ABI_VERSION and the soversion of the library their next number.
 *
 * Errors   A call answers a gw_status of the one list in status.h. After any other than GW_OK nothing has changed (what
 *          was due by then is reported all the same), and nothing was written through a pointer. A null pointer, a
 *          size or an enumerator that cannot be is GW_ARGUMENT_INVALID. Nothing throws.
 * Sizes    Structs begin with their size, which the caller sets to sizeof: the library reads and writes no more than
 *          that, and refuses less than it needs. Of an array, the size of the first element is the stride of all. The
 *          small values gw_text, gw_owner, gw_result and gw_grant have none; they are the same as long as
 *          GW_ABI_VERSION is.
 * Texts    Pointer and length, UTF-8, not terminated; null with length 0 is the empty text. One that goes in is read
 *          during the call and not kept. One that comes out is valid until the next call on the manager that takes it
 *          as `gw_manager *` rather than `const gw_manager *`, unless its place says otherwise. Until then it may go
 *          in again, whole; a part of it must be copied first.
 * Memory   There is nothing to free but the manager.
 * Time     `now` is milliseconds of the host's clock, 0..2^62. It may repeat and must not run backwards: then the
 *          answer is GW_TIME_BACKWARDS. A grant ends when now >= its deadline, for every reader at once.
 * Flags    uint8_t: 0 is no, everything else is yes; the library writes 0 or 1.
 * Outputs  `mask` of a changing call, or `removed`, may be null. It is the mask in effect for an apply, else the bits removed.
 */
#ifndef GRANTWHEEL_GRANTWHEEL_H
#define GRANTWHEEL_GRANTWHEEL_H

#include <stddef.h>
#include <stdint.h>

#include "grantwheel/commands.h"
#include "grantwheel/status.h"
#include "grantwheel/version.h"

/* The build reads the soversion from here. A macro, so that a host can ask for it in an #if. */
#define GW_ABI_VERSION 3 /* NOLINT(modernize-macro-to-enum) */

#if defined(__GNUC__)
#define GW_API __attribute__((visibility("default")))
#else
#define GW_API
#endif

#ifdef __cplusplus
#define GW_NOEXCEPT noexcept
extern "C" {
#else
#define GW_NOEXCEPT
#endif

typedef struct gw_manager gw_manager;

/* One of the list, or what a newer library has added to it. */
typedef int32_t gw_status;
enum {
#define GW_STATUS(name, NAME, inner, text) GW_##NAME = (inner),
    GRANTWHEEL_STATUS_LIST(GW_STATUS)
#undef GW_STATUS
};

/* Resource types. A mask is a union of them. */
enum {
    GW_TYPE_CPU = 1,
    GW_TYPE_COMMON_EVENT = 2,
    GW_TYPE_TIMER = 4,
    GW_TYPE_WORK_SCHEDULER = 8,
    GW_TYPE_BLUETOOTH = 16,
    GW_TYPE_GPS = 32,
    GW_TYPE_AUDIO = 64,
    GW_TYPE_RUNNING_LOCK = 128,
    GW_TYPE_SENSOR = 256,
    GW_TYPE_ALL = 511,
    GW_TYPE_RETAINED = 12, /* WORK_SCHEDULER and TIMER survive the death of the application */
    GW_TYPE_COUNT = 9
};

enum { GW_OWNER_APP = 0, GW_OWNER_PROCESS = 1 };

enum { GW_EVENT_APP_APPLY = 0, GW_EVENT_APP_RESET = 1, GW_EVENT_PROCESS_APPLY = 2, GW_EVENT_PROCESS_RESET = 3 };

enum {
    GW_CAUSE_APPLY = 0,
    GW_CAUSE_RELEASE = 1,
    GW_CAUSE_RESET_ALL = 2,
    GW_CAUSE_EXPIRED = 3,
    GW_CAUSE_PROCESS_DIED = 4,
    GW_CAUSE_APP_STOPPED = 5,
    GW_CAUSE_PACKAGE_REMOVED = 6,
    GW_CAUSE_PID_REUSED = 7,
    GW_CAUSE_ADMIN = 8,
    GW_CAUSE_RECOVERED = 9, /* of no event: what a start has dropped */
    GW_CAUSE_COUNT = 10
};

enum {
#define GW_COMMAND(name, NAME) GW_COMMAND_##NAME,
    GRANTWHEEL_COMMAND_LIST(GW_COMMAND)
#undef GW_COMMAND
        GW_COMMAND_COUNT
};

enum { GW_LEVEL_DEFAULT = -1, GW_LEVEL_SMALL = 0, GW_LEVEL_MEDIUM = 1, GW_LEVEL_LARGE = 2 };

/* The deadline of a persistent grant, and of none. */
#define GW_NO_DEADLINE UINT64_MAX
/* The budget of an advance that ends everything due. */
#define GW_NO_BUDGET SIZE_MAX

typedef struct gw_text {
    const char* data;
    size_t size;
} gw_text;

/* An app by uid or a process by pid. Listings have apps before processes, keys ascending. */
typedef struct gw_owner {
    int32_t kind;
    uint32_t key;
} gw_owner;

typedef struct gw_result {
    gw_status status;
    uint32_t mask; /* 0 unless status is GW_OK */
} gw_result;

/* Everything that could grow has a limit. */
typedef struct gw_limits {
    uint32_t size;
    uint32_t max_records;    /* 1..2^31-1: app and process records together */
    uint32_t max_strings;    /* 1..2^31-1: distinct reasons and bundle names in use */
    uint32_t event_capacity; /* 1..2^31-1: events kept for readers */
    uint32_t reserve;        /* 0..max_records: rows whose memory is taken at once */
} gw_limits;
#define GW_LIMITS_INIT {sizeof(gw_limits), 1000000, 65536, 65536, 0}

/* What the hashes of a manager are keyed with, so that nobody can choose names and numbers that make its tables slow. A
 * host whose callers it does not trust draws one at random and keeps it to itself; no answer depends on it. */
typedef struct gw_hash_key {
    uint64_t words[2];
} gw_hash_key;

/* Who calls. Nothing is checked when it is made: the call judges, which is why uid and pid are wider than what is
 * legal (0..2^32-2 and 0..2^31-1). */
typedef struct gw_caller {
    uint32_t size;
    uint8_t system_app;
    uint8_t service_extension;
    uint8_t native;
    int64_t uid;
    int64_t pid;
    gw_text bundle; /* at most 1024 bytes */
} gw_caller;
#define GW_CALLER_INIT {sizeof(gw_caller), 0, 0, 0, -1, -1, {NULL, 0}}

/* What is asked for. */
typedef struct gw_request {
    uint32_t size;
    uint32_t mask; /* 1..GW_TYPE_ALL */
    uint8_t is_apply;
    uint8_t is_persist;
    uint8_t is_process;
    uint8_t only_held;   /* a renewal: of an apply only those types count that are held */
    int32_t cpu_level;   /* GW_LEVEL_... */
    uint64_t timeout_ms; /* 0..2^32-1; not 0 for an apply that is not persistent */
    gw_text reason;      /* at most 1024 bytes */
} gw_request;
#define GW_REQUEST_INIT {sizeof(gw_request), 0, 1, 0, 0, 0, GW_LEVEL_DEFAULT, 0, {NULL, 0}}

/* One change, judged and fully decided: what a journal records and what a replay executes. Its texts are those of the
 * caller and the request that were judged, and live as long. */
typedef struct gw_command {
    uint32_t size;
    int32_t kind; /* GW_COMMAND_... */
    uint32_t mask;
    uint32_t uid;
    uint32_t pid;
    uint32_t timeout_ms;
    int32_t cpu_level;
    uint8_t is_persist;
    uint8_t is_process;
    uint8_t only_held; /* an apply that renews: of the types only those count that are held when it is executed */
    uint8_t ask_quota; /* written by an admission: the quota is to be asked before this is executed; not read */
    gw_text bundle;
    gw_text reason;
    uint32_t capped;                 /* the types of an apply that get a timeout of their own, and are not persistent */
    uint32_t caps_ms[GW_TYPE_COUNT]; /* that timeout, by the bit position of the type; of others it means nothing */
} gw_command;

/* One type that an owner holds. */
typedef struct gw_grant {
    uint32_t type;
    uint32_t timeout_ms; /* of the request that set the deadline */
    uint64_t deadline;   /* GW_NO_DEADLINE for a persistent grant */
    gw_text reason;
    uint8_t is_persist;
} gw_grant;

/* All that one owner holds at one instant. `mask` and `grant_count` are 0 when that is nothing. */
typedef struct gw_record {
    uint32_t size;
    gw_owner owner;
    uint32_t uid;
    uint32_t pid;
    uint32_t mask;
    int32_t cpu_level;
    uint32_t grant_count;
    gw_text bundle;
    gw_grant grants[GW_TYPE_COUNT];
} gw_record;

/* What happened to the mask of one record. Sequence numbers start at 1 and have no holes. */
typedef struct gw_event {
    uint32_t size;
    int32_t kind; /* GW_EVENT_... */
    uint64_t sequence;
    uint64_t time;
    uint32_t uid;
    uint32_t pid;
    uint32_t mask;
    int32_t cause; /* GW_CAUSE_... */
    int32_t cpu_level;
    gw_text bundle;
} gw_event;

/* Plain numbers. Counters count grants (one type of one owner each) since the manager was made. */
typedef struct gw_stats {
    uint32_t size;
    uint64_t app_records;
    uint64_t process_records;
    uint64_t app_grants[GW_TYPE_COUNT]; /* by the bit position of the type */
    uint64_t process_grants[GW_TYPE_COUNT];
    uint64_t granted;
    uint64_t renewed;
    uint64_t ended[GW_CAUSE_COUNT]; /* by GW_CAUSE_... */
    uint64_t strings;
    uint64_t last_sequence;
} gw_stats;

/* What the policy says of one bundle. */
typedef struct gw_bundle_rule {
    uint32_t size;
    uint32_t allowed;       /* the types it may hold */
    int32_t level_limit;    /* the highest cpu level it may ask for; GW_LEVEL_DEFAULT: none */
    uint8_t is_known;       /* an unknown bundle may hold nothing */
    gw_text bundle;         /* not read in a default rule */
    uint8_t refuses_longer; /* what becomes of an apply for longer than that: refused, or cut to the longest */
    uint32_t timeout_max_ms[GW_TYPE_COUNT]; /* the longest timeout by the bit position of the type; 0: no limit */
} gw_bundle_rule;
#define GW_BUNDLE_RULE_INIT {sizeof(gw_bundle_rule), GW_TYPE_ALL, GW_LEVEL_DEFAULT, 1, {NULL, 0}, 0, {0}}

/* A quota that rations CPU, as two functions of the host's. `check` answers 0 to refuse a command, which lives as long
 * as the call. `settle` hears that CPU has left the app record of `uid`, for whatever cause.
 *
 * They run inside the call that needs them, in its thread, and so under whatever lock the host holds for it. On that
 * manager they may make calls that take a `const gw_manager *`; the others answer GW_IN_CALLBACK. They must return:
 * neither throw nor jump. A host that must not hold its lock meanwhile sets `asks_quota` instead, makes the calls in
 * two steps, asks in between when a command says `ask_quota`, and reads gw_cpu_ended after every changing call. */
typedef int32_t (*gw_quota_check)(void* user, const gw_command* command);
typedef void (*gw_quota_settle)(void* user, uint32_t uid);

/* Who may hold what. The initial one trusts everyone: every caller is a native system app without a bundle name, every
 * bundle may hold every type. */
typedef struct gw_policy {
    uint32_t size;
    uint8_t asks_quota;                 /* commands say when the quota is to be asked; either function implies it */
    const gw_bundle_rule* default_rule; /* of every bundle without one of its own; null: known, every type, no level */
    const gw_bundle_rule* rules;
    size_t rule_count;
    const gw_caller* default_caller; /* of every uid without one of its own; null: a native system app */
    const gw_caller* callers;        /* bundle and flags by uid; the pid is not read */
    size_t caller_count;
    gw_quota_check quota_check;   /* null: the calls in one step ask nobody */
    gw_quota_settle quota_settle; /* null: nobody is told */
    void* quota_user;
} gw_policy;
#define GW_POLICY_INIT {sizeof(gw_policy), 0, NULL, NULL, 0, NULL, NULL, 0, NULL, NULL, NULL}

/* ---- Without a manager ------------------------------------------------------------------------------------------ */

/* The GW_ABI_VERSION that the library was built with: a program goes on only when it is its own. */
GW_API uint32_t gw_abi_version(void) GW_NOEXCEPT;
/* The version of grantwheel, such as "0.1.0". */
GW_API const char* gw_version(void) GW_NOEXCEPT;

/* The name and the rule of a status, "unknown" for a stranger; terminated, valid for good. */
GW_API const char* gw_status_name(gw_status status) GW_NOEXCEPT;
GW_API const char* gw_status_text(gw_status status) GW_NOEXCEPT;
/* The code that the documented API names: 0 for GW_OK, -1 for an error of the host. */
GW_API int32_t gw_status_public_code(gw_status status) GW_NOEXCEPT;

/* A terminated string as a text; null is the empty one. */
GW_API gw_text gw_text_of(const char* string) GW_NOEXCEPT;

/* The name of the first limit that is out of range, or null; "size" when the struct is null or too small. */
GW_API const char* gw_limits_first_invalid(const gw_limits* limits) GW_NOEXCEPT;

/* ---- A manager --------------------------------------------------------------------------------------------------- */

/* Makes a manager without grants, ready, with the policy that trusts everyone. `limits` may be null: GW_LIMITS_INIT.
 * GW_ARGUMENT_INVALID for a limit out of range, GW_OUT_OF_MEMORY when memory is not to be had. */
GW_API gw_status gw_create(const gw_limits* limits, gw_manager** manager) GW_NOEXCEPT;
/* The same with a key for its hashes; without one it is all zeros. */
GW_API gw_status gw_create_keyed(const gw_limits* limits, gw_hash_key key, gw_manager** manager) GW_NOEXCEPT;
/* Frees it. Null is fine; inside a callback of the manager this does nothing. */
GW_API void gw_destroy(gw_manager* manager) GW_NOEXCEPT;

/* Replaces the whole policy and quota, from the next call on; null stands for the initial one. No grant is dropped by
 * it. Refused, the old one stays: GW_ARGUMENT_INVALID, GW_OUT_OF_MEMORY, GW_PARCEL_FAILED for a bundle that is not
 * UTF-8, GW_IDENTITY_INVALID for one of more than 1024 bytes or a uid out of range. */
GW_API gw_status gw_set_policy(gw_manager* manager, const gw_policy* policy) GW_NOEXCEPT;
/* The caller that the policy has for a uid, with these uid and pid. Its bundle is valid until the policy changes. */
GW_API gw_status gw_caller_of(const gw_manager* manager, int64_t uid, int64_t pid, gw_caller* caller) GW_NOEXCEPT;

/* Whether requests are carried out. Deaths, administration and expiry always are. */
GW_API uint8_t gw_ready(const gw_manager* manager) GW_NOEXCEPT;
GW_API gw_status gw_set_ready(gw_manager* manager, uint8_t ready) GW_NOEXCEPT;

/* ---- Changes in one step: judged, the quota asked, carried out ---------------------------------------------------- */

/* Applies or releases as the request says. */
GW_API gw_status gw_perform(gw_manager* manager, const gw_caller* caller, const gw_request* request, uint64_t now,
                            uint32_t* mask) GW_NOEXCEPT;
/* Releases every type that the caller's bundle is allowed. */
GW_API gw_status gw_reset_all(gw_manager* manager, const gw_caller* caller, uint64_t now, uint32_t* mask) GW_NOEXCEPT;

/* Deaths. GW_IDENTITY_INVALID for a uid or pid out of range; nobody's death is a success. */
GW_API gw_status gw_process_died(gw_manager* manager, int64_t uid, int64_t pid, uint64_t now,
                                 uint32_t* mask) GW_NOEXCEPT;
GW_API gw_status gw_app_stopped(gw_manager* manager, int64_t uid, uint64_t now, uint32_t* mask) GW_NOEXCEPT;
GW_API gw_status gw_package_removed(gw_manager* manager, int64_t uid, uint64_t now, uint32_t* mask) GW_NOEXCEPT;

/* Administration: no filter, no cascade. */
GW_API gw_status gw_admin_reset_all(gw_manager* manager, uint64_t now, uint32_t* mask) GW_NOEXCEPT;
GW_API gw_status gw_admin_reset_app(gw_manager* manager, int64_t uid, uint32_t mask, uint64_t now,
                                    uint32_t* removed) GW_NOEXCEPT;
GW_API gw_status gw_admin_reset_process(gw_manager* manager, int64_t pid, uint32_t mask, uint64_t now,
                                        uint32_t* removed) GW_NOEXCEPT;

/* ---- Changes in two steps: for a host with a journal, or with a quota that is asked outside its lock -------------- */

/* Judges a change, and writes the command when the answer is GW_OK. Changes nothing. */
GW_API gw_status gw_admit(const gw_manager* manager, const gw_caller* caller, const gw_request* request, uint64_t now,
                          gw_command* command) GW_NOEXCEPT;
GW_API gw_status gw_admit_reset_all(const gw_manager* manager, const gw_caller* caller, uint64_t now,
                                    gw_command* command) GW_NOEXCEPT;
GW_API gw_status gw_admit_process_died(const gw_manager* manager, int64_t uid, int64_t pid, uint64_t now,
                                       gw_command* command) GW_NOEXCEPT;
GW_API gw_status gw_admit_app_stopped(const gw_manager* manager, int64_t uid, uint64_t now,
                                      gw_command* command) GW_NOEXCEPT;
GW_API gw_status gw_admit_package_removed(const gw_manager* manager, int64_t uid, uint64_t now,
                                          gw_command* command) GW_NOEXCEPT;
GW_API gw_status gw_admit_admin_reset_all(const gw_manager* manager, uint64_t now, gw_command* command) GW_NOEXCEPT;
GW_API gw_status gw_admit_admin_reset_app(const gw_manager* manager, int64_t uid, uint32_t mask, uint64_t now,
                                          gw_command* command) GW_NOEXCEPT;
GW_API gw_status gw_admit_admin_reset_process(const gw_manager* manager, int64_t pid, uint32_t mask, uint64_t now,
                                              gw_command* command) GW_NOEXCEPT;

/* Carries out a command: one that was admitted, at that instant or earlier, or one from a journal. It asks no quota and
 * no policy. A field out of range is refused: GW_REQUEST_INVALID, GW_IDENTITY_INVALID, GW_LEVEL_INVALID,
 * GW_PARCEL_FAILED. */
GW_API gw_status gw_execute(gw_manager* manager, const gw_command* command, uint64_t now, uint32_t* mask) GW_NOEXCEPT;

/* The uids whose app record lost CPU during the last call that took a `gw_manager *`, whatever it answered, in order,
 * those of all the rows of a batch included; none unless the policy has a quota. Only a call that answered
 * GW_IN_CALLBACK does not count. Complete once the call has returned, valid until the next. Null when a pointer is. */
GW_API const uint32_t* gw_cpu_ended(const gw_manager* manager, size_t* count) GW_NOEXCEPT;

/* Whether the caller may read the grants of its uid, and whether it may see every record or subscribe. */
GW_API gw_status gw_admit_query(const gw_manager* manager, const gw_caller* caller, uint64_t now) GW_NOEXCEPT;
GW_API gw_status gw_admit_native(const gw_manager* manager, const gw_caller* caller) GW_NOEXCEPT;

/* ---- Batches: the results of as many calls at one instant, without their cache misses one after the other --------- */

/* App-level applies and releases by the callers that the policy has for the uids, without reason and level. The columns
 * and `results` have `count` elements; they may be null when it is 0. Refused rows have their status in `results`; the
 * whole batch is refused only for its instant or its arguments, or, under a policy with a quota, with GW_OUT_OF_MEMORY
 * when there is none for what gw_cpu_ended will say. A host that asks its quota itself applies one by one instead: here
 * the functions of the policy are asked, and nobody else. */
GW_API gw_status gw_apply_many(gw_manager* manager, size_t count, const uint32_t* uids, const uint32_t* pids,
                               const uint32_t* masks, const uint32_t* timeouts_ms, uint64_t now,
                               gw_result* results) GW_NOEXCEPT;
GW_API gw_status gw_release_many(gw_manager* manager, size_t count, const uint32_t* uids, const uint32_t* pids,
                                 const uint32_t* masks, uint64_t now, gw_result* results) GW_NOEXCEPT;
/* What the apps hold now. */
GW_API gw_status gw_app_masks(const gw_manager* manager, size_t count, const uint32_t* uids, uint64_t now,
                              gw_result* results) GW_NOEXCEPT;

/* ---- Time --------------------------------------------------------------------------------------------------------- */

/* Ends what is due, in order, and says so in events. At most `budget` records are ended, re-armed or moved; `more` is
 * 1 when due ones remain. `ended` (grants) and `more` may be null. Never allocates. */
GW_API gw_status gw_advance(gw_manager* manager, uint64_t now, size_t budget, size_t* ended, uint8_t* more) GW_NOEXCEPT;
/* The earliest deadline of all grants, exactly; GW_NO_DEADLINE when there is none. Advances to now. */
GW_API gw_status gw_next_deadline(gw_manager* manager, uint64_t now, uint64_t* deadline) GW_NOEXCEPT;
/* An instant not later than that: a driver may sleep until then. Costs next to nothing. GW_NO_DEADLINE for null. */
GW_API uint64_t gw_wake_at(const gw_manager* manager) GW_NOEXCEPT;
/* The latest instant of all calls that took a `gw_manager *`: where a host whose clock begins anew goes on. 0 for null. */
GW_API uint64_t gw_now(const gw_manager* manager) GW_NOEXCEPT;
/* What a call at this instant would answer about it: GW_OK, GW_TIME_BACKWARDS or GW_TIME_OUT_OF_RANGE. */
GW_API gw_status gw_check_time(const gw_manager* manager, uint64_t now) GW_NOEXCEPT;

/* ---- Reads -------------------------------------------------------------------------------------------------------- */

/* What an owner holds now: its mask, and all there is to know. Nothing held is a success with mask 0. */
GW_API gw_status gw_mask(const gw_manager* manager, gw_owner owner, uint64_t now, uint32_t* mask) GW_NOEXCEPT;
GW_API gw_status gw_find(const gw_manager* manager, gw_owner owner, uint64_t now, gw_record* record) GW_NOEXCEPT;

/* The app of a uid and its processes that hold anything now, in listing order: the first `capacity` of them. `total` is
 * the number of all. */
GW_API gw_status gw_owners_of(const gw_manager* manager, uint32_t uid, uint64_t now, gw_owner* owners, size_t capacity,
                              size_t* total) GW_NOEXCEPT;
/* The first owners after `after` (null: from the start) that hold any of the types, in listing order. `count` is the
 * number written: fewer than `capacity` are the last. Advances to now. */
GW_API gw_status gw_owners(gw_manager* manager, uint32_t mask, const gw_owner* after, uint64_t now, gw_owner* owners,
                           size_t capacity, size_t* count) GW_NOEXCEPT;
/* How many owners hold a type now. Advances to now. */
GW_API gw_status gw_count(gw_manager* manager, uint32_t type, uint64_t now, size_t* count) GW_NOEXCEPT;
/* The most that gw_owners can find for this mask: what is due and not yet freed counts. */
GW_API size_t gw_most_owners(const gw_manager* manager, uint32_t mask) GW_NOEXCEPT;
/* Advances to now. */
GW_API gw_status gw_get_stats(gw_manager* manager, uint64_t now, gw_stats* stats) GW_NOEXCEPT;

/* ---- Events: a ring that any number of readers read, each with a number of its own -------------------------------- */

/* Copies the events after number `after`, oldest first, at most `capacity`: the size of events[0] is the stride, and is
 * written to the others. `count` is the number written; `missed` (may be null), how many were overwritten before them.
 * The reader goes on after the number of the last one. */
GW_API gw_status gw_read(const gw_manager* manager, uint64_t after, gw_event* events, size_t capacity, size_t* count,
                         uint64_t* missed) GW_NOEXCEPT;
/* The numbers of the oldest event that is still there and of the newest; 1 and 0 before the first. */
GW_API uint64_t gw_first_sequence(const gw_manager* manager) GW_NOEXCEPT;
GW_API uint64_t gw_last_sequence(const gw_manager* manager) GW_NOEXCEPT;

/* Checks every invariant: null, or the name of the first that is broken. Looks at everything. A name that begins with
 * "validate:" tells that nothing is known to be broken, but that there was no memory to look at all of it. */
GW_API const char* gw_validate(const gw_manager* manager) GW_NOEXCEPT;

#ifdef __cplusplus
}
#endif

#endif
