"""Runs conformance scenarios against grantwheel: ``python tests/conformance.py [--face FACE] FILE...``.

A scenario file holds one JSON object a line, ``{"name": ..., "policy": {...}, "steps": [...]}``, each run on a fresh
manager with a virtual clock at 0 and one subscriber, "main". Prints a line for every scenario that failed and
``N passed, M failed`` last. The exit code is 0 when all passed, 1 when one failed, and 2 when an input could not be
read as scenarios.

The `Runner` interprets steps and compares plain JSON values; what it drives is a `Face`.
"""

import argparse
import json
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from conformance_compare import require, require_fields, require_rows, rows_by_key, same, shown
from conformance_durable import DurableFace, RestartingFace
from conformance_face import IDENTITY_REFUSED, ROW_FIELDS, Answer, Face, PythonFace, Row, StepFailed
from conformance_task_steps import TaskSteps

EVENT_FIELDS: Final = ("type", "uid", "pid", "mask", "bundle", "cpu_level")
FACES: Final = ("python", "capi", "durable", "service")
# How the names of steps begin that need what not every face has, and what that is.
OF_TASKS: Final = {"t_": "transient tasks", "c_": "continuous tasks"}


class ScenarioError(ValueError):
    """The input is not a scenario."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one scenario. ``failure`` is None when it passed."""

    name: str
    failure: str | None = None

    @property
    def passed(self) -> bool:
        return self.failure is None


def reason_of(error: Exception) -> str:
    """Say on one line of ASCII what an exception means."""
    text = str(error) if isinstance(error, StepFailed) else f"raised {type(error).__name__}: {error}"
    return text.encode("ascii", "backslashreplace").decode("ascii").replace("\n", "\\n")


