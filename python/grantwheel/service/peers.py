"""Who is at the other end of a connection."""

from dataclasses import dataclass

from grantwheel.caller import Caller


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


class PeerRefused(Exception):
    """A peer that is not served; says why."""
