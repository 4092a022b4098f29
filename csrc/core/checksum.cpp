#include "core/checksum.hpp"

#include <cstring>

namespace grantwheel {

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
    return finish((size_ < stripe ? prime_5 : merged()) + size_, {rest_, size_ % stripe});
}

std::uint64_t Checksum::merged() const noexcept {
    std::uint64_t hash =
        std::rotl(lanes_[0], 1) + std::rotl(lanes_[1], 7) + std::rotl(lanes_[2], 12) + std::rotl(lanes_[3], 18);
    for (const std::uint64_t lane : lanes_) hash = (hash ^ round(0, lane)) * prime_1 + prime_4;
    return hash;
}

// What is left is not copied first.
std::uint64_t Checksum::of_stripes(std::span<const std::byte> bytes) noexcept {
    const std::size_t size = bytes.size();
    Checksum checksum;
    for (; bytes.size() >= stripe; bytes = bytes.subspan(stripe)) checksum.add_stripe(bytes.data());
    return finish(checksum.merged() + size, bytes);
}

}  // namespace grantwheel
