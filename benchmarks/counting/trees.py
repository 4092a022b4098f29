"""The trees that are compared: this one as it is now, and that of a commit, each in a folder of its own.

A folder has a copy of what is built, and paths of the same length as any other, as these are part of what a program
finds in its memory.
"""

import io
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent
NOW = "working-tree"
OTHER = "other-folder"  # as long, and so is the name that a commit gets

# What there is to build, and what counts what was built.
_BUILT = ("CMakeLists.txt", "cmake", "csrc", "python")
_COUNTING = "benchmarks"


class NoTreeError(Exception):
    """There is no such tree; the text says why."""


class NoHistoryError(NoTreeError):
    """Nobody has named a tree, and there is no commit to compare with."""


class Tree(NamedTuple):
    """A copy of a tree, and the folder in which it is, and is built."""

    name: str
    folder: Path

    @property
    def source(self) -> Path:
        """Where the copy is."""
        return self.folder / "tree"


def _git(*arguments: str) -> bytes:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=False)
    if done.returncode != 0:
        raise NoTreeError(f"git {arguments[0]}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def _line(*arguments: str) -> str:
    return _git(*arguments).decode().strip()


def of_folder(source: Path, name: str, out: Path) -> Tree:
    """Copy what is built of a tree. Files keep their times, so that only what has changed is built again.

    Raises
    ------
    NoTreeError
        The folder has no such tree.
    """
    tree = Tree(name, out / name)
    if not (source / _BUILT[0]).is_file():
        raise NoTreeError(f"{source} has no {_BUILT[0]}")
    shutil.rmtree(tree.source, ignore_errors=True)
    for part in (*_BUILT, _COUNTING):
        if (source / part).is_dir():
            shutil.copytree(
                source / part, tree.source / part, ignore=shutil.ignore_patterns("_core*.so", "__pycache__")
            )
        elif (source / part).is_file():
            tree.source.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / part, tree.source / part)
    return tree


def of_commit(commit: str, out: Path) -> Tree:
    """Take the tree of a commit out of the history.

    Raises
    ------
    NoTreeError
        There is no such commit.
    """
    name = _line("rev-parse", "--verify", "--end-of-options", f"{commit}^{{commit}}")[: len(NOW)]
    tree = Tree(name, out / name)
    if not tree.source.is_dir():
        archive = _git("archive", name, *_BUILT, _COUNTING)
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(tree.source, filter="data")
    return tree


def before() -> str:
    """Return the last commit whose csrc/ is not that of this tree, along the first parents.

    Raises
    ------
    NoHistoryError
        There is none, or no history that goes back so far.
    """
    try:
        if _line("status", "--porcelain", "--", "csrc"):
            return "HEAD"
        own = _line("rev-parse", "HEAD:csrc")
        for commit in _line("rev-list", "--first-parent", "HEAD").split():
            if _line("rev-parse", f"{commit}:csrc") != own:
                return commit
        is_shallow = _line("rev-parse", "--is-shallow-repository") == "true"
    except NoTreeError as error:
        raise NoHistoryError(f"there is no history ({error})") from None
    raise NoHistoryError(f"no commit of this {'shallow ' if is_shallow else ''}history has another csrc/")


def other(named: str, out: Path) -> Tree:
    """Return the tree of a folder, of a commit, or, without a name, of what was there before.

    Raises
    ------
    NoTreeError
        There is none.
    """
    if named and Path(named).is_dir():
        return of_folder(Path(named), OTHER, out)
    return of_commit(named or before(), out)
