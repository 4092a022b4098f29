// System calls that give a descriptor, each as one step for Python: a number that lies between two steps is lost with an
// interrupt, and stays open.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>

#include "bindings/calls.hpp"
#include "bindings/instances.hpp"
#include "host/descriptor.hpp"

namespace grantwheel::bindings {

namespace {

std::unique_ptr<Descriptor> duplicate(int number) {
    return std::make_unique<Descriptor>(opened(::fcntl(number, F_DUPFD_CLOEXEC, 0)));
}

std::unique_ptr<Descriptor> open_process(int pid) {
#ifdef SYS_pidfd_open
    return std::make_unique<Descriptor>(opened(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))));
#else
    static_cast<void>(pid);
    throw FailedSystemCall{ENOSYS};
#endif
}

py::bytes read_start(const std::string& path) {
    std::array<char, 4096> start;
    ssize_t count = 0;
    {
        const Descriptor file = opened(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
        count = ::read(file.number(), start.data(), start.size());
        if (count < 0) throw FailedSystemCall{errno};
    }
    return {start.data(), static_cast<std::size_t>(count)};
}

}  // namespace

void bind_descriptors(py::module_& module) {
    bind_class<Descriptor>(
        module, "Descriptor",
        "A duplicate of a descriptor, which is closed with this object, by no code that could be interrupted.")
        .def(py::init(&duplicate), py::arg("number"), py::pos_only())
        .def("fileno", &Descriptor::number, "Return the descriptor.");
    module.def("open_process", &open_process, py::arg("pid"), py::pos_only(),
               "Return a descriptor of the process that has a pid now, a pidfd. OSError as the kernel says.");
    module.def("read_start", &read_start, py::arg("path"), py::pos_only(),
               "Return the first 4096 bytes of a file that does not make a reader wait. OSError as the kernel says.");
}

}  // namespace grantwheel::bindings
