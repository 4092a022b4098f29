/* Gates for C: many threads around one manager, and group commit where there is a log. A gw_gate is thread-safe; gate.hpp
 * says what it does, and log.hpp what a log has to do.
 *
 * Calls    Each reads the clock of the gate. A change answers when it is carried out; with a log, when its group is there.
 *          GW_TRANSACTION_FAILED: it is not in the log, and nothing has changed. GW_NOT_CONNECTED: the gate is closed.
 * Lock     Between gw_gate_enter and gw_gate_leave this thread has it: then only what says so may be called, and on the
 *          manager only what takes a `const gw_manager *`.
 */
#ifndef GRANTWHEEL_GATE_H
#define GRANTWHEEL_GATE_H

#include "grantwheel/grantwheel.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gw_gate gw_gate;

/* What has become of a group: in the log for good; certainly not; perhaps; not, as somebody else has written there. */
enum { GW_APPENDED = 0, GW_NOT_APPENDED = 1, GW_APPEND_UNCERTAIN = 2, GW_APPEND_CONFLICT = 3 };

/* A log, as functions of the host's. `append` puts a group behind `after` others and answers one of these; any other
 * answer is uncertain. `last` is asked after an uncertain one, until it answers other than 0 and says how many groups
 * there are. One is called at a time, without the lock, and must return: neither throw nor jump. */
typedef int32_t (*gw_log_append)(void* user, uint64_t after, const void* group, size_t size);
typedef int32_t (*gw_log_last)(void* user, uint64_t* groups);

typedef struct gw_gate_options {
    uint32_t size;
    uint8_t own_thread; /* a thread of the gate's own calls the log, and no other */
    uint8_t
        is_immediate; /* `append` waits for nothing, is never uncertain and calls nobody: it is called under the lock */
    uint64_t position;      /* how many groups the log has */
    size_t max_group_bytes; /* of the open group; 0: 64 MiB */
    gw_log_append append;   /* null: there is no log */
    gw_log_last last;
    void* log_user;
    uint64_t (*clock)(void* user); /* milliseconds; null: since boot, time in suspend included */
    void* clock_user;
    uint8_t is_behind;     /* a change is carried out at once, and appended soon after by a thread of the gate's own */
    uint32_t max_delay_ms; /* so soon, if the log is not busy; 0: 10 */
} gw_gate_options;
#define GW_GATE_OPTIONS_INIT {sizeof(gw_gate_options), 0, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, 0, 0}

/* Waiting without end. */
#define GW_FOREVER UINT64_MAX

/* Makes a gate, which takes the manager over: all calls on it that take a `gw_manager *` answer GW_IN_CALLBACK from then
 * on. Its policy is set before. `options` may be null: no log. */
GW_API gw_status gw_gate_create(gw_manager* manager, const gw_gate_options* options, gw_gate** gate) GW_NOEXCEPT;
/* Closes, waits for what the log has been given, and frees the gate and its manager. Null is fine. */
GW_API void gw_gate_destroy(gw_gate* gate) GW_NOEXCEPT;
/* Takes no more changes. What is staged has so many milliseconds to settle; what the log has not been given by then is
 * refused with GW_NOT_CONNECTED; where the log is behind, that is lost. GW_TRANSACTION_FAILED when the log still owes an
 * answer: call again. */
GW_API gw_status gw_gate_close(gw_gate* gate, uint64_t timeout_ms) GW_NOEXCEPT;

/* ---- Changes, as the calls of the same names; `mask` may be null. The quota of the policy is asked under the lock. ---- */

GW_API gw_status gw_gate_perform(gw_gate* gate, const gw_caller* caller, const gw_request* request,
                                 uint32_t* mask) GW_NOEXCEPT;
GW_API gw_status gw_gate_reset_all(gw_gate* gate, const gw_caller* caller, uint32_t* mask) GW_NOEXCEPT;
/* A command that gw_admit or one of its like has admitted, or another one in range: deaths, administration. */
GW_API gw_status gw_gate_execute(gw_gate* gate, const gw_command* command, uint32_t* mask) GW_NOEXCEPT;
/* Ends what is due, in at most `budget` records. `ended` (grants) and `more` may be null. */
GW_API gw_status gw_gate_advance(gw_gate* gate, size_t budget, size_t* ended, uint8_t* more) GW_NOEXCEPT;

/* The same as gw_apply_many and gw_release_many, at one instant and as one op of the log: it is there as a whole, or not at
 * all, and then the call says so. */
