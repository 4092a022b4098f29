// Fuzz target: bytes as a log or as a snapshot. Whatever they are, they are refused or mean one thing: what is taken is
// written again as the very bytes that it was read from, and an engine that comes of them is valid.
//
// Input    The first byte chooses: 0 the rest is a log, 1 a snapshot, as it is; 2 and 3 the same, but the rest is bodies,
//          each behind two bytes of its size, which get checks that are right: no fuzzer finds those.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "grantwheel/batch.hpp"
#include "grantwheel/manager.hpp"
#include "grantwheel/op.hpp"
#include "grantwheel/snapshot.hpp"
#include "sealing.hpp"

namespace {

using namespace grantwheel;
using Bytes = std::vector<std::byte>;

void require(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "%s\n", what);
    std::abort();
}

bool is_same(const Command& one, const Command& other) {
    for (int type = 0; type < type_count; ++type) {
        const auto at = static_cast<std::size_t>(type);
        if ((one.capped >> type & 1) != 0 && one.caps_ms[at] != other.caps_ms[at]) return false;
    }
    return one.kind == other.kind && one.mask == other.mask && one.uid == other.uid && one.pid == other.pid &&
           one.timeout_ms == other.timeout_ms && one.bundle == other.bundle && one.capped == other.capped;
}

// The rows of a batch may be executed, and they are the same once they have been written again.
void check_batch(const Op& op) {
    const auto writer = BatchWriter::create();
    require(writer != nullptr, "no writer");
    writer->begin(op.rows.is_apply(), op.now);
    for (std::size_t i = 0; i < op.rows.size(); ++i) {
        require(Manager::check(op.rows[i]) == Status::ok, "a row that no one may execute");
        require(writer->add(op.rows[i]) == Status::ok, "a row that does not fit");
    }
    Bytes bytes(writer->size());
    require(writer->write(bytes) == bytes.size(), "another size than was said");
    const Decoded again = decode(bytes);
    require(again.status == Status::ok && again.op.rows.size() == op.rows.size(), "another batch than was read");
    for (std::size_t i = 0; i < op.rows.size(); ++i)
        require(is_same(op.rows[i], again.op.rows[i]), "another row than was read");
}

// Whatever is no batch.
std::size_t encode_op(const Op& op, std::span<std::byte> out) {
    switch (op.kind) {
        case OpKind::command: return encode(op.command, op.now, out);
        case OpKind::advance: return encode_advance(op.endings, op.now, out);
        case OpKind::mark: return encode_mark(op.mark, out);
        case OpKind::limits: return encode_limits(op.limits, op.now, out);
        case OpKind::recovery: return encode_recovery(op.apps, op.processes, op.now, out);
        case OpKind::notes: return encode_notes(op.notes, op.now, out);
        case OpKind::batch: break;
    }
    return 0;
}

// Ops that are taken are carried out, and all but batches are written as they were.
void read_log(std::span<const std::byte> bytes) {
    const auto engine = Engine::create({.max_records = 20, .max_strings = 20, .event_capacity = 64});
    require(engine != nullptr, "no engine");
    Bytes out(std::max(max_op_bytes, bytes.size()));
    for (;;) {
        const Decoded decoded = decode(bytes);
        if (decoded.status != Status::ok) break;
        const Op& op = decoded.op;
        if (op.kind == OpKind::batch) {
            check_batch(op);
        } else {
            const std::size_t size = encode_op(op, out);
            const bool is_same = size == decoded.size && std::memcmp(out.data(), bytes.data(), size) == 0;
            require(is_same, "another op than was read");
        }
        static_cast<void>(replay(*engine, op));
        bytes = bytes.subspan(decoded.size);
    }
    const char* reason = "";
    require(engine->validate(&reason), reason);
}

void read_snapshot(std::span<const std::byte> bytes) {
    const auto reader = SnapshotReader::create({.max_records = 1000, .max_strings = 1000, .event_capacity = 64});
    require(reader != nullptr, "no reader");
    for (std::span<const std::byte> rest = bytes;;) {
        const SectionRead read = reader->read(rest);
        if (read.status != Status::ok || read.size == 0) return;
        rest = rest.subspan(read.size);
        if (read.done) break;
    }
    const auto engine = reader->take();
    const char* reason = "";
    require(engine != nullptr && engine->validate(&reason), reason);
    static_cast<void>(engine->advance(max_now, SIZE_MAX));
    require(engine->validate(&reason), reason);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const bool is_snapshot = (data[0] & 1) != 0;
    std::span<const std::byte> rest = std::as_bytes(std::span(data, size)).subspan(1);
    Bytes bytes(rest.begin(), rest.end());
    if ((data[0] & 2) != 0) {
        bytes.clear();
        while (rest.size() >= 2) {
            const std::size_t wanted = static_cast<std::size_t>(rest[0]) | static_cast<std::size_t>(rest[1]) << 8;
            const std::span<const std::byte> body = rest.subspan(2, std::min(wanted, rest.size() - 2));
            rest = rest.subspan(2 + body.size());
            if (is_snapshot) {
                test::seal_section(bytes, body);
            } else {
                const Bytes op = test::sealed_op(body);
                bytes.insert(bytes.end(), op.begin(), op.end());
            }
        }
    }
    is_snapshot ? read_snapshot(bytes) : read_log(bytes);
    return 0;
}
