#include "core/notes.hpp"

#include <algorithm>
#include <new>
#include <utility>

namespace grantwheel {

namespace {

std::string_view key_of(const std::byte* block) noexcept {
    return {reinterpret_cast<const char*>(block) + 1, static_cast<std::size_t>(block[0])};
}

// The number behind the key is 0, and then it is one byte.
bool has_value(const std::byte* block) noexcept { return block[1 + key_of(block).size()] != std::byte{0}; }

// What a note counts against the limit.
std::size_t counted(const Note& note) noexcept { return note.key.size() + note.value.size(); }
std::size_t counted(const std::byte* block) noexcept {
    std::size_t size = 0;
    return counted(note_at(block, size));
}

std::byte* new_block(const Note& note) noexcept {
    auto* const block = new (std::nothrow) std::byte[note_size(note)];
    if (block == nullptr) return nullptr;
    Writer writer(block);
    write_note(writer, note);
    return block;
}

}  // namespace

void write_note(Writer& writer, const Note& note) noexcept {
    writer.byte(static_cast<unsigned>(note.key.size()));
    writer.bytes(note.key);
    if (!note.has_value) return writer.number(0);
    writer.number(note.value.size() + 1);
    writer.bytes(note.value);
}

Note read_note(Reader& reader) noexcept {
    Note note;
    note.key = reader.text(reader.byte());
    const std::uint64_t number = reader.number(max_note_value_bytes + 1);
    note.has_value = number != 0;
    if (note.has_value) note.value = reader.text(static_cast<std::size_t>(number) - 1);
    if (note.key.empty()) reader.fail();
    return note;
}

Note note_at(const std::byte* place, std::size_t& size) noexcept {
    const auto* const key = reinterpret_cast<const char*>(place) + 1;
    Note note{.key = {key, static_cast<std::size_t>(place[0])}};
    const std::byte* at = place + 1 + note.key.size();
    std::size_t number = 0;
    for (int shift = 0;; shift += 7) {
        const auto next = static_cast<std::size_t>(*at++);
        number |= (next & 0x7F) << shift;
        if (next < 0x80) break;
    }
    note.has_value = number != 0;
    if (note.has_value) note.value = {reinterpret_cast<const char*>(at), number - 1};
    size = static_cast<std::size_t>(at - place) + note.value.size();
    return note;
}

Note NoteChanges::next(std::size_t& place) const noexcept {
    if (!is_packed_) return static_cast<const Note*>(first_)[place++];
    std::size_t size = 0;
    const Note note = note_at(static_cast<const std::byte*>(first_) + place, size);
    place += size;
    return note;
}

bool NoteChanges::are_sound() const noexcept {
    if (count_ == 0 || count_ > max_notes) return false;
    bool are_sound = true;
    std::string_view last;
    for_each([&](const Note& note) {
        const bool fits = note.key.size() <= max_note_key_bytes && note.value.size() <= max_note_value_bytes;
        are_sound = are_sound && fits && note.key > last;
        last = note.key;
    });
    return are_sound;
}

std::size_t NoteChanges::kept_bytes() const noexcept {
    std::size_t bytes = 0;
    for_each([&](const Note& note) { bytes += note.has_value ? counted(note) : 0; });
    return bytes;
}

struct NoteWrite::Parts {
    Parts() noexcept = default;
    ~Parts() {
        for (std::byte* block : blocks) delete[] block;
    }
    Parts(const Parts&) = delete;
    Parts& operator=(const Parts&) = delete;

