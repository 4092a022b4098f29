"""What a start has found and done."""

from dataclasses import dataclass

from grantwheel.journal import Report as Damage


@dataclass(frozen=True, slots=True)
class Report:
    """What came of opening a manager: what was read, what was wrong, and what has ended while nobody ran it.

    Attributes
    ----------
    snapshot : int
        The position of the snapshot that was read; 0 for none.
    groups : int
        How many groups were read behind it.
    records : int
        How many records were there, before the start changed anything.
    damage : tuple of grantwheel.journal.Report
        What was torn or damaged, with its place and where a copy of it is. All that came behind it is gone.
    now_ms : int
        The instant of the log at which it has started.
    away_ms : int
        How much of the log's time has passed since its last entry.
    is_reboot : bool
        Whether the machine was started since.
    lost_apps, lost_processes : tuple of int
        The uids whose app record has kept only what is retained, and the pids whose record has gone: with
        ``owners="processes"``, without an event.
    lost_grants : int
        How many grants that were.
    kept_apps, kept_processes : tuple of int
        Those of which ``/proc`` does not show whether they run, and which have therefore stayed.
    expired : int
        How many grants were overdue and have ended, with events.
    seconds : float
        How long all of it took.
    instance : str or None
        What the journal says to be told from any other, and from itself before something of it was lost; if it does.
    """

    snapshot: int = 0
    groups: int = 0
    records: int = 0
    damage: tuple[Damage, ...] = ()
    now_ms: int = 0
    away_ms: int = 0
    is_reboot: bool = False
    lost_apps: tuple[int, ...] = ()
    lost_processes: tuple[int, ...] = ()
    lost_grants: int = 0
    kept_apps: tuple[int, ...] = ()
    kept_processes: tuple[int, ...] = ()
    expired: int = 0
    seconds: float = 0.0
    instance: str | None = None
