"""The commands that speak to the service, over a manager in its place: what they ask, what they say, how they end."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

import grantwheel
from grantwheel import (
    BusinessError,
    Caller,
    Event,
    Manager,
    ManualClock,
    Policy,
    ResourceType,
)
from grantwheel.command import main, values

ALLOWED = tuple(ResourceType[name] for name in ("CPU", "GPS", "AUDIO", "TIMER"))
CPU, GPS, AUDIO, TIMER = map(int, ALLOWED)
COMMANDS = ("hold", "list", "events", "apply", "release")
UID, PID = os.geteuid(), os.getpid()


class Connection:
    """What `grantwheel.connect` gives, over a manager of the test's: the calls that the commands use."""

    def __init__(self, manager: Manager) -> None:
        self.manager = manager
        self.closed = 0
        self.failure: Exception | None = None

    def __getattr__(self, name: str) -> Any:
        failure = self.failure
        if failure is None:
            return getattr(self.manager, name)

        def fail(*_: object, **__: object) -> None:
            raise failure

        return fail

    def get_all(self) -> Any:
        return self.manager.get_all(caller=Caller(uid=UID, pid=PID, system_app=True))

    def follow(
        self,
        after: int | None = None,
        *,
        kinds: Iterable[str] | None = None,
        uids: Iterable[int] | None = None,
        on_gap: Callable[[int], object] | None = None,
    ) -> Iterator[Event]:
        """What has happened after that; then as Ctrl-C would end it."""
        events, missed, _ = self.manager.read(self.manager.last_sequence if after is None else after)
        if missed and on_gap is not None:
            on_gap(missed)
        yield from (one for one in events if (kinds is None or one.kind in kinds) and (uids is None or one.uid in uids))
        raise KeyboardInterrupt

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1000)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, clock: ManualClock) -> Iterator[Connection]:
    with Manager(clock=clock, policy=Policy(default_allowed=ALLOWED), event_capacity=8) as manager:
        connection = Connection(manager)
        monkeypatch.setattr(grantwheel, "connect", lambda path, timeout_ms: connection, raising=False)
        yield connection


def lines(capsys: pytest.CaptureFixture[str]) -> list[Any]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_apply_says_what_was_granted(service: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["apply", "-r", "cpu,GPS|AUDIO", "-t", "1m30s", "--reason", "why"]) == 0
    assert capsys.readouterr().out == "CPU,GPS,AUDIO\n"
    (record,) = service.manager.records()
    assert (record.uid, record.pid, record.mask) == (UID, PID, CPU | GPS | AUDIO)
    assert {(grant.timeout_ms, grant.reason) for grant in record.grants} == {(90_000, "why")}
    assert service.closed == 1


def test_apply_for_others_as_json(service: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["apply", "-r", "CPU", "--persist", "--uid", "7", "--pid", "70", "--process", "--json"]) == 0
    assert lines(capsys) == [{"uid": 7, "pid": 70, "process": True, "types": ["CPU"]}]
    record = service.manager.records()[-1]
    assert (record.kind, record.uid, record.pid, record.grants[0].persist) == ("process", 7, 70, True)