GW_API gw_status gw_gate_apply_many(gw_gate* gate, size_t count, const uint32_t* uids, const uint32_t* pids,
                                    const uint32_t* masks, const uint32_t* timeouts_ms, gw_result* results) GW_NOEXCEPT;
GW_API gw_status gw_gate_release_many(gw_gate* gate, size_t count, const uint32_t* uids, const uint32_t* pids,
                                      const uint32_t* masks, gw_result* results) GW_NOEXCEPT;

/* Waits until all that is staged now has settled, and, where the log is behind, until all is in it that has been changed:
 * that is appended at once. `*is_done` is 0 when the time was up. GW_TRANSACTION_FAILED when an append has failed meanwhile,
 * which is tried again, or the log takes no changes any more. */
GW_API gw_status gw_gate_flush(gw_gate* gate, uint64_t timeout_ms, uint8_t* is_done) GW_NOEXCEPT;
/* The last event that may be shown: what caused it is in the log. */
GW_API gw_status gw_gate_settled(gw_gate* gate, uint64_t* sequence) GW_NOEXCEPT;

/* When an instant of the log was, by the machine's clocks. */
typedef struct gw_mark {
    uint64_t now;        /* of the log */
    uint8_t boot_id[16]; /* all zero: not known */
    uint64_t boot_ms;    /* since that boot */
    int64_t wall_ms;     /* since 1970 */
} gw_mark;

/* Notes when this instant of the gate's clock is by the machine's clocks, and waits for nothing. `now` of the mark is not
 * read. GW_ARGUMENT_INVALID without a log. */
GW_API gw_status gw_gate_put_mark(gw_gate* gate, const gw_mark* mark) GW_NOEXCEPT;
/* The last mark that a manager, or the log that it has followed, has; `*is_there` is 0 when there is none. */
GW_API gw_status gw_last_mark(const gw_manager* manager, gw_mark* mark, uint8_t* is_there) GW_NOEXCEPT;

/* ---- Notes: bytes by a key, for layers above grants. They are in the log, in snapshots and in the hash of the state. ---- */

/* A note, and what a write makes of one: without a value it goes, if it is there. Bytes of any kind. */
typedef struct gw_note {
    gw_text key;   /* 1..255 bytes */
    gw_text value; /* at most 65536 bytes; not read without has_value */
    uint8_t has_value;
} gw_note;

/* Gives notes their values and drops those without one, all or none, as one op of the log, and waits for it. Keys ascend byte
 * by byte, none twice, 65536 at most; else, or for sizes out of range, GW_ARGUMENT_INVALID. GW_OUT_OF_MEMORY, and nothing has
 * changed, when there would be more than 65536 notes, or more than 16777216 bytes of keys and values. */
GW_API gw_status gw_gate_write_notes(gw_gate* gate, const gw_note* notes, size_t count) GW_NOEXCEPT;
/* The same on a manager without a gate. */
GW_API gw_status gw_write_notes(gw_manager* manager, uint64_t now, const gw_note* notes, size_t count) GW_NOEXCEPT;
/* Writes the first notes of a manager, or of a gate's in gw_gate_read, keys ascending, as many as fit; `*count` is the number
 * of all. They lie in the manager, until the next write. */
GW_API gw_status gw_notes(const gw_manager* manager, gw_note* notes, size_t capacity, size_t* count) GW_NOEXCEPT;

/* ---- Reads. They go on while the log stalls, for what has nothing staged about it, and when the gate is closed. ------- */

GW_API gw_status gw_gate_mask(gw_gate* gate, gw_owner owner, uint32_t* mask) GW_NOEXCEPT;
/* Calls `read` under the lock, at the instant that it is to read at: about one owner and, of an app, its processes; or,
 * when `owner` is null, across records. It may make the calls on the manager that take a `const gw_manager *`. */
typedef void (*gw_gate_reader)(void* user, const gw_manager* manager, uint64_t at);
GW_API gw_status gw_gate_read(gw_gate* gate, const gw_owner* owner, gw_gate_reader read, void* user) GW_NOEXCEPT;

/* ---- Staging: for hosts that do not wait for one change at a time ----------------------------------------------------- */

/* What was staged, until it is taken. */
typedef struct gw_ticket {
    uint64_t group;
    uint64_t place;
} gw_ticket;

