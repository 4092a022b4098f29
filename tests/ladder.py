"""The configurations of the differential run, from a few owners to the edges of time, and the steps that each takes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from grantwheel import Caller, Policy, ResourceType
from lockstep import MAX_NOW, NATIVE, Operation, Setup

EDGES: Final = (1, 2, 3, 63, 64, 65, 4095, 4096, 4097, 2**18 - 1, 2**18, 2**24, 2**30, 2**31, 2**32 - 1)
MANY_MASKS: Final = (1, 1, 1, 2, 4, 5, 8, 12, 13, 32, 33, 256, 499, 510, 511)

COMMON: Final = {
    "apply": 30,
    "renew": 8,
    "release": 16,
    "reset_all": 3,
    "process_died": 3,
    "app_stopped": 2,
    "package_removed": 2,
    "admin_reset_app": 1,
    "admin_reset_process": 1,
    "admin_reset_all": 0.2,
    "app_mask": 2,
    "process_mask": 2,
    "app_masks": 1,
    "find_app": 3,
    "find_process": 3,
    "get_all": 1,
    "apply_many": 0.5,
    "release_many": 0.3,
    "read": 0.6,
    "wake_at": 0.5,
}
LISTING: Final = {"holders": 1, "count": 1, "infos": 0.3, "records": 0.3, "next_deadline": 1, "everything": 0.2}


@dataclass(frozen=True, kw_only=True)
class Config:
    """Where the values of a run come from. A value that stands twice in a pool is taken twice as often.

    ``drive`` says how expiry is driven: "always" before each call that meets a new instant, else only by the operation
    "advance", whose budgets are in ``budgets``. ``grid`` makes deadlines fall on its multiples.
    """

    name: str
    weights: Mapping[str, float] = field(default_factory=lambda: COMMON | LISTING)
    drive: str = "always"
    uids: Sequence[int] = (0, 1, 2, 3)
    pids: Sequence[int] = (0, 1, 2, 3, 4, 5)
    masks: Sequence[int] = MANY_MASKS
    timeouts: Sequence[int] = (1, 2, 3, 5, 8, 13, 50)
    pauses: Sequence[int] = (0, 0, 0, 0, 1, 1, 2, 5)
    reasons: Sequence[str] = ("", "r", "sync")
    levels: Sequence[int] = (-1,)
    callers: Sequence[Caller | None] = (None,)
    budgets: Sequence[int | None] = (None,)
    process_share: float = 0.4
    stranger_share: float = 0.3
    persist_share: float = 0.1
    grid: int = 0
    setup: Setup = field(default_factory=Setup)
    validate_every: int = 1
    share: float = 1.0


class Steps:
    """An endless, seeded stream of operations of one configuration."""

    def __init__(self, config: Config, seed: int) -> None:
        self._config = config
        self._random = Random(f"{config.name} {seed}")
        self._now = config.setup.start
        scale = 10_000 / sum(config.weights.values())
        self._names = [name for name, weight in config.weights.items() for _ in range(max(1, round(weight * scale)))]

    def __iter__(self) -> Iterator[Operation]:
        config = self._config
        makers = {name: getattr(self, f"_{name}", self._plain) for name in config.weights}
        always = config.drive == "always"
        while True:
            pause = self._pick(config.pauses)
            if pause:
                self._now = min(self._now + pause, MAX_NOW)
                if always:
                    yield Operation(self._now, "advance", (None,))
            name = self._pick(self._names)
            arguments, keywords = makers[name]()
            yield Operation(self._now, name, arguments, keywords)

    def _pick(self, pool: Sequence[Any]) -> Any:
        return pool[int(self._random.random() * len(pool))]

    def _uid(self) -> int:
        return int(self._pick(self._config.uids))

    def _pid(self) -> int:
        return int(self._pick(self._config.pids))

    def _uid_and_pid(self) -> tuple[int, int]:
        """A process and its app; now and then the pid has gone to another app."""
        config = self._config
        place = int(self._random.random() * len(config.pids))
        uid = self._uid() if self._random.random() < config.stranger_share else config.uids[place % len(config.uids)]
        return int(uid), int(config.pids[place])

    def _mask(self) -> int:
        return int(self._pick(self._config.masks))

    def _timeout(self) -> int:
        timeout = int(self._pick(self._config.timeouts))
        grid = self._config.grid
        return timeout if not grid else timeout * grid - self._now % grid

    def _request(self, keywords: dict[str, Any]) -> dict[str, Any]:
        """Add what applies and releases have in common."""
        config = self._config
        if self._random.random() < config.process_share:
            keywords["process"] = True
        level = self._pick(config.levels)
        if level != -1:
            keywords["cpu_level"] = level
        return self._caller(keywords)

    def _caller(self, keywords: dict[str, Any]) -> dict[str, Any]:
        caller = self._pick(self._config.callers)
        if caller is not None:
            keywords["caller"] = caller
        return keywords

    # One maker of arguments for each operation

    def _plain(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The operations without arguments."""
        return (), {}

    def _apply(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        keywords: dict[str, Any] = {}
        reason = self._pick(self._config.reasons)
        if reason:
            keywords["reason"] = reason
        if self._random.random() < self._config.persist_share:
            keywords["persist"] = True
        return (*self._uid_and_pid(), self._mask(), self._timeout()), self._request(keywords)

    _renew = _apply

    def _release(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (*self._uid_and_pid(), self._mask()), self._request({})

    def _reset_all(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return self._uid_and_pid(), self._caller({})

    def _process_died(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return self._uid_and_pid(), {}

    def _of_uid(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (self._uid(),), {}

    _app_stopped = _package_removed = _of_uid

    def _of_valid_uid(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (max(0, min(self._uid(), 2**32 - 2)),), {}

    _app_mask = _find_app = _of_valid_uid

    def _of_valid_pid(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (max(0, min(self._pid(), 2**31 - 1)),), {}

    _process_mask = _find_process = _of_valid_pid

    def _admin_reset_app(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (self._uid(), self._mask()), {}

    def _admin_reset_process(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (self._pid(), self._mask()), {}

    def _app_masks(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (tuple(self._of_valid_uid()[0][0] for _ in range(20)),), {}

    def _get_all(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        known = self._pick(self._config.callers) or _trusted("")
        uid, pid = self._uid_and_pid()
        flags = {"system_app": known.system_app, "service_extension": known.service_extension}
        return (), {"caller": Caller(uid=uid, pid=pid, bundle=known.bundle, **flags)}

    def _infos(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (), {"caller": self._pick(self._config.callers) or NATIVE}

    def _of_type(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (1 << int(self._random.random() * 9),), {}

    _holders = _count = _of_type

    def _of_limit(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (int(self._random.random() * 9) + 1,), {}

    _records = _of_limit

    def _read(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (None if self._random.random() < 0.5 else self._of_limit()[0][0],), {}

    def _apply_many(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return self._columns(4, self._apply), {}

    def _release_many(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return self._columns(3, self._release), {}

    def _columns(self, count: int, make: Callable[[], tuple[tuple[Any, ...], dict[str, Any]]]) -> tuple[Any, ...]:
        """The columns of a batch, in signed 64-bit integers."""
        rows = [make()[0] for _ in range(int(self._random.random() * 40))]
        return tuple(tuple(max(-(2**63), min(row[column], 2**63 - 1)) for row in rows) for column in range(count))

    def _advance(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (self._pick(self._config.budgets),), {}

    def _set_policy(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (int(self._random.random() * len(self._config.setup.policies)),), {}

    def _often(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (self._random.random() < 0.8,), {}

    _ready = _journal = _often

    def _deny(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (tuple(uid for uid in self._config.uids if self._random.random() < 0.2),), {}


def _trusted(bundle: str) -> Caller:
    return Caller(bundle=bundle, system_app=True, native=True)


PLAIN: Final = Caller(bundle="mail")
EXTENSION: Final = Caller(bundle="mail", service_extension=True)
REGISTERED: Final = {0: _trusted("mail"), 1: _trusted("music"), 2: PLAIN}
POLICIES: Final = (
    Policy(cpu_level_max={"mail": 2, "music": 1}, callers=REGISTERED),
    Policy(
        allowed={"mail": (1, 3, 3), "music": (2, 0), "maps": ()},
        default_allowed=(1, 4, 9),
        cpu_level_max={"mail": 0, "maps": 1},
        callers=REGISTERED,
    ),
    Policy(unknown_bundles=("music", "none"), allowed={"music": (0,), "mail": range(2, 9)}, cpu_level_max={"music": 2}),
    Policy(default_allowed=(), allowed={"mail": (1,)}, default_caller=EXTENSION),
    Policy(
        timeout_max_ms={"mail": {ResourceType.ALL: 5, ResourceType.GPS: 2}, "music": {}},
        default_timeout_max_ms={ResourceType.CPU: 3, ResourceType.TIMER | ResourceType.SENSOR: 40},
        callers=REGISTERED,
    ),
    Policy(
        timeout_max_ms={"mail": {ResourceType.CPU: 8}}, over_timeout_max="refuse", allowed={"music": [ResourceType.CPU]}
    ),
)
CALLERS: Final = (
    *(None, None, None, None, None),
    *(_trusted("mail"), _trusted("music"), _trusted("maps"), _trusted("none"), _trusted("post")),
    *(PLAIN, EXTENSION, Caller(bundle="music", native=True)),
)
WRONG_CALLERS: Final = (
    *(None, None, None, None, None, None, None, None),
    *(_trusted("\ud800"), _trusted("b" * 1025), _trusted("b" * 1024), _trusted("é" * 512), _trusted("é" * 513), PLAIN),
)
SWITCHES: Final = {"ready": 0.5, "deny": 0.5, "set_policy": 0.5}
SELDOM: Final = {"advance": 0.1}
REUSING: Final = {
    "apply": 40,
    "renew": 4,
    "release": 8,
    "process_died": 4,
    "package_removed": 1,
    "find_process": 2,
    "advance": 1,
}

LADDER: Final = (
    Config(name="few", uids=(0, 1, 2), pids=(0, 1, 2, 3), timeouts=(1, 2, 3), pauses=(0, 0, 1)),
    Config(name="lazy", weights=COMMON | SELDOM | {"next_deadline": 0.1, "turn_back": 0.05}, drive="seldom"),
    Config(name="undriven", weights=COMMON, drive="never", pauses=(0, 0, 1, 40), timeouts=(1, 4, 16, 64, 256)),
    Config(
        name="slices",
        weights=COMMON | {"advance": 12, "everything": 0.01},
        drive="slices",
        uids=range(24),
        pids=range(40),
        budgets=(1, 1, 2, 3, 7),
        timeouts=(1, 2, 10, 64, 70, 500, 5000),
        pauses=(0, 0, 0, 0, 1, 10, 100),
    ),
    Config(
        name="equal",
        weights=COMMON | {"advance": 6, "next_deadline": 0.2},
        drive="slices",
        uids=range(30),
        pids=range(50),
        budgets=(None, 1, 5, 20),
        timeouts=(1, 1, 2, 3),
        grid=64,
        pauses=(0, 0, 0, 0, 0, 1, 20),
        process_share=0.5,
    ),
    Config(
        name="reuse",
        weights=REUSING,
        uids=range(6),
        pids=(0, 1, 2),
        masks=(1, 1, 5, 511),
        process_share=0.9,
        stranger_share=1.0,
        drive="seldom",
        callers=CALLERS[3:9],
        setup=Setup(max_records=5, max_strings=8),
    ),
    Config(
        name="limits",
        weights=COMMON | {"advance": 0.2},
        drive="seldom",
        uids=range(8),
        pids=range(8),
        timeouts=(1, 3, 9, 27, 81, 243),
        pauses=(0, 0, 0, 1, 3, 9),
        reasons=("", "a", "b", "c", "d", "e", "mail"),
        callers=(None, _trusted("mail"), _trusted("a"), _trusted("maps")),
        setup=Setup(max_records=6, max_strings=4),
    ),
    Config(
        name="texts",
        drive="always",
        reasons=("", *(f"reason {number}" for number in range(12)), "é" * 512, "x" * 1024, "x" * 1025, "\udc00"),
        callers=(None, *(_trusted(f"bundle {number}") for number in range(6))),
        setup=Setup(max_strings=9, event_capacity=64),
    ),
    Config(
        name="wheel",
        weights=COMMON | LISTING | {"advance": 1},
        drive="seldom",
        uids=range(12),
        pids=range(12),
        timeouts=EDGES,
        pauses=(0,) * 20 + EDGES[:9] + (2**20, 2**24, 2**32 - 1, 2**40 - 1),
        budgets=(None, None, 1, 3),
    ),
    Config(
        name="policies",
        weights=COMMON | LISTING | SWITCHES,
        levels=(-1, -1, -1, 0, 1, 2),
        callers=CALLERS,
        setup=Setup(policies=POLICIES, quota=True),
    ),
    Config(
        name="quota",
        weights=COMMON | SWITCHES | {"advance": 0.5, "everything": 0.05},
        drive="seldom",
        levels=(-1, 0, 1),
        callers=CALLERS[:9],
        setup=Setup(policies=POLICIES[:2], quota=True, max_records=7),
    ),
    Config(
        name="journal",
        weights=COMMON | {"journal": 1, "ready": 0.5, "advance": 0.5, "turn_back": 0.1},
        drive="seldom",
        setup=Setup(journal=True, max_records=6, policies=POLICIES[:1]),
    ),
    Config(
        name="wrong",
        weights=COMMON | {"ready": 0.3},
        uids=(0, 0, 1, 1, 2, 2, 2**32 - 2, 2**32 - 2, 2**32 - 1, -1, 2**40, 2**64),
        pids=(0, 0, 1, 1, 2, 2, 3, 2**31 - 1, 2**31, -1, 2**32, -(2**70)),
        masks=(1, 1, 1, 4, 5, 5, 12, 33, 511, 511, 0, 512, 513, -1, 2**32 + 1, 2**70),
        timeouts=(1, 1, 3, 3, 9, 9, 50, 2**32 - 1, 0, 2**32, -1, 2**70),
        reasons=("", "", "", "r", "é" * 512, "é" * 513, "\ud800"),
        levels=(-1, -1, -1, -1, -1, -1, -2, 0, 1, 2, 3, 2**40),
        callers=WRONG_CALLERS,
        setup=Setup(policies=POLICIES[:1]),
    ),
    Config(name="ring", weights=COMMON | LISTING | {"read": 1}, setup=Setup(event_capacity=4), uids=range(8), grid=16),
    Config(
        name="late-ring",
        weights=COMMON | {"read": 1, "advance": 1},
        drive="seldom",
        setup=Setup(event_capacity=1),
        uids=range(8),
        timeouts=(1, 5, 20),
    ),
    Config(
        name="late",
        weights=COMMON | LISTING | {"advance": 2},
        drive="slices",
        timeouts=EDGES,
        pauses=(0,) * 30 + EDGES[:6] + (2**32, 2**36, 2**40),
        budgets=(None, 1, 2),
        setup=Setup(start=2**61 - 2**20 - 3),
    ),
    Config(
        name="end",
        weights=COMMON | LISTING | {"advance": 2},
        drive="slices",
        timeouts=EDGES,
        pauses=(0,) * 10 + (1, 1, 2, 3, 60),
        budgets=(None, 1, 2),
        setup=Setup(start=2**62 - 200_000),
    ),
    Config(
        name="many",
        weights={**COMMON, "advance": 1, "admin_reset_all": 0.01, "everything": 0.05, "apply_many": 5},
        drive="slices",
        uids=range(0, 3000 * 65536, 65536),
        pids=range(300),
        timeouts=(10, 100, 1000, 1000, 10_000),
        pauses=(0,) * 99 + (10,),
        budgets=(None, 10, 50),
        validate_every=200,
        share=0.3,
    ),
)
