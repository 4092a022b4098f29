"""What people install: the wheel, the source distribution, and one version in all places."""

import importlib.metadata
import importlib.resources
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import grantwheel
from grantwheel import _core

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "python" / "grantwheel"

# Debug without LTO: the contents are what is tested here.
BUILD = """\
import sys
from scikit_build_core import build
settings = {"cmake.build-type": "Debug", "cmake.define.GRANTWHEEL_LTO": "OFF"}
print("built:" + getattr(build, sys.argv[1])(sys.argv[2], settings))
"""


def version() -> str:
    header = (ROOT / "csrc" / "include" / "grantwheel" / "version.h").read_text(encoding="utf-8")
    (found,) = re.findall(r'#define GRANTWHEEL_VERSION "(.*)"', header)
    return str(found)


def build(what: str, source: Path, target: Path) -> Path:
    done = subprocess.run(
        [sys.executable, "-c", BUILD, what, str(target)],
        cwd=source,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    (name,) = re.findall(r"^built:(.*)$", done.stdout, re.MULTILINE)
    return target / str(name)


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


def test_the_sdist_has_the_sources_and_nothing_made(sdist: Path, unpacked: Path) -> None:
    assert sdist.name == f"grantwheel-{version()}.tar.gz"
    names = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()}
    for needed in (
        "CMakeLists.txt",
        "CMakePresets.json",
        "LICENSE",
        "README.md",
        "cmake/grantwheelConfig.cmake.in",
        "csrc/CMakeLists.txt",
        "csrc/include/grantwheel/version.h",
        "pyproject.toml",
        "python/grantwheel/py.typed",
        "tests/cpp/CMakeLists.txt",
        "tests/test_package.py",
    ):
        assert needed in names
    assert [name for name in names if re.search(r"(^|/)(build|\.venv[^/]*|__pycache__)/|\.(so|pyc|o|a)$", name)] == []


def test_the_wheel_from_the_sdist_is_the_package(unpacked: Path, tmp_path: Path) -> None:
    wheel = build("build_wheel", unpacked, tmp_path)
    assert wheel.name.startswith(f"grantwheel-{version()}-cp3")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
        (metadata,) = (archive.read(name).decode() for name in names if name.endswith(".dist-info/METADATA"))
    assert f"\nVersion: {version()}\n" in metadata
    assert "\nLicense-Expression: MIT\n" in metadata

    # The extension, and every file of the package; no headers, no static library.
    own = {name for name in names if ".dist-info/" not in name}
    (extension,) = (name for name in own if name.endswith(".so"))
    assert re.fullmatch(r"grantwheel/_core\..*\.so", extension)
    package = {
        f"grantwheel/{path.relative_to(PACKAGE).as_posix()}"
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".so"
    }
    assert own - {extension} == package
    assert "grantwheel/py.typed" in own
