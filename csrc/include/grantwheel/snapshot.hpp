// The whole state of an engine as bytes, and back, a section at a time. As thread-safe as the engine. docs/log-format.md
// has the bytes one by one.
//
// State    Records, their grants, notes, the counters of stats and the number of the last event: all that decides what an
//          engine answers and tells next. Not its time and limits, which stand beside it, nor the events that its ring
//          still has.
// Hash     The same for two engines with the same state, on every build, however each came to it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "grantwheel/engine.hpp"
#include "grantwheel/types.hpp"

namespace grantwheel {

// No section takes more bytes than that.
inline constexpr std::size_t max_section_bytes = std::size_t{32} << 10;

// What one step wrote; with status ok. `size` may be 0 though there is more.
struct [[nodiscard]] SectionWritten {
    Status status = Status::ok;
    std::size_t size = 0;
    bool more = false;
};

class SnapshotWriter {
public:
    // A writer of the engine as it is now, which must outlive it; null when there is no memory.
    [[nodiscard]] static std::unique_ptr<SnapshotWriter> create(const Engine& engine) noexcept;
    ~SnapshotWriter();
    SnapshotWriter(const SnapshotWriter&) = delete;
    SnapshotWriter& operator=(const SnapshotWriter&) = delete;

    // Takes one step, and writes at most one section to the start of `out`. The sections, one after the other, are the
    // snapshot.
    //
    // Bound    A step looks at some thousand records at most, however many there are.
    // Errors   argument_invalid when `out` is shorter than max_section_bytes, or the engine has changed since the writer
    //          was made.
    SectionWritten write(std::span<std::byte> out) noexcept;

    // The hash of the state, once there is no more to write.
    [[nodiscard]] std::uint64_t hash() const noexcept;

private:
    struct Parts;
    explicit SnapshotWriter(std::unique_ptr<Parts> parts) noexcept;
    std::unique_ptr<Parts> parts_;
};

// The hash of the state, without writing it down. O(everything). out_of_memory leaves `hash` as it is.
Status state_hash(const Engine& engine, std::uint64_t& hash) noexcept;

// What one step read: with status ok and size 0, more bytes are needed for a whole section.
struct [[nodiscard]] SectionRead {
    Status status = Status::ok;
    std::size_t size = 0;   // the next section begins behind
    bool done = false;      // it was the last
    bool is_newer = false;  // refused, though the bytes are sound: they are of a newer format
};

class SnapshotReader {
public:
    // A reader into an engine with these limits; null when they are out of range or there is no memory.
    [[nodiscard]] static std::unique_ptr<SnapshotReader> create(const Limits& limits, const HashKey& key = {}) noexcept;
    ~SnapshotReader();
    SnapshotReader(const SnapshotReader&) = delete;
    SnapshotReader& operator=(const SnapshotReader&) = delete;

    // Reads the section at the start of `bytes`; more may follow. After any status but ok it reads no further.
    //
    // Errors   parcel_failed when the bytes are damaged, in another order, or of a newer format; out_of_memory when the
    //          state does not fit the limits, or there is no memory.
    SectionRead read(std::span<const std::byte> bytes) noexcept;

    // The engine, once the last section was read; null before, after an error, and the second time.
    [[nodiscard]] std::unique_ptr<Engine> take() noexcept;

    // The limits that the engine had whose snapshot it is; known once the first section was read.
    [[nodiscard]] const Limits& limits_then() const noexcept;

private:
    struct Parts;
    explicit SnapshotReader(std::unique_ptr<Parts> parts) noexcept;
    std::unique_ptr<Parts> parts_;
};

}  // namespace grantwheel
