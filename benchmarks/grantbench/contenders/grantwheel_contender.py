"""The contender ``grantwheel``: a manager on a manual clock."""

from collections.abc import Sequence
from typing import Self

import grantwheel
from grantbench.contender import Contender, Facts, Run
from grantbench.plan import Mix
from grantbench.shape import COMMON, DENSE, Shape

# The pid of all callers: a pid has one bit less than a uid, so that not every uid could be one.
PID = 1_000
# Far more than a mix or a storm adds to the owners of a plan.
ROOM = 1_000


class GrantwheelContender(Contender):
    """A manager with everything that it does: policy, events, lock."""

    name = "grantwheel"
    has_slices = True

    def __init__(self, owners: int, reserve: bool = False, event_capacity: int = 1 << 16) -> None:
        self.clock = grantwheel.ManualClock(0)
        self.manager = grantwheel.Manager(
            clock=self.clock,
            max_records=2 * owners + ROOM,
            reserve=owners if reserve else 0,
            event_capacity=event_capacity,
        )

    @classmethod
    def telling(cls, owners: int) -> Self:
        return cls(owners, event_capacity=owners)

    @classmethod
    def facts(cls) -> Facts:
        return Facts("the manager, one call per owner", grantwheel.__version__)

    def apply(self, uid: int, mask: int, timeout_ms: int) -> None:
        self.manager.apply(uid, PID, mask, timeout_ms)

    def applying(self, uids: Sequence[int], timeouts_ms: Sequence[int], shape: Shape = DENSE) -> Run:
        apply, mask = self.manager.apply, shape.mask

        def run() -> None:
            for uid, timeout in zip(uids, timeouts_ms, strict=True):
                apply(uid, PID, mask, timeout)

        return run

    def releasing(self, uids: Sequence[int], shape: Shape = DENSE) -> Run:
        release, mask = self.manager.release, shape.mask

        def run() -> None:
            for uid in uids:
                release(uid, PID, mask)

        return run

    def asking(self, uids: Sequence[int], shape: Shape = DENSE) -> Run:
        del shape  # the answer has every type
        mask = self.manager.app_mask

        def run() -> None:
            for uid in uids:
                mask(uid)

        return run

    def playing(self, mix: Mix) -> Run:
        apply, release = self.manager.apply, self.manager.release

        def run() -> None:
            for is_release, uid, timeout in zip(mix.is_release, mix.uids, mix.timeouts, strict=True):
                if is_release:
                    release(uid, PID, COMMON)
                else:
                    apply(uid, PID, COMMON, timeout)

        return run

    def holders(self, mask: int) -> list[int]:
        apps, _ = self.manager.holders(mask)
        return apps

    def mask(self, uid: int) -> int:
        return self.manager.app_mask(uid)

    def count(self) -> int:
        records: int = self.manager.stats().app_records
        return records

    def end(self, budget: int) -> bool:
        self.manager.advance(budget)
        wake_at = self.manager.wake_at
        return wake_at is not None and wake_at <= self.clock.now()

    def end_all(self) -> object:
        self.manager.advance()
        return self.manager.drain_columns()

    def let_lapse(self, uids: Sequence[int], timeouts_ms: Sequence[int], shape: Shape = DENSE) -> None:
        super().let_lapse(uids, timeouts_ms, shape)
        self.manager.drain_columns()

    def pass_time(self, ms: int) -> None:
        self.clock.advance(ms)

    def close(self) -> None:
        self.manager.close()
