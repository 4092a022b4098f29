"""The C ABI as it is installed: its symbols, its header, and how cffi sees it. What it does is tested in tests/capi."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import grantwheel
from capi_library import abi_version, ffi, lib, library_path, new
from capi_manager import CapiManager
from grantwheel import ManualClock

ROOT = Path(__file__).resolve().parent.parent
SYMBOLS = ROOT / "csrc" / "capi" / "symbols.map"
TREE = sorted((ROOT / "csrc" / "include" / "grantwheel").iterdir())
HEADERS = sorted((Path(grantwheel.get_include()) / "grantwheel").iterdir())
HEADER = "".join(
    (Path(grantwheel.get_include()) / "grantwheel" / name).read_text(encoding="utf-8")
    for name in ("grantwheel.h", "gate.h", "snapshot.h")
)
# They are the same as long as the ABI is, so that they need no size.
SMALL_VALUES = {"gw_text", "gw_owner", "gw_result", "gw_grant", "gw_hash_key", "gw_mark", "gw_note", "gw_ticket"}
WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror")


def listed() -> list[str]:
    """The symbols that the library is meant to export."""
    return re.findall(r"^    (gw_\w+);$", SYMBOLS.read_text(encoding="utf-8"), re.MULTILINE)


def test_the_library_exports_the_list_and_nothing_else() -> None:
    done = subprocess.run(
        ["nm", "-D", "--defined-only", library_path()], capture_output=True, text=True, check=True, timeout=60
    )
    assert sorted(line.split()[-1] for line in done.stdout.splitlines()) == sorted(listed())


def test_the_header_declares_the_list_and_nothing_else() -> None:
    declared = re.findall(r"^GW_API [^;(]*\b(gw_\w+)\(", HEADER, re.MULTILINE)
    assert sorted(declared) == sorted(listed())
    assert all(getattr(lib, name) for name in declared)


def test_the_library_carries_its_own_version() -> None:
    assert library_path().name == f"libgrantwheel.so.{abi_version()}"
    done = subprocess.run(["readelf", "-d", library_path()], capture_output=True, text=True, check=True, timeout=60)
    assert re.findall(r"Library soname: \[(.*)\]", done.stdout) == [library_path().name]
    assert lib.gw_abi_version() == abi_version()
    assert ffi.string(lib.gw_version()).decode() == grantwheel.__version__


def test_every_struct_begins_with_its_size() -> None:
    structs, _, _ = ffi.list_types()
    complete = [name for name in structs if name.startswith("gw_") and ffi.typeof(name).kind == "struct"]
    assert "gw_request" in complete
    for name in complete:
        if name in {"gw_manager", "gw_gate", "gw_snapshot_reader", "gw_snapshot_writer"}:
            continue
        first, field = ffi.typeof(name).fields[0]
        sized = (first, field.offset, field.type.cname) == ("size", 0, "uint32_t")
        assert sized == (name not in SMALL_VALUES), name


def test_the_library_is_declared_unstable() -> None:
    assert re.search(r"Unstable until 1\.0", HEADER)


def first_sentences(header: Path) -> str:
    """The first two sentences of the comment that a header opens with."""
    text = header.read_text(encoding="utf-8")
    end = text.index("*/") if text.startswith("/*") else text.index("\n#")
    comment = " ".join(re.sub(r"^(/\*| \*|//)", "", line).strip() for line in text[:end].splitlines())
    return " ".join(re.split(r"(?<=[.]) ", comment)[:2])


@pytest.mark.parametrize("header", TREE, ids=lambda header: header.name)
def test_every_header_opens_with_thread_safety(header: Path) -> None:
    assert "thread" in first_sentences(header).lower()


def compile_alone(compiler: str, header: Path, language: str, *options: str, folder: Path) -> None:
    source = folder / f"alone.{language}"
    include = f"#include <grantwheel/{header.name}>\n"
    source.write_text(include * 2 + "int main(void) { return 0; }\n", encoding="utf-8")
    done = subprocess.run(
        [compiler, *WARNINGS, *options, "-fsyntax-only", f"-I{grantwheel.get_include()}", source],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout


def first_of(*names: str | None) -> str | None:
    """The first of these programs that there is."""
    return next(filter(None, map(shutil.which, filter(None, names))), None)


@pytest.mark.parametrize("header", HEADERS, ids=lambda header: header.name)
def test_every_header_compiles_alone_in_cpp(header: Path, tmp_path: Path) -> None:
    compiler = first_of(os.environ.get("CXX"), "c++", "g++", "clang++")
    if compiler is None:
        pytest.skip("there is no C++ compiler")
    compile_alone(compiler, header, "cpp", "-std=c++20", "-fno-exceptions", "-fno-rtti", folder=tmp_path)


@pytest.mark.parametrize("header", [path for path in HEADERS if path.suffix == ".h"], ids=lambda header: header.name)
def test_every_c_header_compiles_alone_in_c(header: Path, tmp_path: Path) -> None:
    compiler = first_of(os.environ.get("CC"), "cc", "gcc", "clang")
    if compiler is None:
        pytest.skip("there is no C compiler")
    compile_alone(compiler, header, "c", "-std=c11", folder=tmp_path)


def test_the_installed_headers_are_those_of_the_tree() -> None:
    assert [header.name for header in HEADERS] == [header.name for header in TREE]


def test_what_cffi_is_given_and_gets_back() -> None:
    clock = ManualClock(start_ms=5)
    manager = CapiManager(clock=clock)
    assert manager.apply(700, 71, 32, 40, reason="größer") == 32
    record = manager.find_app(700)
    assert record is not None
    assert [grant.reason for grant in record.grants] == ["größer"]
    clock.set(45)
    assert manager.advance() == 1
    assert [(event.kind, event.time) for event in manager.drain()] == [("app_apply", 5), ("app_reset", 45)]
    manager.close()


def test_a_refusal_that_the_header_has_no_word_for_is_an_error_of_the_host() -> None:
    clock = ManualClock(start_ms=5)
    manager = CapiManager(clock=clock)
    manager.advance()
    assert lib.gw_check_time(manager._handle, 4) == lib.GW_TIME_BACKWARDS
    assert lib.gw_get_stats(manager._handle, 5, new("gw_stats", size=8)) == lib.GW_ARGUMENT_INVALID
    with pytest.raises(ValueError, match="limit"):
        CapiManager(clock=clock, max_records=0)
