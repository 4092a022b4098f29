#include <algorithm>
#include <utility>

#include "core/engine_parts.hpp"
#include "core/mark.hpp"
#include "core/section.hpp"
#include "grantwheel/snapshot.hpp"

namespace grantwheel {

namespace {

constexpr Row rows_a_step = 8192;

std::uint64_t changes_of(const Engine::Parts& engine) noexcept { return engine.changes() + engine.notes.writes(); }

}  // namespace

struct SnapshotWriter::Parts {
    enum class Step : std::uint8_t { gather, head, mark, counters, notes, records, end, done };

    explicit Parts(const Engine::Parts& of) noexcept
        : engine(of),
          changes(changes_of(of)),
          now(of.now),
          limits(of.limits),
          mark(of.mark),
          has_mark(of.has_mark),
          first(of.now) {}

    const Engine::Parts& engine;
    std::uint64_t changes;
    Instant now;  // and the next three: as it was when the writer was made, as none of them counts as a change
    Limits limits;
    Mark mark;
    bool has_mark;
    Instant first;  // an instant that no deadline is before
    Step step = Step::gather;
    Row row = 0;              // the next to be gathered
    std::size_t note = 0;     // the next to be written,
    std::size_t note_at = 0;  // from that byte on
    Sorter order{};
    Array<std::uint32_t> numbers{};  // of texts, by id; 0 for those that have not been written
    std::uint32_t texts = 0;
    Checksum file{};
    Checksum state{};

    [[nodiscard]] Step after_notes() const noexcept { return order.empty() ? Step::end : Step::records; }

