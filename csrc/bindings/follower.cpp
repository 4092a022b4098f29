#include "bindings/follower.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "bindings/answers.hpp"
#include "bindings/arguments.hpp"
#include "bindings/buffers.hpp"
#include "bindings/calls.hpp"
#include "bindings/clocks.hpp"
#include "bindings/event_lists.hpp"
#include "bindings/instances.hpp"
#include "bindings/limits.hpp"
#include "bindings/notes.hpp"
#include "bindings/views.hpp"
#include "grantwheel/survey.hpp"

namespace grantwheel::bindings {

namespace {

// The sections of a snapshot, one by one, while the engine stands still.
class Sections {
public:
    Sections(py::object follower, Follower& engine) : follower_(std::move(follower)), engine_(&engine) {
        const Follower::Session session = engine_->begin();
        writer_ = SnapshotWriter::create(session.engine);
        if (writer_ == nullptr) throw Refusal(Status::out_of_memory);
    }

    // The next one; empty after the last.
    [[nodiscard]] std::string next() {
        std::string section(max_section_bytes, '\0');
        while (!is_over_ && follower_) {
            const SectionWritten written = without_gil([&] { return write(section); });
            if (written.status == Status::argument_invalid) {
                throw std::runtime_error("the follower has gone on since the snapshot was begun");
            }
            check(written.status);
            if (written.size == 0) continue;
            section.resize(written.size);
            return section;
        }
        return {};
    }

    int traverse(visitproc visit, void* arg) const {
        Py_VISIT(follower_.ptr());
        return 0;
    }
    void forget() { const py::object follower = std::move(follower_); }

private:
    // Another thread may have had the last one meanwhile.
    SectionWritten write(std::string& section) {
        const Follower::Session session = engine_->begin_without_gil();
        if (is_over_) return {};
        const SectionWritten written = writer_->write(std::as_writable_bytes(std::span(section)));
        if (written.status == Status::ok && !written.more) {
            writer_.reset();
            is_over_ = true;
        }
        return written;
    }

