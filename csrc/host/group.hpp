// A group of ops: what is put into a log at once. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>

#include "core/array.hpp"
#include "host/entries.hpp"

namespace grantwheel {

struct Group {
    std::uint64_t number = 1;
    Array<std::byte> bytes{};        // for the log
    Array<char> texts{};             // of its commands
    std::uint32_t head = no_entry;   // all of its entries
    std::uint32_t first = no_entry;  // the first one that is not answered
    std::uint32_t last = no_entry;
    std::size_t count = 0;    // of them,
    std::size_t ops = 0;      // how many are in the bytes,
    std::size_t changes = 0;  // and those of them that somebody has asked for
    Needs needs{};            // of executing it

    [[nodiscard]] bool is_empty() const noexcept { return first == no_entry; }
    [[nodiscard]] std::span<const std::byte> content() const noexcept { return {bytes.data(), bytes.size()}; }

    // For text where room has been made.
    void add_text(std::string_view text) noexcept {
        const std::size_t at = texts.size();
        static_cast<void>(texts.resize(at + text.size(), '\0'));
        if (!text.empty()) std::memcpy(texts.data() + at, text.data(), text.size());
    }
    void add(std::uint32_t place, Entries& entries) noexcept {
        if (is_empty()) {
            head = first = place;
        } else {
            entries[last].next = place;
        }
        last = place;
        ++count;
    }
    // An op has been written to the end of the bytes.
    void add_op(std::size_t size) noexcept {
        bytes.set_size(bytes.size() + size);
        ++ops;
    }
    // Has an op written there, for which room has been made, and returns its size. `encode(out)` is one of op.hpp.
    template <typename Encode>
    std::size_t write_op(Encode&& encode) noexcept {
        const std::size_t at = bytes.size();
        add_op(encode(std::span(bytes.data() + at, bytes.capacity() - at)));
        return bytes.size() - at;
    }
    // The first one is answered.
    void pass(const Entries& entries) noexcept { first = entries[first].next; }
    // Empties it, and gives memory back that a large one took.
    void clear() noexcept {
        bytes.clear();
        if (bytes.capacity() > kept) Array<std::byte>() = std::move(bytes);
        ops = 0;
        changes = 0;
        texts.clear();
        if (texts.capacity() > kept) Array<char>() = std::move(texts);
        head = first = last = no_entry;
        count = 0;
        needs = {};
    }

private:
    static constexpr std::size_t kept = std::size_t{1} << 20;
};

}  // namespace grantwheel
