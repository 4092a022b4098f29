"""A manager and the model in step: each call is made on both, and all that can be seen of them must agree."""

import hashlib
from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from grantwheel import BusinessError, Caller, Event, Log, Manager, ManualClock, Policy
from lockstep_events import EventComparison, Mismatch, show
from model import Model
from model_policy import ALL, MAX_PID, MAX_UID, Refused

MAX_NOW: Final = 2**62
NATIVE: Final = Caller(uid=0, pid=0, native=True)


class Operation(NamedTuple):
    """One call as a value, so that runs can be told and repeated."""

    now: int
    name: str
    arguments: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] = {}

    def __str__(self) -> str:
        words = [repr(argument) for argument in self.arguments]
        words += [f"{name}={value!r}" for name, value in self.keywords.items()]
        return f"at {self.now}: {self.name}({', '.join(words)})"


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What a manager and a model are made with. All policies share one quota hook, if there is one."""

    start: int = 0
    max_records: int = 1_000_000
    max_strings: int = 65_536
    event_capacity: int = 256
    policies: Sequence[Policy] = (Policy(),)
    quota: bool = False
    journal: bool = False


class Hook:
    """A quota hook that writes down what it is asked and told."""

    def __init__(self) -> None:
        self.checks: list[tuple[int, str, int, bool]] = []
        self.settled: list[int] = []
        self.denied: frozenset[int] = frozenset()

    def check(self, uid: int, bundle: str, mask: int, is_apply: bool, /) -> bool:
        """Refuse the denied uids."""
        self.checks.append((uid, bundle, mask, is_apply))
        return uid not in self.denied

    def settle(self, uid: int, /) -> None:
        """Hear that CPU has left an app record."""
        self.settled.append(uid)


class JournalBroken(Exception):
    """What a journal of a test raises."""


class Lockstep:
    """A fresh manager and a fresh model, and what is known of both.

    Parameters
    ----------
    setup : Setup
        Policies, limits and the start of the clock.
    validate_every : int
        How often `Manager.validate` is called, in operations; 0 for never.
    make_manager
        What makes the manager: `Manager`, or something with the same methods that is another way into the engine.
    log
        A log for the manager.
    """

    def __init__(
        self, setup: Setup, validate_every: int = 1, make_manager: Callable[..., Any] = Manager, log: Log | None = None
    ) -> None:
        # What says of each command whether it is on record: of hosts that take two steps, as those of the C ABI do.
        self._has_recorder = setup.journal and make_manager is not Manager
        self.now = setup.start
        self.digest = hashlib.blake2b(digest_size=16)
        self._validate_every = validate_every
        self._until_validate = validate_every
        self._hooks = (Hook(), Hook())
        self._policies = [
            tuple(replace(policy, quota=hook if setup.quota else None) for hook in self._hooks)
            for policy in setup.policies
        ]
        self._clock = ManualClock(start_ms=setup.start)
        self.manager = make_manager(
            clock=self._clock,
            policy=self._policies[0][0],
            max_records=setup.max_records,
            max_strings=setup.max_strings,
            event_capacity=setup.event_capacity,
            **({"recorder": self._record} if self._has_recorder else {}),
            **({} if log is None else {"log": log}),
        )
        self.model = Model(self._policies[0][1], setup.max_records, setup.max_strings)
        low = min(setup.max_records, setup.max_strings) < 100
        self._events = EventComparison(self.manager, self.model, setup.event_capacity, may_restart=low)
        self._unsettled: Counter[int] = Counter()
        self._lines = self._events.lines
        self._calls = self._pair_calls()
        self._advancing = ADVANCING if log is None else frozenset[str]()

    def _pair_calls(self) -> dict[str, tuple[Callable[..., object], Callable[..., object]]]:
        """The calls by name: the manager's, and the model's, which takes ``now`` first."""
        manager, model = self.manager, self.model
        same = (
            *("apply", "renew", "release", "reset_all", "process_died", "app_stopped", "package_removed"),
            *("admin_reset_all", "admin_reset_app", "admin_reset_process"),
            *("app_mask", "process_mask", "find_app", "find_process", "holders", "count", "infos", "get_all"),
            *("next_deadline",),
        )
        calls = {name: (getattr(manager, name), getattr(model, name)) for name in same}
        for name in ("apply_many", "release_many", "app_masks"):
            calls[name] = (self._batch(getattr(manager, name)), getattr(model, name))
        calls["records"] = (self._pages, lambda now, limit: model.records(now))
        calls["everything"] = (self._everything, self._model_everything)
        calls["set_policy"] = (self._set_policy, lambda now, index: None)
        calls["ready"] = (self._set_ready, lambda now, ready: None)
        calls["deny"] = (self._deny, lambda now, uids: None)
        calls["journal"] = (self._set_journal, lambda now, works: None)
        calls["turn_back"] = (self._turn_back, model.settle)
        calls["read"] = (self._events.read, lambda now, limit: model.settle(now))
        return calls

    # One step

    def perform(self, operation: Operation) -> object:
        """Make one call on both and compare; answer its result. Raises `Mismatch`."""
        now, name, arguments, keywords = operation
        if now != self.now:
            self.now = now
            self._clock.set(now)
        result: object = None
        if name == "advance":
            self._advance(*arguments)
        elif name == "wake_at":
            self.model.settle(now)
            self._compare_events(full=False)
            self._compare_wake(advanced=False)
        else:
            for_manager, for_model = self._calls[name]
            try:
                expected = for_model(now, *arguments, **keywords)
            except Refused as refused:
                expected = ("refused", refused.public, refused.inner)
            try:
                result = for_manager(*arguments, **keywords)
            except BusinessError as error:
                result = ("refused", error.code, error.detail)
            if result != expected:
                raise Mismatch(f"result: the manager gave {result!r}, the model {expected!r}")
            self._lines.append(repr(expected))
            self._compare_events(full=name in self._advancing, batch=name in BATCHES)
            if name in TOUCHING:
                self._compare_masks(name, arguments)
        self._until_validate -= 1
        if not self._until_validate:
            self._until_validate = self._validate_every
            self.manager.validate()
        if len(self._lines) > 4096:
            self._flush()
        return result

    def finish(self) -> str:
        """Advance to now, compare everything, and answer the digest of all results and events."""
        self.perform(Operation(self.now, "advance", (None,)))
        self.perform(Operation(self.now, "everything"))
        self.perform(Operation(self.now, "read", (None,)))
        self._flush()
        return self.digest.hexdigest()

    def _flush(self) -> None:
        self.digest.update("\n".join(self._lines).encode("utf-8", "surrogatepass"))
        self._lines.clear()

    def _advance(self, budget: int | None) -> None:
        """Drive expiry on the manager; the model needs none."""
        self.model.settle(self.now)
        ended = self.manager.advance() if budget is None else self.manager.advance(budget)
        events = self._compare_events(full=budget is None)
        if events is None:
            return
        if ended != sum(event.mask.bit_count() for event in events):
            raise Mismatch(f"advance: it gave {ended}, but reported {show(events)}")
        if budget is not None and len(events) > budget:
            raise Mismatch(f"advance: {len(events)} records ended with a budget of {budget}")
        self._compare_wake(advanced=budget is None)

    def _compare_wake(self, *, advanced: bool) -> None:
        """Check that a driver who sleeps until `wake_at` is never late, and does not spin."""
        wake = self.manager.wake_at
        first = self.model.next_deadline(self.now)
        if self._events.waiting:
            first = min(queue[0][0] for queue in self._events.waiting.values())
        if first is not None and (wake is None or wake > first):
            raise Mismatch(f"wake_at: {wake}, but the first deadline is {first}")
        if advanced and wake is not None and wake <= self.now:
            raise Mismatch(f"wake_at: {wake} after an advance to {self.now}")

    def _compare_masks(self, name: str, arguments: tuple[Any, ...]) -> None:
        """Compare the masks of the owners that a call names."""
        uid = arguments[0] if name != "admin_reset_process" else -1
        pid = arguments[1] if name in NAMING_PID else arguments[0] if name == "admin_reset_process" else -1
        if 0 <= uid <= MAX_UID:
            mask, expected = self.manager.app_mask(uid), self.model.app_mask(self.now, uid)
            if mask != expected:
                raise Mismatch(f"app_mask({uid}): the manager gave {mask}, the model {expected}")
        if 0 <= pid <= MAX_PID:
            mask, expected = self.manager.process_mask(pid), self.model.process_mask(self.now, pid)
            if mask != expected:
                raise Mismatch(f"process_mask({pid}): the manager gave {mask}, the model {expected}")

    # What a call may leave behind

    def _compare_events(self, *, full: bool, batch: bool = False) -> list[Event] | None:
        self._compare_hooks(full=full)
        return self._events.compare(full=full, batch=batch)

    def _compare_hooks(self, *, full: bool) -> None:
        """Compare what the quota hooks were asked by this call, and told so far."""
        mine, models = self._hooks
        if mine.checks or models.checks:
            if mine.checks != models.checks:
                raise Mismatch(f"quota: the manager asked {mine.checks}, the model {models.checks}")
            mine.checks.clear()
            models.checks.clear()
        if mine.settled or models.settled:
            self._unsettled.update(models.settled)
            self._unsettled.subtract(mine.settled)
            mine.settled.clear()
            models.settled.clear()
            if min(self._unsettled.values()) < 0:
                raise Mismatch(f"quota: settled too often: {self._unsettled}")
        if full and any(self._unsettled.values()):
            raise Mismatch(f"quota: not settled: {self._unsettled}")

    # Calls that need more than a call of the manager

    @staticmethod
    def _batch(call: Callable[..., Any]) -> Callable[..., object]:
        return lambda *columns: list(call(*(array("q", column) for column in columns)))

    def _pages(self, limit: int) -> object:
        """All records, by pages."""
        records = page = self.manager.records(limit=limit)
        while page:
            page = self.manager.records(after=page[-1], limit=limit)
            records = records + page
            if len(records) > MOST_RECORDS:
                raise Mismatch(f"records: pages of {limit} come to no end")
        return records

    def _everything(self) -> object:
        manager = self.manager
        holders = [manager.holders(1 << index) for index in range(9)]
        counts = [manager.count(1 << index) for index in range(9)]
        infos = manager.infos(caller=NATIVE)
        numbers = manager.stats()
        stats = {name: getattr(numbers, name) for name in STATISTICS}
        return manager.next_deadline(), manager.records(), holders, counts, infos, stats

    def _model_everything(self, now: int) -> object:
        model = self.model
        holders = [model.holders(now, 1 << index) for index in range(9)]
        counts = [model.count(now, 1 << index) for index in range(9)]
        infos = model.infos(now, caller=NATIVE)
        return model.next_deadline(now), model.records(now), holders, counts, infos, model.stats(now)

    def _set_policy(self, index: int) -> None:
        mine, models = self._policies[index]
        self.manager.set_policy(mine)
        self.model.gate.policy = models

    def _set_ready(self, ready: bool) -> None:
        self.manager.ready = ready
        self.model.gate.ready = ready

    def _deny(self, uids: tuple[int, ...]) -> None:
        for hook in self._hooks:
            hook.denied = frozenset(uids)

    def _set_journal(self, works: bool) -> None:
        self.model.journal_works = works or not self._has_recorder

    def _record(self, command: object) -> None:
        if not self.model.journal_works:
            raise JournalBroken

    def _turn_back(self) -> None:
        """A clock that runs backwards, or leaves its range, is a ValueError and changes nothing."""
        manager = self.manager
        manager.advance()
        calls: list[Callable[[], object]] = [
            lambda: manager.apply(0, 0, 1, 1000),
            lambda: manager.release(0, 0, ALL),
            lambda: manager.app_stopped(0),
            manager.advance,
            manager.next_deadline,
            lambda: manager.app_mask(0),
            lambda: manager.find_app(0),
        ]
        for wrong in (self.now - 1, MAX_NOW + 1):
            for call in calls:
                try:
                    self._clock.set(wrong)
                    answer = call()
                except ValueError:
                    continue
                finally:
                    self._clock.set(self.now)
                raise Mismatch(f"time: {wrong} after {self.now} was taken, the answer is {answer!r}")


MOST_RECORDS: Final = 100_000
STATISTICS: Final = frozenset({"app_records", "process_records", "granted", "renewed", "ended", "strings"})
BATCHES: Final = frozenset({"apply_many", "release_many"})
ADVANCING: Final = frozenset({"next_deadline", "everything"})
NAMING_PID: Final = frozenset({"apply", "renew", "release", "reset_all", "process_died"})
TOUCHING: Final = NAMING_PID | {"app_stopped", "package_removed", "admin_reset_app", "admin_reset_process"}