    py::object follower_;
    Follower* engine_;
    // Under the lock of the follower:
    std::unique_ptr<SnapshotWriter> writer_;  // null after the last section
    std::atomic<bool> is_over_{false};
};

std::optional<Instant> to_now(const py::object& now) {
    if (now.is_none()) return {};
    return to_instant(now, "now_ms");
}

py::int_ followed_mask(Follower& follower, Owner owner, const py::object& now) {
    const auto session = follower.begin(to_now(now));
    return mask_int(mask_or_throw(std::as_const(session.engine).mask(owner, session.now)));
}

py::object find_followed(Follower& follower, Owner owner, const py::object& now) {
    OwnedViews views;
    {
        const auto session = follower.begin(to_now(now));
        views.add(session.engine, owner, session.now);
    }
    if (views.records().empty()) return py::none();
    return make_record(views.records().front(), views.now());
}

// In the order of lists.
std::vector<Owner> followed_owners(const Engine& engine, Mask mask, Instant now) {
    std::vector<Owner> found;
    std::array<Owner, Shell::slice> part;
    for (std::size_t place = 0;;) {
        const ScanResult scan = engine.scan(mask, now, place, part);
        check(scan.status);
        found.insert(found.end(), part.begin(), part.begin() + static_cast<std::ptrdiff_t>(scan.count));
        if (!scan.more) break;
        place = scan.next;
    }
    std::sort(found.begin(), found.end());
    return found;
}

py::list followed_records(Follower& follower, const py::object& now) {
    const std::optional<Instant> at = to_now(now);
    OwnedViews views;
    {
        auto begun = follower.begin(at);
        without_gil([&] {
            const auto session = std::move(begun);
            for (const Owner& owner : followed_owners(session.engine, type::ALL, session.now)) {
                views.add(session.engine, owner, session.now);
            }
            return true;
        });
    }
    py::list result;
    GilOffers gil;
    for (const RecordView& view : views.records()) {
        gil.offer();
        result.append(make_record(view, views.now()));
    }
    return result;
}

py::object followed_holders(Follower& follower, const py::object& type, const py::object& now) {
    const Mask mask = to_one_type(type);
    auto begun = follower.begin(to_now(now));
    const std::vector<Owner> owners = without_gil([&] {
        const auto session = std::move(begun);
        return followed_owners(session.engine, mask, session.now);
    });
    return make_holders(owners);
}

template <typename Events>
py::tuple read_followed(Follower& follower, std::uint64_t after, const py::object& limit) {
    const std::size_t most = to_limit(limit.ptr(), "limit");
    Events events;
    std::uint64_t missed = 0;
    {
        const auto session = follower.begin();
        const Engine& engine = session.engine;
        const std::uint64_t last = engine.last_sequence();
        if (after < last && after + 1 < engine.first_sequence()) {
            missed = engine.first_sequence() - 1 - after;
            after += missed;
        }
        std::array<Event, 128> part;
        for (std::size_t left = after < last ? std::min<std::size_t>(last - after, most) : 0; left > 0;) {
            const EventsRead got = engine.read(after, std::span(part).first(std::min(left, part.size())));
            for (const Event& event : std::span(part).first(got.count)) events.add(event);
            after += got.count;
            left -= got.count;
        }
    }
    return py::make_tuple(list_of(events), missed, after);
}

std::uint64_t feed(Follower& follower, const py::object& group) {
    const ByteBuffer bytes(group.ptr(), "group");
    return without_gil([&] { return follower.feed(bytes.bytes()); });
}

// Of bytes only: a tuple of them does not change while the GIL is let go of.
std::uint64_t feed_many(Follower& follower, const py::object& groups) {
    const auto given = py::reinterpret_steal<py::tuple>(PySequence_Tuple(groups.ptr()));
    if (!given) throw py::error_already_set();
    std::vector<Follower::Bytes> spans;
    spans.reserve(given.size());
    for (const py::handle group : given) {
        if (PyBytes_Check(group.ptr()) == 0) {
            throw py::type_error(std::string("groups must be bytes, not ") + Py_TYPE(group.ptr())->tp_name);
        }
        const auto size = static_cast<std::size_t>(PyBytes_GET_SIZE(group.ptr()));
        spans.push_back(std::as_bytes(std::span(PyBytes_AS_STRING(group.ptr()), size)));
    }
    return without_gil([&] { return follower.feed_many(spans); });
}

std::uint64_t followed_hash(Follower& follower) {
    auto begun = follower.begin();
    return without_gil([&] {
        const auto session = std::move(begun);
        std::uint64_t hash = 0;
        check(state_hash(session.engine, hash));
        return hash;
    });
}

std::uint64_t last_followed(Follower& follower) { return follower.begin().engine.last_sequence(); }

void validate_followed(Follower& follower) {
    auto begun = follower.begin();
    const char* reason = nullptr;
    const bool is_sound = without_gil([&] {
        const auto session = std::move(begun);
        return session.engine.validate(&reason);
    });
    require_sound(is_sound, reason);
}

py::object followed_stats(Follower& follower) {
    static const Refusals none;
    auto begun = follower.begin();
    const Stats stats = without_gil([&] {
        const auto session = std::move(begun);
        const auto survey = Survey::create(session.engine, Survey::What::stats, session.now);
        if (survey == nullptr) throw Refusal(Status::out_of_memory);
        check(survey->step(SIZE_MAX).status);
        return survey->stats();
    });
    return make_stats(stats, {none, 0, {}, {}});
}

// Reads a snapshot as its chunks come, wherever those are cut.
class Loading {
public:
    // Of limits that are not given those of the snapshot are taken, which stand in its first section.
    Loading(const GivenLimits& given, const HashKey& key) : given_(given), key_(key) { begin(to_limits(given)); }

