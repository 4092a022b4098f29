// Eight numbers of 32 bits that are worked on together, without a branch on what they are: with SSE2 where there is that,
// which every x86-64 has, else one by one. Thread-safe.
//
// When     What is looked for lies in one of a few places next to each other, and nothing foretells in which: a loop over
//          them ends with a branch that the processor gets wrong about each time, and until it knows better it does
//          nothing of the call behind that is of use, least of all wait for the memory of that too.
// Order    Number i is that of place i; bit i of an answer as well.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace grantwheel {

// One by one.
class PlainEight {
public:
    static constexpr unsigned count = 8;

    PlainEight() noexcept = default;
    // All of them the same.
    explicit PlainEight(std::uint32_t number) noexcept {
        for (std::uint32_t& own : numbers_) own = number;
    }
    [[nodiscard]] static PlainEight load(const std::uint32_t* from) noexcept {
        PlainEight eight;
        std::memcpy(eight.numbers_, from, sizeof eight.numbers_);
        return eight;
    }
    void store(std::uint32_t* to) const noexcept { std::memcpy(to, numbers_, sizeof numbers_); }
    // All bits of the first numbers, none of the others. Pre: at most 8.
    [[nodiscard]] static PlainEight first(unsigned numbers) noexcept {
        PlainEight eight;
        for (unsigned i = 0; i < count; ++i) eight.numbers_[i] = i < numbers ? UINT32_MAX : 0;
        return eight;
    }

    [[nodiscard]] friend PlainEight operator&(PlainEight left, const PlainEight& right) noexcept {
        for (unsigned i = 0; i < count; ++i) left.numbers_[i] &= right.numbers_[i];
        return left;
    }
    [[nodiscard]] friend PlainEight operator|(PlainEight left, const PlainEight& right) noexcept {
        for (unsigned i = 0; i < count; ++i) left.numbers_[i] |= right.numbers_[i];
        return left;
    }
    [[nodiscard]] friend PlainEight operator+(PlainEight left, const PlainEight& right) noexcept {
        for (unsigned i = 0; i < count; ++i) left.numbers_[i] += right.numbers_[i];
        return left;
    }
    [[nodiscard]] friend PlainEight operator-(PlainEight left, const PlainEight& right) noexcept {
        for (unsigned i = 0; i < count; ++i) left.numbers_[i] -= right.numbers_[i];
        return left;
    }
    // These where a mask has no bit.
    [[nodiscard]] PlainEight without(const PlainEight& mask) const noexcept {
        PlainEight eight = *this;
        for (unsigned i = 0; i < count; ++i) eight.numbers_[i] &= ~mask.numbers_[i];
        return eight;
    }
    // All bits of a number that is that of the other, none of one that is not.
    [[nodiscard]] PlainEight equal(const PlainEight& other) const noexcept {
        PlainEight eight;
        for (unsigned i = 0; i < count; ++i) eight.numbers_[i] = numbers_[i] == other.numbers_[i] ? UINT32_MAX : 0;
        return eight;
    }
    // The same of one that is less. Pre: all are below 2^31.
    [[nodiscard]] PlainEight less(const PlainEight& other) const noexcept {
        PlainEight eight;
        for (unsigned i = 0; i < count; ++i) eight.numbers_[i] = numbers_[i] < other.numbers_[i] ? UINT32_MAX : 0;
        return eight;
    }
    // Which have all bits. Pre: each has all or none.
    [[nodiscard]] unsigned which() const noexcept {
        unsigned bits = 0;
        for (unsigned i = 0; i < count; ++i) bits |= (numbers_[i] & 1u) << i;
        return bits;
    }

private:
    std::uint32_t numbers_[count]{};
};

#if defined(__SSE2__)

// The same, four at a time.
class VectorEight {
public:
    static constexpr unsigned count = 8;

    VectorEight() noexcept = default;
    explicit VectorEight(std::uint32_t number) noexcept : low_(_mm_set1_epi32(static_cast<int>(number))), high_(low_) {}
    [[nodiscard]] static VectorEight load(const std::uint32_t* from) noexcept {
        return {_mm_loadu_si128(reinterpret_cast<const __m128i_u*>(from)),
                _mm_loadu_si128(reinterpret_cast<const __m128i_u*>(from + 4))};
    }
    void store(std::uint32_t* to) const noexcept {
        _mm_storeu_si128(reinterpret_cast<__m128i_u*>(to), low_);
        _mm_storeu_si128(reinterpret_cast<__m128i_u*>(to + 4), high_);
    }
    [[nodiscard]] static VectorEight first(unsigned numbers) noexcept {
        static constexpr std::uint32_t all = UINT32_MAX;
        alignas(64) static constexpr std::uint32_t steps[2 * count] = {all, all, all, all, all, all, all, all};
        if (numbers > count) __builtin_unreachable();
        return load(steps + (count - numbers));
    }

    [[nodiscard]] friend VectorEight operator&(const VectorEight& left, const VectorEight& right) noexcept {
        return {_mm_and_si128(left.low_, right.low_), _mm_and_si128(left.high_, right.high_)};
    }
    [[nodiscard]] friend VectorEight operator|(const VectorEight& left, const VectorEight& right) noexcept {
        return {_mm_or_si128(left.low_, right.low_), _mm_or_si128(left.high_, right.high_)};
    }
    // NOLINTBEGIN(portability-simd-intrinsics): PlainEight is for others
    [[nodiscard]] friend VectorEight operator+(const VectorEight& left, const VectorEight& right) noexcept {
        return {_mm_add_epi32(left.low_, right.low_), _mm_add_epi32(left.high_, right.high_)};
    }
    [[nodiscard]] friend VectorEight operator-(const VectorEight& left, const VectorEight& right) noexcept {
        return {_mm_sub_epi32(left.low_, right.low_), _mm_sub_epi32(left.high_, right.high_)};
    }
    // NOLINTEND(portability-simd-intrinsics)
    [[nodiscard]] VectorEight without(const VectorEight& mask) const noexcept {
        return {_mm_andnot_si128(mask.low_, low_), _mm_andnot_si128(mask.high_, high_)};
    }
    [[nodiscard]] VectorEight equal(const VectorEight& other) const noexcept {
        return {_mm_cmpeq_epi32(low_, other.low_), _mm_cmpeq_epi32(high_, other.high_)};
    }
    [[nodiscard]] VectorEight less(const VectorEight& other) const noexcept {
        return {_mm_cmplt_epi32(low_, other.low_), _mm_cmplt_epi32(high_, other.high_)};
    }
    [[nodiscard]] unsigned which() const noexcept {
        const __m128i words = _mm_packs_epi32(low_, high_);
        return static_cast<unsigned>(_mm_movemask_epi8(_mm_packs_epi16(words, _mm_setzero_si128())));
    }

private:
    VectorEight(__m128i low, __m128i high) noexcept : low_(low), high_(high) {}

    __m128i low_;
    __m128i high_;
};

using Eight = VectorEight;

#else

using Eight = PlainEight;

#endif

}  // namespace grantwheel
