"""Count what each call costs: instructions, simulated misses and mispredictions, whatever else the machine does.

    python benchmarks/instructions.py [--against [COMMIT|FOLDER]] [--only LAYER]... [--json FILE]
                                      [--publish] [--lines CALL]

Needs valgrind, CMake, a compiler and pybind11. With --against it builds another tree as well, a commit or a folder, and
without a name the last commit whose csrc/ is another; it prints the ratios, and fails when a figure has grown by more
than 3 % and benchmarks/instructions.toml does not say why. --lines builds with line numbers, and prints where the
instructions of one call are.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from counting import growth, page, trees
from counting.callgrind import RIVALS, Built, CountingError, Counts, build_tree, count, parts, runs_of
from grantbench.report.numbers import table

ALLOWED = Path("benchmarks") / "instructions.toml"

Figures = dict[str, Counts]


def count_all(every: Sequence[Built], only: Sequence[str], with_rivals: bool) -> list[Figures]:
    """Count all layers of all trees, as many runs at a time as there are cores.

    Raises
    ------
    CountingError
        A run has failed, or a layer is unknown.
    """
    for layer in only:
        if layer not in every[0].layers():
            raise CountingError(f"there is no layer {layer}; there are {', '.join(every[0].layers())}")
    runs = [
        (place, built, layers)
        for place, built in enumerate(every)
        for layers in runs_of(
            [layer for layer in built.layers() if (layer in only if only else with_rivals or layer not in RIVALS)]
        )
    ]
    runs.sort(key=lambda run: len(run[2]), reverse=True)  # the longest first
    figures: list[Figures] = [{} for _ in every]
    with ThreadPoolExecutor(max_workers=len(os.sched_getaffinity(0))) as pool:
        found = pool.map(lambda run: count(run[1], run[2])[1], runs)
        for (place, _, _), counts in zip(runs, found, strict=True):
            figures[place] |= counts
    return figures


def rows(now: Figures, before: Mapping[str, Counts]) -> list[list[str]]:
    """Return the lines of the table: the figures of each call, and how many times those before they are."""

    def cell(new: float, old: float | None, digits: int) -> str:
        number = f"{new:,.{digits}f}"
        return number if old is None else f"{number} ({new / old:.3f})" if old > 0.005 else f"{number} (-)"

    found = []
    for call, counts in sorted(now.items()):
        old: Sequence[float | None] = before.get(call, (None, None, None, None))
        found.append(
            [call, *(cell(new, was, digits) for new, was, digits in zip(counts, old, (0, 2, 2, 2), strict=True))]
        )
    return found


def print_lines(tree: trees.Tree, call: str) -> None:
    """Build with line numbers, and print the functions and the lines of a call as callgrind_annotate has them."""
    annotate = shutil.which("callgrind_annotate")
    if annotate is None:
        raise CountingError("there is no callgrind_annotate")
    layer = call.partition(".")[0]
    out, _ = count(build_tree(tree, [layer], with_lines=True), [layer], ["--dump-line=yes"])
    for file, name, _ in parts(out):
        if name == call:
            for inclusive in ("yes", "no"):
                subprocess.run([annotate, f"--inclusive={inclusive}", "--show=Ir", "--auto=yes", file], check=True)
            return
    raise CountingError(f"there is no call {call}")


def judge(every: Sequence[trees.Tree], figures: Sequence[Figures]) -> int:
    """Say what of the first tree has grown since the second; return the exit status."""
    allowed = growth.of_this_change(*(growth.read(tree.source / ALLOWED) for tree in every))
    forbidden, permitted = growth.found(figures[0], figures[1], allowed)
    for one in permitted:
        print(f"allowed: {one}")
    for one in forbidden:
        print(f"grown: {one}")
    print(f"compared with {every[1].name}: {len(forbidden)} figures have grown, and {ALLOWED} does not say why")
    return 1 if forbidden else 0


def write_json(path: Path, every: Sequence[trees.Tree], figures: Sequence[Figures]) -> None:
    """Write the figures of each call, by tree."""
    named = {
        tree.name: {call: counts._asdict() for call, counts in found.items()}
        for tree, found in zip(every, figures, strict=True)
    }
    path.write_text(json.dumps(named, indent=2) + "\n", encoding="utf-8")


def run(options: argparse.Namespace) -> int:
    """Carry out the command; return the exit status."""
    others = [] if options.against is None else [trees.other(options.against, options.out)]
    every = [trees.of_folder(trees.ROOT, trees.NOW, options.out), *others]
    if options.lines is not None:
        print_lines(every[0], options.lines)
        return 0
    figures = count_all([build_tree(tree, options.only) for tree in every], options.only, with_rivals=len(every) == 1)
    before = figures[1] if len(figures) > 1 else {}
    print(table(["a call of", "instructions", "D1 misses", "LL misses", "mispredictions"], rows(figures[0], before)))
    if options.publish:
        page.publish(figures[0])
    if options.json is not None:
        write_json(options.json, every, figures)
    return judge(every, figures) if len(every) > 1 else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--against", nargs="?", const="", metavar="TREE", help="count another tree too: a commit or a folder"
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="LAYER", help="count that layer; may be repeated"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
    parser.add_argument("--publish", action="store_true", help="rewrite the counts in docs/performance.md too")
    parser.add_argument(
        "--lines", metavar="CALL", help="show where the instructions of a call such as engine.renew are"
    )
    parser.add_argument("--out", type=Path, default=trees.ROOT / "build" / "instructions", metavar="DIR")
    options = parser.parse_args(arguments)
    options.out = options.out.resolve()
    try:
        return run(options)
    except trees.NoHistoryError as error:
        print(f"skipped: {error}")
        return 0
    except (CountingError, ValueError, trees.NoTreeError) as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
