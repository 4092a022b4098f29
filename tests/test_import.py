"""What `import grantwheel` gives, and what it leaves until it is asked for."""

import subprocess
import sys

import pytest

ON_DEMAND = ("aio", "metrics", "processes", "testing")


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