    // Without the GIL.
    void add(Follower::Bytes chunk) {
        bytes_.insert(bytes_.end(), chunk.begin(), chunk.end());
        std::size_t place = 0;
        while (place < bytes_.size() && !is_done_) {
            const SectionRead section = read(std::span(bytes_).subspan(place));
            if (section.size == 0) break;
            place += section.size;
            is_done_ = section.done;
        }
        bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(place));
    }
    // The engine. Refusal when the snapshot does not end where it has to.
    [[nodiscard]] std::unique_ptr<Engine> take() {
        if (!is_done_) throw Refusal(Status::parcel_failed).with_rule("the snapshot is cut short");
        if (!bytes_.empty()) throw Refusal(Status::parcel_failed).with_rule("bytes follow the snapshot");
        return reader_->take();
    }

private:
    void begin(const Limits& limits) {
        reader_ = SnapshotReader::create(limits, key_);
        if (reader_ == nullptr) throw Refusal(Status::out_of_memory);
    }
    SectionRead read(Follower::Bytes bytes) {
        SectionRead section = read_checked(bytes);
        if (section.size != 0 && !std::exchange(has_limits_, true)) {
            begin(to_limits(given_, reader_->limits_then()));
            section = read_checked(bytes);
        }
        return section;
    }
    SectionRead read_checked(Follower::Bytes bytes) {
        const SectionRead section = reader_->read(bytes);
        if (section.is_newer) {
            throw Refusal(section.status).with_rule("the snapshot is of a newer format").as_newer();
        }
        check(section.status);
        return section;
    }

    const GivenLimits& given_;
    const HashKey key_;
    std::unique_ptr<SnapshotReader> reader_;
    std::vector<std::byte> bytes_;  // of a section that is not there as a whole yet
    bool has_limits_ = false;
    bool is_done_ = false;
};

std::unique_ptr<Follower> make_follower(const py::object& max_records, const py::object& max_strings,
                                        const py::object& event_capacity, const py::object& reserve,
                                        const py::bytes& hash_key, const py::object& snapshot, std::uint64_t position) {
    const GivenLimits limits{max_records, max_strings, event_capacity, reserve};
    const HashKey key = to_hash_key(hash_key);
    if (snapshot.is_none()) {
        auto engine = without_gil([&, own = to_limits(limits)] { return Engine::create(own, key); });
        if (engine == nullptr) throw Refusal(Status::out_of_memory);
        return std::make_unique<Follower>(std::move(engine), key, position);
    }
    Loading loading(limits, key);
    for (const py::handle chunk : py::iter(snapshot)) {
        const ByteBuffer bytes(chunk.ptr(), "a chunk of the snapshot");
        without_gil([&] {
            loading.add(bytes.bytes());
            return true;
        });
    }
    return std::make_unique<Follower>(loading.take(), key, position);
}

}  // namespace

