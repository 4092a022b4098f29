// What a start reads from a follower and writes to its log: the last mark, limits, whose records there are.
#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "bindings/answers.hpp"
#include "bindings/arguments.hpp"
#include "bindings/buffers.hpp"
#include "bindings/calls.hpp"
#include "bindings/clocks.hpp"
#include "bindings/follower.hpp"
#include "bindings/limits.hpp"

namespace grantwheel::bindings {

namespace {

py::object mark_of(Follower& follower) {
    const auto mark = [&]() -> std::optional<Mark> {
        const auto session = follower.begin();
        const Mark* const found = std::as_const(session.engine).mark();
        return found == nullptr ? std::nullopt : std::optional(*found);
    }();
    if (!mark) return py::none();
    return py::make_tuple(mark->now,
                          py::bytes(reinterpret_cast<const char*>(mark->boot_id.data()), mark->boot_id.size()),
                          mark->boot_ms, mark->wall_ms);
}

py::tuple limits_of(Follower& follower) {
    const Limits limits = follower.begin().engine.limits();
    return py::make_tuple(limits.max_records, limits.max_strings, limits.event_capacity);
}

// What is taken of each limit; what is due and has not been ended counts.
py::tuple used_of(Follower& follower) {
    const auto [records, strings] = [&] {
        const auto session = follower.begin();
        const Engine& engine = session.engine;
        const Limits& limits = engine.limits();
        return std::pair(limits.max_records - engine.room_for_records(),
                         limits.max_strings - engine.room_for_strings());
    }();
    return py::make_tuple(records, strings);
}

// Calls `visit(record)` for each record that holds any of the types, in no order. Without the GIL.
template <typename Visit>
void for_each_record(Follower::Session session, Mask mask, Visit&& visit) {
    const Engine& engine = session.engine;
    std::array<Owner, Shell::slice> part;
    ScanResult scan{.more = true};
    for (std::size_t place = 0; scan.more; place = scan.next) {
        scan = engine.scan(mask, session.now, place, part);
        check(scan.status);
        for (const Owner& owner : std::span(part).first(scan.count)) {
            RecordView view;
            check(engine.find(owner, session.now, view));
            visit(view);
        }
    }
}

// The process records that are due by an instant as (pid, uid), in the order in which they end: by deadline, then by pid.
py::list overdue_of(Follower& follower, const py::object& now) {
    const Instant at = to_instant(now, "now_ms");
    std::vector<std::tuple<Instant, std::uint32_t, std::uint32_t>> found;
    auto begun = follower.begin();
    without_gil([&] {
        for_each_record(std::move(begun), rules.per_process, [&](const RecordView& view) {
            if (view.owner.kind == OwnerKind::app) return;
            Instant first = no_deadline;
            for (const GrantView& grant : std::span(view.grants).first(view.grant_count)) {
                first = std::min(first, grant.deadline);
            }
            if (first <= at) found.emplace_back(first, view.pid, view.uid);
        });
        std::sort(found.begin(), found.end());
        return true;
    });
    py::list processes;
    GilOffers gil;
    for (const auto& [deadline, pid, uid] : found) {
        gil.offer();
        processes.append(py::make_tuple(pid, uid));
    }
    return processes;
}

// The app records as (uid, mask), and the process records as (pid, uid, instant of the last apply), in no order.
py::tuple owners_of(Follower& follower) {
    std::vector<RecordView> found;
    auto begun = follower.begin();
    without_gil([&] {
        for_each_record(std::move(begun), type::ALL, [&](const RecordView& view) { found.push_back(view); });
        return true;
    });
    py::list apps;
    py::list processes;
    GilOffers gil;
    for (const RecordView& view : found) {
        gil.offer();
        if (view.owner.kind == OwnerKind::app) {
            apps.append(py::make_tuple(view.uid, view.mask));
        } else {
            processes.append(py::make_tuple(view.pid, view.uid, view.applied));
        }
    }
    return py::make_tuple(std::move(apps), std::move(processes));
}

py::bytes bytes_of(const std::vector<std::byte>& bytes, std::size_t size) {
    if (size == 0) throw Refusal(Status::out_of_memory).with_rule("more than an entry of a log may have");
    return py::bytes(reinterpret_cast<const char*>(bytes.data()), size);
}

std::array<std::uint8_t, 16> to_boot_id(const py::object& boot_id) {
    std::array<std::uint8_t, 16> id{};
    const ByteBuffer bytes(boot_id.ptr(), "boot_id");
    const std::span<const std::byte> given = bytes.bytes();
    // cppcheck-suppress knownConditionTrueFalse ; it takes the two members of the span for its size
    if (given.size() != id.size()) throw py::value_error("boot_id must have 16 bytes");
    std::memcpy(id.data(), given.data(), given.size());
    return id;
}

py::bytes encoded_mark(const py::object& now, const py::object& boot_id, const py::object& boot_ms,
                       std::int64_t wall_ms) {
    const Mark mark{to_instant(now, "now_ms"), to_boot_id(boot_id), to_instant(boot_ms, "boot_ms"), wall_ms};
    std::vector<std::byte> out(max_op_bytes);
    const std::size_t size = encode_mark(mark, out);
    return bytes_of(out, size);
}

py::bytes encoded_limits(const py::object& max_records, const py::object& max_strings, const py::object& event_capacity,
                         const py::object& now) {
    const Limits limits = to_limits({max_records, max_strings, event_capacity, py::none()});
    std::vector<std::byte> out(max_op_bytes);
    const std::size_t size = encode_limits(limits, to_instant(now, "now_ms"), out);
    return bytes_of(out, size);
}

std::vector<std::uint32_t> to_keys(const py::list& keys, const char* name, std::uint32_t most) {
    std::vector<std::uint32_t> found;
    found.reserve(keys.size());
    for (const py::handle key : keys) found.push_back(to_key(py::reinterpret_borrow<py::object>(key), name, most));
    if (!Keys(found).ascend_to(most)) throw py::value_error(std::string(name) + " must ascend, and be in range");
    return found;
}

py::bytes encoded_recovery(const py::list& apps, const py::list& processes, const py::object& now) {
    const std::vector<std::uint32_t> uids = to_keys(apps, "apps", max_uid);
    const std::vector<std::uint32_t> pids = to_keys(processes, "processes", max_pid);
    const Instant instant = to_instant(now, "now_ms");
    std::vector<std::byte> out(recovery_size(uids, pids, instant));
    const std::size_t size = encode_recovery(uids, pids, instant, out);
    return bytes_of(out, size);
}

// The instant is that of the call, and its time since boot that instant less the offset.
void stage_mark(Shell& shell, const py::object& boot_id, std::int64_t boot_offset_ms, std::int64_t wall_ms) {
    if (!shell.has_log()) throw py::value_error("a mark is for a log, and there is none");
    shell.put_mark({0, to_boot_id(boot_id), 0, wall_ms}, boot_offset_ms);
}

void end_due(Shell& shell, const py::list& processes) {
    if (!shell.has_log()) throw py::value_error("what a start ends is for a log, and there is none");
    std::vector<std::pair<std::uint32_t, std::uint32_t>> found;
    for (const py::handle one : processes) {
        const auto pair = py::reinterpret_borrow<py::tuple>(one);
        found.emplace_back(to_key(pair[0], "pid", max_pid), to_key(pair[1], "uid", max_uid));
    }
    shell.end_due(found);
}

}  // namespace

void bind_recovery(py::module_& module) {
    module.def("mark_of", &mark_of, py::arg("follower"), py::pos_only(),
               "Return the last mark as (instant, boot id, boot ms, wall ms); None when there was none.");
    module.def("limits_of", &limits_of, py::arg("follower"), py::pos_only(),
               "Return (max_records, max_strings, event_capacity) as they are now.");
    module.def("used_of", &used_of, py::arg("follower"), py::pos_only(),
               "Return how many records and strings there are.");
    module.def("owners_of", &owners_of, py::arg("follower"), py::pos_only(),
               "Return the apps as (uid, mask), and the processes as (pid, uid, instant of the last apply).");
    module.def("overdue_of", &overdue_of, py::arg("follower"), py::arg("now_ms"), py::pos_only(),
               "Return the processes that are due by an instant as (pid, uid), in the order in which they end.");
    module.attr("RETAINED") = static_cast<unsigned>(rules.retained);
    module.def("end_due", &end_due, py::arg("manager"), py::arg("processes"), py::pos_only(),
               "End process records that are due, each (pid, uid), in this order, before all others.");
    module.def("stage_mark", &stage_mark, py::arg("manager"), py::arg("boot_id"), py::arg("boot_offset_ms"),
               py::arg("wall_ms"), py::pos_only(),
               "Put on record when it is, by the machine's clocks; does not wait for it.");
    module.def("encode_mark", &encoded_mark, py::arg("now_ms"), py::arg("boot_id"), py::arg("boot_ms"),
               py::arg("wall_ms"), py::pos_only(), "Return a mark as bytes of a log.");
    module.def("encode_limits", &encoded_limits, py::arg("max_records"), py::arg("max_strings"),
               py::arg("event_capacity"), py::arg("now_ms"), py::pos_only(), "Return limits as bytes of a log.");
    module.def("encode_recovery", &encoded_recovery, py::arg("apps"), py::arg("processes"), py::arg("now_ms"),
               py::pos_only(), "Return what a start drops as bytes of a log: uids and pids, each ascending.");
}

}  // namespace grantwheel::bindings
