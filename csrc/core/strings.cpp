#include "core/strings.hpp"

#include <cstring>

namespace grantwheel {

int Strings::size_of(std::size_t length) noexcept {
    return length <= unit ? 0 : static_cast<int>(std::bit_width(length - 1)) - 4;
}

const Strings::Entry* Strings::find_entry(std::string_view wanted, std::uint32_t hash) const noexcept {
    return index_.find(hash, [&](const Entry& entry) { return entry.stored_hash == hash && text(entry.id) == wanted; });
}

TextId Strings::find_some(std::string_view text) const noexcept {
    const Entry* entry = find_entry(text, hash_(text));
    return entry == nullptr ? no_text : entry->id;
}

TextId Strings::find_or_add_some(std::string_view text) noexcept {
    const std::uint32_t hash = hash_(text);
    if (const Entry* entry = find_entry(text, hash)) return entry->id;

    const int size = size_of(text.size());
    if (!make_room(size)) return no_text;
    const Text kept{0, 0, hash, take_block(size), static_cast<std::uint16_t>(text.size()), true};
    std::memcpy(&bytes_[kept.block * unit], text.data(), text.size());
    TextId id;
    if (free_texts_.size() != 0) {
        id = free_texts_[free_texts_.size() - 1];
        static_cast<void>(free_texts_.resize(free_texts_.size() - 1, 0));
        texts_[id] = kept;
    } else {
        id = static_cast<TextId>(texts_.size());
        texts_.push(kept);
    }
    index_.insert({hash, id});
    return id;
}

// Everything that one more text of this size may need, or false with nothing lost.
bool Strings::make_room(int size) noexcept {
    if (texts_.size() == 0) {
        if (!texts_.reserve(16)) return false;
        texts_.push({0, 0, 0, 0, 0, true});  // the empty text
    }
    if (free_blocks_[size] == no_block && !bytes_.reserve(bytes_.size() + (unit << size))) return false;
    // The list of free texts has room for all of them, so that letting a text go can never fail.
    return (free_texts_.size() != 0 || texts_.reserve(texts_.size() + 1)) && free_texts_.reserve(texts_.capacity()) &&
           index_.reserve(index_.count() + 1);
}

// A block is less than twice as long as its text, or the smallest.
bool Strings::reserve(std::size_t count, std::size_t bytes) noexcept {
    if (count == 0) return true;
    if (!make_room(0)) return false;  // the empty text has its place from then on
    return bytes_.reserve(bytes_.size() + count * unit + 2 * bytes) && texts_.reserve(texts_.size() + count) &&
           free_texts_.reserve(texts_.capacity()) && index_.reserve(index_.count() + count);
}

std::uint32_t Strings::take_block(int size) noexcept {
    std::uint32_t block = free_blocks_[size];
    if (block != no_block) {
        std::memcpy(&free_blocks_[size], &bytes_[block * unit], sizeof block);
        return block;
    }
    block = static_cast<std::uint32_t>(bytes_.size() / unit);
    static_cast<void>(bytes_.resize(bytes_.size() + (unit << size), 0));
    return block;
}

void Strings::give_block(std::uint32_t block, int size) noexcept {
    std::memcpy(&bytes_[block * unit], &free_blocks_[size], sizeof block);
    free_blocks_[size] = block;
}

void Strings::discard(TextId id) noexcept {
    if (id == empty || id == no_text) return;
    Text& kept = texts_[id];
    if (kept.users != 0 || kept.pins != 0) return;
    index_.erase(index_.find(kept.hash, [&](const Entry& entry) { return entry.id == id; }));
    give_block(kept.block, size_of(kept.length));
    kept.alive = false;
    free_texts_.push(id);
}

std::string_view Strings::text(TextId id) const noexcept {
    if (id == empty) return {};
    return {&bytes_[texts_[id].block * unit], texts_[id].length};
}

bool Strings::validate(const char** reason) const noexcept {
    const auto broken = [&](const char* what) {
        *reason = what;
        return false;
    };
    std::size_t alive = 0;
    std::size_t used = 0;
    for (std::size_t id = 1; id < texts_.size(); ++id) {
        const Text& kept = texts_[id];
        if (!kept.alive && (kept.users != 0 || kept.pins != 0)) return broken("strings: dead text in use");
        if (!kept.alive) continue;
        ++alive;
        used += kept.users != 0;
        if (kept.users == 0 && kept.pins == 0) return broken("strings: text without user or pin");
        const std::string_view content = text(static_cast<TextId>(id));
        if (hash_(content) != kept.hash) return broken("strings: hash of a text");
        if (find(content) != id) return broken("strings: text not in the index");
    }
    if (alive != index_.count()) return broken("strings: size of the index");
    if (used != used_count_) return broken("strings: number of texts in use");
    if (texts_.size() != 0 && alive + free_texts_.size() + 1 != texts_.size()) return broken("strings: free texts");
    return true;
}

}  // namespace grantwheel
