"""The command ``grantwheel``.

``grantwheel`` alone prints its help. Exit codes of all its commands: 0 done, 2 wrong usage, 128 + n ended by signal n
(130 for Ctrl-C), 141 nobody reads the output. What 1 and others say is said by each.
"""

import argparse
import contextlib
import errno
import importlib
import io
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from grantwheel import __version__
from grantwheel._text import printable

from .failure import CommandError, UsageError

_DONE, _INTERRUPTED, _UNREAD = 0, 130, 141

# What there is, and what each is for. The module of the same name has a function `fill` that gives the command its
# arguments. Only the one that is asked for is imported: the help has to be there at once.
_COMMANDS = {
    "serve": "keep this machine's grants for its processes",
    "hold": "hold types while a command runs",
    "suspend": "run a command that is suspended whenever nothing keeps it up",
    "thaw": "continue what a crash has left frozen",
    "list": "who holds what, why, and for how much longer",
    "events": "what happens, as it happens",
    "apply": "get types for a time",
    "release": "give types back",
    "journal": "look into a journal: is it sound, what was done, who held what",
    "demo": "see what a grant does: three processes run, are frozen, and go on",
}
# How a write fails. What else goes wrong with files is said by the command that reads them.
_OF_WRITING = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF, errno.EAGAIN, errno.EINVAL}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    _fill_standard_descriptors()
    given = sys.argv[1:] if arguments is None else arguments
    parser = _parser(next((word for word in given if not word.startswith("-")), None))
    options = parser.parse_args(given)
    if options.command is None:  # who asks for nothing is told what there is
        parser.print_help()
        return _DONE
    if sys.stdout is None:  # it was closed before Python began
        return _fail(options, "there is no standard output to write to", options.failed)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show is no error
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except UsageError as error:
        parser.error(str(error))
    except CommandError as failure:
        return _fail(options, str(failure), failure.code)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        _drop_output()
        return _UNREAD
    except OSError as error:
        _drop_output()
        is_ours = error.errno in _OF_WRITING and error.filename is None
        return _fail(options, f"the output cannot be written: {error}" if is_ours else str(error), options.failed)
    return code


def _fail(options: argparse.Namespace, why: str, code: int) -> int:
    if sys.stderr is not None:
        with contextlib.suppress(OSError):  # where the terminal is gone, so is this way out
            print(f"grantwheel {options.title}: {printable(why)}", file=sys.stderr)
    return code


def _fill_standard_descriptors() -> None:
    """Let nothing that is opened from now on get the number of a standard stream that was closed, and its output."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one


def _drop_output() -> None:
    """Let what is left in the buffer go nowhere, so that the interpreter's own flush at exit stays quiet too."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Exit with code 2; arguments that the message names cannot steer the terminal."""
        super().error(printable(message))


def _parser(chosen: str | None) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="grantwheel", description="Time-bounded grants of typed resources: who may use what, until when."
    )
    parser.add_argument("--version", action="version", version=f"grantwheel {__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND")
    for name, what in _COMMANDS.items():
        command = commands.add_parser(name, help=what, formatter_class=argparse.RawDescriptionHelpFormatter)
        if name == chosen:
            importlib.import_module(f"{__name__}.{name}").fill(command)
    return parser
