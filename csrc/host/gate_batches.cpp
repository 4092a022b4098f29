#include <algorithm>
#include <new>

#include "grantwheel/op.hpp"
#include "host/gate_parts.hpp"

namespace grantwheel {

namespace {

// More rows than that mark everybody.
constexpr std::size_t most_marks = 256;

}  // namespace

// Makes ready for a batch of so many rows. Null when there is no memory.
std::unique_ptr<ManyRows> Gate::Parts::begin_many(std::size_t count, bool is_apply) noexcept {
    if (batch == nullptr) batch = BatchWriter::create(gate.manager_->hash_key());
    std::unique_ptr<ManyRows> many(new (std::nothrow) ManyRows);
    if (batch == nullptr || many == nullptr || !many->results.reserve(count)) return nullptr;
    batch->begin(is_apply, gate.latest_);
    return many;
}

// Adds a row, or why it is refused. False when there is no memory for it.
bool Gate::Parts::add_row(ManyRows& many, const Admission& row, bool is_apply) noexcept {
    Status status = row.status;
    if (status == Status::ok && !is_plain(row.command, is_apply)) status = Status::request_invalid;
    many.results.push({status, 0});
    if (status == Status::ok) many.count(row.command);
    return status != Status::ok || batch->add(row.command) == Status::ok;
}

// Stages the batch as one op, if any row is in it.
Staged Gate::Parts::stage_batch(std::unique_ptr<ManyRows> many, bool is_apply) noexcept {
    const std::size_t size = batch->count() == 0 ? 0 : batch->size();
    if (!make_room(size, 0) || (is_behind && !reserve(many->needs))) return {Status::out_of_memory};
    const std::uint32_t place = add(Entry::Kind::many, nullptr);
    if (place == no_entry) return {Status::out_of_memory};
    if (size != 0) {
        many->bytes_at = open.bytes.size();
        const std::size_t written = batch->write({open.bytes.data() + many->bytes_at, size});
        open.add_op(written);
        ++open.changes;
        if (is_behind) {
            came(written);
        } else {
            mark_many(open.content().subspan(many->bytes_at));
            if (is_apply) open.needs.add(many->needs);
        }
    }
    entries[place].rows = many.release();
    if (is_behind) execute_many(entries[place], open.content());
    return staged(place);
}

void Gate::Parts::mark_many(std::span<const std::byte> op) noexcept {
    if (batch->count() > most_marks) return marks.set_all(open.number);
    const BatchRows rows = written_rows(op);
    for (std::size_t i = 0; i < rows.size(); ++i) {
        marks.set({OwnerKind::app, rows.uid(i)}, rows.uid(i), open.number, settled);
    }
}

Staged Gate::stage_many(std::span<const Admission> rows, bool is_apply) noexcept {
    if (const Status status = parts_->check_open(); status != Status::ok) return {status};
    auto many = parts_->begin_many(rows.size(), is_apply);
    if (many == nullptr) return {Status::out_of_memory};
    for (const Admission& row : rows) {
        if (!parts_->add_row(*many, row, is_apply)) return {Status::out_of_memory};
    }
    return parts_->stage_batch(std::move(many), is_apply);
}

Staged Gate::stage_many(const Requests& rows) noexcept {
    if (const Status status = parts_->check_open(); status != Status::ok) return {status};
    auto many = parts_->begin_many(rows.count, rows.is_apply);
    if (many == nullptr) return {Status::out_of_memory};
    if (const Status status = manager_->engine().check_time(latest_); status != Status::ok) return {status};
    PlainJudge judge(*manager_, rows.is_apply);
    for (std::size_t first = 0; first < rows.count; first += RowsAtHand::most) {
        const RowsAtHand some(rows, first);
        for (std::size_t i = 0; i < some.count(); ++i) {  // the records are touched later, when it is executed
            if (!parts_->add_row(*many, judge.judge(some[i]), rows.is_apply)) return {Status::out_of_memory};
        }
    }
    return parts_->stage_batch(std::move(many), rows.is_apply);
}

}  // namespace grantwheel
