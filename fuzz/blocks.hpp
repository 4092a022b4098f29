// Memory that is as long as it says and no longer, so that the sanitizer sees each byte read or written beyond: structs
// and arrays of the C ABI that are whole most of the time, and else null, too short or longer; and texts that may be
// null.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "bytes.hpp"
#include "grantwheel/grantwheel.h"

namespace grantwheel::fuzz {

class Memory {
public:
    explicit Memory(std::size_t size) : bytes_(new std::uint8_t[size]) { std::memset(bytes_.get(), filling, size); }
    [[nodiscard]] std::uint8_t* at(std::size_t offset) const { return bytes_.get() + offset; }
    [[nodiscard]] bool is_filling(std::size_t from, std::size_t to) const {
        return std::all_of(at(from), at(to), [](std::uint8_t byte) { return byte == filling; });
    }

    static constexpr std::uint8_t filling = 0xA5;

private:
    std::unique_ptr<std::uint8_t[]> bytes_;
};

// `count` structs with their size in front, one after the other.
template <typename Struct>
class Structs {
public:
    // Structs for the library to write to.
    Structs(Bytes& bytes, std::size_t count)
        : size_(size_of(bytes.byte())), count_(count), memory_(std::max(size_ * count, sizeof size_)) {
        for (std::size_t i = 0; i == 0 || i < count; ++i) put_size(i);
    }
    // Structs for the library to read.
    Structs(Bytes& bytes, const std::vector<Struct>& values) : Structs(bytes, values.size()) {
        for (std::size_t i = 0; i < values.size(); ++i) {
            std::memcpy(memory_.at(i * size_), &values[i], std::min<std::size_t>(size_, sizeof(Struct)));
            put_size(i);
        }
    }
    Structs(Bytes& bytes, const Struct& value) : Structs(bytes, std::vector<Struct>{value}) {}

    [[nodiscard]] Struct* get() const { return size_ == 0 ? nullptr : reinterpret_cast<Struct*>(memory_.at(0)); }
    // As one struct, and as an array: then the size is a stride too.
    [[nodiscard]] bool is_whole() const { return size_ >= sizeof(Struct); }
    [[nodiscard]] bool is_whole_array() const { return is_whole() && size_ % alignof(Struct) == 0; }
    [[nodiscard]] Struct operator[](std::size_t i) const {
        Struct value;
        std::memcpy(&value, memory_.at(i * size_), sizeof value);
        return value;
    }
    // Gives the last one another size, which no array has.
    void spoil_last() {
        if (count_ == 0 || !is_whole_array()) return;
        const std::uint32_t other = size_ + alignof(Struct);
        std::memcpy(memory_.at((count_ - 1) * size_), &other, sizeof other);
    }

    // Whether the library, which was to write the first `count`, wrote no more than their fields, and kept the sizes.
    [[nodiscard]] bool only_written(std::size_t count) const {
        if (size_ == 0) return count == 0;
        for (std::size_t i = 0; i < count_; ++i) {
            std::uint32_t size = 0;
            std::memcpy(&size, memory_.at(i * size_), sizeof size);
            const std::size_t fields = i < count ? sizeof(Struct) : sizeof size;
            const std::size_t rest = std::min<std::size_t>(fields, size_);
            if (size != size_ || !memory_.is_filling(i * size_ + rest, (i + 1) * size_)) return false;
        }
        return true;
    }

private:
    // 0 stands for null.
    static std::uint32_t size_of(std::uint8_t choice) {
        constexpr auto whole = static_cast<std::uint32_t>(sizeof(Struct));
        if (choice < 200) return whole;
        if (choice < 220) return whole + 8u * (1 + choice % 4u);
        if (choice < 230) return whole + 1u + choice % 7u;
        if (choice < 245) return 4 + choice * 37u % (whole - 4);
        return 0;
    }
    void put_size(std::size_t i) {
        if (size_ != 0) std::memcpy(memory_.at(i * size_), &size_, sizeof size_);
    }

    std::uint32_t size_;
    std::size_t count_;
    Memory memory_;
};

// A text, not terminated. `view` is what the library must take it for; one that is not `valid` it must refuse.
class Text {
public:
    explicit Text(Bytes& bytes) : content_(bytes.text()), memory_(content_.size()) {
        if (!content_.empty()) std::memcpy(memory_.at(0), content_.data(), content_.size());
        given_ = {reinterpret_cast<const char*>(memory_.at(0)), content_.size()};
        if (content_.empty() && bytes.flag()) given_.data = nullptr;
        if (bytes.below(32) == 31) given_ = {nullptr, 1 + bytes.below(200)};
    }
    // One that the library has given out.
    explicit Text(gw_text own) : content_(own.data, own.size), memory_(0), given_(own) {}

    [[nodiscard]] gw_text get() const { return given_; }
    [[nodiscard]] std::string_view view() const { return content_; }
    [[nodiscard]] bool is_valid() const { return given_.data != nullptr || given_.size == 0; }

private:
    std::string content_;
    Memory memory_;
    gw_text given_{};
};

}  // namespace grantwheel::fuzz
