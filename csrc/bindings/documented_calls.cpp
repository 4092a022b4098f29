#include <pthread.h>
#include <unistd.h>

#include <atomic>

#include "bindings/arguments.hpp"
#include "bindings/calls.hpp"
#include "bindings/documented_request.hpp"
#include "bindings/listing.hpp"
#include "bindings/listing_columns.hpp"
#include "bindings/views.hpp"

namespace grantwheel::bindings {

namespace {

// The pid of this process. Asking the system costs more than the rest of the call, so it is asked once, and again in
// the child of a fork.
pid_t this_pid() {
    static std::atomic<pid_t> pid = [] {
        ::pthread_atfork(nullptr, nullptr, [] { pid = ::getpid(); });
        return ::getpid();
    }();
    return pid.load(std::memory_order_relaxed);
}

// Who calls: as it was given, or this process. Its uid is asked for each time, as nobody tells of a change; and before
// the lock is taken.
class Who {
public:
    explicit Who(PyObject* given, Status unencodable = Status::parcel_failed) : given_(to_caller(given, unencodable)) {
        if (!given_.given) given_.caller.uid = std::int64_t{::getuid()};
    }

    [[nodiscard]] std::int64_t uid() const noexcept { return given_.caller.uid; }
    // With what the policy says of this uid, unless it was given.
    [[nodiscard]] Caller in(const Manager& manager) const {
        return given_.given ? given_.caller : manager.caller(uid(), this_pid());
    }

private:
    CallerArgument given_;
};

// What a refused query of the documented API says when the manager is closed.
template <typename Query>
auto as_query(Query&& query) {
    try {
        return query();
    } catch (const Refusal& refusal) {
        throw Refusal(refusal.status() == Status::not_connected ? Status::query_not_connected : refusal.status());
    }
}

PyObject* apply_request(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
    return fast_call(self, [&](Shell& shell) {
        static constinit Parameters<2, 1> parameters("apply_request", {"request", "caller"});
        require_one_argument(static_cast<std::size_t>(count));
        const auto [request, who] = parameters.read(arguments, count, keywords);
        const DocumentedRequest documented(request);
        const Who caller(who);
        return shell.change({caller.uid(), documented.request().mask}, [&](const Manager& manager, Instant now) {
            return manager.admit(caller.in(manager), documented.request(), now);
        });
    });
}

// A method that takes the caller alone, by name: `work(shell, caller)`, with null for one that is not given.
template <auto work, const auto& name>
PyObject* call_of_caller(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
    return fast_call(self, [&](Shell& shell) {
        static constinit Parameters<1, 0> parameters(name, {"caller"});
        return work(shell, parameters.read(arguments, count, keywords).front());
    });
}

Mask reset_all_request(Shell& shell, PyObject* who) {
    const Who caller(who);
    return shell.change({caller.uid(), type::ALL}, [&](const Manager& manager, Instant now) {
        return manager.admit_reset_all(caller.in(manager), now);
    });
}

py::object get_all(Shell& shell, PyObject* who) {
    return as_query([&] {
        const Who given(who, Status::query_parcel_failed);
        OwnedViews views;
        const auto uid_of = [&](const Manager& manager, Instant now) {
            const Caller caller = given.in(manager);
            check(manager.admit_query(caller, now));
            return static_cast<std::uint32_t>(caller.uid);
        };
        shell.look_at_processes(uid_of, [&](const Engine& engine, std::uint32_t uid, Instant now) {
            views.add_uid(engine, uid, now);
            return true;
        });
        py::list rows;
        GilOffers gil;
        for (const RecordView& view : views.records()) {
            gil.offer();
            append_documented_rows(rows, view, views.now());
        }
        return rows;
    });
}

// Calls `take(view)` for every record of everyone.
template <typename Take>
void for_each_info(Shell& shell, PyObject* who, Take&& take) {
    as_query([&] {
        const Who given(who, Status::query_parcel_failed);
        {
            const auto session = shell.begin();
            check(session.manager.admit_native(given.in(session.manager)));
        }
        Listing listing(type::ALL);
        listing.find(shell);
        for (;;) {
            const OwnedViews page = listing.next_page(shell);
            if (page.records().empty()) return;
            for (const RecordView& view : page.records()) take(view);
        }
    });
}

py::object infos(Shell& shell, PyObject* who) {
    py::list rows[2];
    for_each_info(shell, who, [&](const RecordView& view) {
        rows[static_cast<std::size_t>(view.owner.kind)].append(make_record_info(view));
    });
    return make_named(vocabulary().Infos, {rows[0], rows[1]});
}

py::object infos_columns(Shell& shell, PyObject* who) {
    RecordTable table;
    for_each_info(shell, who, [&](const RecordView& view) { table.add(view); });
    return table.infos();
}

py::object require_native(Shell& shell, PyObject* who) {
    const Who caller(who);
    const auto locked = shell.lock();
    check(locked.manager.admit_native(caller.in(locked.manager)));
    return py::none();
}

constexpr char reset_all_request_name[] = "reset_all_request";
constexpr char get_all_name[] = "get_all";
constexpr char infos_name[] = "infos";
constexpr char infos_columns_name[] = "infos_columns";
constexpr char require_native_name[] = "require_native";

PyMethodDef documented_methods[] = {
    {"apply_request", as_c_function(apply_request), METH_FASTCALL | METH_KEYWORDS,
     "apply_request($self, /, *args, caller=None)\n--\n\n"
     "Apply or release as a documented request says (documented API: applyEfficiencyResources).\n\n"
     "Parameters\n----------\n"
     "*args\n    Exactly one: an EfficiencyResourcesRequest, or any mapping with its field names.\n"
     "caller : Caller\n    Who calls. Default: this process, with what the policy says of its uid.\n\n"
     "Returns\n-------\nint\n    The types in effect, or those that were removed.\n\n"
     "Raises\n------\n"
     "BusinessError\n    201, 202, 401, 9800001, 9800002, 9800003, 9800004 or 18700001; nothing has changed then.\n"
     "ValueError\n    The clock has run backwards or out of range."},
    {reset_all_request_name, as_c_function(call_of_caller<&reset_all_request, reset_all_request_name>),
     METH_FASTCALL | METH_KEYWORDS,
     "reset_all_request($self, /, *, caller=None)\n--\n\n"
     "Release all types that the caller's bundle is allowed (documented API: resetAllEfficiencyResources).\n\n"
     "Returns the types removed. The caller is this process by default.\n\n"
     "Raises\n------\nBusinessError\n    201, 202, 9800002, 9800003, 9800004 or 18700001."},
    {get_all_name, as_c_function(call_of_caller<&get_all, get_all_name>), METH_FASTCALL | METH_KEYWORDS,
     "get_all($self, /, *, caller=None)\n--\n\n"
     "Return a row per grant of the caller's app and its processes (documented API: getAllEfficiencyResources).\n\n"
     "The caller is this process by default. Rows: the app's types ascending, then the processes by pid.\n\n"
     "Raises\n------\nBusinessError\n    202, 18700001, 18700002 or 18700004."},
    {infos_name, as_c_function(call_of_caller<&infos, infos_name>), METH_FASTCALL | METH_KEYWORDS,
     "infos($self, /, *, caller=None)\n--\n\n"
     "Return every record of everyone, for native callers. Not of one instant when there are more than 1024.\n\n"
     "Raises\n------\nBusinessError\n    201 for a caller that is not native, 18700004 when closed."},
    {infos_columns_name, as_c_function(call_of_caller<&infos_columns, infos_columns_name>),
     METH_FASTCALL | METH_KEYWORDS,
     "infos_columns($self, /, *, caller=None)\n--\n\n"
     "Return the same as `infos`, as columns: for many records, without an object each.\n\n"
     "Returns\n-------\nInfoColumns\n    Apps by ascending uid, then processes by ascending pid.\n\n"
     "Raises\n------\nBusinessError\n    As `infos`."},
    {require_native_name, as_c_function(call_of_caller<&require_native, require_native_name>),
     METH_FASTCALL | METH_KEYWORDS,
     "require_native($self, /, *, caller=None)\n--\n\n"
     "Refuse a caller that is not native with 201."},
};

}  // namespace

void bind_documented_calls(const ManagerClass& bound) {
    for (PyMethodDef& definition : documented_methods) add_fast_method(bound, definition);
}

}  // namespace grantwheel::bindings
