"""Continuous tasks by themselves: each rule, its edges, and random runs beside the model."""

import random
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import pytest

from grantwheel import BackgroundMode, Caller
from grantwheel._task_errors import task_refusal
from grantwheel.tasks.continuous import Allowed, ContinuousTasks
from grantwheel.tasks.values import Ability, ContinuousTask, TaskEvent
from model_tasks import ContinuousModel
from support import refusal
from task_stage import OnRecord, Stubborn, attempt, brief_continuous

MAIL: Final = Caller(uid=700, pid=71, bundle="org.tide.mail", system_app=True)
PLAIN: Final = Caller(uid=700, pid=71, bundle="org.tide.mail")
MUTE: Final = Caller(uid=700, pid=71, bundle="org.tide.mail", keep_background_running=False)
MAPS: Final = Caller(uid=800, pid=81, bundle="org.tide.maps")
ALL_MODES: Final = frozenset(range(1, 10))


class Stage:
    """Continuous tasks, the store they are in, and the events since the last look."""

    def __init__(self, store: Any = None) -> None:
        self.store: Any = Stubborn() if store is None else store
        self.events: list[TaskEvent] = []
        self.declared: frozenset[int] = ALL_MODES
        self.keeps_tasks = True
        self.tasks = self.again()

    def again(self, **more: Any) -> ContinuousTasks:
        """Begin anew with what is in the store."""
        return ContinuousTasks(store=self.store, emit=self.events.append, **more)

    def allowed(self, _ability: Ability) -> Allowed:
        return Allowed(declared=self.declared, keeps_tasks=self.keeps_tasks)

    def start(
        self, modes: Any, ability: object = "Main", caller: Caller = MAIL, agent: object = True, **more: Any
    ) -> int:
        return self.tasks.start(5, caller, ability, modes, agent, allowed=self.allowed, **more)

    def update(self, modes: Any, ability: object = "Main", caller: Caller = MAIL, **more: Any) -> None:
        self.tasks.update(5, caller, ability, modes, allowed=self.allowed, **more)

    def running(self) -> list[list[Any]]:
        return [[task.id, [int(mode) for mode in task.modes]] for task in self.tasks.tasks()]

    def told(self) -> list[tuple[Any, ...]]:
        events = [brief_continuous(event) for event in self.events]
        self.events.clear()
        return events

    def refused(self, call: Callable[[], object], detail: int, code: int) -> str:
        """Make a call that has to be refused and to change nothing, and return what it says."""
        before = self.tasks.dump(), len(self.events)
        error = refusal(call)
        assert (error.detail, error.code) == (detail, code)
        assert (self.tasks.dump(), len(self.events)) == before
        return str(error)


@pytest.fixture
def stage() -> Stage:
    return Stage()


# Beginning.


def test_a_task_is_held_until_it_is_stopped(stage: Stage) -> None:
    assert stage.start(2) == 1
    assert stage.tasks.tasks() == [
        ContinuousTask(1, 700, 71, "org.tide.mail", Ability("Main", 0), (BackgroundMode.AUDIO_PLAYBACK,))
    ]
    assert stage.events == [
        TaskEvent(0, 5, stage.events[0].kind, 700, 71, "org.tide.mail", 1, (BackgroundMode.AUDIO_PLAYBACK,))
    ]
    stage.tasks.stop(6, MAIL, "Main")
    assert stage.running() == []
    assert stage.told() == [
        *(("continuous_start", 700, 1, [2]), ("continuous_stop", 700, 1), ("continuous_app_stop", 700)),
    ]


def test_there_is_one_task_of_each_uid_ability_and_number(stage: Stage) -> None:
    assert stage.start(1) == 1
    assert "has a continuous task already" in stage.refused(lambda: stage.start(2), 980000501, 9800005)
    stage.refused(lambda: stage.start(1, Ability("Main")), 980000501, 9800005)
    assert stage.start(1, Ability("Main", 1)) == 2
    assert stage.start(1, "Second") == 3
    assert stage.start(1, "Main", MAPS) == 4
    other = Caller(uid=700, pid=72, bundle="org.tide.mail")
    stage.refused(lambda: stage.start(1, "Main", other), 980000501, 9800005)


