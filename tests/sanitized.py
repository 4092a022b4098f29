"""The Python tests with the extension and the C library built with sanitizers.

    python tests/sanitized.py address [ARGUMENTS OF PYTEST]
    python tests/sanitized.py thread [ARGUMENTS OF PYTEST]
    python tests/sanitized.py host

needs g++ and what the extra `test` installs. Python itself stays as it is: the runtime of the sanitizer is loaded
before it. The build, in `build/sanitized`, is kept, so that the next run builds only what has changed.

* address: the tests of what is compiled; memory, undefined behaviour, and leaks, looked for once at the end.
* thread: the tests in which several threads meet.
* host: no tests, but the example of a host with several threads, under the same sanitizer.

Paths of tests among the arguments replace this choice. The first error ends the process in which it is, be it one that
a test has started. All reports are printed at the end, and then the run has failed, whatever the tests say.
"""

import atexit
import ctypes
import gc
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests"

# These are about other builds than the one under the sanitizer: they compile, install or package grantwheel anew.
OTHER_BUILDS = ("benchmarks", "cpp", "durable_host", "examples", "extension_authors", "package", "packaging_release")

# These run Python above the module, which the others put to use in every way, or do much of the same: names begin so.
ABOVE = (
    "cli", "client", "command", "continuous", "demo", "docs", "durable", "examples", "freezers",
    "hold_interrupts", "import", "instructions", "journal", "mutants", "policy_file", "processes", "progress",
    "protocol", "real_clients", "rooms", "serve", "service", "state_machine", "stub", "suspension", "task", "testing",
    "text", "transient",
)  # fmt: skip

# Those in which threads meet; in all others there is one thread, which has nobody to race with.
THREADED = (
    "aio", "batches", "callbacks", "capi_threads", "clocks", "delivery", "hold", "hold_alive", "hold_lost", "hooks",
    "host_safety", "keeping", "log", "log_batch", "log_failures", "loop", "metrics", "open", "processes", "reading",
    "running", "slices", "storm", "subscriptions", "threads",
)  # fmt: skip

SANITIZERS = {"address": "address,undefined", "thread": "thread"}

OPTIONS = {
    # Tests ask for more memory than there is. Leaks are looked for by this module, not when a process ends: compilers
    # and other tools leak, and Python ends without clearing up.
    "ASAN_OPTIONS": "allocator_may_return_null=1:detect_leaks=1:leak_check_at_exit=0",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    # Tests fork while other threads are at work, which is allowed as long as the child does little.
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1:die_after_fork=0:history_size=4:print_suppressions=0"
    f":suppressions={TESTS / 'tsan_suppressions.txt'}",
}
ADDR_NO_RANDOMIZE = 0x0040000
# ThreadSanitizer of GCC 12 now and then asks for a negative amount of memory, where threads start or map memory at
# once, and ends the process. Such a run has found nothing out.
CANNOT_GO_ON = "ThreadSanitizer failed to allocate"
ATTEMPTS = 3


def build(sanitizer: str) -> Path:
    """The folder of a package that is built with a sanitizer."""
    folder = ROOT / "build" / "sanitized" / sanitizer
    defines = {
        "CMAKE_CXX_FLAGS_DEBUG": "-O1 -g1",
        "GRANTWHEEL_LTO": "OFF",
        "GRANTWHEEL_SANITIZE": SANITIZERS[sanitizer],
    }
    settings = [f"-Ccmake.define.{name}={value}" for name, value in defines.items()]
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-build-isolation", "--no-deps", "--upgrade"]
    target = ["--target", str(folder / "package"), f"-Cbuild-dir={folder}", "-Ccmake.build-type=Debug"]
    tools = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    subprocess.run([*pip, *target, *settings, str(ROOT)], check=True, env={**os.environ, "CXX": "g++", "PATH": tools})
    return folder / "package"


def library(name: str) -> str:
    """The path of a library that belongs to the compiler."""
    found = subprocess.run(["g++", f"-print-file-name={name}"], capture_output=True, text=True, check=True)
    path = Path(found.stdout.strip())
    if not path.is_absolute():
        sys.exit(f"g++ has no {name}")
    return str(path.resolve())


