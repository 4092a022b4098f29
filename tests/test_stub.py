"""`_core.pyi` and the compiled module say the same, both ways: names, signatures, and errors against status.h."""

import ast
import inspect
import re
from pathlib import Path
from typing import NamedTuple

import pytest

import grantwheel
from grantwheel import _core

ROOT = Path(__file__).resolve().parent.parent
STUB = ast.parse((ROOT / "python" / "grantwheel" / "_core.pyi").read_text(encoding="utf-8"))
STATUS_H = (ROOT / "csrc" / "include" / "grantwheel" / "status.h").read_text(encoding="utf-8")


class Parameter(NamedTuple):
    name: str
    kind: str
    has_default: bool


ANYTHING = [Parameter("args", "*", False), Parameter("kwargs", "**", False)]


def parameters(function: ast.FunctionDef) -> list[Parameter]:
    """The parameters of a function, in order, its ``self`` left out."""
    found = function.args
    positional = [*found.posonlyargs, *found.args]
    required = len(positional) - len(found.defaults)
    result = [
        Parameter(argument.arg, "by position" if index < len(found.posonlyargs) else "any", index >= required)
        for index, argument in enumerate(positional)
    ]
    if found.vararg:
        result.append(Parameter(found.vararg.arg, "*", False))
    result += [
        Parameter(argument.arg, "by name", default is not None)
        for argument, default in zip(found.kwonlyargs, found.kw_defaults, strict=True)
    ]
    if found.kwarg:
        result.append(Parameter(found.kwarg.arg, "**", False))
    return result[1:] if result and result[0].name == "self" else result


def live_parameters(function: object, name: str) -> list[Parameter] | None:
    """The parameters that the module gives, by ``__text_signature__`` or in a docstring's first line; None for none."""
    text = getattr(function, "__text_signature__", None)
    if text:
        head = f"def {name}{text.replace('$self', 'self')}: ..."
    else:
        first_line = (inspect.getdoc(function) or "").partition("\n")[0]
        if not re.match(rf"{name}\(.*\)", first_line):
            return None
        head = f"def {first_line}: ..."
    (parsed,) = ast.parse(head).body
    assert isinstance(parsed, ast.FunctionDef)
    return parameters(parsed)


def stub_classes() -> dict[str, ast.ClassDef]:
    return {node.name: node for node in STUB.body if isinstance(node, ast.ClassDef)}


def stub_functions(body: list[ast.stmt]) -> list[ast.FunctionDef]:
    """The functions and methods of a body; properties are none."""
    return [node for node in body if isinstance(node, ast.FunctionDef) and not node.decorator_list]


