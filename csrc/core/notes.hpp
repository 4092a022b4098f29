// The notes of an engine, in the order of their keys; and notes as bytes, as they are in ops, in snapshots and in memory.
// Not thread-safe.
//
// Bytes    One byte size of the key, the key; a number, 0 for no value, else its size and 1; the value.
// Memory   A block for each note. The places for as many as there may be are taken with the first: memory that is not
//          touched before it is needed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/array.hpp"
#include "core/bytes.hpp"
#include "grantwheel/notes.hpp"
#include "grantwheel/types.hpp"

namespace grantwheel {

// No note takes more bytes than that.
inline constexpr std::size_t max_note_size = 1 + max_note_key_bytes + 3 + max_note_value_bytes;
[[nodiscard]] inline std::size_t note_size(const Note& note) noexcept {
    const std::size_t value = note.has_value ? note.value.size() : 0;
    return 1 + note.key.size() + number_size(note.has_value ? value + 1 : 0) + value;
}
void write_note(Writer& writer, const Note& note) noexcept;
// Reads what may be damaged: fails the reader when it is no note.
[[nodiscard]] Note read_note(Reader& reader) noexcept;
// The note that begins there, and is sound; `size` is that of its bytes.
[[nodiscard]] Note note_at(const std::byte* place, std::size_t& size) noexcept;

class Notes {
public:
    Notes() noexcept = default;
    ~Notes();
    Notes(const Notes&) = delete;
    Notes& operator=(const Notes&) = delete;

    // Takes the places for all; false when they are not to be had.
    [[nodiscard]] bool reserve() noexcept { return blocks_.reserve(max_notes); }
    // Carries out a write, once. Pre: places are reserved. Allocates nothing.
    //
    // Errors   out_of_memory when there would be too many, or too many bytes: then nothing has changed.
    [[nodiscard]] Status write(NoteWrite& write) noexcept;
    // Adds one behind all others. False when there is no memory. Pre: it has a value, its key comes after the last one, and
    // no limit is reached.
    [[nodiscard]] bool add(const Note& note) noexcept;
    [[nodiscard]] bool has_room(const Note& note) const noexcept {
        return size() < max_notes && bytes_ + note.key.size() + note.value.size() <= max_notes_bytes;
    }

    [[nodiscard]] bool empty() const noexcept { return blocks_.size() == 0; }
    [[nodiscard]] std::size_t size() const noexcept { return blocks_.size(); }
    // Of keys and values.
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
    // How many writes there were: whoever reads in steps knows by it that the notes are others.
    [[nodiscard]] std::uint64_t writes() const noexcept { return writes_; }
    // Pre: place < size().
    [[nodiscard]] Note note(std::size_t place) const noexcept;
    [[nodiscard]] std::span<const std::byte> packed(std::size_t place) const noexcept;

    // On failure names what is broken in `reason`.
    [[nodiscard]] bool validate(const char** reason) const noexcept;

private:
    // The first place from `begin` on whose key is not before that one; `end` if there is none before it.
    [[nodiscard]] std::size_t find(std::string_view key, std::size_t begin, std::size_t end) const noexcept;
    [[nodiscard]] bool is_at(std::size_t place, std::string_view key) const noexcept;
    // The steps of a write: its notes whose keys are there take their places; those go that it has without a value; the
    // others come. What is still the write's afterwards was of no use.
    void replace(NoteWrite& write) noexcept;
    void remove(const NoteWrite& write) noexcept;
    void insert(NoteWrite& write) noexcept;

    Array<std::byte*> blocks_{};  // its own
    std::size_t bytes_ = 0;
    std::uint64_t writes_ = 0;
};

}  // namespace grantwheel
