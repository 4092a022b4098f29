"""``grantwheel events``: what happened, and what happens."""

import argparse
from typing import TYPE_CHECKING

from grantwheel import Event, EventKind
from grantwheel._text import printable

from . import values
from .connected import CODES, REFUSED, add_json, add_socket, connected, put, told

if TYPE_CHECKING:
    from grantwheel.service.client import Client

_PAGE = 1000
_OF_PROCESSES = (EventKind.PROCESS_APPLY, EventKind.PROCESS_RESET)
_BEGINNINGS = (EventKind.APP_APPLY, EventKind.PROCESS_APPLY)

_ABOUT = """\
Shows events: types that somebody got or lost, and why. Without -f those that the
service still has, or those of them after a number, and then ends. With -f those
from now on, or after a number, until Ctrl-C; when the service goes away it is
waited for, and it goes on where it was. Events that the service no longer had
when they were asked for are counted, in a line of their own.

This is for those whom the policy of the service calls native."""

_FIELDS = """\
the objects of --json, one a line:
  event       "event"
    sequence    its number
    time_ms     instant on the service's clock; of an expiry, the deadline
    kind        app_apply, app_reset, process_apply, process_reset
    cause       apply, release, reset_all, expired, process_died, app_stopped,
                package_removed, pid_reused, admin, recovered
    uid, pid, bundle
                of an apply, who called; of a reset, whose the record is
    types       list of the types that were gained or lost
    cpu_level   the record's level, -1 for none; of a reset, the one before it
  event       "gap"
    missed      how many events are no longer there; null when nobody knows, as
                the service was started anew and had kept nothing: the numbers
                begin at 1 again then

"""


def fill(command: argparse.ArgumentParser) -> None:
    """Give the command its arguments."""
    command.description, command.epilog = _ABOUT, _FIELDS + CODES
    command.set_defaults(run=_run, title="events", failed=REFUSED)
    command.add_argument("-f", "--follow", action="store_true", help="go on with what happens")
    command.add_argument("--after", type=values.sequence, metavar="N", help="only those with a greater number")
    command.add_argument("-r", "--resources", type=values.types, metavar="TYPES", help=f"only these: {values.TYPES}")
    command.add_argument(
        "--uid", type=values.uid, action="append", metavar="USER", help="only of this user; repeatable"
    )
    command.add_argument(
        "--kind",
        type=_kind,
        action="append",
        metavar="KIND",
        help="only of this kind; repeatable: " + ", ".join(EventKind),
    )
    add_socket(command)
    add_json(command)


def _run(options: argparse.Namespace) -> int:
    with connected(options) as grants:
        if options.follow:
            _follow(grants, options)
        else:
            _show(grants, options)
    return 0


def _show(grants: "Client", options: argparse.Namespace) -> None:
    after = options.after or 0
    while True:
        with told():
            events, missed, after = grants.read(after, _PAGE)
        _write_gap(missed, options)
        for event in events:
            if (options.uid is None or event.uid in options.uid) and (
                options.kind is None or event.kind in options.kind
            ):
                _write(event, options)
        if not events:
            return


def _follow(grants: "Client", options: argparse.Namespace) -> None:
    def tell(missed: int) -> None:
        if missed:
            _write_gap(missed, options)
        elif options.json:
            put({"event": "gap", "missed": None}, at_once=True)
        else:
            print("the service has begun anew: how many events are no longer there is not known", flush=True)

    with told():
        events = grants.follow(options.after, kinds=options.kind, uids=options.uid, on_gap=tell)
    while True:
        with told():
            event = next(events, None)
        if event is None:
            return
        _write(event, options)


def _write(event: Event, options: argparse.Namespace) -> None:
    if options.resources is not None and not event.mask & options.resources:
        return
    if options.json:
        put(
            {
                "event": "event",
                "sequence": event.sequence,
                "time_ms": event.time,
                "kind": str(event.kind),
                "cause": str(event.cause),
                "uid": event.uid,
                "pid": event.pid,
                "bundle": event.bundle,
                "types": values.names(event.mask),
                "cpu_level": event.cpu_level,
            },
            at_once=options.follow,
        )
        return
    who = f"process {event.pid} of {event.uid}" if event.kind in _OF_PROCESSES else f"app {event.uid}"
    what = "got" if event.kind in _BEGINNINGS else "lost"
    name = f" ({printable(event.bundle)})" if event.bundle else ""
    cause = "" if event.cause == "apply" else f", {str(event.cause).replace('_', ' ')}"
    print(
        f"{event.sequence:>8}  {event.time} ms  {who}{name} {what} {','.join(values.names(event.mask))}{cause}",
        flush=options.follow,
    )


def _write_gap(missed: int, options: argparse.Namespace) -> None:
    if missed and options.json:
        put({"event": "gap", "missed": missed}, at_once=options.follow)
    elif missed:
        print(f"{missed} events are no longer there", flush=options.follow)


def _kind(text: str) -> EventKind:
    try:
        return EventKind(text.lower())
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(EventKind)}") from error