def stub_members(body: list[ast.stmt]) -> set[str]:
    names = {node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    names |= {alias.asname for node in body if isinstance(node, ast.ImportFrom) for alias in node.names if alias.asname}
    return names | {
        node.target.id for node in body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }


def public(names: object, also: set[str]) -> set[str]:
    return {name for name in vars(names) if not name.startswith("_") or name in also}


CLASSES = stub_classes()
ERRORS = {name for name in CLASSES if name.endswith("Error")}
METHODS = [(name, node) for name, found in CLASSES.items() for node in stub_functions(found.body)]


def test_the_module_has_the_names_of_the_stub() -> None:
    stub = stub_members(STUB.body)
    assert public(_core, also={name for name in stub if name.startswith("_")}) == stub


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_class_has_the_members_of_the_stub(name: str) -> None:
    stub = stub_members(CLASSES[name].body)
    live = getattr(_core, name)
    found = public(live, also={member for member in stub if member.startswith("_")})
    if name == "BusinessError":
        found |= set(vars(_core.business_error(201)))
    assert found == stub


@pytest.mark.parametrize(("name", "node"), METHODS, ids=[f"{name}.{node.name}" for name, node in METHODS])
def test_a_method_has_the_parameters_of_the_stub(name: str, node: ast.FunctionDef) -> None:
    owner = getattr(_core, name)
    live = live_parameters(vars(owner)[node.name], node.name)
    if node.name == "__init__" and live == ANYTHING:  # a plain C type tells them as its own, if at all
        live = live_parameters(owner, name) or parameters(node)
    assert live is not None, "the module does not tell its parameters"
    assert live == parameters(node)


@pytest.mark.parametrize("node", stub_functions(STUB.body), ids=lambda node: node.name)
def test_a_function_has_the_parameters_of_the_stub(node: ast.FunctionDef) -> None:
    live = live_parameters(getattr(_core, node.name), node.name)
    assert live is not None, "the module does not tell its parameters"
    assert [parameter.has_default for parameter in live] == [parameter.has_default for parameter in parameters(node)]


def test_the_properties_are_those_of_the_stub() -> None:
    decorated = [
        (node.name, ast.unparse(decorator))
        for node in CLASSES["Manager"].body
        if isinstance(node, ast.FunctionDef)
        for decorator in node.decorator_list
    ]
    live = {name: value for name, value in vars(_core.Manager).items() if isinstance(value, property)}
    assert set(live) == {name for name, decorator in decorated if decorator == "property"}
    for name, value in live.items():
        assert (value.fset is not None) == ((name, f"{name}.setter") in decorated), name


def macro_list(name: str) -> list[list[str]]:
    """The arguments of each X(...) of a macro list of status.h; texts without quotes, adjacent ones joined."""
    lines = STATUS_H.partition(f"#define {name}(X)")[2].splitlines()
    last = next(index for index, line in enumerate(lines) if not line.endswith("\\"))
    body = " ".join(line.rstrip("\\ ") for line in lines[: last + 1])
    rows = re.findall(r'X\(((?:[^()"]|"[^"]*")*)\)', body)
    words = [re.findall(r'(?:"[^"]*"\s*)+|[^,"\s]+', row) for row in rows]
    return [["".join(re.findall(r'"([^"]*)"', word)) if '"' in word else word for word in row] for row in words]


def test_the_public_codes_are_those_of_the_list() -> None:
    listed = [(int(code), name, message) for code, name, message in macro_list("GRANTWHEEL_PUBLIC_LIST")]
    assert len(listed) == 11
    assert list(_core.PUBLIC_CODES) == listed


def test_the_error_classes_are_those_of_the_list() -> None:
    listed = {name for _, name, _ in macro_list("GRANTWHEEL_PUBLIC_LIST")}
    assert listed | {"BusinessError"} == ERRORS
    for name in listed:
        error = getattr(_core, name)
        assert error.__bases__ == (_core.BusinessError,)
        assert getattr(grantwheel, name) is error
        assert name in grantwheel.__all__
    assert _core.BusinessError.__bases__ == (Exception,)


def test_the_statuses_are_those_of_the_list() -> None:
    listed = {int(inner): (name, text) for name, _, inner, text in macro_list("GRANTWHEEL_STATUS_LIST")}
    assert len(listed) > 20
    live = {inner: (name, text) for name, inner, _, text in _core.STATUSES}
    assert live == {inner: words for inner, words in listed.items() if inner in live}
    assert {inner for inner in listed if inner > 0} <= set(live)


def test_the_names_of_a_status_in_c_and_cpp_are_one() -> None:
    assert [upper for name, upper, *_ in macro_list("GRANTWHEEL_STATUS_LIST") if upper != name.upper()] == []


def test_every_status_becomes_its_error() -> None:
    classes = {code: (name, message) for code, name, message in _core.PUBLIC_CODES}
    for _, inner, code, _ in _core.STATUSES:
        if inner <= 0:
            continue
        error = _core.business_error(inner)
        name, message = classes[code]
        assert type(error).__name__ == name
        assert (error.code, error.detail) == (code, inner)
        assert error.message.startswith(message)
