// XXH64, the hash of bytes that go to other machines and come back: checks of the log and of snapshots, and the hash of
// the state. It tells damage, and nothing about intent: whoever can change the bytes can change the check.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/bytes.hpp"

namespace grantwheel {

// The hash of all bytes that are added, in whichever pieces.
class Checksum {
public:
    void add(std::span<const std::byte> bytes) noexcept;
    [[nodiscard]] std::uint64_t value() const noexcept;
    // The hash of those alone.
    [[nodiscard]] static std::uint64_t of(std::span<const std::byte> bytes) noexcept {
        return bytes.size() < stripe ? finish(prime_5 + bytes.size(), bytes) : of_stripes(bytes);
    }

private:
    static constexpr std::size_t stripe = 32;
    static constexpr std::uint64_t prime_1 = 0x9E37'79B1'85EB'CA87;
    static constexpr std::uint64_t prime_2 = 0xC2B2'AE3D'27D4'EB4F;
    static constexpr std::uint64_t prime_3 = 0x1656'67B1'9E37'79F9;
    static constexpr std::uint64_t prime_4 = 0x85EB'CA77'C2B2'AE63;
    static constexpr std::uint64_t prime_5 = 0x27D4'EB2F'1656'67C5;

    [[nodiscard]] static std::uint64_t round(std::uint64_t lane, std::uint64_t word) noexcept {
        return std::rotl(lane + word * prime_2, 31) * prime_1;
    }
    [[nodiscard]] static std::uint64_t add_word(std::uint64_t hash, const std::byte* at) noexcept {
        return std::rotl(hash ^ round(0, fixed_at<std::uint64_t>(at)), 27) * prime_1 + prime_4;
    }
    [[nodiscard]] static std::uint64_t add_byte(std::uint64_t hash, std::byte value) noexcept {
        return std::rotl(hash ^ static_cast<std::uint64_t>(value) * prime_5, 11) * prime_1;
    }
    // What is left after the last stripe, and so shorter than one: by the bits of its size.
    [[nodiscard, gnu::always_inline]] static std::uint64_t finish(std::uint64_t hash,
                                                                  std::span<const std::byte> rest) noexcept;
    [[nodiscard]] static std::uint64_t of_stripes(std::span<const std::byte> bytes) noexcept;
    // What the lanes come to. Pre: there was a stripe.
    [[nodiscard]] std::uint64_t merged() const noexcept;
    void add_stripe(const std::byte* bytes) noexcept;

    std::uint64_t lanes_[4] = {prime_1 + prime_2, prime_2, 0, 0 - prime_1};
    std::byte rest_[stripe]{};  // what is left of the bytes, `size_ % stripe` of them
    std::uint64_t size_ = 0;
};

inline std::uint64_t Checksum::finish(std::uint64_t hash, std::span<const std::byte> rest) noexcept {
    const std::byte* at = rest.data();
    const std::size_t size = rest.size();
    if ((size & 16) != 0) {
        hash = add_word(add_word(hash, at), at + 8);
        at += 16;
    }
    if ((size & 8) != 0) {
        hash = add_word(hash, at);
        at += 8;
    }
    if ((size & 4) != 0) {
        hash = std::rotl(hash ^ fixed_at<std::uint32_t>(at) * prime_1, 23) * prime_2 + prime_3;
        at += 4;
    }
    if ((size & 2) != 0) {
        hash = add_byte(add_byte(hash, at[0]), at[1]);
        at += 2;
    }
    if ((size & 1) != 0) hash = add_byte(hash, *at);
    hash = (hash ^ hash >> 33) * prime_2;
    hash = (hash ^ hash >> 29) * prime_3;
    return hash ^ hash >> 32;
}

// The hash of those alone.
[[nodiscard]] inline std::uint64_t checksum_of(std::span<const std::byte> bytes) noexcept {
    return Checksum::of(bytes);
}

}  // namespace grantwheel
