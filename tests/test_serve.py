"""``grantwheel serve`` as a process: where it may be, its signals, its users, its end."""

import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from grantwheel import ResourceType
from serve_stage import OTHER_UID, WAIT_S, Line, Service, child_of_tests, refused, serving, short_folder, user

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be other users")
GPS = int(ResourceType.GPS)


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as path:
        yield path


# Where it may be. -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o775])
def test_a_folder_that_others_may_write_to_is_refused(folder: Path, mode: int) -> None:
    folder.chmod(mode)
    assert "others may write to the folder of the socket" in refused(folder / "s")
    assert list(folder.iterdir()) == []


def test_state_and_policy_may_not_be_where_others_may_write(folder: Path) -> None:
    shared = folder / "shared"
    own = shared / "own"
    own.mkdir(parents=True)
    policy = own / "policy.toml"
    policy.write_text("")
    with serving(folder / "s", "--state", own / "state", "--policy", policy) as service:
        policy.chmod(0o666)
        service.process.send_signal(signal.SIGHUP)
        assert f"others may write to the policy file, {policy} (mode 0666)" in service.until(
            "the policy stays as it was"
        )
    assert f"others may write to the policy file, {policy} (mode 0666)" in refused(folder / "s", "--policy", policy)
    policy.chmod(0o644)
    shared.chmod(0o777)
    for option, file, name in (("--state", own / "state", "folder of the state"), ("--policy", policy, "policy file")):
        assert f"others may write to a folder above the {name}, {shared} (mode 0777)" in refused(
            folder / "s", option, file
        )
    assert "above the folder of the socket" in refused(own / "s")


def test_another_service_is_refused_and_a_stale_socket_removed(folder: Path) -> None:
    path = folder / "s"
    with serving(path) as first:
        assert "another service is at" in refused(path)
        with Line(path) as line:
            assert line.ask("PING") == "+PONG"
        first.end(signal.SIGKILL)
        assert path.is_socket()
        with serving(path) as second, Line(path) as line:
            assert line.ask("PING") == "+PONG"
            line.close()
            assert second.end() == 0
        assert not path.exists()


def test_what_else_is_in_its_place_is_left_alone(folder: Path) -> None:
    path = folder / "s"
    path.write_text("precious")
    assert "is there, and no socket" in refused(path)
    assert path.read_text() == "precious"
    path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        assert "another service is at" in refused(path)


def test_mode_and_group(folder: Path) -> None:
    with serving(folder / "s", "--mode", "640", "--group", os.getegid()):
        assert (folder / "s").stat().st_mode & 0o777 == 0o640
    wrong = Service(folder / "s", "--mode", "999")
    assert wrong.end(0) == 2
    assert "'999' is not a mode" in "".join(wrong.log)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--connections", 0), "connections must be within"),
        (("--policy", "/no/such/policy"), "No such file"),
        (("--state", "/no/such/folder/state"), "/no/such/folder"),
    ],
)
def test_what_it_cannot_start_with(folder: Path, options: Sequence[object], said: str) -> None:
    assert said in refused(folder / "s", *options)
    assert not (folder / "s").exists()


# Signals. ---------------------------------------------------------------------------------------------------------


def test_what_has_come_is_answered_before_it_ends(folder: Path) -> None:
    state = folder / "state"
    with serving(folder / "s", "--state", state) as service:
        assert state.stat().st_mode & 0o777 == 0o600
        with Line(folder / "s") as line:
            for _ in range(100):
                line.send("APPLY", "GPS", 60_000)
            assert line.read() == GPS
            service.process.send_signal(signal.SIGINT)
            assert {line.read() for _ in range(99)} == {GPS}
            with pytest.raises(ConnectionResetError):
                line.read()
        assert service.end(0) == 0
    with serving(folder / "s", "--state", state), Line(folder / "s") as line:
        assert line.ask("MASK") == GPS


def test_shutdown_by_an_administrator(folder: Path) -> None:
    with serving(folder / "s") as service, Line(folder / "s") as line:
        assert line.ask("SHUTDOWN") == "+OK"
        assert service.end(0) == 0


