"""``grantwheel journal``: what it says of a journal, sound or not, and that it leaves it alone."""

import errno
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import grantwheel
from grantwheel import command, ops
from grantwheel.command import journal as options
from grantwheel.journal._wal import FRAME_HEADER_SIZE, HEADER_SIZE, read_chain
from grantwheel.journal.sqlite import SqliteJournal
from journal_files import STEERING, flip, log_of, snapshot_of, write_journal, write_restart, writing
from journal_tool import Capture, documented, run

FRAME = FRAME_HEADER_SIZE + 4096


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal with a little of everything."""
    (tmp_path / "journal").mkdir()
    path = tmp_path / "journal" / "grants.db"
    write_journal(path)
    return path


def verified(capsys: Capture, path: Path) -> tuple[int, dict[str, Any]]:
    code, out, err = run(capsys, "verify", path, "--json")
    assert err == ""
    found: dict[str, Any] = json.loads(out)
    assert run(capsys, "verify", path)[0] == code == (0 if found["sound"] else 1)
    return code, found


def shown(capsys: Capture, path: Path, *arguments: str) -> list[dict[str, Any]]:
    code, out, err = run(capsys, "show", path, "--json", *arguments)
    assert (code, err) == (0, "")
    return [json.loads(line) for line in out.splitlines()]


def test_verify_says_where_it_stands(path: Path, capsys: Capture) -> None:
    code, found = verified(capsys, path)
    assert code == 0
    assert set(found) == documented(options._VERIFY)
    assert found["file"] == str(path)
    assert (found["position"], found["snapshot"], found["damage"], found["aside"]) == (7, None, [], [])
    assert found["groups"] == {"count": 7, "first": 1, "last": 7, "bytes": found["groups"]["bytes"]}
    assert found["time_ms"] == {"first": 1000, "last": 2010}
    assert found["held"] == {"owners": 1, "grants": 1}
    assert found["files"] == {"grants.db": path.stat().st_size}
    assert found["writer"] is None


def test_verify_says_it_in_words(path: Path, capsys: Capture) -> None:
    code, out, err = run(capsys, "verify", path)
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == f"{path}: sound"
    assert re.search(r"^  position  7; 7 groups from 1 on are there, \d+ bytes$", out, re.MULTILINE)
    assert "  held      1 grant of 1 owner at the last instant" in out


def test_verify_of_a_snapshot(path: Path, capsys: Capture) -> None:
    path.unlink()
    write_journal(path, saved_at=4)
    _, found = verified(capsys, path)
    assert found["snapshot"]["position"] == 4
    assert found["snapshot"]["behind"] == 3
    assert found["snapshot"]["time_ms"] == 2000
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found["snapshot"]["saved"])
    assert found["groups"]["last"] == found["position"] == 7
    assert (
        "snapshot  at 4, 3 groups behind; instant 2000 ms, 10 ms before the last; written "
        in (run(capsys, "verify", path)[1])
    )
    (path.parent / "other").mkdir()
    write_journal(path.parent / "other" / "grants.db")
    assert found["state_hash"] == verified(capsys, path.parent / "other" / "grants.db")[1]["state_hash"]


def test_an_empty_journal_is_sound(path: Path, capsys: Capture) -> None:
    path.unlink()
    SqliteJournal(path).close()
    code, found = verified(capsys, path)
    assert (code, found["position"], found["groups"]["count"]) == (0, 0, 0)
    assert found["time_ms"] == {"first": None, "last": None}
    assert run(capsys, "show", path) == (0, "", "")


def damage_log(path: Path) -> None:
    flip(log_of(path), HEADER_SIZE + 5 * FRAME + 40)


def damage_log_header(path: Path) -> None:
    flip(log_of(path), 9)


def damage_beginning(path: Path) -> None:
    flip(path, 19)


def damage_snapshot(path: Path) -> None:
    flip(snapshot_of(path), 40)


def lose_file(path: Path) -> None:
    path.unlink()


def damage_snapshot_and_log(path: Path) -> None:
    damage_snapshot(path)
    damage_log(path)


@pytest.fixture
def killed(path: Path) -> Path:
    path.unlink()
    folder = path.parent.parent / "killed"
    write_journal(path, saved_at=4, killed=folder)
    return folder / path.name


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (damage_log, [("grants.db-wal", HEADER_SIZE + 5 * FRAME, "frame 6 does not fit its checksum")]),
        (damage_log_header, [("grants.db-wal", 0, "the header of the log does not fit its checksum")]),
        (damage_beginning, [("grants.db", 0, "does not begin as a journal does")]),
        (damage_snapshot, [("grants.db-snapshot", 20, "a piece is not what was written, at byte 20")]),
        (lose_file, [("grants.db", None, "the file is gone")]),
        (
            damage_snapshot_and_log,
            [
                ("grants.db-snapshot", 20, "a piece is not what was written"),
                ("grants.db-wal", HEADER_SIZE + 5 * FRAME, "frame 6 does not fit"),
            ],
        ),
    ],
)
def test_damage_is_named_by_place(
    killed: Path, capsys: Capture, damage: Callable[[Path], None], named: list[tuple[str, int | None, str]]
) -> None:
    damage(killed)
    code, found = verified(capsys, killed)
    assert code == 1
    assert [(report["kind"], Path(report["file"]), report["offset"]) for report in found["damage"]] == [
        ("damaged", killed.with_name(name), offset) for name, offset, _ in named
    ]
    for report, (_, _, what) in zip(found["damage"], named, strict=True):
        assert what in report["what"]
        assert "grantwheel-" not in report["what"]
    _, out, _ = run(capsys, "verify", killed)
    assert out.splitlines()[0] == f"{killed}: DAMAGED"
    for name, _, what in named:
        assert re.search(
            rf"^  damaged +{re.escape(str(killed.with_name(name)))}.*: .*{re.escape(what)}", out, re.MULTILINE
        )


def test_a_damaged_page_of_the_file_is_named(path: Path, capsys: Capture) -> None:
    data = path.read_bytes()
    place = data.index(STEERING.encode())
    flip(path, place)
    code, found = verified(capsys, path)
    assert code == 1
    assert [report["what"] for report in found["damage"]] == ["group 1 does not fit its checksum"]
    assert found["position"] == 0
    code, out, err = run(capsys, "show", path)
    assert (code, out) == (1, "")
    assert "is damaged" in err


def test_what_is_sound_before_the_damage_is_shown(path: Path, capsys: Capture) -> None:
    path.unlink()
    killed = path.parent.parent / "killed" / path.name
    write_journal(path, killed=killed.parent)
    damage_log(killed)
    code, out, err = run(capsys, "show", killed, "--json")
    assert code == 1
    assert json.loads(out.splitlines()[-1])["position"] == verified(capsys, killed)[1]["position"] < 7
    assert "is damaged: this is what is sound of it" in err


def test_what_was_being_written_is_no_damage(killed: Path, capsys: Capture) -> None:
    end = read_chain(log_of(killed)).end
    os.truncate(log_of(killed), end - 5)
    code, found = verified(capsys, killed)
    assert code == 0
    assert [(report["kind"], report["file"]) for report in found["damage"]] == [("torn", str(log_of(killed)))]
    assert re.search(r"^  torn ", run(capsys, "verify", killed)[1], re.MULTILINE)


def test_what_is_no_group_of_a_manager_is_damage(path: Path, capsys: Capture) -> None:
    with SqliteJournal(path) as journal:
        journal.append(7, b"anything")
    code, found = verified(capsys, path)
    assert code == 1
    (report,) = found["damage"]
    assert report["what"].startswith("group 8 cannot be carried out: ")
    assert "at byte 0" in report["what"]
    assert report["last"] == 7
    code, _, err = run(capsys, "show", path)
    assert code == 1
    assert "group 8 cannot be read" in err


def test_what_does_not_follow_is_damage(path: Path, capsys: Capture) -> None:
    with SqliteJournal(path) as journal:
        first = dict(journal.read(0))[1]
        journal.append(7, first)
    code, found = verified(capsys, path)
    assert code == 1
    assert "does not follow on those before it" in found["damage"][0]["what"]


def test_what_was_set_aside_earlier_is_named(killed: Path, capsys: Capture) -> None:
    damage_log(killed)
    SqliteJournal(killed).close()
    code, found = verified(capsys, killed)
    assert (code, found["damage"]) == (0, [])
    assert found["aside"] == [str(killed) + "-damaged-1"]
    assert f"  set aside {killed}-damaged-1, from earlier damage" in run(capsys, "verify", killed)[1]


@pytest.mark.parametrize("part", ["verify", "show"])
@pytest.mark.parametrize("what", ["missing", "folder", "text", "newer"])
def test_what_cannot_be_read_is_2(path: Path, capsys: Capture, part: str, what: str) -> None:
    other = path.with_name("other\x1b[31m")
    if what == "folder":
        other.mkdir()
    elif what == "text":
        other.write_text("a text\n" * 100)
    elif what == "newer":
        data = bytearray(path.read_bytes())
        data[63] = 9
        other.write_bytes(data)
    code, out, err = run(capsys, part, other)
    assert (code, out) == (2, "")
    assert err.startswith(f"grantwheel journal {part}: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("part", ["verify", "show", "replay"])
def test_a_copy_that_fails_later_is_no_error_of_writing(
    path: Path, capsys: Capture, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> list[tuple[int, bytes]]:
        raise OSError(errno.EIO, "the disk is ill")

    monkeypatch.setattr("grantwheel.journal.reading.read_some", fail)
    code, out, err = run(capsys, part, path)
    assert (code, out) == (2, "")
    assert err == f"grantwheel journal {part}: the journal cannot be read: [Errno 5] the disk is ill\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["verify"],
        ["look", "x"],
        ["verify", "x", "--limit", "3"],
        ["show", "x", "--limit", "-1"],
        ["show", "x", "--type", "GPU"],
        ["show", "x", "--uid", "me"],
        ["show", "x", "--after", "1.5"],
    ],
)
def test_wrong_usage_is_2(capsys: Capture, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["journal", *arguments])
    assert ended.value.code == 2
    assert "usage: grantwheel" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["verify", "--help"], ["show", "--help"]])
def test_help(capsys: Capture, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["journal", *arguments])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: grantwheel journal")
    assert "exit codes:" in out


def test_it_reads_what_another_process_writes(path: Path, capsys: Capture) -> None:
    path.unlink()
    with writing(path) as pid:
        code, found = verified(capsys, path)
        assert (code, found["writer"], found["position"]) == (0, pid, 50)
        assert f"  writer    process {pid} has it open" in run(capsys, "verify", path)[1]
        assert len(shown(capsys, path)) == 50
    with SqliteJournal(path) as journal:
        assert (journal.last(), journal.reports) == (50, ())


def test_it_finds_a_busy_journal_sound(path: Path, capsys: Capture) -> None:
    path.unlink()
    last = looks = 0
    with writing(path, is_busy=True) as pid:
        while last < 750 and looks < 30:
            assert command.main(["journal", "verify", str(path), "--json"]) == 0
            found = json.loads(capsys.readouterr().out)
            assert (found["writer"], found["damage"]) == (pid, [])
            assert found["position"] >= last
            last = found["position"]
            looks += 1
    assert last > 50


def test_this_process_reads_what_it_writes_itself(path: Path, capsys: Capture) -> None:
    with SqliteJournal(path):
        code, _, err = run(capsys, "verify", path)
        assert code == 2
        assert f"the journal is open in process {os.getpid()}" in err


def test_show_has_all_that_was_done(path: Path, capsys: Capture) -> None:
    found = shown(capsys, path)
    assert [(one["position"], one["time_ms"], one["kind"]) for one in found] == [
        (1, 1000, "apply"),
        (2, 1000, "apply"),
        (3, 1100, "release"),
        (4, 2000, "advance"),
        (5, 2000, "apply"),
        (6, 2010, "process_died"),
        (7, 2010, "app_stopped"),
    ]
    common = {"position": 1, "time_ms": 1000, "wall": None, "kind": "apply", "row": None, "uid": 1, "pid": 11}
    assert found[0] == common | {
        "process": False,
        "types": ["GPS", "AUDIO"],
        "timeout_ms": 5000,
        "persist": False,
        "only_held": False,
        "cpu_level": -1,
        "bundle": "",
        "reason": STEERING,
        "timeouts_ms": {},
    }
    assert found[6] == {
        "position": 7,
        "time_ms": 2010,
        "wall": None,
        "kind": "app_stopped",
        "row": None,
        "uid": 1,
    }


def test_show_of_a_restart(path: Path, capsys: Capture) -> None:
    path.unlink()
    write_restart(path)
    *_, mark, limits, recovery, notes = found = shown(capsys, path)
    assert (mark["kind"], mark["time_ms"], mark["wall"]) == ("mark", 1002, "2023-11-14T22:13:20.123Z")
    assert (mark["boot_id"], mark["boot_ms"], mark["wall_ms"]) == (
        "0102030405060708090a0b0c0d0e0f10",
        123456,
        1_700_000_000_123,
    )
    assert (limits["kind"], limits["max_records"], limits["max_strings"]) == ("limits", 1_000_000, 65536)
    assert (recovery["kind"], recovery["apps"], recovery["processes"]) == (
        "recovery",
        [1, 20010042, 4294967294],
        [0, 4242, 2147483647],
    )
    assert (notes["kind"], notes["changes"]) == ("notes", {"7461736b2f31": "00ff", "7461736b2f32": None})
    whole = {name for one in [*found, *shown_journal(capsys, path)] for name in one}
    assert whole == documented(options._SHOW)
    kinds = {*map(str, ops.CommandKind), "advance", "mark", "limits", "recovery", "notes"}
    assert kinds <= set(re.findall(r"\w+", options._SHOW))
    assert [one["kind"] for one in shown(capsys, path, "--uid", "1")] == ["apply", "recovery"]
    assert [one["kind"] for one in shown(capsys, path, "--pid", "4242")] == ["apply", "recovery"]
    _, out, _ = run(capsys, "show", path)
    assert "  2023-11-14T22:13:20.123Z  mark  " in out
    assert "apps 1 20010042 4294967294 processes 0 4242 2147483647\n" in out
    assert out.endswith("notes               b'task/1': 2 bytes b'task/2': removed\n")


def test_show_of_tasks(path: Path, capsys: Capture) -> None:
    path.unlink()
    with grantwheel.open(path, clock=grantwheel.ManualClock()) as manager:
        tasks = grantwheel.Tasks(manager)
        who = grantwheel.Caller(uid=1, pid=2, bundle="b")
        tasks.start_background_running("Main", 1, True, caller=who)
        tasks.start_background_running("Main" * 200, 1, True, caller=who)
        tasks.stop_background_running("Main", caller=who)
    _, out, _ = run(capsys, "show", path)
    assert """b'tasks/continuous': b'{"next_id":2}' b'tasks/continuous/1': b'{"ability":"Main",""" in out
    assert re.search(r"b'tasks/continuous/2': \d+ bytes\n", out)
    assert "b'tasks/continuous/1': removed\n" in out


