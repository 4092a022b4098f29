"""Calls that are gathered, and sent together."""

from collections.abc import Callable
from typing import Any, SupportsIndex

from grantwheel._documented import refusal
from grantwheel.service import client_commands as commands

_OUT_OF_MEMORY = 980000101
_MOST = 65_536
# So many are on their way at once: their answers fit into the buffers of the socket, and nobody waits for nobody.
_AT_ONCE = 512


class ClientPipeline:
    """Gathers calls, to be carried out in their order: what ``Client.pipeline`` makes. Not thread-safe.

    The arguments are those of the calls of the same names.
    """

    def __init__(self, own: Callable[[], tuple[int, int]], send: Callable[[bytes, int], list[Any]]) -> None:
        self._own = own
        self._send = send
        self._queued: list[bytes] = []

    def __len__(self) -> int:
        return len(self._queued)

    def _queue(self, command: bytes) -> None:
        if len(self._queued) >= _MOST:
            raise refusal(_OUT_OF_MEMORY, f"A pipeline gathers at most {_MOST} calls.")
        self._queued.append(command)

    def apply(
        self,
        uid: SupportsIndex,
        pid: SupportsIndex,
        mask: SupportsIndex,
        timeout_ms: SupportsIndex | None = None,
        *,
        persist: bool = False,
        process: bool = False,
        reason: str = "",
        cpu_level: SupportsIndex = -1,
    ) -> None:
        """Queue ``Client.apply``."""
        self._queue(commands.apply(self._own(), uid, pid, mask, timeout_ms, persist, process, reason, cpu_level))

    def renew(
        self,
        uid: SupportsIndex,
        pid: SupportsIndex,
        mask: SupportsIndex,
        timeout_ms: SupportsIndex | None = None,
        *,
        persist: bool = False,
        process: bool = False,
        reason: str = "",
        cpu_level: SupportsIndex = -1,
    ) -> None:
        """Queue ``Client.renew``."""
        own = self._own()
        self._queue(
            commands.apply(own, uid, pid, mask, timeout_ms, persist, process, reason, cpu_level, only_held=True)
        )

    def release(
        self,
        uid: SupportsIndex,
        pid: SupportsIndex,
        mask: SupportsIndex,
        *,
        process: bool = False,
        cpu_level: SupportsIndex = -1,
    ) -> None:
        """Queue ``Client.release``."""
        self._queue(commands.release(self._own(), uid, pid, mask, process, cpu_level))

    def reset_all(self, uid: SupportsIndex, pid: SupportsIndex) -> None:
        """Queue ``Client.reset_all``."""
        self._queue(commands.pack(b"RESETALL", *commands.acting(self._own(), uid, pid)))

    def execute(self) -> list[int | Exception]:
        """Send what was gathered, and return what each call would have returned or raised, in order.

        When the exchange breaks off in the middle, the answers that haven't come are 9800003.
        """
        queued, self._queued = self._queued, []
        answers: list[int | Exception] = []
        for start in range(0, len(queued), _AT_ONCE):
            part = queued[start : start + _AT_ONCE]
            answers += self._send(b"".join(part), len(part))
        return answers
