/* Notes: written with and without a log, read back, in ops, in snapshots and in who follows. */
#include "gates.h"

static gw_text text(const char* words) {
    const gw_text made = {words, strlen(words)};
    return made;
}

static gw_note note(const char* key, const char* value) {
    const gw_note made = {text(key), text(value), 1};
    return made;
}

static gw_note gone(const char* key) {
    const gw_note made = {text(key), {NULL, 0}, 0};
    return made;
}

static int is_text(gw_text found, const char* words) {
    return found.size == strlen(words) && memcmp(found.data, words, found.size) == 0;
}

static void check_two(const gw_manager* manager) {
    gw_note notes[3];
    size_t count = 77;
    CHECK_EQUAL(gw_notes(manager, NULL, 0, &count), GW_OK);
    CHECK_EQUAL(count, 2);
    CHECK_EQUAL(gw_notes(manager, notes, 3, &count), GW_OK);
    CHECK_EQUAL(count, 2);
    CHECK(is_text(notes[0].key, "a"));
    CHECK(is_text(notes[0].value, "1"));
    CHECK(is_text(notes[1].key, "b"));
    CHECK(is_text(notes[1].value, ""));
    CHECK_EQUAL(notes[1].has_value, 1);
    notes[1].key = text("untouched");
    CHECK_EQUAL(gw_notes(manager, notes, 1, &count), GW_OK);
    CHECK(is_text(notes[1].key, "untouched"));
}

static void read_two(void* seen, const gw_manager* manager, uint64_t at) {
    check_two(manager);
    *(uint64_t*)seen = at;
}

TEST(notes_are_written_and_read) {
    gw_manager* const manager = make_manager();
    const gw_note first[] = {note("a", "0"), note("b", ""), note("c", "2")};
    const gw_note second[] = {note("a", "1"), gone("c"), gone("d")};
    CHECK_EQUAL(gw_write_notes(manager, 5, first, 3), GW_OK);
    CHECK_EQUAL(gw_write_notes(manager, 6, second, 3), GW_OK);
    CHECK_EQUAL(gw_now(manager), 6);
    check_two(manager);
    CHECK_EQUAL(gw_write_notes(manager, 5, second, 3), GW_TIME_BACKWARDS);
    gw_destroy(manager);
}

TEST(notes_go_through_a_gate_into_its_log) {
    static struct groups log;
    const gw_note changes[] = {note("a", "1"), note("b", ""), gone("c")};
    for (int with_log = 0; with_log < 2; ++with_log) {
        gw_gate* const gate = make_gate(with_log ? &log : NULL);
        uint64_t at = 0;
        CHECK_EQUAL(gw_gate_write_notes(gate, changes, 3), GW_OK);
        CHECK_EQUAL(gw_gate_read(gate, NULL, read_two, &at), GW_OK);
        CHECK_EQUAL(at, 100);
        CHECK_EQUAL(gw_gate_write_notes(gate, changes, 0), GW_ARGUMENT_INVALID);
        CHECK_EQUAL(gw_gate_write_notes(NULL, changes, 3), GW_ARGUMENT_INVALID);
        if (with_log) check_log(gate, &log);
        CHECK_EQUAL(gw_gate_close(gate, GW_FOREVER), GW_OK);
        CHECK_EQUAL(gw_gate_write_notes(gate, changes, 3), GW_NOT_CONNECTED);
        gw_gate_destroy(gate);
    }
}

TEST(notes_of_an_op_are_read) {
    static struct groups log;
    const gw_note changes[] = {note("a", "1"), gone("b")};
    gw_gate* const gate = make_gate(&log);
    gw_op op = {.size = sizeof op};
    gw_note notes[2];
    size_t count = 77;
    size_t used = 0;
    op.command.size = sizeof op.command;
    CHECK_EQUAL(gw_gate_write_notes(gate, changes, 2), GW_OK);
    CHECK_EQUAL(gate_apply(gate, 1000, GW_TYPE_GPS, 500), GW_OK);
    CHECK_EQUAL(gw_decode(log.bytes[0], log.sizes[0], &op, &used), GW_OK);
    CHECK_EQUAL(op.kind, GW_OP_NOTES);
    CHECK_EQUAL(op.rows, 2);
    CHECK_EQUAL(op.now, 100);
    CHECK_EQUAL(gw_decode_notes(log.bytes[0], log.sizes[0], NULL, 0, &count), GW_OK);
    CHECK_EQUAL(count, 2);
    CHECK_EQUAL(gw_decode_notes(log.bytes[0], log.sizes[0], notes, 2, &count), GW_OK);
    CHECK(is_text(notes[0].key, "a"));
    CHECK(is_text(notes[0].value, "1"));
    CHECK(is_text(notes[1].key, "b"));
    CHECK_EQUAL(notes[0].has_value, 1);
    CHECK_EQUAL(notes[1].has_value, 0);
    CHECK_EQUAL(gw_decode_notes(log.bytes[1], log.sizes[1], notes, 2, &count), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_decode_notes(log.bytes[0], log.sizes[0] - 1, notes, 2, &count), GW_PARCEL_FAILED);
    CHECK_EQUAL(gw_decode_notes(NULL, 5, notes, 2, &count), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_decode_notes(log.bytes[0], log.sizes[0], NULL, 2, &count), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_decode_notes(log.bytes[0], log.sizes[0], notes, 2, NULL), GW_ARGUMENT_INVALID);
    gw_gate_destroy(gate);
}

TEST(notes_that_cannot_be_are_refused) {
    static char value[65537];
    gw_manager* const manager = make_manager();
    gw_note changes[] = {note("a", "1"), note("b", "2")};
    size_t count = 77;
    CHECK_EQUAL(gw_write_notes(NULL, 5, changes, 2), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_write_notes(manager, 5, NULL, 2), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_write_notes(manager, 5, changes, 0), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_write_notes(manager, 5, changes, SIZE_MAX), GW_ARGUMENT_INVALID);
    changes[1].key = text("a");
    CHECK_EQUAL(gw_write_notes(manager, 5, changes, 2), GW_ARGUMENT_INVALID);
    changes[1].key.size = 0;
    CHECK_EQUAL(gw_write_notes(manager, 5, changes, 2), GW_ARGUMENT_INVALID);
    changes[1].key = text("b");
    changes[1].value.data = NULL;
    CHECK_EQUAL(gw_write_notes(manager, 5, changes, 2), GW_ARGUMENT_INVALID);
    changes[1].value.data = value;
    changes[1].value.size = sizeof value;
    CHECK_EQUAL(gw_write_notes(manager, 5, changes, 2), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_notes(NULL, changes, 2, &count), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_notes(manager, NULL, 2, &count), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_notes(manager, changes, 2, NULL), GW_ARGUMENT_INVALID);
    CHECK_EQUAL(gw_notes(manager, changes, 2, &count), GW_OK);
    CHECK_EQUAL(count, 0);
    changes[1].value.size = sizeof value - 1;
    CHECK_EQUAL(gw_write_notes(manager, 5, changes, 2), GW_OK);
    gw_destroy(manager);
}
