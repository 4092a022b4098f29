#include "grantwheel/batch.hpp"

#include <algorithm>

#include "core/array.hpp"
#include "core/bits.hpp"
#include "core/frame.hpp"
#include "core/strings.hpp"
#include "core/text.hpp"

namespace grantwheel {

namespace {

// A row: uid, pid, timeout, number of its bundle, mask, capped types.
constexpr std::size_t pid_at = 4;
constexpr std::size_t timeout_at = 8;
constexpr std::size_t bundle_at = 12;
constexpr std::size_t mask_at = 16;
constexpr std::size_t capped_at = 18;
struct PackedRow {
    std::byte bytes[20];
};
constexpr std::size_t row_size = sizeof(PackedRow);

constexpr std::size_t end_size = 4;
constexpr std::size_t counts_size = 1 + 4 + 4;  // flags, rows, bundles
constexpr std::size_t max_bundle_size = 2 + type_count * sizeof(std::uint32_t) + max_text_bytes;
constexpr unsigned apply = 1;  // a flag

Mask types_with_cap(const Command& command) noexcept {
    Mask mask = 0;
    for (int type = 0; type < type_count; ++type) {
        if (command.caps_ms[static_cast<std::size_t>(type)] != 0) mask |= type_bit(type);
    }
    return mask;
}

}  // namespace

// A bundle, and the longest timeouts that its rule had.
struct BatchRows::Bundle {
    std::string_view name{};
    Mask types = 0;  // with such a timeout
    Timeouts caps_ms{};
    bool is_sound = true;
};

// Number 0 is the empty name, without timeouts.
BatchRows::Bundle BatchRows::bundle(std::size_t number) const noexcept {
    Bundle found;
    if (number == 0) return found;
    const std::byte* const end = ends_ + end_size * (number - 1);
    const std::size_t first = number == 1 ? 0 : fixed_at<std::uint32_t>(end - end_size);
    Reader reader({bundles_ + first, fixed_at<std::uint32_t>(end) - first});
    found.types = reader.fixed<std::uint16_t>();
    for_each_type(found.types & rules.all, [&](int type) {
        std::uint32_t& most = found.caps_ms[static_cast<std::size_t>(type)];
        most = reader.fixed<std::uint32_t>();
        if (most == 0) reader.fail();
    });
    found.name = reader.text(reader.left());
    found.is_sound = !reader.failed() && found.types <= rules.all && found.name.size() <= max_text_bytes;
    return found;
}

bool BatchRows::is_bundle(std::size_t number) const noexcept {
    const Bundle found = bundle(number);
    return found.is_sound && is_utf8(found.name);
}

bool BatchRows::is_row(std::size_t i) const noexcept {
    const std::byte* const row = rows_ + row_size * i;
    const Mask capped = fixed_at<std::uint16_t>(row + capped_at);
    const std::size_t number = fixed_at<std::uint32_t>(row + bundle_at);
    const bool is_timed = !is_apply_ || fixed_at<std::uint32_t>(row + timeout_at) != 0;
    const bool fits = uid(i) <= max_uid && fixed_at<std::uint32_t>(row + pid_at) <= max_pid && mask(i) != 0 &&
                      mask(i) <= rules.all && number <= bundle_count_ && is_timed;
    if (!fits || capped == 0) return fits;
    return is_apply_ && (capped & ~bundle(number).types) == 0;
}

bool BatchRows::find(std::span<const std::byte> body) noexcept {
    Reader reader(body);
    is_apply_ = (reader.byte(apply) & apply) != 0;
    count_ = reader.fixed<std::uint32_t>();
    bundle_count_ = reader.fixed<std::uint32_t>();
    if (reader.failed() || count_ == 0 || count_ > reader.left() / row_size) return false;
    const std::size_t left = reader.left() - row_size * count_;
    if (bundle_count_ > left / end_size) return false;
    rows_ = body.data() + counts_size;
    ends_ = rows_ + row_size * count_;
    bundles_ = ends_ + end_size * bundle_count_;
    return true;
}

bool BatchRows::is_sound(std::span<const std::byte> body) const noexcept {
    std::uint32_t end = 0;
    for (std::size_t i = 0; i < bundle_count_; ++i) {
        const auto next = fixed_at<std::uint32_t>(ends_ + end_size * i);
        if (next < end) return false;
        end = next;
    }
    if (bundles_ + end != body.data() + body.size()) return false;
    for (std::size_t i = 0; i < bundle_count_; ++i) {
        if (!is_bundle(i + 1)) return false;
    }
    for (std::size_t i = 0; i < count_; ++i) {
        if (!is_row(i)) return false;
    }
    return true;
}

std::uint32_t BatchRows::uid(std::size_t i) const noexcept { return fixed_at<std::uint32_t>(rows_ + row_size * i); }
Mask BatchRows::mask(std::size_t i) const noexcept { return fixed_at<std::uint16_t>(rows_ + row_size * i + mask_at); }

Command BatchRows::operator[](std::size_t i) const noexcept {
    const std::byte* const row = rows_ + row_size * i;
    Command command;
    command.kind = is_apply_ ? CommandKind::apply : CommandKind::release;
    command.mask = mask(i);
    command.uid = uid(i);
    command.pid = fixed_at<std::uint32_t>(row + pid_at);
    command.timeout_ms = fixed_at<std::uint32_t>(row + timeout_at);
    command.capped = fixed_at<std::uint16_t>(row + capped_at);
    if (const std::size_t number = fixed_at<std::uint32_t>(row + bundle_at); number != 0) {
        const Bundle found = bundle(number);
        command.bundle = found.name;
        command.caps_ms = found.caps_ms;
    }
    return command;
}

struct BatchWriter::Parts {
    // A bundle that has been seen: it is most likely that of other rows too, and lies where it lay.
    struct Seen {
        const char* text;
        std::size_t size;
        std::uint32_t number;
        std::uint64_t batch;  // in which it was seen
    };
    static constexpr std::size_t seen_count = 4096;

