"""The mistakes that `mutants.py` puts into suspension and freezers, one at a time: as root, as some tests need it."""

from typing import Final

from mutant_list_python import PythonMutant

_SUSPEND: Final = "python/grantwheel/suspend"
_LINUX: Final = "python/grantwheel/linux"

SUSPEND_MUTANTS: Final = (
    # when, and why
    PythonMutant(
        f"{_SUSPEND}/app.py",
        "        if not self.undo:\n            self.try_ms = now_ms\n",
        "",
        "what could not be thawed is looked at when it is to rest again",
        "test_suspension_failures could_not_be_thawed",
    ),
    PythonMutant(
        f"{_SUSPEND}/app.py",
        "        self.began_ms = now_ms\n        self.polls = 0\n        self.thaw_failures = 0\n",
        "        self.polls = 0\n        self.thaw_failures = 0\n",
        "freezing has its time each time",
        "test_suspension_failures",
    ),
    PythonMutant(
        f"{_SUSPEND}/app.py",
        "(self.audio and self.plays, Keeper.AUDIO)",
        "(self.audio, Keeper.AUDIO)",
        "AUDIO keeps up while it plays",
        "test_suspension_real may_not_have",
    ),
    PythonMutant(
        f"{_SUSPEND}/app.py",
        "self.idle_since_ms = max(self.idle_since_ms, at_ms)",
        "self.idle_since_ms = at_ms",
        "what is told late cuts no grace short",
        "test_suspension grace",
    ),
    PythonMutant(
        f"{_SUSPEND}/app.py",
        "        if not set(before) <= set(now):",
        "        if not now:",
        "whatever goes last, the grace counts from there",
        "test_suspension_model as_the_model",
    ),
    PythonMutant(
        f"{_SUSPEND}/app.py",
        "self.is_leaving or self.is_over or self.keepers()",
        "self.is_leaving or self.keepers()",
        "nobody is frozen behind the end",
        "test_suspension_model behind_the_end",
    ),
    PythonMutant(
        f"{_SUSPEND}/decide.py",
        "            app.idle_since_ms = now_ms\n            app.window_ms = 0\n",
        "            app.idle_since_ms = now_ms\n",
        "the time for an event ends with the foreground",
        "test_suspension time_for_an_event",
    ),
    PythonMutant(
        f"{_SUSPEND}/decide.py",
        "        elif not app.frozen and now_ms >= app.began_ms",
        "        elif now_ms >= app.began_ms",
        "one that has escaped has its time to be frozen",
        "test_suspension_model as_the_model",
    ),
    PythonMutant(
        f"{_SUSPEND}/decide.py",
        "            app.frozen = False  # nobody knows any more\n",
        "",
        "a look that fails is no suspension",
        "test_suspension_failures look_that_fails",
    ),
    PythonMutant(
        f"{_SUSPEND}/grants.py",
        "        if self._subscription.missed != self._missed:\n",
        "        if False:\n",
        "events that were overwritten are made up for",
        "test_suspension overwritten",
    ),
    PythonMutant(
        f"{_SUSPEND}/work.py",
        "        for _ in range(_LAST_ATTEMPTS):\n",
        "        for _ in range(1):\n",
        "the end tries more than once",
        "test_suspension_failures close_tries",
    ),
    PythonMutant(
        f"{_SUSPEND}/work.py",
        "            if len(self._grants) != len(self.decider):\n                self._grants.keep(self.decider)\n",
        "",
        "who is not known any more is not followed",
        "test_suspension not_followed",
    ),
    # notes
    PythonMutant(
        f"{_LINUX}/freezers_notes.py",
        "            if is_synced:\n                os.fsync(self._descriptor)\n",
        "",
        "notes are synced first",
        "test_freezers_notes on_the_disk",
    ),
    PythonMutant(
        f"{_LINUX}/freezers_notes.py",
        "            os.ftruncate(self._descriptor, end)\n            self._is_torn = False\n",
        "            self._is_torn = False\n",
        "half a line is taken back",
        "test_freezers_crash failure_at_every_step",
    ),
    PythonMutant(
        f"{_LINUX}/freezers_notes.py",
        "        self._is_torn = True\n",
        "",
        "what could not be taken back is begun anew",
        "test_freezers_hostile begun_anew",
    ),
    PythonMutant(
        f"{_LINUX}/freezers_notes.py",
        "words[2] == boot",
        "True",
        "notes of another boot mean nobody",
        "test_freezers_notes not_meant",
    ),
    PythonMutant(
        f"{_LINUX}/freezers_notes.py",
        "            if status.st_nlink == 0:  #",
        "            if False:  #",
        "a file that was removed while it was made is none",
        "test_freezers_notes while_it_was_made",
    ),
    PythonMutant(
        f"{_LINUX}/freezers_notes.py",
        "        return self if os.fstat(descriptor).st_nlink else None\n",
        "        return self\n",
        "a file that another has dealt with is not dealt with again",
        "test_freezers_notes dealt_with",
    ),
    PythonMutant(
        f"{_LINUX}/freezers_thaw.py",
        "        if len(self._failures) > failed:\n            return  # it is",
        "        if False:\n            return  # it is",
        "what could not be thawed stays in the notes",
        "test_freezers_notes stays_in_the_notes",
    ),
    PythonMutant(
        f"{_LINUX}/freezers_thaw.py",
        "        if not is_at_rest(proc, frozen):  #",
        "        if False:  #",
        "who was never stopped need not be continued",
        "test_freezers_signal may_not_be_signalled",
    ),
    PythonMutant(
        f"{_LINUX}/freezers_noting.py",
        "                goes_on |= thaw(self._proc, one)\n            except FreezeError as error:\n",
        "                goes_on |= thaw(self._proc, one)\n            except ZeroDivisionError as error:\n",
        "one that cannot be thawed holds up no other",
        "test_freezers_signal holds_up_no_other",
    ),
    PythonMutant(
        f"{_LINUX}/freezers_noting.py",
        "        if failure is not None and goes_on:\n",
        "        if failure is not None and not goes_on:\n",
        "what goes on is told from what stands still as a whole",
        "test_freezers_signal holds_up_no_other",
    ),
    PythonMutant(
        "python/grantwheel/suspend/decide.py",
        "        if is_partly and app.frozen:\n",
        "        if app.frozen and not is_partly:\n",
        "who goes on in part is not called suspended",
        "test_suspension_failures thawed_in_part",
    ),
    # processes
    PythonMutant(
        f"{_LINUX}/freezers_process.py",
        "        if seen is None or seen.process != process:\n            return False\n",
        "        if seen is None:\n            return False\n",
        "whoever has got the pid is not meant",
        "test_freezers_hostile got_the_pid",
    ),
    PythonMutant(
        f"{_LINUX}/freezers_process.py",
        "        return self.state in _ENDED and self.threads < 2\n",
        "        return self.state in _ENDED\n",
        "a process whose first thread has ended runs",
        "test_freezers_signal first_thread",
    ),
    PythonMutant(
        f"{_LINUX}/freezers_process.py",
        "        found[leader] =",
        "        found[-leader] =",
        "the leader of the session is not frozen",
        "test_freezers_signal leader",
    ),
    PythonMutant(
        f"{_LINUX}/freezers_signal.py",
        "        self._notes.add(uid, new)\n        for process in (*new, *moving):\n"
        "            send(self._proc, process, signal.SIGSTOP)\n",
        "        for process in (*new, *moving):\n            send(self._proc, process, signal.SIGSTOP)\n"
        "        self._notes.add(uid, new)\n",
        "it is noted first",
        "test_freezers_crash crash_at_every_step",
    ),
    PythonMutant(
        f"{_LINUX}/freezers_signal.py",
        '        return seen.state == b"T" and is_at_rest(self._proc, seen.process)\n',
        "        return False\n",
        "what others have stopped stays stopped",
        "test_freezers_signal others_have_stopped",
    ),
    PythonMutant(
        f"{_LINUX}/freezers_signal.py",
        "        for process in (*new, *moving):\n",
        "        for process in new:\n",
        "whoever was continued is stopped again",
        "test_freezers_signal continued_by_others",
    ),
    # cgroups
    PythonMutant(
        f"{_LINUX}/freezers_cgroup.py",
        "            if not there.is_told_to_freeze():\n",
        "            if True:\n",
        "what others have frozen stays frozen",
        "test_freezers_cgroup others_have_frozen",
    ),
    PythonMutant(
        f"{_LINUX}/freezers_cgroup.py",
        "            if before and there.group not in before:\n",
        "            if False:\n",
        "an app that is elsewhere now is thawed where it was",
        "test_freezers_cgroup of_another_name",
    ),
    PythonMutant(
        f"{_LINUX}/freezers_cgroup.py",
        " if not self._hierarchy.has_gone(name)}",
        " if name}",
        "a cgroup that is no more has nobody in it",
        "test_freezers_cgroup found_from",
    ),
    PythonMutant(
        f"{_LINUX}/freezers_cgroup.py",
        "read_uid(self._proc, pid) if pid > 0 else",
        "read_uid(self._proc, pid) if True else",
        "whoever is of an outer pid namespace is another",
        "test_freezers_hostile outer_pid",
    ),
    PythonMutant(
        f"{_LINUX}/freezers_group.py",
        "                if there.group != group:\n                    return False\n",
        "",
        "another cgroup of that name is not thawed",
        "test_freezers_cgroup at_the_next_start",
    ),
    PythonMutant(
        f"{_LINUX}/freezers_group.py",
        "        if path.resolve() != path or os.fstat",
        "        if os.fstat",
        "no link leads out of the cgroups",
        "test_freezers_hostile no_link",
    ),
    PythonMutant(
        f"{_LINUX}/freezers_group.py",
        '    if ".." in mount.root.parts:\n',
        "    if False:\n",
        "a mount of another cgroup namespace is refused",
        "test_freezers_hostile another_cgroup_namespace",
    ),
)
