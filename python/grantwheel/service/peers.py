"""Who is at the other end of a connection, by the kernel's word."""

import errno
import os
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from grantwheel.caller import Caller
from grantwheel.linux import pidfd
from grantwheel.linux.running import read_running

_SO_PEERPIDFD: Final = getattr(socket, "SO_PEERPIDFD", 77)
_CREDENTIALS: Final = struct.Struct("3i")
_PROC: Final = Path("/proc")
_OVERFLOW_UID: Final = 65534
_ENDED: Final = (errno.ESRCH, errno.EINVAL)  # what kernels before 6.16 say of a peer whose process has ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """The process that has connected, as the kernel says, and what it may do.

    Parameters
    ----------
    uid, pid : int
        Whose calls those of the connection are.
    caller : Caller or None
        Its bundle and flags; None: those that the policy has for the uid.
    may_act_for : bool
        Whether it may name other uids and pids.
    is_admin : bool
        Whether it may administrate.
    """

    uid: int
    pid: int
    caller: Caller | None = None
    may_act_for: bool = False
    is_admin: bool = False


class PeerRefused(Exception):  # noqa: N818 - what it is, not an error of the service
    """A peer that is not served; says why."""


class Process:
    """A process, whoever has its pid later: its uid at connect, its pid, and a descriptor that stands for it."""

    __slots__ = ("descriptor", "pid", "uid")

    def __init__(self, uid: int, pid: int, descriptor: int) -> None:
        self.uid = uid
        self.pid = pid
        self.descriptor = descriptor

    def close(self) -> None:
        """Let the descriptor go; again does nothing."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class Known(Protocol):
    """What says which peers may do what: the registry of a policy file."""

    def peer(self, uid: int, pid: int) -> Peer:
        """Return what a process is as a peer."""
        ...


def from_kernel(connection: socket.socket, registry: Known) -> Peer:
    """Return who is at the other end of a connection.

    Raises
    ------
    PeerRefused
        It cannot be known, or its process has ended.
    """
    process = open_peer(connection)
    process.close()
    return registry.peer(process.uid, process.pid)


def open_peer(connection: socket.socket) -> Process:
    """Return the process that has connected, with a descriptor that is the receiver's to close.

    Raises
    ------
    PeerRefused
        It cannot be known, or it has ended.
    """
    pid, uid, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    uid &= 0xFFFFFFFF
    if pid <= 0:
        raise PeerRefused("the process is of another pid namespace: it has no pid here")
    if uid in (overflow_uid(), 0xFFFFFFFF):
        raise PeerRefused(f"the user is of another user namespace, or is nobody: uid {uid} stands for any of them")
    process = Process(uid, pid, _descriptor(connection, uid, pid))
    if pidfd.has_ended(process.descriptor):
        process.close()
        raise PeerRefused(
            f"process {pid} has ended; the connection is that of another one, which has to connect itself"
        )
    return process


def overflow_uid() -> int:
    """Return the uid that stands for all that have none in this user namespace."""
    with suppress(OSError, ValueError):
        return int((_PROC / "sys/kernel/overflowuid").read_text(encoding="ascii"))
    return _OVERFLOW_UID


def _descriptor(connection: socket.socket, uid: int, pid: int) -> int:
    """Return a descriptor of the process that has connected: the kernel's, or one that is seen to be of the uid."""
    try:
        return struct.unpack("i", connection.getsockopt(socket.SOL_SOCKET, _SO_PEERPIDFD, 4))[0]  # type: ignore[no-any-return]
    except OSError as error:
        if error.errno in _ENDED:
            raise PeerRefused(f"process {pid} has ended") from None
        if error.errno != errno.ENOPROTOOPT:  # a kernel before 6.5, which has to be asked by the pid
            raise PeerRefused(f"process {pid} cannot be watched: {error.strerror}") from None
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        raise PeerRefused(f"process {pid} has ended") from None
    except OSError as error:
        raise PeerRefused(f"process {pid} cannot be watched: {error.strerror}") from None
    try:
        running = read_running(_PROC, pid)
    except (OSError, ValueError, IndexError):
        running = None
    if running is None or uid not in running.uids:
        os.close(descriptor)
        raise PeerRefused(f"process {pid} is not seen to be of uid {uid}, for which it has connected")
    return descriptor
