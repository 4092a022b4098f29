"""The mistakes that `mutants.py` puts into transient and continuous tasks, one at a time: nothing is built for them."""

from typing import Final

from mutant_list_python import PythonMutant

_TASKS: Final = "python/grantwheel/tasks"

TASK_MUTANTS: Final = (
    PythonMutant(
        f"{_TASKS}/transient_state.py",
        "        if self.foreground and is_screen_on:\n",
        "        if self.foreground:\n",
        "requests run while the screen is off",
        "test_transient_rules dark_screen",
    ),
    PythonMutant(
        f"{_TASKS}/transient_state.py",
        "        left_at = at if self.foreground and not foreground else self.left_at\n",
        "        left_at = at if not foreground else self.left_at\n",
        "who leaves the foreground was in it",
        "test_transient_rules was_not_in_the_foreground",
    ),
    PythonMutant(
        f"{_TASKS}/transient_state.py",
        "            return Due(request.called_at + figures.forced_ms",
        "            return Due(request.called_at + figures.notice_ms",
        "the forced end has a figure of its own",
        "test_transient_rules figures_can_be_others",
    ),
    PythonMutant(
        f"{_TASKS}/transient.py",
        "now - owner.left_at > figures.window_ms:",
        "now - owner.left_at >= figures.window_ms:",
        "the last instant of the window",
        "test_transient_rules five_seconds",
    ),
    PythonMutant(
        f"{_TASKS}/transient.py",
        "        if now - device.reset_at <= self._figures.day_ms:\n",
        "        if now - device.reset_at < self._figures.day_ms:\n",
        "a day is more than 24 hours",
        "test_transient_rules after_more_than_24_hours",
    ),
    PythonMutant(
        f"{_TASKS}/transient.py",
        "            self._begin_day(draft, now)\n            draft.keep()\n",
        "            self._begin_day(draft, now)\n",
        "a refused request begins a day",
        "test_transient_rules new_day_comes_after",
    ),
    PythonMutant(
        f"{_TASKS}/transient.py",
        "            if self._callbacks.get(request.callback) == request.id:\n",
        "            if True:\n",
        "a callback that goes from app to app",
        "test_transient_rules from_app_to_app",
    ),
    PythonMutant(
        f"{_TASKS}/transient.py",
        "now if end is None else min(now, end)",
        "now",
        "what had to end is charged until then",
        "test_transient_rules charged_for_no_longer",
    ),
    PythonMutant(
        f"{_TASKS}/store.py",
        "            draft.rewind()\n",
        "",
        "a refused call changes nothing",
        "test_transient_rules",
    ),
    PythonMutant(
        f"{_TASKS}/store.py",
        "            self._is_torn = True\n",
        "",
        "an interrupt in the middle of a change",
        "test_transient_rules interrupt",
    ),
    PythonMutant(
        f"{_TASKS}/continuous.py",
        "            if task.modes == _ascending(wanted):\n                return\n",
        "",
        "the same modes are no change",
        "test_continuous_rules same_modes",
    ),
    PythonMutant(
        f"{_TASKS}/continuous.py",
        "        if tasks and len(tasks) == len(self._of_uid[tasks[0].uid]):\n",
        "        if tasks:\n",
        "only the last task of a uid ends the app's",
        "test_continuous_rules last_task",
    ),
    PythonMutant(
        f"{_TASKS}/queue.py",
        "        if self._events or self._queues.is_closed:  # it has come meanwhile",
        "        if self._queues.is_closed:  # it has come meanwhile",
        "readable while events wait",
        "test_tasks made_quiet",
    ),
    PythonMutant(
        f"{_TASKS}/tied.py",
        "        due = now if self._expired or is_torn else self._transient.next_deadline()\n",
        "        due = now if is_torn else self._transient.next_deadline()\n",
        "a callback that another call has come upon",
        "test_tasks come_upon",
    ),
    PythonMutant(
        f"{_TASKS}/store.py",
        "                raise cut_off.reason from None\n",
        "                self._is_torn = False\n                raise cut_off.reason from None\n",
        "a write that was cut off may be on record",
        "test_tasks_on_record signal_handler",
    ),
    PythonMutant(
        f"{_TASKS}/notes.py",
        "max(len(parts), self._counts.get(key, 0))",
        "len(parts)",
        "a record that has become shorter",
        "test_tasks_on_record longer_than_a_note",
    ),
    PythonMutant(
        f"{_TASKS}/tied.py",
        "            self._manager.flush(0)  # which tells that",
        "            pass  # which tells that",
        "whom the log calls does not wait for it",
        "test_tasks_on_record log_that_calls",
    ),
    PythonMutant(
        f"{_TASKS}/tied.py",
        "            while self._untold and self._untold[0][0] <= last:\n",
        "            while self._untold:\n",
        "only what is on record is told",
        "test_tasks_on_record since_then",
    ),
    PythonMutant(
        f"{_TASKS}/tied.py",
        "        manager._runs_still = None\n",
        "",
        "what ran at the opening is looked at once",
        "test_tasks_on_record only_the_first",
    ),
    PythonMutant(
        "python/grantwheel/recovery/timeline.py",
        "        return uid in process.uids and process.start_ms + offset_ms <= last_ms\n",
        "        return uid in process.uids\n",
        "another process with the same number",
        "test_tasks_on_record have_ended_go",
    ),
    PythonMutant(
        "python/grantwheel/recovery/opening.py",
        "            manager._was_rebooted = moment.is_reboot\n",
        "",
        "after a boot nobody has left the foreground",
        "test_tasks_on_record after_a_boot_all",
    ),
    PythonMutant(
        "python/grantwheel/_deaths.py",
        "            tasks._app_stopped(operator.index(uid))\n",
        "            pass\n",
        "an app that stops has no tasks",
        "test_tasks tells_deaths",
    ),
)
