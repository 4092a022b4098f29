"""What systemd gives a service, and is told by it: sockets that listen already, and states."""

import os
import socket
from collections.abc import MutableMapping
from typing import Final

_FIRST: Final = 3  # the descriptor of the first socket


def listeners(environment: MutableMapping[str, str] | None = None) -> list[socket.socket]:
    """Return the sockets that were given to this process, if any; its children are not to take them for theirs.

    Raises
    ------
    ValueError
        What was given is no Unix stream socket that listens, or the environment is not right.
    """
    variables = os.environ if environment is None else environment
    owner, count = variables.get("LISTEN_PID"), variables.get("LISTEN_FDS")
    if owner is None or count is None or owner != str(os.getpid()):
        return []
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        variables.pop(name, None)
    if not (count.isascii() and count.isdecimal() and len(count) < 5):
        raise ValueError(f"LISTEN_FDS must be a number of descriptors, not {count!r}")
    return [_listener(descriptor) for descriptor in range(_FIRST, _FIRST + int(count))]


def _listener(descriptor: int) -> socket.socket:
    os.set_inheritable(descriptor, False)
    try:
        given = socket.socket(fileno=descriptor)
    except OSError as error:
        raise ValueError(f"descriptor {descriptor} of LISTEN_FDS is no socket: {error.strerror}") from None
    listens = given.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if given.family != socket.AF_UNIX or given.type != socket.SOCK_STREAM or not listens:
        given.detach()  # it is not this function's to close
        raise ValueError(f"descriptor {descriptor} of LISTEN_FDS is no Unix stream socket that listens")
    given.setblocking(False)
    return given


def notify(state: str, environment: MutableMapping[str, str] | None = None) -> bool:
    """Tell systemd a state, such as ``READY=1``; False: it did not ask for that, or cannot be reached."""
    variables = os.environ if environment is None else environment
    where = variables.get("NOTIFY_SOCKET", "")
    if where[:1] not in ("/", "@"):
        return False
    address = "\0" + where[1:] if where[0] == "@" else where
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        try:
            sender.connect(address)
            sender.sendall(state.encode())
        except OSError:
            return False
    return True
