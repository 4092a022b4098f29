"""Every conformance scenario is a test, and the runner itself is tested."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import conformance
from conformance import FACES, Outcome, face_by_name, main, run_file, run_scenario
from conformance_durable import DurableFace
from conformance_face import PythonFace, Row

TESTS = Path(__file__).resolve().parent
OWN = TESTS / "scenarios"
SAMPLES = TESTS.parent.parent / "shared" / "conformance"

MAIL = {"uid": 700, "pid": 71, "bundle": "org.tide.mail"}


def scenario_files() -> list[Path]:
    return sorted(OWN.glob("*.jsonl")) + sorted(SAMPLES.glob("*.jsonl"))


SCENARIOS = [
    pytest.param(scenario, id=f"{path.parent.name}-{path.stem}:{scenario['name']}")
    for path in scenario_files()
    for scenario in conformance.read_scenarios(path)
]


def restarts(scenario: Row) -> bool:
    return any(step["op"] == "restart" for step in scenario["steps"])


def has_tasks(scenario: Row) -> bool:
    return any(step["op"].startswith(("t_", "c_")) for step in scenario["steps"])


@pytest.mark.parametrize("face", ["python", "capi"])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(scenario: Row, face: str) -> None:
    if face == "capi" and (restarts(scenario) or has_tasks(scenario)):
        pytest.skip("the C ABI has no journals and no tasks")
    assert run_scenario(scenario, face_by_name(face)).failure is None


@pytest.mark.parametrize("scenario", [one for one in SCENARIOS if restarts(one.values[0])])  # type: ignore[arg-type]
def test_scenario_on_a_file(scenario: Row) -> None:
    assert run_scenario(scenario, DurableFace).failure is None


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario_through_the_service(scenario: Row) -> None:
    pytest.importorskip("hiredis")
    assert run_scenario(scenario, face_by_name("service")).failure is None


@pytest.mark.long
@pytest.mark.parametrize("scenario", [one for one in SCENARIOS if not restarts(one.values[0])])  # type: ignore[arg-type]
def test_scenario_that_is_opened_again_at_random(scenario: Row) -> None:
    assert run_scenario(scenario, DurableFace).failure is None


def test_a_face_without_a_journal_cannot_restart() -> None:
    outcome = run_scenario({"name": "restarts", "steps": [{"op": "restart"}]}, face_by_name("capi"))
    assert outcome.failure is not None
    assert outcome.failure.endswith("restart needs durability, which this face does not have")


def test_every_scenario_has_a_name_of_its_own() -> None:
    for path in scenario_files():
        names = [scenario["name"] for scenario in conformance.read_scenarios(path)]
        assert len(names) == len(set(names)), path.name


def test_every_topic_has_scenarios() -> None:
    topics = "callers cascade continuous cpu_levels deaths events expiry merge pid_reuse policy queries quota requests"
    assert [path.stem for path in sorted(OWN.glob("*.jsonl"))] == [*topics.split(), "restart", "transient"]


# What the runner does with a scenario.


def apply(mask: int, timeout: int = 40, **more: Any) -> Row:
    request = {"resourceTypes": mask, "isApply": True, "timeOut": timeout, "reason": "why"}
    return {"op": "apply", "caller": MAIL, "request": request, **more}


def run(*steps: Row, policy: Row | None = None) -> Outcome:
    scenario: Row = {"name": "made_up", "steps": list(steps)}
    if policy is not None:
        scenario["policy"] = policy
    return run_scenario(scenario)


def failure_of(*steps: Row, policy: Row | None = None) -> str:
    failure = run(*steps, policy=policy).failure
    assert failure is not None
    return failure


def test_a_step_without_expectation_has_to_succeed() -> None:
    assert run(apply(32)).passed
    assert "step 1" in failure_of(apply(0))
    assert "code: expected 0, got 401 (inner 9800413)" in failure_of(apply(0))


def test_the_failure_names_step_expectation_and_answer() -> None:
    failure = failure_of(apply(32), {"op": "expect_app", "uid": 700, "mask": 64}, apply(0))
    assert failure.startswith('step 2 {"op": "expect_app", "uid": 700, "mask": 64}: ')
    assert failure.endswith("app.mask: expected 64, got 32")


GPS = {"persist": False, "reason": "why", "timeout": 40, "remaining": 40}
APPLIED = ["app_apply", 700, 71, 32]
NATIVE = {"uid": 1, "pid": 2, "native": True}
ROW = {"uid": 700, "pid": 71, "mask": 32, "bundle": "org.tide.mail", "cpu_level": -1}

# After one apply of GPS for 40 ms at 0: a step that holds, and the changes each of which makes it fail.
HOLDING: list[tuple[Row, list[Row]]] = [
    (
        {"op": "expect_app", **ROW, "units": {"GPS": GPS}},
        [
            {"mask": 0},
            {"mask": 33},
            {"pid": 72},
            {"uid": 701},
            {"bundle": ""},
            {"cpu_level": 0},
            {"units": {"AUDIO": {}}},
            {"units": {"GPS": {"persist": True}}},
            {"units": {"GPS": {"persist": 0}}},
            {"units": {"GPS": {"reason": ""}}},
            {"units": {"GPS": {"timeout": 41}}},
            {"units": {"GPS": {"remaining": None}}},
        ],
    ),
    ({"op": "expect_process", "pid": 71, "mask": 0}, [{"mask": 1}]),
    ({"op": "expect_counts", "apps": 1, "processes": 0}, [{"apps": 0}, {"processes": 1}]),
    (
        {"op": "expect_events", "events": [APPLIED]},
        [
            {"events": []},
            {"events": [APPLIED, APPLIED]},
            {"events": [["app_reset", 700, 71, 32]]},
            {"events": [["app_apply", 700, 71, 33]]},
            {"events": [{"bundle": "org.tide.maps"}]},
            {"events": [{"cpu_level": None}]},
            {"subscriber": "another"},
        ],
    ),
    ({"op": "expect_events", "events": [{"type": "app_apply", "cpu_level": -1, "bundle": "org.tide.mail"}]}, []),
    ({"op": "expect_events", "events": [], "subscriber": "another"}, []),
    ({"op": "expect_quota", "calls": []}, [{"calls": [["settle", 700]]}]),
    ({"op": "expect_next", "ms": 40}, [{"ms": 41}, {"ms": None}]),
    (
        {"op": "query", "caller": MAIL, "expect": {"code": 0, "infos": [{"resourceTypes": 32, "cpuLevel": None}]}},
        [
            {"expect": {"code": 202}},
            {"expect": {"infos": []}},
            {"expect": {"infos": [{}, {}]}},
            {"expect": {"infos": [{"isPersistent": True}]}},
            {"expect": {"infos": [{"isForProcess": 0}]}},
            {"expect": {"infos": [{"cpuLevel": -1}]}},
            {"expect": {"infos": [{"reason": None}]}},
        ],
    ),
    (
        {"op": "infos", "caller": NATIVE, "expect": {"code": 0, "apps": [ROW], "processes": []}},
        [
            {"caller": MAIL},
            {"expect": {"code": 201}},
            {"expect": {"apps": []}},
            {"expect": {"apps": [{"mask": 1}]}},
            {"expect": {"processes": [{}]}},
        ],
    ),
    ({"op": "infos", "caller": NATIVE, "expect": {"apps": {"700": {"mask": 32}}}}, []),
    (
        {"op": "admin", "what": "list", "expect": {"code": 0, "contains": ["700", "GPS"]}},
        [{"expect": {"contains": ["AUDIO"]}}, {"expect": {"code": 201}}, {"what": "sing"}],
    ),
    ({"op": "admin", "what": "reset_app", "uid": 700, "mask": 32}, [{"mask": 0}, {"mask": 512}]),
    ({"op": "reset_all", "caller": MAIL}, [{"expect": {"code": 201}}, {"caller": {**MAIL, "system_app": False}}]),
    ({"op": "subscribe", "id": "s"}, [{"id": None}, {"id": "main"}, {"expect": {"code": 401}}]),
    ({"op": "unsubscribe", "id": "main"}, [{"id": "s"}, {"expect": {"code": 9800005}}]),
    ({"op": "process_died", "uid": 700, "pid": 71}, [{"expect": {"code": 18700001}}]),
    ({"op": "process_died", "uid": -1, "pid": 71}, [{"expect": {"code": 0}}]),
    ({"op": "app_died", "uid": -1}, []),
    ({"op": "package_removed", "uid": 2**32}, []),
]


@pytest.mark.parametrize("step", [step for step, _ in HOLDING], ids=lambda step: step["op"])
def test_a_step_that_holds_passes(step: Row) -> None:
    assert run(apply(32), step).failure is None


@pytest.mark.parametrize(
    "step",
    [pytest.param({**step, **change}, id=f"{step['op']}-{change}") for step, changes in HOLDING for change in changes],
)
def test_a_wrong_expectation_fails(step: Row) -> None:
    assert "step 2" in failure_of(apply(32), step)


def test_events_are_those_since_the_last_look() -> None:
    look = {"op": "expect_events", "events": [APPLIED]}
    assert run(apply(32), look, {**look, "events": []}).passed
    assert "step 3" in failure_of(apply(32), look, look)


def test_quota_calls_are_those_since_the_last_look() -> None:
    look = {"op": "expect_quota", "calls": [["check", 700, 1, True]]}
    quota: Row = {"quota": {"deny_uids": []}}
    assert run(apply(1), look, {**look, "calls": []}, policy=quota).passed
    assert "step 3" in failure_of(apply(1), look, look, policy=quota)
    assert "step 2" in failure_of(apply(1), {**look, "calls": [["check", 700, True, True]]}, policy=quota)


def test_the_clock_stops_at_every_deadline() -> None:
    stops: list[int] = []

    class Watching(PythonFace):
        def move_to(self, now: int) -> None:
            stops.append(now)
            super().move_to(now)

    steps = [apply(32, 10), apply(64, 30), apply(1, 99), {"op": "advance", "ms": 30}, {"op": "advance", "ms": 5}]
    assert run_scenario({"name": "stops", "steps": steps}, Watching).passed
    assert stops == [10, 30, 30, 35]


@pytest.mark.parametrize(
    ("step", "what"),
    [("t_request", "transient tasks"), ("c_expect_events", "continuous tasks")],
)
def test_steps_that_a_face_does_not_have_fail_with_a_clear_message(step: str, what: str) -> None:
    failure = run_scenario({"name": "made_up", "steps": [{"op": step}]}, face_by_name("capi")).failure
    assert failure is not None
    assert failure.endswith(f"{step} needs {what}, which this face does not have")
    assert "no step 't_dance'" in failure_of({"op": "t_dance"})


def test_unknown_steps_and_missing_fields_fail() -> None:
    assert "no step 'dance'" in failure_of({"op": "dance"})
    assert "no step None" in failure_of({})
    assert "KeyError: 'caller'" in failure_of({"op": "reset_all"})


def test_a_failure_is_one_line_of_ascii() -> None:
    request = {"resourceTypes": 32, "isApply": True, "timeOut": 40, "reason": "a\n\ud800é"}
    failure = failure_of({"op": "apply", "caller": MAIL, "request": request})
    assert failure.isascii()
    assert "\n" not in failure


# The command line.


def write(path: Path, *scenarios: Row) -> str:
    path.write_text("".join(json.dumps(scenario) + "\n" for scenario in scenarios), encoding="utf-8")
    return str(path)


GOOD: Row = {"name": "good", "steps": [apply(32), {"op": "expect_app", "uid": 700, "mask": 32}]}
BAD: Row = {"name": "bad", "steps": [apply(32), {"op": "expect_app", "uid": 700, "mask": 64}]}


def test_exit_code_0_when_all_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = write(tmp_path / "a.jsonl", GOOD, GOOD), write(tmp_path / "b.jsonl", GOOD)
    assert main([first, second]) == 0
    assert capsys.readouterr().out == "3 passed, 0 failed\n"


@pytest.mark.parametrize("face", FACES)
def test_the_face_can_be_chosen(face: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--face", face, write(tmp_path / "a.jsonl", GOOD, BAD)]) == 1
    assert capsys.readouterr().out.endswith("1 passed, 1 failed\n")


def test_a_face_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--face", "telnet", write(tmp_path / "a.jsonl", GOOD)])
    assert "telnet" in capsys.readouterr().err


def test_exit_code_1_when_one_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "a.jsonl", GOOD, BAD, GOOD)
    assert main([path]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{path}: bad: step 2 ")
    assert lines[1:] == ["2 passed, 1 failed"]


@pytest.mark.parametrize(
    "content",
    [b"{", b"[]", b"3", b'{"name": "x"}', b'{"steps": []}', b'{"name": "x", "steps": [1]}', b'{"name": "\xff"}'],
)
def test_exit_code_2_when_the_input_is_no_scenario(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.jsonl"
    broken.write_bytes(content)
    assert main([str(broken), write(tmp_path / "b.jsonl", BAD)]) == 2
    output = capsys.readouterr()
    assert output.out.endswith("0 passed, 1 failed\n")
    assert f"cannot read {broken}" in output.err


def test_exit_code_2_when_the_file_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "nowhere.jsonl")]) == 2
    assert capsys.readouterr().out == "0 passed, 0 failed\n"


def test_a_policy_that_makes_no_manager_fails_its_scenario_alone(tmp_path: Path) -> None:
    bad = {"name": "policy", "policy": {"cpu_level_max": {"org.tide.mail": "high"}}, "steps": []}
    outcomes = run_file(write(tmp_path / "a.jsonl", bad, GOOD))
    assert [outcome.passed for outcome in outcomes] == [False, True]


def test_blank_lines_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(f"\n{json.dumps(GOOD)}\n\n", encoding="utf-8")
    assert run_file(path) == [Outcome("good")]


def test_the_script_prints_the_result_last(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", GOOD, BAD)
    done = subprocess.run(
        [sys.executable, str(TESTS / "conformance.py"), path], capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines()[-1] == "1 passed, 1 failed"
