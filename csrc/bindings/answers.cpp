#include "bindings/answers.hpp"

#include <algorithm>
#include <array>

#include "bindings/errors.hpp"
#include "bindings/gil.hpp"
#include "bindings/vocabulary.hpp"

namespace grantwheel::bindings {

namespace {

// Here and below numbers become ints beforehand: pybind11 does not look whether it could make one for `append`, `=`.
py::dict by_type(const std::uint64_t (&counts)[type_count]) {
    py::dict result;
    for (std::size_t type = 0; type < type_count; ++type)
        result[vocabulary().masks[1 << type]] = py::int_(counts[type]);
    return result;
}

py::dict by_code(const Refusals& refusals) {
    py::dict result;
    for (std::size_t i = 0; i < std::size(Refusals::codes); ++i) {
        result[py::int_(Refusals::codes[i])] = py::int_(refusals.count(i));
    }
    return result;
}

template <typename Counts>
py::tuple make_counts(const Counts& counts) {
    py::list result;
    for (const std::uint64_t count : counts) result.append(py::int_(count));
    return py::tuple(result);
}

py::object make_lateness(const Histogram& histogram) {
    return make_named(vocabulary().LatenessCounts, {make_counts(histogram.lateness.counts), py::int_(histogram.sum),
                                                    py::int_(histogram.lateness.most)});
}

// The words of LogState.
constexpr std::array log_states{"open", "behind", "uncertain", "broken"};

py::object make_log_stats(const LogFigures* log) {
    if (log == nullptr) return py::none();
    const Vocabulary& words = vocabulary();
    const py::object times = make_named(
        words.AppendTimes, {make_counts(log->append_counts), py::int_(log->append_us), py::int_(log->most_us)});
    return make_named(words.LogStats,
                      {py::str(log_states.at(static_cast<std::size_t>(log->state))), py::int_(log->position),
                       py::int_(log->groups), py::int_(log->ops), py::int_(log->bytes), py::int_(log->largest_bytes),
                       py::int_(log->failures), py::int_(log->waiting_ops), py::int_(log->waiting_bytes), times});
}

}  // namespace

// Nobody finds the lists before they are full: the garbage collector, which tells of what it tracks, knows them then.
py::object make_holders(const std::vector<Owner>& owners) {
    constexpr std::size_t slice = 1024;
    const auto is_app = [](const Owner& owner) { return owner.kind == OwnerKind::app; };
    const auto apps = static_cast<std::size_t>(std::count_if(owners.begin(), owners.end(), is_app));
    const auto make_hidden =
        [](std::size_t size) {  // at once: the next one may run a collection, which others look into
            py::list made(size);
            PyObject_GC_UnTrack(made.ptr());
            return made;
        };
    const py::list lists[2] = {make_hidden(apps), make_hidden(owners.size() - apps)};
    Py_ssize_t ends[2] = {0, 0};
    GilOffers gil;
    for (std::size_t i = 0; i < owners.size(); ++i) {
        if (i % slice == slice - 1) gil.offer();
        const auto kind = static_cast<std::size_t>(owners[i].kind);
        PyObject* const key = PyLong_FromUnsignedLong(owners[i].key);
        if (key == nullptr) throw py::error_already_set();
        PyList_SET_ITEM(lists[kind].ptr(), ends[kind]++, key);
    }
    for (const py::list& list : lists) PyObject_GC_Track(list.ptr());
    return make_named(vocabulary().Holders, {lists[0], lists[1]});
}

py::object make_stats(const Stats& stats, const Counts& counts) {
    const Vocabulary& words = vocabulary();
    py::dict ended;
    for (std::size_t cause = 1; cause < cause_count; ++cause) {
        ended[words.causes[cause]] = py::int_(stats.ended[cause]);
    }
    const std::uint64_t released =
        stats.ended[static_cast<std::size_t>(Cause::release)] + stats.ended[static_cast<std::size_t>(Cause::reset_all)];
    return make_named(
        words.Stats,
        {py::int_(stats.app_records), py::int_(stats.process_records), by_type(stats.app_grants),
         by_type(stats.process_grants), py::int_(stats.granted), py::int_(stats.renewed), py::int_(released), ended,
         by_code(counts.refusals), py::int_(stats.strings), py::int_(stats.last_sequence), py::int_(counts.missed),
         make_lateness(counts.advanced), make_lateness(counts.delivered), make_log_stats(counts.log)});
}

void require_sound(bool is_sound, const char* reason) {
    if (is_sound) return;
    if (reason == Engine::validate_no_memory) throw Refusal(Status::out_of_memory);
    PyErr_SetString(PyExc_AssertionError, reason);
    throw py::error_already_set();
}

}  // namespace grantwheel::bindings
