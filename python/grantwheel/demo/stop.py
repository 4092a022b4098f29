"""Ctrl-C and the other signals that ask a command to end, heard between two steps and never within one."""

import os
import select
import signal
from types import FrameType, TracebackType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignal:
    """Waits for time to pass or for a signal that asks to end: ``with StopSignal() as stop``, in the main thread.

    The first signal is remembered and ends a wait at once. The second raises `KeyboardInterrupt` wherever the program
    is, for a program that hangs. A signal that was ignored before stays ignored (nohup).
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        # The interpreter writes to this pipe the moment a signal arrives; so one that comes just before a wait ends it.
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._handlers[number] = signal.signal(number, self._hear)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        os.close(self._reader)
        os.close(self._writer)

    def wait(self, seconds: float, *descriptors: int) -> bool:
        """Wait, and return whether a signal has asked to end; if one has, at once.

        May return early, as it does when one of the descriptors is readable.
        """
        if self.signal is None and self._reader in select.select([self._reader, *descriptors], [], [], seconds)[0]:
            os.read(self._reader, 64)
        return self.signal is not None

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = signal.Signals(number)
