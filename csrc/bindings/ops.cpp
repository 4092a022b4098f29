// The ops of a group as values of Python's: `_core.Ops`, one after the other, so that a group of a million takes no more
// room than one of a few.
#include "grantwheel/op.hpp"

#include <mutex>
#include <string>

#include "bindings/buffers.hpp"
#include "bindings/calls.hpp"
#include "bindings/clocks.hpp"
#include "bindings/follower.hpp"
#include "bindings/instances.hpp"
#include "bindings/notes.hpp"

namespace grantwheel::bindings {

namespace {

// The types of a command with timeouts of their own.
py::dict timeouts_of(const Command& command) {
    py::dict timeouts;
    for (int type = 0; type < type_count; ++type) {
        const Mask bit = Mask{1} << type;
        if ((command.capped & bit) == 0) continue;
        timeouts[vocabulary().masks[bit]] = py::int_(command.caps_ms[static_cast<std::size_t>(type)]);
    }
    return timeouts;
}

// `row` is the place of the command in its batch; None outside of one.
py::object make_command(const Command& command, Instant now, const py::object& row) {
    const Vocabulary& words = vocabulary();
    return make_named(
        words.Command,
        {py::int_(now), words.command_kinds[static_cast<std::size_t>(command.kind)], py::int_(command.uid),
         py::int_(command.pid), words.masks[command.mask], py::int_(command.timeout_ms), py::bool_(command.is_persist),
         py::bool_(command.is_process), py::bool_(command.only_held), py::int_(command.cpu_level),
         make_text(command.bundle), make_text(command.reason), timeouts_of(command), row});
}

py::object make_mark(const Mark& mark) {
    const auto* const id = reinterpret_cast<const char*>(mark.boot_id.data());
    py::object boot_id = py::none();
    if (mark.boot_id != Mark{}.boot_id) boot_id = py::bytes(id, mark.boot_id.size());
    return make_named(vocabulary().Mark, {py::int_(mark.now), boot_id, py::int_(mark.boot_ms), py::int_(mark.wall_ms)});
}

py::object make_limits_change(const Limits& limits, Instant now) {
    return make_named(vocabulary().LimitsChange, {py::int_(now), py::int_(limits.max_records),
                                                  py::int_(limits.max_strings), py::int_(limits.event_capacity)});
}

py::tuple tuple_of(const Keys& keys) {
    py::tuple numbers(keys.size());
    for (std::size_t i = 0; i < keys.size(); ++i) numbers[i] = py::int_(keys[i]);
    return numbers;
}

// It has bytes of its own: those of a buffer could change after the check.
class Ops {
public:
    explicit Ops(py::bytes group) : group_(std::move(group)), bytes_(bytes_of(group_)) {
        without_gil([&] {
            Follower::require_whole(bytes_);
            return true;
        });
    }

    [[nodiscard]] py::object next() {
        std::unique_lock lock(mutex_);
        if (row_ == op_.rows.size()) read();
        if (op_.kind == OpKind::batch) {
            const std::size_t row = row_++;
            const Command command = op_.rows[row];
            const Instant now = op_.now;
            lock.unlock();
            return make_command(command, now, py::int_(row));
        }
        const Op op = op_;
        lock.unlock();
        switch (op.kind) {
            case OpKind::advance: return make_named(vocabulary().Advance, {py::int_(op.now), py::int_(op.endings)});
            case OpKind::mark: return make_mark(op.mark);
            case OpKind::limits: return make_limits_change(op.limits, op.now);
            case OpKind::recovery:
                return make_named(vocabulary().Recovery, {py::int_(op.now), tuple_of(op.apps), tuple_of(op.processes)});
            case OpKind::notes: return make_notes_change(op.notes, op.now);
            case OpKind::command:
            case OpKind::batch: break;
        }
        return make_command(op.command, op.now, py::none());
    }

    [[nodiscard]] std::size_t place() const noexcept {
        const std::lock_guard lock(mutex_);
        return place_;
    }

private:
    static Follower::Bytes bytes_of(const py::bytes& group) {
        return {reinterpret_cast<const std::byte*>(PyBytes_AS_STRING(group.ptr())),
                static_cast<std::size_t>(PyBytes_GET_SIZE(group.ptr()))};
    }

    void read() {
        place_ = behind_;
        if (behind_ == bytes_.size()) throw py::stop_iteration();
        const Decoded decoded = decode(bytes_.subspan(place_));
        check(decoded.status);
        op_ = decoded.op;
        row_ = 0;
        behind_ += decoded.size;
    }

    py::bytes group_;
    Follower::Bytes bytes_;
    mutable GilOrMutex mutex_;  // over what follows
    std::size_t place_ = 0;     // where the op begins that was given last
    std::size_t behind_ = 0;    // where the next one does
    Op op_{};
    std::size_t row_ = 0;  // of a batch: the row that comes next
};

std::unique_ptr<Ops> make_ops(const py::object& group) {
    if (PyBytes_CheckExact(group.ptr()) != 0) return std::make_unique<Ops>(group);
    const ByteBuffer buffer(group.ptr(), "group");
    const Follower::Bytes bytes = buffer.bytes();
    return std::make_unique<Ops>(py::bytes(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

py::bytes advance_as_bytes(const py::object& time) {
    std::byte room[max_op_bytes];
    const std::size_t size = encode_advance(UINT64_MAX, to_instant(time, "time"), room);
    return {reinterpret_cast<const char*>(room), size};
}

}  // namespace

void bind_ops(py::module_& module) {
    bind_class<Ops>(module, "Ops", "The ops of a group, one after the other. grantwheel.ops.read makes it.")
        .def(py::init(&make_ops), py::arg("group"), py::pos_only())
        .def(
            "__iter__", [](Ops& self) -> Ops& { return self; }, py::return_value_policy::reference)
        .def("__next__", &Ops::next)
        .def_property_readonly(
            "place", &Ops::place,
            "The byte of the group at which the op begins that was given last; its length when there is no other.");
    module.def("advance_as_bytes", &advance_as_bytes, py::arg("time"), py::pos_only(),
               "Return the op that ends all that is due at an instant, as bytes.");
}

}  // namespace grantwheel::bindings
