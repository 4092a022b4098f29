// Numbers and texts as bytes, the same on every machine, and back. Values; thread-safe as values are.
//
// Number   Seven bits a byte, the lowest first, the top bit set in all but the last; the shortest form and no other.
// Fixed    Little-endian.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace grantwheel {

// How many bytes `number` takes.
[[nodiscard]] constexpr std::size_t number_size(std::uint64_t value) noexcept {
    return (static_cast<std::size_t>(std::bit_width(value | 1)) + 6) / 7;
}

// One fixed number at a place.
template <typename T>
void put_fixed(std::byte* place, T value) noexcept {
    if constexpr (std::endian::native == std::endian::little) {
        std::memcpy(place, &value, sizeof value);
    } else {
        for (std::size_t i = 0; i < sizeof value; ++i) place[i] = static_cast<std::byte>(value >> 8 * i & 0xFF);
    }
}
template <typename T>
[[nodiscard]] T fixed_at(const std::byte* place) noexcept {
    T value = 0;
    if constexpr (std::endian::native == std::endian::little) {
        std::memcpy(&value, place, sizeof value);
    } else {
        for (std::size_t i = sizeof value; i-- > 0;) value = static_cast<T>(value << 8 | static_cast<T>(place[i]));
    }
    return value;
}

// Writes where room has been made.
class Writer {
public:
    explicit Writer(std::byte* at) noexcept : at_(at) {}

    void byte(unsigned value) noexcept { *at_++ = static_cast<std::byte>(value); }
    // Two of them, at once.
    void bytes_of(unsigned first, unsigned second) noexcept { fixed(static_cast<std::uint16_t>(first | second << 8)); }
    template <typename T>
    void fixed(T value) noexcept {
        put_fixed(at_, value);
        at_ += sizeof value;
    }
    // Most are short: their bits are moved apart all at once, and they are one store or two.
    [[gnu::always_inline]] void number(std::uint64_t value) noexcept {
        if (value < 0x80) return byte(static_cast<unsigned>(value));
        const std::uint64_t two = value + (value & ~std::uint64_t{0x7F});  // two bytes, and all above them
        if (value < 0x4000) return fixed(static_cast<std::uint16_t>(two + 0x80));
        const std::uint64_t three = two + (two & ~std::uint64_t{0x7FFF});
        if (value < 0x20'0000) {
            fixed(static_cast<std::uint16_t>(three + 0x8080));
            return byte(static_cast<unsigned>(three >> 16));
        }
        const std::uint64_t four = three + (three & ~std::uint64_t{0x7F'FFFF});
        if (value >= 0x1000'0000) return long_number(value);
        fixed(static_cast<std::uint32_t>(four + 0x80'8080));
    }
    void bytes(std::string_view text) noexcept {
        if (!text.empty()) std::memcpy(at_, text.data(), text.size());
        at_ += text.size();
    }
    [[nodiscard]] std::byte* at() const noexcept { return at_; }

private:
    void long_number(std::uint64_t value) noexcept {
        for (; value >= 0x80; value >>= 7) byte(static_cast<unsigned>(value & 0x7F) | 0x80);
        byte(static_cast<unsigned>(value));
    }

    std::byte* at_;
};

// Reads what may be damaged: what is not there, or not well-formed, or more than it may be, reads as 0 and fails the
// reader for good.
class Reader {
public:
    explicit Reader(std::span<const std::byte> bytes) noexcept : rest_(bytes) {}

    [[nodiscard]] bool failed() const noexcept { return failed_; }
    [[nodiscard]] std::size_t left() const noexcept { return rest_.size(); }
    // Where the next byte is, if there is one.
    [[nodiscard]] const std::byte* at() const noexcept { return rest_.data(); }

    template <typename T>
    [[nodiscard]] T fixed() noexcept {
        const std::span<const std::byte> taken = take(sizeof(T));
        return taken.empty() ? T{0} : fixed_at<T>(taken.data());
    }
    [[nodiscard]] unsigned byte(unsigned most = 0xFF) noexcept {
        const std::span<const std::byte> taken = take(1);
        const unsigned value = taken.empty() ? 0 : static_cast<unsigned>(taken[0]);
        return value <= most ? value : fail();
    }
    [[nodiscard]] std::uint64_t number(std::uint64_t most = UINT64_MAX) noexcept {
        std::uint64_t value = 0;
        for (int shift = 0; shift < 64; shift += 7) {
            const unsigned next = byte();
            const std::uint64_t bits = next & 0x7F;
            if (bits << shift >> shift != bits) return fail();
            value |= bits << shift;
            if (next >= 0x80) continue;
            return (next == 0 && shift != 0) || value > most ? fail() : value;
        }
        return fail();
    }
    [[nodiscard]] std::string_view text(std::size_t size) noexcept {
        const std::span<const std::byte> taken = take(size);
        return {reinterpret_cast<const char*>(taken.data()), taken.size()};
    }
    unsigned fail() noexcept {
        failed_ = true;
        rest_ = {};
        return 0;
    }

private:
    std::span<const std::byte> take(std::size_t size) noexcept {
        if (size > rest_.size()) {
            fail();
            return {};
        }
        const std::span<const std::byte> taken = rest_.first(size);
        rest_ = rest_.subspan(size);
        return taken;
    }

    std::span<const std::byte> rest_;
    bool failed_ = false;
};

}  // namespace grantwheel
