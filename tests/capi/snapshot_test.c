/* Snapshots: a manager as bytes and back, and what cannot be one. */
#include "grantwheel/snapshot.h"

#include <stdlib.h>

#include "check.h"

enum { APPS = 3000, MOST_BYTES = 1 << 20 };

static unsigned char bytes[MOST_BYTES];
static size_t ends[64]; /* of the sections */
static size_t sections;

/* A manager with grants of many kinds, at the instant 1000. */
static gw_manager* make_full(void) {
    gw_limits limits = GW_LIMITS_INIT;
    gw_manager* manager = NULL;
    limits.max_records = 5000;
    limits.max_strings = 77;
    limits.event_capacity = 99;
    CHECK_EQUAL(gw_create(&limits, &manager), GW_OK);
    for (uint32_t i = 0; i < APPS; ++i) {
        const gw_caller caller = trusted(i, i);
        gw_request request = timed(1 + i % GW_TYPE_ALL, 100000 + i);
        request.is_process = i % 7 == 0;
        request.is_persist = i % 5 == 0;
        if (request.is_process) request.mask = GW_TYPE_CPU;
        request.reason = gw_text_of(i % 2 ? "a reason" : "größer");
        CHECK_EQUAL(gw_perform(manager, &caller, &request, i / 3, NULL), GW_OK);
    }
    return manager;
}

static void write_snapshot(const gw_manager* manager) {
    gw_snapshot_writer* writer = NULL;
    gw_section section = {.size = sizeof section};
    size_t size = 0;
    sections = 0;
    CHECK_EQUAL(gw_snapshot_write_begin(manager, &writer), GW_OK);
    while (!section.done) {
        CHECK_EQUAL(gw_snapshot_write(writer, bytes + size, sizeof bytes - size, &section), GW_OK);
        CHECK(section.bytes <= GW_SECTION_BYTES);
        size += section.bytes;
        if (section.bytes != 0) ends[sections++] = size;
    }
    CHECK_EQUAL(gw_snapshot_write(writer, bytes + size, sizeof bytes - size, &section), GW_ARGUMENT_INVALID);
    gw_snapshot_write_end(writer);
}

static gw_snapshot_reader* make_reader(const gw_limits* limits) {
    const gw_hash_key key = {{1, 2}};
    gw_snapshot_reader* reader = NULL;
    CHECK_EQUAL(gw_snapshot_read_begin(limits, key, &reader), GW_OK);
    return reader;
}

/* Reads what there is, until an answer is not GW_OK. */
static gw_status read_all(gw_snapshot_reader* reader, size_t size, gw_section* section) {
    gw_status status = GW_OK;
    section->size = sizeof *section;
    section->done = 0;
    for (size_t at = 0; status == GW_OK && !section->done; at += section->bytes) {
        status = gw_snapshot_read(reader, bytes + at, size - at, section);
        if (status != GW_OK || section->bytes == 0) break;
    }
    return status;
}

static uint64_t hash_of(const gw_manager* manager) {
    uint64_t hash = 0;
    CHECK_EQUAL(gw_state_hash(manager, &hash), GW_OK);
    return hash;
}

