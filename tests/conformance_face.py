"""The ways into the engine that conformance scenarios can be driven through.

A `Face` offers the operations that the steps of a scenario need, and speaks plain JSON values: callers, requests, rows
and events are dicts with the field names of the scenario files. `PythonFace` is the public Python API; another way into
the engine needs another face and nothing else.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import grantwheel
from conformance_tasks import TaskFace

IDENTITY_REFUSED: Final = 18700001
HIGHEST_LEVEL: Final = 2
ROW_FIELDS: Final = ("uid", "pid", "mask", "bundle", "cpu_level")

Json = Any
Row = dict[str, Any]


class StepFailed(Exception):
    """A step did not do what the scenario says."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How a call ended: public and inner code, 0 when it succeeded, and what it returned."""

    code: int = 0
    inner: int = 0
    value: Any = None


class Face(Protocol):
    """A way into the engine. Rows and events are dicts with the field names of the scenario files."""

    tasks: TaskFace | None  # None: this way has none

    def apply(self, caller: Row, args: Sequence[Json]) -> Answer: ...
    def apply_typed(self, caller: Row, request: Row) -> Answer: ...
    def reset_all(self, caller: Row) -> Answer: ...
    def query(self, caller: Row) -> Answer: ...
    def infos(self, caller: Row) -> Answer: ...
    def process_died(self, uid: int, pid: int) -> Answer: ...
    def app_stopped(self, uid: int) -> Answer: ...
    def package_removed(self, uid: int) -> Answer: ...
    def admin_list(self) -> Answer: ...
    def admin_reset_all(self) -> Answer: ...
    def admin_reset_app(self, uid: int, mask: int) -> Answer: ...
    def admin_reset_process(self, pid: int, mask: int) -> Answer: ...
    def set_ready(self, ready: bool) -> None: ...
    def set_allowed(self, bundle: str, allowed: Sequence[int]) -> None: ...
    def subscribe(self, subscriber: str | None, caller: Row | None) -> Answer: ...
    def unsubscribe(self, subscriber: str | None) -> Answer: ...
    def now(self) -> int: ...
    def move_to(self, now: int) -> None: ...
    def next_deadline(self) -> int | None: ...
    def record(self, kind: str, key: int) -> Row | None: ...
    def counts(self) -> dict[str, int]: ...
    def events(self, subscriber: str) -> list[Row]: ...
    def quota_calls(self) -> list[list[Any]]: ...
    def check(self) -> None: ...
    def close(self) -> None: ...


class QuotaLog:
    """A quota hook that refuses some uids and remembers what it was asked."""

    def __init__(self, deny_uids: Iterable[int]) -> None:
        self.deny_uids = frozenset(deny_uids)
        self.calls: list[list[Any]] = []

    def check(self, uid: int, bundle: str, mask: int, is_apply: bool, /) -> bool:
        self.calls.append(["check", uid, int(mask), is_apply])
        return uid not in self.deny_uids

    def settle(self, uid: int, /) -> None:
        self.calls.append(["settle", uid])


def caller_of(caller: Row) -> grantwheel.Caller:
    """Make the caller that a step names."""
    return grantwheel.Caller(
        uid=caller.get("uid", -1),
        pid=caller.get("pid", -1),
        bundle=caller.get("bundle", ""),
        system_app=caller.get("system_app", True),
        service_extension=caller.get("service_extension", False),
        native=caller.get("native", False),
        keep_background_running=caller.get("keep_background_running", True),
    )


def policy_of(policy: Row) -> tuple[grantwheel.Policy, QuotaLog | None]:
    """Make the policy that a scenario names, and its quota hook if it has one."""
    bundles: dict[str, Row] = policy.get("bundles") or {}
    quota = None
    if policy.get("quota") is not None:
        quota = QuotaLog(policy["quota"].get("deny_uids", ()))
    made = grantwheel.Policy.from_config(
        {name: tuple(bundle["allowed"]) for name, bundle in bundles.items() if "allowed" in bundle},
        default_allowed=tuple(policy.get("default_allowed", (0,))),
        unknown_bundles=tuple(name for name, bundle in bundles.items() if bundle.get("lookup_ok", True) is False),
        cpu_level_max={name: min(limit, HIGHEST_LEVEL) for name, limit in (policy.get("cpu_level_max") or {}).items()},
        quota=quota,
    )
    return made, quota