class Runner(TaskSteps):
    """Interprets the steps of one scenario, through a face."""

    def __init__(self, face: Face) -> None:
        self._face = face

    def run(self, steps: Sequence[Row]) -> str | None:
        """Run the steps in order; answer what went wrong at the first that failed, or None."""
        for number, step in enumerate(steps, 1):
            try:
                self._do(step)
                self._face.check()
            except Exception as error:  # whatever goes wrong fails this scenario, and the next one runs
                text = shown(step)
                return f"step {number} {text if len(text) <= 500 else text[:500] + '...'}: {reason_of(error)}"
        return None

    def _do(self, step: Row) -> None:
        op = step.get("op")
        action = getattr(self, f"_do_{op}", None)
        if action is None:
            raise StepFailed(f"there is no step {op!r}")
        for start, what in OF_TASKS.items():
            if str(op).startswith(start) and self._face.tasks is None:
                raise StepFailed(f"{op} needs {what}, which this face does not have")
        action(step)

    def _expect(self, step: Row, answer: Answer) -> None:
        """Compare the codes. A step without them has to succeed."""
        expected: Row = step.get("expect") or {}
        code = expected.get("code", 0)
        if not same(code, answer.code):
            raise StepFailed(f"code: expected {shown(code)}, got {answer.code} (inner {answer.inner})")
        if expected.get("inner") is not None:
            require("inner", expected["inner"], answer.inner)

    def _do_apply(self, step: Row) -> None:
        args = [step["request"]] if "request" in step else step.get("args", [])
        self._expect(step, self._face.apply(step["caller"], args))

    def _do_apply_typed(self, step: Row) -> None:
        given = {name: value for name, value in (step.get("request") or {}).items() if value is not None}
        request = {
            "mask": 0,
            "is_apply": True,
            "timeout_ms": 0,
            "reason": "",
            "is_persist": False,
            "is_process": False,
            "cpu_level": -1,
        } | given
        self._expect(step, self._face.apply_typed(step["caller"], request))

    def _do_reset_all(self, step: Row) -> None:
        self._expect(step, self._face.reset_all(step["caller"]))

    def _do_advance(self, step: Row) -> None:
        end = self._face.now() + step["ms"]
        while (deadline := self._face.next_deadline()) is not None and deadline <= end:
            if deadline <= self._face.now():
                raise StepFailed(f"the next deadline, {deadline}, has passed already: now is {self._face.now()}")
            self._face.move_to(deadline)
        self._face.move_to(end)

    def _death(self, step: Row, answer: Answer) -> None:
        """Compare the codes if the step has any. A death of nobody is no error of the scenario."""
        if "expect" in step or answer.code != IDENTITY_REFUSED:
            self._expect(step, answer)

    def _do_process_died(self, step: Row) -> None:
        self._death(step, self._face.process_died(step["uid"], step["pid"]))

    def _do_app_died(self, step: Row) -> None:
        self._death(step, self._face.app_stopped(step["uid"]))

    def _do_package_removed(self, step: Row) -> None:
        self._death(step, self._face.package_removed(step["uid"]))

    def _do_restart(self, step: Row) -> None:
        restart = getattr(self._face, "restart", None)
        if restart is None:
            raise StepFailed("restart needs durability, which this face does not have")
        restart(
            running=step.get("running", ()),
            down_ms=step.get("down_ms", 0),
            rebooted=step.get("rebooted", False),
            corrupt=step.get("storage", "ok") == "corrupt",
        )

    def _do_set_ready(self, step: Row) -> None:
        self._face.set_ready(step["ready"])

    def _do_set_allowed(self, step: Row) -> None:
        self._face.set_allowed(step["bundle"], step["allowed"])

    def _do_subscribe(self, step: Row) -> None:
        self._expect(step, self._face.subscribe(step["id"], step.get("caller")))

    def _do_unsubscribe(self, step: Row) -> None:
        self._expect(step, self._face.unsubscribe(step["id"]))

    def _do_admin(self, step: Row) -> None:
        what = step["what"]
        if what == "list":
            answer = self._face.admin_list()
        elif what == "reset_all":
            answer = self._face.admin_reset_all()
        elif what == "reset_app":
            answer = self._face.admin_reset_app(step["uid"], step["mask"])
        elif what == "reset_process":
            answer = self._face.admin_reset_process(step["pid"], step["mask"])
        else:
            raise StepFailed(f"there is no administration {what!r}")
        self._expect(step, answer)
        for text in (step.get("expect") or {}).get("contains", []):
            if text not in str(answer.value):
                raise StepFailed(f"the listing lacks {shown(text)}: {shown(answer.value)}")

    def _do_query(self, step: Row) -> None:
        answer = self._face.query(step["caller"])
        self._expect(step, answer)
        infos = (step.get("expect") or {}).get("infos")
        if infos is not None:
            require_rows("infos", infos, answer.value, ("resourceTypes",))

    def _do_infos(self, step: Row) -> None:
        answer = self._face.infos(step["caller"])
        self._expect(step, answer)
        for name, key in (("apps", "uid"), ("processes", "pid")):
            rows = (step.get("expect") or {}).get(name)
            if rows is not None:
                require_rows(name, rows_by_key(rows, key), answer.value[name], ROW_FIELDS)

    def _expect_record(self, step: Row, kind: str, key: str) -> None:
        got = self._face.record(kind, step[key])
        if step.get("mask") == 0 or got is None:
            require("mask", step.get("mask"), 0 if got is None else got["mask"])
            return
        require_fields(kind, {name: step[name] for name in ROW_FIELDS if name in step}, got)
        for name, unit in (step.get("units") or {}).items():
            if name not in got["units"]:
                raise StepFailed(f"{name} is not held, only {shown(list(got['units']))}")
            require_fields(name, unit, got["units"][name])

    def _do_expect_app(self, step: Row) -> None:
        self._expect_record(step, "app", "uid")

    def _do_expect_process(self, step: Row) -> None:
        self._expect_record(step, "process", "pid")

    def _do_expect_counts(self, step: Row) -> None:
        require_fields("records", {k: step[k] for k in ("apps", "processes") if k in step}, self._face.counts())

    def _do_expect_events(self, step: Row) -> None:
        got = self._face.events(step.get("subscriber", "main"))
        require_rows("events", step["events"], got, EVENT_FIELDS)

    def _do_expect_quota(self, step: Row) -> None:
        require("quota calls", step["calls"], self._face.quota_calls())

    def _do_expect_next(self, step: Row) -> None:
        deadline = self._face.next_deadline()
        require("ms until the next deadline", step["ms"], None if deadline is None else deadline - self._face.now())


