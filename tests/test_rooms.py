"""Who may know whom: every include and every import is an edge of the table below, or the test fails.

A new file or folder has no place in the table until someone gives it one.
"""

import ast
import graphlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CSRC = ROOT / "csrc"
PACKAGE = ROOT / "python" / "grantwheel"

MAX_FILE_LINES = 450
MAX_FUNCTION_LINES = 70
NO_FUNCTION = ("namespace", "class", "struct", "union", "enum", "extern", "//")


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# The headers of the C++20 standard library, the C ones under their C++ names.
STANDARD = words("""
    algorithm any array atomic barrier bit bitset charconv chrono codecvt compare complex concepts condition_variable
    coroutine deque exception execution filesystem format forward_list fstream functional future initializer_list
    iomanip ios iosfwd iostream istream iterator latch limits list locale map memory memory_resource mutex new numbers
    numeric optional ostream queue random ranges ratio regex scoped_allocator semaphore set shared_mutex
    source_location span sstream stack stdexcept stop_token streambuf string string_view strstream syncstream
    system_error thread tuple type_traits typeindex typeinfo unordered_map unordered_set utility valarray variant
    vector version
    cassert cctype cerrno cfenv cfloat cinttypes climits clocale cmath csetjmp csignal cstdarg cstddef cstdint cstdio
    cstdlib cstring ctime cuchar cwchar cwctype
""")
CLOCKS = words("chrono ctime")
THREADS_AND_LOCKS = words("""
    atomic barrier condition_variable future latch mutex semaphore shared_mutex stop_token thread
""")
FILES_AND_STREAMS = words("""
    cstdio filesystem fstream iomanip ios iosfwd iostream istream locale ostream sstream streambuf strstream syncstream
""")
CPYTHON = {"Python.h", "structmember.h"}
# What tells hosts and bindings which process they run in: it is the caller of the documented calls.
THIS_PROCESS = {"unistd.h", "pthread.h"}
# What wakes those who sleep until a manager has something for them, or a process has ended.
DESCRIPTORS = {"fcntl.h", "sys/epoll.h", "sys/eventfd.h", "sys/syscall.h", "sys/timerfd.h"}
# What the unwinding of a thread that the interpreter ends is called.
UNWINDING = {"cxxabi.h"}
FOR_CORE = STANDARD - CLOCKS - THREADS_AND_LOCKS - FILES_AND_STREAMS
FOR_EIGHT = {"emmintrin.h"}  # what a processor can do with several numbers, told by compilers that have it

# Inside the core and its headers, by file name without ending: what each may include, besides its own header.
WORDS = {"commands", "macros", "notes", "recovery", "status", "types"}
TOOLS = {
    *("array", "bits", "block", "bytes", "checksum", "command_bytes", "eight", "frame", "hash", "index", "mark"),
    *("number_index", "record", "row_index", "rows", "section", "sorter", "text"),
}
PARTS = {"events", "strings", "table", "wheel"}
# Headers for hosts and bindings, which the core does not include, and all that each includes.
FOR_HOSTS = {
    "clock.hpp": {"<ctime>", "grantwheel/types.hpp"},
    "pages.hpp": {"<sys/mman.h>", "grantwheel/types.hpp"},
    "polite_mutex.hpp": {"<atomic>", "<chrono>", "<condition_variable>", "<cstdint>", "<mutex>"},
    "log.hpp": {"<cstddef>", "<cstdint>", "<span>"},
    "gate.hpp": {
        *("<array>", "<cstddef>", "<cstdint>", "<memory>", "<span>", "<utility>"),
        *(
            f"grantwheel/{name}.hpp"
            for name in ("log", "macros", "manager", "notes", "polite_mutex", "recovery", "types")
        ),
    },
}
# Those of them that the C ABI leaves to hosts.
FOR_ONE_MANAGER = {"pages.hpp", "polite_mutex.hpp"}
# The headers for hosts in C, which the core does not include either.
FOR_C = {
    "grantwheel.h": {
        "<stddef.h>",
        "<stdint.h>",
        *(f"grantwheel/{name}.h" for name in ("commands", "status", "version")),
    },
    "gate.h": {"grantwheel/grantwheel.h"},
    "snapshot.h": {"grantwheel/grantwheel.h"},
}
CORE_MAY_USE = {
    "version": set(),
    "status": WORDS,
    "macros": set(),
    "commands": set(),
    "types": {"commands", "macros", "status"},
    "recovery": {"types"},
    "notes": WORDS | TOOLS,
    **dict.fromkeys(TOOLS, WORDS | TOOLS),
    "strings": WORDS | TOOLS,
    "events": WORDS | TOOLS | {"strings"},
    "table": WORDS | TOOLS,
    "wheel": WORDS | TOOLS,
    "engine": WORDS | TOOLS | PARTS,
    "policy": WORDS | TOOLS | {"strings"},
    "columns": WORDS,
    "manager": WORDS | TOOLS | {"columns", "engine", "policy"},
    "snapshot": WORDS | TOOLS | {"engine"},
    "survey": WORDS | TOOLS | {"engine"},
    "batch": WORDS | TOOLS | {"engine", "strings"},
    "op": WORDS | TOOLS | {"batch", "engine", "manager"},
}