def test_ids_grow_and_are_not_used_again(stage: Stage) -> None:
    assert [stage.start(1), stage.start(1, "b")] == [1, 2]
    stage.tasks.stop(5, MAIL, "b")
    stage.refused(lambda: stage.start(10, "b"), 9800411, 401)
    assert stage.start(1, "b") == 3


@pytest.mark.parametrize(
    ("modes", "detail"),
    [
        (0, 9800411),
        (10, 9800411),
        (-1, 9800411),
        ([1, 10], 9800411),
        (2**70, 9800411),
        ("2", 9800407),
        (None, 9800407),
        (True, 9800407),
        ([True], 9800407),
        ([], 9800407),
        ((), 9800407),
        ({1}, 9800407),
        ({"mode": 1}, 9800407),
        ([[1]], 9800407),
        (1.5, 9800407),
        (float("nan"), 9800407),
        (float("inf"), 9800407),
    ],
)
def test_what_is_no_mode(stage: Stage, modes: Any, detail: int) -> None:
    nobody = Caller(keep_background_running=False)
    assert "bgModes" in stage.refused(lambda: stage.start(modes, None, nobody, None, is_ready=False), detail, 401)
    stage.refused(lambda: stage.update(modes, None, nobody, is_ready=False), detail, 401)


@pytest.mark.parametrize("modes", [9, 9.0, [9], (9,), [9, 9], BackgroundMode.TASK_KEEPING, [BackgroundMode(9), 9.0]])
def test_what_is_a_mode(stage: Stage, modes: Any) -> None:
    stage.start(modes)
    assert stage.running() == [[1, [9]]]


def test_the_order_of_refusals_of_a_start(stage: Stage) -> None:
    """Everything is wrong at first; one fault after the other goes, and the next one is reported."""
    stage.start(1)
    stage.declared, stage.keeps_tasks = frozenset(), False
    wrong: dict[str, Any] = {"modes": [9, 7], "ability": "\ud800", "agent": None, "is_ready": False}
    who: dict[str, Any] = {"uid": -1, "pid": -1, "bundle": "x" * 1025, "keep_background_running": False}
    repairs: list[tuple[dict[str, Any], dict[str, Any], int, int]] = [
        ({}, {}, 980000201, 9800002),
        ({"ability": ""}, {}, 980000401, 9800004),
        ({"is_ready": True}, {}, 980000505, 9800005),
        ({}, {"uid": 700}, 980000505, 9800005),
        ({}, {"pid": 71}, 980000505, 9800005),
        ({}, {"bundle": ""}, 980000603, 9800006),
        ({"ability": "Main"}, {}, 980000603, 9800006),
        ({"agent": object()}, {}, 201, 201),
        ({}, {"keep_background_running": True}, 980000501, 9800005),
        ({"ability": "Other"}, {}, 980000503, 9800005),
    ]
    for arguments, flags, detail, code in repairs:
        wrong |= arguments
        who |= flags
        stage.refused(partial(stage.start, **wrong, caller=Caller(**who)), detail, code)
    caller = Caller(**who)
    stage.keeps_tasks = True
    stage.refused(lambda: stage.start([9, 7], "Other", caller), 980000504, 9800005)
    stage.declared = frozenset({9})
    stage.refused(lambda: stage.start([9, 7], "Other", caller), 202, 202)
    stage.refused(lambda: stage.start([9, 7], "Other"), 980000504, 9800005)
    stage.declared = frozenset({9, 7})
    assert stage.start([9, 7], "Other") == 2


def test_modes_are_judged_one_after_the_other(stage: Stage) -> None:
    stage.declared, stage.keeps_tasks = frozenset({7}), False
    stage.refused(lambda: stage.start([7, 9, 1], caller=PLAIN), 202, 202)
    stage.refused(lambda: stage.start([9, 7, 1], caller=PLAIN), 980000503, 9800005)
    assert "DATA_TRANSFER" in stage.refused(lambda: stage.start([1, 9, 7], caller=PLAIN), 980000504, 9800005)
    assert stage.running() == []


def test_voip_is_not_for_system_apps_alone(stage: Stage) -> None:
    assert stage.start(8, caller=PLAIN) == 1


