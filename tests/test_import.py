"""What `import grantwheel` gives, and what it leaves until it is asked for."""

import subprocess
import sys
from pathlib import Path

import pytest

import grantwheel

ON_DEMAND = ("aio", "backgroundTaskManager", "journal", "metrics", "processes", "recovery", "suspend", "testing")


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ON_DEMAND)
def test_a_module_is_there_when_it_is_asked_for(name: str) -> None:
    code = f"import sys, grantwheel; print('grantwheel.{name}' in sys.modules, grantwheel.{name}.__name__)"
    assert run(code) == f"False grantwheel.{name}\n"


def test_dir_has_them_and_imports_none() -> None:
    code = "import sys, grantwheel; print(*dir(grantwheel)); print(*(n for n in sys.modules if 'asyncio' in n))"
    names, imported = run(code).split("\n")[:2]
    assert set(ON_DEMAND) < set(names.split())
    assert imported == ""


def test_what_is_not_there_is_an_attribute_error() -> None:
    assert run("import grantwheel; print(hasattr(grantwheel, 'nothing'))") == "False\n"


def test_what_lacks_its_package_says_so() -> None:
    code = """
import sys
sys.modules["prometheus_client"] = None
import grantwheel
try:
    grantwheel.metrics
except AttributeError as error:
    print(error)
print(hasattr(grantwheel, "metrics"))
"""
    said, there = run(code).splitlines()
    assert "pip install 'grantwheel[prometheus]'" in said
    assert there == "False"


def test_the_manager_is_left_until_it_is_asked_for() -> None:
    code = """
import sys, grantwheel
print(*(name for name in ("logging", "threading", "grantwheel.manager") if name in sys.modules))
print(len(grantwheel.__all__), [name for name in grantwheel.__all__ if name not in dir(grantwheel)])
print([name for name in grantwheel.__all__ if getattr(grantwheel, name, None) is None])
print(grantwheel.open.__module__, grantwheel.recovery.open is grantwheel.open, "open" in vars(grantwheel))
"""
    assert run(code).splitlines() == [
        "",
        f"{len(grantwheel.__all__)} []",
        "[]",
        "grantwheel.recovery.opening True True",
    ]


def test_all_of_it_may_be_imported_at_once() -> None:
    code = "from grantwheel import *; print(Manager.__name__, open.__name__, backgroundTaskManager.__name__)"
    assert run(code) == "Manager open_manager grantwheel.backgroundTaskManager\n"


def test_what_programs_do_at_exit_is_on_record(tmp_path: Path) -> None:
    code = f"""
import atexit
import grantwheel
atexit.register(lambda: manager.apply(1000, 42, 32, persist=True))
manager = grantwheel.open({str(tmp_path / "grants.db")!r}, durability="batch")
"""
    assert run(code) == ""
    with grantwheel.open(tmp_path / "grants.db") as manager:
        assert manager.app_mask(1000) == 32