# The modules behind the command and the fixtures for tests, and the ones among them that each may use. They use the
# package as people do, and so not `_core`; no other module knows them.
COMMANDS = {
    "__main__": {"command"},
    "command": {"command.failure"},  # the others by name, when they are asked for
    "command.demo": {"command.failure", "demo", "demo.lines"},
    "command.failure": set(),
    "command.values": set(),
    "command.connected": {"command.failure"},
    "command.apply": {"command.connected", "command.failure", "command.values"},
    "command.release": {"command.apply", "command.connected", "command.failure", "command.values"},
    "command.child": {"command.failure"},
    "command.hold": words("command.child command.connected command.failure command.values"),
    "command.mirror": set(),
    "command.notes": {"command.failure"},
    "command.suspend": words("""
        command.child command.connected command.failure command.mirror command.notes command.values
    """),
    "command.thaw": words("command.connected command.failure command.notes"),
    "command.list": {"command.connected", "command.failure", "command.times", "command.values"},
    "command.events": {"command.connected", "command.values"},
    "command.progress": set(),
    "command.serve": {"command.connected", "command.failure", "command.progress"},
    "command.journal": {"command.until"},  # the others by name, when they are asked for
    "command.opened": {"command.failure", "command.progress"},
    "command.times": set(),
    "command.until": set(),
    "command.history": {"command.failure", "command.opened", "command.times"},
    "command.totals": {"command.history"},
    "command.density": set(),
    "command.axis": {"command.times"},
    "command.plot": words("command.axis command.density command.history command.times command.totals"),
    "command.replay": words("""
        command.failure command.history command.opened command.plot command.times command.totals command.until
    """),
    "command.show": {"command.failure", "command.opened", "command.times"},
    "command.verify": {"command.failure", "command.opened", "command.times"},
    "demo": words("demo.lines demo.script demo.show demo.stop demo.table demo.view demo.workers"),
    "demo.hand": set(),  # a program of its own
    "demo.lines": {"demo.view"},
    "demo.script": set(),
    "demo.show": words("demo.script demo.story demo.view demo.workers"),
    "demo.stop": set(),
    "demo.story": {"demo.view"},
    "demo.table": {"demo.view"},
    "demo.view": set(),
    "demo.workers": set(),
    "testing": set(),
    "testing.journal_suite": set(),  # nor anything else but `journal`: it is for people's own journals
}
# The package, room by room: what each may import of the package, at run time or for types alone. Nothing goes back up.
FOUNDATION = words("_callback _core _process _telling _text _times _waiting")
VALUES = words("caller policy types")
PACKAGE_MAY_USE = {
    "_core": VALUES | {"_log_errors", "ops"},  # the stub, for types
    "_log_errors": set(),
    "_process": {"_core", "_text"},
    "_waiting": set(),
    "_callback": set(),
    "_times": set(),
    "_telling": {"_text"},
    "_task_errors": {"_core"},
    "_documented": words("_core _task_errors"),
    "caller": set(),
    "types": set(),
    "_policy_fields": words("_times caller types"),
    "policy": words("_policy_fields caller types"),
    "_text": set(),
    "listing": words("_text types"),
    "linux": {"_core"},
    "journal": {"_log_errors"},
    "events": FOUNDATION | {"types"},
    "run": FOUNDATION | {"events", "linux", "types"},
    "follower": FOUNDATION | {"types"},
    "ops": {"_core", "types"},
    "hold": FOUNDATION | VALUES | {"run"},
    "manager": FOUNDATION | VALUES | words("_deaths events hold listing run"),
    "aio": FOUNDATION | VALUES | words("events run manager service"),
    "processes": words("manager run"),
    "recovery": FOUNDATION | VALUES | words("follower journal linux manager tasks"),
    "suspend": (FOUNDATION - {"_core"}) | VALUES | words("_documented linux manager run"),
    "service": (FOUNDATION - {"_core"})
    | VALUES
    | words("_documented _task_errors aio linux listing manager recovery tasks"),
    "backgroundTaskManager": words("_core _task_errors manager recovery service tasks types"),
    "metrics": words("_core manager types"),
    "_deaths": {"_core"},
    "tasks": FOUNDATION | VALUES | words("_task_errors events manager run"),
}
# The rules of tasks: what they may import of the package. All else in their room ties them to a manager.
TASK_RULES = words("""
    tasks.agenda tasks.arguments tasks.callers tasks.continuous tasks.policy tasks.reading tasks.store tasks.transient
    tasks.transient_state tasks.values
""")
FOR_TASK_RULES = TASK_RULES | words("_core _task_errors caller types")
# The modules that know of threads, of loops, of waiting and of databases; the others leave that alone.
ALIVE = {
    "asyncio": words("""
        aio hold run.renewals service.calls service.client_aio service.client_aio_hold service.client_aio_line
        service.client_aio_tasks service.connection service.deaths
        service.pushing service.server service.serving service.streams
    """),
    "select": words("""
        demo.stop events.delivery linux.pidfd run.loop service.client_hold service.client_link suspend.listening
    """),
    "sqlite3": words("journal._database journal._writer journal.reading journal.sqlite"),
    "threading": words("""
        backgroundTaskManager._default command.mirror events.delivery journal._lock journal.memory journal.sqlite
        recovery.keeping run.loop run.watches service.client service.client_events service.client_hold
        service.client_tasks suspend.listening suspend.work tasks.alone testing.journal_suite
    """),
}
# Third-party packages that a function may import when it is asked for what they do; never at import time.
EXTRAS = {"hiredis", "rich", "uvloop"}
# The modules that are of no use without a third-party package; others import them only inside a function.
AT_IMPORT = {
    "metrics": {"prometheus_client"},
    "service.serving": {"uvloop"},
    "service.wire": {"hiredis"},
    "testing": {"pytest"},
    "testing.journal_suite": {"pytest"},
    "demo.table": {"rich"},
    **{
        name: set() for name in words("service.connection service.pushing service.server service.serving")
    },  # which need it
}