@pytest.mark.parametrize(
    "ability", [None, "", 7, ("Main",), ("Main", "0"), ("Main", True), ("", 0), (None, 0), b"Main"]
)
def test_an_ability_without_a_name(stage: Stage, ability: Any) -> None:
    stage.start(1)
    stage.refused(lambda: stage.start(1, ability), 980000603, 9800006)
    stage.refused(lambda: stage.update(1, ability), 980000502, 9800005)
    stage.refused(lambda: stage.tasks.stop(5, MAIL, ability), 9800406, 401)


@pytest.mark.parametrize("agent", [None, False])
def test_a_want_agent_that_is_missing(stage: Stage, agent: object) -> None:
    stage.refused(lambda: stage.start(1, agent=agent), 980000603, 9800006)


@pytest.mark.parametrize("ability", ["x" * 1025, Ability("a", -1), Ability("a", 2**31)])
def test_an_ability_that_cannot_be(stage: Stage, ability: object) -> None:
    assert "at most 1024 bytes" in stage.refused(lambda: stage.start(1, ability), 980000603, 9800006)
    stage.refused(lambda: stage.update(1, ability), 980000502, 9800005)
    assert stage.start(1, Ability("x" * 1024, 2**31 - 1)) == 1


# Other modes.


def test_a_task_gets_other_modes(stage: Stage) -> None:
    stage.start(1)
    stage.told()
    stage.update([4, 2])
    assert stage.running() == [[1, [2, 4]]]
    assert stage.told() == [("continuous_update", 700, 1, [2, 4])]
    stage.update(2)
    assert stage.running() == [[1, [2]]]


def test_the_same_modes_are_fine_and_nothing_happens(stage: Stage) -> None:
    stage.start([1, 7])
    stage.told()
    stage.store.writes.clear()
    stage.declared = frozenset()
    stage.update([7, 1, 7], caller=PLAIN)
    assert (stage.told(), stage.store.writes) == ([], [])
    stage.refused(lambda: stage.update([7, 1, 2], caller=PLAIN), 202, 202)


def test_the_order_of_refusals_of_an_update(stage: Stage) -> None:
    stage.keeps_tasks = False
    nobody = Caller(keep_background_running=False)
    stage.refused(lambda: stage.update(9, "\ud800", nobody, is_ready=False), 980000201, 9800002)
    stage.refused(lambda: stage.update(9, "Main", nobody, is_ready=False), 980000401, 9800004)
    stage.refused(lambda: stage.update(9, "Main", nobody), 980000505, 9800005)
    stage.refused(lambda: stage.update(9, "Main", MUTE), 201, 201)
    stage.refused(lambda: stage.update(9), 980000502, 9800005)
    stage.start(1)
    stage.refused(lambda: stage.update(9), 980000503, 9800005)
    stage.refused(lambda: stage.update(1, caller=MUTE), 201, 201)
    stage.refused(lambda: stage.update(1, caller=MAPS), 980000502, 9800005)
    stage.refused(lambda: stage.update(1, Ability("Main", 1)), 980000502, 9800005)


# Ends.


def test_the_order_of_refusals_of_a_stop(stage: Stage) -> None:
    stop = stage.tasks.stop
    stage.refused(lambda: stop(5, Caller(), None, is_ready=False), 980000401, 9800004)
    stage.refused(lambda: stop(5, Caller(), None), 980000505, 9800005)
    stage.refused(lambda: stop(5, MAIL, None), 9800406, 401)
    stage.refused(lambda: stop(5, MAIL, "Main"), 980000502, 9800005)
    stage.start(1)
    stop(5, MUTE, "Main")  # that needs no permission
    stage.refused(lambda: stop(5, MAIL, "Main"), 980000502, 9800005)


def test_the_last_task_of_a_uid_is_told(stage: Stage) -> None:
    stage.start(1)
    stage.start(1, "b")
    stage.start(1, caller=MAPS)
    stage.told()
    stage.tasks.stop(5, MAIL, "Main")
    assert stage.told() == [("continuous_stop", 700, 1)]
    stage.tasks.stop(5, MAIL, "b")
    assert stage.told() == [("continuous_stop", 700, 2), ("continuous_app_stop", 700)]


