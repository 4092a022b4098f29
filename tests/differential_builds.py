"""The long differential run in two builds, Debug with assertions and Release, which must give the same result hash.

    python tests/differential_builds.py --ops 2e6 [--seed 1] [--jobs 2] [--folder build/differential]

Release runs with so many jobs, Debug with one more: neither the build nor the number of threads may matter. Needs what
the tests in C++ need (CMake, Ninja, a compiler, boost-headers).
"""

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import boost_headers

ROOT = Path(__file__).resolve().parent.parent
BUILDS = {
    "Release": ("-DGRANTWHEEL_LTO=ON",),
    "Debug": ("-DCMAKE_CXX_FLAGS_DEBUG=-g -O1 -D_GLIBCXX_ASSERTIONS",),
}


def build(folder: Path, kind: str) -> Path:
    """Build the run of one kind; answer the program."""
    configure = ["cmake", "-S", str(ROOT), "-B", str(folder), "-G", "Ninja", f"-DCMAKE_BUILD_TYPE={kind}"]
    configure += ["-DGRANTWHEEL_TESTS=ON", "-DGRANTWHEEL_WERROR=ON", *BUILDS[kind]]
    configure.append(f"-DGRANTWHEEL_BOOST_INCLUDE_DIR={boost_headers.get_include()}")
    subprocess.run(configure, stdout=subprocess.DEVNULL, check=True)
    subprocess.run(
        ["cmake", "--build", str(folder), "--target", "grantwheel_differential"], stdout=subprocess.DEVNULL, check=True
    )
    return folder / "tests" / "cpp" / "grantwheel_differential"


def run(program: Path, arguments: Sequence[str]) -> str | None:
    """Run it, with its lines passed on; answer the result hash, or None when it has found a difference."""
    found = None
    with subprocess.Popen([program, *arguments], stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            if match := re.fullmatch(r"result hash ([0-9a-f]{16})\n", line):
                found = match[1]
    return found if process.returncode == 0 else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; answer the exit status."""
    parser = argparse.ArgumentParser(description="The long differential run in two builds.")
    parser.add_argument("--ops", default="2e6", help="in total, of each build")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "differential")
    options = parser.parse_args(arguments)
    hashes = []
    for more_jobs, kind in enumerate(BUILDS):
        program = build(options.folder / kind.lower(), kind)
        print(f"{kind}:", flush=True)
        started = time.monotonic()
        hashes.append(
            run(program, ["--ops", options.ops, "--seed", options.seed, "--jobs", str(options.jobs + more_jobs)])
        )
        print(f"{kind}: {time.monotonic() - started:.1f} s", flush=True)
    if None in hashes:
        return 1
    if len(set(hashes)) != 1:
        print("the builds do not agree")
        return 1
    print("the builds agree")
    return 0


if __name__ == "__main__":
    sys.exit(main())