def sources(folder: Path, *endings: str) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in endings)


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def includes(path: Path) -> list[str]:
    """The headers that a file includes: ``<name>`` or a plain name."""
    found = re.findall(r'^\s*#\s*include\s*(<[^>]+>|"[^"]+")', path.read_text(encoding="utf-8"), re.MULTILINE)
    return [name if name.startswith("<") else name.strip('"') for name in found]


def part(name: str) -> str:
    """The name that the table knows a core file by: all engine files are one, and those of a snapshot."""
    stem = Path(name).stem
    return next((one for one in ("engine", "snapshot") if stem.startswith(f"{one}_")), stem)


CORE_FILES = sources(CSRC / "core", ".hpp", ".cpp")
PUBLIC_HEADERS = sources(CSRC / "include", ".h", ".hpp")
HOST = sources(CSRC / "host", ".hpp", ".cpp")
CAPI = sources(CSRC / "capi", ".hpp", ".cpp")
BINDINGS = sources(CSRC / "bindings", ".hpp", ".cpp")
EXPORTS = [CSRC / "bindings" / "exports.map", CSRC / "capi" / "symbols.map"]  # for the linker
MODULES = sources(PACKAGE, ".py", ".pyi")
EXAMPLES = sources(ROOT / "examples", ".h", ".hpp", ".c", ".cpp")
FUZZ = sources(ROOT / "fuzz", ".hpp", ".cpp")
FOR_FUZZ = {"sealing.hpp", "words.hpp", "model.hpp", "model_policy.hpp", "lockstep.hpp"}  # of tests/cpp


def test_there_is_something_to_check() -> None:
    assert len(CORE_FILES) > 10
    assert len(PUBLIC_HEADERS) > 4
    assert HOST
    assert CAPI
    assert BINDINGS
    assert len(MODULES) > 8
    assert len(EXAMPLES) > 4
    assert FUZZ


