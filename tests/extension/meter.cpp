// A parking meter: a car may stay as long as it has paid for.
#include <pybind11/pybind11.h>
#include <grantwheel/manager.hpp>

#include <memory>
#include <stdexcept>

namespace {

namespace gw = grantwheel;

class Meter {
public:
    Meter() : manager_(gw::Manager::create(gw::Limits{})) {
        if (manager_ == nullptr) throw std::bad_alloc();
    }

    void pay(std::uint32_t place, std::uint32_t ms, gw::Instant now) {
        gw::Caller caller = manager_->caller(place, 0);
        gw::Request request;
        request.mask = gw::type::GPS;
        request.timeout_ms = ms;
        check(manager_->request(caller, request, now).status);
    }

    [[nodiscard]] bool may_stay(std::uint32_t place, gw::Instant now) const {
        const gw::Result result = manager_->engine().mask({gw::OwnerKind::app, place}, now);
        check(result.status);
        return result.mask != 0;
    }

private:
    static void check(gw::Status status) {
        if (status != gw::Status::ok) throw std::invalid_argument(std::string(gw::status_text(status)));
    }

    std::unique_ptr<gw::Manager> manager_;
};

}  // namespace

PYBIND11_MODULE(meter, module) {
    pybind11::class_<Meter>(module, "Meter")
        .def(pybind11::init<>())
        .def("pay", &Meter::pay)
        .def("may_stay", &Meter::may_stay);
}
