"""The mistakes that `mutants.py` puts into the gate and what belongs to it, one at a time."""

from typing import Final

from mutant_list import Mutant

HOST_MUTANTS: Final = (
    # notes
    Mutant(
        "host/gate_notes.cpp",
        "    ++parts_->open.changes;\n    parts_->open.write_op(encode_it);\n",
        "    ++parts_->open.changes;\n",
        "a write of notes is on record",
    ),
    Mutant(
        "host/gate_notes.cpp", "    if (!changes.are_sound()) return", "    if (false) return", "notes that cannot be"
    ),
    # staging
    Mutant(
        "host/gate_staging.cpp",
        "    if (parts.state != LogState::open) return {Status::transaction_failed};\n",
        "",
        "no changes while the log does not say where it stands",
    ),
    Mutant("host/gate_staging.cpp", "waiting + bytes <= max_group_bytes && ", "", "the limit of an open group"),
    Mutant("host/gate_staging.cpp", "    entry.now = gate.latest_;\n", "", "the instant of what is staged"),
    Mutant("host/gate_staging.cpp", "    entry.abandoned = false;\n", "", "a place that was abandoned before"),
    Mutant(
        "host/gate_staging.cpp",
        "reserve(most) || !reserve(command, text)) return",
        "reserve(most)) return",
        "memory is there before the append, of an immediate log",
    ),
    Mutant("host/gate_staging.cpp", "most > max_group_bytes || ", "", "the limit of a group, of an immediate log"),
    Mutant(
        "host/gate_parts.hpp",
        "        --spare.apps;\n        spare.texts -= 2;\n",
        "",
        "memory that one command needed is not spare",
    ),
    Mutant("host/gate_staging.cpp", "    parts_->open.needs.add(command);\n", "", "memory is there before the append"),
    Mutant(
        "host/gate_staging.cpp",
        "    tell(engine, now);\n",
        "",
        "whoever waits for events hears of an immediate log",
    ),
    Mutant("host/gate_staging.cpp", "std::max<std::uint64_t>(records, 1)", "records", "an advance of nothing"),
    # whom a read has to wait for
    Mutant(
        "host/gate_staging.cpp",
        "if (command.kind == CommandKind::admin_reset_all) return marks.set_all(open.number);",
        "",
        "a reset of everything concerns everybody",
    ),
    Mutant("host/gate_staging.cpp", "    if (names_uid) marks.set(", "    if (false) marks.set(", "the uid of an op"),
    Mutant(
        "host/gate_staging.cpp",
        "        case CommandKind::admin_reset_process: return true;",
        "            return true;",
        "a reset of a process concerns its readers",
    ),
    Mutant(
        "host/gate_staging.cpp",
        "if (is_recorded) marks.set({OwnerKind::app, found.uid}",
        "if (false) marks.set({OwnerKind::app, found.uid}",
        "the uid whose process is taken over",
    ),
    Mutant("host/gate_staging.cpp", "if (is_staged) marks.set(", "if (false) marks.set(", "one that is only staged"),
    Mutant(
        "host/gate_staging.cpp",
        "    if (parts_->marks.find_uid(owner.key, uid)) group",
        "    if (false) group",
        "a read of a process waits for what is about the uid that it will have",
    ),
    Mutant(
        "host/gate_staging.cpp",
        "        group = std::max(group, parts_->marks.group({OwnerKind::app, found.uid}));\n",
        "",
        "a read of a process waits for what is about its uid",
    ),
    Mutant("host/marks.cpp", "if (chosen == nullptr) return set_all(group);", "if (chosen == nullptr) return;", "full"),
    Mutant("host/marks.cpp", " && place.group <= settled) chosen", ") chosen", "marks that are needed still"),
    Mutant("host/marks.cpp", "std::max(all_, ", "std::max<std::uint64_t>(0, ", "marks of everybody"),
    # committing
    Mutant(
        "host/gate_commit.cpp",
        "        refuse(flying, status);\n    }\n    settled",
        "        execute();\n    }\n    settled",
        "what was not appended has changed nothing",
    ),
    Mutant("host/gate_commit.cpp", "if (group.bytes.size() == 0) return Status::ok;", "", "a group without ops"),
    Mutant(
        "host/gate_commit.cpp",
        "if (state == State::broken) return Status::transaction_failed;",
        "",
        "nothing is appended after a conflict",
    ),
    Mutant(
        "host/gate_commit.cpp", "if (!reserve(group.needs)) return Status::out_of_memory;", "", "memory for a group"
    ),
    Mutant("host/gate_parts.hpp", "        spare.take(needs);\n", "", "memory that was needed is not spare"),
    Mutant(
        "host/gate_commit.cpp",
        "        ++position;\n",
        "",
        "where the log stands",
    ),
    Mutant(
        "host/gate_commit.cpp",
        "        status = resolve();\n",
        "",
        "an uncertain append is resolved",
    ),
    Mutant("host/gate_commit.cpp", "return is_in ? Status::ok : Status::", "return Status::", "an append that was one"),
    Mutant("host/gate_commit.cpp", "(is_in || last.groups == position)", "true", "groups of somebody else"),
    Mutant(
        "host/gate_commit.cpp", "            position = last.groups;\n", "", "where the log stands, once it has said"
    ),
    Mutant("host/gate_commit.cpp", "            state = State::open;\n", "", "changes once the log has said so"),
    Mutant("host/gate_commit.cpp", "last.is_known || gives_up", "last.is_known", "a close does not wait for ever"),
    # executing and answering
    Mutant(
        "host/gate_parts.hpp",
        "executed(engine.execute(command, now))",
        "executed(engine.execute(command, gate.latest_))",
        "ops have instants of their own",
    ),
    Mutant(
        "host/gate_commit.cpp", "        while (next->status != Status::ok) ++next;\n", "", "rows that were refused"
    ),
    Mutant(
        "host/gate_commit.cpp",
        "    for (const std::uint32_t uid : engine.cpu_ended()) cpu_ended.push(uid);\n",
        "",
        "who lost CPU",
    ),
    Mutant("host/gate_commit.cpp", "        left -= result.records;\n", "", "the records of an advance"),
    Mutant(
        "host/gate_commit.cpp",
        "    if (entry.watcher != nullptr) entry.watcher->settled({status, 0});\n",
        "",
        "a watcher hears of a refusal",
    ),
    Mutant("host/gate_commit.cpp", "entry.kind == Entry::Kind::wait ? Status::ok : status", "status", "only to wait"),
    Mutant(
        "host/gate_commit.cpp", "        if (entries[place].abandoned) entries.give(place);\n", "", "abandoned tickets"
    ),
    Mutant(
        "host/gate_commit.cpp",
        "    if (!bell.is_open() || std::exchange(is_rung, true)) return;\n",
        "    return;\n",
        "the descriptor of settled groups",
    ),
    # batches
    Mutant("include/grantwheel/batch.hpp", "!command.only_held && ", "", "a renewal is no row"),
    Mutant("include/grantwheel/batch.hpp", "!command.is_persist && ", "", "what is persistent is no row"),
    Mutant("host/gate_batches.cpp", "batch->count() == 0 ? 0 : batch->size()", "batch->size()", "a batch without rows"),
    Mutant(
        "host/gate_batches.cpp",
        "if (batch->count() > most_marks) return marks.set_all(open.number);",
        "if (batch->count() > most_marks) return;",
        "a large batch concerns everybody",
    ),
    Mutant(
        "host/gate_batches.cpp",
        "        marks.set({OwnerKind::app, rows.uid(i)}, rows.uid(i), open.number, settled);\n",
        "",
        "a batch concerns the uids of its rows",
    ),
    Mutant(
        "host/gate_batches.cpp",
        "        if (is_apply) open.needs.add(many->needs);\n",
        "",
        "memory for a batch is there before the append",
    ),
    Mutant("host/entries.hpp", "        needs.types |= command.mask;\n", "", "memory for the types of a batch"),
    # waiting
    Mutant(
        "host/gate_waiting.cpp", "if (is_in_log() || group > last", "if (group > last", "a log does not wait for itself"
    ),
    Mutant("host/gate_waiting.cpp", "std::max(entered, at)", "at", "a read is not of an instant before it came"),
    Mutant("host/gate_waiting.cpp", "first.is_empty() ? latest_ :", "true ? latest_ :", "a read is of one instant"),
    Mutant(
        "host/gate_waiting.cpp",
        "        refuse(open, Status::not_connected);\n",
        "        refuse(open, Status::transaction_failed);\n",
        "who is closed upon learns so",
    ),
    Mutant(
        "host/gate_waiting.cpp", "        parts_->entries[place].abandoned = true;\n", "", "places of the abandoned"
    ),
    Mutant("host/gate_waiting.cpp", "    ended.set_size(left);\n", "", "who lost CPU is told once"),
    Mutant(
        "host/gate_waiting.cpp",
        "(parts_->is_leading || ",
        "(false || ",
        "the manager stays while the log owes an answer",
    ),
    Mutant("host/entries.hpp", " && all_[ticket.place].group == ticket.group;", ";", "a ticket of another group"),
    # time
    Mutant("host/gate.cpp", "        if (!look.is_due) return;\n", "", "an advance that ends nothing is no op"),
    Mutant("host/gate.cpp", "        total.ended += answer.ended;\n", "", "how many grants an advance has ended"),
    Mutant("host/gate.cpp", "        left -= result.records;\n", "", "the budget of an advance without a log"),
    Mutant(
        "host/gate.cpp",
        "        left -= std::min<std::uint64_t>(left, answer.records);\n",
        "",
        "the budget of an advance with a log",
    ),
)
