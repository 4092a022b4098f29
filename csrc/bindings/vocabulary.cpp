#include "bindings/vocabulary.hpp"

#include <atomic>
#include <memory>

namespace grantwheel::bindings {

namespace {

constexpr const char* event_kind_names[] = {
#define GRANTWHEEL_NAME(name) #name,
    GRANTWHEEL_EVENT_KIND_LIST(GRANTWHEEL_NAME)};
constexpr const char* cause_names[] = {GRANTWHEEL_CAUSE_LIST(GRANTWHEEL_NAME)};
#undef GRANTWHEEL_NAME
constexpr const char* command_names[] = {
#define GRANTWHEEL_NAME(name, NAME) #name,
    GRANTWHEEL_COMMAND_LIST(GRANTWHEEL_NAME)};
#undef GRANTWHEEL_NAME

// Those in use. All of them live as long as the process, as the module does: somebody may be in the middle of a call with
// those before, if the package is imported anew.
constinit std::atomic<const Vocabulary*> stored = nullptr;

template <std::size_t count>
py::tuple tuple_of(const char* const (&names)[count]) {
    py::tuple result(count);
    for (std::size_t i = 0; i < count; ++i) result[i] = names[i];
    return result;
}

// Looks the words up in the modules `types`, `caller` and `ops` of the package.
void use_vocabulary(const py::object& types, const py::object& caller, const py::object& ops) {
    auto words = std::make_unique<Vocabulary>();
    words->Event = types.attr("Event");
    words->EventColumns = types.attr("EventColumns");
    words->Grant = types.attr("Grant");
    words->Record = types.attr("Record");
    words->RecordInfo = types.attr("RecordInfo");
    words->Infos = types.attr("Infos");
    words->Holders = types.attr("Holders");
    words->HolderColumns = types.attr("HolderColumns");
    words->InfoColumns = types.attr("InfoColumns");
    words->RecordColumns = types.attr("RecordColumns");
    words->GrantColumns = types.attr("GrantColumns");
    words->Stats = types.attr("Stats");
    words->LatenessCounts = types.attr("LatenessCounts");
    words->LogStats = types.attr("LogStats");
    words->AppendTimes = types.attr("AppendTimes");
    words->EfficiencyResourcesInfo = types.attr("EfficiencyResourcesInfo");
    words->Caller = caller.attr("Caller");
    words->Command = ops.attr("Command");
    words->Advance = ops.attr("Advance");
    words->Mark = ops.attr("Mark");
    words->LimitsChange = ops.attr("LimitsChange");
    words->Recovery = ops.attr("Recovery");
    words->NotesChange = ops.attr("NotesChange");
    words->owner_kinds[0] = types.attr("OwnerKind")("app");
    words->owner_kinds[1] = types.attr("OwnerKind")("process");
    for (std::size_t i = 0; i < std::size(event_kind_names); ++i) {
        words->event_kinds[i] = types.attr("EventKind")(event_kind_names[i]);
    }
    for (std::size_t i = 0; i < std::size(cause_names); ++i) words->causes[i] = types.attr("Cause")(cause_names[i]);
    for (std::size_t i = 0; i < std::size(command_names); ++i) {
        words->command_kinds[i] = ops.attr("CommandKind")(command_names[i]);
    }
    for (Mask mask = 0; mask <= type::ALL; ++mask) words->masks[mask] = types.attr("ResourceType")(mask);
    words->mapping_type = py::module_::import("collections.abc").attr("Mapping");
    stored.store(words.release(), std::memory_order_release);
}

py::object level_or_none(const RecordView& view, Mask type) {
    if ((type & rules.levelled) == 0 || view.cpu_level == default_level) return py::none();
    return py::int_(view.cpu_level);
}

}  // namespace

const Vocabulary& vocabulary() {
    const Vocabulary* const words = stored.load(std::memory_order_acquire);
    if (words == nullptr) throw py::import_error("grantwheel._core is the foundation of grantwheel: import that");
    return *words;
}

py::object make_named(const py::object& type, std::initializer_list<py::object> items) {
    auto* const tuple_type = reinterpret_cast<PyTypeObject*>(type.ptr());
    PyObject* const made = tuple_type->tp_alloc(tuple_type, static_cast<Py_ssize_t>(items.size()));
    if (made == nullptr) throw py::error_already_set();
    Py_ssize_t place = 0;
    for (const py::object& item : items) PyTuple_SET_ITEM(made, place++, item.inc_ref().ptr());
    return py::reinterpret_steal<py::object>(made);
}

py::object make_text(std::string_view text) {
    PyObject* const made = PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), nullptr);
    if (made == nullptr) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(made);
}

py::object make_event(const Event& event, const py::object& bundle) {
    const Vocabulary& words = vocabulary();
    return make_named(words.Event, {py::int_(event.sequence), py::int_(event.time),
                                    words.event_kinds[static_cast<std::size_t>(event.kind)],
                                    words.causes[static_cast<std::size_t>(event.cause)], py::int_(event.uid),
                                    py::int_(event.pid), words.masks[event.mask], bundle, py::int_(event.cpu_level)});
}

py::object make_record(const RecordView& view, Instant now) {
    const Vocabulary& words = vocabulary();
    py::tuple grants(view.grant_count);
    for (std::size_t i = 0; i < view.grant_count; ++i) {
        const GrantView& grant = view.grants[i];
        py::object deadline = py::none();
        py::object remaining = py::none();
        if (!grant.is_persist) {
            deadline = py::int_(grant.deadline);
            remaining = py::int_(grant.deadline - now);
        }
        grants[i] = make_named(words.Grant, {words.masks[grant.type], py::bool_(grant.is_persist),
                                             py::int_(grant.timeout_ms), deadline, remaining, make_text(grant.reason)});
    }
    return make_named(words.Record, {words.owner_kinds[static_cast<std::size_t>(view.owner.kind)], py::int_(view.uid),
                                     py::int_(view.pid), words.masks[view.mask], make_text(view.bundle),
                                     py::int_(view.cpu_level), grants});
}

py::object make_record_info(const RecordView& view) {
    const Vocabulary& words = vocabulary();
    return make_named(words.RecordInfo, {py::int_(view.uid), py::int_(view.pid), words.masks[view.mask],
                                         make_text(view.bundle), py::int_(view.cpu_level)});
}

void append_documented_rows(py::list& rows, const RecordView& view, Instant now) {
    for (std::size_t i = 0; i < view.grant_count; ++i) {
        const GrantView& grant = view.grants[i];
        py::object remaining = py::none();
        if (!grant.is_persist) remaining = py::int_(grant.deadline - now);
        rows.append(make_named(
            vocabulary().EfficiencyResourcesInfo,
            {vocabulary().masks[grant.type], py::int_(grant.timeout_ms), remaining, py::bool_(grant.is_persist),
             py::bool_(view.owner.kind == OwnerKind::process), make_text(grant.reason), py::int_(view.uid),
             py::int_(view.pid), level_or_none(view, grant.type)}));
    }
}

void bind_vocabulary(py::module_& module) {
    for (Mask mask = 0; mask <= type::ALL; ++mask) mask_ints[mask] = py::int_(mask).release().ptr();
    module.attr("EVENT_KINDS") = tuple_of(event_kind_names);
    module.attr("CAUSES") = tuple_of(cause_names);
    module.def("use_vocabulary", &use_vocabulary, py::arg("types"), py::arg("caller"), py::arg("ops"), py::pos_only(),
               "Take the named tuples and enumerations of the package, once, when it is imported.");
}

}  // namespace grantwheel::bindings
