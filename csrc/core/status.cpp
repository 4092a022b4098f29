#include "grantwheel/types.hpp"

namespace grantwheel {

std::string_view status_name(Status status) noexcept {
    switch (status) {
#define GRANTWHEEL_STATUS(name, NAME, inner, text) \
    case Status::name: return #name;
        GRANTWHEEL_STATUS_LIST(GRANTWHEEL_STATUS)
#undef GRANTWHEEL_STATUS
    }
    return "unknown";
}

std::string_view status_text(Status status) noexcept {
    switch (status) {
#define GRANTWHEEL_STATUS(name, NAME, inner, text) \
    case Status::name: return text;
        GRANTWHEEL_STATUS_LIST(GRANTWHEEL_STATUS)
#undef GRANTWHEEL_STATUS
    }
    return "unknown";
}

}  // namespace grantwheel
