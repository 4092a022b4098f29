"""Builds with CMake."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path


class BuildError(Exception):
    """It does not build; the text is what the tools say about it."""


def tool(name: str) -> str | None:
    """Find a program, first beside the interpreter."""
    return shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)


def boost() -> list[str]:
    """Return the option that names Boost, if its headers are installed."""
    if find_spec("boost_headers") is None:
        return []
    import boost_headers

    return [f"-DGRANTWHEEL_BOOST_INCLUDE_DIR={boost_headers.get_include()}"]


def build(source: Path, folder: Path, options: Sequence[str] = (), targets: Sequence[str] = ()) -> None:
    """Build the targets of a project, or all, in a folder.

    Raises
    ------
    BuildError
        There is no CMake, or it does not build.
    """
    cmake, ninja = tool("cmake"), tool("ninja")
    if cmake is None:
        raise BuildError("there is no CMake")
    generator = ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}"] if ninja else []
    wanted = ["--target", *targets] if targets else []
    for command in (
        [cmake, "-S", str(source), "-B", str(folder), *generator, *boost(), *options],
        [cmake, "--build", str(folder), *wanted],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BuildError(f"it does not build\n{done.stdout}{done.stderr}")
