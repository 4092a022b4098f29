"""The models of transient and continuous tasks: what the rules say, with dicts and lists, and time that goes by.

Nothing here is like what it is compared with: there are no records and no clocks of apps. The transient model goes from
one happening to the next, and each time all that runs has used up so much more.
"""

from dataclasses import dataclass, field
from typing import Any

from model_policy import MAX_PID, MAX_UID, Refused

NOT_READY = 980000401
INFO_NOT_READY = 990000401

Told = tuple[Any, ...]


@dataclass
class Ask:
    """An open request."""

    id: int
    uid: int
    pid: int
    bundle: str
    callback: str
    left: int
    called: int | None = None


@dataclass
class TransientModel:
    """Transient tasks, at an instant that only `go` moves."""

    now: int = 0
    figures: dict[str, int] = field(default_factory=dict)
    next_id: int = 1
    asks: list[Ask] = field(default_factory=list)
    spent: dict[tuple[int, str], int] = field(default_factory=dict)
    in_front: set[tuple[int, int]] = field(default_factory=set)
    left_at: dict[int, int] = field(default_factory=dict)
    screen_on: bool = True
    battery_low: bool = False
    day: int = 0
    told: list[Told] = field(default_factory=list)

    def __post_init__(self) -> None:
        usual = {
            "request_ms": 180_000,
            "low_battery_ms": 60_000,
            "quota_ms": 600_000,
            "max_requests": 3,
            "least_quota_ms": 16_000,
            "notice_ms": 6_000,
            "forced_ms": 6_000,
            "day_ms": 86_400_000,
            "window_ms": 5_000,
        }
        self.figures = usual | self.figures
        self.day = self.now

    # Time.

    def runs(self, uid: int) -> bool:
        return not self.screen_on or not any(one == uid for one, _ in self.in_front)

    def due(self, ask: Ask) -> int | None:
        """When something happens to a request, if all stays as it is."""
        if ask.called is not None:
            return ask.called + self.figures["forced_ms"]
        return self.now + ask.left - self.figures["notice_ms"] if self.runs(ask.uid) else None

    def next(self) -> int | None:
        return min((due for ask in self.asks if (due := self.due(ask)) is not None), default=None)

    def go(self, to: int) -> None:
        while (at := self.next()) is not None and at <= to:
            self.let_pass(at)
            first = min((ask for ask in self.asks if self.due(ask) == at), key=lambda ask: ask.id)
            if first.called is None:
                first.called = at
                self.told.append(("expired_callback", at, first.uid, first.id))
            else:
                self.end(first)
        self.let_pass(to)

    def let_pass(self, to: int) -> None:
        passed = to - self.now
        for app in {(ask.uid, ask.bundle) for ask in self.asks if self.runs(ask.uid)}:
            self.spent[app] = self.spent.get(app, 0) + passed
        for ask in self.asks:
            if self.runs(ask.uid):
                ask.left -= passed
        self.now = to

    def end(self, ask: Ask) -> None:
        self.asks.remove(ask)
        self.told.append(("task_end", self.now, ask.uid, ask.pid))
        if not self.of(ask.uid, ask.bundle):
            self.told.append(("app_task_end", self.now, ask.uid))

    def of(self, uid: int, bundle: str) -> list[Ask]:
        return [ask for ask in self.asks if (ask.uid, ask.bundle) == (uid, bundle)]

    def quota(self, uid: int, bundle: str) -> int:
        return max(0, self.figures["quota_ms"] - self.spent.get((uid, bundle), 0))

    def begin_day(self) -> None:
        if self.now - self.day > self.figures["day_ms"]:
            self.day = self.now
            self.spent.clear()

    # What apps ask.

    def check(self, uid: int, pid: int, bundle: str, ready: bool, not_ready: int = NOT_READY) -> None:
        if not ready:
            raise Refused(not_ready)
        if not 0 <= uid <= MAX_UID or not 0 <= pid <= MAX_PID:
            raise Refused(990000101)
        if bundle == "":
            raise Refused(990000102)

    def request(self, uid: int, pid: int, bundle: str, callback: str, ready: bool = True) -> tuple[int, int]:
        self.check(uid, pid, bundle, ready)
        if any(ask.callback == callback for ask in self.asks):
            raise Refused(990000202)
        self.begin_day()
        if self.now - self.left_at.get(uid, self.now) > self.figures["window_ms"]:
            raise Refused(990000204)
        if len(self.of(uid, bundle)) >= self.figures["max_requests"]:
            raise Refused(990000205)
        if self.quota(uid, bundle) < self.figures["least_quota_ms"]:
            raise Refused(990000206)
        most = self.figures["low_battery_ms" if self.battery_low else "request_ms"]
        granted = min(self.quota(uid, bundle), most)
        self.told.append(("task_start", self.now, uid, pid))
        if not self.of(uid, bundle):
            self.told.append(("app_task_start", self.now, uid))
        self.asks.append(Ask(self.next_id, uid, pid, bundle, callback, granted))
        self.next_id += 1
        return self.next_id - 1, granted

    def find(self, uid: int, bundle: str, number: int) -> Ask:
        for ask in self.of(uid, bundle):
            if ask.id == number:
                return ask
        raise Refused(990000103)

    def cancel(self, uid: int, pid: int, bundle: str, number: int, ready: bool = True) -> None:
        self.check(uid, pid, bundle, ready)
        self.end(self.find(uid, bundle, number))

    def remaining(self, uid: int, pid: int, bundle: str, number: int, ready: bool = True) -> int:
        self.check(uid, pid, bundle, ready)
        left = max(0, self.find(uid, bundle, number).left)
        self.begin_day()
        return left

    def info(self, uid: int, pid: int, bundle: str, ready: bool = True) -> tuple[int, list[tuple[int, int]]]:
        self.check(uid, pid, bundle, ready, INFO_NOT_READY)
        self.begin_day()
        return self.quota(uid, bundle), [(ask.id, max(0, ask.left)) for ask in self.of(uid, bundle)]

    # What the host tells.

    def foreground(self, uid: int, pid: int, there: bool) -> None:
        if there:
            self.in_front.add((uid, pid))
            self.left_at.pop(uid, None)
        else:
            self.in_front.discard((uid, pid))
            self.has_left(uid)

    def has_left(self, uid: int) -> None:
        if not any(one == uid for one, _ in self.in_front):
            self.left_at.setdefault(uid, self.now)

    def died(self, uid: int, pid: int) -> None:
        for ask in [ask for ask in self.asks if (ask.uid, ask.pid) == (uid, pid)]:
            self.end(ask)
        if (uid, pid) in self.in_front:
            self.foreground(uid, pid, False)

    def stopped(self, uid: int) -> None:
        for ask in [ask for ask in self.asks if ask.uid == uid]:
            self.end(ask)
        self.in_front = {(one, pid) for one, pid in self.in_front if one != uid}
        self.left_at.pop(uid, None)

    def removed(self, uid: int) -> None:
        self.stopped(uid)
        self.spent = {app: spent for app, spent in self.spent.items() if app[0] != uid}


