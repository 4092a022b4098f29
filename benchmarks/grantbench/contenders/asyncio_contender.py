"""The contender ``asyncio``: a call_later per owner, on an event loop with time as a number."""

import asyncio
import platform
from collections.abc import Sequence

from grantbench.contender import Contender, Facts, Run
from grantbench.plan import Mix
from grantbench.shape import COMMON, DENSE, Shape


class _Loop(asyncio.SelectorEventLoop):
    """An event loop whose time stands still until it is moved."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def time(self) -> float:
        return self.now


class AsyncioContender(Contender):
    """A dict of types and timer handles. A renewal cancels the timer and sets another; a timer that fires deletes."""

    name = "asyncio"
    max_owners = 100_000

    def __init__(self, owners: int, reserve: bool = False) -> None:
        del owners, reserve
        self._loop = _Loop()
        self._grants: dict[int, tuple[int, asyncio.TimerHandle]] = {}

    @classmethod
    def facts(cls) -> Facts:
        return Facts("call_later per owner, cancelled and set again to renew", platform.python_version())

    def _apply(self, uid: int, mask: int, seconds: float) -> None:
        grant = self._grants.get(uid)
        if grant is not None:
            grant[1].cancel()
        self._grants[uid] = (mask, self._loop.call_later(seconds, self._grants.pop, uid))

    def _release(self, uid: int) -> None:
        grant = self._grants.pop(uid, None)
        if grant is not None:
            grant[1].cancel()

    def apply(self, uid: int, mask: int, timeout_ms: int) -> None:
        self._apply(uid, mask, timeout_ms / 1000)

    def applying(self, uids: Sequence[int], timeouts_ms: Sequence[int], shape: Shape = DENSE) -> Run:
        apply, mask = self._apply, shape.mask
        seconds = [timeout / 1000 for timeout in timeouts_ms]

        def run() -> None:
            for uid, timeout in zip(uids, seconds, strict=True):
                apply(uid, mask, timeout)

        return run

    def releasing(self, uids: Sequence[int], shape: Shape = DENSE) -> Run:
        del shape  # all that an owner holds has one timer
        release = self._release

        def run() -> None:
            for uid in uids:
                release(uid)

        return run

    def asking(self, uids: Sequence[int], shape: Shape = DENSE) -> Run:
        del shape  # all that an owner holds has one timer
        get = self._grants.get

        def run() -> None:
            for uid in uids:
                get(uid)

        return run

    def playing(self, mix: Mix) -> Run:
        apply, release = self._apply, self._release
        seconds = [timeout / 1000 for timeout in mix.timeouts]

        def run() -> None:
            for is_release, uid, timeout in zip(mix.is_release, mix.uids, seconds, strict=True):
                if is_release:
                    release(uid)
                else:
                    apply(uid, COMMON, timeout)

        return run

    def holders(self, mask: int) -> list[int]:
        return [uid for uid, (held, _) in self._grants.items() if held & mask]

    def mask(self, uid: int) -> int:
        grant = self._grants.get(uid)
        return 0 if grant is None else grant[0]

    def count(self) -> int:
        return len(self._grants)

    def end(self, budget: int) -> bool:
        """Let the loop go round once: it runs every timer that is due."""
        del budget
        self._loop.call_soon(self._loop.stop)
        self._loop.run_forever()
        return False

    def pass_time(self, ms: int) -> None:
        self._loop.now += ms / 1000

    def close(self) -> None:
        self._loop.close()
