"""The callbacks of open requests, and what stands for them on record."""

import logging
import os
from collections.abc import Callable, Hashable, Iterable
from typing import NamedTuple

from grantwheel._callback import identity_of, refuse_coroutine
from grantwheel._telling import tell


class Asked(NamedTuple):
    """A callback: by what it is told apart, what stands for it on record, and itself."""

    identity: Hashable
    name: str
    call: Callable[[], object]


class Callbacks:
    """Those of open requests, by id. While one of these has a callback, the same name stands for it."""

    def __init__(self) -> None:
        self._asked: dict[int, Asked] = {}
        self._names: dict[Hashable, tuple[str, int]] = {}  # each with the last request that has it

    def of(self, request_id: int) -> Asked | None:
        """Return the callback of a request, if it is known."""
        return self._asked.get(request_id)

    def asked_with(self, function: Callable[[], object], name: str | None) -> Asked:
        """Return what stands for a callback: the same while it is that of an open request."""
        if name is not None:
            return Asked((Callbacks, name), f"name {name}", function)
        identity = identity_of(function)
        known = self._names.get(identity)
        return Asked(identity, os.urandom(12).hex() if known is None else known[0], function)

    def open(self, request_id: int, asked: Asked) -> None:
        """Hear that a request was granted."""
        self._asked[request_id] = asked
        self._names[asked.identity] = asked.name, request_id

    def close(self, request_id: int) -> None:
        """Hear that a request has ended. Made together with that end, another one may have its callback already."""
        asked = self._asked.pop(request_id, None)
        if asked is not None and self._names.get(asked.identity, ("", 0))[1] == request_id:
            del self._names[asked.identity]

    def undo(self, request_ids: Iterable[int]) -> None:
        """Hear that requests were not granted after all, and that those which had ended for them are open."""
        for request_id in request_ids:
            self.close(request_id)
        for request_id, asked in self._asked.items():
            self._names.setdefault(asked.identity, (asked.name, request_id))


def call_back(function: Callable[[], object]) -> None:
    """Call a callback; what it raises is logged."""
    try:
        refuse_coroutine(function(), "the callback")
    except Exception as error:  # noqa: BLE001 - the others have to be called
        tell(logging.ERROR, "%r, the callback of a transient task, raised", function, error=error)