class PythonFace:
    """The engine through the public Python API."""

    def __init__(self, policy: Row) -> None:
        self._policy, self._quota = policy_of(policy)
        self._clock = grantwheel.ManualClock(start_ms=0)
        self._manager = self._make_manager()
        self._manager.ready = policy.get("ready", True)
        self._subscriptions: dict[str, grantwheel.Subscription] = {}
        self._undelivered: dict[str, list[Row]] = {}
        self.tasks = self._make_tasks(policy)

    def _make_tasks(self, policy: Row) -> TaskFace | None:
        tasks = TaskFace(policy)
        tasks.begin(self._manager)
        return tasks

    def _make_manager(self) -> Any:
        return grantwheel.Manager(clock=self._clock, policy=self._policy)

    @staticmethod
    def _answer(call: Callable[[], Any]) -> Answer:
        try:
            return Answer(value=call())
        except grantwheel.BusinessError as error:
            return Answer(error.code, error.detail)

    def apply(self, caller: Row, args: Sequence[Json]) -> Answer:
        return self._answer(lambda: self._manager.apply_request(*args, caller=caller_of(caller)))

    def apply_typed(self, caller: Row, request: Row) -> Answer:
        who = caller_of(caller)
        mask, process, level = request["mask"], request["is_process"], request["cpu_level"]
        if not request["is_apply"]:
            return self._answer(
                lambda: self._manager.release(who.uid, who.pid, mask, process=process, cpu_level=level, caller=who)
            )
        return self._answer(
            lambda: self._manager.apply(
                who.uid,
                who.pid,
                mask,
                request["timeout_ms"],
                persist=request["is_persist"],
                process=process,
                reason=request["reason"],
                cpu_level=level,
                caller=who,
            )
        )

    def reset_all(self, caller: Row) -> Answer:
        return self._answer(lambda: self._manager.reset_all_request(caller=caller_of(caller)))

    def query(self, caller: Row) -> Answer:
        return self._answer(lambda: [row._asdict() for row in self._manager.get_all(caller=caller_of(caller))])

    def infos(self, caller: Row) -> Answer:
        def call() -> dict[str, list[Row]]:
            infos = self._manager.infos(caller=caller_of(caller))
            return {
                "apps": [row._asdict() for row in infos.apps],
                "processes": [row._asdict() for row in infos.processes],
            }

        return self._answer(call)

    def process_died(self, uid: int, pid: int) -> Answer:
        return self._answer(lambda: self._manager.process_died(uid, pid))

    def app_stopped(self, uid: int) -> Answer:
        return self._answer(lambda: self._manager.app_stopped(uid))

    def package_removed(self, uid: int) -> Answer:
        return self._answer(lambda: self._manager.package_removed(uid))

    def admin_list(self) -> Answer:
        return self._answer(self._manager.admin_list)

    def admin_reset_all(self) -> Answer:
        return self._answer(self._manager.admin_reset_all)

    def admin_reset_app(self, uid: int, mask: int) -> Answer:
        return self._answer(lambda: self._manager.admin_reset_app(uid, mask))

    def admin_reset_process(self, pid: int, mask: int) -> Answer:
        return self._answer(lambda: self._manager.admin_reset_process(pid, mask))

    def set_ready(self, ready: bool) -> None:
        self._manager.ready = ready

    def set_allowed(self, bundle: str, allowed: Sequence[int]) -> None:
        types = grantwheel.Policy.from_config({bundle: allowed}).allowed
        self._policy = replace(self._policy, allowed={**self._policy.allowed, **types})
        self._manager.set_policy(self._policy)

    def subscribe(self, subscriber: str | None, caller: Row | None) -> Answer:
        who = None if caller is None else caller_of(caller)
        answer = self._answer(lambda: self._manager.subscribe(subscriber, caller=who))
        if subscriber is not None and answer.code == 0:
            self._subscriptions[subscriber] = answer.value
        return answer

    def unsubscribe(self, subscriber: str | None) -> Answer:
        if subscriber in self._subscriptions:
            self._fetch(subscriber)
            del self._subscriptions[subscriber]
        return self._answer(lambda: self._manager.unsubscribe(subscriber))

    def now(self) -> int:
        return self._clock.now()

    def move_to(self, now: int) -> None:
        self._clock.set(now)
        self._manager.advance()
        if self.tasks is not None:
            self.tasks.tasks.advance()

    def next_deadline(self) -> int | None:
        deadlines = [self._manager.next_deadline()]
        if self.tasks is not None:
            deadlines.append(self.tasks.tasks.next_deadline())
        return min((at for at in deadlines if at is not None), default=None)

    def record(self, kind: str, key: int) -> Row | None:
        app = kind == "app"
        answer = self._answer(lambda: self._manager.find_app(key) if app else self._manager.find_process(key))
        if answer.code not in (0, IDENTITY_REFUSED):
            raise StepFailed(f"find_{kind}({key}) was refused with {answer.code} ({answer.inner})")
        if answer.value is None:
            return None
        found: grantwheel.Record = answer.value
        mask = self._manager.app_mask(key) if app else self._manager.process_mask(key)
        if mask != found.mask:
            raise StepFailed(f"{kind}_mask({key}) is {mask}, but find_{kind}({key}) has {found.mask}")
        units = {
            grant.type.name: {
                "persist": grant.persist,
                "reason": grant.reason,
                "timeout": grant.timeout_ms,
                "remaining": grant.remaining_ms,
            }
            for grant in found.grants
        }
        return {**{name: getattr(found, name) for name in ROW_FIELDS}, "units": units}

    def counts(self) -> dict[str, int]:
        kinds = [record.kind for record in self._manager.records()]
        return {
            "apps": kinds.count(grantwheel.OwnerKind.APP),
            "processes": kinds.count(grantwheel.OwnerKind.PROCESS),
        }

    def _fetch(self, subscriber: str) -> None:
        subscription = self._subscriptions[subscriber]
        self._keep(subscriber, subscription.drain())
        if subscription.missed:
            raise StepFailed(f"subscriber {subscriber!r} missed {subscription.missed} events")

    def _keep(self, subscriber: str, events: Iterable[grantwheel.Event]) -> None:
        for event in events:
            row = event._asdict()
            row["type"] = row.pop("kind")
            self._undelivered.setdefault(subscriber, []).append(row)

    def events(self, subscriber: str) -> list[Row]:
        if subscriber in self._subscriptions:
            self._fetch(subscriber)
        return self._undelivered.pop(subscriber, [])

    def quota_calls(self) -> list[list[Any]]:
        if self._quota is None:
            return []
        calls, self._quota.calls = self._quota.calls, []
        return calls

    def check(self) -> None:
        try:
            self._manager.validate()
        except AssertionError as error:
            raise StepFailed(f"an invariant of the engine is broken: {error}") from error

    def close(self) -> None:
        self._manager.close()