def test_the_policy_is_read_again_or_stays(folder: Path) -> None:
    policy, own = folder / "policy.toml", os.geteuid()
    policy.write_text(f'[callers.{own}]\nbundle = "nav"\nsystem_app = true\n[bundles.nav]\nallowed = ["GPS"]\n')
    with serving(folder / "s", "--policy", policy) as service, Line(folder / "s") as line:
        assert line.ask("APPLY", "GPS|CPU", 60_000) == GPS
        right = policy.read_text()
        policy.write_text(right.replace("GPS", "WIND") + "administrators = []\n")
        service.process.send_signal(signal.SIGHUP)
        told = service.until("the policy stays as it was")
        assert f"{policy}: bundles.nav.administrators is no key" in told
        assert "the policy stays as it was" in str(line.ask("POLICY", "RELOAD"))
        assert line.ask("APPLY", "GPS|CPU", 60_000) == GPS
        policy.write_text("administrators = []\n" + right.replace('"GPS"', '"GPS", "CPU"'))
        service.process.send_signal(signal.SIGHUP)
        service.until("the policy has been read again")
        assert line.ask("APPLY", "GPS|CPU", 60_000) == GPS | 1
        assert str(line.ask("SHUTDOWN")).startswith("-PERMISSION 201")  # on a connection that was there before


def test_a_policy_that_there_is_not_cannot_be_read_again(folder: Path) -> None:
    with serving(folder / "s") as service:
        service.process.send_signal(signal.SIGHUP)
        assert "there is no policy file" in service.until("the policy stays as it was")


# systemd. ---------------------------------------------------------------------------------------------------------

_AS_SYSTEMD = """
import os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
os.execv(sys.argv[2], sys.argv[2:])
"""


def test_a_socket_of_systemd_and_ready(folder: Path) -> None:
    given = folder / "given"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as states:
        states.settimeout(WAIT_S)
        states.bind(str(folder / "notify"))
        service = Service(
            folder / "unused",
            start=(sys.executable, "-c", _AS_SYSTEMD, str(given)),
            env={**os.environ, "NOTIFY_SOCKET": str(folder / "notify")},
        )
        try:
            assert states.recv(64) == b"READY=1"
            with Line(given) as line:
                assert line.ask("PING") == "+PONG"
            assert not (folder / "unused").exists()
            assert service.end() == 0
            assert states.recv(64) == b"STOPPING=1"
            assert given.is_socket()  # it is systemd's to keep
        finally:
            service.end(signal.SIGKILL)


# Users. -----------------------------------------------------------------------------------------------------------


@AS_ROOT
def test_an_ordinary_user_gets_nothing_without_a_policy(folder: Path) -> None:
    asked = [
        ("APPLY", "GPS", 60_000),
        ("APPLY", "GPS", 60_000, "FOR", 0, 1),
        ("APPLYMANY", "\0\0\0\0", "\1\0\0\0", "\1\0\0\0", "\1\0\0\0\0\0\0\0"),
        ("RELEASE", "GPS", "FOR", 0, 1),
        ("RESETALL", "FOR", 0, 1),
        ("REQUEST", "resourceTypes", 1, "isApply", "true", "timeOut", 1000, "reason", '""', "uid", 0),
        ("MASK", 0),
        ("PMASK", 1),
        ("RECORDS",),
        ("EVENTS", "AFTER", 0),
        ("ADMIN", "LIST"),
        ("ADMIN", "RESETALL"),
        ("POLICY", "RELOAD"),
        ("SHUTDOWN",),
        ("AUTH", "root", ""),
        ("HELLO", 3, "AUTH", "root", ""),
    ]
    with serving(folder / "s"), Line(folder / "s") as root:
        assert root.ask("APPLY", "GPS", 60_000) == GPS
        with user(folder / "s", *asked) as (_, answers):
            for request, answer in zip(asked, answers, strict=True):
                assert str(answer).startswith("-"), request
                assert "number of arguments" not in str(answer), request
        assert root.ask("MASK") == GPS
        assert root.ask("MASK", OTHER_UID) == 0


