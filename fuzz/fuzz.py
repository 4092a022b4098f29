"""Builds the fuzz targets and runs all of them for a time: ``python fuzz/fuzz.py --seconds 30``.

Those in C++ are built with clang, libFuzzer, and the address and undefined-behaviour sanitizers, in ``build/fuzz``.
They, and ``connection_fuzz`` where there is atheris, start from ``fuzz/corpus`` and from what earlier runs have found,
which is kept in ``build/fuzz/corpus``; an input that fails is put into ``build/fuzz/found``. Needs the packages of the
extra ``test``; atheris is one of the extra ``dev``. The installed grantwheel is the one whose Python calls are tested.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FUZZ = ROOT / "fuzz"
BUILD = ROOT / "build" / "fuzz"
IN_CPP = ("log_fuzz", "manager_fuzz", "capi_fuzz")
IN_PYTHON = ("request_fuzz", "connection_fuzz")
NEWEST, OLDEST = 25, 13  # of the names clang++-N that are looked for


def find_clang() -> str:
    """The command of a clang that has libFuzzer; ends the program when there is none."""
    names = ["clang++", *(f"clang++-{number}" for number in range(NEWEST, OLDEST - 1, -1))]
    program = 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }'
    tried = [path for path in map(shutil.which, names) if path is not None]
    for path in tried:
        flags = ["-std=c++20", "-fsanitize=fuzzer,address,undefined", "-x", "c++", "-", "-o", os.devnull]
        if subprocess.run([path, *flags], input=program, text=True, capture_output=True, check=False).returncode == 0:
            return path
    told = f"None of these can build with libFuzzer: {', '.join(tried)}." if tried else "There is no clang++."
    sys.exit(f"{told}\nOn Debian: apt-get install clang-14 libclang-rt-14-dev. Elsewhere: clang with compiler-rt.")


def build() -> None:
    """Build the targets in C++."""
    clang = f"-DCMAKE_CXX_COMPILER={find_clang()}"
    for command in (["cmake", "--preset", "fuzz", clang], ["cmake", "--build", "--preset", "fuzz"]):
        done = subprocess.run(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if done.returncode != 0:
            sys.exit(f"{done.stdout}\n{' '.join(command)} failed")


def command_of(target: str, seconds: int) -> list[str]:
    """What runs a target for so long."""
    kept = BUILD / "corpus" / target
    kept.mkdir(parents=True, exist_ok=True)
    if target in IN_PYTHON:
        corpora = ["--corpus", str(kept), "--corpus", str(FUZZ / "corpus" / target)]
        has_corpus = target == "connection_fuzz"
        program = [sys.executable, str(FUZZ / f"{target}.py"), "--seconds", str(seconds)]
        return program + corpora * has_corpus
    return [
        str(BUILD / "fuzz" / target),
        f"-max_total_time={seconds}",
        "-max_len=600",
        "-len_control=10",
        "-timeout=20",
        "-print_final_stats=1",
        f"-artifact_prefix={BUILD / 'found' / target}-",
        str(kept),
        str(FUZZ / "corpus" / target),
    ]


def show(target: str, code: int, log: Path) -> None:
    """Say how a target ended."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    if code == 0:
        runs = [line for line in lines if line.startswith("Done ")]
        print(f"{target}: nothing found. {runs[-1] if runs else ''}")
        return
    print(*lines[-60:], sep="\n")
    print(f"{target}: FAILED with {code}, all of it in {log}")
    for line in lines:
        if "Test unit written to " in line:
            file = line.rpartition(" ")[2]
            program = f"python {FUZZ / target}.py" if target in IN_PYTHON else BUILD / "fuzz" / target
            print(f"  again: {program} {file}")


def main() -> int:
    """Build and run; 0 when nothing was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=int, default=30, help="how long each target runs (30)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many run at once (one per core)")
    parser.add_argument("--find-clang", action="store_true", help="only print the clang++ that would be used")
    parser.add_argument("targets", nargs="*", help=f"of {', '.join((*IN_CPP, *IN_PYTHON))}; all")
    options = parser.parse_args()
    if options.find_clang:
        print(find_clang())
        return 0
    targets = options.targets or [*IN_CPP, *IN_PYTHON]
    unknown = set(targets) - {*IN_CPP, *IN_PYTHON}
    if unknown:
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    if set(targets) & set(IN_CPP):
        build()
    (BUILD / "found").mkdir(parents=True, exist_ok=True)

    # The allocator's quarantine is small: the large blocks of each run would fill it, and take most of the time.
    environment = {"ASAN_OPTIONS": "quarantine_size_mb=16", "UBSAN_OPTIONS": "print_stacktrace=1", **os.environ}
    running: dict[str, subprocess.Popen[bytes]] = {}
    codes: dict[str, int] = {}
    while len(codes) < len(targets):
        for target in targets:
            if target not in running and len(running) - len(codes) < options.jobs:
                with (BUILD / f"{target}.log").open("wb") as log:
                    running[target] = subprocess.Popen(
                        command_of(target, options.seconds), stdout=log, stderr=subprocess.STDOUT, env=environment
                    )
        for target, process in running.items():
            if target not in codes and process.poll() is not None:
                codes[target] = process.returncode
                show(target, process.returncode, BUILD / f"{target}.log")
        time.sleep(0.1)
    return 1 if any(codes.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