    Array<std::byte*> blocks{};  // its own; null for those that it has no more
};

NoteWrite::NoteWrite(std::unique_ptr<Parts> parts) noexcept : parts_(std::move(parts)) {}
NoteWrite::~NoteWrite() = default;

std::unique_ptr<NoteWrite> NoteWrite::create(const NoteChanges& changes) noexcept {
    std::unique_ptr<Parts> parts(new (std::nothrow) Parts);
    if (parts == nullptr || !parts->blocks.reserve(changes.size())) return nullptr;
    bool has_all = true;
    changes.for_each([&](const Note& note) {
        std::byte* const block = has_all ? new_block(note) : nullptr;
        has_all = block != nullptr;
        if (has_all) parts->blocks.push(block);
    });
    if (!has_all) return nullptr;
    return std::unique_ptr<NoteWrite>(new (std::nothrow) NoteWrite(std::move(parts)));
}

Notes::~Notes() {
    for (std::byte* block : blocks_) delete[] block;
}

std::size_t Notes::find(std::string_view key, std::size_t begin, std::size_t end) const noexcept {
    const auto is_before = [](const std::byte* block, std::string_view wanted) { return key_of(block) < wanted; };
    const auto* const found = std::lower_bound(blocks_.begin() + begin, blocks_.begin() + end, key, is_before);
    return static_cast<std::size_t>(found - blocks_.begin());
}

bool Notes::is_at(std::size_t place, std::string_view key) const noexcept {
    return place < size() && key_of(blocks_[place]) == key;
}

Status Notes::write(NoteWrite& write) noexcept {
    std::size_t count = size();
    std::size_t bytes = bytes_;
    for (const std::byte* block : write.parts_->blocks) {
        const std::size_t place = find(key_of(block), 0, size());
        if (is_at(place, key_of(block))) {
            --count;
            bytes -= counted(blocks_[place]);
        }
        if (has_value(block)) {
            ++count;
            bytes += counted(block);
        }
    }
    if (count > max_notes || bytes > max_notes_bytes) return Status::out_of_memory;
    bytes_ = bytes;
    ++writes_;
    replace(write);
    remove(write);
    insert(write);
    return Status::ok;
}

void Notes::replace(NoteWrite& write) noexcept {
    for (std::byte*& block : write.parts_->blocks) {
        if (!has_value(block)) continue;
        const std::size_t place = find(key_of(block), 0, size());
        if (is_at(place, key_of(block))) delete[] std::exchange(blocks_[place], std::exchange(block, nullptr));
    }
}

// What lies between two that go is moved once, over all that went before it.
void Notes::remove(const NoteWrite& write) noexcept {
    std::size_t kept = 0;
    std::size_t next = 0;
    const auto keep_until = [&](std::size_t place) {
        if (kept != next) std::move(blocks_.begin() + next, blocks_.begin() + place, blocks_.begin() + kept);
        kept += place - next;
        next = place + 1;
    };
    for (const std::byte* block : write.parts_->blocks) {
        if (block == nullptr || has_value(block)) continue;
        const std::size_t place = find(key_of(block), next, size());
        if (!is_at(place, key_of(block))) continue;
        delete[] blocks_[place];
        keep_until(place);
    }
    if (next == 0) return;
    keep_until(size());
    blocks_.set_size(kept);
}

// From the last one on, so that each of those that were there is moved once.
void Notes::insert(NoteWrite& write) noexcept {
    Array<std::byte*>& given = write.parts_->blocks;
    const auto is_new = [](const std::byte* block) { return block != nullptr && has_value(block); };
    auto added = static_cast<std::size_t>(std::count_if(given.begin(), given.end(), is_new));
    std::size_t left = size();
    blocks_.set_size(left + added);
    for (std::size_t i = given.size(); added > 0; --i) {
        if (!is_new(given[i - 1])) continue;
        std::byte* const block = std::exchange(given[i - 1], nullptr);
        const std::size_t place = find(key_of(block), 0, left);
        std::move_backward(blocks_.begin() + place, blocks_.begin() + left, blocks_.begin() + left + added);
        blocks_[place + --added] = block;
        left = place;
    }
}

bool Notes::add(const Note& note) noexcept {
    std::byte* const block = reserve() ? new_block(note) : nullptr;
    if (block == nullptr) return false;
    blocks_.push(block);
    bytes_ += counted(note);
    return true;
}

Note Notes::note(std::size_t place) const noexcept {
    std::size_t size = 0;
    return note_at(blocks_[place], size);
}

std::span<const std::byte> Notes::packed(std::size_t place) const noexcept {
    std::size_t size = 0;
    static_cast<void>(note_at(blocks_[place], size));
    return {blocks_[place], size};
}

bool Notes::validate(const char** reason) const noexcept {
    const auto broken = [&](const char* what) {
        *reason = what;
        return false;
    };
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < size(); ++i) {
        if (!has_value(blocks_[i])) return broken("notes: one without a value");
        if (i != 0 && key_of(blocks_[i]) <= key_of(blocks_[i - 1])) return broken("notes: order of the keys");
        bytes += counted(blocks_[i]);
    }
    if (bytes != bytes_) return broken("notes: number of bytes");
    if (size() > max_notes || bytes > max_notes_bytes) return broken("notes: more than the limit");
    return true;
}

}  // namespace grantwheel
