"""Opens a damaged journal again and again, and each time another call of a kind fails: run by test_durable_faults.py.

Whatever fails, and however often: what was damaged is kept as it was, in its place or aside, until the very bytes are
aside; and once nothing fails what is sound is there, no more and no less than when nothing had failed.
"""

import argparse
import collections
import errno
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import grantwheel
from fault_manager import Grants, grants_of, require_refused, steps
from faulty_files import KINDS, copy_disk, each_in_turn, keep_logs_short, library, quick_folder
from grantwheel import BusinessError, ManualClock, NotAppended
from grantwheel.journal import InUseError
from grantwheel.journal._database import PAGE_SIZE
from grantwheel.journal._wal import FRAME_HEADER_SIZE, HEADER_SIZE

NOW_MS = 1000
NAME = "grants.db"
FRAME = FRAME_HEADER_SIZE + PAGE_SIZE
ENOUGH = 3  # so often it is opened before the fault goes away


def open_in(folder: Path) -> grantwheel.DurableManager:
    return grantwheel.open(folder / NAME, clock=ManualClock(NOW_MS), snapshots=False)


def flip(file: Path, at: int) -> None:
    data = bytearray(file.read_bytes())
    data[at] ^= 0x10
    file.write_bytes(data)


def damage_log(folder: Path) -> None:
    log = folder / f"{NAME}-wal"
    flip(log, HEADER_SIZE + 2 * FRAME + 3000)


def damage_end(folder: Path) -> None:
    """As a write that was interrupted leaves it."""
    log = folder / f"{NAME}-wal"
    data = bytearray(log.read_bytes())
    salts = data[16:24]
    last = max(at for at in range(HEADER_SIZE, len(data), FRAME) if data[at + 8 : at + 16] == salts)
    data[last + 200 :] = bytes(len(data) - last - 200)
    log.write_bytes(data)


def damage_snapshot(folder: Path) -> None:
    file = folder / f"{NAME}-snapshot"
    flip(file, file.stat().st_size // 2)


def damage_file(folder: Path) -> None:
    """One of the groups behind the snapshot."""
    with open_in(folder):  # at its end all is in the file
        pass
    file = folder / NAME
    flip(file, file.read_bytes().rindex(b"reason 7"))


PLACES: dict[str, Callable[[Path], None]] = {
    "log": damage_log,
    "end": damage_end,
    "snapshot": damage_snapshot,
    "file": damage_file,
}


def make_damaged(folder: Path, where: str) -> Path:
    """Make a journal with a snapshot and groups behind it, and damage it."""
    made, damaged = folder / "made", folder / "damaged"
    made.mkdir()
    with open_in(made) as manager:
        for number in range(9):
            for op in steps(number):
                op(manager)
            if number == (8 if where == "snapshot" else 5):  # the next change begins to drop what it stands for
                manager.snapshot()
        copy_disk(made, damaged, power_fails=False)
    PLACES[where](damaged)
    return damaged


class Run:
    """Opening one damaged journal until nothing fails."""

    def __init__(self, damaged: Path, place: Path, where: str, sound: Grants) -> None:
        self.place = place
        self.sound = sound
        wanted = {f"{NAME}-wal"} if where == "end" else {NAME, f"{NAME}-wal", f"{NAME}-snapshot"}
        self.kept = {file.name: file.read_bytes() for file in damaged.iterdir() if file.name in wanted}
        self.errors: collections.Counter[str] = collections.Counter()

    def open(self) -> bool:
        try:
            manager = open_in(self.place)
        except BusinessError as error:
            require_refused(error)
            self.errors[type(error).__name__] += 1
        except (OSError, sqlite3.Error, NotAppended) as error:
            if isinstance(error, InUseError):
                raise
            self.errors[type(error).__name__] += 1
        else:
            assert grants_of(manager, NOW_MS) == self.sound
            manager.validate()
            manager.close()
            self.check_kept(self.place)
            return True
        self.check_kept(self.place)
        for power_fails in (False, True):
            copy = self.place.with_name("copy")
            copy_disk(self.place, copy, power_fails=power_fails)
            with open_in(copy) as found:
                assert grants_of(found, NOW_MS) == self.sound
            self.check_kept(copy)
        return False

    def asides(self) -> list[Path]:
        return list(self.place.glob(f"{NAME}-damaged-*"))

    def check_kept(self, folder: Path) -> None:
        """Each file that was damaged is there as it was, in its place or aside."""
        library.faults_pause(1)
        for name, data in self.kept.items():
            places = [folder / name, *folder.glob(f"{NAME}-damaged-*/{name}")]
            assert any(file.exists() and file.read_bytes() == data for file in places), f"{name} is not kept"
        library.faults_pause(0)

    def check_last(self) -> None:
        assert self.open()
        with open_in(self.place) as manager:
            assert manager.recovery.damage == ()
            assert grants_of(manager, NOW_MS) == self.sound
        asides = [{file.name: file.read_bytes() for file in aside.iterdir()} for aside in self.asides()]
        assert any(aside | self.kept == aside for aside in asides)
        self.most = len(asides)


def run_once(number: int, options: argparse.Namespace, damaged: Path, sound: Grants) -> tuple[bool, Run]:
    """Have a call fail; whether there was one."""
    place = damaged.with_name("place")
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(damaged, place)
    kind = KINDS.index(options.kind)
    library.faults_begin(bytes(place), options.at_once)
    library.faults_arm(kind, number, getattr(errno, options.error), options.lasts)
    run = Run(damaged, place, options.where, sound)
    for _ in range(ENOUGH if options.lasts else 2):
        if run.open():
            break
    else:
        assert options.lasts, "it fails though no call does any more"
    is_met = library.faults_calls(kind) >= number
    library.faults_begin(b"", 0)
    run.check_last()
    return is_met, run


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("where", choices=PLACES)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--error", default="EIO")
    parser.add_argument("--lasts", action="store_true", help="calls fail for a while, and not only one")
    parser.add_argument("--at-once", action="store_true", help="what a failed sync was to bring is gone at once")
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--step", type=int, default=1)
    options = parser.parse_args()
    keep_logs_short()
    raised: collections.Counter[str] = collections.Counter()
    with quick_folder() as folder:
        damaged = make_damaged(folder, options.where)
        shutil.copytree(damaged, folder / "unharmed")
        with open_in(folder / "unharmed") as manager:
            assert manager.recovery.damage != ()
            sound = grants_of(manager, NOW_MS)
            assert sound

        def is_met(number: int) -> bool:
            has_come, run = run_once(number, options, damaged, sound)
            raised.update(run.errors)
            raised[f"{run.most} asides"] += 1
            return has_come

        print(each_in_turn(options.first, options.step, is_met), dict(raised), len(sound))


if __name__ == "__main__":
    main()
