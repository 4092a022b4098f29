"""``grantwheel journal replay``: who held what, what ended it, and the plot of it."""

import json
import random
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from grantwheel import Manager, ManualClock, MemoryLog, ResourceType, replay
from grantwheel.command import journal as options
from grantwheel.command.axis import ticks
from grantwheel.command.density import Density
from grantwheel.command.times import WallClock, calendar, duration
from grantwheel.journal.sqlite import SqliteJournal
from journal_files import STEERING, flip, write_journal, write_restart
from journal_tool import Capture, documented, run
from support import CPU, GPS

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal with a little of everything."""
    (tmp_path / "journal").mkdir()
    path = tmp_path / "journal" / "grants.db"
    write_journal(path)
    return path


def replayed(capsys: Capture, path: Path, *arguments: str) -> dict[str, Any]:
    code, out, err = run(capsys, "replay", path, "--json", *arguments)
    assert (code, err) == (0, "")
    found: dict[str, Any] = json.loads(out)
    return found


def owners(found: dict[str, Any]) -> dict[tuple[Any, ...], dict[str, Any]]:
    return {(one["kind"], one["uid"], one["pid"], one["type"]): one for one in found["owners"]}


def written(path: Path, work: Callable[[Manager, ManualClock], object], start: int = 0) -> Path:
    path.unlink(missing_ok=True)
    clock, log = ManualClock(start), MemoryLog()
    with Manager(clock=clock, log=log) as manager:
        work(manager, clock)
    with SqliteJournal(path, durability="batch") as journal:
        for position, group in log.read():
            journal.append(position - 1, group)
    return path


def test_who_held_what(path: Path, capsys: Capture) -> None:
    found = replayed(capsys, path)
    assert set(found) == documented(options._REPLAY)
    record = found["records"][0]
    inner = {*found["types"][0], *found["owners"][0], *record, *record["grants"][0]}
    assert inner <= set(re.findall(r"\w+", options._REPLAY))
    assert (found["file"], found["groups"], found["missed"], found["fault"]) == (str(path), 7, 0, None)
    assert found["time_ms"] == {"first": 1000, "last": 2010}
    times = {"grants": 1, "older": 0}
    assert owners(found) == {
        key: {"kind": key[0], "uid": key[1], "pid": key[2], "type": key[3], "bundle": "", **times, **fields}
        for key, fields in {
            ("app", 1, None, "GPS"): {"held_ms": 1010, "longest_ms": 1010, "still": 0, "ended": {"app_stopped": 1}},
            ("app", 1, None, "AUDIO"): {"held_ms": 100, "longest_ms": 100, "still": 0, "ended": {"release": 1}},
            ("process", 2, 22, "CPU"): {"held_ms": 700, "longest_ms": 700, "still": 0, "ended": {"expired": 1}},
            ("app", 2, None, "TIMER"): {"held_ms": 10, "longest_ms": 10, "still": 1, "ended": {}},
        }.items()
    }
    assert [one["held_ms"] for one in found["owners"]] == [1010, 700, 100, 10]
    assert [one["type"] for one in found["types"]] == ["CPU", "TIMER", "GPS", "AUDIO"]
    (record,) = found["records"]
    assert (record["kind"], record["uid"], [grant["type"] for grant in record["grants"]]) == ("app", 2, ["TIMER"])


def test_it_is_a_table(path: Path, capsys: Capture) -> None:
    code, out, err = run(capsys, "replay", path)
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"{path}: 7 groups, 1000 ms to 2010 ms, 1.01 s",
        "",
        "type   grants    held  longest  now  ended by",
        "CPU         1  700 ms   700 ms       expired 1",
        "TIMER       1   10 ms    10 ms    1",
        "GPS         1  1.01 s   1.01 s       app_stopped 1",
        "AUDIO       1  100 ms   100 ms       release 1",
        "",
        "holder           type   grants    held  longest  now  ended by",
        "app 1            GPS         1  1.01 s   1.01 s       app_stopped 1",
        "process 22 of 2  CPU         1  700 ms   700 ms       expired 1",
        "app 1            AUDIO       1  100 ms   100 ms       release 1",
        "app 2            TIMER       1   10 ms    10 ms    1",
    ]
    limited = run(capsys, "replay", path, "--limit", "1")[1].splitlines()
    assert limited[-2:] == [
        "app 1   GPS        1  1.01 s   1.01 s       app_stopped 1",
        "3 more             3  810 ms   700 ms    1  expired 1, release 1",
    ]


@pytest.mark.parametrize(
    ("at", "held"),
    [
        (1000, {("app", 1): ["GPS", "AUDIO"], ("process", 22): ["CPU"]}),
        (1099, {("app", 1): ["GPS", "AUDIO"], ("process", 22): ["CPU"]}),
        (1100, {("app", 1): ["GPS"], ("process", 22): ["CPU"]}),
        (1699, {("app", 1): ["GPS"], ("process", 22): ["CPU"]}),
        (1700, {("app", 1): ["GPS"]}),
        (2009, {("app", 1): ["GPS"], ("app", 2): ["TIMER"]}),
        (9999, {("app", 2): ["TIMER"]}),
    ],
)
def test_what_was_held_at_an_instant(
    path: Path, capsys: Capture, at: int, held: dict[tuple[str, int], list[str]]
) -> None:
    found = replayed(capsys, path, "--at", str(at))
    assert {
        (record["kind"], record["uid"] if record["kind"] == "app" else record["pid"]): [
            grant["type"] for grant in record["grants"]
        ]
        for record in found["records"]
    } == held
    assert found["time_ms"]["last"] == at
    _, out, _ = run(capsys, "replay", path, "--at", str(at))
    assert out.splitlines()[1] == ""
    assert len(re.findall("^(?:app|process) uid", out, re.MULTILINE)) == len(held)
    assert "\\x1b[31m" in out or ("app", 1) not in held


def test_an_instant_in_the_middle_of_a_group(path: Path, capsys: Capture) -> None:
    log, clock = MemoryLog(), ManualClock(10)
    manager = Manager(clock=clock, log=log)
    manager.apply(1, 1, GPS, 100)
    clock.set(20)
    manager.apply(2, 1, GPS, 100)
    path.unlink()
    with SqliteJournal(path) as journal:
        journal.append(0, b"".join(group for _, group in log.read()))
    assert [record["uid"] for record in replayed(capsys, path, "--at", "19")["records"]] == [1]
    assert [record["uid"] for record in replayed(capsys, path, "--at", "20")["records"]] == [1, 2]
    code, _, err = run(capsys, "replay", path, "--at", "9")
    assert (code, "what is on record begins at 10 ms" in err) == (2, True)


def test_what_is_due_at_the_end_has_ended_at_its_deadline(path: Path, capsys: Capture) -> None:
    def work(manager: Manager, clock: ManualClock) -> None:
        manager.apply(1, 1, GPS, 100)
        clock.set(500)
        manager.apply(2, 1, GPS, 100)

    found = owners(replayed(capsys, written(path, work)))
    assert found["app", 1, None, "GPS"]["held_ms"] == 100
    assert found["app", 1, None, "GPS"]["ended"] == {"expired": 1}
    assert found["app", 2, None, "GPS"]["still"] == 1


def test_it_begins_with_the_snapshot_if_the_groups_before_are_gone(path: Path, capsys: Capture) -> None:
    whole = replayed(capsys, path)
    path.unlink()
    write_journal(path, saved_at=4)
    found = replayed(capsys, path)
    gone = found["groups"] == 3
    assert gone or found["owners"] == whole["owners"]
    if gone:
        assert found["time_ms"]["first"] == 2000
        gps = owners(found)["app", 1, None, "GPS"]
        assert (gps["held_ms"], gps["older"], gps["ended"]) == (10, 1, {"app_stopped": 1})
        assert re.search(r"app 1 +GPS +1 +\u226510 ms", run(capsys, "replay", path)[1])


def lived(manager: Manager, clock: ManualClock, grants: int, apps: int, seed: int = 17) -> None:
    """Have so many grants."""
    dice = random.Random(seed)
    while manager.stats().granted < grants:
        clock.advance(dice.randrange(4000))
        uid = 1000 + int(apps * dice.random() ** 3)
        mask = 1 << dice.randrange(9)
        chance = dice.random()
        if chance < 0.7:
            manager.apply(uid, uid, mask, 500 + dice.randrange(60_000), process=mask == CPU)
        elif chance < 0.9:
            manager.release(uid, uid, mask)
        elif chance < 0.95:
            manager.process_died(uid, uid)
        else:
            manager.app_stopped(uid)


def test_the_sums_are_those_of_the_engine(path: Path, capsys: Capture) -> None:
    written(path, lambda manager, clock: lived(manager, clock, 800, 12))
    found = replayed(capsys, path)
    with SqliteJournal(path) as journal:
        follower = replay(group for _, group in journal.read(0))
    stats = follower.stats()
    assert sum(one["grants"] for one in found["types"]) == stats.granted
    ended: Counter[str] = Counter()
    for one in found["owners"]:
        assert one["grants"] == one["still"] + sum(one["ended"].values())
        ended.update(one["ended"])
    due = sum(len(record.grants) for record in follower.records()) - sum(one["still"] for one in found["types"])
    assert due == 0
    expected = Counter({str(cause): count for cause, count in stats.ended.items() if count})
    assert {cause: count for cause, count in ended.items() if cause != "expired"} == {
        cause: count for cause, count in expected.items() if cause != "expired"
    }
    assert ended["expired"] >= expected["expired"]


def test_a_restart(path: Path, capsys: Capture) -> None:
    path.unlink()
    write_restart(path)
    found = replayed(capsys, path)
    assert found["wall"] == {"first": "2023-11-14T22:13:19.131Z", "last": "2023-11-14T22:13:20.125Z"}
    rows = owners(found)
    gps = rows["app", 1, None, "GPS"]
    assert (gps["held_ms"], gps["ended"]) == (994, {"recovered": 1})
    process = rows["process", 20010042, 4242, "CPU"]
    assert (process["held_ms"], process["ended"]) == (200, {"expired": 1})  # it was due before
    assert {key[1:4:2] for key, one in rows.items() if one["still"]} == {(1, "TIMER"), (2, "AUDIO")}
    assert "recovered 1" in texts(plotted(capsys, path))
    assert "UTC" in texts(plotted(capsys, path))


@pytest.mark.parametrize(
    ("at", "time"),
    [
        ("2023-11-14T22:13:19.500Z", 379),
        ("2023-11-14T23:13:19.200+01:00", 79),
        ("2023-11-14T22:13:20.125Z", 1004),
        ("2023-11-14T22:14:20.125Z", 61004),
    ],
)
def test_a_time_of_the_calendar(path: Path, capsys: Capture, at: str, time: int) -> None:
    path.unlink()
    write_restart(path)
    found = replayed(capsys, path, "--at", at)
    assert found["time_ms"]["last"] == time
    assert found["records"] == replayed(capsys, path, "--at", str(time))["records"]


def test_damage_ends_it_with_what_is_sound(path: Path, capsys: Capture) -> None:
    with SqliteJournal(path) as journal:
        journal.append(7, b"anything")
    code, out, err = run(capsys, "replay", path, "--json")
    found = json.loads(out)
    assert (code, found["groups"]) == (1, 7)
    assert found["fault"].startswith("group 8 cannot be carried out: ")
    assert err.count("group 8 cannot be carried out") == 1
    flip(path, path.read_bytes().index(STEERING.encode()))
    code, out, err = run(capsys, "replay", path)
    assert (code, out.splitlines()[1:]) == (1, ["nobody held anything"])
    assert "what is damaged is left out" in err


@pytest.mark.parametrize(
    "arguments", [["--at", "soon"], ["--at", "2026-01-01"], ["--at", "-1"], ["--limit", "x"], ["--lanes", "1.5"]]
)
def test_wrong_usage_is_2(path: Path, capsys: Capture, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(capsys, "replay", path, *arguments)
    assert ended.value.code == 2
    capsys.readouterr()


def test_without_marks_there_is_no_time_of_the_calendar(path: Path, capsys: Capture) -> None:
    code, _, err = run(capsys, "replay", path, "--at", "2026-11-28T00:00:00Z")
    assert (code, "no mark says when" in err) == (2, True)


def test_an_empty_journal(path: Path, capsys: Capture) -> None:
    path.unlink()
    SqliteJournal(path).close()
    assert run(capsys, "replay", path)[1].splitlines() == [
        f"{path}: 0 groups, 0 ms to 0 ms, 0 ms",
        "nobody held anything",
    ]
    out = path.with_name("plot.svg").parent.parent / "plot.svg"
    assert run(capsys, "replay", path, "--plot", str(out))[0] == 0
    ET.parse(out)


@pytest.mark.parametrize("suffix", ["", "-wal", "-snapshot"])
def test_a_plot_takes_no_place_of_the_journal(path: Path, capsys: Capture, suffix: str) -> None:
    before = path.read_bytes()
    code, _, error = run(capsys, "replay", path, "--plot", f"{path}{suffix}")
    assert (code, path.read_bytes()) == (2, before)
    assert "--plot" in error


def plotted(capsys: Capture, path: Path, *arguments: str) -> ET.Element:
    """Draw a plot and read it."""
    out = path.parent.parent / "plot.svg"
    assert run(capsys, "replay", path, "--plot", str(out), *arguments)[0] == 0
    return ET.parse(out).getroot()


def texts(root: ET.Element) -> list[str]:
    found = root.iter(f"{SVG}text")
    return [(one.text or "") + "".join(child.tail or "" for child in one) for one in found]


def titles(root: ET.Element) -> list[str]:
    return [one.text or "" for one in root.iter(f"{SVG}title")]


def test_the_plot_has_a_lane_for_each_owner_and_type(path: Path, capsys: Capture) -> None:
    root = plotted(capsys, path)
    found = texts(root)
    assert "4 grants of 3 owners, 1000 ms to 2010 ms (1.01 s)" in found
    lanes = [
        text for text in found if text in {one.name for one in ResourceType} or text.startswith(("app ", "process"))
    ]
    assert lanes == ["app 1", "GPS", "AUDIO", "app 2", "TIMER", "process 22 of 2", "CPU"]
    assert {"expired 1", "release 1", "app_stopped 1", "held still 1"} <= set(found)
    assert {"0", "+200 ms", "+1 s", "time since the instant 1000 ms"} <= set(found)
    told = titles(root)
    assert "CPU of process 22 of 2: 1000 ms to 1700 ms, 700 ms, ended by expired" in told
    assert "TIMER of app 2: 2000 ms to 2010 ms, 10 ms, held still" in told


def test_the_bars_are_where_the_grants_were(path: Path, capsys: Capture) -> None:
    root = plotted(capsys, path)
    bars = {title: one for one in root.iter(f"{SVG}rect") for title in titles(one)}
    whole = bars["GPS of app 1: 1000 ms to 2010 ms, 1.01 s, ended by app_stopped"]
    part = bars["CPU of process 22 of 2: 1000 ms to 1700 ms, 700 ms, ended by expired"]
    assert float(part.attrib["x"]) == float(whole.attrib["x"])
    assert float(part.attrib["width"]) / float(whole.attrib["width"]) == pytest.approx(700 / 1010, abs=0.01)
    legend = [one for one in root.iter(f"{SVG}rect") if one.get("width") == "12"]
    assert {whole.get("fill"), part.get("fill")} <= {one.get("fill") for one in legend}


def test_the_plot_of_very_many_grants_stays_small(path: Path, capsys: Capture) -> None:
    written(path, lambda manager, clock: lived(manager, clock, 4000, 400))
    root = plotted(capsys, path, "--lanes", "12")
    found = texts(root)
    holders = [text for text in found if text.startswith(("app ", "process "))]
    assert 1 <= len(holders) <= 12
    assert sum(text in {str(one.name) for one in ResourceType} for text in found) == 12 + 9
    more = [int(text.split()[0].replace(",", "")) for text in found if text.endswith(" more owners")]
    assert len(more) == 9
    grants = [int(match[1].replace(",", "")) for text in found if (match := re.fullmatch(r"([\d,]+) grants?", text))]
    assert sum(grants) == 4000
    assert (path.parent.parent / "plot.svg").stat().st_size < 400_000
    height = float(root.attrib["height"])
    assert height < 1000
    assert sum(text.startswith("up to ") for text in found) == 9


def test_a_lane_with_very_many_grants_shows_how_much_was_held(path: Path, capsys: Capture) -> None:
    def work(manager: Manager, clock: ManualClock) -> None:
        for _ in range(600):
            manager.apply(1, 1, GPS, 30)
            clock.advance(100)
            manager.advance()

    root = plotted(capsys, written(path, work))
    (lane,) = root.iter(f"{SVG}g")
    assert titles(lane) == ["GPS of app 1: held 18 s in all; expired 600"]
    paths = [one.attrib["d"] for one in lane.iter(f"{SVG}path")]
    assert len(paths) == 1
    heights = [float(height) for height in re.findall(r"v([\d.]+)h-2z", paths[0])]
    assert len(heights) > 400
    assert sum(heights) / len(heights) == pytest.approx(14 * 0.3, rel=0.1)


def test_the_plot_cannot_be_steered(path: Path, capsys: Capture) -> None:
    folder = path.parent / "<script>&"
    folder.mkdir()
    nasty = folder / "<b>\x1b&amp;.db"
    write_journal(nasty)
    root = plotted(capsys, nasty)
    assert texts(root)[0] == r"Grants of <b>\x1b&amp;.db"


def test_a_plot_that_cannot_be_written_is_2(path: Path, capsys: Capture) -> None:
    code, out, err = run(capsys, "replay", path, "--plot", str(path.parent / "missing" / "plot.svg"))
    assert (code, out) == (2, "")
    assert "the plot cannot be written" in err


@pytest.mark.parametrize(
    ("ms", "words"),
    [
        (0, "0 ms"),
        (999, "999 ms"),
        (1000, "1 s"),
        (12_340, "12.3 s"),
        (59_970, "1 min"),
        (90_000, "1 min 30 s"),
        (3_600_000, "1 h"),
        (86_399_000, "23 h 59 min"),
        (90_000_000, "1 d 1 h"),
    ],
)
def test_lengths_of_time(ms: int, words: str) -> None:
    assert duration(ms) == words


def test_the_wall_clock_goes_by_the_mark_before() -> None:
    clock = WallClock()
    assert (clock.ms(5), clock.text(5), clock.instant(5)) == (None, None, None)
    clock.note(100, 1_700_000_000_000)
    clock.note(200, 1_700_000_000_100)
    clock.note(300, 1_800_000_000_000)
    assert [clock.ms(time) for time in (0, 100, 299, 300, 310)] == [
        1_699_999_999_900,
        1_700_000_000_000,
        1_700_000_000_199,
        1_800_000_000_000,
        1_800_000_000_010,
    ]
    assert clock.text(100) == "2023-11-14T22:13:20.000Z"
    assert clock.instant(1_800_000_000_010) == 310
    assert clock.instant(1_750_000_000_000) == 300  # while nobody was there
    assert clock.instant(1_700_000_000_050) == 150
    assert clock.instant(1_699_999_999_950) == 50
    assert clock.instant(0) == 0
    assert calendar(1 << 62) is None


@pytest.mark.parametrize("length", [1, 7, 999, 60_000, 3_599_999, 10**8, 10**11, 10**15])
@pytest.mark.parametrize("wall", [None, 1_700_000_000_123, 0])
def test_an_axis_has_few_ticks_in_their_order(length: int, wall: int | None) -> None:
    clock = WallClock()
    if wall is not None:
        clock.note(50, wall)
    marks, what = ticks(50, 50 + length, clock)
    times = [mark.time for mark in marks]
    assert times == sorted(set(times))
    assert 1 <= len(times) <= 10
    assert all(50 <= time <= 50 + length for time in times)
    assert what in {"UTC", "time since the instant 50 ms"}
    assert len({mark.text for mark in marks}) == len(marks)


def test_a_density_adds_up() -> None:
    dice = random.Random(3)
    density = Density(100, 1100, 37)
    held = 0
    for _ in range(500):
        start, end = sorted((dice.randrange(100, 1101), dice.randrange(100, 1101)))
        density.add(start, end, "a")
        held += end - start
    (values,) = density.values().values()
    assert len(values) == 37
    assert min(values) >= 0
    assert sum(values) * 1000 / 37 == pytest.approx(held)
