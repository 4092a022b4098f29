// Notes: what layers above the engine keep in its log, its snapshots and its hash: bytes by a key. Values; thread-safe as
// values are. To the engine they mean nothing: they make no events, and nothing waits for them.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace grantwheel {

inline constexpr std::size_t max_note_key_bytes = 255;
inline constexpr std::size_t max_note_value_bytes = std::size_t{1} << 16;
// Of all notes together: how many, and their bytes with those of their keys.
inline constexpr std::size_t max_notes = std::size_t{1} << 16;
inline constexpr std::size_t max_notes_bytes = std::size_t{1} << 24;

// A note, and what a write makes of one: without a value it goes, if it is there. Where they lie: nothing is copied.
struct Note {
    std::string_view key{};
    std::string_view value{};
    bool has_value = true;
};

// What one write changes, where it lies: nothing is copied. Valid as long as that is.
class NoteChanges {
public:
    NoteChanges() noexcept = default;
    // Those of the host, in whatever lies in one piece.
    template <typename Range>
        requires std::convertible_to<const Range&, std::span<const Note>>
    NoteChanges(const Range& range) noexcept {  // NOLINT(misc-explicit-constructor): made as a span is
        const std::span<const Note> notes = range;
        first_ = notes.data();
        count_ = notes.size();
        is_packed_ = false;
    }
    // Those of an op, which are sound.
    [[nodiscard]] static NoteChanges packed(const std::byte* first, std::size_t count) noexcept {
        NoteChanges changes;
        changes.first_ = first;
        changes.count_ = count;
        return changes;
    }

    [[nodiscard]] std::size_t size() const noexcept { return count_; }
    // Calls `visit(const Note&)` for each, in order.
    template <typename Visit>
    void for_each(Visit&& visit) const {
        std::size_t place = 0;
        for (std::size_t i = 0; i < count_; ++i) visit(next(place));
    }
    // Whether a write may have them: 1..max_notes, keys and values no longer than they may be, no key empty, and the keys
    // ascend byte by byte, none of them twice. O(bytes).
    [[nodiscard]] bool are_sound() const noexcept;
    // The bytes of keys and values that they leave: with more than max_notes_bytes a write is refused, whatever there is.
    [[nodiscard]] std::size_t kept_bytes() const noexcept;

private:
    // `place` is a number of those of the host, a byte of those of an op.
    [[nodiscard]] Note next(std::size_t& place) const noexcept;

    const void* first_ = nullptr;
    std::size_t count_ = 0;
    bool is_packed_ = true;
};

// The memory for one write, so that it cannot fail for want of it. Engine::prepare_notes makes it.
class NoteWrite {
public:
    // Null when there is no memory. Pre: the changes are sound.
    [[nodiscard]] static std::unique_ptr<NoteWrite> create(const NoteChanges& changes) noexcept;
    ~NoteWrite();
    NoteWrite(const NoteWrite&) = delete;
    NoteWrite& operator=(const NoteWrite&) = delete;

private:
    friend class Notes;
    struct Parts;
    explicit NoteWrite(std::unique_ptr<Parts> parts) noexcept;
    std::unique_ptr<Parts> parts_;
};

}  // namespace grantwheel