void bind_followers(py::module_& module) {
    bind_class<Follower>(module, "Follower", "An engine that reads a log. grantwheel.Follower is what users see.")
        .def(py::init(&make_follower), py::arg("max_records"), py::arg("max_strings"), py::arg("event_capacity"),
             py::arg("reserve"), py::arg("hash_key"), py::arg("snapshot"), py::arg("position"))
        .def(
            "feed", &feed, py::arg("group"), py::pos_only(),
            "Carry out the next group of the log, and return its position.\n\n"
            "Parameters\n----------\ngroup : buffer\n    Its bytes, as they were appended.\n\n"
            "Raises\n------\n"
            "BusinessError\n    9800002: the group is damaged or of a newer format, and nothing of it was carried out; or it\n"
            "    does not follow on those before it, and then no other will. 9800004: this is the child of a fork.\n"
            "TypeError\n    It is no buffer of bytes.")
        .def(
            "feed_many", &feed_many, py::arg("groups"), py::pos_only(),
            "Carry out the next groups of the log, and return the position of the last: as many calls of `feed`, in less time.\n\n"
            "Parameters\n----------\ngroups : sequence of bytes\n    In order.\n\n"
            "Raises\n------\n"
            "BusinessError\n    As `feed`. Those before the one that is refused have been carried out: `position` tells.\n"
            "TypeError\n    One of them is not bytes; nothing was carried out.")
        .def_property_readonly("position", &Follower::position, "How many groups of the log it has carried out.")
        .def_property_readonly(
            "now_ms", &Follower::now,
            "The instant of the last command or of the snapshot, in ms of the manager's clock; 0 before the\n"
            "first.")
        .def(
            "app_mask",
            [](Follower& follower, const py::object& uid, const py::object& now) {
                return followed_mask(follower, {OwnerKind::app, to_key(uid, "uid", max_uid)}, now);
            },
            py::arg("uid"), py::kw_only(), py::arg("now_ms") = py::none(),
            "Return the types that the app of a uid holds; 0 for none.\n\n"
            "Parameters\n----------\nuid : int\n    The app.\n"
            "now_ms : int\n    When, not before `now_ms` of the follower, which is the default: what ends by then, as far as\n"
            "    the log goes, is left out. The same in all reads.\n\n"
            "Raises\n------\nBusinessError\n    18700001: out of range. 9800004: this is the child of a fork.\n"
            "ValueError\n    `now_ms` is before the last command, or out of range.")
        .def(
            "process_mask",
            [](Follower& follower, const py::object& pid, const py::object& now) {
                return followed_mask(follower, {OwnerKind::process, to_key(pid, "pid", max_pid)}, now);
            },
            py::arg("pid"), py::kw_only(), py::arg("now_ms") = py::none(),
            "Return the types that a process holds; 0 for none. As `app_mask`.")
        .def(
            "find_app",
            [](Follower& follower, const py::object& uid, const py::object& now) {
                return find_followed(follower, {OwnerKind::app, to_key(uid, "uid", max_uid)}, now);
            },
            py::arg("uid"), py::kw_only(), py::arg("now_ms") = py::none(),
            "Return what the app of a uid holds, as a Record; None for nothing. As `app_mask`.")
        .def(
            "find_process",
            [](Follower& follower, const py::object& pid, const py::object& now) {
                return find_followed(follower, {OwnerKind::process, to_key(pid, "pid", max_pid)}, now);
            },
            py::arg("pid"), py::kw_only(), py::arg("now_ms") = py::none(),
            "Return what a process holds, as a Record; None for nothing. As `app_mask`.")
        .def(
            "records", &followed_records, py::kw_only(), py::arg("now_ms") = py::none(),
            "Return every record of one instant: apps by ascending uid, then processes by ascending pid. As `app_mask`.")
        .def("holders", &followed_holders, py::arg("resource_type"), py::kw_only(), py::arg("now_ms") = py::none(),
             "Return who holds a type, as Holders. As `app_mask`; ValueError for what is not one type.")
        .def("notes", &followed_notes,
             "Return all notes as of the last command, as a dict of bytes to bytes in the order of their keys.")
        .def("stats", &followed_stats,
             "Return the numbers of the state, as Stats, at the instant of the last command.\n\n"
             "What is counted around a manager, as refused calls, is 0: the log does not have it.")
        .def("read", &read_followed<OwnedEvents>, py::arg("after"), py::arg("limit") = py::none(),
             "Return (events after a number, how many were overwritten before them, after which number to go on).\n\n"
             "They are the events of the manager whose log it is, with the same numbers.")
        .def("read_columns", &read_followed<ColumnsOfEvents>, py::arg("after"), py::arg("limit") = py::none(),
             "Return the same as `read` with the events as EventColumns.")
        .def_property_readonly("last_sequence", &last_followed, "The number of the newest event; 0 before the first.")
        .def("state_hash", &followed_hash,
             "Return a hash of the state: the same for any two that have the same, on every build.\n\n"
             "Raises\n------\nBusinessError\n    9800001: no memory to look at all of it.")
        .def("validate", &validate_followed,
             "Check every invariant of the engine; AssertionError names the first that is broken.");
    bind_class<Sections>(module, "Sections", "The sections of a snapshot of a follower, one by one.",
                         see_through<Sections>)
        .def(py::init([](const py::object& follower) {
                 return std::make_unique<Sections>(follower, follower.cast<Follower&>());
             }),
             py::arg("follower"), py::pos_only())
        .def(
            "__iter__", [](Sections& self) -> Sections& { return self; }, py::return_value_policy::reference)
        .def("__next__", [](Sections& sections) {
            const std::string section = sections.next();
            if (section.empty()) throw py::stop_iteration();
            return py::bytes(section);
        });
}

}  // namespace grantwheel::bindings