def shown_journal(capsys: Capture, path: Path) -> list[dict[str, Any]]:
    path.unlink()
    write_journal(path)
    found = shown(capsys, path)
    path.unlink()
    write_restart(path)
    return found


def test_verify_has_the_time_of_the_calendar(path: Path, capsys: Capture) -> None:
    path.unlink()
    write_restart(path)
    code, found = verified(capsys, path)
    assert (code, found["wall"]) == (
        0,
        {"first": "2023-11-14T22:13:19.131Z", "last": "2023-11-14T22:13:20.125Z"},
    )
    assert "  last      1004 ms, 2023-11-14T22:13:20.125Z\n" in run(capsys, "verify", path)[1]


def test_show_escapes_in_lines(path: Path, capsys: Capture) -> None:
    code, out, _ = run(capsys, "show", path)
    assert code == 0
    lines = out.splitlines()
    assert len(lines) == 7
    assert lines[0].split() == [
        *("1", "1000", "ms", "apply", "uid", "1", "pid", "11", "GPS+AUDIO", "for", "5000", "ms", "reason"),
        r"'\x1b[31m\u202e\'\\'",
    ]
    assert lines[1].endswith("uid 2 pid 22 CPU for 700 ms of the process")
    assert lines[4].endswith("TIMER persistent")


