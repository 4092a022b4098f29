"""The contenders that are installed, by name; grantwheel first."""

from importlib import import_module
from importlib.util import find_spec

from grantbench.contender import Contender

# Class, module, and the package that it needs.
_ALL = (
    ("GrantwheelContender", "grantwheel_contender", "grantwheel"),
    ("HeapqContender", "heapq_contender", "heapq"),
    ("BareHeapqContender", "heapq_contender", "heapq"),
    ("CacheboxContender", "cachebox_contender", "cachebox"),
    ("MokaContender", "moka_contender", "moka_py"),
    ("CachetoolsContender", "cachetools_contender", "cachetools"),
    ("AsyncioContender", "asyncio_contender", "asyncio"),
)


def _load() -> dict[str, type[Contender]]:
    found: dict[str, type[Contender]] = {}
    for class_name, module, package in _ALL:
        if find_spec(package) is not None:
            contender: type[Contender] = getattr(import_module(f".{module}", __name__), class_name)
            found[contender.name] = contender
    return found


CONTENDERS = _load()
MISSING = tuple(package for _, _, package in _ALL if find_spec(package) is None)
