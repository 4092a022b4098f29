#include <algorithm>

#include "core/engine_parts.hpp"
#include "core/mark.hpp"
#include "core/section.hpp"
#include "core/text.hpp"
#include "grantwheel/snapshot.hpp"

namespace grantwheel {

namespace {

// What a record says, before it is one.
struct Found {
    Owner owner{};
    std::uint32_t other = 0;
    Instant applied = 0;
    std::int8_t level = default_level;
    TextId bundle = no_text;
    Mask mask = 0;
    Mask persist_mask = 0;
    Grant grants[type_count]{};

    [[nodiscard]] std::uint32_t uid() const noexcept { return owner.kind == OwnerKind::app ? owner.key : other; }
    [[nodiscard]] std::uint32_t pid() const noexcept { return owner.kind == OwnerKind::app ? other : owner.key; }
    [[nodiscard]] bool is_sound() const noexcept {
        const bool is_app = owner.kind == OwnerKind::app;
        const bool fits = uid() <= max_uid && pid() <= max_pid && mask != 0 && (persist_mask & ~mask) == 0;
        const bool has_level = (mask & rules.levelled) != 0;
        return fits && (is_app || (mask & ~rules.per_process) == 0) && (has_level || level == default_level);
    }
};

// Processes before apps, keys ascending; 0 before the first.
std::uint64_t place_of(Owner owner) noexcept {
    return 1 + (owner.kind == OwnerKind::app ? std::uint64_t{1} << 32 : 0) + owner.key;
}

}  // namespace

struct SnapshotReader::Parts {
    std::unique_ptr<Engine> made{};
    Engine::Parts* engine = nullptr;
    SectionKind before = SectionKind::none;  // the last one that was read
    bool has_notes = false;
    bool is_done = false;
    bool is_newer = false;
    Limits limits_then{};
    Instant first = 0;
    std::uint64_t last = 0;   // place of the last record
    Array<TextId> texts{};    // by number, from 1
    Array<std::byte> rest{};  // of a note that goes on in the next section
    bool has_all_notes = false;
    Checksum file{};
    Checksum state{};