TEST(a_snapshot_read_is_the_manager_that_was_written) {
    gw_manager* const manager = make_full();
    gw_manager* copy = NULL;
    gw_section section;
    gw_limits limits = GW_LIMITS_INIT;
    write_snapshot(manager);
    CHECK(sections > 4);
    gw_snapshot_reader* const reader = make_reader(NULL);
    CHECK_EQUAL(gw_snapshot_limits(reader, &limits), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_snapshot_take(reader, &copy), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(read_all(reader, ends[sections - 1], &section), GW_OK);
    CHECK_EQUAL(section.done, 1);
    CHECK_EQUAL(gw_snapshot_limits(reader, &limits), GW_OK);
    CHECK_EQUAL(limits.max_records, 5000);
    CHECK_EQUAL(limits.max_strings, 77);
    CHECK_EQUAL(limits.event_capacity, 99);
    CHECK_EQUAL(gw_snapshot_read(reader, bytes, 0, &section), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_snapshot_take(reader, &copy), GW_OK);
    CHECK_EQUAL(gw_snapshot_take(reader, &copy), GW_ARGUMENT_INVALID);
    gw_snapshot_read_end(reader);
    CHECK(gw_validate(copy) == NULL);
    CHECK(hash_of(copy) == hash_of(manager));
    CHECK_EQUAL(gw_now(manager), 999);
    CHECK_EQUAL(gw_now(copy), 999); /* it goes on where the other one was */
    CHECK_EQUAL(gw_check_time(copy, 998), GW_TIME_BACKWARDS);
    CHECK_EQUAL(gw_ready(copy), 1);
    CHECK_EQUAL(apply(copy, 9999, GW_TYPE_GPS, 10, 1000), GW_OK);
    CHECK_EQUAL(apply(manager, 9999, GW_TYPE_GPS, 10, 1000), GW_OK);
    CHECK(hash_of(copy) == hash_of(manager));
    CHECK_EQUAL(gw_last_sequence(copy), gw_last_sequence(manager));
    gw_destroy(copy);
    gw_destroy(manager);
}

TEST(a_snapshot_needs_room_in_the_limits) {
    gw_manager* const manager = make_full();
    gw_manager* copy = NULL;
    gw_section section;
    gw_limits limits = GW_LIMITS_INIT;
    write_snapshot(manager);
    gw_snapshot_reader* reader = make_reader(&limits);
    CHECK_EQUAL(read_all(reader, ends[sections - 1], &section), GW_OK);
    CHECK_EQUAL(gw_snapshot_limits(reader, &limits), GW_OK);
    CHECK_EQUAL(limits.max_records, 5000);
    CHECK_EQUAL(gw_snapshot_take(reader, &copy), GW_OK);
    CHECK(hash_of(copy) == hash_of(manager));
    gw_snapshot_read_end(reader);
    gw_destroy(copy);
    limits.max_records = APPS - 1;
    reader = make_reader(&limits);
    CHECK_EQUAL(read_all(reader, ends[sections - 1], &section), GW_OUT_OF_MEMORY);
    CHECK_EQUAL(gw_snapshot_take(reader, &copy), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_snapshot_limits(reader, &limits), GW_OK); /* these would do */
    CHECK_EQUAL(limits.max_records, 5000);
    gw_snapshot_read_end(reader);
    gw_destroy(manager);
}

TEST(a_snapshot_that_is_cut_or_damaged_is_none) {
    gw_manager* const manager = make_full();
    gw_manager* copy = NULL;
    gw_section section;
    write_snapshot(manager);
    for (size_t i = 0; i < sections; ++i) {
        gw_snapshot_reader* reader = make_reader(NULL);
        CHECK_EQUAL(read_all(reader, ends[i] - 1, &section), GW_OK); /* more bytes are needed */
        CHECK_EQUAL(section.bytes, 0);
        CHECK_EQUAL(section.done, 0);
        CHECK_EQUAL(gw_snapshot_take(reader, &copy), GW_ARGUMENT_INVALID);
        gw_snapshot_read_end(reader);
        reader = make_reader(NULL);
        bytes[ends[i] - 12] ^= 4;
        CHECK_EQUAL(read_all(reader, ends[sections - 1], &section), GW_PARCEL_FAILED);
        bytes[ends[i] - 12] ^= 4;
        CHECK_EQUAL(section.is_newer, 0);
        CHECK_EQUAL(read_all(reader, ends[sections - 1], &section), GW_ARGUMENT_INVALID);
        CHECK_EQUAL(gw_snapshot_take(reader, &copy), GW_ARGUMENT_INVALID);
        gw_snapshot_read_end(reader);
    }
    gw_snapshot_reader* const reader = make_reader(NULL);
    section.size = sizeof section;
    CHECK_EQUAL(gw_snapshot_read(reader, bytes + ends[0], ends[sections - 1] - ends[0], &section), GW_PARCEL_FAILED);
    gw_snapshot_read_end(reader);
    gw_destroy(manager);
}

TEST(a_manager_that_goes_on_spoils_a_snapshot) {
    gw_manager* const manager = make_full();
    gw_snapshot_writer* writer = NULL;
    gw_section section = {.size = sizeof section};
    CHECK_EQUAL(gw_snapshot_write_begin(manager, &writer), GW_OK);
    CHECK_EQUAL(gw_snapshot_write(writer, bytes, sizeof bytes, &section), GW_OK);
    CHECK_EQUAL(held(manager, 1, 1000), 2); /* a read changes nothing */
    CHECK_EQUAL(gw_snapshot_write(writer, bytes, sizeof bytes, &section), GW_OK);
    CHECK_EQUAL(apply(manager, 1, GW_TYPE_GPS, 10, 1000), GW_OK);
    section.bytes = 99;
    CHECK_EQUAL(gw_snapshot_write(writer, bytes, sizeof bytes, &section), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(section.bytes, 99);
    gw_snapshot_write_end(writer);
    gw_destroy(manager);
}

TEST(a_snapshot_refuses_what_cannot_be) {
    gw_manager* const manager = make_manager();
    gw_snapshot_writer* writer = NULL;
    gw_section section = {.size = sizeof section};
    gw_section small = {.size = sizeof small - 1};
    gw_limits limits = GW_LIMITS_INIT;
    const gw_hash_key key = {{0, 0}};
    gw_snapshot_reader* none = NULL;
    gw_manager* copy = NULL;
    CHECK_EQUAL(gw_snapshot_write_begin(NULL, &writer), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_snapshot_write_begin(manager, NULL), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_snapshot_write_begin(manager, &writer), GW_OK);
    CHECK_EQUAL(gw_snapshot_write(NULL, bytes, sizeof bytes, &section), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_snapshot_write(writer, NULL, sizeof bytes, &section), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_snapshot_write(writer, bytes, GW_SECTION_BYTES - 1, &section), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_snapshot_write(writer, bytes, sizeof bytes, NULL), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_snapshot_write(writer, bytes, sizeof bytes, &small), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_snapshot_write(writer, bytes, GW_SECTION_BYTES, &section), GW_OK);
    gw_snapshot_write_end(writer);
    gw_snapshot_write_end(NULL);
    CHECK_EQUAL(gw_snapshot_read_begin(NULL, key, NULL), GW_ARGUMENT_INVALID);
    limits.max_records = 0;
    CHECK_EQUAL(gw_snapshot_read_begin(&limits, key, &none), GW_ARGUMENT_INVALID);
    limits.size = 4;
    CHECK_EQUAL(gw_snapshot_read_begin(&limits, key, &none), GW_ARGUMENT_INVALID);
    CHECK(none == NULL);
    gw_snapshot_reader* const reader = make_reader(NULL);
    CHECK_EQUAL(gw_snapshot_read(NULL, bytes, 9, &section), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_snapshot_read(reader, NULL, 9, &section), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_snapshot_read(reader, bytes, 9, NULL), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_snapshot_read(reader, bytes, 9, &small), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_snapshot_read(reader, NULL, 0, &section), GW_OK); /* a reader that needs more, still */
    CHECK_EQUAL(section.bytes, 0);
    CHECK_EQUAL(gw_snapshot_limits(NULL, &limits), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_snapshot_limits(reader, NULL), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_snapshot_limits(reader, &limits), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_snapshot_take(NULL, &copy), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_snapshot_take(reader, NULL), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_snapshot_take(reader, &copy), GW_ARGUMENT_INVALID);
    gw_snapshot_read_end(reader);
    gw_snapshot_read_end(NULL);
    CHECK_EQUAL(gw_state_hash(NULL, NULL), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_state_hash(manager, NULL), GW_ARGUMENT_INVALID);
    gw_destroy(manager);
}

static gw_status begun;
static int32_t begin_inside(void* user, const gw_command* command) {
    gw_snapshot_writer* writer = NULL;
    (void)command;
    begun = gw_snapshot_write_begin(*(gw_manager**)user, &writer);
    gw_snapshot_write_end(writer);
    return 1;
}

TEST(a_snapshot_may_be_begun_in_a_callback) {
    gw_manager* manager = make_manager();
    gw_policy policy = GW_POLICY_INIT;
    policy.quota_check = begin_inside;
    policy.quota_user = &manager;
    begun = GW_NOT_READY;
    CHECK_EQUAL(gw_set_policy(manager, &policy), GW_OK);
    CHECK_EQUAL(apply(manager, 1, GW_TYPE_CPU, 10, 0), GW_OK);
    CHECK_EQUAL(begun, GW_OK);
    gw_destroy(manager);
}
