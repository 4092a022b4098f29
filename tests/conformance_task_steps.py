"""The steps of transient and continuous tasks."""

from collections.abc import Callable
from typing import Any

import grantwheel
from conformance_compare import require, require_fields
from conformance_face import Answer, Face, Row, caller_of
from conformance_tasks import TaskFace, ability_of, with_modes_as_sets


class TaskSteps:
    """Interprets the steps of tasks: a part of `Runner`."""

    _face: Face
    _expect: Callable[[Row, Answer], None]

    @property
    def _tasks(self) -> TaskFace:
        assert self._face.tasks is not None
        return self._face.tasks

    def _call(self, step: Row, call: Callable[[], Any]) -> Answer:
        """Make a call of tasks, and compare its code."""
        try:
            answer = Answer(value=call())
        except grantwheel.BusinessError as error:
            answer = Answer(error.code, error.detail)
        self._expect(step, answer)
        return answer

    def _compare(self, step: Row, answer: Answer) -> None:
        """Compare the fields of what was answered that the step expects."""
        wanted = {name: value for name, value in (step.get("expect") or {}).items() if name not in ("code", "inner")}
        if answer.code == 0:
            require_fields(step["op"], wanted, answer.value)

    def _do_t_request(self, step: Row) -> None:
        who = caller_of(step["caller"])
        self._compare(step, self._call(step, lambda: self._tasks.request(who, step.get("args", []))))

    def _do_t_cancel(self, step: Row) -> None:
        who, ids = caller_of(step["caller"]), [step["id"]] if "id" in step else []
        self._call(step, lambda: self._tasks.tasks.cancel_suspend_delay(*ids, caller=who))

    def _do_t_remaining(self, step: Row) -> None:
        who, ids = caller_of(step["caller"]), [step["id"]] if "id" in step else []
        call = lambda: {"ms": self._tasks.tasks.remaining_delay_time(*ids, caller=who)}  # noqa: E731
        self._compare(step, self._call(step, call))

    def _do_t_info(self, step: Row) -> None:
        who = caller_of(step["caller"])
        self._compare(step, self._call(step, lambda: self._tasks.info(who)))

    def _do_t_state(self, step: Row) -> None:
        who, there = caller_of(step["caller"]), step["foreground"]
        self._call(step, lambda: self._tasks.tasks.set_foreground(who.uid, who.pid, there))

    def _do_t_screen(self, step: Row) -> None:
        self._call(step, lambda: self._tasks.tasks.set_screen(step["on"]))

    def _do_t_battery(self, step: Row) -> None:
        self._call(step, lambda: self._tasks.tasks.set_battery(step["low"]))

    def _do_t_process_died(self, step: Row) -> None:
        who = caller_of(step["caller"])
        self._expect(step, self._face.process_died(who.uid, who.pid))

    def _do_t_expect_events(self, step: Row) -> None:
        require("events of transient tasks", step["events"], self._tasks.events("transient"))

    def _do_c_start(self, step: Row) -> None:
        who = caller_of(step["caller"])
        args = ability_of(step), step.get("modes"), step.get("want_agent", True)
        call = lambda: {"id": self._tasks.tasks.start_background_running(*args, caller=who)}  # noqa: E731
        self._compare(step, self._call(step, call))

    def _do_c_update(self, step: Row) -> None:
        who, args = caller_of(step["caller"]), (ability_of(step), step.get("modes"))
        self._call(step, lambda: self._tasks.tasks.update_background_running(*args, caller=who))

    def _do_c_stop(self, step: Row) -> None:
        who, ability = caller_of(step["caller"]), ability_of(step)
        self._call(step, lambda: self._tasks.tasks.stop_background_running(ability, caller=who))

    def _do_c_expect(self, step: Row) -> None:
        require("continuous tasks", with_modes_as_sets(step["tasks"]), self._tasks.running(step["uid"]))

    def _do_c_expect_events(self, step: Row) -> None:
        got = self._tasks.events("continuous")
        require("events of continuous tasks", with_modes_as_sets(step["events"]), got)
