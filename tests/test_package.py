"""What people install: the wheel, the source distribution, an editable install, and one version in all places.

All of it is built from one source distribution in one build directory, so that every source is compiled once.
"""

import importlib.metadata
import importlib.resources
import json
import os
import re
import shlex
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest

import grantwheel
from grantwheel import _core

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "python" / "grantwheel"

# The tools that were installed with the tests come first. The rest of the environment, such as a PYTHONPATH, is not to
# help what was installed elsewhere.
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
ENVIRONMENT = {**{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}, "PATH": PATH}

# Debug: the contents are what is tested here.
SETTINGS = {"cmake.build-type": "Debug", "build-dir": "build/editable"}
BUILD = """\
import json, sys
from scikit_build_core import build
print("built:" + getattr(build, sys.argv[1])(sys.argv[2], json.loads(sys.argv[3])))
"""

# A grant and its end; the last line says where the package is.
USE = """\
import grantwheel
clock = grantwheel.ManualClock()
gps = grantwheel.ResourceType.GPS
manager = grantwheel.Manager(clock=clock)
manager.apply(1000, 42, gps, 30_000)
assert manager.holders(gps) == ([1000], [])
clock.advance(30_000)
assert manager.advance() == 1
assert [event.kind for event in manager.drain()] == ["app_apply", "app_reset"]
manager.validate()
try:
    manager.apply(1000, 42, 1, 1, cpu_level=5)
except grantwheel.BusinessError as error:
    print(error)
print(grantwheel.__file__)
"""


def version() -> str:
    header = (ROOT / "csrc" / "include" / "grantwheel" / "version.h").read_text(encoding="utf-8")
    (found,) = re.findall(r'#define GRANTWHEEL_VERSION "(.*)"', header)
    return str(found)