@dataclass
class ContinuousModel:
    """Continuous tasks: ``[id, uid, pid, ability, ability_id, modes]``, in the order in which they began."""

    next_id: int = 1
    running: list[list[Any]] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)

    def check_modes(self, modes: Any) -> list[int]:
        named = modes if isinstance(modes, list) else [modes]
        for mode in named:
            if type(mode) is not int:
                raise Refused(9800407)
            if mode not in range(1, 10):
                raise Refused(9800411)
        if not named:
            raise Refused(9800407)
        return named

    def check_each(self, modes: list[int], system: bool, declared: set[int], keeps: bool) -> None:
        for mode in modes:
            if mode == 7 and not system:
                raise Refused(202)
            if mode == 9 and not keeps:
                raise Refused(980000503)
            if mode not in declared:
                raise Refused(980000504)

    def find(self, uid: int, ability: str, number: int) -> list[Any] | None:
        return next((one for one in self.running if (one[1], one[3], one[4]) == (uid, ability, number)), None)

    def start(
        self,
        uid: int,
        pid: int,
        ability: str,
        number: int,
        modes: Any,
        agent: Any,
        *,
        ready: bool,
        may: bool,
        system: bool,
        declared: set[int],
        keeps: bool,
    ) -> int:
        named = self.check_modes(modes)
        if not ready:
            raise Refused(NOT_READY)
        if not ability or not agent:
            raise Refused(980000603)
        if not may:
            raise Refused(201)
        if self.find(uid, ability, number):
            raise Refused(980000501)
        self.check_each(named, system, declared, keeps)
        self.running.append([self.next_id, uid, pid, ability, number, sorted(set(named))])
        self.told.append(("continuous_start", uid, self.next_id, sorted(set(named))))
        self.next_id += 1
        return self.next_id - 1

    def update(
        self,
        uid: int,
        ability: str,
        number: int,
        modes: Any,
        *,
        ready: bool,
        may: bool,
        system: bool,
        declared: set[int],
        keeps: bool,
    ) -> None:
        named = self.check_modes(modes)
        if not ready:
            raise Refused(NOT_READY)
        if not may:
            raise Refused(201)
        task = self.find(uid, ability, number)
        if task is None:
            raise Refused(980000502)
        if task[5] == sorted(set(named)):
            return
        self.check_each(named, system, declared, keeps)
        task[5] = sorted(set(named))
        self.told.append(("continuous_update", uid, task[0], task[5]))

    def stop(self, uid: int, ability: str, number: int, *, ready: bool) -> None:
        if not ready:
            raise Refused(NOT_READY)
        if not ability:
            raise Refused(9800406)
        task = self.find(uid, ability, number)
        if task is None:
            raise Refused(980000502)
        self.end(task)

    def end(self, task: list[Any]) -> None:
        self.running.remove(task)
        self.told.append(("continuous_stop", task[1], task[0]))
        if not any(one[1] == task[1] for one in self.running):
            self.told.append(("continuous_app_stop", task[1]))

    def stopped(self, uid: int) -> None:
        for task in [one for one in self.running if one[1] == uid]:
            self.end(task)

    def restarted(self, pids: set[int]) -> None:
        self.running = [one for one in self.running if one[2] in pids]
