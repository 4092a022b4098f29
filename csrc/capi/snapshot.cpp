// Snapshots of a manager, and managers from snapshots.
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <utility>

#include "capi/handle.hpp"
#include "capi/values.hpp"
#include "grantwheel/snapshot.h"
#include "grantwheel/snapshot.hpp"

using namespace grantwheel;
using namespace grantwheel::capi;

static_assert(max_section_bytes == GW_SECTION_BYTES);

struct gw_snapshot_writer {
    std::unique_ptr<SnapshotWriter> writer;
    bool is_done = false;
};

struct gw_snapshot_reader {
    HashKey key;
    std::unique_ptr<SnapshotReader> reader{};  // null: until the snapshot has told its limits, or when it is of no use
    std::unique_ptr<Engine> engine{};          // what was read, until it is taken
    std::optional<Limits> limits_then{};
    bool is_over = false;
};

gw_status gw_snapshot_write_begin(const gw_manager* manager, gw_snapshot_writer** writer) noexcept {
    if (writer == nullptr) return GW_ARGUMENT_INVALID;
    return look(manager, [&](const Manager& open) {
        std::unique_ptr<gw_snapshot_writer> made(new (std::nothrow) gw_snapshot_writer);
        if (made != nullptr) made->writer = SnapshotWriter::create(open.engine());
        if (made == nullptr || made->writer == nullptr) return Status::out_of_memory;
        *writer = made.release();
        return Status::ok;
    });
}

gw_status gw_snapshot_write(gw_snapshot_writer* writer, void* out, size_t capacity, gw_section* section) noexcept {
    if (writer == nullptr || out == nullptr || !is_whole(section) || writer->is_done) return GW_ARGUMENT_INVALID;
    const SectionWritten written = writer->writer->write({static_cast<std::byte*>(out), capacity});
    if (written.status != Status::ok) return code(written.status);
    writer->is_done = !written.more;
    section->done = writer->is_done ? 1 : 0;
    section->is_newer = 0;
    section->bytes = written.size;
    return GW_OK;
}

void gw_snapshot_write_end(gw_snapshot_writer* writer) noexcept { delete writer; }

namespace {

// Reads the limits in the first section. The engine that they are read into is as small as one can be.
SectionRead read_limits(gw_snapshot_reader& reader, std::span<const std::byte> bytes) noexcept {
    const std::unique_ptr<SnapshotReader> first = SnapshotReader::create({1, 1, 1, 0});
    if (first == nullptr) return {Status::out_of_memory};
    const SectionRead result = first->read(bytes);
    if (result.status == Status::ok && result.size != 0) reader.limits_then = first->limits_then();
    return result;
}

SectionRead read(gw_snapshot_reader& reader, std::span<const std::byte> bytes) noexcept {
    if (reader.reader == nullptr) {
        const SectionRead first = read_limits(reader, bytes);
        if (!reader.limits_then) return first;
        reader.reader = SnapshotReader::create(*reader.limits_then, reader.key);
        if (reader.reader == nullptr) return {Status::out_of_memory};
    }
    const SectionRead result = reader.reader->read(bytes);
    if (result.status == Status::ok && result.size != 0) reader.limits_then = reader.reader->limits_then();
    return result;
}

}  // namespace

gw_status gw_snapshot_read_begin(const gw_limits* limits, gw_hash_key key, gw_snapshot_reader** reader) noexcept {
    const bool are_valid = limits == nullptr || gw_limits_first_invalid(limits) == nullptr;
    if (reader == nullptr || !are_valid) return GW_ARGUMENT_INVALID;
    std::unique_ptr<gw_snapshot_reader> made(new (std::nothrow) gw_snapshot_reader{{{key.words[0], key.words[1]}}});
    if (made == nullptr) return GW_OUT_OF_MEMORY;
    if (limits != nullptr) {
        made->reader = SnapshotReader::create(to_limits(*limits), made->key);
        if (made->reader == nullptr) return GW_OUT_OF_MEMORY;
    }
    *reader = made.release();
    return GW_OK;
}

gw_status gw_snapshot_read(gw_snapshot_reader* reader, const void* bytes, size_t size, gw_section* section) noexcept {
    const bool are_there = bytes != nullptr || size == 0;
    if (reader == nullptr || !are_there || !is_whole(section) || reader->is_over) return GW_ARGUMENT_INVALID;
    const SectionRead result = read(*reader, {static_cast<const std::byte*>(bytes), size});
    reader->is_over = result.status != Status::ok || result.done;
    section->is_newer = result.is_newer ? 1 : 0;
    if (result.status != Status::ok) return code(result.status);
    if (result.done) reader->engine = reader->reader->take();
    section->done = result.done ? 1 : 0;
    section->bytes = result.size;
    return GW_OK;
}

gw_status gw_snapshot_limits(const gw_snapshot_reader* reader, gw_limits* limits) noexcept {
    if (reader == nullptr || !is_whole(limits) || !reader->limits_then) return GW_ARGUMENT_INVALID;
    const Limits& then = *reader->limits_then;
    limits->max_records = then.max_records;
    limits->max_strings = then.max_strings;
    limits->event_capacity = then.event_capacity;
    limits->reserve = then.reserve;
    return GW_OK;
}

gw_status gw_snapshot_take(gw_snapshot_reader* reader, gw_manager** manager) noexcept {
    if (reader == nullptr || manager == nullptr || reader->engine == nullptr) return GW_ARGUMENT_INVALID;
    std::unique_ptr<gw_manager> handle(new (std::nothrow) gw_manager);
    if (handle != nullptr) handle->manager = Manager::create(std::move(reader->engine), reader->key);
    if (handle == nullptr || handle->manager == nullptr) return GW_OUT_OF_MEMORY;
    *manager = handle.release();
    return GW_OK;
}

void gw_snapshot_read_end(gw_snapshot_reader* reader) noexcept { delete reader; }

gw_status gw_state_hash(const gw_manager* manager, uint64_t* hash) noexcept {
    if (hash == nullptr) return GW_ARGUMENT_INVALID;
    return look(manager, [&](const Manager& open) { return state_hash(open.engine(), *hash); });
}