    explicit Parts(const HashKey& key) noexcept : strings(key) {}

    bool is_apply = true;
    Instant now = 0;
    Array<PackedRow> rows{};
    Array<std::uint32_t> ends{};  // of the bundles, by number
    Array<std::byte> bundles{};
    Strings strings;                 // their names
    Array<TextId> names{};           // in use there, one for each number
    Array<std::uint32_t> numbers{};  // by name: the latest number; 0 when it has none
    Array<Seen> seen{};
    std::uint64_t batch = 0;

    [[nodiscard]] std::size_t body() const noexcept {
        return 2 + number_size(now) + counts_size + row_size * rows.size() + end_size * ends.size() + bundles.size();
    }
    // Whether one more row and bundle might be too much.
    [[nodiscard]] bool is_full() const noexcept {
        constexpr std::size_t most = max_batch_bytes - 2 * max_bundle_size;
        return row_size * rows.size() + end_size * ends.size() + bundles.size() > most;
    }
    [[nodiscard]] Seen& place_of(std::string_view name) noexcept {
        const auto at = reinterpret_cast<std::uintptr_t>(name.data()) ^ name.size();
        return seen[(at * 0x9E37'79B9'7F4A'7C15u) >> 52];
    }
    [[nodiscard]] bool has_caps(std::uint32_t number, const Command& command) const noexcept;
    [[nodiscard]] std::uint32_t number_of(const Command& command) noexcept;
    [[nodiscard]] std::uint32_t find_or_add(const Command& command) noexcept;
    [[nodiscard]] std::uint32_t add(const Command& command) noexcept;
    void write(Writer& writer) const noexcept;
};

namespace {

constexpr std::uint32_t no_number = UINT32_MAX;

void append(Array<std::byte>& bytes, std::span<const std::byte> more) noexcept {
    for (const std::byte byte : more) bytes.push(byte);
}

}  // namespace

// Whether a bundle was written with the timeouts that a command needs.
bool BatchWriter::Parts::has_caps(std::uint32_t number, const Command& command) const noexcept {
    if (command.capped == 0) return true;
    if (number == 0) return false;
    const std::size_t first = number == 1 ? 0 : ends[number - 2];
    Reader reader({bundles.data() + first, ends[number - 1] - first});
    const Mask types = reader.fixed<std::uint16_t>();
    bool has = (command.capped & ~types) == 0;
    for_each_type(types, [&](int type) {
        const bool is_capped = (command.capped & type_bit(type)) != 0;
        has = (reader.fixed<std::uint32_t>() == command.caps_ms[static_cast<std::size_t>(type)] || !is_capped) && has;
    });
    return has;
}

// The number of the bundle of a command; no_number when there is no memory.
std::uint32_t BatchWriter::Parts::number_of(const Command& command) noexcept {
    if (command.bundle.empty() && command.capped == 0) return 0;
    Seen& place = place_of(command.bundle);
    const bool is_known =
        place.batch == batch && place.text == command.bundle.data() && place.size == command.bundle.size();
    if (is_known && has_caps(place.number, command)) return place.number;
    const std::uint32_t number = find_or_add(command);
    if (number != no_number) place = {command.bundle.data(), command.bundle.size(), number, batch};
    return number;
}

std::uint32_t BatchWriter::Parts::find_or_add(const Command& command) noexcept {
    if (!names.reserve(names.size() + 1)) return no_number;
    const TextId name = strings.find_or_add(command.bundle);
    if (name == no_text) return no_number;
    if (name < numbers.size() && numbers[name] != 0 && has_caps(numbers[name], command)) return numbers[name];
    if (numbers.size() <= name && !numbers.resize(name + 1, 0)) {
        if (!strings.used(name)) strings.discard(name);
        return no_number;
    }
    strings.use(name);
    names.push(name);
    const std::uint32_t number = add(command);
    if (number != no_number) numbers[name] = number;
    return number;
}

std::uint32_t BatchWriter::Parts::add(const Command& command) noexcept {
    if (!ends.reserve(ends.size() + 1) || !bundles.reserve(bundles.size() + max_bundle_size)) return no_number;
    std::byte room[max_bundle_size];
    Writer writer(room);
    const Mask types = types_with_cap(command);
    writer.fixed(static_cast<std::uint16_t>(types));
    for_each_type(types, [&](int type) { writer.fixed(command.caps_ms[static_cast<std::size_t>(type)]); });
    writer.bytes(command.bundle);
    append(bundles, {room, writer.at()});
    ends.push(static_cast<std::uint32_t>(bundles.size()));
    return static_cast<std::uint32_t>(ends.size());
}

void BatchWriter::Parts::write(Writer& writer) const noexcept {
    const auto bytes = [&](const auto& array) {
        writer.bytes({reinterpret_cast<const char*>(array.data()), array.size() * sizeof array[0]});
    };
    writer.byte(op_version);
    writer.byte(batch_kind);
    writer.number(now);
    writer.byte(is_apply ? apply : 0u);
    writer.fixed(static_cast<std::uint32_t>(rows.size()));
    writer.fixed(static_cast<std::uint32_t>(ends.size()));
    bytes(rows);
    for (const std::uint32_t end : ends) writer.fixed(end);
    bytes(bundles);
}

BatchWriter::BatchWriter(std::unique_ptr<Parts> parts) noexcept : parts_(std::move(parts)) {}
BatchWriter::~BatchWriter() = default;

std::unique_ptr<BatchWriter> BatchWriter::create(const HashKey& key) noexcept {
    std::unique_ptr<Parts> parts(new (std::nothrow) Parts(key));
    if (parts == nullptr || !parts->seen.resize(Parts::seen_count, {})) return nullptr;
    return std::unique_ptr<BatchWriter>(new (std::nothrow) BatchWriter(std::move(parts)));
}

void BatchWriter::begin(bool is_apply, Instant now) noexcept {
    Parts& parts = *parts_;
    parts.is_apply = is_apply;
    parts.now = now;
    ++parts.batch;
    parts.rows.clear();
    parts.ends.clear();
    parts.bundles.clear();
    for (const TextId name : parts.names) {
        parts.numbers[name] = 0;
        parts.strings.drop(name);
    }
    parts.names.clear();
}

Status BatchWriter::add(const Command& command) noexcept {
    Parts& parts = *parts_;
    if (parts.is_full()) return Status::out_of_memory;
    if (!parts.rows.reserve(parts.rows.size() + 1)) return Status::out_of_memory;
    const std::uint32_t number = parts.number_of(command);
    if (number == no_number) return Status::out_of_memory;
    PackedRow row;
    put_fixed(row.bytes, command.uid);
    put_fixed(row.bytes + pid_at, command.pid);
    put_fixed(row.bytes + timeout_at, command.timeout_ms);
    put_fixed(row.bytes + bundle_at, number);
    put_fixed(row.bytes + mask_at, static_cast<std::uint16_t>(command.mask));
    put_fixed(row.bytes + capped_at, static_cast<std::uint16_t>(parts.is_apply ? command.capped : 0));
    parts.rows.push(row);
    return Status::ok;
}

std::size_t BatchWriter::count() const noexcept { return parts_->rows.size(); }
std::size_t BatchWriter::size() const noexcept { return op_head + parts_->body() + op_check; }

std::size_t BatchWriter::write(std::span<std::byte> out) const noexcept {
    return frame_op(parts_->body(), out, [&](Writer& writer) { parts_->write(writer); });
}

}  // namespace grantwheel
