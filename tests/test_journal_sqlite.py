"""The journal on SQLite: who may have it, what it does when something fails, and how large it gets."""

import contextlib
import itertools
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest

from failing_connections import failed, let_fail
from forking import in_child
from grantwheel.journal import Conflict, FormatError, InUseError, NotAppended, _database, _recovery, _snapshot
from grantwheel.journal._files import beside, identity
from grantwheel.journal.sqlite import SqliteJournal
from small_disks import fill, small_disk

WRITER = """
import sys
from grantwheel.journal.sqlite import SqliteJournal

journal = SqliteJournal(sys.argv[1], durability=sys.argv[2])
print(journal.last(), flush=True)
for position in range(journal.last(), 1_000_000):
    if position % 50 == 49:
        journal.save(position - 20, [b"%d " % (position - 20)] * 1000)
    journal.append(position, b"%d " % (position + 1) * (position % 300))
    print(position + 1, flush=True)
"""


def start_writer(path: Path, durability: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(path), durability]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    with SqliteJournal(tmp_path / "grants.db") as made:
        made.append(0, b"one")
        yield made


def test_the_log_has_its_size_from_the_beginning(journal: SqliteJournal) -> None:
    log = journal.path.with_name("grants.db-wal")
    size = log.stat().st_size
    assert size > 1000 * 4096
    for position in range(1, 300):
        journal.append(position, b"g" * 10_000)
        assert log.stat().st_size == size


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_files_are_the_owners_alone(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with SqliteJournal(tmp_path / "grants.db") as journal:
            journal.append(0, b"one")
            journal.save(1, [b"snapshot"])
            modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    finally:
        os.umask(before)
    names = ["grants.db", "grants.db-lock", "grants.db-shm", "grants.db-snapshot", "grants.db-wal"]
    assert modes == dict.fromkeys(names, 0o600)


def test_files_that_others_may_read_are_taken_from_them(tmp_path: Path) -> None:
    SqliteJournal(tmp_path / "grants.db").close()
    (tmp_path / "grants.db").chmod(0o664)
    SqliteJournal(tmp_path / "grants.db").close()
    assert (tmp_path / "grants.db").stat().st_mode & 0o777 == 0o600


def test_a_second_one_in_this_process_is_refused(journal: SqliteJournal, tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to("grants.db")
    for name in ("grants.db", "link.db"):
        with pytest.raises(InUseError, match=rf"the journal is open in process {os.getpid()}") as caught:
            SqliteJournal(tmp_path / name)
        assert caught.value.pid == os.getpid()
        assert isinstance(caught.value, OSError)
    assert journal.append(1, b"two") == 2


def test_one_that_cannot_be_opened_leaves_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "grants.db"
    path.write_bytes(b"something else")
    with pytest.raises(FormatError) as caught:
        SqliteJournal(path)
    path.unlink()
    with SqliteJournal(path) as journal:  # while what was raised is there still, and with it the first one
        assert journal.append(0, b"one") == 1
    assert caught.value.args


def test_a_second_process_is_refused_and_told_by_whom(journal: SqliteJournal) -> None:
    code = (
        "import sys\nfrom grantwheel.journal import InUseError\nfrom grantwheel.journal.sqlite import SqliteJournal\n"
        "try:\n    SqliteJournal(sys.argv[1])\nexcept InUseError as error:\n    print(error.pid)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(journal.path)], capture_output=True, text=True, check=True)
    assert done.stdout == f"{os.getpid()}\n"


def test_the_lock_dies_with_the_process(tmp_path: Path) -> None:
    path = tmp_path / "grants.db"
    writer = start_writer(path, "commit")
    assert writer.stdout is not None
    assert writer.stdout.readline() == "0\n"
    with pytest.raises(InUseError) as caught:
        SqliteJournal(path)
    assert caught.value.pid == writer.pid
    writer.kill()
    writer.communicate()
    SqliteJournal(path).close()


@pytest.mark.parametrize("durability", ["commit", "batch"])
def test_what_was_acknowledged_survives_kill_9(tmp_path: Path, durability: str, request: pytest.FixtureRequest) -> None:
    path = tmp_path / "grants.db"
    before = 0
    for number in range(request.config.getoption("--journal-kills")):
        writer = start_writer(path, durability)
        assert writer.stdout is not None
        # What comes through the pipe meanwhile is acknowledged too, so that it is killed anywhere.
        lines = list(itertools.islice(writer.stdout, 3 + number * 37 % 120))
        writer.kill()
        lines += writer.communicate()[0].splitlines()
        assert int(lines[0]) == before
        acknowledged = int(lines[-1])
        with SqliteJournal(path) as journal:
            before = journal.last()
            assert before in (acknowledged, acknowledged + 1)
            # A frame that was half written: of a group that was not acknowledged.
            assert [(report.kind, report.last) for report in journal.reports] in ([], [("torn", acknowledged)])
            check_written(journal)


def check_written(journal: SqliteJournal) -> None:
    """Check that what `WRITER` has written is there, behind its snapshot."""
    found = journal.snapshot()
    covered, chunks = found or (0, iter(()))
    assert b"".join(chunks) == (b"%d " % covered * 1000 if covered else b"")
    groups = [
        (position, b"%d " % position * ((position - 1) % 300)) for position in range(covered + 1, journal.last() + 1)
    ]
    assert list(journal.read(covered)) == groups


def test_a_child_of_a_fork_has_none(journal: SqliteJournal) -> None:
    def work(say: Callable[[str], object]) -> None:
        for use in (journal.last, lambda: journal.append(1, b""), journal.snapshot, lambda: list(journal.read(0))):
            try:
                use()
            except Exception as error:
                say(type(error).__name__)
        journal.close()
        try:
            SqliteJournal(journal.path)
        except InUseError as error:
            say("of the parent" if error.pid == os.getppid() else str(error.pid))

    assert in_child(work) == ["ValueError", "NotAppended", "ValueError", "ValueError", "of the parent"]
    assert journal.append(1, b"two") == 2
    assert journal.last() == 2
    with pytest.raises(InUseError):
        SqliteJournal(journal.path)


def test_another_program_that_writes_is_waited_for_and_then_refused(tmp_path: Path) -> None:
    with SqliteJournal(tmp_path / "grants.db", busy_ms=1) as journal:
        with contextlib.closing(sqlite3.connect(journal.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(NotAppended, match="database is locked"):
                journal.append(0, b"one")
            other.execute("ROLLBACK")
        assert journal.last() == 0
        assert journal.append(0, b"one") == 1


def test_it_is_the_same_instance_until_something_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "grants.db"
    with SqliteJournal(path) as journal, SqliteJournal(tmp_path / "other.db") as other:
        known = journal.instance
        assert len(known) == len(other.instance) == 32
        assert known != other.instance
        journal.append(0, b"one")
        journal.append(1, b"two")
        journal._doubt = "as after a failed sync"
        assert journal.last() == 2  # by a new file
        assert journal.instance == known
    with SqliteJournal(path) as journal:
        assert journal.instance == known
        journal.set_aside("it makes no sense", 1)
        fresh = journal.instance
        assert fresh != known
        assert list(journal.read(0)) == [(1, b"one")]
    with SqliteJournal(path) as journal:
        assert journal.instance == fresh
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as host:  # one in C++ has a token of its own
        host.execute("UPDATE writer SET token = x'00112233445566778899aabbccddeeff'")
    with SqliteJournal(path) as journal:
        assert journal.instance != fresh


def test_a_writer_that_was_replaced_is_refused_for_good(journal: SqliteJournal) -> None:
    with contextlib.closing(sqlite3.connect(journal.path, isolation_level=None)) as other:
        other.execute("UPDATE writer SET token = x'00', pid = 4711, host = 'elsewhere'")
    for _ in range(2):
        with pytest.raises(Conflict, match=r"process 4711 on elsewhere writes it"):
            journal.append(1, b"two")
    assert list(journal.read(0)) == [(1, b"one")]


def test_a_file_that_was_replaced_is_a_conflict(journal: SqliteJournal) -> None:
    journal.path.rename(journal.path.with_name("moved.db"))
    with pytest.raises(Conflict, match="another file is in its place"):
        journal.append(1, b"two")


def test_what_fails_before_the_commit_is_not_in(journal: SqliteJournal) -> None:
    for error in (failed(sqlite3.SQLITE_FULL), failed(sqlite3.SQLITE_IOERR_READ), MemoryError()):
        let_fail(journal, "INSERT", error)
        with pytest.raises(NotAppended) as caught:
            journal.append(1, b"two")
        assert caught.value.__cause__ is error
        assert journal.last() == 1
    assert journal.append(1, b"two") == 2


def test_an_interrupt_before_the_commit_goes_on(journal: SqliteJournal) -> None:
    let_fail(journal, "INSERT", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        journal.append(1, b"two")
    assert journal.append(1, b"two") == 2


@pytest.mark.parametrize("after", [False, True], ids=["lost", "done"])
@pytest.mark.parametrize("error", [failed(sqlite3.SQLITE_IOERR_FSYNC), KeyboardInterrupt()], ids=["sync", "interrupt"])
def test_last_tells_what_became_of_a_commit_that_failed(
    journal: SqliteJournal, error: BaseException, after: bool
) -> None:
    before = journal.path.stat().st_ino
    let_fail(journal, "COMMIT", error, after=after)
    with pytest.raises(type(error)):
        journal.append(1, b"two")
    with pytest.raises(NotAppended, match=r"where the journal stands is for last\(\) to say"):
        journal.append(1, b"another")
    last = journal.last()
    assert last == (2 if after else 1)
    assert list(journal.read(0)) == [(1, b"one"), (2, b"two")][:last]
    assert journal.path.stat().st_ino != before  # the old file is not believed
    assert journal.append(last, b"next") == last + 1


def test_last_raises_while_it_cannot_tell(journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    let_fail(journal, "COMMIT", failed(sqlite3.SQLITE_IOERR_FSYNC))
    with pytest.raises(sqlite3.OperationalError):
        journal.append(1, b"two")

    def no_sync(descriptor: int) -> None:
        raise OSError("no sync today")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", no_sync)
        for _ in range(2):
            with pytest.raises(OSError, match="no sync today"):
                journal.last()
            with pytest.raises(OSError, match=r"is for last\(\) to say"):
                list(journal.read(0))
    assert journal.last() == 1
    assert list(journal.read(0)) == [(1, b"one")]


def test_a_checkpoint_that_fails_to_sync_makes_a_new_file(journal: SqliteJournal) -> None:
    let_fail(journal, "PRAGMA wal_checkpoint", failed(sqlite3.SQLITE_IOERR_FSYNC))
    with pytest.raises(sqlite3.OperationalError):
        journal.append(1, b"t" * 5_000_000)
    assert journal.last() == 2
    assert journal.append(2, b"three") == 3


def test_without_the_room_for_a_checkpoint_the_log_grows(journal: SqliteJournal) -> None:
    let_fail(journal, "PRAGMA wal_checkpoint", failed(sqlite3.SQLITE_FULL))
    assert journal.append(1, b"t" * 5_000_000) == 2
    assert journal.append(2, b"three") == 3


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 1024) as place:
        yield place


def test_a_full_disk_refuses_and_goes_on_when_there_is_room(disk: Path) -> None:
    with SqliteJournal(disk / "grants.db") as journal:
        filler = fill(disk)
        last = 0
        with contextlib.suppress(NotAppended):
            while True:
                last = journal.append(last, b"g" * 3000)
        for _ in range(3):
            with pytest.raises(NotAppended, match="database or disk is full"):
                journal.append(last, b"g" * 30_000)
        with pytest.raises(OSError, match="No space left"):
            journal.save(last, [b"s" * 100_000])
        assert journal.snapshot() is None
        assert journal.last() == last
        os.truncate(filler, 0)
        assert journal.append(last, b"again") == last + 1
        journal.save(last, [b"s" * 100_000])
        assert [len(group) for _, group in journal.read(last)] == [5]
    with SqliteJournal(disk / "grants.db") as journal:
        assert journal.last() == last + 1
        assert journal.reports == ()


def test_what_was_half_made_is_removed(journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    """By whoever could not make it, or by the next one: it takes the room that may be missing."""
    names = {file.name for file in journal.path.parent.iterdir()}
    let_fail(journal, "COMMIT", failed(sqlite3.SQLITE_IOERR_FSYNC))
    with pytest.raises(sqlite3.OperationalError):
        journal.append(1, b"two")

    def no_room(path: Path) -> None:
        raise OSError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(_database, "sync_file", no_room)
        with pytest.raises(OSError, match="no room"):
            journal.last()
    assert {file.name for file in journal.path.parent.iterdir()} <= names
    assert journal.last() == 1
    journal.save(1, [b"snapshot"])
    journal.close()
    for ending in ("-snapshot-new", "-building", "-building-wal"):
        beside(journal.path, ending).write_bytes(b"half made")
    with SqliteJournal(journal.path) as again:
        assert list(again.path.parent.glob("*new")) == list(again.path.parent.glob("*building*")) == []
        assert again.snapshot() is not None


def test_a_failed_commit_does_not_look_like_damage(disk: Path, tmp_path: Path) -> None:
    with SqliteJournal(disk / "grants.db") as journal:
        last = journal.append(0, b"one")
        with pytest.raises(NotAppended):
            journal.append(last, b"g" * 2_000_000)
        last = journal.append(last, b"two")
        for file in disk.iterdir():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with SqliteJournal(tmp_path / "grants.db") as journal:
        assert (journal.last(), journal.reports) == (2, ())


@pytest.mark.parametrize("durability", ["commit", "batch"])
def test_a_file_that_was_not_closed_is_written_anew(tmp_path: Path, durability: Literal["commit", "batch"]) -> None:
    path = tmp_path / "grants.db"
    log = tmp_path / "grants.db-wal"
    with SqliteJournal(path, durability=durability) as journal:
        for position in range(5):
            journal.append(position, b"%d" % position)
        journal.save(3, [b"three"])
        before = path.read_bytes(), identity(path)
        journal._doubt = "a sync has failed"  # so that the log stays, though nobody has read anything
    assert log.exists()
    assert (path.read_bytes(), identity(path)) == before
    with SqliteJournal(path, durability=durability) as journal:
        assert identity(path) != before[1]
        assert (journal.last(), journal.reports) == (5, ())
        assert list(journal.read(3)) == [(4, b"3"), (5, b"4")]
        before = path.read_bytes(), identity(path)
    assert not log.exists()
    with SqliteJournal(path, durability=durability) as journal:  # and one that was closed is not
        assert identity(path) == before[1]
        assert journal.last() == 5


def test_the_name_of_a_snapshot_is_on_the_disk_before_groups_are_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Path) -> None:
        raise OSError("no sync today")

    with SqliteJournal(tmp_path / "grants.db") as journal:
        for position in range(3):
            journal.append(position, b"group")
        with monkeypatch.context() as patch:
            patch.setattr(_snapshot, "sync_directory", fail)
            with pytest.raises(OSError, match="no sync today"):
                journal.save(3, [b"three"])
        journal.append(3, b"group")
        assert journal._dropped == 0
    with monkeypatch.context() as patch:
        patch.setattr(_recovery, "sync_directory", fail)
        with pytest.raises(OSError, match="no sync today"):
            SqliteJournal(tmp_path / "grants.db")
    with SqliteJournal(tmp_path / "grants.db") as journal:
        assert (journal.last(), journal.snapshot() is not None) == (4, True)
        journal.append(4, b"group")
        assert journal._dropped == 3


def test_a_file_whose_closing_failed_keeps_its_log(tmp_path: Path) -> None:
    path = tmp_path / "grants.db"
    with SqliteJournal(path) as journal:
        journal.append(0, b"one")
        let_fail(journal, "UPDATE writer", failed(sqlite3.SQLITE_IOERR_FSYNC))
    assert path.with_name("grants.db-wal").exists()
    with SqliteJournal(path) as journal:
        assert (journal.last(), journal.reports) == (1, ())


def test_a_limit_of_file_sizes(tmp_path: Path) -> None:
    def work(say: Callable[[str], object]) -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        with SqliteJournal(tmp_path / "grants.db") as journal:
            journal.append(0, b"one")
            resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, hard))
            try:
                journal.append(1, b"g" * 100_000)
            except (NotAppended, sqlite3.OperationalError):
                say("refused")
            with pytest.raises(OSError, match="too large"):  # of the copy of what was being written
                journal.last()
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            say(str(journal.last()))
            say(str(journal.append(1, b"g" * 100_000)))

    assert in_child(work) == ["refused", "1", "2"]


def test_a_batch_is_flushed(tmp_path: Path) -> None:
    with SqliteJournal(tmp_path / "grants.db", durability="batch") as journal:
        for position in range(100):
            journal.append(position, b"group")
        journal.flush()
        journal.flush()
        assert journal._flushed == 100
        journal.append(100, b"group")
        let_fail(journal, "UPDATE writer", failed(sqlite3.SQLITE_IOERR_FSYNC))
        with pytest.raises(sqlite3.OperationalError):
            journal.flush()
        with pytest.raises(OSError, match=r"is for last\(\) to say"):
            journal.flush()
        assert journal.last() == 101
        assert journal._flushed == 101


def test_an_unknown_durability_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="durability is 'commit' or 'batch', not 'some'"):
        SqliteJournal(tmp_path / "grants.db", durability="some")  # type: ignore[arg-type]


def test_the_files_stay_as_large_as_they_must_be(tmp_path: Path) -> None:
    """Under a steady load, with a snapshot now and then; a reader that comes slowly keeps the log from nothing."""
    with SqliteJournal(tmp_path / "grants.db", durability="batch") as journal:
        sizes = []
        readers = []
        for position in range(1, 30_001):
            journal.append(position - 1, b"g" * 200)
            if position % 1_000 == 0:
                journal.save(position, [b"snapshot"])
                readers.append(journal.read(position))
                sizes.append(sum(file.stat().st_size for file in tmp_path.iterdir()))
        rows = sqlite3.connect(journal.path)
        (kept,) = rows.execute("SELECT count(*) FROM groups").fetchone()
        rows.close()
        assert kept < 1_100
    assert max(sizes[10:]) < 1.1 * max(sizes[:10])
    assert max(sizes) < 8_000_000


def test_threads_use_it_at_once(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "grants.db", durability="batch")
    stop = threading.Event()
    failures: list[BaseException] = []

    def follow() -> None:
        try:
            while not stop.is_set():
                found = journal.snapshot()
                after = found[0] if found else 0
                if found:
                    assert b"".join(found[1]) == b"%d" % after
                with contextlib.suppress(LookupError):
                    for position, group in journal.read(after):
                        assert group == b"%d" % position
                        after = position
                if after > (found[0] if found else 0):
                    journal.save(after, [b"%d" % after])
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=follow)
    thread.start()
    for position in range(1, 2_001):
        journal.append(position - 1, b"%d" % position)
    stop.set()
    thread.join()
    assert failures == []
    assert journal.last() == 2_000
    journal.close()
