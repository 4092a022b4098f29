"""What the installed package offers to the authors of other extensions: headers, libraries and a CMake package."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pybind11
import pytest

import grantwheel

TESTS = Path(__file__).resolve().parent
# The tools that were installed with the tests come first.
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])

# Both engines live in one process: that of the other module, and the package's own.
USE = """\
import grantwheel, meter
own = grantwheel.Manager(clock=grantwheel.ManualClock())
own.apply(7, 0, grantwheel.ResourceType.GPS, 10)
other = meter.Meter()
other.pay(7, 1000, 5)
assert other.may_stay(7, 1004) and not other.may_stay(7, 1005)
assert own.app_mask(7) == grantwheel.ResourceType.GPS
try:
    other.pay(7, 0, 5)
except ValueError as error:
    print(error)
"""

needs_compiler = pytest.mark.skipif(
    not any(shutil.which(name) for name in filter(None, (os.environ.get("CXX"), "c++", "g++", "clang++"))),
    reason="there is no C++ compiler",
)


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, "PATH": PATH, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_folders_are_those_of_the_package() -> None:
    assert (Path(grantwheel.get_include()) / "grantwheel" / "manager.hpp").is_file()
    assert (Path(grantwheel.get_cmake_dir()) / "grantwheelConfig.cmake").is_file()


@needs_compiler
@pytest.mark.long
def test_an_extension_of_another_package_builds_and_runs(tmp_path: Path) -> None:
    found = [f"-DPython_EXECUTABLE={sys.executable}", f"-Dpybind11_DIR={pybind11.get_cmake_dir()}"]
    run("cmake", "-S", TESTS / "extension", "-B", tmp_path, "-G", "Ninja", *found, cwd=tmp_path)
    run("cmake", "--build", tmp_path, cwd=tmp_path)
    path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    said = run(sys.executable, "-W", "error", "-c", USE, cwd=tmp_path, PYTHONPATH=path)
    assert said.startswith("mask must be within")


@needs_compiler
@pytest.mark.long
def test_hosts_in_c_and_cpp_build_and_run(tmp_path: Path) -> None:
    package = f"-Dgrantwheel_DIR={grantwheel.get_cmake_dir()}"
    run("cmake", "-S", TESTS / "consumer", "-B", tmp_path, "-G", "Ninja", package, cwd=tmp_path)
    run("cmake", "--build", tmp_path, cwd=tmp_path)
    for name in ("consumer", "consumer_capi_c", "consumer_capi_cpp"):
        assert run(tmp_path / name, cwd=tmp_path).endswith(": granted and expired\n")


def test_the_static_library_is_for_every_compiler() -> None:
    # With LTO inside only the compiler that made it could read it.
    archive = Path(grantwheel.get_cmake_dir()).parent.parent / "libgrantwheel_core.a"
    sections = run("readelf", "--section-headers", "--wide", archive, cwd=archive.parent)
    assert ".text" in sections
    assert ".gnu.lto_" not in sections