/* Takes the lock at an instant of the clock; null, without the lock, when the clock has run backwards or `now` is null. */
GW_API const gw_manager* gw_gate_enter(gw_gate* gate, uint64_t* now) GW_NOEXCEPT;
/* Gives it back. */
GW_API void gw_gate_leave(gw_gate* gate) GW_NOEXCEPT;
/* Under the lock: stages a command at the instant at which the lock was taken. Without a log it is carried out. */
GW_API gw_status gw_gate_stage(gw_gate* gate, const gw_command* command, gw_ticket* ticket) GW_NOEXCEPT;
/* Without the lock: takes the answer of a ticket, `*settled` not 0 when there is one. Waits so many milliseconds for it,
 * and may do the work of all who wait on this thread. */
GW_API gw_status gw_gate_await(gw_gate* gate, const gw_ticket* ticket, uint64_t timeout_ms, uint8_t* settled,
                               uint32_t* mask) GW_NOEXCEPT;
/* Under the lock: stages many commands as one op, all of them applies or all releases. Of apps, and timed, without reason, cpu
 * level and renewal: one that is not has GW_REQUEST_INVALID for its result. Without a log they are carried out. The size of
 * the first is the stride. */
GW_API gw_status gw_gate_stage_many(gw_gate* gate, const gw_command* commands, size_t count, gw_result* results,
                                    gw_ticket* ticket) GW_NOEXCEPT;
/* The same as gw_gate_await for them. `results` are those of gw_gate_stage_many, and `count` too: written there without a
 * log, and with one here. */
GW_API gw_status gw_gate_await_many(gw_gate* gate, const gw_ticket* ticket, uint64_t timeout_ms, uint8_t* settled,
                                    gw_result* results, size_t count) GW_NOEXCEPT;
/* A descriptor that is readable once a group has settled, until gw_gate_clear; -1 when there is none to be had. */
GW_API int gw_gate_descriptor(gw_gate* gate) GW_NOEXCEPT;
GW_API void gw_gate_clear(gw_gate* gate) GW_NOEXCEPT;

/* ---- Bytes: what a log is made of. docs/log-format.md has them one by one. ------------------------------------------- */

/* Writes a command as an op to `out`, and its size; GW_OUT_OF_MEMORY, and the size that will do, when it does not fit. */
GW_API gw_status gw_encode(const gw_command* command, uint64_t now, void* out, size_t capacity,
                           size_t* size) GW_NOEXCEPT;

enum {
    GW_OP_COMMAND = 0,
    GW_OP_BATCH = 1,
    GW_OP_ADVANCE = 2,
    GW_OP_MARK = 3,
    GW_OP_LIMITS = 4,
    GW_OP_RECOVERY = 5,
    GW_OP_NOTES = 6
};

/* One op. */
typedef struct gw_op {
    uint32_t size;
    int32_t kind;     /* GW_OP_... */
    uint8_t is_newer; /* refused, though it is sound: it was written by a newer version */
    uint64_t now;
    uint64_t records;   /* of an advance: how many of the records that are due it ends at most */
    size_t rows;        /* of a batch: how many commands it has; of notes: how many it writes */
    gw_command command; /* of a command; its texts point into the bytes */
    gw_mark mark;       /* of a mark */
} gw_op;

/* Reads the op at the start of `bytes`; the next one begins `used` bytes behind. GW_PARCEL_FAILED for damage, and then only
 * `is_newer` is written. */
GW_API gw_status gw_decode(const void* bytes, size_t size, gw_op* op, size_t* used) GW_NOEXCEPT;

/* Writes the notes of the op at the start of `bytes`, in which they lie, as many as fit; `*count` is the number of all. As
 * gw_decode, and GW_ARGUMENT_INVALID for an op of another kind. */
GW_API gw_status gw_decode_notes(const void* bytes, size_t size, gw_note* notes, size_t capacity,
                                 size_t* count) GW_NOEXCEPT;

/* Carries out a group on a manager that has carried out all groups before it: a follower, or a start. What a limit refused
 * is refused again. GW_PARCEL_FAILED, and nothing has changed, when the bytes are damaged; or, when they do not fit the
 * manager, that is not the state to which they belong. GW_OUT_OF_MEMORY when memory was lacking: it is not what the log
 * says any more. */
GW_API gw_status gw_follow(gw_manager* manager, const void* group, size_t size) GW_NOEXCEPT;

#ifdef __cplusplus
}
#endif

#endif
