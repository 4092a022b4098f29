// XXH64, the hash of bytes that go to other machines and come back: checks of the log and of snapshots, and the hash of
// the state. It tells damage, and nothing about intent: whoever can change the bytes can change the check.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace grantwheel {

// The hash of all bytes that are added, in whichever pieces.
class Checksum {
public:
    void add(std::span<const std::byte> bytes) noexcept;
    [[nodiscard]] std::uint64_t value() const noexcept;
    friend std::uint64_t checksum_of(std::span<const std::byte> bytes) noexcept;

private:
    static constexpr std::size_t stripe = 32;
    static constexpr std::uint64_t prime_1 = 0x9E37'79B1'85EB'CA87;
    static constexpr std::uint64_t prime_2 = 0xC2B2'AE3D'27D4'EB4F;
    static constexpr std::uint64_t prime_3 = 0x1656'67B1'9E37'79F9;
    static constexpr std::uint64_t prime_4 = 0x85EB'CA77'C2B2'AE63;
    static constexpr std::uint64_t prime_5 = 0x27D4'EB2F'1656'67C5;

    [[nodiscard]] static std::uint64_t round(std::uint64_t lane, std::uint64_t word) noexcept;
    // What is left after the last stripe.
    [[nodiscard]] static std::uint64_t finish(std::uint64_t hash, std::span<const std::byte> rest) noexcept;
    void add_stripe(const std::byte* bytes) noexcept;

    std::uint64_t lanes_[4] = {prime_1 + prime_2, prime_2, 0, 0 - prime_1};
    std::byte rest_[stripe]{};  // what is left of the bytes, `size_ % stripe` of them
    std::uint64_t size_ = 0;
};

// The hash of those alone.
[[nodiscard]] std::uint64_t checksum_of(std::span<const std::byte> bytes) noexcept;

}  // namespace grantwheel