def test_an_app_that_stops_takes_its_tasks_with_it(stage: Stage) -> None:
    stage.start(1)
    stage.start(1, "b", Caller(uid=700, pid=72, bundle=""))
    stage.start(1, caller=MAPS)
    stage.told()
    stage.store.writes.clear()
    stage.tasks.app_stopped(9, 700)
    assert stage.told() == [("continuous_stop", 700, 1), ("continuous_stop", 700, 2), ("continuous_app_stop", 700)]
    assert stage.running() == [[3, [1]]]
    assert stage.store.writes == [{"continuous/1": None, "continuous/2": None}]
    stage.tasks.app_stopped(9, 700)
    assert stage.told() == []


# What is on record.


def test_everything_is_in_the_store_and_read_again(stage: Stage) -> None:
    stage.start([2, 1])
    stage.start(3, Ability("b", 7), MAPS)
    stage.tasks.stop(5, MAIL, "Main")
    again = stage.again()
    assert again.dump() == stage.tasks.dump() == dict(stage.store.items())
    assert again.dump() == {
        "continuous": b'{"next_id":3}',
        "continuous/2": (
            b'{"ability":"b","ability_id":7,"bundle":"org.tide.maps","id":2,"modes":[3],"pid":81,"uid":800}'
        ),
    }
    assert again.tasks(800) == stage.tasks.tasks(800)
    assert again.tasks(700) == []
    assert refusal(lambda: again.start(5, MAPS, Ability("b", 7), 1, True, allowed=stage.allowed)).detail == 980000501


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("continuous", b'{"next_id":"1"}'),
        ("continuous/2", b'{"ability":"b","ability_id":7,"bundle":"","id":3,"modes":[3],"pid":81,"uid":800}'),
        ("continuous/2", b'{"ability":"b","ability_id":7,"bundle":"","id":2,"modes":[10],"pid":81,"uid":800}'),
        ("continuous/2", b'{"ability":7,"ability_id":7,"bundle":"","id":2,"modes":[3],"pid":81,"uid":800}'),
    ],
)
def test_what_is_no_record_is_refused(stage: Stage, key: str, value: bytes) -> None:
    stage.store.write({key: value})
    error = refusal(stage.again)
    assert error.code == 9800002
    assert repr(key) in str(error)


def test_a_store_that_refuses_leaves_everything_as_it_was(stage: Stage) -> None:
    stage.start(1)
    stage.told()
    stage.store.refuses = True
    calls: list[Callable[[], object]] = [
        lambda: stage.start(1, "b"),
        lambda: stage.update(2),
        lambda: stage.tasks.stop(5, MAIL, "Main"),
        lambda: stage.tasks.app_stopped(5, 700),
        lambda: stage.tasks.restarted(5, lambda _uid, _pid: False),
    ]
    for call in calls:
        stage.refused(call, 980000701, 9800007)
    stage.store.refuses = False
    assert stage.start(1, "b") == 2
    assert stage.told() == [("continuous_start", 700, 2, [1])]


def test_tasks_of_processes_that_run_stay_after_a_restart(stage: Stage) -> None:
    stage.start(1)
    stage.start(1, "b", Caller(uid=700, pid=72))
    stage.start(1, caller=MAPS)
    stage.told()
    again = stage.again()
    again.restarted(9, lambda uid, pid: (uid, pid) in {(700, 72), (800, 82)})
    assert [task.id for task in again.tasks()] == [2]
    assert stage.told() == []
    assert again.start(9, MAPS, "Main", 1, True, allowed=stage.allowed) == 4


def test_a_limit_is_one(stage: Stage) -> None:
    tasks = stage.again(max_records=2)
    for ability in ("a", "b"):
        tasks.start(0, MAIL, ability, 1, True, allowed=stage.allowed)
    error = refusal(lambda: tasks.start(0, MAPS, "a", 1, True, allowed=stage.allowed))
    assert error.code == 9800001
    tasks.stop(0, MAIL, "a")
    assert tasks.start(0, MAPS, "a", 1, True, allowed=stage.allowed) == 3


