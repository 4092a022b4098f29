"""The mistakes that `mutants.py` puts into the core, one at a time."""

from typing import Final, NamedTuple


class Mutant(NamedTuple):
    """One small change of a file of ``csrc/core``; `old` stands there exactly once."""

    file: str
    old: str
    new: str
    breaks: str


MUTANTS: Final = (
    # merging an apply
    Mutant(
        "engine_apply.cpp", "record.deadline(type) < deadline)", "record.deadline(type) > deadline)", "merge: extends"
    ),
    Mutant("engine_apply.cpp", "wheel.move(table.records(), row, deadline);", ";", "merge: pulls the timer forward"),
    Mutant(
        "engine_apply.cpp", "if ((held & bit) != 0) strings.drop(grant.reason);", "", "merge: lets the old reason go"
    ),
    Mutant("engine_apply.cpp", "if (grant.reason != reason || ", "if (", "merge: the new reason replaces the old one"),
    Mutant(
        "engine_apply.cpp", "table.uid(process) != command.uid;", "table.uid(process) > command.uid;", "a reused pid"
    ),
    Mutant("engine_apply.cpp", "(fresh & type::CPU) != 0 ||", "(mask & type::CPU) != 0 ||", "level kept by a renewal"),
    Mutant("engine_apply.cpp", "tells = adds ||", "tells = adds &&", "the bundle of an event"),
    Mutant("engine_apply.cpp", "count_bits(mask & held)", "count_bits(held)", "number of renewals"),
    # limits
    Mutant("engine_apply.cpp", "more > limits.max_records", "more >= limits.max_records", "limit of records"),
    Mutant("engine_apply.cpp", "<= limits.max_strings", "< limits.max_strings", "limit of texts"),
    Mutant("engine_apply.cpp", "while (end_some());", "while (false);", "what is due is freed before a limit is told"),
    # settling and expiry
    Mutant(
        "engine_time.cpp", "while (table.record(row).armed <= now)", "while (table.record(row).armed < now)", "settle"
    ),
    Mutant("engine_time.cpp", "at <= now ? at : no_deadline", "at < now ? at : no_deadline", "due at its deadline"),
    Mutant("engine_time.cpp", "record.deadline(type) == at)", "record.deadline(type) <= now)", "an event per instant"),
    Mutant("engine_time.cpp", "process_at <= app_at", "process_at < app_at", "processes before apps in a settle"),
    Mutant("engine_time.cpp", "std::sort(scratch.begin(), scratch.end());", "", "order of what ends at one instant"),
    Mutant(
        "engine_time.cpp", "at != no_deadline) wheel.move", "at == no_deadline) wheel.move", "re-arming what is left"
    ),
    Mutant("engine_time.cpp", "first = std::min(first, at);", "first = at;", "next_deadline is the earliest"),
    Mutant("engine_time.cpp", "result.more = true;", "result.more = false;", "more is left after a budget"),
    Mutant("engine.cpp", "? slot.start : no_deadline", "? slot.start + 1 : no_deadline", "wake_at is not late"),
    Mutant("engine.cpp", "if (at < now)", "if (at + 1 < now)", "time runs backwards by 1 ms"),
    Mutant("engine.cpp", "at > max_now ?", "at > max_now + 1 ?", "the last instant"),
    # cascades, deaths, administration
    Mutant("engine_release.cpp", "left_due < right_due :", "left_due > right_due :", "order of endings in a cascade"),
    Mutant("engine_release.cpp", "due_at(app) < at)", "due_at(app) <= at)", "processes before apps in a cascade"),
    Mutant("engine_release.cpp", "std::sort(rest, last);", "", "cascade by ascending pid"),
    Mutant(
        "engine_release.cpp", "!= command.uid) process = no_row;", "== 0) process = no_row;", "another uid's process"
    ),
    Mutant(
        "engine_release.cpp", "table.uid(process) != uid) return 0;", "uid == 0) return 0;", "death of another's pid"
    ),
    Mutant(
        "engine_release.cpp", "std::rotate(scratch.begin(), first_app, scratch.end());", "", "apps before processes"
    ),
    Mutant("engine.cpp", "type::ALL & ~type::RETAINED, Cause::app", "type::ALL, Cause::app", "retained types survive"),
    # taking types away, and events
    Mutant("engine.cpp", "record.cpu_level = default_level;", "", "level without CPU"),
    Mutant(
        "engine.cpp", "if (left == record.persistent &&", "if (left == 0 &&", "timer of a record without timed types"
    ),
    Mutant("engine.cpp", "if (is_app && tracks_cpu_ended)", "if (tracks_cpu_ended)", "only apps have a quota"),
    Mutant("engine.cpp", "strings.unpin(events.push(event));", "events.push(event);", "texts of overwritten events"),
    Mutant("engine.cpp", "strings.drop(details.bundle);", "", "bundle of a record that goes"),
    Mutant("engine.cpp", "push({time, table", "push({now, table", "an ending has the time of its deadline"),
    Mutant("engine.cpp", "table.uid(row), pid, bundle", "table.uid(row), table.pid(row), bundle", "pid of an apply"),
    Mutant("events.cpp", "overwritten = ring_[next_].bundle;", "", "which text was overwritten"),
    Mutant("events.cpp", "++next_ == capacity_", "++next_ + 1 == capacity_", "the last place of the ring"),
    Mutant(
        "events.hpp", "last_ < capacity_ ? 1", "last_ <= capacity_ + 1 ? 1", "the oldest event, at the first overwrite"
    ),
    Mutant("engine_queries.cpp", "result.missed = events.first() - sequence;", "", "number of missed events"),
    # queries
    Mutant(
        "engine_queries.cpp", "record.deadline(type) <= at)", "record.deadline(type) < at)", "reads look past the due"
    ),
    Mutant("engine_queries.cpp", "owner > *after", "owner >= *after", "the next page of a listing"),
    Mutant("engine_queries.cpp", "owner < out_.front()", "owner > out_.front()", "the first owners of many"),
    # wheel
    Mutant("wheel.cpp", "start <= slot.start)", "start < slot.start)", "a half-emptied level comes first"),
    Mutant("wheel.cpp", "if (occupied_[level] == 0) occupied_levels_", "occupied_levels_", "word of levels"),
    Mutant("wheel.cpp", "records[top].place = record.place;", "", "place of the row that fills a hole"),
    Mutant("wheel.cpp", "below == no_tray ? 0 : Tray::size", "0", "the tray below the topmost"),
    Mutant("wheel.cpp", "records[row].slot = no_slot;", "", "a row that was popped"),
    Mutant(
        "wheel.cpp", "(63 - std::countl_zero(difference))", "(62 - std::countl_zero(difference))", "level of a timer"
    ),
    # table and indexes
    Mutant("table.cpp", "masks_[row] = record.mask;", "", "the mask for scans"),
    Mutant("table.cpp", "own.previous_of_uid = first;", "", "links of the records of a uid"),
    Mutant("table.cpp", "if (next != no_row) details_[next].previous_of_uid = previous;", "", "links after a removal"),
    Mutant("table.cpp", "--free_count_;", "", "number of free rows"),
    Mutant("row_index.hpp", "if (distance < gap) continue;", "if (distance <= gap) continue;", "which slots move back"),
    Mutant("row_index.hpp", "saved(distance - gap)", "saved(distance)", "distance of a slot that moves back"),
    Mutant("row_index.hpp", "gap = 0;", "gap = 1;", "the hole after a move"),
    Mutant("row_index.hpp", "if (distance == longest_ >> row_bits_)", "if (false)", "removal past long distances"),
    Mutant("row_index.hpp", "if ((wanted & longest_) != longest_) wanted", "wanted", "finding past long distances"),
    Mutant("index.hpp", "< ((i - hole)", "<= ((i - hole)", "which slots of a text index move back"),
    # texts
    Mutant("strings.hpp", "users++ == 0) ++used_count_;", "users++ <= 1) ++used_count_;", "number of texts in use"),
    Mutant("strings.hpp", "--used_count_;\n        discard(id);", "--used_count_;", "a text without users goes"),
    Mutant("strings.hpp", "--entries_[id].pins == 0) discard(id);", "--entries_[id].pins == 0) {}", "nor without pins"),
    Mutant(
        "strings.cpp",
        "(entry.users != 0 || entry.pins != 0) return;",
        "(entry.users != 0) return;",
        "a pinned text stays",
    ),
    Mutant("strings.cpp", "length <= unit ? 0", "length <= unit + 1 ? 0", "room for a text of 17 bytes"),
    # memory
    Mutant("array.hpp", "size_ * sizeof(T));", "size_);", "an array that grows keeps its elements"),
    # the documented calls
    Mutant(
        "manager.cpp",
        "request.cpu_level <= rule.level_limit",
        "request.cpu_level < rule.level_limit",
        "the level limit",
    ),
    Mutant("manager.cpp", "has_cpu && !request.is_process &&", "has_cpu &&", "quota is asked for apps alone"),
    Mutant("text.cpp", "lead == 0xED && second >= 0xA0;", "false;", "a lone surrogate"),
)
