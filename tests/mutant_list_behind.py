"""The mistakes that `mutants.py` puts into what is behind, into what a start puts on record, and into pipelines."""

from typing import Final

from mutant_list import Mutant
from mutant_list_python import PythonMutant

# A log that is behind its manager.
BEHIND_MUTANTS: Final = (
    Mutant(
        "host/gate_behind.cpp",
        "        open_since = std::chrono::steady_clock::now();\n        filled.notify_one();\n",
        "        open_since = std::chrono::steady_clock::now();\n",
        "the thread hears of the first op of a group",
    ),
    Mutant(
        "host/gate_behind.cpp",
        "    hurried = std::max(hurried, group);\n",
        "",
        "a flush does not wait for a group to fill",
    ),
    Mutant("host/gate_behind.cpp", "    tries_again = true;\n", "", "a flush has what failed tried at once"),
    Mutant(
        "host/gate_behind.cpp",
        "const Time until = open_since + max_delay;",
        "const Time until = Time::max();",
        "a group is appended in time",
    ),
    Mutant(
        "host/gate_behind.cpp",
        "            settled_sequence = flying_sequence;\n",
        "            settled_sequence = gate.manager_->engine().last_sequence();\n",
        "what came while a group was appended is not to be shown",
    ),
    Mutant(
        "host/gate_behind.cpp",
        "            state = open.bytes.size() == 0 ? State::open : state;\n",
        "            state = State::open;\n",
        "changes are refused until all is in the log that is due to it",
    ),
    Mutant(
        "host/gate_behind.cpp",
        "        if (gives_up) state = State::broken;\n",
        "",
        "what a closed gate could not append is given up",
    ),
    Mutant(
        "host/gate_behind.cpp",
        "case Appended::not_appended: state = State::behind; return false;",
        "case Appended::not_appended: return false;",
        "a failed append refuses changes",
    ),
    Mutant(
        "host/gate_behind.cpp",
        "case Appended::uncertain: state = State::uncertain; return ask();",
        "case Appended::uncertain: return false;",
        "the log is asked where it stands",
    ),
    Mutant("host/gate_behind.cpp", "    position = last.groups;\n", "", "where the log stands, as it says"),
    Mutant(
        "host/gate_behind.cpp",
        "    if (!is_in && last.groups != position) {\n",
        "    if (false) {\n",
        "a log that stands elsewhere is somebody else's",
    ),
    Mutant(
        "host/gate_behind.cpp",
        "    gives_up = true;\n    filled.notify_one();\n",
        "    filled.notify_one();\n",
        "a close does not wait for ever",
    ),
    Mutant(
        "host/gate_behind.cpp",
        " || counted.failures != flush.failures) return Flushed::failed;",
        ") return Flushed::failed;",
        "a flush says that an append has failed",
    ),
    Mutant("host/gate_batches.cpp", "        ++open.changes;\n", "", "a batch is a change"),
    Mutant("host/gate_staging.cpp", "    ++open.changes;\n", "", "a command is a change"),
    Mutant(
        "host/gate_notes.cpp",
        "        ++parts_->open.changes;\n        parts_->came(",
        "        parts_->came(",
        "a write of notes is a change, where the log is behind",
    ),
    Mutant(
        "host/gate_notes.cpp",
        "    ++parts_->open.changes;\n    parts_->open.write_op(",
        "    parts_->open.write_op(",
        "a write of notes is a change",
    ),
    Mutant("host/group.hpp", "        changes = 0;\n", "", "the changes of a group that is over"),
)

# What a start puts on record.
RECOVERY_MUTANTS: Final = (
    Mutant(
        "core/engine_recovery.cpp",
        "    if (mark.boot_ms > max_now) return Status::time_out_of_range;\n",
        "",
        "the time since boot of a mark is bounded",
    ),
    Mutant("core/engine_recovery.cpp", "    parts_->has_mark = true;\n", "", "there is a mark"),
    Mutant(
        "core/engine_recovery.cpp",
        "    checked.reserve = 0;\n",
        "",
        "what is reserved does not matter to limits",
    ),
    Mutant(
        "core/engine_recovery.cpp",
        "if (!apps.ascend_to(max_uid) || !processes.ascend_to(max_pid))",
        "if (!apps.ascend_to(max_uid))",
        "the pids of a recovery ascend",
    ),
    Mutant("core/engine_recovery.cpp", "rules.mortal());", "rules.all);", "apps keep retained types"),
    Mutant("core/engine_recovery.cpp", "        ++result.records;\n", "", "how many records a recovery has dropped"),
    Mutant(
        "core/engine_recovery.cpp",
        " || strings.used_count() > wanted.max_strings) {",
        ") {",
        "the strings have to fit other limits",
    ),
    Mutant("core/engine_recovery.cpp", "    if (needs_others) keep_events_in(others);\n", "", "a ring of another size"),
    Mutant(
        "core/engine_recovery.cpp",
        "        strings.unpin(events.at(sequence).bundle);\n",
        "",
        "bundles of events for which there is no room",
    ),
    Mutant(
        "core/engine_recovery.cpp",
        "    if (stays && is_popped(row) && earliest(row) != ending)",
        "    if (false)",
        "the timer of what stays",
    ),
    Mutant("core/op.cpp", " && !engine.lacked_memory();", ";", "a lack of memory is no limit"),
)

_PIPELINED: Final = "csrc/bindings/pipelined.cpp"
_TESTS: Final = "test_pipeline"

PIPELINE_MUTANTS: Final = (
    PythonMutant(
        _PIPELINED,
        "        if (must_wait(call)) return Stop::to_wait;\n",
        "",
        "a renewal waits for what it renews",
        _TESTS,
    ),
    PythonMutant(_PIPELINED, " || waited_ == next_ ", " || waited_ != SIZE_MAX ", "each renewal waits", _TESTS),
    PythonMutant(
        _PIPELINED,
        "                asked_.command.bundle = bundle_;\n",
        "                asked_.command.bundle = {};\n",
        "the hook is asked about the bundle",
        "test_pipeline quota",
    ),
    PythonMutant(
        _PIPELINED,
        "        if (!error.matches(PyExc_Exception)) throw;\n",
        "",
        "what is no Exception ends the rest",
        _TESTS,
    ),
    PythonMutant(
        _PIPELINED,
        "Shell::note_ended(manager, ended_);",
        "static_cast<void>(0);",
        "the hook is told of ended CPU",
        _TESTS,
    ),
    PythonMutant(
        _PIPELINED,
        "    shell_.tally().refusals.note(refusal.status());\n",
        "",
        "refusals are counted",
        _TESTS,
    ),
    PythonMutant(
        "csrc/bindings/following.cpp",
        "        for (std::size_t i = 0; i < count; ++i) carry_out(session.engine, groups[i], ahead[i]);\n"
        "        if (found.status != Status::ok) throw refusal_of(found);\n",
        "        if (found.status != Status::ok) throw refusal_of(found);\n"
        "        for (std::size_t i = 0; i < count; ++i) carry_out(session.engine, groups[i], ahead[i]);\n",
        "the groups before a damaged one are carried out",
        "test_follower",
    ),
    PythonMutant(
        "csrc/bindings/following.cpp",
        " && first.size == group.size();",
        ";",
        "a group of many ops is carried out as a whole",
        "test_follower",
    ),
)
