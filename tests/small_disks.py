"""Disks that are soon full: file systems of their own, for tests that may mount some."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def small_disk(folder: Path, kib: int, kind: str = "tmpfs", block: int = 4096) -> Iterator[Path]:
    """Have a file system of a size for the time of a block: in memory, or of ext4 in a file. Skips where that can't be.

    Parameters
    ----------
    folder : Path
        Where it is to be; it is made.
    kib : int
        Its size in KiB.
    kind : str
        ``"tmpfs"`` or ``"ext4"``.
    block : int
        The size of a block of ext4 in bytes.
    """
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={kib}k", "tmpfs"]
    if kind == "ext4":
        image = folder.with_suffix(".image")
        with image.open("wb") as file:
            file.truncate(kib << 10)
        do("mkfs.ext4", "-q", "-m", "0", "-b", str(block), str(image))
        options = ["-o", "loop", str(image)]
    do("mount", *options, str(folder))
    try:
        yield folder
    finally:
        if subprocess.run(["umount", str(folder)], check=False).returncode:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
            raise AssertionError(f"somebody still uses {folder}")


def do(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip(f"there is no {command[0]} here")
    if done.returncode:
        pytest.skip(f"a file system can't be mounted here: {done.stderr.strip()}")


def fill(disk: Path, *, leave: int = 0) -> Path:
    """Take all the room of a disk but for some bytes, by one file, which is returned."""
    filler = disk / "filler"
    for size in (1 << 16, 1 << 12, 1):
        with filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"x" * size)
    with filler.open("r+b") as file:
        file.truncate(filler.stat().st_size - leave)
        os.fsync(file.fileno())  # what is freed may be used from then on
    return filler
