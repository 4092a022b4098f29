"""``grantwheel thaw``: what a crash has left frozen goes on."""

import argparse

from grantwheel._text import printable
from grantwheel.suspend import FreezeError, thaw_left

from .connected import add_json, put, say
from .failure import CommandError
from .notes import WHERE, folder_of

_DONE, _FAILED = 0, 1

_ABOUT = """\
Continues what freezers have left frozen when their process ended before it could
do so: processes that were stopped, cgroups that were frozen. That is what the
next start does as well; this is for those who do not start again, such as

    ExecStopPost=grantwheel thaw /run/app/frozen

What freezers that still run have frozen is left alone, and so is what others have
stopped."""

_MEANING = """\
the object of --json:
  uids        list of the apps of which something was thawed
  gone        how many processes and cgroups are not there any more
  in_use      how many freezers with notes here still run
  failures    list of texts: what could not be thawed
  damage      list of texts: what of the notes could not be read

exit codes:
  0 nothing is left frozen, 1 something could not be thawed or read, 2 wrong usage"""


def fill(command: argparse.ArgumentParser) -> None:
    """Give the command its arguments."""
    command.description, command.epilog = _ABOUT, _MEANING
    command.set_defaults(run=_run, title="thaw", failed=_FAILED)
    command.add_argument("notes", nargs="?", metavar="DIR", help=f"where the freezers keep their notes ({WHERE})")
    add_json(command)


def _run(options: argparse.Namespace) -> int:
    folder = folder_of(options)
    _be_quiet()
    try:
        done = thaw_left(folder)
    except FreezeError as error:
        raise CommandError(str(error.strerror), _FAILED) from error
    except OSError as error:
        raise CommandError(f"the notes cannot be read: {error}", _FAILED) from error
    if options.json:
        put({name: list(value) if isinstance(value, tuple) else value for name, value in done._asdict().items()})
    else:
        for uid in done.uids:
            print(f"app {uid} was thawed")
        if not done.uids:
            print("nothing was left frozen")
    if done.in_use and not options.json:
        say(options, f"left alone, as they still run: {done.in_use} freezers")
    for text in (*done.failures, *done.damage):
        say(options, printable(text))
    return _FAILED if done.failures or done.damage else _DONE


def _be_quiet() -> None:
    """Let nothing be said twice: what the log has is in the output."""
    import logging

    logging.getLogger("grantwheel").addHandler(logging.NullHandler())
