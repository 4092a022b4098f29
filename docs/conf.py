"""Sphinx configuration. CONTRIBUTING.md has the commands that build the pages and check their links."""

import ast
import re
from pathlib import Path

from sphinx.application import Sphinx

import grantwheel

ROOT = Path(__file__).resolve().parent.parent

project = "grantwheel"
author = "grantwheel authors"
version = release = grantwheel.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"grantwheel {release}"
html_show_copyright = False
html_copy_source = False

myst_heading_anchors = 4

default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
napoleon_google_docstring = False
napoleon_use_rtype = False

# Nothing is looked up in the net, so names of the standard library lead nowhere. Neither do parameters, nor the words
# in small letters that say what kind of argument is wanted.
nitpick_ignore_regex = [
    (r"py:.*", r"(collections\.abc|datetime|enum|os|pathlib|sqlite3|sys|types|typing)\..*"),
    (r"py:class", r"Any|Callable|Hashable|Iterable|Mapping|ReadableBuffer|SupportsIndex"),
    (r"py:class", r"[a-z ]+|int to Caller|Path|UUID|_Client"),
    (
        r"py:class",
        r"prometheus_client\..*|grantwheel\._core\.(Manager|Ops)|_Arguments|grantwheel\.hold\._Result|.*\.EventT",
    ),
    (r"py:exc", r"the driver's own"),
    (r"py:obj", r"drain|max_records|persist|process"),
]

# Users import everything from the package, so that is where the pages say that things are.
for exported in map(vars(grantwheel).get, grantwheel.__all__):
    if isinstance(exported, type):
        exported.__module__ = "grantwheel"


def stub_signatures() -> dict[str, tuple[str, str | None]]:
    """Return the signatures of the compiled classes as ``_core.pyi`` has them: by ``Class.method``, with types."""
    stub = ast.parse((ROOT / "python" / "grantwheel" / "_core.pyi").read_text(encoding="utf-8"))
    signatures = {}
    for cls in stub.body:
        if not isinstance(cls, ast.ClassDef):
            continue
        for method in cls.body:
            if not isinstance(method, ast.FunctionDef):
                continue
            arguments = re.sub(r"^self(, )?", "", ast.unparse(method.args)).removeprefix("/, ")
            in_class = method.name == "__init__" or method.returns is None
            returns = None if in_class else ast.unparse(method.returns)
            signatures[f"{cls.name}.{method.name}"] = (f"({arguments})", returns)
    return signatures


SIGNATURES = stub_signatures()


def typed_signature(
    _app: Sphinx, what: str, name: str, _obj: object, _options: object, signature: str | None, _returns: str | None
) -> tuple[str, str | None] | None:
    """Replace the signature of what is compiled, which knows no types, by that of the stub."""
    if signature is None or what not in {"class", "method"}:
        return None
    place = f"{name}.__init__" if what == "class" else name
    defined_in_python = place.startswith("grantwheel.Manager.") and place.rpartition(".")[2] in vars(grantwheel.Manager)
    if defined_in_python:
        return None
    return SIGNATURES.get(".".join(place.split(".")[-2:]))


def setup(app: Sphinx) -> None:
    """Connect the hook."""
    app.connect("autodoc-process-signature", typed_signature)