    SectionRead read(std::span<const std::byte> bytes) noexcept;
    [[nodiscard]] bool may_come(SectionKind kind) const noexcept;
    Status read_body(std::span<const std::byte> body) noexcept;
    Status read_head(Reader& reader) noexcept;
    Status read_mark(Reader& reader) const noexcept;
    Status read_counters(Reader& reader) const noexcept;
    Status read_notes(Reader& reader) noexcept;
    Status read_records(Reader& reader) noexcept;
    Status read_end(Reader& reader) noexcept;
    Status read_record(Reader& reader) noexcept;
    Status read_grants(Reader& reader, Found& found) noexcept;
    Status read_text(Reader& reader, TextId& id) noexcept;
    Status add(const Note& note) const noexcept;
    Status add(const Found& found) const noexcept;
};

SectionRead SnapshotReader::Parts::read(std::span<const std::byte> bytes) noexcept {
    if (bytes.size() < section_head) return {};
    const std::size_t body = Reader(bytes).fixed<std::uint32_t>();
    if (body == 0 || body > max_section_bytes - section_head - section_check) return {Status::parcel_failed};
    const std::size_t size = section_head + body;
    if (bytes.size() < size + section_check) return {};
    file.add(bytes.first(size));
    Reader check(bytes.subspan(size));
    if (check.fixed<std::uint64_t>() != file.value()) return {Status::parcel_failed};
    file.add(bytes.subspan(size, section_check));
    const Status status = read_body(bytes.subspan(section_head, body));
    if (status != Status::ok) return {.status = status, .is_newer = is_newer};
    return {Status::ok, size + section_check, is_done};
}

Status SnapshotReader::Parts::read_body(std::span<const std::byte> body) noexcept {
    Reader reader(body);
    const auto kind = static_cast<SectionKind>(reader.byte(static_cast<unsigned>(SectionKind::notes)));
    if (is_done || !may_come(kind)) return Status::parcel_failed;
    if (kind != SectionKind::head && kind != SectionKind::mark && kind != SectionKind::end) state.add(body.subspan(1));
    Status status = Status::ok;
    switch (kind) {
        case SectionKind::none: return Status::parcel_failed;
        case SectionKind::head: status = read_head(reader); break;
        case SectionKind::mark: status = read_mark(reader); break;
        case SectionKind::counters: status = read_counters(reader); break;
        case SectionKind::notes: status = read_notes(reader); break;
        case SectionKind::records: status = read_records(reader); break;
        case SectionKind::end: status = read_end(reader); break;
    }
    before = kind;
    if (status != Status::ok) return status;
    return reader.failed() || reader.left() != 0 ? Status::parcel_failed : Status::ok;
}

bool SnapshotReader::Parts::may_come(SectionKind kind) const noexcept {
    switch (kind) {
        case SectionKind::none: return false;
        case SectionKind::head: return before == SectionKind::none;
        case SectionKind::mark: return before == SectionKind::head;
        case SectionKind::counters: return before == SectionKind::head || before == SectionKind::mark;
        case SectionKind::notes:
            return has_notes && !has_all_notes && (before == SectionKind::counters || before == SectionKind::notes);
        case SectionKind::records:
        case SectionKind::end: break;
    }
    const bool has_begun = before == SectionKind::counters || before == SectionKind::notes;
    return before == SectionKind::records ||
           (has_begun && has_notes == (before == SectionKind::notes) && rest.size() == 0);
}

Status SnapshotReader::Parts::read_head(Reader& reader) noexcept {
    if (reader.text(snapshot_name.size()) != snapshot_name) return Status::parcel_failed;
    const unsigned version = reader.byte();
    has_notes = version == snapshot_version_with_notes;
    is_newer = version != snapshot_version && !has_notes && !reader.failed();
    if (is_newer) return Status::parcel_failed;
    engine->now = reader.number(max_now);
    first = reader.number(engine->now);
    read_limits(reader, limits_then);
    if (reader.failed()) return Status::parcel_failed;
    engine->wheel.enter(first);
    return Status::ok;
}

Status SnapshotReader::Parts::read_mark(Reader& reader) const noexcept {
    engine->mark.now = reader.number(engine->now);
    read_clocks(reader, engine->mark);
    engine->has_mark = true;
    return Status::ok;
}

Status SnapshotReader::Parts::read_counters(Reader& reader) const noexcept {
    engine->events.begin_after(reader.number(INT64_MAX));
    engine->granted = reader.number();
    engine->renewed = reader.number();
    for (std::uint64_t& count : engine->ended) count = reader.number();
    return Status::ok;
}

// A section of notes that is not full is the last one.
Status SnapshotReader::Parts::read_notes(Reader& reader) noexcept {
    const std::string_view part = reader.text(reader.left());
    if (part.empty() || part.size() > full_notes) return Status::parcel_failed;
    has_all_notes = part.size() < full_notes;
    if (!rest.reserve(rest.size() + part.size())) return Status::out_of_memory;
    std::copy_n(std::as_bytes(std::span(part)).data(), part.size(), rest.end());
    rest.set_size(rest.size() + part.size());
    std::size_t taken = 0;
    while (taken < rest.size()) {
        Reader notes({rest.data() + taken, rest.size() - taken});
        const Note note = read_note(notes);
        if (notes.failed()) break;
        if (const Status status = add(note); status != Status::ok) return status;
        taken = rest.size() - notes.left();
    }
    std::copy(rest.begin() + taken, rest.end(), rest.begin());
    rest.set_size(rest.size() - taken);
    return rest.size() < max_note_size ? Status::ok : Status::parcel_failed;  // nor will it ever become a note
}

Status SnapshotReader::Parts::add(const Note& note) const noexcept {
    Notes& notes = engine->notes;
    const bool ascends = notes.empty() || note.key > notes.note(notes.size() - 1).key;
    if (!ascends || !note.has_value || !notes.has_room(note)) return Status::parcel_failed;
    return notes.add(note) ? Status::ok : Status::out_of_memory;
}

Status SnapshotReader::Parts::read_records(Reader& reader) noexcept {
    if (reader.left() == 0) return Status::parcel_failed;
    while (reader.left() != 0) {
        if (const Status status = read_record(reader); status != Status::ok) return status;
    }
    return Status::ok;
}

Status SnapshotReader::Parts::read_end(Reader& reader) noexcept {
    const bool agrees = reader.number() == engine->table.size() && reader.fixed<std::uint64_t>() == state.value();
    is_done = agrees && !reader.failed() && reader.left() == 0;
    return is_done ? Status::ok : Status::parcel_failed;
}

Status SnapshotReader::Parts::read_record(Reader& reader) noexcept {
    Found found;
    const unsigned head = reader.byte(record_head(OwnerKind::app, max_level));
    found.owner.kind = (head & 1) != 0 ? OwnerKind::app : OwnerKind::process;
    found.level = static_cast<std::int8_t>(static_cast<int>(head >> 1) - 1);
    found.owner.key = static_cast<std::uint32_t>(reader.number(max_uid));
    found.other = static_cast<std::uint32_t>(reader.number(max_uid));
    if (found.owner.kind == OwnerKind::process) found.applied = reader.number(engine->now);
    if (const Status status = read_text(reader, found.bundle); status != Status::ok) return status;
    found.mask = static_cast<Mask>(reader.number(rules.all));
    found.persist_mask = static_cast<Mask>(reader.number(rules.all));
    const std::uint64_t place = place_of(found.owner);
    if (reader.failed() || !found.is_sound() || place <= last) return Status::parcel_failed;
    last = place;
    engine->strings.use(found.bundle);  // before the next text is added
    if (const Status status = read_grants(reader, found); status != Status::ok) return status;
    if (engine->strings.used_count() > engine->limits.max_strings) return Status::out_of_memory;
    return add(found);
}

Status SnapshotReader::Parts::read_grants(Reader& reader, Found& found) noexcept {
    Status status = Status::ok;
    for_each_type(found.mask, [&](int type) {
        Grant& grant = found.grants[type];
        const bool is_timed = (found.persist_mask & type_bit(type)) == 0;
        grant.timeout_ms = static_cast<std::uint32_t>(reader.number(max_timeout));
        grant.deadline = is_timed ? reader.number(max_now + max_timeout) : no_deadline;
        const bool is_sound =
            !is_timed || (grant.timeout_ms != 0 && grant.deadline >= std::max<Instant>(first, grant.timeout_ms));
        if (status == Status::ok && (reader.failed() || !is_sound)) status = Status::parcel_failed;
        if (status == Status::ok) status = read_text(reader, grant.reason);
        if (status == Status::ok) engine->strings.use(grant.reason);
    });
    return status;
}

Status SnapshotReader::Parts::read_text(Reader& reader, TextId& id) noexcept {
    const std::uint64_t number = reader.number();
    id = Strings::empty;
    if (reader.failed() || number > texts.size() + 1) return Status::parcel_failed;
    if (number == 0) return Status::ok;
    if (number <= texts.size()) {
        id = texts[static_cast<std::size_t>(number) - 1];
        return Status::ok;
    }
    const std::string_view text = reader.text(reader.number(max_text_bytes));
    if (text.empty() || !is_utf8(text) || engine->strings.find(text) != no_text) return Status::parcel_failed;
    if (!texts.reserve(texts.size() + 1)) return Status::out_of_memory;
    id = engine->strings.find_or_add(text);
    if (id == no_text) return Status::out_of_memory;
    texts.push(id);
    return Status::ok;
}

// Makes it a record. Its texts are in use already.
Status SnapshotReader::Parts::add(const Found& found) const noexcept {
    Engine::Parts& parts = *engine;
    const bool is_app = found.owner.kind == OwnerKind::app;
    if (parts.table.size() == parts.limits.max_records) return Status::out_of_memory;
    if (!parts.table.make_room(found.uid(), is_app ? 1 : 0, is_app ? 0 : 1, found.mask) || !parts.reserve_places())
        return Status::out_of_memory;
    const Row row = parts.table.add(found.owner.kind, found.uid(), found.pid(), found.bundle);
    if (!is_app) parts.table.applied(row) = found.applied;
    for_each_type(found.mask, [&](int type) { parts.table.grant(row, type) = found.grants[type]; });
    Record& record = parts.table.record(row);
    record.cpu_level = found.level;
    record.persist_mask = static_cast<std::uint16_t>(found.persist_mask);
    parts.table.set_mask(row, found.mask);
    if (!record.is_timed()) return Status::ok;
    ++parts.timed;
    parts.wheel.arm(parts.table.records(), row, parts.earliest(row));
    return Status::ok;
}

SnapshotReader::SnapshotReader(std::unique_ptr<Parts> parts) noexcept : parts_(std::move(parts)) {}
SnapshotReader::~SnapshotReader() = default;

std::unique_ptr<SnapshotReader> SnapshotReader::create(const Limits& limits, const HashKey& key) noexcept {
    std::unique_ptr<Parts> parts(new (std::nothrow) Parts);
    if (parts == nullptr) return nullptr;
    parts->made = Engine::create(limits, key);
    if (parts->made == nullptr) return nullptr;
    parts->engine = parts->made->parts_.get();
    return std::unique_ptr<SnapshotReader>(new (std::nothrow) SnapshotReader(std::move(parts)));
}

SectionRead SnapshotReader::read(std::span<const std::byte> bytes) noexcept {
    if (parts_->made == nullptr || parts_->is_done) return {Status::parcel_failed};
    const SectionRead result = parts_->read(bytes);
    if (result.status != Status::ok) parts_->made.reset();
    return result;
}

std::unique_ptr<Engine> SnapshotReader::take() noexcept { return parts_->is_done ? std::move(parts_->made) : nullptr; }

const Limits& SnapshotReader::limits_then() const noexcept { return parts_->limits_then; }

}  // namespace grantwheel
