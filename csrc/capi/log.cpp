// Commands as bytes, and who follows a log.
#include <array>
#include <cstring>
#include <span>

#include "capi/gate.hpp"
#include "capi/handle.hpp"
#include "capi/values.hpp"
#include "grantwheel/gate.h"
#include "grantwheel/op.hpp"

using namespace grantwheel;
using namespace grantwheel::capi;

namespace {

std::span<const std::byte> to_bytes(const void* bytes, std::size_t size) noexcept {
    return {static_cast<const std::byte*>(bytes), size};
}

}  // namespace

gw_status gw_encode(const gw_command* command, uint64_t now, void* out, size_t capacity, size_t* size) noexcept {
    const bool has_room = out != nullptr || capacity == 0;
    if (!is_valid(command) || !is_kind(command->kind) || !has_room || size == nullptr) return GW_ARGUMENT_INVALID;
    const Command decided = to_command(*command);
    if (now > max_now) return GW_TIME_OUT_OF_RANGE;
    if (const Status status = Manager::check(decided); status != Status::ok) return code(status);
    std::array<std::byte, max_op_bytes> bytes;
    *size = encode(decided, now, bytes);
    if (*size > capacity) return GW_OUT_OF_MEMORY;
    if (out != nullptr) std::memcpy(out, bytes.data(), *size);
    return GW_OK;
}

gw_status gw_decode(const void* bytes, size_t size, gw_op* op, size_t* used) noexcept {
    const bool are_there = bytes != nullptr || size == 0;
    if (!is_whole(op) || !is_whole(&op->command) || used == nullptr || !are_there) return GW_ARGUMENT_INVALID;
    const Decoded decoded = decode(to_bytes(bytes, size));
    op->is_newer = decoded.is_newer ? 1 : 0;
    if (decoded.status != Status::ok) return code(decoded.status);
    op->kind = static_cast<std::int32_t>(decoded.op.kind);
    op->now = decoded.op.now;
    op->records = decoded.op.endings;
    op->rows = decoded.op.kind == OpKind::notes ? decoded.op.notes.size() : decoded.op.rows.size();
    op->mark = to_mark(decoded.op.mark);
    write({Status::ok, false, decoded.op.command}, op->command);
    *used = decoded.size;
    return GW_OK;
}

gw_status gw_follow(gw_manager* manager, const void* group, size_t size) noexcept {
    return change(manager, [&](gw_manager& open) {
        if (group == nullptr && size != 0) return Status::argument_invalid;
        const std::span<const std::byte> bytes = to_bytes(group, size);
        if (const GroupResult sound = check_group(bytes); sound.status != Status::ok) return sound.status;
        const Status status = replay_group(open.manager->engine(), bytes).status;
        return status == Status::ok || status == Status::out_of_memory ? status : Status::parcel_failed;
    });
}
