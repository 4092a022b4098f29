// Reasons and bundle names, each kept once and known by a number. Not thread-safe.
//
// Life     A text is used by grants and records, and pinned by events that wait in the ring. It goes with the last of
//          both. Only texts in use count against the limit of the engine, so that what is refused does not depend on
//          who has read which event.
// Memory   Texts lie in blocks of 16, 32, ... 1024 bytes; a freed block serves the next text of its size, so that texts
//          which come and go allocate nothing once the peak has been reached.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/array.hpp"
#include "core/hash.hpp"
#include "core/index.hpp"
#include "core/record.hpp"

namespace grantwheel {

inline constexpr TextId no_text = UINT32_MAX;

class Strings {
public:
    explicit Strings(const HashKey& key = {}) noexcept : hash_(key) {}

    // The empty text; always there, never counted.
    static constexpr TextId empty = 0;

    // The number of a text of at most 1024 bytes, adding it without users when it is new; no_text when there is no
    // memory. A text added must be used, pinned or given to `discard` before the next text is added.
    [[nodiscard]] TextId find_or_add(std::string_view text) noexcept {
        return text.empty() ? empty : find_or_add_some(text);
    }
    // The number of a text, or no_text.
    [[nodiscard]] TextId find(std::string_view text) const noexcept { return text.empty() ? empty : find_some(text); }
    // Drops a text that has neither user nor pin.
    [[gnu::noinline]] void discard(TextId id) noexcept;

    // Room for that many new texts, of so many bytes together: as many calls of `find_or_add` cannot fail.
    [[nodiscard]] bool reserve(std::size_t count, std::size_t bytes) noexcept;

    [[nodiscard]] std::string_view text(TextId id) const noexcept;

    void use(TextId id) noexcept {
        if (id != empty && texts_[id].users++ == 0) ++used_count_;
    }
    [[gnu::always_inline]] void drop(TextId id) noexcept {
        if (id == empty || --texts_[id].users != 0) return;
        --used_count_;
        discard(id);
    }
    void pin(TextId id) noexcept {
        if (id != empty) ++texts_[id].pins;
    }
    void unpin(TextId id) noexcept {
        if (id != empty && --texts_[id].pins == 0) discard(id);
    }

    [[nodiscard]] bool used(TextId id) const noexcept { return id == empty || texts_[id].users != 0; }
    // The number of texts in use, the empty one left out.
    [[nodiscard]] std::size_t used_count() const noexcept { return used_count_; }

    // For checks: texts are 1..end; a dead one has no text.
    [[nodiscard]] std::size_t end() const noexcept { return texts_.size(); }
    [[nodiscard]] std::uint64_t users(TextId id) const noexcept { return texts_[id].users; }
    [[nodiscard]] std::uint32_t pins(TextId id) const noexcept { return texts_[id].pins; }
    [[nodiscard]] std::size_t passed() const noexcept { return index_.passed(); }
    [[nodiscard]] bool validate(const char** reason) const noexcept;

private:
    struct Text {
        std::uint64_t users;
        std::uint32_t pins;
        std::uint32_t hash;
        std::uint32_t block;  // where the text lies, in units of 16 bytes
        std::uint16_t length;
        bool alive;
    };
    struct Entry {
        std::uint32_t stored_hash = 0;
        TextId id = no_text;
        [[nodiscard]] bool used() const noexcept { return id != no_text; }
        [[nodiscard]] std::uint32_t hash() const noexcept { return stored_hash; }
    };
    static constexpr std::size_t unit = 16;
    static constexpr int size_count = 7;
    static constexpr std::uint32_t no_block = UINT32_MAX;

    [[nodiscard]] TextId find_or_add_some(std::string_view text) noexcept;
    [[nodiscard]] TextId find_some(std::string_view text) const noexcept;
    [[nodiscard]] static int size_of(std::size_t length) noexcept;
    [[nodiscard]] const Entry* find_entry(std::string_view text, std::uint32_t hash) const noexcept;
    [[nodiscard]] bool make_room(int size) noexcept;
    [[nodiscard]] std::uint32_t take_block(int size) noexcept;
    void give_block(std::uint32_t block, int size) noexcept;

    TextHash hash_;
    Array<Text> texts_;
    Array<TextId> free_texts_;
    Array<char> bytes_;
    Index<Entry> index_;
    std::uint32_t free_blocks_[size_count] = {no_block, no_block, no_block, no_block, no_block, no_block, no_block};
    std::size_t used_count_ = 0;
};

}  // namespace grantwheel
