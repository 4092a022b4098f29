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
    Mutant("engine_apply.cpp", "grant.deadline < deadline)", "grant.deadline > deadline)", "merge: extends"),
    Mutant("engine_apply.cpp", "wheel.arm(table.records(), row, deadline);", ";", "merge: sets the timer"),
    Mutant("engine_apply.cpp", "wheel.put(record, row, deadline);", ";", "merge: sets the timer of a fresh row"),
    Mutant("engine_apply.cpp", "if (is_new && record.slot == no_slot)", "if (is_new)", "merge: a timer that a row has"),
    Mutant(
        "engine_apply.cpp", "if (!is_held) table.count_in(record.kind", "table.count_in(record.kind", "counts of types"
    ),
    Mutant("engine_apply.cpp", "(deadline >= record.armed && ", "(", "merge: pulls the timer forward"),
    Mutant(
        "engine_apply.cpp", "timed += std::size_t{record.is_timed()} - std::size_t{was_timed};", "", "timed records"
    ),
    Mutant("engine_apply.cpp", "if (is_held) strings.drop(grant.reason);", "", "merge: lets the old reason go"),
    Mutant(
        "engine_apply.cpp",
        "if (!is_held || grant.reason != reason)",
        "if (!is_held)",
        "merge: the new reason replaces the old one",
    ),
    Mutant(
        "engine_apply.cpp",
        "extended |= bit;\n            grant.timeout_ms = command.timeout_ms;",
        "extended |= bit;",
        "merge: the timeout of an extension",
    ),
    Mutant("engine_apply.cpp", "if (deadline <= grant.deadline) return;", "", "extend: later only"),
    Mutant(
        "engine_apply.cpp",
        "    grant.deadline = deadline;\n    grant.timeout_ms = command.timeout_ms;",
        "    grant.deadline = deadline;",
        "extend: the timeout",
    ),
    Mutant(
        "engine_apply.cpp",
        "        extend(grant, command);\n        ++renewed;",
        "        ++renewed;",
        "extend: a text",
    ),
    Mutant(
        "engine_apply.cpp", "        extend(grant, command);\n        ++count;", "        ++count;", "extend: no text"
    ),
    Mutant(
        "engine_apply.cpp",
        "        extend(grant, command);\n        ++renewed;",
        "        extend(grant, command);",
        "renewals",
    ),
    Mutant("engine_apply.cpp", "    renewed += count;\n", "", "renewals at once"),
    Mutant(
        "engine_apply.cpp",
        "if (grant.reason != texts.reason) set_reason(grant, texts.reason);",
        "",
        "extend: the new reason",
    ),
    Mutant(
        "engine_apply.cpp",
        "if (grant.reason != Strings::empty) return apply_to_app",
        "if (false) return apply_to_app",
        "extend: the empty reason",
    ),
    Mutant("engine_apply.cpp", "record.armed <= now || !extends", "!extends", "renewals at once of what is due"),
    Mutant(
        "engine_apply.cpp",
        "record.kind != OwnerKind::app || record.armed",
        "record.armed",
        "renewals at once of a process",
    ),
    Mutant(
        "engine_queries.cpp",
        "record.kind != OwnerKind::app || record.armed",
        "record.armed",
        "masks at once of a process",
    ),
    Mutant(
        "engine_queries.cpp",
        " || record.armed <= now) return parts_->mask_of",
        ") return parts_->mask_of",
        "masks at once of what is due",
    ),
    Mutant(
        "engine_release.cpp",
        "if (fires(app)) return release_one",
        "if (false) return release_one",
        "releases of what is due",
    ),
    Mutant(
        "engine_apply.cpp", "    strings.drop(grant.reason);\n    grant", "    grant", "extend: lets the old reason go"
    ),
    Mutant("engine_apply.cpp", " && !command.is_persist &&", " &&", "extend: becoming persistent is more"),
    Mutant("engine_apply.cpp", "(command.mask & command.capped) == 0 &&", "", "extend: a timeout of its own"),
    Mutant("engine_apply.cpp", "command.cpu_level == default_level;", "true;", "extend: a level is more"),
    Mutant("engine_apply.cpp", "if (has_texts && has_any(texts, false) && ", "if (false && ", "extend: takes a reason"),
    Mutant(
        "engine_apply.cpp",
        "if (!fits || events.last() != told) place",
        "if (!fits) place",
        "a place after what was ended",
    ),
    Mutant(
        "engine_apply.cpp",
        "if (!fits || events.last() != told) place",
        "if (events.last() != told) place",
        "a place after growth",
    ),
    Mutant("engine_apply.cpp", "table.size() < limits.max_records && ", "", "limit of records, for an app"),
    Mutant(
        "engine_apply.cpp", "command.mask) && has_places();", "command.mask);", "places after they failed, for an app"
    ),
    Mutant("engine_apply.cpp", "if (record.armed <= now && !settle(app))", "if (false)", "an apply to what is due"),
    Mutant("engine_apply.cpp", "if (command.is_persist) record", "record", "merge: timed is not persistent"),
    Mutant("engine_apply.cpp", ".uid != command.uid;", ".uid > command.uid;", "a reused pid"),
    Mutant(
        "engine_apply.cpp",
        "is_levelled && ((fresh & rules.levelled) != 0 ||",
        "is_levelled && (true ||",
        "level kept by a renewal",
    ),
    Mutant(
        "engine_apply.cpp",
        "if (command.only_held) return renew(command, no_texts)",
        "if (false) return {}",
        "a renewal grants nothing anew",
    ),
    Mutant(
        "engine_apply.cpp",
        "if (command.only_held) return renew(command, texts)",
        "if (false) return {}",
        "nor does one with texts",
    ),
    Mutant(
        "engine_apply.cpp",
        "    settle_pair(process, app);\n    Command held",
        "    Command held",
        "a renewal of the due",
    ),
    Mutant(
        "engine_apply.cpp", "held.mask |= process_mask &", "held.mask = process_mask &", "renewal of app and process"
    ),
    Mutant(
        "engine_apply.cpp",
        "process != no_row && table.record(process).uid == command.uid)",
        "process != no_row)",
        "a renewal of another uid's process",
    ),
    Mutant("engine_apply.cpp", "tells = adds ||", "tells = adds &&", "the bundle of an event"),
    Mutant("engine_apply.cpp", "++(is_held ? renewed : granted);", "++(is_held ? granted : renewed);", "renewals"),
    # longest timeouts
    Mutant("manager.cpp", "request.timeout_ms > most", "request.timeout_ms >= most", "the longest timeout itself"),
    Mutant("manager.cpp", "(request.is_persist || request.timeout_ms", "(request.timeout_ms", "persistent is longer"),
    Mutant("manager.cpp", "request.is_apply ? types_to_cap(", "true ? types_to_cap(", "releases have no timeout"),
    Mutant("include/grantwheel/manager.hpp", "admission_.ask_quota = false;", ";", "the quota of the call before"),
    Mutant(
        "include/grantwheel/manager.hpp",
        "if (!manager_.has_one_standing_) use(",
        "if (false) use(",
        "the caller of each",
    ),
    Mutant("include/grantwheel/manager.hpp", "if (command.capped != 0) cap();", "", "timeouts of a plain call are cut"),
    Mutant("manager.cpp", "    has_one_standing_ = policy->has_one_standing();\n", "", "the callers of another policy"),
    Mutant("manager.cpp", " && (capped & rules.levelled) == 0;", ";", "the quota is asked about what is cut"),
    Mutant("engine_apply.cpp", "part.is_persist = false;", "", "what is cut is timed"),
    Mutant(
        "engine_apply.cpp",
        "part.timeout_ms = command.caps_ms[static_cast<std::size_t>(type)];",
        "",
        "a timeout for each type",
    ),
    Mutant("engine_apply.cpp", "types = mask & ~command.capped;", "types = mask;", "the others are not cut"),
    # limits
    Mutant("engine_apply.cpp", "more > limits.max_records", "more >= limits.max_records", "limit of records"),
    Mutant("engine_apply.cpp", "> limits.max_strings", ">= limits.max_strings", "limit of texts"),
    Mutant(
        "engine_apply.cpp",
        "> limits.max_strings) {\n        if (!end_one()) ",
        "> limits.max_strings) {\n        ",
        "what is due is freed before a limit is told",
    ),
    Mutant("engine_apply.cpp", "if (texts.reason == no_text) {", "{", "a reason that is held is not taken again"),
    Mutant("engine_apply.cpp", "} - std::size_t{reused};", "};", "the row of a reused pid counts as free"),
    # memory for an apply
    Mutant("engine_apply.cpp", "adds || !table.has_types(command.mask);", "adds;", "a type that is new to all"),
    Mutant("engine_apply.cpp", " && has_places()) return true;", ") return true;", "places after they failed"),
    Mutant("engine_apply.cpp", "command.mask) || !reserve_places();", "command.mask);", "places for new rows"),
    Mutant("engine_parts.hpp", "return places >= table.capacity();", "return true;", "whether there are places"),
    Mutant(
        "engine.cpp",
        "if (!scratch.reserve(rows) || !due.reserve(rows) || !wheel.reserve(rows)) return false;",
        "places = rows;\n    if (!scratch.reserve(rows) || !due.reserve(rows) || !wheel.reserve(rows)) return false;",
        "places are there when all of them are",
    ),
    Mutant("engine.cpp", "if (!scratch.reserve(rows) || !due", "if (!due", "places for sorting"),
    Mutant("engine.cpp", " || !wheel.reserve(rows)) return", ") return", "room for timers"),
    Mutant(
        "engine.cpp",
        "if (tracks_cpu_ended && !cpu_ended.reserve(rows + 1)) return false;",
        "",
        "places for uids that lost CPU",
    ),
    # settling and expiry
    Mutant(
        "engine_time.cpp", "while (table.record(row).armed <= now)", "while (table.record(row).armed < now)", "settle"
    ),
    Mutant("engine_time.cpp", "at <= now ? at : no_deadline", "at < now ? at : no_deadline", "due at its deadline"),
    Mutant("engine_time.cpp", "(deadline == at)", "(deadline <= now)", "an event per instant"),
    Mutant("engine_time.cpp", "process_at <= app_at", "process_at < app_at", "processes before apps in a settle"),
    Mutant("engine_time.cpp", "over.rest = std::min(over.rest, deadline);", ";", "re-arming what is left"),
    Mutant(
        "engine_time.cpp", "wheel.is_whole(slot) && last <= now;", "wheel.is_whole(slot);", "what ends together is due"
    ),
    Mutant(
        "engine_time.cpp", "? 0 : Wheel::slot_count - 1);", "? 0 : Wheel::slot_count);", "the last instant of a slot"
    ),
    Mutant(
        "engine_time.cpp", "may = due.empty() && ", "may = ", "what is being ended comes before what comes together"
    ),
    Mutant("engine_time.cpp", "std::sort(endings, end);", ";", "order of what ends together"),
    Mutant("engine_time.cpp", "if (over.rest > last) {", "if (true) {", "a record that ends twice among others"),
    Mutant("engine_time.cpp", "place[1] < place[0]; ++place)", "false; ++place)", "its place among them"),
    Mutant(
        "engine_time.cpp", "next != end && budget.endings != 0;", "next != end;", "the budget of what ends together"
    ),
    Mutant(
        "engine_time.cpp", "; next != end; ++next) wheel.put", "; false; ++next) wheel.put", "what a budget has left"
    ),
    Mutant("engine_time.cpp", "deadline = std::min(deadline, at);", "deadline = at;", "next_deadline is the earliest"),
    Mutant("wheel.cpp", "found > rows;", "found >= rows;", "a slot that can just be looked at"),
    Mutant("engine_time.cpp", "result.more = !due.empty();", "result.more = false;", "more is left after a budget"),
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
        "engine_release.cpp",
        "table.record(process).uid != uid) return 0;",
        "uid == 0) return 0;",
        "death of another's pid",
    ),
    Mutant(
        "engine_release.cpp", "std::rotate(scratch.begin(), first_app, scratch.end());", "", "apps before processes"
    ),
    Mutant("engine_release.cpp", "rules.mortal(), Cause::app", "rules.all, Cause::app", "retained types survive"),
    # taking types away, and events
    Mutant("engine_changes.hpp", "record.cpu_level = default_level;", "", "level without CPU"),
    Mutant(
        "engine_changes.hpp", "timed -= std::size_t{was_timed} - std::size_t{record.is_timed()};", "", "timed records"
    ),
    Mutant("engine.cpp", "if (parts_->timed == 0) return no_deadline;", "", "wake_at of timers that fire for nothing"),
    Mutant(
        "engine_changes.hpp", "if (is_app && tracks_cpu_ended &&", "if (tracks_cpu_ended &&", "only apps have a quota"
    ),
    Mutant("engine_changes.hpp", "strings.unpin(event.bundle);", "", "texts of overwritten events"),
    Mutant("engine_changes.hpp", "strings.drop(record.bundle);", "", "bundle of a record that goes"),
    Mutant(
        "engine_changes.hpp",
        "add_event(record.bundle) = {time,",
        "add_event(record.bundle) = {now,",
        "time of an ending",
    ),
    Mutant("engine_changes.hpp", "  pid,\n", "  record.pid,\n", "pid of an apply"),
    Mutant("events.hpp", "ring_.push({});", "ring_.push({.bundle = 1});", "which text was overwritten"),
    Mutant("events.hpp", "++next_ == capacity_", "++next_ + 1 == capacity_", "the last place of the ring"),
    Mutant(
        "events.hpp",
        "last < capacity_ ?",
        "last <= capacity_ + 1 ?",
        "the oldest event, at the first overwrite",
    ),
    Mutant("engine_queries.cpp", "result.missed = events.first() - sequence;", "", "number of missed events"),
    # queries
    Mutant("engine_queries.cpp", ".deadline <= at)", ".deadline < at)", "reads look past the due"),
    Mutant("engine_queries.cpp", "owner > *after", "owner >= *after", "the next page of a listing"),
    Mutant("engine_queries.cpp", "owner < out_.front()", "owner > out_.front()", "the first owners of many"),
    # wheel
    Mutant("wheel.cpp", "start <= slot.start)", "start < slot.start)", "a half-emptied level comes first"),
    Mutant("wheel.hpp", "(slot.level == 1 && (occupied_words_ & lowest) == 0);", "slot.level == 1;", "a slot in part"),
    Mutant("wheel.hpp", "if (current_ % slot_count == 0) return", "if (false) return", "a slot that was entered"),
    Mutant("wheel.cpp", "if (word == 0) occupied_words_", "occupied_words_", "occupied words"),
    Mutant("wheel.cpp", "<< (level + 1) * words;", "<< (level + 2) * words;", "the first slot of each level"),
    Mutant("wheel.cpp", "records[top].place = record.place;", "", "place of the row that fills a hole"),
    Mutant("wheel.cpp", "below == no_tray ? 0 : Tray::size", "0", "the tray below the topmost"),
    Mutant("wheel.cpp", "records[rows[i]].slot = no_slot;", "", "a row that was popped"),
    Mutant(
        "wheel.hpp",
        "(63 - std::countl_zero(difference | 1))",
        "(62 - std::countl_zero(difference | 1))",
        "level of a timer",
    ),
    # table and indexes
    Mutant(
        "engine_changes.hpp", "table.count_out(record.kind, std::countr_zero(going));", "", "counts of what is taken"
    ),
    Mutant("table.hpp", "masks_[row] = record.mask;", "", "the mask for scans"),
    Mutant(
        "table.cpp",
        "own = {links_[first].next, first};",
        "own.next = links_[first].next;",
        "links of the records of a uid",
    ),
    Mutant("table.cpp", "if (next != no_row) links_[next].previous = previous;", "", "links after a removal"),
    Mutant("table.hpp", "--free_count_;", "", "number of free rows"),
    Mutant("table.hpp", "free_ = records_[row].uid;", "", "a free row is taken once"),
    Mutant("table.hpp", "++free_count_;", "", "number of rows that were freed"),
    Mutant("table.cpp", "uids_.replace(records_[row].uid, place, row);", "", "an app is found before its processes"),
    Mutant("table.cpp", "links_[first].previous = row;\n", "\n", "link from the first process to a new app"),
    Mutant("table.cpp", "uids_.replace(uid, place_of_uid(uid), next);", "", "a uid whose first record went"),
    Mutant("table.cpp", "mask | reserved_mask_, [", "mask, [", "arrays of types held before grow too"),
    Mutant("table.cpp", "reserved_mask_ |= mask;", "", "which types have memory"),
    Mutant(
        "table.cpp", "if (!reserved || ", "reserved_mask_ |= mask;\n    if (!reserved || ", "types whose memory failed"
    ),
    Mutant("table.cpp", "first_of(uid) == no_row ? 1 : 0;", "0;", "room in the index for a new uid"),
    Mutant("table.cpp", "reserve_index(uids, processes, rows)", "reserve_index(uids, 0, rows)", "room for pids"),
    Mutant("table.cpp", "mask & reserved_mask_, [", "mask, [", "asking for the grants of a type without memory"),
    Mutant("table.hpp", "(mask & ~reserved_mask_) == 0", "true", "whether types have memory"),
    Mutant("table.hpp", "return has_types(mask) && ", "return ", "room for types"),
    Mutant("table.cpp", "if (linked || is_linked_) reserved", "if (linked) reserved", "links of new rows"),
    Mutant("table.hpp", "if (is_linked_) links_[row] = {no_row, no_row};", "", "links of a new record"),
    Mutant("table.hpp", "rows <= capacity()", "rows <= capacity() + 1", "room for one row too many"),
    Mutant("table.hpp", "uids_.has_room(1, rows)", "uids_.has_room(0, rows)", "room for one uid too many"),
    Mutant("table.hpp", "pids_.has_room(processes, rows)", "pids_.has_room(0, rows)", "room for one pid too many"),
    Mutant("number_index.hpp", "= row;\n        ++in_window_;\n", "= row;\n", "entries that come to the window"),
    Mutant(
        "number_index.hpp", "= no_row;\n            --in_window_;\n", "= no_row;\n", "entries that leave the window"
    ),
    Mutant("number_index.hpp", " && others_.count() < next_survey_;", ";", "when a survey is due"),
    Mutant("number_index.hpp", "        if (!most.has(number)) return;\n", "", "how far a window reaches"),
    Mutant("number_index.hpp", "extend_to_window(span, most);\n", "", "what the window has stays in it"),
    Mutant(
        "number_index.hpp", "others_.has_room(count(), rows);", "true;", "room for what goes to the hash index first"
    ),
    Mutant(
        "number_index.hpp", "if (!is_enough && is_kept(i)) {", "if (is_kept(i)) {", "what goes to the hash index first"
    ),
    Mutant(
        "number_index.hpp", "return std::min(others_.count() + more, rows);", "return others_.count();", "room for more"
    ),
    Mutant("number_index.hpp", "                --in_window_;\n", "", "entries that leave for the hash index"),
    Mutant("number_index.hpp", "comes < goes + others_.count() / 4", "false", "surveys that lose more than they gain"),
    Mutant("number_index.hpp", "            ++in_window_;\n", "", "entries that a survey moves"),
    Mutant("number_index.hpp", "i > kept && !is_kept(i - 1)", "i > 0 && !is_kept(i - 1)", "what a survey counts twice"),
    Mutant("number_index.hpp", "std::max({smallest, ", "std::max({std::size_t{1}, ", "the least reach of a window"),
    Mutant("number_index.hpp", "smallest, reserved_ * sparsest, ", "smallest, ", "a window for those to come"),
    Mutant("number_index.hpp", "(span.last - span.first) / 4", "0u", "a window for numbers that go up"),
    Mutant("number_index.hpp", "if (row != no_row) visit(row);", "visit(row);", "unused places of a window"),
    Mutant("number_index.hpp", "return row == no_row ? 0 : row;", "return row;", "guessing who is not there"),
    Mutant(
        "row_index.hpp", "erase_at(i, hash_of);  // which", "erase_at(i++, hash_of);  // which", "erasing neighbours"
    ),
    Mutant("row_index.hpp", "            --most;\n", "", "the first entries only"),
    Mutant("table.hpp", "(more > free_count_ ? more - free_count_ : 0)", "more", "free rows are room"),
    Mutant("table.hpp", "(more > free_count_ ? more - free_count_ : 0)", "0", "rows that are not free"),
    Mutant(
        "row_index.hpp", "(entry & longest_) < (wanted", "(entry & longest_) <= (wanted", "where a look-up may stop"
    ),
    Mutant(
        "row_index.hpp",
        "if (!is_longest(entry) || distance(",
        "if (!is_longest(entry) || false && distance(",
        "order of entries of long distances",
    ),
    Mutant("row_index.hpp", "i) < distance(hash, i))", "i) <= distance(hash, i))", "stopping past long distances"),
    Mutant(
        "row_index.hpp", "if (is_longest(wanted)) return locate_far", "if (false) return locate_far", "long look-ups"
    ),
    Mutant("row_index.hpp", "moved = farther(moved);", "", "distance of an entry that makes way"),
    Mutant(
        "row_index.hpp", "is_longest(entry) ? entry : entry + one()", "entry + one()", "the longest distance stays so"
    ),
    Mutant(
        "row_index.hpp", "*at = place.pattern | row;\n        ++count_;", "*at = place.pattern | row;", "entries added"
    ),
    Mutant("row_index.hpp", "hole[moved] = unused;\n        --count_;", "hole[moved] = unused;", "entries taken away"),
    Mutant(
        "row_index.hpp", "if (stops == 0) return {no_row", "if (false) return {no_row", "look-ups past eight places"
    ),
    Mutant(
        "row_index.hpp", "longest_}).less(steps)", "longest_}).less(steps + Eight{one()})", "where eight places stop"
    ),
    Mutant("row_index.hpp", "Eight{2 * one()}", "Eight{one()}", "which of eight entries move back"),
    Mutant("row_index.hpp", "(longest & (stops - 1)) != 0", "false", "moving long distances back together"),
    Mutant("row_index.hpp", "Eight{one()}.without(far)", "Eight{one()}", "making way with the longest distance"),
    Mutant("row_index.hpp", "Eight::first(before_first(unused_ones))", "Eight::first(8)", "which of eight make way"),
    Mutant("row_index.hpp", "longest_ >> 31 == 0", "true", "few bits for distances"),
    Mutant(
        "row_index.hpp",
        "if (far(before, (at - 1) & mask, hash_of) >= at - 1 - wanted) break;",
        "break;",
        "laying out in another order",
    ),
    Mutant(
        "row_index.hpp", "entries_[at & mask] = farther(before);", "entries_[at & mask] = before;", "laying out farther"
    ),
    Mutant(
        "row_index.hpp",
        "(nearer & longest_) == 0) break;",
        "(nearer & longest_) <= one()) break;",
        "which entries move back",
    ),
    Mutant("row_index.hpp", "saved(steps - 1)", "saved(steps)", "distance of an entry that moves back"),
    Mutant("row_index.hpp", "is_longest(entry) ? nearer_far(", "false ? nearer_far(", "removal past long distances"),
    Mutant(
        "row_index.hpp",
        "std::min<std::size_t>(far + 1, longest_ >> row_bits_)",
        "(far + 1)",
        "a distance that is too long for its bits",
    ),
    Mutant("row_index.hpp", " && rows <= row_mask_;", ";", "room for wider rows"),
    Mutant("row_index.hpp", "return count <= limit() && rows", "return count <= limit() + 1 && rows", "used entries"),
    Mutant("row_index.hpp", "bit_width(std::max(last_row, limit()))", "bit_width(limit())", "bits for wide rows"),
    Mutant("row_index.hpp", "other.hash_bits() >= hash_bits()", "true", "whether entries tell enough of a hash"),
    Mutant("row_index.hpp", "other.hash_bits() >= hash_bits()", "false", "growing without the records"),
    Mutant(
        "row_index.hpp", "is_known && !other.is_longest(entry)", "is_known", "the hash of an entry far from its home"
    ),
    Mutant("row_index.hpp", "(i - steps(entry))", "(i + 1 - steps(entry))", "the home that an entry tells"),
    Mutant("row_index.hpp", "if (entry == unused) continue;", "", "unused entries are not laid out anew"),
    Mutant("index.hpp", "< ((i - hole)", "<= ((i - hole)", "which entries of a text index move back"),
    # hashes
    Mutant("hash.hpp", "(number ^ mask_) * factor_;", "number * factor_;", "every bit of a key"),
    Mutant("hash.hpp", "hash ^= hash >> 32;", "", "rows of numbers"),
    Mutant("hash.cpp", "{text.size()} << 56 | rest_of(text)", "{text.size()} << 56", "the last bytes of a text"),
    Mutant("hash.cpp", "v2_ ^= 0xFF;", "v2_ ^= 0xEE;", "SipHash"),
    # texts
    Mutant("strings.hpp", "users++ == 0) ++used_count_;", "users++ <= 1) ++used_count_;", "number of texts in use"),
    Mutant("strings.hpp", "--used_count_;\n        discard(id);", "--used_count_;", "a text without users goes"),
    Mutant("strings.hpp", "--texts_[id].pins == 0) discard(id);", "--texts_[id].pins == 0) {}", "nor without pins"),
    Mutant(
        "strings.cpp",
        "(kept.users != 0 || kept.pins != 0) return;",
        "(kept.users != 0) return;",
        "a pinned text stays",
    ),
    Mutant("strings.cpp", "length <= unit ? 0", "length <= unit + 1 ? 0", "room for a text of 17 bytes"),
    # memory
    Mutant("array.hpp", "size_ * sizeof(T));", "size_);", "an array that grows keeps its elements"),
    Mutant("rows.hpp", "for (std::size_t row = size_; row < end;)", "for (std::size_t row = 0; row < end;)", "touch"),
    Mutant("rows.hpp", "chunk_rows - row % chunk_rows)", "chunk_rows)", "touching ends with a chunk"),
    Mutant("rows.hpp", "while (capacity() < count)", "if (capacity() < count)", "several chunks at once"),
    Mutant("rows.hpp", "return chunk == 0 ?", "return chunk != 0 ?", "which chunks are large blocks"),
    Mutant("rows.hpp", "free_block(chunks_[i], chunk_bytes, backing(i));", "{}", "chunks are given back"),
    # the log
    Mutant(
        "checksum.cpp",
        "filled + bytes.size() < stripe",
        "filled + bytes.size() <= stripe",
        "a hash of whole stripes",
    ),
    Mutant("bytes.hpp", "value <= most ? value : fail()", "value", "a byte above what it may be"),
    Mutant("bytes.hpp", "(next == 0 && shift != 0) || ", "", "a number in a longer form"),
    Mutant("bytes.hpp", " || value > most ? fail()", " ? fail()", "a number above what it may be"),
    Mutant("bytes.hpp", "bits << shift >> shift != bits", "false", "a number of more than 64 bits"),
    Mutant("op.cpp", "!= check_of_op(bytes.first(op_head + body))) return", "== 0) return", "the check of an op"),
    Mutant("op.cpp", "reader.left() < body + op_check", "reader.left() < body", "an op without its check"),
    Mutant("frame.hpp", "out.size() < op_head + body + op_check", "out.size() < op_head + body", "room for the check"),
    Mutant("op.cpp", " || reader.left() != 0) return", ") return", "bytes that an op has too many"),
    Mutant("op.cpp", "if (op.endings == 0) reader.fail();", "", "an advance that ends nothing"),
    Mutant("op.cpp", "Manager::check(op.command) == Status::ok", "true", "a command that no one may execute"),
    Mutant("op.cpp", " || command.kind != CommandKind::apply) reader", ") reader", "longest timeouts of a release"),
    Mutant("op.cpp", "if (command.capped == 0 || ", "if (", "the flag of longest timeouts without any"),
    Mutant("batch.cpp", "(capped & ~bundle(number).types) == 0", "true", "longest timeouts that a bundle has not"),
    Mutant("batch.cpp", "if (most == 0) reader.fail();", "", "a longest timeout of nothing"),
    Mutant("batch.cpp", "count_ == 0 || count_ > ", "count_ > ", "a batch without rows"),
    Mutant("batch.cpp", " && number <= bundle_count_", "", "a bundle that there is not"),
    Mutant(
        "batch.cpp", "return found.is_sound && is_utf8(found.name);", "return found.is_sound;", "a name of a bundle"
    ),
    Mutant("batch.cpp", "if (is_known && has_caps(", "if (is_known || has_caps(", "bundles by their place"),
    Mutant(
        "batch.cpp",
        "numbers[name] != 0 && has_caps(numbers[name], command)",
        "numbers[name] != 0",
        "two rules of a bundle",
    ),
    Mutant("batch.cpp", "        parts.numbers[name] = 0;\n", "", "bundles of the batch before"),
    Mutant("batch.cpp", "place.batch == batch && ", "", "a bundle that lay there in another batch"),
    Mutant("batch.cpp", "        parts.strings.drop(name);\n", "", "names of bundles that no batch has any more go"),
    Mutant("command_bytes.hpp", "(command.only_held ? command_flag::only_held : 0u) + ", "", "a renewal is on record"),
    Mutant("op.cpp", "    command.only_held = (flags & command_flag::only_held) != 0;\n", "", "what is a renewal"),
    Mutant("op.cpp", "is_newer = !is_known || (", "is_newer = (", "an op of a newer version"),
    Mutant("op.cpp", "return is_limit ? Status::ok : status;", "return status;", "a limit is an answer of a replay"),
    Mutant(
        "op.cpp", " && !engine.lacked_memory();", ";", "a replay that lacked memory is not the state that is on record"
    ),
    Mutant("op.cpp", "return has_lacked ? ", "return false ? ", "memory that a row of a replay lacked"),
    Mutant("engine.cpp", ".endings = records}", ".endings = SIZE_MAX}", "an advance on record"),
    Mutant("engine.cpp", "stopped && parts_->ends_next()", "stopped", "what a look knows"),
    # the canonical order
    Mutant(
        "sorter.cpp", "std::sort(keys_.begin() + start_", "if (false) std::sort(keys_.begin() + start_", "runs in order"
    ),
    Mutant("sorter.cpp", "key(child + 1) < key(child)", "key(child + 1) > key(child)", "the first of all runs"),
    Mutant("sorter.cpp", "if (runs_.size() == 0) break;", "", "the end of the last run"),
    Mutant("sorter.cpp", "page_keys_.first += count;", "page_keys_.first += 1;", "what was taken of a page"),
    Mutant(
        "engine_time.cpp",
        "found && slot.level == 0 && slot.start == ending",
        "false",
        "what is due comes together first",
    ),
    Mutant("engine_time.cpp", "if (!is_popped(row)) continue;", "", "a row that was dealt with meanwhile"),
    Mutant(
        "engine_time.cpp",
        "ends = is_popped(row) && table.mask(row) != 0",
        "ends = is_popped(row)",
        "a row that was freed meanwhile",
    ),
    Mutant("engine_parts.hpp", "advance({.endings = 1})", "advance({.endings = 2})", "one record at a time at a limit"),
    Mutant("engine.cpp", "if (!parts_->due.empty()) return parts_->ending;", "", "wake_at of what is being ended"),
    Mutant("engine.cpp", "!due.reserve(rows) || ", "", "places for what is due"),
    # snapshots
    Mutant("events.hpp", "last_ = before_ = sequence;", "before_ = sequence;", "numbers of events go on"),
    Mutant("events.hpp", "(sequence - before_ - 1)", "(sequence - 1)", "places of events that go on"),
    Mutant("engine_parts.hpp", "return granted + renewed + ", "return ", "a state that changes while it is written"),
    Mutant("snapshot_write.cpp", "first = std::min(first, engine.earliest(row));", "", "the earliest deadline"),
    Mutant("snapshot_write.cpp", "start, full_body);", "start, full_body * 4);", "the size of a section"),
    Mutant("snapshot_write.cpp", "if (number != 0) return writer.number(number);", "", "a text stands there once"),
    Mutant("snapshot_read.cpp", "!= file.value()) return", "== 0) return", "the check of a section"),
    Mutant("snapshot_read.cpp", "is_done || !may_come(kind)", "is_done", "the order of sections"),
    Mutant("snapshot_read.cpp", " || place <= last) return", ") return", "the order of records"),
    Mutant("snapshot_read.cpp", "(is_app || (mask & ~rules.per_process) == 0) && ", "", "what a process may hold"),
    Mutant("snapshot_read.cpp", "(has_level || level == default_level)", "true", "a level without CPU"),
    Mutant("snapshot_read.cpp", " || engine->strings.find(text) != no_text) return", ") return", "one text twice"),
    Mutant("snapshot_read.cpp", "++parts.timed;", "", "timed records of a snapshot"),
    Mutant("snapshot_read.cpp", "reader.number() == engine->table.size() && ", "", "the number of records"),
    # marks, other limits, recoveries
    Mutant("engine_recovery.cpp", "if (mark.boot_ms > max_now) return", "if (false) return", "an instant of a boot"),
    Mutant("engine_recovery.cpp", "rules.mortal()", "rules.all", "what a start keeps of an app"),
    Mutant(
        "engine_recovery.cpp", "is_popped(row) && earliest(row) != ending", "false", "the timer of what is being ended"
    ),
    Mutant(
        "engine_recovery.cpp",
        "std::max(events.first(), others.first_of(events.last()))",
        "events.first()",
        "events that do not fit",
    ),
    Mutant("engine_recovery.cpp", "strings.unpin(events.at(sequence).bundle);", "", "the texts of events that go"),
    Mutant(
        "engine_recovery.cpp", "begin_after(kept - 1)", "begin_after(kept)", "the numbers of events in another ring"
    ),
    Mutant("engine_recovery.cpp", "table.size() > wanted.max_records || ", "", "records that do not fit"),
    Mutant("engine_recovery.cpp", " || strings.used_count() > wanted.max_strings", "", "texts that do not fit"),
    Mutant("engine_recovery.cpp", "if (!end_one()) return", "return", "what is due makes room for other limits"),
    Mutant("engine_recovery.cpp", "!apps.ascend_to(max_uid) || ", "", "uids that do not ascend"),
    Mutant(
        "engine_apply.cpp",
        "if constexpr (kind == OwnerKind::process) table.applied",
        "if (fresh != 0 && kind == OwnerKind::process) table.applied",
        "the last apply is a renewal",
    ),
    Mutant(
        "engine_parts.hpp",
        " + ended[static_cast<std::size_t>(Cause::recovered)]",
        "",
        "a recovery while a snapshot is written",
    ),
    Mutant("table.cpp", " && applied_.reserve(all)", "", "memory for the last apply"),
    Mutant("op.cpp", "if (!keys.ascend_to(most)) reader.fail();", "", "keys of a recovery that do not ascend"),
    Mutant("op.cpp", " || op.kind == OpKind::limits", "", "limits that are refused in a replay"),
    Mutant("mark.hpp", "if (limits.first_invalid() != nullptr) reader.fail();", "", "limits of nothing"),
    Mutant(
        "mark.hpp",
        "mark.boot_ms = reader.number(max_now)",
        "mark.boot_ms = reader.number()",
        "an instant of a boot in bytes",
    ),
    Mutant(
        "snapshot_read.cpp",
        "found.applied = reader.number(engine->now)",
        "found.applied = reader.number()",
        "a last apply that is yet to come",
    ),
    Mutant("snapshot_read.cpp", "parts.table.applied(row) = found.applied;", ";", "the last apply in a snapshot"),
    Mutant("snapshot_write.cpp", "has_mark ? Step::mark : Step::counters", "Step::counters", "the mark of a snapshot"),
    Mutant("snapshot_read.cpp", "    record.cpu_level = found.level;\n", "", "the level of a record"),
    Mutant("snapshot_read.cpp", "reader.fixed<std::uint64_t>() == state.value();", "true;", "the hash of the state"),
    Mutant(
        "snapshot_read.cpp",
        "grant.deadline >= std::max<Instant>(first, grant.timeout_ms)",
        "true",
        "a deadline before all others",
    ),
    Mutant(
        "snapshot_read.cpp",
        "    if (engine->strings.used_count() > engine->limits.max_strings) return Status::out_of_memory;\n",
        "",
        "texts that fit",
    ),
    Mutant("snapshot_read.cpp", "parts.table.size() == parts.limits.max_records", "false", "records that fit"),
    # notes
    Mutant("op.cpp", "if (note.key <= last) reader.fail();", "", "keys of notes that do not ascend"),
    Mutant("op.cpp", " || op.kind == OpKind::notes", "", "notes that are refused in a replay"),
    Mutant(
        "notes.cpp",
        "if (count > max_notes || bytes > max_notes_bytes) return",
        "if (false) return",
        "the limit of notes",
    ),
    Mutant("notes.cpp", "    ++writes_;\n", "", "a write while a snapshot is written"),
    Mutant("notes.cpp", "kept += place - next;", "kept = place;", "what lies between two notes that go"),
    Mutant("snapshot_read.cpp", " && rest.size() == 0);", ");", "half a note at the end of a snapshot"),
    Mutant("snapshot_read.cpp", "has_all_notes = part.size() < full_notes;", "", "sections of notes that are not full"),
    Mutant(
        "snapshot_read.cpp", "!ascends || !note.has_value || ", "!ascends || ", "a note of a snapshot without a value"
    ),
    # the documented calls
    Mutant(
        "manager.cpp",
        "request.cpu_level <= rule.level_limit",
        "request.cpu_level < rule.level_limit",
        "the level limit",
    ),
    Mutant("manager.cpp", "!= 0 && !request.is_process &&", "!= 0 &&", "quota is asked for apps alone"),
    Mutant("text.cpp", "lead == 0xED && second >= 0xA0;", "false;", "a lone surrogate"),
)