def run(*command: str | Path, cwd: Path, environment: dict[str, str] = ENVIRONMENT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def output(*command: str | Path, cwd: Path) -> str:
    """Run a command that has to succeed."""
    done = run(*command, cwd=cwd)
    assert done.returncode == 0, done.stdout
    return done.stdout


def build(what: str, source: Path, target: Path, **settings: str) -> Path:
    # As the tests themselves were started: a PYTHONPATH may be what leads to the build backend.
    arguments = (what, str(target), json.dumps({**SETTINGS, **settings}))
    done = run(sys.executable, "-c", BUILD, *arguments, cwd=source, environment={**os.environ, "PATH": PATH})
    assert done.returncode == 0, done.stdout
    (name,) = re.findall(r"^built:(.*)$", done.stdout, re.MULTILINE)
    return target / str(name)


class Environment(NamedTuple):
    """A virtual environment of its own, without pip: that of the tests installs into it."""

    folder: Path

    def command(self, name: str) -> Path:
        return self.folder / "bin" / name

    def pip(self, *arguments: str | Path, cwd: Path) -> None:
        python = self.command("python")
        output(sys.executable, "-m", "pip", "--python", python, *arguments, "-q", "--no-index", cwd=cwd)


def make_environment(folder: Path) -> Environment:
    output(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    return Environment(folder)


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("build_sdist", ROOT, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def unpacked(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # early 3.11 has none
        archive.extractall(folder)
    return folder / f"grantwheel-{version()}"


@pytest.fixture(scope="module")
def wheel(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("build_wheel", unpacked, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the wheel and nothing else."""
    environment = make_environment(tmp_path_factory.mktemp("installed"))
    environment.pip("install", "--no-deps", wheel, cwd=wheel.parent)
    return environment


def test_the_version_is_one() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", version())
    assert grantwheel.__version__ == version()
    assert _core.__version__ == version()
    assert importlib.metadata.version("grantwheel") == version()
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## {re.escape(version())}\b", changelog, re.MULTILINE)


def test_the_installed_package_is_typed_and_needs_nothing() -> None:
    files = importlib.resources.files("grantwheel")
    assert (files / "py.typed").is_file()
    assert (files / "_core.pyi").is_file()
    required = importlib.metadata.requires("grantwheel") or []
    assert [name for name in required if "extra ==" not in name] == []


@pytest.mark.long
def test_the_sdist_has_the_sources_and_nothing_made(sdist: Path) -> None:
    assert sdist.name == f"grantwheel-{version()}.tar.gz"
    with tarfile.open(sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}
    for needed in (
        ".ci/run",
        ".github/workflows/release.yml",
        "CMakeLists.txt",
        "CMakePresets.json",
        "LICENSE",
        "README.md",
        "cmake/grantwheelConfig.cmake.in",
        "csrc/CMakeLists.txt",
        "csrc/bindings/exports.map",
        "csrc/include/grantwheel/version.h",
        "pyproject.toml",
        "python/grantwheel/py.typed",
        "tests/cpp/CMakeLists.txt",
        "tests/test_package.py",
    ):
        assert needed in names
    made = re.compile(r"(^|/)(build|dist|wheelhouse|\.venv[^/]*|__pycache__)/|\.(so|pyc|o|a|whl)$")
    assert [name for name in names if made.search(name)] == []


@pytest.mark.long
def test_the_wheel_from_the_sdist_is_the_package(wheel: Path) -> None:
    assert wheel.name.startswith(f"grantwheel-{version()}-cp3")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
        (metadata,) = (archive.read(name).decode() for name in names if name.endswith(".dist-info/METADATA"))
    assert f"\nVersion: {version()}\n" in metadata
    assert "\nLicense-Expression: MIT\n" in metadata

    # The extension and every file of the package; what hosts in C and C++ need lies in folders of its own.
    own = {name for name in names if not re.match(r"grantwheel-[^/]*\.dist-info/|grantwheel/(include|lib)/", name)}
    (extension,) = (name for name in own if name.endswith(".so"))
    assert re.fullmatch(r"grantwheel/_core\..*\.so", extension)
    package = {
        f"grantwheel/{path.relative_to(PACKAGE).as_posix()}"
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".so"
    }
    assert own - {extension} == package
    assert "grantwheel/py.typed" in own


@pytest.mark.long
def test_the_installed_wheel_works_elsewhere(installed: Environment, tmp_path: Path) -> None:
    lines = output(installed.command("python"), "-W", "error", "-c", USE, cwd=tmp_path).splitlines()
    assert Path(lines[-1]).is_relative_to(installed.folder)


@pytest.mark.long
def test_the_installed_command_works_elsewhere(installed: Environment, tmp_path: Path) -> None:
    command = installed.command("grantwheel")
    assert output(command, "--version", cwd=tmp_path) == f"grantwheel {version()}\n"
    # Real seconds: the demo starts processes of its own, by a file of the package.
    assert "from where it stood" in output(command, "demo", "--seconds", "4", cwd=tmp_path)


def exported(library: Path) -> list[str]:
    """The names that a shared library defines for others."""
    return [line.split()[-1] for line in output("nm", "-D", "--defined-only", library, cwd=library.parent).splitlines()]


@pytest.mark.long
def test_the_extension_exports_its_init_function_alone(wheel: Path, tmp_path: Path) -> None:
    # The one that runs these tests too: optimised code has other inline functions left than that of Debug.
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.startswith("grantwheel/_core.") and name.endswith(".so"))
        built = Path(archive.extract(name, tmp_path))
    assert exported(built) == ["PyInit__core"]
    assert exported(Path(_core.__file__)) == ["PyInit__core"]


@pytest.mark.long
def test_a_wheel_without_the_extension_does_not_build(unpacked: Path, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="A wheel needs GRANTWHEEL_PYTHON=ON"):
        build("build_wheel", unpacked, tmp_path, **{"cmake.define.GRANTWHEEL_PYTHON": "OFF", "build-dir": "build/off"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_a_wheel_for_free_threading_builds_and_works(unpacked: Path, tmp_path: Path) -> None:
    # The option of docs/how-it-works.md. Where there is a GIL it only has to do no harm.
    settings = {"cmake.define.GRANTWHEEL_FREE_THREADED": "ON", "build-dir": "build/free"}
    wheel = build("build_wheel", unpacked, tmp_path, **settings)
    compiled = (unpacked / "build" / "free" / "build.ninja").read_text(encoding="utf-8")
    assert "-DGRANTWHEEL_FREE_THREADED=1" in compiled
    assert "-DGRANTWHEEL_FREE_THREADED=0" not in compiled
    environment = make_environment(tmp_path)
    environment.pip("install", wheel, cwd=tmp_path)
    told = "import sys, grantwheel; print(getattr(sys, '_is_gil_enabled', lambda: None)())"
    expected = False if sysconfig.get_config_var("Py_GIL_DISABLED") else getattr(sys, "_is_gil_enabled", lambda: None)()
    assert output(environment.command("python"), "-c", told, cwd=tmp_path).strip() == str(expected)


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.long
def test_an_editable_install_follows_changes(wheel: Path, unpacked: Path, tmp_path: Path) -> None:
    # The command of CONTRIBUTING.md, in the directory that the wheel was built in.
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^\| a Python install that follows .* \| `pip (.*)` \|$", contributing, re.MULTILINE)
    environment = make_environment(tmp_path)
    # What builds comes from the environment of the tests: nothing is downloaded.
    site = sysconfig.get_path("purelib", vars={"base": str(tmp_path)})
    (Path(site) / "tools.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    environment.pip(*shlex.split(command), "--ignore-installed", cwd=unpacked)

    def use() -> list[str]:
        return output(environment.command("python"), "-c", USE, cwd=tmp_path).splitlines()

    package = unpacked / "python" / "grantwheel"
    *_, message, file = use()
    assert Path(file) == package / "__init__.py"
    assert message.startswith("[18700001] Caller information verification failed")
    replace(unpacked / "csrc" / "core" / "status.cpp", "return text;", 'return text " Changed in C++.";')
    with (package / "__init__.py").open("a", encoding="utf-8") as init:
        init.write("print('changed in Python')\n")
    lines = use()
    assert lines[-2] == message.removesuffix(")") + " Changed in C++.)"
    assert "changed in Python" in lines