def environment(sanitizer: str, package: Path, reports: Path) -> dict[str, str]:
    """The environment in which Python runs under a sanitizer that writes its reports into a folder."""
    runtime = "libasan.so" if sanitizer == "address" else "libtsan.so"
    changed = dict(os.environ)
    for name, value in OPTIONS.items():
        changed[name] = f"{value}:{os.environ[name]}" if name in os.environ else value
        # Not to stderr, which pytest keeps to itself.
        changed[name] += f":log_path={reports / name}"
    # Python's own memory comes from malloc, so that every object is a block that is watched.
    changed["PYTHONMALLOC"] = "malloc"
    # Without libstdc++ the runtime would not find what it has to intercept of exceptions when it starts.
    changed["LD_PRELOAD"] = f"{library(runtime)}:{library('libstdc++.so')}"
    changed["PYTHONPATH"] = os.pathsep.join([str(package), str(TESTS)])
    return changed


def pytest_configure(config: pytest.Config) -> None:
    """Choose the tests, if no paths were given: this file is a plugin of the run too."""
    import grantwheel._core

    if ROOT / "build" / "sanitized" not in Path(grantwheel._core.__file__ or "").parents:
        pytest.exit(f"{grantwheel._core.__file__} is in the way, as an editable install would be", 4)
    runtime = ctypes.CDLL(None)
    if config.args_source != config.ArgsSource.ARGS:
        every = {path.stem.removeprefix("test_") for path in TESTS.glob("test_*.py")}
        compiled = {name for name in every.difference(OTHER_BUILDS) if not name.startswith(ABOVE)}
        chosen = THREADED if hasattr(runtime, "__tsan_init") else compiled
        config.args[:] = [str(TESTS / f"test_{name}.py") for name in sorted(chosen)]
    if hasattr(runtime, "__lsan_do_recoverable_leak_check"):
        atexit.register(look_for_leaks, runtime)


def look_for_leaks(runtime: ctypes.CDLL) -> None:
    """Report the memory that nothing refers to any more.

    While Python is whole, and as one of the last things: what only a running function refers to would not be seen.
    """
    gc.collect()
    runtime.__lsan_do_recoverable_leak_check()


def run(sanitizer: str, given: list[str]) -> int:
    """Build, run the tests and print the reports. Returns an exit code."""
    package = build(sanitizer)
    # Where addresses are too random the runtimes do not start. Where this is not allowed, they are left as they are.
    ctypes.CDLL(None).personality(ADDR_NO_RANDOMIZE)
    command = [sys.executable, "-m", "pytest", "-p", "sanitized", "-p", "no:cacheprovider"]
    for _ in range(ATTEMPTS):
        with tempfile.TemporaryDirectory() as folder:
            settings = environment(sanitizer, package, Path(folder))
            done = subprocess.run([*command, *given], cwd=ROOT, env=settings, check=False)
            reports = [path.read_text(errors="replace") for path in sorted(Path(folder).iterdir())]
        if not any(CANNOT_GO_ON in report for report in reports):
            break
        print("the sanitizer could not go on, and is started again:", *reports, sep="\n", flush=True)
    # Others are warnings, such as of an allocation that failed as a test had meant it to.
    errors = [report for report in reports if "SUMMARY: " in report]
    print(*errors, f"{len(errors)} processes with errors", sep="\n")
    return 1 if errors else done.returncode


def run_host() -> int:
    """Build the example of a host with several threads against the library with the sanitizer, and let it work."""
    package = build("thread") / "grantwheel"
    options = {**os.environ, "TSAN_OPTIONS": OPTIONS["TSAN_OPTIONS"]}
    with tempfile.TemporaryDirectory() as folder:
        host = Path(folder) / "sharded_host"
        flags = ["-std=c++20", "-O1", "-g1", "-fsanitize=thread", f"-I{package / 'include'}", "-o", str(host)]
        sources = [str(ROOT / "examples" / "sharded_host.cpp"), str(package / "lib" / "libgrantwheel_core.a")]
        subprocess.run(["g++", *flags, *sources], check=True)
        ctypes.CDLL(None).personality(ADDR_NO_RANDOMIZE)
        done = [subprocess.run([host, *arguments], env=options, check=False) for arguments in ([], ["20000", "1"])]
    return max(abs(one.returncode) for one in done)


def main() -> None:
    sanitizer, *given = sys.argv[1:] or [""]
    if sanitizer == "host" and not given:
        sys.exit(run_host())
    if sanitizer not in SANITIZERS:
        sys.exit(f"usage: {sys.argv[0]} {'|'.join(SANITIZERS)} [ARGUMENTS OF PYTEST], or: {sys.argv[0]} host")
    sys.exit(run(sanitizer, given))


if __name__ == "__main__":
    main()
