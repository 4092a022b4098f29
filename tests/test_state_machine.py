"""Hypothesis looks for a short list of calls on which a manager and the model disagree.

Small domains, so that owners meet often: few uids and pids, timeouts at the edges of the wheel. The comparison itself
is that of the differential run.
"""

from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from capi_manager import CapiManager
from grantwheel import Caller, Manager, Policy
from lockstep import MAX_NOW, Lockstep, Operation, Setup

TRUSTED: Final = Caller(bundle="mail", system_app=True, native=True)
CALLERS: Final = (
    None,
    TRUSTED,
    Caller(bundle="music", service_extension=True),
    Caller(bundle="none", system_app=True),
    Caller(bundle="mail"),
)
POLICIES: Final = (
    Policy(cpu_level_max={"mail": 2, "music": 1}),
    Policy(allowed={"mail": (1, 3), "music": (0,)}, default_allowed=(2, 9), unknown_bundles=("none",)),
)
SETUPS: Final = (
    Setup(policies=POLICIES),
    Setup(policies=POLICIES, quota=True, event_capacity=3),
    Setup(policies=POLICIES, max_records=3, max_strings=2, quota=True),
    Setup(policies=POLICIES, start=2**62 - 2**33),
)

UIDS: Final = range(4)
PIDS: Final = range(6)
uids = st.sampled_from(UIDS)
pids = st.sampled_from(PIDS)
masks = st.sampled_from((1, 4, 5, 12, 33, 256, 510, 511))
timeouts = st.sampled_from((1, 2, 3, 63, 64, 65, 4095, 4096, 2**32 - 1))
pauses = st.sampled_from((0, 0, 0, 0, 1, 1, 2, 61, 62, 63, 64, 4031, 4095, 2**32 - 2, 2**32))
reasons = st.sampled_from(("", "r", "sync"))
levels = st.sampled_from((-1, -1, 0, 1, 2))
callers = st.sampled_from(CALLERS)


