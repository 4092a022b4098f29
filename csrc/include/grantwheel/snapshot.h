/* The whole state of a manager, for C: as sections of bytes and back, and as a hash. As thread-safe as the manager is; a
 * reader has one caller at a time, too. docs/log-format.md has the bytes one by one.
 *
 * State    Grants, texts, counters and the number of the last event; time and limits stand beside it. Not the policy, nor
 *          the events that readers have not read.
 * Slices   Each call takes one short step: a host that holds a lock may give it back in between, and a reader may get its
 *          bytes as they come. Who keeps a log can have it followed by a second manager, and write that one's snapshots.
 */
#ifndef GRANTWHEEL_SNAPSHOT_H
#define GRANTWHEEL_SNAPSHOT_H

#include "grantwheel/grantwheel.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gw_snapshot_writer gw_snapshot_writer;
typedef struct gw_snapshot_reader gw_snapshot_reader;

/* No section takes more bytes than that. */
enum { GW_SECTION_BYTES = 32768 };

/* What one step has read or written. */
typedef struct gw_section {
    uint32_t size;
    uint8_t done;     /* the snapshot is complete */
    uint8_t is_newer; /* of a reader: refused, though it is sound: it was written by a newer version */
    size_t bytes;     /* of the section; 0: a writer has more to prepare, a reader needs more bytes */
} gw_section;

/* ---- Writing ------------------------------------------------------------------------------------------------------ */

/* Makes a writer of a manager as it is now, which must outlive it. */
GW_API gw_status gw_snapshot_write_begin(const gw_manager* manager, gw_snapshot_writer** writer) GW_NOEXCEPT;
/* Writes at most one section to the start of `out`, which has GW_SECTION_BYTES at least. The sections one after the other
 * are the snapshot. GW_ARGUMENT_INVALID when the manager has changed since the writer was made, or there is no more. */
GW_API gw_status gw_snapshot_write(gw_snapshot_writer* writer, void* out, size_t capacity,
                                   gw_section* section) GW_NOEXCEPT;
/* Frees it, at any time. Null is fine. */
GW_API void gw_snapshot_write_end(gw_snapshot_writer* writer) GW_NOEXCEPT;

/* ---- Reading ------------------------------------------------------------------------------------------------------ */

/* Makes a reader into a new manager with these limits and this key for its hashes. `limits` may be null: those of the
 * manager whose snapshot it is. */
GW_API gw_status gw_snapshot_read_begin(const gw_limits* limits, gw_hash_key key,
                                        gw_snapshot_reader** reader) GW_NOEXCEPT;
/* Reads the section at the start of `bytes`; more may follow. GW_PARCEL_FAILED when it is damaged, not the next one or, in
 * `is_newer`, which alone is written then, of a newer version; GW_OUT_OF_MEMORY when the state does not fit the limits, or
 * memory is not to be had: then, as after the last section, no more is read. */
GW_API gw_status gw_snapshot_read(gw_snapshot_reader* reader, const void* bytes, size_t size,
                                  gw_section* section) GW_NOEXCEPT;
/* The limits of the manager whose snapshot it is, once the first section was read; else GW_ARGUMENT_INVALID. */
GW_API gw_status gw_snapshot_limits(const gw_snapshot_reader* reader, gw_limits* limits) GW_NOEXCEPT;
/* The manager, once, when the last section was read; else GW_ARGUMENT_INVALID. It has the policy that trusts everyone, and
 * is ready. */
GW_API gw_status gw_snapshot_take(gw_snapshot_reader* reader, gw_manager** manager) GW_NOEXCEPT;
/* Frees it, at any time. Null is fine. */
GW_API void gw_snapshot_read_end(gw_snapshot_reader* reader) GW_NOEXCEPT;

/* ---- A hash ------------------------------------------------------------------------------------------------------- */

/* The hash of the state: the same for all that have carried out the same log, or have read the same snapshot. */
GW_API gw_status gw_state_hash(const gw_manager* manager, uint64_t* hash) GW_NOEXCEPT;

#ifdef __cplusplus
}
#endif

#endif