def test_a_host_may_limit_what_one_uid_has(stage: Stage) -> None:
    counts: list[int] = []
    for ability in ("a", "b"):
        stage.start(1, ability, admit=counts.append)
    stage.start(1, "a", MAPS, admit=counts.append)
    assert counts == [0, 1, 0]

    def admit(count: int) -> None:
        counts.append(count)
        raise task_refusal(980000101, "", "one too many")

    assert "one too many" in stage.refused(lambda: stage.start(1, "c", admit=admit), 980000101, 9800001)
    stage.refused(lambda: stage.start(1, "b", admit=admit), 980000501, 9800005)  # which comes before
    assert counts == [0, 1, 0, 2]
    assert stage.start(1, "c") == 4


# Beside the model.


MODES: Final[tuple[Any, ...]] = (
    1,
    2,
    7,
    9,
    0,
    10,
    True,
    None,
    [],
    [1, 2],
    [2, 1, 2],
    [7, 9],
    [9, 7],
    [1, 7, 9],
    [3, False],
    ["1"],
)


def step_beside_the_model(stage: Stage, model: ContinuousModel, numbers: random.Random, now: int) -> None:
    """Make one call on both."""
    tasks = stage.tasks
    uid, pid, number = numbers.choice((1, 2)), numbers.choice((11, 12)), numbers.choice((0, 0, 1))
    ability, modes = numbers.choices(("a", "b", ""), (6, 4, 1))[0], numbers.choice(MODES)
    flags: dict[str, Any] = {
        "ready": numbers.random() < 0.95,
        "may": numbers.random() < 0.9,
        "system": numbers.random() < 0.6,
        "declared": set(numbers.choice(((1, 2, 7, 9), (1, 2), (7, 9), (2, 9)))),
        "keeps": numbers.random() < 0.6,
    }
    ready, agent = flags["ready"], numbers.choice((True, True, True, None))
    who = Caller(uid=uid, pid=pid, system_app=flags["system"], keep_background_running=flags["may"])
    stage.declared, stage.keeps_tasks = frozenset(flags["declared"]), flags["keeps"]
    named = Ability(ability, number)
    pids = {11} if numbers.random() < 0.5 else {11, 12}
    kinds: list[tuple[int, Callable[[], Any], Callable[[], Any]]] = [
        (
            20,
            lambda: tasks.start(now, who, named, modes, agent, allowed=stage.allowed, is_ready=ready),
            lambda: model.start(uid, pid, ability, number, modes, agent, **flags),
        ),
        (
            10,
            lambda: tasks.update(now, who, named, modes, allowed=stage.allowed, is_ready=ready),
            lambda: model.update(uid, ability, number, modes, **flags),
        ),
        (
            8,
            lambda: tasks.stop(now, who, named, is_ready=ready),
            lambda: model.stop(uid, ability, number, ready=ready),
        ),
        (1, lambda: tasks.app_stopped(now, uid), lambda: model.stopped(uid)),
        (1, lambda: tasks.restarted(now, lambda _, pid: pid in pids), lambda: model.restarted(pids)),
    ]
    _, on_rules, on_model = numbers.choices(kinds, [kind[0] for kind in kinds])[0]
    if numbers.random() < 0.1:
        stage.store.refuses = True
        before = tasks.dump()
        answer = attempt(on_rules)
        stage.store.refuses = False
        assert tasks.dump() == before
        assert answer in (980000701, None) or answer == attempt(on_model)
        return
    assert attempt(on_rules) == attempt(on_model)
    assert stage.told() == model.told
    model.told = []
    assert stage.running() == [[task[0], task[5]] for task in model.running]


def run_beside_the_model(seed: int, store: Any = None) -> None:
    print(f"seed {seed}")
    numbers, stage, model = random.Random(seed), Stage(store), ContinuousModel()
    for step in range(1_000):
        if numbers.random() < 0.03:
            stage.tasks = stage.again()
        step_beside_the_model(stage, model, numbers, step)
    assert model.next_id > 20


@pytest.mark.parametrize("seed", range(4))
def test_random_calls_beside_the_model(seed: int) -> None:
    run_beside_the_model(seed)


def test_random_calls_on_record_beside_the_model() -> None:
    store = OnRecord(4)
    run_beside_the_model(4, store)
    store.check()
