"""Managers that are closed and opened again, as ways into the engine: `restart` steps, and ``--face durable``.

What was open before a restart is gone afterwards, but for the journal: a subscriber of a scenario subscribes anew, and
gets the events since its last one first.
"""

import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import grantwheel
from conformance_face import PythonFace, Row
from grantwheel.journal import MemoryJournal

BOOT: Final = "00000000-0000-4000-8000-{:012d}"
LONG_AGO: Final = 0  # when all processes of a scenario have started


class RestartingFace(PythonFace):
    """The engine through the public Python API, on a journal, so that it can be started anew."""

    def __init__(self, policy: Row) -> None:
        self._boots = 1
        self._booted_at = 0
        self._make_place()
        super().__init__(policy)

    def _make_place(self) -> None:
        self._journal = MemoryJournal()

    def _where(self) -> Any:
        return self._journal

    def _make_manager(self) -> Any:
        return self._open(owners="any")

    def _open(self, *, owners: Any, running: Sequence[Sequence[int]] = ()) -> Any:
        now = self._clock.now()
        start = grantwheel.recovery.Start(
            boot_id=BOOT.format(self._boots),
            boot_ms=now - self._booted_at,
            wall_ms=1_700_000_000_000 + now,
            processes={pid: (uid, LONG_AGO) for uid, pid in running},
        )
        return grantwheel.open(
            self._where(), clock=self._clock, policy=self._policy, owners=owners, start=start, snapshots=False
        )

    def _reopen(
        self, *, owners: Any, running: Sequence[Sequence[int]] = (), down_ms: int = 0, corrupt: bool = False
    ) -> None:
        """Close the manager, and open it again."""
        for subscriber in self._subscriptions:
            self._fetch(subscriber)
        last = 0 if corrupt else self._manager.last_sequence
        if self.tasks is not None:
            self.tasks.fetch()
        self._manager.close()
        if corrupt:
            self._spoil()
        self._clock.advance(down_ms)
        self._manager = self._open(owners=owners, running=running)
        if self.tasks is not None:
            self.tasks.begin(self._manager)
        missed = self._manager.read(last)[0]
        for subscriber in list(self._subscriptions):
            self._subscriptions[subscriber] = self._manager.subscribe(subscriber)
            self._keep(subscriber, missed)

    def restart(self, *, running: Sequence[Sequence[int]], down_ms: int, rebooted: bool, corrupt: bool) -> None:
        """Start anew, as the service does."""
        if rebooted:
            self._boots += 1
            self._booted_at = self._clock.now() + down_ms
        self._reopen(owners="processes", running=running, down_ms=down_ms, corrupt=corrupt)

    def _spoil(self) -> None:
        """Leave nothing of the journal that can be read."""
        self._journal._groups = [bytes(len(group)) for group in self._journal._groups]


class DurableFace(RestartingFace):
    """The same on a file, which is closed and opened again at random steps: the seed is that of the run."""

    seed = 0

    def __init__(self, policy: Row) -> None:
        self._random = random.Random(f"{self.seed}")
        super().__init__(policy)

    def _make_place(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="grantwheel-")
        self._path = Path(self._folder.name) / "grants.db"

    def _where(self) -> Any:
        return self._path

    def check(self) -> None:
        """Check the manager, and now and then the one that is opened in its place."""
        super().check()
        if self._random.random() < 0.2:
            ready = self._manager.ready
            self._reopen(owners="any")
            self._manager.ready = ready
            super().check()

    def _spoil(self) -> None:
        for file in self._path.parent.iterdir():
            file.write_bytes(b"?" * file.stat().st_size)

    def close(self) -> None:
        super().close()
        self._folder.cleanup()