    void gather() noexcept;
    [[nodiscard]] std::size_t write(std::span<std::byte> out) noexcept;
    void write_body(Writer& writer) noexcept;
    void write_head(Writer& writer) const noexcept;
    void write_mark(Writer& writer) const noexcept;
    void write_counters(Writer& writer) const noexcept;
    void write_notes(Writer& writer) noexcept;
    void write_records(Writer& writer) noexcept;
    void write_record(Writer& writer, Row row) noexcept;
    void write_text(Writer& writer, TextId id) noexcept;
};

void SnapshotWriter::Parts::gather() noexcept {
    const Row end = engine.table.end();
    const Row stop = row + std::min(rows_a_step, end - row);
    for (; row < stop; ++row) {
        if (engine.table.mask(row) == 0) continue;
        order.add(engine.sort_key(row));
        first = std::min(first, engine.earliest(row));
    }
    if (row == end) step = Step::head;
}

// Writes one section, whichever is next.
std::size_t SnapshotWriter::Parts::write(std::span<std::byte> out) noexcept {
    Writer body(out.data() + section_head);
    write_body(body);
    const auto size = static_cast<std::size_t>(body.at() - out.data());
    Writer(out.data()).fixed(static_cast<std::uint32_t>(size - section_head));
    file.add(out.first(size));
    body.fixed(file.value());
    file.add(out.subspan(size, section_check));
    return size + section_check;
}

void SnapshotWriter::Parts::write_body(Writer& writer) noexcept {
    const std::byte* const start = writer.at();
    const auto add_to_state = [&] { state.add({start + 1, writer.at()}); };
    switch (step) {
        case Step::head:
            write_head(writer);
            step = has_mark ? Step::mark : Step::counters;
            break;
        case Step::mark:
            write_mark(writer);
            step = Step::counters;
            break;
        case Step::counters:
            write_counters(writer);
            add_to_state();
            step = engine.notes.empty() ? after_notes() : Step::notes;
            break;
        case Step::notes:
            write_notes(writer);
            add_to_state();
            if (note == engine.notes.size()) step = after_notes();
            break;
        case Step::records:
            write_records(writer);
            add_to_state();
            if (order.empty()) step = Step::end;
            break;
        default:
            writer.byte(static_cast<unsigned>(SectionKind::end));
            writer.number(engine.table.size());
            writer.fixed(state.value());
            step = Step::done;
    }
}

void SnapshotWriter::Parts::write_head(Writer& writer) const noexcept {
    writer.byte(static_cast<unsigned>(SectionKind::head));
    writer.bytes(snapshot_name);
    writer.byte(engine.notes.empty() ? snapshot_version : snapshot_version_with_notes);
    writer.number(now);
    writer.number(first);
    write_limits(writer, limits);
}

void SnapshotWriter::Parts::write_mark(Writer& writer) const noexcept {
    writer.byte(static_cast<unsigned>(SectionKind::mark));
    writer.number(mark.now);
    write_clocks(writer, mark);
}

void SnapshotWriter::Parts::write_counters(Writer& writer) const noexcept {
    writer.byte(static_cast<unsigned>(SectionKind::counters));
    writer.number(engine.events.last());
    writer.number(engine.granted);
    writer.number(engine.renewed);
    for (const std::uint64_t count : engine.ended) writer.number(count);
}

void SnapshotWriter::Parts::write_notes(Writer& writer) noexcept {
    writer.byte(static_cast<unsigned>(SectionKind::notes));
    for (std::size_t room = full_notes; room != 0 && note != engine.notes.size();) {
        const std::span<const std::byte> rest = engine.notes.packed(note).subspan(note_at);
        const std::span<const std::byte> part = rest.first(std::min(rest.size(), room));
        writer.bytes({reinterpret_cast<const char*>(part.data()), part.size()});
        room -= part.size();
        note_at += part.size();
        if (part.size() == rest.size()) {
            ++note;
            note_at = 0;
        }
    }
}

void SnapshotWriter::Parts::write_records(Writer& writer) noexcept {
    const std::byte* const start = writer.at();
    writer.byte(static_cast<unsigned>(SectionKind::records));
    while (!order.empty()) {
        const std::span<const std::uint64_t> page = order.page();
        std::size_t taken = 0;
        bool is_full = false;
        while (taken < page.size() && !is_full) {
            write_record(writer, Engine::Parts::row_of(page[taken++]));
            is_full = std::cmp_greater_equal(writer.at() - start, full_body);
        }
        order.drop(taken);
        if (is_full) return;
    }
}

void SnapshotWriter::Parts::write_record(Writer& writer, Row at) noexcept {
    const Record& record = engine.table.record(at);
    writer.byte(record_head(record.kind, record.cpu_level));
    writer.number(record.key());
    writer.number(record.kind == OwnerKind::app ? record.pid : record.uid);
    if (record.kind == OwnerKind::process) writer.number(engine.table.applied(at));
    write_text(writer, record.bundle);
    writer.number(record.mask);
    writer.number(record.persist_mask);
    for_each_type(record.mask, [&](int type) {
        const Grant& grant = engine.table.grant(at, type);
        writer.number(grant.timeout_ms);
        if (grant.deadline != no_deadline) writer.number(grant.deadline);
        write_text(writer, grant.reason);
    });
}

// Texts have numbers in the order in which they come first, and then stand there.
void SnapshotWriter::Parts::write_text(Writer& writer, TextId id) noexcept {
    if (id == Strings::empty) return writer.number(0);
    std::uint32_t& number = numbers[id];
    if (number != 0) return writer.number(number);
    number = ++texts;
    const std::string_view text = engine.strings.text(id);
    writer.number(number);
    writer.number(text.size());
    writer.bytes(text);
}

SnapshotWriter::SnapshotWriter(std::unique_ptr<Parts> parts) noexcept : parts_(std::move(parts)) {}
SnapshotWriter::~SnapshotWriter() = default;

std::unique_ptr<SnapshotWriter> SnapshotWriter::create(const Engine& engine) noexcept {
    const Engine::Parts& of = *engine.parts_;
    std::unique_ptr<Parts> parts(new (std::nothrow) Parts(of));
    if (parts == nullptr || !parts->order.reserve(of.table.size())) return nullptr;
    if (!parts->numbers.resize(of.strings.end() + 1, 0)) return nullptr;
    parts->order.open();
    return std::unique_ptr<SnapshotWriter>(new (std::nothrow) SnapshotWriter(std::move(parts)));
}

SectionWritten SnapshotWriter::write(std::span<std::byte> out) noexcept {
    if (out.size() < max_section_bytes || parts_->changes != changes_of(parts_->engine))
        return {Status::argument_invalid};
    if (parts_->step == Parts::Step::done) return {};
    if (parts_->step == Parts::Step::gather) {
        parts_->gather();
        return {Status::ok, 0, true};
    }
    const std::size_t size = parts_->write(out);
    return {Status::ok, size, parts_->step != Parts::Step::done};
}

std::uint64_t SnapshotWriter::hash() const noexcept { return parts_->state.value(); }

Status state_hash(const Engine& engine, std::uint64_t& hash) noexcept {
    const std::unique_ptr<SnapshotWriter> writer = SnapshotWriter::create(engine);
    Array<std::byte> room;
    if (writer == nullptr || !room.resize(max_section_bytes, std::byte{0})) return Status::out_of_memory;
    for (SectionWritten written{.more = true}; written.more;) written = writer->write({room.data(), room.size()});
    hash = writer->hash();
    return Status::ok;
}

}  // namespace grantwheel