def run_scenario(scenario: Row, make_face: Callable[[Row], Face] = PythonFace) -> Outcome:
    """Run one scenario on a fresh face with the subscriber "main"."""
    name: str = scenario["name"]
    if make_face is PythonFace and any(step.get("op") == "restart" for step in scenario["steps"]):
        make_face = RestartingFace
    try:
        face = make_face(scenario.get("policy") or {})
    except Exception as error:  # a policy that no manager can be made with fails this scenario, and the next one runs
        return Outcome(name, f"policy {shown(scenario.get('policy'))}: {reason_of(error)}")
    try:
        answer = face.subscribe("main", None)
        if answer.code != 0:
            return Outcome(name, f"the subscriber main was refused with {answer.code} (inner {answer.inner})")
        return Outcome(name, Runner(face).run(scenario["steps"]))
    finally:
        face.close()


def read_scenarios(path: str | Path) -> list[Row]:
    """Read a scenario file.

    Raises
    ------
    OSError
        The file cannot be read.
    ScenarioError
        A line is not a scenario.
    """
    scenarios: list[Row] = []
    with Path(path).open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                scenario = json.loads(line.decode("utf-8"))
            except ValueError as error:
                raise ScenarioError(f"{path}:{number}: {error}") from error
            if not (
                isinstance(scenario, dict)
                and isinstance(scenario.get("name"), str)
                and isinstance(scenario.get("policy") or {}, dict)
                and isinstance(scenario.get("steps"), list)
                and all(isinstance(step, dict) for step in scenario["steps"])
            ):
                raise ScenarioError(f"{path}:{number}: not an object with a name and a list of steps")
            scenarios.append(scenario)
    return scenarios


def run_file(path: str | Path, make_face: Callable[[Row], Face] = PythonFace) -> list[Outcome]:
    """Run every scenario of a file, in order. Raises what `read_scenarios` raises."""
    return [run_scenario(scenario, make_face) for scenario in read_scenarios(path)]


def face_by_name(name: str) -> Callable[[Row], Face]:
    """Return what makes a face; that of the C ABI needs cffi, that of the service hiredis."""
    if name == "python":
        return PythonFace
    if name == "durable":
        return DurableFace
    if name == "service":
        from conformance_service import ServiceFace

        return ServiceFace
    from conformance_capi import CapiFace

    return CapiFace


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Run conformance scenarios against grantwheel.")
    parser.add_argument("files", nargs="+", metavar="FILE", help="scenarios, one JSON object a line")
    parser.add_argument(
        "--face",
        choices=FACES,
        default="python",
        help="the way into the engine: the Python API (default), the C ABI, a journal that is closed and opened "
        "again at random steps, or the service through a socket",
    )
    parser.add_argument("--seed", type=int, help="of these random steps; default: another one each time")
    options = parser.parse_args(argv)
    if options.face == "durable":
        DurableFace.seed = random.randrange(1 << 32) if options.seed is None else options.seed
        print(f"--seed {DurableFace.seed}")
    files: list[str] = options.files
    make_face = face_by_name(options.face)
    passed = failed = unreadable = 0
    for file in files:
        try:
            outcomes = run_file(file, make_face)
        except (OSError, ScenarioError) as error:
            print(f"cannot read {file}: {error}", file=sys.stderr)
            unreadable += 1
            continue
        for outcome in outcomes:
            if outcome.passed:
                passed += 1
            else:
                failed += 1
                print(f"{file}: {shown(outcome.name)[1:-1]}: {outcome.failure}")
    print(f"{passed} passed, {failed} failed")
    return 2 if unreadable else 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
