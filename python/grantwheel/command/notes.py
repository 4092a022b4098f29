"""Where freezers keep their notes, as the commands have it."""

import argparse
import os
from pathlib import Path

from .failure import UsageError

_PLACE = Path("grantwheel") / "frozen"
WHERE = "default: /run/grantwheel/frozen for root, else grantwheel/frozen in XDG_RUNTIME_DIR"


def folder_of(options: argparse.Namespace) -> Path:
    """Return the folder that was given, or the one that there is for this user.

    Raises
    ------
    UsageError
        There is none.
    """
    if options.notes is not None:
        return Path(options.notes)
    if os.geteuid() == 0:
        return Path("/run") / _PLACE
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if not runtime:
        raise UsageError("there is no XDG_RUNTIME_DIR here for the notes: say where they are")
    return Path(runtime) / _PLACE
