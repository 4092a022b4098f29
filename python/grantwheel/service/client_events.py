"""Events of the service for its clients: pushes that are followed, pages that are read, and who is subscribed."""

import logging
import threading
import weakref
from collections.abc import Callable, Hashable, Iterable, Iterator
from enum import StrEnum
from typing import Any, Generic, Protocol, Self, TypeVar

from grantwheel import BusinessError
from grantwheel._callback import identity_of, require_plain
from grantwheel._documented import refusal
from grantwheel._process import OfOneProcess
from grantwheel.service.client_commands import PAGE, pack
from grantwheel.service.client_link import Backoff, Link, broken, is_passing
from grantwheel.service.client_streams import EventT, Stream

_log = logging.getLogger("grantwheel")
_NULL_SUBSCRIBER, _SUBSCRIBED_TWICE, _UNKNOWN_SUBSCRIBER = 401, 980000501, 980000502
_BATCH = 1024
_JOIN_S = 1.0
_BEGUN_ANEW = "the service counts its events anew: those after %d and before its end are not known"
_NOT_OF_IT = 401


_Value = TypeVar("_Value")


class Reading(Protocol):
    """What subscriptions use of their client."""

    _path: str
    _link: Link
    _followers: "weakref.WeakSet[Follower[Any]]"  # which end with it

    def _send_many(self, joined: bytes, count: int) -> list[Any]: ...

    def _call(self, command: bytes, read: Callable[[Any], _Value]) -> _Value: ...


class Place:
    """After which event of which instance of the service to go on.

    Parameters
    ----------
    instance : str
        Empty: that of whoever is asked first.
    after : int
        The number of the event.
    """

    def __init__(self, instance: str, after: int) -> None:
        self.instance = instance
        self.after = after
        self.restarts = 0  # how often the service has begun anew

    def is_of(self, instance: str, last: int) -> bool:
        """Tell whether it is a place in the events of this instance, the last of which has that number.

        If not, the service counts them anew, from 1: that is logged, and is the place then.
        """
        if last >= self.after and self.instance in ("", instance):
            self.instance = instance
            return True
        _log.warning(_BEGUN_ANEW, self.after)
        self.instance, self.after = instance, 0
        self.restarts += 1
        return False


def standing(client: Reading, stream: Stream[Any]) -> tuple[str, int]:
    """Return which instance of the service it is, and the number of its last event."""
    return stream.stands(client._send_many(stream.standing, 2))


class Follower(Generic[EventT]):
    """Events as they come, over a connection of its own that is made again when it ends."""

    def __init__(
        self,
        client: Reading,
        stream: Stream[EventT],
        place: Place,
        wanted: list[bytes],
        *,
        on_gap: Callable[[int], object] | None = None,
        is_patient: bool = False,
    ) -> None:
        self._is_patient = is_patient  # whether it waits for a service that isn't there at its beginning, too
        self.place = place
        self.missed = 0
        self._stream = stream
        self.told: Any = None  # what HELLO has told at last
        self._wanted = wanted
        self._on_gap = on_gap
        self._link = Link(client._path, None)
        self._is_over = threading.Event()
        client._followers.add(self)

    def __iter__(self) -> Iterator[EventT]:
        for events in self.batches():
            yield from events

    def stop(self) -> None:
        """Let it end, whoever waits for events. From any thread."""
        self._is_over.set()
        self._link.shut()

    def batches(self) -> Iterator[list[EventT]]:
        """Return an iterator over lists of events, which ends with `stop`."""
        backoff = Backoff()
        has_begun = self._is_patient
        try:
            while not self._is_over.is_set():
                try:
                    self._begin()
                    has_begun = True
                    backoff.reset()
                    while not self._is_over.is_set():
                        if events := self._next():
                            yield events
                except BusinessError as error:
                    self._link.close()
                    if self._is_over.is_set():
                        return
                    if not is_passing(error) or not has_begun:
                        raise
                self._is_over.wait(backoff.next_s())
        finally:
            self._link.close()

    def _ask(self, command: bytes, *, begins: bool = False) -> Any:
        """Ask something, on the same connection as before: the next one knows nothing of that, and may be another's."""
        connection = self._link.generation
        reply = self._link.exchange(command)
        if not begins and self._link.generation != connection:
            raise broken("the connection has ended")
        if isinstance(reply, Exception):
            raise reply
        return reply

    def _begin(self) -> None:
        stream = self._stream
        told = self.told = self._ask(pack(b"HELLO", b"3"), begins=True)
        if self.place.instance and not self.place.is_of(*stream.stands((told, self._ask(stream.last)))):
            self._tell_gap(0)
        self._ask(stream.follow(self.place.after, self._wanted))
        self.place.instance, _ = stream.stands((told, 0))
        if self._is_over.is_set():
            self._link.close()

    def _next(self) -> list[EventT]:
        push = self._link.receive()
        if isinstance(push, Exception):
            raise push
        events, missed, self.place.after = self._stream.page(push[1:])
        if missed:
            self.missed += missed
            self._tell_gap(missed)
        return events

    def _tell_gap(self, missed: int) -> None:
        if self._on_gap is not None:
            self._on_gap(missed)


