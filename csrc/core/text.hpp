// Whether bytes are UTF-8.
#pragma once

#include <string_view>

namespace grantwheel {

[[nodiscard]] bool is_some_utf8(std::string_view text) noexcept;

// True for well-formed UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF. Most texts are empty.
[[nodiscard]] inline bool is_utf8(std::string_view text) noexcept { return text.empty() || is_some_utf8(text); }

}  // namespace grantwheel
