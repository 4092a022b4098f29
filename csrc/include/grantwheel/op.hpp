// What a log is made of: commands, batches of them, advances that end something, notes, and what a host notes at its start
// and in between, as bytes. Free functions; thread-safe as values are. docs/log-format.md has the bytes one by one.
//
// Replay   An engine that executes the ops of a log in their order, at their instants, tells the same events with the
//          same numbers as the one whose log it is, however that one was driven.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "grantwheel/batch.hpp"
#include "grantwheel/engine.hpp"
#include "grantwheel/notes.hpp"
#include "grantwheel/types.hpp"

namespace grantwheel {

enum class OpKind : std::uint8_t { command, batch, advance, mark, limits, recovery, notes };

// One entry of a log.
struct Op {
    Instant now = 0;
    OpKind kind = OpKind::command;
    Command command{};
    BatchRows rows{};
    std::uint64_t endings = 0;  // of an advance: how many of the records that are due it ends at most
    Mark mark{};                // its instant is that of the op
    Limits limits{};            // without `reserve`
    Keys apps{};                // of a recovery: the uids whose app records keep only what is retained,
    Keys processes{};           // and the pids whose records go; ascending, none of them twice
    NoteChanges notes{};
};

// No op takes more bytes than that, but for batches, recoveries and notes; and none without its texts more than the first.
inline constexpr std::size_t max_bare_op_bytes = 128;
inline constexpr std::size_t max_op_bytes = max_bare_op_bytes + 2 * max_text_bytes;

// Writes an op to the start of `out`. Pre: Manager::check takes the command, and the instant is at most 2^62.
//
// Returns  The number of bytes written; 0, with nothing written, when they do not fit.
[[nodiscard]] std::size_t encode(const Command& command, Instant now, std::span<std::byte> out) noexcept;
// The same for an advance that ends that many records at most, 1 at least.
[[nodiscard]] std::size_t encode_advance(std::uint64_t endings, Instant now, std::span<std::byte> out) noexcept;
// The same for a mark. Pre: both of its instants are at most 2^62.
[[nodiscard]] std::size_t encode_mark(const Mark& mark, std::span<std::byte> out) noexcept;
// The same for limits. Pre: they are in range.
[[nodiscard]] std::size_t encode_limits(const Limits& limits, Instant now, std::span<std::byte> out) noexcept;
// The same for a recovery, of `recovery_size` bytes; 0 as well when these are more than an op may have. Pre: Engine::recover
// takes the keys.
[[nodiscard]] std::size_t encode_recovery(const Keys& apps, const Keys& processes, Instant now,
                                          std::span<std::byte> out) noexcept;
[[nodiscard]] std::size_t recovery_size(const Keys& apps, const Keys& processes, Instant now) noexcept;
// The same for a write of notes, of `notes_size` bytes; 0 as well when these are more than an op may have. Pre: the changes
// are sound.
[[nodiscard]] std::size_t encode_notes(const NoteChanges& changes, Instant now, std::span<std::byte> out) noexcept;
[[nodiscard]] std::size_t notes_size(const NoteChanges& changes, Instant now) noexcept;

// What `decode` found: an op and its size only when the status is ok.
struct [[nodiscard]] Decoded {
    Status status = Status::ok;
    std::size_t size = 0;   // the next op begins behind
    bool is_newer = false;  // refused, though the bytes are sound: their version or kind is not known here
    Op op{};                // its texts, rows, keys and notes point into the bytes
};

// Reads the op at the start of `bytes`; more may follow. What it takes, Manager::check takes as well. O(bytes of the op).
//
// Errors   parcel_failed when the bytes are too few, damaged, or of a newer format.
Decoded decode(std::span<const std::byte> bytes) noexcept;

// Carries out an op on the engine, which has carried out all that came before it in the log.
//
// Returns  ok for a batch, whatever limits refuse of it, and for an advance, also when less is due than it may end.
// Errors   As Engine::execute. out_of_memory from a command, limits or notes, when nothing was lacking but a limit is
//          reached, was its answer when it was written as well. Any other says that the engine is not what the log says.
Result replay(Engine& engine, const Op& op) noexcept;

// The same for an op of a log, whose limits may refuse what they refused when it was written: that is ok as well.
[[nodiscard]] Status replay_logged(Engine& engine, const Op& op) noexcept;

// What one look at a group found: with status ok, nothing wrong with it.
struct [[nodiscard]] GroupResult {
    Status status = Status::ok;
    std::size_t place = 0;  // the op that is wrong begins at that byte
    bool is_newer = false;  // as of Decoded
};

// Looks for what `decode` does not take, before anything of the group is carried out. O(bytes).
GroupResult check_group(std::span<const std::byte> group) noexcept;

// Carries out a group. Pre: check_group finds nothing wrong with it.
//
// Errors   Those of replay that say that the engine is not what the log says: out_of_memory when memory was lacking.
GroupResult replay_group(Engine& engine, std::span<const std::byte> group) noexcept;

// The rows of a batch that BatchWriter has written to the start of `op`, without a look at whether they are sound. O(1).
[[nodiscard]] BatchRows written_rows(std::span<const std::byte> op) noexcept;

}  // namespace grantwheel