def test_every_file_of_csrc_is_in_a_room() -> None:
    known = {*CORE_FILES, *PUBLIC_HEADERS, *HOST, *CAPI, *BINDINGS, *EXPORTS, CSRC / "CMakeLists.txt"}
    strangers = [relative(path) for path in CSRC.rglob("*") if path.is_file() and path not in known]
    assert strangers == []


@pytest.mark.parametrize("path", [*CORE_FILES, *PUBLIC_HEADERS], ids=relative)
def test_core_includes(path: Path) -> None:
    if path.name in FOR_HOSTS:
        assert set(includes(path)) == FOR_HOSTS[path.name]
        return
    if path.name in FOR_C:
        assert set(includes(path)) <= FOR_C[path.name]
        return
    own = part(path.name)
    assert own in CORE_MAY_USE, "a file without a place in the table"
    for name in includes(path):
        if name.startswith("<"):
            assert name.strip("<>") in FOR_CORE | (FOR_EIGHT if own == "eight" else set()), name
        elif path in PUBLIC_HEADERS:
            assert name.startswith("grantwheel/"), name
            assert part(name) in CORE_MAY_USE[own] - TOOLS - PARTS, name
        else:
            assert name.startswith(("grantwheel/", "core/")), name
            assert part(name) in CORE_MAY_USE[own] | {own}, name


@pytest.mark.parametrize("path", HOST, ids=relative)
def test_host_includes(path: Path) -> None:
    public = {f"grantwheel/{header.name}" for header in PUBLIC_HEADERS if header.name not in FOR_C}
    own = {f"host/{file.name}" for file in HOST}
    core = {f"core/{file.name}" for file in CORE_FILES}
    for name in includes(path):
        plain = name.strip("<>")
        assert plain in public | own | core | THIS_PROCESS | DESCRIPTORS | (STANDARD - FILES_AND_STREAMS), name


@pytest.mark.parametrize("path", CAPI, ids=relative)
def test_capi_includes(path: Path) -> None:
    public = {f"grantwheel/{header.name}" for header in PUBLIC_HEADERS if header.name not in FOR_ONE_MANAGER}
    own = {f"capi/{file.name}" for file in CAPI}
    for name in includes(path):
        allowed = name.strip("<>") in FOR_CORE | {"mutex"} if name.startswith("<") else name in public | own
        assert allowed, name


@pytest.mark.parametrize("path", BINDINGS, ids=relative)
def test_bindings_includes(path: Path) -> None:
    public = {f"grantwheel/{header.name}" for header in PUBLIC_HEADERS if header.name not in FOR_C}
    own = {f"{file.parent.name}/{file.name}" for file in BINDINGS + HOST}
    for name in includes(path):
        plain = name.strip("<>")
        allowed = (
            plain in STANDARD - FILES_AND_STREAMS - CLOCKS
            or plain in CPYTHON
            or plain.startswith("pybind11/")
            or plain in public | own | THIS_PROCESS | DESCRIPTORS | UNWINDING
        )
        assert allowed, name


@pytest.mark.parametrize("path", EXAMPLES, ids=relative)
def test_examples_include_what_is_installed(path: Path) -> None:
    public = {f"<grantwheel/{header.name}>" for header in PUBLIC_HEADERS}
    for name in includes(path):
        own = not name.startswith("<") and (path.parent / name).exists()
        assert own or name in public or (name.startswith("<") and not name.startswith("<grantwheel")), name


@pytest.mark.parametrize("path", FUZZ, ids=relative)
def test_fuzz_targets_include_public_headers_and_the_model(path: Path) -> None:
    public = {f"grantwheel/{header.name}" for header in PUBLIC_HEADERS}
    own = {file.name for file in FUZZ}
    for name in includes(path):
        allowed = name.strip("<>") in STANDARD if name.startswith("<") else name in public | own | FOR_FUZZ
        assert allowed, name