@pytest.mark.parametrize(
    ("arguments", "positions"),
    [
        (["--after", "5"], [6, 7]),
        (["--after", "99"], []),
        (["--limit", "2"], [1, 2]),
        (["--limit", "0"], []),
        (["--after", "2", "--limit", "3"], [3, 4, 5]),
        (["--uid", "1"], [1, 3, 6, 7]),
        (["--pid", "22"], [2, 5]),
        (["--type", "AUDIO"], [1, 3]),
        (["--type", "gps", "--uid", "1", "--pid", "11"], [1]),
        (["--type", "gps", "--uid", "2"], []),
    ],
)
def test_show_filters(path: Path, capsys: Capture, arguments: list[str], positions: list[int]) -> None:
    assert [one["position"] for one in shown(capsys, path, *arguments)] == positions


def test_show_of_a_batch_has_its_rows(path: Path, capsys: Capture) -> None:
    from array import array

    from grantwheel import Manager, ManualClock

    path.unlink()
    with SqliteJournal(path) as journal, Manager(clock=ManualClock(7), log=journal) as manager:
        uids = array("I", [5, 6, 7])
        manager.apply_many(uids, uids, array("I", [32, 64, 32]), array("I", [9, 9, 9]))
    found = shown(capsys, path, "--type", "GPS")
    assert [(one["position"], one["row"], one["uid"]) for one in found] == [(1, 0, 5), (1, 2, 7)]
    assert re.match(r" +1\.0 +7 ms  apply +uid 5 pid 5 GPS for 9 ms\n", run(capsys, "show", path)[1])
