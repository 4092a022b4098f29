#include "core/checksum.hpp"

#include <bit>
#include <cstring>

#include "core/bytes.hpp"

namespace grantwheel {

std::uint64_t Checksum::round(std::uint64_t lane, std::uint64_t word) noexcept {
    return std::rotl(lane + word * prime_2, 31) * prime_1;
}

void Checksum::add_stripe(const std::byte* bytes) noexcept {
    for (std::size_t i = 0; i < std::size(lanes_); ++i) {
        lanes_[i] = round(lanes_[i], fixed_at<std::uint64_t>(bytes + i * sizeof(std::uint64_t)));
    }
}

void Checksum::add(std::span<const std::byte> bytes) noexcept {
    if (bytes.empty()) return;
    const std::size_t filled = size_ % stripe;
    size_ += bytes.size();
    if (filled + bytes.size() < stripe) {
        std::memcpy(rest_ + filled, bytes.data(), bytes.size());
        return;
    }
    if (filled != 0) {
        std::memcpy(rest_ + filled, bytes.data(), stripe - filled);
        add_stripe(rest_);
        bytes = bytes.subspan(stripe - filled);
    }
    for (; bytes.size() >= stripe; bytes = bytes.subspan(stripe)) add_stripe(bytes.data());
    if (!bytes.empty()) std::memcpy(rest_, bytes.data(), bytes.size());
}

std::uint64_t Checksum::value() const noexcept {
    std::uint64_t hash = prime_5;
    if (size_ >= stripe) {
        hash = std::rotl(lanes_[0], 1) + std::rotl(lanes_[1], 7) + std::rotl(lanes_[2], 12) + std::rotl(lanes_[3], 18);
        for (const std::uint64_t lane : lanes_) hash = (hash ^ round(0, lane)) * prime_1 + prime_4;
    }
    return finish(hash + size_, {rest_, size_ % stripe});
}

std::uint64_t Checksum::finish(std::uint64_t hash, std::span<const std::byte> rest) noexcept {
    const std::byte* at = rest.data();
    std::size_t left = rest.size();
    for (; left >= 8; left -= 8, at += 8) {
        hash = std::rotl(hash ^ round(0, fixed_at<std::uint64_t>(at)), 27) * prime_1 + prime_4;
    }
    for (; left >= 4; left -= 4, at += 4) {
        hash = std::rotl(hash ^ fixed_at<std::uint32_t>(at) * prime_1, 23) * prime_2 + prime_3;
    }
    for (; left > 0; --left, ++at) hash = std::rotl(hash ^ static_cast<std::uint64_t>(*at) * prime_5, 11) * prime_1;
    hash = (hash ^ hash >> 33) * prime_2;
    hash = (hash ^ hash >> 29) * prime_3;
    return hash ^ hash >> 32;
}

// What is short is not copied first, as most ops are.
std::uint64_t checksum_of(std::span<const std::byte> bytes) noexcept {
    if (bytes.size() < Checksum::stripe) return Checksum::finish(Checksum::prime_5 + bytes.size(), bytes);
    Checksum checksum;
    checksum.add(bytes);
    return checksum.value();
}

}  // namespace grantwheel
