// Many applies, or many releases, of one instant as one entry of a log. No writer is thread-safe; rows are as values are.
// docs/log-format.md has the bytes one by one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "grantwheel/engine.hpp"
#include "grantwheel/types.hpp"

namespace grantwheel {

// No batch takes more bytes than that.
inline constexpr std::size_t max_batch_bytes = std::size_t{1} << 30;

// The commands of a batch, where they lie: nothing is copied. Valid as long as the bytes that were decoded. Thread-safe as
// values are.
class BatchRows {
public:
    BatchRows() noexcept = default;

    [[nodiscard]] bool is_apply() const noexcept { return is_apply_; }
    [[nodiscard]] std::size_t size() const noexcept { return count_; }
    // Parts of a command that are needed ahead of it. Pre, also below: i < size().
    [[nodiscard]] std::uint32_t uid(std::size_t i) const noexcept;
    [[nodiscard]] Mask mask(std::size_t i) const noexcept;
    // Its bundle points into the bytes.
    [[nodiscard]] Command operator[](std::size_t i) const noexcept;

    // Reads what follows the instant in the body of a batch. False when it says what cannot be. O(rows).
    [[nodiscard]] bool read(std::span<const std::byte> body) noexcept { return find(body) && is_sound(body); }
    // The same, but only where things lie. False when they cannot. O(1).
    [[nodiscard]] bool find(std::span<const std::byte> body) noexcept;

private:
    struct Bundle;
    [[nodiscard]] bool is_sound(std::span<const std::byte> body) const noexcept;
    [[nodiscard]] Bundle bundle(std::size_t number) const noexcept;
    [[nodiscard]] bool is_bundle(std::size_t number) const noexcept;
    [[nodiscard]] bool is_row(std::size_t i) const noexcept;

    const std::byte* rows_ = nullptr;
    const std::byte* ends_ = nullptr;     // of the bundles, behind the rows
    const std::byte* bundles_ = nullptr;  // behind these
    std::size_t count_ = 0;
    std::size_t bundle_count_ = 0;
    bool is_apply_ = true;
};

// Whether a batch of applies, or of releases, can have this command: of an app and timed, without reason, cpu level and
// renewal.
[[nodiscard]] constexpr bool is_plain(const Command& command, bool is_apply) noexcept {
    return command.kind == (is_apply ? CommandKind::apply : CommandKind::release) && !command.is_process &&
           !command.is_persist && !command.only_held && command.cpu_level == default_level && command.reason.empty();
}

// Gathers the commands of a batch and writes them as one op. Not thread-safe. It keeps its memory from one batch to the
// next.
//
// Cost     Some 10 ns a command, more for each bundle that is new in the batch.
class BatchWriter {
public:
    // Null when there is no memory. The key is that of the hashes of bundles, and is in no byte.
    [[nodiscard]] static std::unique_ptr<BatchWriter> create(const HashKey& key = {}) noexcept;
    ~BatchWriter();
    BatchWriter(const BatchWriter&) = delete;
    BatchWriter& operator=(const BatchWriter&) = delete;

    // Begins a batch, without commands.
    void begin(bool is_apply, Instant now) noexcept;
    // Adds a command. Pre: Manager::check takes it, and it is plain. A bundle that lies where an earlier one of this batch
    // lay is that one.
    //
    // Errors   out_of_memory, also when the batch would be too long; it is as it was before.
    [[nodiscard]] Status add(const Command& command) noexcept;

    [[nodiscard]] std::size_t count() const noexcept;
    // How many bytes `write` writes.
    [[nodiscard]] std::size_t size() const noexcept;
    // Writes the op to the start of `out`. Returns its size; 0, with nothing written, when it does not fit.
    [[nodiscard]] std::size_t write(std::span<std::byte> out) const noexcept;

private:
    struct Parts;
    explicit BatchWriter(std::unique_ptr<Parts> parts) noexcept;
    std::unique_ptr<Parts> parts_;
};

// Carries out the rows one after the other, at one instant, and calls `answer(i, result)` after each.
//
// Errors   As Engine::check_time: then nothing has been carried out.
template <typename Answer>
[[nodiscard]] Status execute_many(Engine& engine, const BatchRows& rows, Instant now, Answer&& answer) {
    if (const Status status = engine.check_time(now); status != Status::ok) return status;
    const auto uid_of = [&](std::size_t i) { return rows.uid(i); };
    const auto mask_of = [&](std::size_t i) { return rows.mask(i); };
    for_each_prefetched(engine, rows.size(), uid_of, mask_of,
                        [&](std::size_t i) { answer(i, engine.execute(rows[i], now)); });
    return Status::ok;
}

}  // namespace grantwheel
