"""What the demonstration sees of the processes."""

from pathlib import Path

import pytest

from demo_stage import SOUND, TIMERFD, FakeProc
from grantwheel import ResourceType
from grantwheel.demo import sampler as module
from grantwheel.demo.sampler import Sample, Sampler
from grantwheel.linux.procfs import ProcfsError


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeProc:
    return FakeProc(tmp_path, monkeypatch)


def types(sample: Sample) -> dict[int, ResourceType]:
    return {process.pid: types for process, types in sample.opened}


def test_names_the_busy_and_the_gone(proc: FakeProc) -> None:
    for pid in (1, 2, 3):
        proc.put(pid, ticks=100)
    sampler = Sampler(proc.path)
    assert sampler.processes == 3

    proc.put(1, ticks=101)
    proc.remove(2)
    proc.put(3, ticks=5, start=6)  # the pid is used again
    proc.put(4, ticks=1)  # new, and busy already
    proc.put(5, ticks=0)  # new, and quiet
    sample = sampler.sample()
    assert [process.pid for process in sample.busy] == [1, 3, 4]
    assert [(process.pid, process.start_ticks) for process in sample.gone] == [(2, 5), (3, 5)]
    assert sampler.sample() == Sample([], [], [])
    assert sampler.looks == 3
    assert sampler.ns > 0


@pytest.mark.parametrize(
    ("file", "shown"),
    [
        (TIMERFD, ResourceType.TIMER),
        (SOUND, ResourceType.AUDIO),
        ("/dev/snd/controlC0", ResourceType.AUDIO),
        ("/dev/dsp", ResourceType.AUDIO),
        ("/dev/dsp1", ResourceType.AUDIO),
        ("/dev/audio", ResourceType.AUDIO),
        ("/dev/dspace", None),
        ("/home/me/dev/snd/take.wav", None),
        ("/tmp/anon_inode:[timerfd]", None),
        ("anon_inode:[eventfd]", None),
    ],
)
def test_open_files_show_types(proc: FakeProc, file: str, shown: ResourceType | None) -> None:
    proc.put(7)
    proc.hold(7, "/dev/null", file)
    assert types(Sampler(proc.path).sample()) == ({} if shown is None else {7: shown})


def test_open_files_show_several_types_until_they_are_closed(proc: FakeProc) -> None:
    proc.put(7)
    proc.put(8)
    proc.hold(7, SOUND, TIMERFD)
    proc.hold(8, TIMERFD)
    sampler = Sampler(proc.path)
    assert types(sampler.sample()) == {7: ResourceType.AUDIO | ResourceType.TIMER, 8: ResourceType.TIMER}
    proc.hold(7, TIMERFD)
    proc.hold(8)
    assert types(sampler.sample()) == {7: ResourceType.TIMER}
    proc.remove(7)
    assert types(sampler.sample()) == {}


def test_reads_the_files_of_the_busy_the_holders_and_some_others_in_turns(
    proc: FakeProc, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FILES_PER_LOOK", 2)
    for pid in range(1, 8):
        proc.put(pid)
    proc.hold(2, TIMERFD)
    sampler = Sampler(proc.path)
    scans = []
    for ticks in range(1, 6):
        proc.put(7, ticks=ticks)
        proc.scanned.clear()
        sampler.sample()
        scans.append(proc.scanned[:])
    # Busy: 7, each time. A holder from the first look on: 2. The others by twos, around and around.
    assert scans == [[1, 2, 7], [2, 3, 4, 7], [2, 5, 6, 7], [1, 2, 3, 7], [2, 4, 5, 7]]


def test_counts_whose_files_it_may_not_read(proc: FakeProc) -> None:
    for pid in (1, 2, 3):
        proc.put(pid)
        proc.hold(pid, TIMERFD)
    proc.closed = {"1/fd", "2/fd"}
    sampler = Sampler(proc.path)
    assert (sampler.refused, sampler.files_refused) == (0, 0)
    assert types(sampler.sample()) == {3: ResourceType.TIMER}
    assert sampler.files_refused == 2
    proc.remove(1)
    proc.closed = {"3/stat"}
    assert types(sampler.sample()) == {2: ResourceType.TIMER}
    assert (sampler.refused, sampler.files_refused) == (1, 0)


def test_a_process_with_very_many_files_is_read_in_part(proc: FakeProc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FILES_PER_PROCESS", 0)
    proc.put(7)
    proc.hold(7, TIMERFD)
    assert types(Sampler(proc.path).sample()) == {}


def test_knows_uids(proc: FakeProc) -> None:
    proc.put(1, uid=10)
    proc.put(2, uid=20)
    sampler = Sampler(proc.path)
    proc.remove(2)
    assert sampler.uid(1) == 10
    assert sampler.uids() == {1: 10, 2: None}


def test_says_when_the_procfs_is_gone(proc: FakeProc, tmp_path: Path) -> None:
    sampler = Sampler(proc.path)
    proc.closed = {"."}
    with pytest.raises(ProcfsError, match="Permission denied"):
        sampler.sample()
    with pytest.raises(ProcfsError):
        Sampler(tmp_path / "missing")