class ClientSubscription(OfOneProcess, Generic[EventT]):
    """The events of the service from its start on: what ``Client.subscribe`` returns. Thread-safe."""

    def __init__(
        self,
        subscriptions: "ClientSubscriptions[EventT]",
        subscriber: object,
        *,
        kinds: Iterable[StrEnum | str] | None = None,
        uids: Iterable[int] | None = None,
    ) -> None:
        super().__init__()
        self._client = client = subscriptions.client
        self._subscriptions = subscriptions
        self._stream = subscriptions.stream
        self._subscriber = subscriber
        self._wanted = self._stream.which(kinds, uids)
        self._place = Place(*standing(client, self._stream))
        self._missed = 0
        self._until: int | None = None  # the last event, once it is cancelled
        self._reading = threading.RLock()

    def __repr__(self) -> str:
        state = ", cancelled" if self._until is not None else ""
        after = self._place.after
        return f"<{type(self).__name__} of {self._subscriber!r} after event {after}, missed {self.missed}{state}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_here and self._until is None:
            try:
                self.cancel()
            except BusinessError:
                _log.debug("a subscription could not be cancelled", exc_info=True)

    @property
    def subscriber(self) -> object:
        """What was given to ``Client.subscribe``."""
        return self._subscriber

    @property
    def missed(self) -> int:
        """How many events were overwritten before they were read."""
        return self._missed

    @property
    def restarts(self) -> int:
        """How often the service was started anew and had kept nothing.

        Those events that it had made since the last one that was read are not known then, nor how many they were.
        """
        return self._place.restarts

    def drain(self, limit: int | None = None) -> list[EventT]:
        """Return the events that have not been read yet, oldest first, at most ``limit`` of them."""
        self._require_here()
        got: list[EventT] = []
        with self._reading:
            while limit is None or len(got) < limit:
                count = PAGE if limit is None else min(limit - len(got), PAGE)
                found = self._page(count)
                if found is None:
                    break
                events, missed, after = found
                if self._until is not None:
                    events = [event for event in events if event.sequence <= self._until]
                self._missed += missed
                is_end = after == self._place.after
                self._place.after = after
                got += events
                if is_end or (not events and not missed):
                    break
        return got

    def _page(self, count: int) -> tuple[list[EventT], int, int] | None:
        """Return the next page, of a service that has begun anew the first one; None: there will be none any more."""
        place = self._place
        while self._until is None or place.after < self._until:
            command = self._stream.after(place.after, count, self._wanted, place.instance)
            try:
                return self._client._call(command, self._stream.page)
            except BusinessError as error:  # it may be another instance, whenever the client has connected again
                if error.code != _NOT_OF_IT or place.is_of(*standing(self._client, self._stream)):
                    raise
            if self._until is not None:
                self._until = 0  # those that it was still to have are gone
        return None

    def cancel(self) -> None:
        """End the subscription: what has happened by now is still there to be read."""
        self._require_here()
        self._subscriptions.cancel(self._subscriber)

    def _end(self) -> None:
        if self._until is None:
            try:
                instance, last = standing(self._client, self._stream)
                self._until = last if instance == self._place.instance else self._place.after
            except BusinessError:
                self._until = self._place.after

    def _close(self) -> None:
        self._until = self._place.after