class ManagerAgainstModel(RuleBasedStateMachine):
    """All calls, in any order, on both."""

    make_manager: Callable[..., Any] = Manager

    @initialize(setup=st.sampled_from(SETUPS))
    def make(self, setup: Setup) -> None:
        self.pair = Lockstep(setup, make_manager=self.make_manager)
        self.now = setup.start

    def wait(self, pause: int) -> None:
        self.now = min(self.now + pause, MAX_NOW)

    def perform(self, name: str, *arguments: Any, **keywords: Any) -> None:
        self.pair.perform(Operation(self.now, name, arguments, keywords))

    @rule(
        uid=uids,
        pid=pids,
        mask=masks,
        timeout=timeouts,
        persist=st.integers(0, 7).map(lambda number: number == 7),
        process=st.booleans(),
        reason=reasons,
        level=levels,
        caller=callers,
    )
    def apply(
        self,
        uid: int,
        pid: int,
        mask: int,
        timeout: int,
        persist: bool,
        process: bool,
        reason: str,
        level: int,
        caller: Caller | None,
    ) -> None:
        how: dict[str, Any] = {"persist": persist, "process": process, "reason": reason, "cpu_level": level}
        self.perform("apply", uid, pid, mask, timeout, caller=caller, **how)

    @rule(pause=pauses, uid=uids, pid=pids, mask=masks, timeout=timeouts)
    def apply_for_app(self, pause: int, uid: int, pid: int, mask: int, timeout: int) -> None:
        self.wait(pause)
        self.perform("apply", uid, pid, mask, timeout)

    @rule(pause=pauses, uid=uids, pid=pids, mask=masks, timeout=timeouts, process=st.booleans(), reason=reasons)
    def renew(self, pause: int, uid: int, pid: int, mask: int, timeout: int, process: bool, reason: str) -> None:
        self.wait(pause)
        self.perform("renew", uid, pid, mask, timeout, process=process, reason=reason)

    @rule(pause=pauses, uid=uids, pid=pids, timeout=timeouts)
    def apply_for_process(self, pause: int, uid: int, pid: int, timeout: int) -> None:
        self.wait(pause)
        self.perform("apply", uid, pid, 5, timeout, process=True)

    @rule(pause=pauses, uid=uids, pid=pids, mask=masks, process=st.booleans())
    def release(self, pause: int, uid: int, pid: int, mask: int, process: bool) -> None:
        self.wait(pause)
        self.perform("release", uid, pid, mask, process=process)

    @rule(uid=uids, pid=pids, mask=masks, process=st.booleans(), level=levels, caller=callers)
    def release_as(self, uid: int, pid: int, mask: int, process: bool, level: int, caller: Caller | None) -> None:
        self.perform("release", uid, pid, mask, process=process, cpu_level=level, caller=caller)

    @rule(uid=uids, pid=pids, caller=callers)
    def reset_all(self, uid: int, pid: int, caller: Caller | None) -> None:
        self.perform("reset_all", uid, pid, caller=caller)

    @rule(rows=st.lists(st.tuples(uids, pids, masks, timeouts), max_size=12))
    def apply_many(self, rows: list[tuple[int, int, int, int]]) -> None:
        self.perform("apply_many", *(tuple(row[column] for row in rows) for column in range(4)))

    @rule(rows=st.lists(st.tuples(uids, pids, masks), max_size=12))
    def release_many(self, rows: list[tuple[int, int, int]]) -> None:
        self.perform("release_many", *(tuple(row[column] for row in rows) for column in range(3)))

    @rule(uid=uids, pid=pids, died=st.booleans())
    def act_on_process(self, uid: int, pid: int, died: bool) -> None:
        if died:
            self.perform("process_died", uid, pid)
        self.perform("find_process", pid)

    @rule(name=st.sampled_from(("app_stopped", "package_removed", "find_app")), uid=uids)
    def act_on_uid(self, name: str, uid: int) -> None:
        self.perform(name, uid)

    @rule(name=st.sampled_from(("admin_reset_app", "admin_reset_process")), key=uids, mask=masks)
    def reset_one(self, name: str, key: int, mask: int) -> None:
        self.perform(name, key, mask)

    @rule(pause=pauses, name=st.sampled_from(("admin_reset_all", "everything", "next_deadline")))
    def act_on_all(self, pause: int, name: str) -> None:
        self.wait(pause)
        self.perform(name)

    @rule(pause=pauses, budget=st.sampled_from((None, 1, 2, 5)))
    def advance(self, pause: int, budget: int | None) -> None:
        self.wait(pause)
        self.perform("advance", budget)

    @rule(uid=uids, pid=pids, caller=callers)
    def get_all(self, uid: int, pid: int, caller: Caller | None) -> None:
        who = caller or TRUSTED
        flags = {"system_app": who.system_app, "service_extension": who.service_extension}
        self.perform("get_all", caller=Caller(uid=uid, pid=pid, bundle=who.bundle, **flags))

    @rule(name=st.sampled_from(("read", "records", "holders")), number=st.sampled_from((1, 2, 256)))
    def look(self, name: str, number: int) -> None:
        self.perform(name, number)

    @rule(
        ready=st.sampled_from((True, True, True, False)),
        denied=st.sampled_from(((), (), (0,), (1, 2))),
        policy=st.integers(0, len(POLICIES) - 1),
    )
    def change_rules(self, ready: bool, denied: tuple[int, ...], policy: int) -> None:
        self.perform("ready", ready)
        self.perform("deny", denied)
        self.perform("set_policy", policy)

    @invariant()
    def masks_agree(self) -> None:
        if not hasattr(self, "pair"):
            return
        manager, model, now = self.pair.manager, self.pair.model, self.pair.now
        assert [manager.app_mask(uid) for uid in UIDS] == [model.app_mask(now, uid) for uid in UIDS]
        assert [manager.process_mask(pid) for pid in PIDS] == [model.process_mask(now, pid) for pid in PIDS]

    def teardown(self) -> None:
        if hasattr(self, "pair"):
            self.pair.finish()


class CapiAgainstModel(ManagerAgainstModel):
    """The same, through the C ABI."""

    make_manager = CapiManager


def in_steps(machine: type[ManagerAgainstModel], examples: int) -> type:
    """Make a test case of a state machine, which may have several."""
    case: type = type(machine.__name__, (machine,), {}).TestCase  # type: ignore[attr-defined]
    case.settings = settings(  # type: ignore[attr-defined]
        derandomize=True,
        database=None,
        deadline=None,
        max_examples=examples,
        stateful_step_count=60,
        suppress_health_check=list(HealthCheck),
    )
    return case


TestManagerAgainstModel = in_steps(ManagerAgainstModel, 80)
TestCapiAgainstModel = in_steps(CapiAgainstModel, 20)
TestManagerAgainstModelLonger = pytest.mark.long(in_steps(ManagerAgainstModel, 400))
TestCapiAgainstModelLonger = pytest.mark.long(in_steps(CapiAgainstModel, 100))
