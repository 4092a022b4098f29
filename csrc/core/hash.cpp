#include "core/hash.hpp"

#include <bit>
#include <cstring>

namespace grantwheel {

namespace {

class SipState {
public:
    explicit SipState(const HashKey& key) noexcept
        : v0_(key.words[0] ^ 0x736F'6D65'7073'6575u),
          v1_(key.words[1] ^ 0x646F'7261'6E64'6F6Du),
          v2_(key.words[0] ^ 0x6C79'6765'6E65'7261u),
          v3_(key.words[1] ^ 0x7465'6462'7974'6573u) {}

    void compress(std::uint64_t word) noexcept {
        v3_ ^= word;
        round();
        v0_ ^= word;
    }
    [[nodiscard]] std::uint64_t finish() noexcept {
        v2_ ^= 0xFF;
        for (int i = 0; i < 3; ++i) round();
        return v0_ ^ v1_ ^ v2_ ^ v3_;
    }

private:
    void round() noexcept {
        v0_ += v1_;
        v2_ += v3_;
        v1_ = std::rotl(v1_, 13) ^ v0_;
        v3_ = std::rotl(v3_, 16) ^ v2_;
        v0_ = std::rotl(v0_, 32);
        v2_ += v1_;
        v0_ += v3_;
        v1_ = std::rotl(v1_, 17) ^ v2_;
        v3_ = std::rotl(v3_, 21) ^ v0_;
        v2_ = std::rotl(v2_, 32);
    }

    std::uint64_t v0_;
    std::uint64_t v1_;
    std::uint64_t v2_;
    std::uint64_t v3_;
};

// Eight bytes as a little-endian word.
std::uint64_t word_at(const char* bytes) noexcept {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes, sizeof word);
    return std::endian::native == std::endian::little ? word : __builtin_bswap64(word);
}

// The same of the bytes behind the last whole word of a text, with zeros behind them.
std::uint64_t rest_of(std::string_view text) noexcept {
    const std::size_t rest = text.size() % 8;
    if (rest == 0) return 0;
    if (text.size() > 8) return word_at(text.data() + text.size() - 8) >> (64 - 8 * rest);
    std::uint64_t word = 0;
    for (std::size_t i = rest; i-- > 0;) word = word << 8 | static_cast<unsigned char>(text[i]);
    return word;
}

}  // namespace

std::uint64_t siphash(const HashKey& key, std::string_view text) noexcept {
    SipState state(key);
    for (std::size_t i = 0; i + 8 <= text.size(); i += 8) state.compress(word_at(text.data() + i));
    state.compress(std::uint64_t{text.size()} << 56 | rest_of(text));
    return state.finish();
}

// Its words are hashes themselves: what they may let out says nothing about those of texts.
NumberHash::NumberHash(const HashKey& key) noexcept
    : mask_(siphash(key, "grantwheel: mask of numbers")), factor_(siphash(key, "grantwheel: factor of numbers") | 1) {}

}  // namespace grantwheel
