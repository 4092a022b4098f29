"""What happens, in words: each event of the manager and of its suspension as a sentence that says why."""

from collections.abc import Mapping

from grantwheel import Cause, Event, EventKind, ResourceType
from grantwheel.suspend import SuspensionCause, SuspensionEvent, SuspensionKind

from .view import in_seconds

_CPU, _TIMER = ResourceType.CPU, ResourceType.TIMER


class Story:
    """Tells what happens to the apps, in the order in which it is told of it.

    Parameters
    ----------
    names : mapping of int to str
        The apps, by uid.
    start_ms : int
        The instant that times are given from.
    grace_ms, thaw_ms : int
        Those of the suspension.
    """

    def __init__(self, names: Mapping[int, str], start_ms: int, grace_ms: int, thaw_ms: int) -> None:
        self._names = names
        self._start_ms = start_ms
        self._grace = in_seconds(grace_ms)
        self._thaw = in_seconds(thaw_ms)
        self._held = dict.fromkeys(names, ResourceType(0))
        self._until = dict.fromkeys(names, 0)  # when CPU ends, or has ended; 0: there was none
        self._back: set[int] = set()
        self._frozen: dict[int, int] = {}  # what the counter says, while the app is frozen

    def of_grant(self, event: Event, length_ms: int) -> str:
        """Return the sentence for an event of the manager; a grant that it tells of lasts for a time."""
        uid, name = event.uid, self._names[event.uid]
        if event.kind is EventKind.APP_APPLY:
            return self._of_apply(uid, event.mask, event.time + length_ms, in_seconds(length_ms))
        self._held[uid] &= ~event.mask
        ended = f"{name}: its {event.mask.name} grant has {'run out' if event.cause is Cause.EXPIRED else 'ended'}."
        if not event.mask & _CPU:
            return ended
        self._until[uid] = event.time
        return f"{ended} Nothing else keeps it up: it is frozen in {self._grace}." if uid in self._back else ended

    def of_suspension(self, event: SuspensionEvent, count: int) -> str:
        """Return the sentence for an event of the suspension, when the counter of the app says so much."""
        uid, kind, name = event.uid, event.kind, self._names[event.uid]
        if kind is SuspensionKind.FREEZE_FAILED:
            return f"{name} could not be frozen: {event.detail}"
        if kind is SuspensionKind.THAW_FAILED:
            return f"{name} could not be thawed: {event.detail}"
        if kind is SuspensionKind.SUSPENDED:
            self._frozen[uid] = count
            return f"{self._why_frozen(uid, event.cause)} Its counter stands still at {count:,}."
        if kind is SuspensionKind.FORGOTTEN:
            return f"{name} is no more."
        is_new = (uid not in self._back) == (kind is SuspensionKind.BACKGROUND)
        (self._back.add if kind is SuspensionKind.BACKGROUND else self._back.discard)(uid)
        stood = self._frozen.pop(uid, None)
        if stood is not None:
            return f"{self._why_thawed(uid, event.cause)} It counts on from {stood:,}."
        if kind is SuspensionKind.FOREGROUND or not is_new:
            return f"{name} is in the {kind}."
        if self._held[uid] & _CPU:
            until = in_seconds(self._until[uid] - self._start_ms)
            return f"{name} goes to the background; its CPU grant lets it run until {until}."
        return f"{name} goes to the background without a CPU grant: it is frozen in {self._grace}."

    def of_delivery(self, uid: int, kind: ResourceType, is_delivered: bool) -> str:
        """Return the sentence for an event that was delivered to an app that runs, or not delivered."""
        what, name = _event(kind), self._names[uid]
        if is_delivered:
            return f"{name} runs, so {what} reaches it at once."
        return f"{name}: {what} is refused and it stays frozen, as it has no {kind.name} grant."

    def _of_apply(self, uid: int, mask: ResourceType, until_ms: int, length: str) -> str:
        name, what = self._names[uid], mask.name
        had_cpu = bool(self._until[uid])
        self._held[uid] |= mask
        if not mask & _CPU:
            return f"{name} is granted {what} for {length}. That does not keep it running; it lets a timer reach it."
        self._until[uid] = until_ms
        if had_cpu:
            return f"{name} is granted {what} again, for {length}."
        return f"{name} is granted {what} for {length}: so long it may run in the background."

    def _why_frozen(self, uid: int, cause: SuspensionCause) -> str:
        name = self._names[uid]
        if cause is SuspensionCause.EVENT_OVER:
            return f"{name} has had its {self._thaw} for the event, so it is frozen again."
        if self._until[uid]:
            at = in_seconds(self._until[uid] - self._start_ms)
            return f"{name}: its CPU grant has run out at {at} and nothing else keeps it up, so it is frozen."
        return f"{name} has been in the background for {self._grace} and nothing keeps it up, so it is frozen."

    def _why_thawed(self, uid: int, cause: SuspensionCause) -> str:
        name = self._names[uid]
        match cause:
            case SuspensionCause.CPU:
                return f"{name} has a CPU grant again, so it is thawed at once."
            case SuspensionCause.EVENT:
                return f"{name}: a timer is due, which its TIMER grant lets through, so it is thawed for {self._thaw}."
            case SuspensionCause.HOST:
                return f"{name} comes to the foreground, so it is thawed: there it needs no grant."
            case SuspensionCause.CLOSED:
                return f"{name} is thawed: the suspension ends, and nobody stays frozen."
            case SuspensionCause.ESCAPED:
                return f"{name} runs though it was frozen: somebody has continued it."
            case _:
                return f"{name} is thawed ({cause})."


def _event(kind: ResourceType) -> str:
    return "a timer" if kind is _TIMER else f"an event of {kind.name}"