class CallbackSubscription(ClientSubscription[EventT]):
    """A subscription whose events go to a callable, in a thread of its own."""

    def __init__(
        self,
        subscriptions: "ClientSubscriptions[EventT]",
        subscriber: Callable[[Any], object],
        *,
        kinds: Iterable[StrEnum | str] | None,
        uids: Iterable[int] | None,
        batch: bool,
        on_gap: Callable[[int], object] | None,
    ) -> None:
        require_plain(subscriber, "subscriber", "See grantwheel.aio.connect")
        if on_gap is not None:
            require_plain(on_gap, "on_gap", "See grantwheel.aio.connect")
        super().__init__(subscriptions, subscriber, kinds=kinds, uids=uids)
        self._callback = subscriber
        self._is_batch = batch
        self._on_gap = on_gap
        self._follower = Follower(
            self._client, self._stream, self._place, self._wanted, on_gap=self._tell_gap, is_patient=True
        )
        name = getattr(subscriber, "__qualname__", type(subscriber).__qualname__)
        self._thread = threading.Thread(target=self._run, name=f"grantwheel {name}", daemon=True)

    @property
    def missed(self) -> int:
        """How many events were overwritten before they were delivered."""
        return self._follower.missed

    def drain(self, limit: int | None = None) -> list[EventT]:  # noqa: ARG002
        """Return nothing: the events go to the callable."""
        return []

    def start(self) -> None:
        """Let it be called from now on."""
        self._thread.start()

    def _run(self) -> None:
        try:
            for events in self._follower.batches():
                if self._is_batch:
                    for start in range(0, len(events), _BATCH):
                        self._call_with(self._callback, events[start : start + _BATCH])
                    continue
                for event in events:
                    self._call_with(self._callback, event)
        except Exception:  # noqa: BLE001 - there is nobody to raise it to
            _log.exception("%r has ended", self)

    def _call_with(self, function: Callable[[Any], object], what: Any) -> None:
        if self._until is not None:
            return
        try:
            function(what)
        except BaseException:  # noqa: BLE001 - SystemExit too: it would end the thread and nothing else
            _log.exception("%r, a subscriber, raised", function)

    def _tell_gap(self, missed: int) -> None:
        if self._on_gap is not None:
            self._call_with(self._on_gap, missed)
        elif missed:
            _log.warning("%r missed %d events", self._callback, missed)

    def _end(self) -> None:
        self._close()
        if threading.current_thread() is not self._thread and self._thread.is_alive():
            self._thread.join(_JOIN_S)

    def _close(self) -> None:
        self._until = self._place.after
        self._follower.stop()


class ClientSubscriptions(Generic[EventT]):
    """Who is subscribed to a stream through a client."""

    def __init__(self, client: Reading, stream: Stream[EventT]) -> None:
        self.stream = stream
        self._client = weakref.ref(client)
        self._by_subscriber: dict[Hashable, ClientSubscription[EventT]] = {}
        self._drained: ClientSubscription[EventT] | None = None

    @property
    def client(self) -> Reading:
        """Whose."""
        client = self._client()
        assert client is not None, "it is the client who asks"
        return client

    def drain(self, limit: int | None) -> list[EventT]:
        """Return the events since the last drain, of a subscription of its own."""
        if self._drained is None:
            self._drained = ClientSubscription(self, None)
        return self._drained.drain(limit)

    @property
    def missed(self) -> int:
        """How many events were overwritten before they were drained."""
        return 0 if self._drained is None else self._drained.missed

    def add(
        self,
        subscriber: object,
        *,
        kinds: Iterable[StrEnum | str] | None,
        uids: Iterable[int] | None,
        batch: bool,
        on_gap: Callable[[int], object] | None,
    ) -> ClientSubscription[EventT]:
        """Subscribe somebody, as ``Client.subscribe`` says."""
        key = self._key(subscriber)
        made: ClientSubscription[EventT]
        if callable(subscriber):
            made = CallbackSubscription(self, subscriber, kinds=kinds, uids=uids, batch=batch, on_gap=on_gap)
        elif batch or on_gap is not None:
            raise TypeError("batch and on_gap are for a subscriber that is callable")
        else:
            made = ClientSubscription(self, subscriber, kinds=kinds, uids=uids)
        if self._by_subscriber.setdefault(key, made) is not made:
            rule = f"this {type(subscriber).__name__} is subscribed already: keep the subscription of the first call"
            raise refusal(_SUBSCRIBED_TWICE, "", rule)
        if isinstance(made, CallbackSubscription):
            made.start()
        return made

    def cancel(self, subscriber: object) -> None:
        """End the subscription of somebody, as ``Client.unsubscribe`` says."""
        subscription = self._by_subscriber.pop(self._key(subscriber), None)
        if subscription is None:
            raise refusal(_UNKNOWN_SUBSCRIBER)
        subscription._end()

    def close(self) -> None:
        """End all."""
        for subscription in list(self._by_subscriber.values()):
            subscription._close()
        self._by_subscriber.clear()

    @staticmethod
    def _key(subscriber: object) -> Hashable:
        if subscriber is None:
            raise refusal(_NULL_SUBSCRIBER, "subscriber must be given, as any object but None.")
        return identity_of(subscriber)