@AS_ROOT
def test_a_user_holds_what_the_policy_allows_until_its_process_ends(folder: Path) -> None:
    policy = folder / "policy.toml"
    policy.write_text(
        f'[callers.{OTHER_UID}]\nbundle = "nav"\nsystem_app = true\n[bundles.nav]\nallowed = ["GPS", "TIMER"]\n'
    )
    with serving(folder / "s", "--policy", policy, "--state", folder / "state"), Line(folder / "s") as root:
        held = ("GPS|TIMER|CPU", 60_000)
        with user(folder / "s", ("APPLY", *held), ("APPLY", *held, "PROCESS"), ("MASK",)) as (pid, answers):
            both = answers[0]
            assert answers == [both, both, both]
            assert isinstance(both, int)
            assert both & GPS
            assert not both & 1
            assert root.ask("MASK", OTHER_UID) == both
        last = root.ask("EVENTS", "LAST")
        while root.ask("FIND", "PROCESS", pid) is not None:  # its end is told as soon as the kernel tells it
            assert isinstance(last, int)
        while root.ask("MASK", OTHER_UID) == both:
            assert isinstance(last, int)
        assert root.ask("MASK", OTHER_UID) == both & ~GPS  # the app has stopped: it keeps TIMER


_AS_PARENT = """
import os, sys, serve_stage
line = serve_stage.Line(sys.argv[1])
assert line.ask("PING") == "+PONG"
if os.fork():
    os._exit(0)
os.read(0, 1)  # until the test has seen the end of the one who has connected
try:
    print(line.ask("MASK"), flush=True)
except OSError:
    print("refused", flush=True)
"""


def test_a_connection_ends_with_the_process_that_has_connected(folder: Path) -> None:
    with serving(folder / "s"), Line(folder / "s") as own, child_of_tests(_AS_PARENT, folder / "s") as parent:
        parent.wait(WAIT_S)
        assert own.ask("PING") == "+PONG"
        assert parent.communicate("x", timeout=WAIT_S)[0] == "refused\n"


_AS_HOLDER = """
import sys, serve_stage
with serve_stage.Line(sys.argv[1]) as line:
    print(line.ask("APPLY", "CPU", 600000, "PROCESS"), flush=True)
sys.stdin.read()
"""


def test_a_holder_that_connects_no_more_is_watched_after_a_restart(folder: Path) -> None:
    path, options = folder / "s", ("--state", folder / "state")
    with serving(path, *options) as first, child_of_tests(_AS_HOLDER, path) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "1\n"
        first.end(signal.SIGKILL)
        with serving(path, *options), Line(path) as line:
            assert line.ask("PMASK", holder.pid) == 1
            holder.communicate(timeout=WAIT_S)
            while line.ask("PMASK", holder.pid) != 0:  # its end is told as soon as the kernel tells it
                assert line.ask("PING") == "+PONG"


_WITH_TASKS = """
import sys, serve_stage
with serve_stage.Line(sys.argv[1]) as line:
    print(line.ask("SUSPENDDELAY", "why", "cb"), line.ask("STARTRUNNING", "Main", 1, "page"), flush=True)
sys.stdin.read()
"""


def test_tasks_are_there_after_a_restart_but_for_those_of_processes_that_have_ended(folder: Path) -> None:
    path, options = folder / "s", ("--state", folder / "state")
    with serving(path, *options) as first, Line(path) as line, child_of_tests(_WITH_TASKS, path) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "[1, 180000] 1\n"
        assert line.ask("SUSPENDDELAY", "why", "cb") == [2, 180_000]
        assert line.ask("STARTRUNNING", "Sync", 1, "page") == 2
        first.end(signal.SIGKILL)
        holder.communicate(timeout=WAIT_S)
    with serving(path, *options), Line(path) as line:
        answer = line.ask("RUNNING")
        assert isinstance(answer, list)
        assert [(task[0], task[4]) for task in answer] == [(2, "Sync")]
        info = line.ask("TRANSIENTINFO")
        assert isinstance(info, list)
        assert [row[0] for row in info[1]] == [2]
        assert line.ask("STARTRUNNING", "Main", 1, "page") == 3


@AS_ROOT
def test_connections_of_a_uid_are_limited(folder: Path) -> None:
    path = folder / "s"
    with serving(path, "--connections-per-uid", 2), Line(path) as first, Line(path) as second:
        assert first.ask("PING") == second.ask("PING") == "+PONG"
        with Line(path) as third:
            assert "at most 2 connections" in str(third.read())
        with user(path, ("PING",)) as (_, answers):
            assert answers == ["+PONG"]


def test_calls_a_second_are_limited(folder: Path) -> None:
    with serving(folder / "s", "--calls-per-second", 5), Line(folder / "s") as line:
        answers = [str(line.ask("MASK")) for _ in range(20)]
        assert "0" in answers
        assert any("at most 5 calls a second" in answer for answer in answers)
