"""The manager that `grantwheel.open` gives: its grants are in a journal, and come back when that is opened again."""

import logging
import time
from typing import NamedTuple

from grantwheel import _core
from grantwheel._core import BusinessError
from grantwheel.journal import Journal
from grantwheel.manager import Manager
from grantwheel.policy import Policy
from grantwheel.types import Clock, Stats

from .keeping import CountedLog, Keeper
from .loading import Loaded
from .report import Report
from .start import Start

_log = logging.getLogger("grantwheel")
_SETTLE_MS = 5000  # so long the journal has at the end


class Clocks(NamedTuple):
    """How the machine's clocks stand to the log's time: what a mark says.

    ``wall_offset_ms`` is None for the calendar as it is at the time of the mark.
    """

    boot_id: bytes
    boot_offset_ms: int
    wall_offset_ms: int | None


class DurableManager(Manager):
    """A manager whose grants are in a journal, made by `grantwheel.open`.

    Beside what a `Manager` has:
    """

    def __init__(
        self,
        *,
        clock: Clock,
        policy: Policy | None,
        journal: Journal,
        owns_journal: bool,
        loaded: Loaded,
        durability: str,
        clocks: Clocks,
        report: Report,
        snapshots: bool,
    ) -> None:
        log = CountedLog(journal)
        follower = loaded.follower
        _core.Manager.__init__(self, clock, None, None, None, None, log, b"", durability, follower)
        self._begin(policy, has_log=True, is_behind=durability == "batch")
        self._journal = journal
        self._owns_journal = owns_journal
        self._clocks = clocks
        self._report = report
        self._keeper = Keeper(self, journal, log, loaded, snapshots=snapshots)
        self._keeper.marked_ms = report.now_ms

    @property
    def recovery(self) -> Report:
        """What was found when it was opened, and what has ended since it was last open."""
        return self._report

    def stats(self) -> Stats:
        """Return the numbers of the manager, with those of its snapshots; see `Manager.stats`."""
        return super().stats()._replace(snapshots=self._keeper.stats)

    def snapshot(self) -> int:
        """Make a snapshot of what is in the journal now, and return its position: the next start begins with it.

        It happens by itself when the log has grown. It may take seconds, and delays nobody else.

        Raises
        ------
        TypeError
            The journal keeps none.
        BusinessError
            9800004: the manager was made before a fork. 9800001: there is not enough memory.
        Exception
            What the journal raises; the snapshot before is there still.
        """
        self._keeper._require_here()
        return self._keeper.snapshot()

    def maintain(self) -> None:
        """Do what is due for the journal now: a mark of the time, a snapshot. For a `ManualClock`, or a clock of yours.

        With other clocks it happens by itself.

        Raises
        ------
        BusinessError
            9800003, 9800004: as a change. 9800001: there is not enough memory.
        Exception
            What the journal raises.
        """
        self._keeper._require_here()
        self._keeper.step()

    def close(self) -> None:
        """Close the manager, and the journal if it was opened by its path. All that was changed is in there.

        As `Manager.close`; a last mark says when that was. A journal that does not answer in time is left open;
        another `close` closes it when it has.

        Raises
        ------
        BusinessError
            9800003: it is closed, and changes of durability ``"batch"`` are lost. 9800004: it was made before a fork.
        """
        self._keeper._require_here()
        self._keeper.stop()
        give_up = time.monotonic() + _SETTLE_MS / 1000
        self._settle_last(_SETTLE_MS)
        is_over = False
        try:
            is_over = self._close_within(int(max(give_up - time.monotonic(), 0.0) * 1000))
        except BusinessError:  # what is lost is known to be: the log is not called any more
            is_over = True
            raise
        finally:
            if self._owns_journal and is_over:
                self._journal.close()

    def _mark(self) -> None:
        """Say on record when it is, by the machine's clocks."""
        clocks = self._clocks
        wall_ms = time.time_ns() // 1_000_000
        if clocks.wall_offset_ms is not None:
            wall_ms = self.clock.now() - clocks.wall_offset_ms
        _core.stage_mark(self, clocks.boot_id, clocks.boot_offset_ms, wall_ms)

    def _settle_last(self, timeout_ms: int) -> bool:
        try:
            self._mark()
        except Exception as error:  # noqa: BLE001 - of the clock, or it is closed: the end has to come
            _log.debug("the last mark is not on record: %s", error)
        return _core.settle(self, timeout_ms)

    def _end_by(self, give_up: float) -> bool:
        """End at the exit of the interpreter: what is staged has until then."""
        has_ended = self._keeper.stop(max(give_up - time.monotonic(), 0.0))
        return self._settle_last(int(max(give_up - time.monotonic(), 0.0) * 1000)) and has_ended


def clocks_of(start: Start, now_ms: int, *, is_given: bool) -> Clocks:
    """Return how the clocks stand to the log's time; those of a start that was made up go on with the log's."""
    return Clocks(start.boot_bytes, now_ms - start.boot_ms, now_ms - start.wall_ms if is_given else None)