def module_name(path: Path) -> str:
    """The dotted name of a module of the package, without the package's own."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Every module that a module imports, with whether it does so at import time; own modules start with a dot."""
    names = {module_name(module) for module in MODULES}
    folder = "".join(f".{part}" for part in path.parent.relative_to(PACKAGE).parts)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        at_import = id(node) not in inside
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, at_import
        elif isinstance(node, ast.ImportFrom):
            assert node.level <= 1, "parents are imported by their full names"
            module = f".{node.module}" if node.module is not None else ""
            if node.level == 1:
                module = folder + module
            elif module.split(".")[1] == PACKAGE.name:
                module = module.removeprefix(f".{PACKAGE.name}")
            else:
                yield module.removeprefix("."), at_import
                continue
            for alias in node.names:
                name = f"{module}.{alias.name}"  # a module, or a name in one; without a module, one of the package
                yield name if not module or name.removeprefix(".") in names else module, at_import


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_package_imports(path: Path) -> None:
    modules = {module_name(module) for module in MODULES}
    importer = module_name(path)
    for name, at_import in imports(path):
        if name.startswith("."):
            own = name.removeprefix(".")
            if own not in modules:
                continue  # a name of the package itself
            if importer in COMMANDS:
                assert own != "_core"
            assert own not in COMMANDS or own in COMMANDS.get(importer, ()), name
            assert own not in AT_IMPORT or not at_import or importer in AT_IMPORT, name
        else:
            top = name.partition(".")[0]
            assert importer in ALIVE.get(top, {importer}), name
            typing_only = top == "_typeshed" and path.suffix == ".pyi"
            extra = (top in EXTRAS and not at_import) or top in AT_IMPORT.get(importer, ())
            assert top in sys.stdlib_module_names or typing_only or extra, name


def room_of(module: str) -> str:
    return module.partition(".")[0]


def own_imports(path: Path) -> set[str]:
    """The modules of the package that a module imports."""
    known = {module_name(module) for module in MODULES}
    found = {name.removeprefix(".") for name, _ in imports(path) if name.startswith(".")}
    return {name for name in found if name in known} - {module_name(path)}


@pytest.mark.parametrize("path", [path for path in MODULES if module_name(path)], ids=relative)
def test_rooms_of_the_package(path: Path) -> None:
    importer = module_name(path)
    if importer in COMMANDS:
        return
    own = room_of(importer)
    assert own in PACKAGE_MAY_USE, "a file without a place in the table"
    for name in own_imports(path):
        assert room_of(name) in PACKAGE_MAY_USE[own] | {own}, name


@pytest.mark.parametrize("name", sorted(TASK_RULES))
def test_rules_of_tasks_know_no_clock_and_no_thread(name: str) -> None:
    path = PACKAGE / f"{name.replace('.', '/')}.py"
    assert own_imports(path) <= FOR_TASK_RULES
    assert not {module for module, _ in imports(path)} & {"time", "datetime", "threading", "os", "asyncio", "select"}


def test_no_circle_of_modules() -> None:
    edges = {module_name(path): own_imports(path) for path in MODULES if path.suffix == ".py" and module_name(path)}
    order = graphlib.TopologicalSorter(edges)
    order.prepare()  # CycleError names the circle


@pytest.mark.parametrize("path", [*sources(CSRC, ".h", ".hpp", ".cpp"), *FUZZ, *MODULES], ids=relative)
def test_files_are_short(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_FILE_LINES, "has it two reasons to change?"


def head_of(lines: list[str], index: int) -> int:
    """The first line of the statement that line ``index`` belongs to."""
    while index and not re.search(r"([;{}:]|^|//.*)$", lines[index - 1]) and not lines[index - 1].startswith("#"):
        index -= 1
    return index


def bodies(text: str) -> Iterator[tuple[int, int]]:
    """The first line and the length of every body in braces, by the indentation that clang-format gives."""
    lines = text.splitlines()
    for opening, line in enumerate(lines):
        head = lines[head_of(lines, opening)]
        start = head.lstrip()
        no_code = ("namespace", "class", "struct", "union", "enum", "extern", "//")
        if not line.endswith("{") or start.startswith(no_code) or line.lstrip().startswith(no_code):
            continue
        closing = head[: len(head) - len(start)] + "}"
        last = next(index for index in range(opening + 1, len(lines)) if lines[index].startswith(closing))
        yield opening + 1, last - opening - 1


@pytest.mark.parametrize("path", [*CORE_FILES, *HOST, *CAPI], ids=relative)
def test_functions_are_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert [(line, length) for line, length in bodies(text) if length > MAX_FUNCTION_LINES] == []


def test_the_length_of_a_body_is_its_lines() -> None:
    text = """\
namespace a {

A::A(int b)
    : b_(b),
      c_(0) {
    if (b) {
        c_++;
    } else {
        c_--;
    }
}

// A comment {
int f(int b,
      int c) {
    return b;
}

}  // namespace a
"""
    assert list(bodies(text)) == [(5, 5), (6, 1), (8, 1), (15, 1)]
