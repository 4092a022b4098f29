"""The client in C, on the system's hiredis: what a user would copy."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from grantwheel import Manager, ManualClock

pytest.importorskip("hiredis")

from grantwheel.service.peers import Peer
from service_thread import ServiceThread

SOURCE = Path(__file__).resolve().parent.parent / "examples" / "service_client.c"
COMPILER = next(filter(None, map(shutil.which, filter(None, (os.environ.get("CC"), "cc", "gcc", "clang")))), None)
FLAGS = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
PATIENCE = 60

pytestmark = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler")

Run = Callable[..., tuple[int, list[str]]]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run the client; give its exit code, and the lines that it has printed."""
    assert COMPILER is not None
    text = "#include <hiredis/hiredis.h>\n"
    found = subprocess.run([COMPILER, "-E", "-x", "c", "-"], input=text, capture_output=True, text=True, check=False)
    if found.returncode != 0:
        pytest.skip("there is no hiredis/hiredis.h")
    program = tmp_path_factory.mktemp("service_client") / "service_client"
    built = subprocess.run(
        [COMPILER, *FLAGS, str(SOURCE), "-o", str(program), "-lhiredis"], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr

    def run(*arguments: str) -> tuple[int, list[str]]:
        done = subprocess.run(
            [program, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        return done.returncode, done.stdout.splitlines()

    return run


def test_it_applies_renews_lists_and_releases(client: Run, tmp_path: Path) -> None:
    manager = Manager(clock=ManualClock())
    service = ServiceThread(manager, tmp_path / "s", identify=lambda _: Peer(uid=700, pid=71))
    try:
        code, lines = client(str(tmp_path / "s"), "CPU|GPS", "1000", "a walk")
        assert code == 0, lines
        assert lines == [
            "applied: 33",
            "renewed: 33",
            "renewed: 33",
            "released: 33",
            "event 1: app_apply by apply, mask 33",
            "event 2: app_reset by release, mask 33",
        ]
    finally:
        service.stop()
        manager.close()


def test_it_says_what_is_refused_and_who_is_not_there(client: Run, tmp_path: Path) -> None:
    manager = Manager(clock=ManualClock())
    service = ServiceThread(manager, tmp_path / "s", identify=lambda _: Peer(uid=700, pid=71))
    try:
        code, lines = client(str(tmp_path / "s"), "0", "1000")
        assert code == 1
        assert "18700001" in lines[0]
        assert "1870000101" in lines[0]
    finally:
        service.stop()
        manager.close()
    assert client(str(tmp_path / "s"), "1", "1000")[0] == 3
    assert client()[0] == 2
