// Objects by a number that they have in common. Python's `_core.Groups`: each of its calls is done in one go, so that no
// signal handler, finaliser or other thread finds it half done.
#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "bindings/calls.hpp"
#include "bindings/instances.hpp"

namespace grantwheel::bindings {

namespace {

class Groups {
public:
    void add(std::int64_t number, py::object one) {
        const std::lock_guard lock(mutex_);
        groups_[number].push_back(std::move(one));
    }

    void discard(std::int64_t number, const py::object& one) {
        py::object found;  // which goes when nothing is half done any more
        const std::lock_guard lock(mutex_);
        const auto group = groups_.find(number);
        if (group == groups_.end()) return;
        std::vector<py::object>& members = group->second;
        const auto place = std::find_if(members.begin(), members.end(), [&](auto& other) { return other.is(one); });
        if (place == members.end()) return;
        found = std::move(*place);
        members.erase(place);
        if (members.empty()) groups_.erase(group);
    }

    [[nodiscard]] py::list of(std::int64_t number) const {
        std::vector<py::object> found;  // before there is a list, for which garbage may be collected
        {
            const std::lock_guard lock(mutex_);
            if (const auto group = groups_.find(number); group != groups_.end()) found = group->second;
        }
        return take_list(found);
    }

    [[nodiscard]] py::list all() const {
        std::vector<py::object> found;
        {
            const std::lock_guard lock(mutex_);
            for (const auto& [number, members] : groups_) found.insert(found.end(), members.begin(), members.end());
        }
        return take_list(found);
    }

    [[nodiscard]] std::size_t size() const noexcept {
        const std::lock_guard lock(mutex_);
        return groups_.size();
    }

    int traverse(visitproc visit, void* arg) const {
        for (const auto& [number, members] : groups_) {
            for (const py::object& one : members) Py_VISIT(one.ptr());
        }
        return 0;
    }
    void forget() { const auto gone = std::move(groups_); }

private:
    mutable GilOrMutex mutex_;
    std::map<std::int64_t, std::vector<py::object>> groups_;  // none of them empty
};

}  // namespace

void bind_groups(py::module_& module) {
    bind_class<Groups>(module, "Groups", "Objects by a number that they have in common. A group that is empty is gone.",
                       see_through<Groups>)
        .def(py::init([] { return std::make_unique<Groups>(); }))
        .def("add", &Groups::add, py::arg("number"), py::arg("one"), py::pos_only(), "Add an object to a group.")
        .def("discard", &Groups::discard, py::arg("number"), py::arg("one"), py::pos_only(),
             "Take an object out of a group, if it is there.")
        .def("of", &Groups::of, py::arg("number"), py::pos_only(), "Return a list of the group.")
        .def("all", &Groups::all, "Return a list of all objects.")
        .def("__len__", &Groups::size);
}

}  // namespace grantwheel::bindings
