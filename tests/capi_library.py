"""The C ABI of the installed package, as cffi sees it: declarations from the installed header, no compiler."""

import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import cffi
import pcpp

import grantwheel


class _Declarations(pcpp.Preprocessor):  # type: ignore[misc]
    """The preprocessor of a header whose own headers are read and whose system headers are left out."""

    def __init__(self) -> None:
        super().__init__()
        self.line_directive = None
        self.add_path(grantwheel.get_include())

    def on_include_not_found(self, *_: object) -> None:
        raise pcpp.OutputDirective(pcpp.Action.IgnoreAndRemove)

    def read(self) -> str:
        text = io.StringIO()
        self.parse("#include <grantwheel/gate.h>\n#include <grantwheel/snapshot.h>\n")
        self.write(text)
        assert not self.return_code, "the header cannot be read"
        return text.getvalue()


def abi_version() -> int:
    """GW_ABI_VERSION of the installed header."""
    declarations = _Declarations()
    declarations.read()
    return int(declarations.macros["GW_ABI_VERSION"].value[0].value)


def library_path() -> Path:
    """The library that the package carries."""
    return Path(grantwheel.get_cmake_dir()).parent.parent / f"libgrantwheel.so.{abi_version()}"


@cache
def load() -> tuple[Any, Any]:
    """The declarations and the library: ffi and lib."""
    ffi = cffi.FFI()
    ffi.cdef(_Declarations().read())
    return ffi, ffi.dlopen(str(library_path()))


ffi, lib = load()

NO_DEADLINE = 2**64 - 1
NO_BUDGET = 2 ** (8 * ffi.sizeof("size_t")) - 1


# What a struct points to lives as long as the struct.
_pointed_to: WeakKeyDictionary[Any, tuple[Any, ...]] = WeakKeyDictionary()


def keep(struct: Any, *memory: Any) -> Any:
    """Keep memory alive as long as a struct is; answer the struct."""
    _pointed_to[struct] = (*_pointed_to.get(struct, ()), *memory)
    return struct


def new(name: str, **fields: Any) -> Any:
    """Make a struct with its size set. A string becomes a gw_text; another struct, a pointer to it.

    A string that has no UTF-8 form is given as the bytes that it would have if surrogates were characters: the library
    judges.
    """
    made = ffi.new(f"{name} *")
    made.size = ffi.sizeof(name)
    for field, value in fields.items():
        if isinstance(value, str):
            data = ffi.from_buffer(value.encode("utf-8", "surrogatepass"))
            keep(made, data)
            setattr(made, field, ffi.new("gw_text *", (data, len(data)))[0])
        else:
            if isinstance(value, ffi.CData):
                keep(made, value)
            setattr(made, field, value)
    return made


def array(name: str, structs: Sequence[Any]) -> Any:
    """Make an array of copies of structs."""
    made = keep(ffi.new(f"{name}[]", len(structs)), *structs)
    for place, struct in enumerate(structs):
        made[place] = struct[0]
    return made


def string(text: Any) -> str:
    """The Python string of a gw_text."""
    return ffi.buffer(text.data, text.size)[:].decode("utf-8") if text.size else ""


def clamped(value: int, low: int, high: int, otherwise: int) -> int:
    """A number that a field can hold, or one that stands for those that it cannot."""
    return value if low <= value <= high else otherwise