def test_only_held_gets_nothing_new(service: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    service.manager.apply(UID, PID, CPU, 10)
    assert main(["apply", "-r", "CPU,GPS", "-t", "1s", "--only-held"]) == 0
    assert capsys.readouterr().out == "CPU\n"
    assert service.manager.app_mask(UID) == CPU


def test_release_says_what_went(service: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    service.manager.apply(UID, PID, CPU | GPS | TIMER, 1000)
    assert main(["release", "-r", "CPU"]) == 0
    assert main(["release", "--all", "--json"]) == 0
    assert main(["release", "--all"]) == 0
    first, second, third = capsys.readouterr().out.splitlines()
    assert (first, third) == ("CPU", "nothing")
    assert json.loads(second)["types"] == ["TIMER", "GPS"]


def fill(service: Connection, clock: ManualClock) -> None:
    service.manager.apply(7, 70, GPS, 90_000, reason="a\x1b[31mb\n", caller=Caller(bundle="maps\n", system_app=True))
    service.manager.apply(7, 71, CPU, 5000, process=True)
    service.manager.apply(UID, PID, TIMER, persist=True, reason="until released")
    clock.advance(1000)


def test_list_is_a_table(
    service: Connection, clock: ManualClock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(service, clock)
    assert main(["list", "--uid", "7"]) == 0
    table = capsys.readouterr().out.splitlines()
    assert re.split(" {2,}", table[0]) == ["holder", "type", "left", "reason"]
    assert [re.split(" {2,}", line) for line in table[1:]] == [
        ["app 7 (maps\\n)", "GPS", "1 min 29 s", "a\\x1b[31mb\\n"],
        ["process 71 of 7", "CPU", "4 s"],
    ]
    assert main(["list", "-r", "AUDIO"]) == 0
    assert capsys.readouterr().out == "nothing is held\n"


def test_list_filters_and_json(service: Connection, clock: ManualClock, capsys: pytest.CaptureFixture[str]) -> None:
    fill(service, clock)
    assert main(["list", "--json", "-r", "GPS,TIMER"]) == 0
    found = lines(capsys)
    assert sorted(one["type"] for one in found) == ["GPS", "TIMER"]
    assert next(one for one in found if one["type"] == "GPS") == {
        "kind": "app",
        "uid": 7,
        "pid": 70,
        "bundle": "maps\n",
        "type": "GPS",
        "cpu_level": None,
        "persist": False,
        "timeout_ms": 90_000,
        "remaining_ms": 89_000,
        "reason": "a\x1b[31mb\n",
    }
    assert main(["list", "--json", "--pid", "71"]) == 0
    assert [(one["kind"], one["pid"]) for one in lines(capsys)] == [("process", 71)]


def test_list_of_ones_own(service: Connection, clock: ManualClock, capsys: pytest.CaptureFixture[str]) -> None:
    fill(service, clock)
    assert main(["list", "--mine", "--json"]) == 0
    (found,) = lines(capsys)
    assert (found["uid"], found["type"], found["remaining_ms"], found["bundle"]) == (UID, "TIMER", None, None)


def refusal() -> BusinessError:
    with Manager() as manager, pytest.raises(BusinessError) as refused:
        manager.infos(caller=Caller(uid=1, pid=1))
    return refused.value


def closed() -> BusinessError:
    manager = Manager()
    manager.close()
    with pytest.raises(BusinessError) as refused:
        manager.release(1, 1, 1)
    return refused.value


def test_a_refusal_says_what_else_there_is(service: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    service.failure = refusal()
    assert main(["list"]) == 1
    assert capsys.readouterr().err == f"grantwheel list: refused: {refusal()}; --mine shows your own\n"


def test_events_are_shown_from_the_first_that_is_there(
    service: Connection, clock: ManualClock, capsys: pytest.CaptureFixture[str]
) -> None:
    for uid in range(10):
        service.manager.apply(uid, 1, GPS, 1000)
    assert main(["events"]) == 0
    gap, *shown = capsys.readouterr().out.splitlines()
    assert gap == "2 events are no longer there"
    assert [line.split()[0] for line in shown] == [str(number) for number in range(3, 11)]
    assert shown[-1] == "      10  1000 ms  app 9 got GPS"
    service.manager.release(9, 1, GPS)
    assert main(["events", "--after", "10", "--json"]) == 0
    assert lines(capsys) == [
        {
            "event": "event",
            "sequence": 11,
            "time_ms": 1000,
            "kind": "app_reset",
            "cause": "release",
            "uid": 9,
            "pid": 1,
            "bundle": "",
            "types": ["GPS"],
            "cpu_level": -1,
        }
    ]


def test_events_are_followed(service: Connection, clock: ManualClock, capsys: pytest.CaptureFixture[str]) -> None:
    service.manager.apply(7, 1, GPS | CPU, 1000)
    service.manager.apply(8, 1, CPU, 1000)
    service.manager.apply(8, 2, CPU, 1000, process=True)
    assert main(["events", "-f"]) == 130
    assert capsys.readouterr().out == ""
    assert main(["events", "-f", "--after", "0", "--uid", "8", "--kind", "process_apply"]) == 130
    assert re.fullmatch(r" +\d+  1000 ms  process 2 of 8 got CPU\n", capsys.readouterr().out)
    assert main(["events", "-f", "--after", "0", "-r", "GPS", "--json"]) == 130
    assert [(one["uid"], one["types"]) for one in lines(capsys)] == [(7, ["CPU", "GPS"])]


def test_a_gap_is_told_while_following(service: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    for uid in range(20):
        service.manager.apply(uid, 1, GPS, 1000)
    assert main(["events", "-f", "--after", "0", "--json"]) == 130
    found = lines(capsys)
    assert found[0] == {"event": "gap", "missed": 12}
    assert [one["sequence"] for one in found[1:]] == list(range(13, 21))


@pytest.mark.parametrize(
    ("failure", "code", "said"),
    [
        (closed(), 3, str(closed())),
        (refusal(), 1, f"refused: {refusal()}"),
        (ConnectionRefusedError(111, "Connection refused"), 3, "[Errno 111] Connection refused"),
    ],
)
def test_what_fails_has_a_code(
    service: Connection, capsys: pytest.CaptureFixture[str], failure: Exception, code: int, said: str
) -> None:
    service.failure = failure
    assert main(["apply", "-r", "CPU", "-t", "1s"]) == code
    assert main(["hold", "-r", "CPU", "--", "true"]) == 125
    assert capsys.readouterr().err == f"grantwheel apply: {said}\ngrantwheel hold: {said}\n"
    assert service.closed == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["hold", "-r", "CPU"],
        ["hold", "-r", "CPU", "--"],
        ["hold", "--", "true"],
        ["hold", "-r", "LAMP", "true"],
        ["hold", "-r", "CPU", "-t", "30", "true"],
        ["apply", "-r", "CPU"],
        ["apply", "-r", "CPU", "-t", "1s", "--persist"],
        ["apply", "-r", "CPU", "-t", "1s", "--process"],
        ["apply", "-r", "CPU", "-t", "1s", "--uid", "7"],
        ["apply", "-r", "CPU", "-t", "50d"],
        ["apply", "-r", "CPU", "-t", "0s"],
        ["apply", "-r", "CPU", "-t", "1s", "--level", "huge"],
        ["release"],
        ["release", "-r", "CPU", "--all"],
        ["release", "--all", "--process", "--pid", "1"],
        ["list", "--uid", "nobody-of-this-name"],
        ["list", "--pid", "-1"],
        ["events", "--after", "x"],
        ["events", "--kind", "x"],
    ],
)
def test_wrong_usage_is_2(service: Connection, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert service.manager.records() == []


@pytest.mark.parametrize(
    ("text", "ms"), [("30s", 30_000), ("1ms", 1), ("1h30min", 5_400_000), ("2m 1s", 121_000), ("49d", 4_233_600_000)]
)
def test_lengths_of_time(text: str, ms: int) -> None:
    assert values.duration(text) == ms


def test_users_have_names() -> None:
    assert values.uid("root") == 0
    assert values.uid("12") == 12


# What takes its time to import, and no help needs; nor what of the package does.
HEAVY = {
    *("asyncio", "concurrent", "datetime", "hiredis", "json", "logging", "pathlib", "rich", "select", "socket"),
    *("sqlite3", "subprocess", "tempfile", "threading", "traceback", "urllib", "uuid"),
}
LIGHT = {"_core", "_log_errors", "_process", "_text", "caller", "command", "ops", "types"}
OF_ITS_OWN = {
    "list": {"datetime"},  # of the times that others write
    "serve": {"logging", "pathlib", "threading", "traceback", "urllib"},
    "journal": {"datetime", "pathlib", "urllib"},
}


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        *([name] for name in (*COMMANDS, "serve", "journal")),
        *(["journal", part] for part in ("verify", "show", "replay")),
    ],
)
def test_help_imports_what_it_needs(arguments: list[str]) -> None:
    """So that it is there at once: the time itself depends on the machine, what is imported does not."""
    code = f"""
import sys
before = set(sys.modules)
from grantwheel.command import main
try:
    main({[*arguments, "--help"]!r})
except SystemExit:
    pass
print(*sorted(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = done.stdout.splitlines()[-1].split()
    own = {name.split(".")[1] for name in found if name.startswith("grantwheel.")}
    assert own == LIGHT | ({"service"} if arguments == ["serve"] else set())  # of whose limits it has the bounds
    heavy = HEAVY - OF_ITS_OWN.get(arguments[0] if arguments else "", set())
    assert {name.partition(".")[0] for name in found} & heavy == set()
