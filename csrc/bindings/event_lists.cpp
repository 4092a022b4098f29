#include "bindings/event_lists.hpp"

#include "bindings/vocabulary.hpp"

namespace grantwheel::bindings {

py::list list_of(const OwnedEvents& events) {
    py::list result(events.size());
    std::string_view previous;
    py::object bundle = make_text(previous);
    std::size_t place = 0;
    for (const Event& event : events.events()) {
        if (event.bundle != previous) bundle = make_text(event.bundle);
        previous = event.bundle;
        PyList_SET_ITEM(result.ptr(), static_cast<Py_ssize_t>(place++), make_event(event, bundle).release().ptr());
    }
    return result;
}

py::object list_of(const ColumnsOfEvents& events) {
    return make_named(
        vocabulary().EventColumns,
        {events.sequence.buffer("Q"), events.time.buffer("Q"), events.kind.buffer("B"), events.cause.buffer("B"),
         events.uid.buffer("I"), events.pid.buffer("I"), events.mask.buffer("H"), events.cpu_level.buffer("b")});
}

}  // namespace grantwheel::bindings
