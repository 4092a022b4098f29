"""The examples and docs/embedding.md: built against an installed grantwheel, run, and what they print is checked.

The commands of the page are run as they stand, in folders of their own. One build of the library serves them all.
"""

import os
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import grantwheel

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
PAGE = (ROOT / "docs" / "embedding.md").read_text(encoding="utf-8")
CLIENTS = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")

# The tools that were installed with the tests come first; all CPUs build.
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
WARNINGS = "-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror"
ENVIRONMENT = {
    **os.environ,
    "PATH": PATH,
    "CMAKE_GENERATOR": "Ninja",
    "CFLAGS": WARNINGS,
    "CXXFLAGS": f"{WARNINGS} -fno-exceptions -fno-rtti",
}
PATIENCE = 120  # seconds that an example may take, on a machine that is busy with other things

TYPES = ["CPU", "COMMON_EVENT", "TIMER", "WORK_SCHEDULER", "BLUETOOTH", "GPS", "AUDIO", "RUNNING_LOCK", "SENSOR"]

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        not any(shutil.which(name) for name in filter(None, (os.environ.get("CXX"), "c++", "g++", "clang++"))),
        reason="there is no C++ compiler",
    ),
]


class Code(NamedTuple):
    code: str
    output: str  # of the text block that follows, or nothing


def blocks(language: str) -> list[Code]:
    """The blocks of a language on the page, with the output if a text block follows."""
    text = r"(?:(?!^```).*\n)*?"
    after = rf"(?:\n(?:```sh\n{text}```\n\n)?```text\n({text})```\n)?"
    found = re.finditer(rf"^```{language}\n({text})```\n{after}", PAGE, re.MULTILINE)
    return [Code(match[1], match[2] or "") for match in found]


INSTALL, BUILD, PKG_CONFIG, WHEEL, BUILD_EXAMPLES = (block.code for block in blocks("sh"))
CMAKE_FOR_CPP, CMAKE_FOR_C, SUBDIRECTORY, FETCH = (block.code for block in blocks("cmake"))
(HOST_IN_C,) = blocks("c")
HOST_IN_CPP, *FRAGMENTS = blocks("cpp")


def run(*command: str | Path, cwd: Path = ROOT, **environment: str) -> str:
    """Run a command that has to succeed; give what it wrote to stdout, and all it wrote if it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**ENVIRONMENT, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home directory with grantwheel in .local, as the page has it: configured with no options."""
    folder = tmp_path_factory.mktemp("grantwheel")
    steps = [step.split() for step in INSTALL.strip().split(" && ")]
    assert [step[:2] for step in steps] == [["cmake", "-S"], ["cmake", "--build"], ["cmake", "--install"]]
    assert steps[2][-2:] == ["--prefix", '"$HOME/.local"']
    home = folder / "home"
    build = folder / "build"
    run("cmake", "-S", ROOT, "-B", build, CFLAGS="", CXXFLAGS="")
    run("cmake", "--build", build)
    run("cmake", "--install", build, "--prefix", home / ".local")
    return home


def write_host(folder: Path, cmake: str, name: str, code: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "CMakeLists.txt").write_text(cmake, encoding="utf-8")
    (folder / name).write_text(code, encoding="utf-8")


def test_the_host_in_cpp(home: Path, tmp_path: Path) -> None:
    write_host(tmp_path, CMAKE_FOR_CPP, "host.cpp", HOST_IN_CPP.code)
    assert HOST_IN_CPP.output
    assert run("sh", "-c", BUILD, cwd=tmp_path, HOME=str(home)).endswith(f"\n{HOST_IN_CPP.output}")


def test_the_host_in_c(home: Path, tmp_path: Path) -> None:
    cmake = f"{CMAKE_FOR_C}set_target_properties(host PROPERTIES C_STANDARD 11 C_EXTENSIONS OFF)\n"
    write_host(tmp_path, cmake, "host.c", HOST_IN_C.code)
    assert HOST_IN_C.output
    assert run("sh", "-c", BUILD, cwd=tmp_path, HOME=str(home)).endswith(f"\n{HOST_IN_C.output}")


@pytest.mark.skipif(shutil.which("pkg-config") is None, reason="there is no pkg-config")
def test_the_host_in_c_by_pkg_config(home: Path, tmp_path: Path) -> None:
    (tmp_path / "host.c").write_text(HOST_IN_C.code, encoding="utf-8")
    assert run("sh", "-c", PKG_CONFIG, cwd=tmp_path, HOME=str(home)) == HOST_IN_C.output


@pytest.mark.parametrize(
    ("cmake", "name", "host"), [(CMAKE_FOR_CPP, "host.cpp", HOST_IN_CPP), (CMAKE_FOR_C, "host.c", HOST_IN_C)]
)
def test_a_host_over_the_python_package(cmake: str, name: str, host: Code, tmp_path: Path) -> None:
    write_host(tmp_path, cmake, name, host.code)
    assert run("sh", "-c", WHEEL, cwd=tmp_path).endswith(f"\n{host.output}")


def test_grantwheel_as_a_subdirectory_of_a_host_and_the_examples(tmp_path: Path) -> None:
    cmake = CMAKE_FOR_CPP.replace("find_package(grantwheel 0.1 CONFIG REQUIRED)\n", SUBDIRECTORY)
    assert SUBDIRECTORY in cmake
    cmake = cmake.replace("LANGUAGES CXX", "LANGUAGES C CXX") + f'add_subdirectory("{EXAMPLES}" examples)\n'
    write_host(tmp_path, cmake, "host.cpp", HOST_IN_CPP.code)
    (tmp_path / "third_party").mkdir()
    (tmp_path / "third_party" / "grantwheel").symlink_to(ROOT)
    run("cmake", "-S", tmp_path, "-B", tmp_path / "build", "-DCMAKE_BUILD_TYPE=Debug")
    run("cmake", "--build", tmp_path / "build", "--target", "host", "virtual_day", "journal_host")
    assert run(tmp_path / "build" / "host") == HOST_IN_CPP.output
    assert " 0 missed\n" in run(tmp_path / "build" / "examples" / "virtual_day", "100")
    # The shared library is not built unless somebody wants it, and here the example in C does.
    assert list((tmp_path / "build").rglob("libgrantwheel.so"))


def test_grantwheel_by_fetch_content(tmp_path: Path) -> None:
    cmake = CMAKE_FOR_CPP.replace("find_package(grantwheel 0.1 CONFIG REQUIRED)\n", FETCH)
    assert FETCH in cmake
    write_host(tmp_path, cmake, "host.cpp", HOST_IN_CPP.code)
    # From the tree instead of an archive. That it builds is what the test of the subdirectory says.
    run("cmake", "-S", tmp_path, "-B", tmp_path / "build", f"-DFETCHCONTENT_SOURCE_DIR_GRANTWHEEL={ROOT}")
    targets = run("cmake", "--build", tmp_path / "build", "--target", "help")
    assert "grantwheel_core" in targets


def test_the_fragments_of_the_page_compile(home: Path, tmp_path: Path) -> None:
    before = """
#include <cstdio>
#include <memory>
#include <mutex>
#include <span>
#include <vector>
#include <grantwheel/clock.hpp>
#include <grantwheel/manager.hpp>
namespace gw = grantwheel;
struct Host {
    std::mutex state, turn;
    std::unique_ptr<gw::Manager> manager;
    bool quota_allows(const gw::Command& command);
    bool journal_append(const gw::Command& command, gw::Instant now);
    void quota_settle(std::uint32_t uid);
};
"""
    assert len(FRAGMENTS) == 2
    declared = "".join(f"{re.sub(r' {$', ';', block.code.splitlines()[0])}\n" for block in FRAGMENTS)
    file = tmp_path / "fragments.cpp"
    file.write_text("\n".join([before, declared, *(block.code for block in FRAGMENTS)]), encoding="utf-8")
    compiler = os.environ.get("CXX", "c++")
    flags = ENVIRONMENT["CXXFLAGS"].split()
    run(compiler, "-std=c++20", *flags, f"-I{home}/.local/include", "-fsyntax-only", file)


@pytest.fixture(scope="module")
def built(home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of the examples that the command of the page has built, and what the command printed."""
    folder = tmp_path_factory.mktemp("examples")
    shutil.copytree(EXAMPLES, folder / "examples")
    return folder / "build" / "examples", run("sh", "-c", BUILD_EXAMPLES, cwd=folder, HOME=str(home))


@pytest.fixture(scope="module")
def folder(built: tuple[Path, str]) -> Path:
    return built[0]


def test_every_example_is_built_and_shown() -> None:
    listed = (EXAMPLES / "CMakeLists.txt").read_text(encoding="utf-8")
    sources = [path for path in EXAMPLES.iterdir() if path.suffix in {".c", ".cpp"}]
    assert len(sources) == 6
    for path in sources:
        assert path.stem in listed
        page = CLIENTS if path.stem == "service_client" else PAGE
        assert f"(../examples/{path.name})" in page


@pytest.mark.parametrize("name", ["epoll_host", "journal_host", "sharded_host", "virtual_day"])
def test_help_is_printed_and_options_are_refused(folder: Path, tmp_path: Path, name: str) -> None:
    def ask(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(folder / name), *arguments]
        return subprocess.run(
            command, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )

    helped = ask("--help")
    assert (helped.returncode, helped.stderr) == (0, "")
    assert helped.stdout.startswith(f"usage: {name} [" if name != "journal_host" else "usage: journal_host JOURNAL\n")
    for arguments in (["--no-such-option"], ["-x"], ["1", "--seed"], ["1"] * 4):
        refused = ask(*arguments)
        assert (refused.returncode, refused.stdout, refused.stderr) == (2, "", helped.stdout)
    if name != "journal_host":
        assert ask("12x").returncode == 2
    assert list(tmp_path.iterdir()) == []


class Host:
    """An example that reads lines, in a process of its own."""

    def __init__(self, *command: str | Path, **options: object) -> None:
        self.process: subprocess.Popen[str] = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **options,  # type: ignore[call-overload]
        )
        self.watchdog = threading.Timer(PATIENCE, self.process.kill)
        self.watchdog.start()

    def write(self, *lines: str) -> None:
        """Write all lines at once, so that the host reads them at once."""
        assert self.process.stdin is not None
        self.process.stdin.write("".join(f"{line}\n" for line in lines))
        self.process.stdin.flush()

    def read(self, count: int) -> list[str]:
        assert self.process.stdout is not None
        return [self.process.stdout.readline().removesuffix("\n") for _ in range(count)]

    def end(self) -> tuple[int, list[str]]:
        """Close the input; give the exit code, and the lines that were still to be read."""
        output, _ = self.process.communicate()
        self.watchdog.cancel()
        return self.process.returncode, output.splitlines()

    def stop(self) -> None:
        self.process.kill()
        self.end()


@pytest.fixture
def start() -> Iterator[Callable[..., Host]]:
    started: list[Host] = []

    def start_one(*command: str | Path, **options: object) -> Host:
        started.append(Host(*command, **options))
        return started[-1]

    yield start_one
    for host in started:
        if host.process.poll() is None:
            host.stop()
        host.watchdog.cancel()


def time_of(event: str) -> int:
    (found,) = re.findall(r"^event \d+ at (\d+): ", event)
    return int(found)


# These three hosts are about real time, so the tests are too: they wait for what the hosts print, as long as it takes,
# and compare the instants that are printed.


def test_the_epoll_host_tells_of_an_expiry_when_it_happens(folder: Path, start: Callable[..., Host]) -> None:
    host = start(folder / "epoll_host")
    host.write("apply 1000 GPS 300", "apply 1001 AUDIO 0", "who AUDIO")
    assert host.read(3) == ["ok GPS", "ok AUDIO", "1: 1001"]
    first, second, third = host.read(3)
    assert re.fullmatch(r"event 1 at \d+: app_apply apply 1000 GPS", first)
    assert re.fullmatch(r"event 2 at \d+: app_apply apply 1001 AUDIO", second)
    assert third == f"event 3 at {time_of(first) + 300}: app_reset expired 1000 GPS"
    host.write("release 1001 AUDIO")
    assert host.read(1) == ["ok AUDIO"]
    assert host.read(1)[0].endswith(": app_reset release 1001 AUDIO")
    host.write("apply 1002 CPU 0", "stop 1002", "quit", "who CPU")
    code, rest = host.end()
    assert code == 0
    assert rest[:2] == ["ok CPU", "ok CPU"]
    assert [line.split(": ")[1] for line in rest[2:4]] == ["app_apply apply 1002 CPU", "app_reset app_stopped 1002 CPU"]
    assert rest[4:] == ["bye"]


def test_the_epoll_host_sleeps_and_sets_its_timer_anew(folder: Path, start: Callable[..., Host]) -> None:
    def cpu_seconds() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    before = cpu_seconds()
    host = start(folder / "epoll_host")
    host.write("apply 1000 GPS 60000", "apply 1001 GPS 100", "apply 1001 GPS 400")
    host.read(3)
    _, second = host.read(2)
    (third,) = host.read(1)
    assert third.endswith(": app_reset expired 1001 GPS")
    assert time_of(third) >= time_of(second) + 400
    assert host.end() == (0, ["bye"])
    assert cpu_seconds() - before < 0.2  # a host that did not sleep could use up to 0.4


def test_the_epoll_host_says_what_it_has_missed(folder: Path, start: Callable[..., Host]) -> None:
    host = start(folder / "epoll_host", "4")
    host.write(*(f"apply {uid} GPS 0" for uid in range(7)))
    assert host.read(7) == ["ok GPS"] * 7
    missed, *events = host.read(5)
    assert missed == "missed 3 events"
    assert [event.split()[1] for event in events] == ["4", "5", "6", "7"]
    assert host.end() == (0, ["bye"])


def test_the_epoll_host_refuses(folder: Path, start: Callable[..., Host]) -> None:
    host = start(folder / "epoll_host")
    host.write("apply 1000 SMELL 5", "apply 1000 GPS -5", "apply x GPS 5", "dance", "", "who GPS")
    *refused, unknown, none = host.read(5)
    assert [line.split(" must")[0] for line in refused] == ["refused: mask", "refused: mask", "refused: uid"]
    assert (unknown, none) == ("no such command", "0:")
    assert host.end() == (0, ["bye"])
    no_manager = start(folder / "epoll_host", "0")
    assert no_manager.end() == (1, ["no manager: event_capacity"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_epoll_host_ends_by_a_signal(folder: Path, start: Callable[..., Host], number: int) -> None:
    host = start(folder / "epoll_host")
    host.write("who GPS")  # when it answers, it is ready for signals
    assert host.read(1) == ["0:"]
    host.process.send_signal(number)
    assert host.read(1) == ["bye"]
    assert host.end() == (0, [])


def groups_of(journal: bytes) -> list[bytes]:
    """The groups of a journal of the example: each behind its head."""
    groups = []
    while journal:
        size, turned = struct.unpack_from("=II", journal)
        assert size ^ turned == 0xFFFFFFFF
        groups.append(journal[8 : 8 + size])
        assert len(groups[-1]) == size
        journal = journal[8 + size :]
    return groups


def head_of(size: int) -> bytes:
    """What a group of that size has in front: the size, and the size with all bits turned."""
    return struct.pack("=II", size, size ^ 0xFFFFFFFF)


def held_after(journal: Path, *uids: int) -> list[int]:
    """What somebody else who follows the journal says that these apps hold, as of its last command."""
    follower = grantwheel.replay(groups_of(journal.read_bytes()))
    return [follower.app_mask(uid) for uid in uids]


def test_the_journal_host_survives_a_crash(folder: Path, tmp_path: Path, start: Callable[..., Host]) -> None:
    journal = tmp_path / "journal"
    host = start(folder / "journal_host", journal)
    assert host.read(1) == ["replayed 0 groups"]
    host.write("apply 1000 32 0 the way home")
    answer, event = sorted(host.read(2))
    assert answer == "apply 1000 32 0 the way home: ok 32"
    assert event.endswith(": 1000 gets 32")
    host.write("apply 1001 65 3600000", "apply 1002 32 2000")  # which go in either order
    (timed,) = (line for line in host.read(4) if line.endswith(": 1002 gets 32"))
    host.write("apply 1000 999 5")
    assert host.read(1) == ["apply 1000 999 5: request_invalid 0"]
    host.write("dance")
    assert host.read(1) == ["dance: argument_invalid 0"]
    host.stop()

    written = journal.read_bytes()
    assert b"the way home" in written
    assert held_after(journal, 1000, 1001, 1002) == [32, 65, 32]
    with journal.open("ab") as file:
        file.write(head_of(50) + b"half of a group")  # as a crash may leave it

    host = start(folder / "journal_host", journal)
    assert host.read(1) == [f"replayed {len(groups_of(written))} groups"]
    (expiry,) = host.read(1)  # it has ended meanwhile, or does now
    assert time_of(expiry) == time_of(timed) + 2000
    assert expiry.endswith(": 1002 loses 32")
    host.write("mask 1000")
    assert host.read(1) == ["mask 1000: ok 32"]
    host.write("release 1001 1")
    assert sorted(host.read(2))[1] == "release 1001 1: ok 1"
    host.end()
    assert journal.read_bytes().startswith(written)
    assert held_after(journal, 1000, 1001, 1002) == [32, 64, 0]


def test_clients_of_the_journal_host_share_groups(folder: Path, tmp_path: Path, start: Callable[..., Host]) -> None:
    journal = tmp_path / "journal"
    host = start(folder / "journal_host", journal)
    host.write(*(f"apply {1000 + number} 32 0" for number in range(400)))
    lines = host.read(801)
    assert sum(line.endswith(": ok 32") for line in lines) == 400
    assert host.end() == (0, [])
    assert held_after(journal, *range(1000, 1400)) == [32] * 400
    assert len(groups_of(journal.read_bytes())) <= 400
    second = start(folder / "journal_host", journal)
    assert second.read(1)[0].startswith("replayed ")
    assert start(folder / "journal_host", journal).end()[0] == 1  # there is one writer


def test_the_journal_host_does_nothing_that_is_not_on_record(
    folder: Path, tmp_path: Path, start: Callable[..., Host]
) -> None:
    journal = tmp_path / "journal"
    # Python ignores the signal about files that grow too large, and the host inherits that.
    host = start(
        folder / "journal_host",
        journal,
        restore_signals=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10)),
    )
    host.write("apply 1000 32 0")
    assert host.read(2)[1] == "apply 1000 32 0: transaction_failed 0"
    host.write("mask 1000")
    assert host.read(1) == ["mask 1000: ok 0"]
    assert host.end() == (0, [])
    assert journal.read_bytes() == b""


# An apply at the instant 2^61, as gw_encode writes it, behind its head.
LATE_GROUP = head_of(29) + bytes.fromhex("150000000100808080808080808020000020e80701e80700004db8f989")


def test_the_time_of_a_journal_goes_on_whatever_the_clock_says(
    folder: Path, tmp_path: Path, start: Callable[..., Host]
) -> None:
    journal = tmp_path / "journal"
    journal.write_bytes(LATE_GROUP)
    host = start(folder / "journal_host", journal)
    assert host.read(1) == ["replayed 1 groups"]
    (expiry,) = host.read(1)
    assert time_of(expiry) == 2**61 + 1000


# Text; a group that is no ops; and a size of which a bit has flipped, so that it goes beyond the end.
@pytest.mark.parametrize(
    "content",
    [
        b"what is this?\n",
        head_of(4) + b"oops",
        *(bytes([LATE_GROUP[0] ^ 0x40, *LATE_GROUP[1:]]) + LATE_GROUP * more for more in (0, 1)),
    ],
)
def test_the_journal_host_refuses_a_journal(
    folder: Path, tmp_path: Path, start: Callable[..., Host], content: bytes
) -> None:
    journal = tmp_path / "journal"
    journal.write_bytes(content)
    assert start(folder / "journal_host", journal).end() == (1, [f"{journal}: damaged at byte 0"])
    assert journal.read_bytes() == content


def clock_text(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:03}"


def summed_up(events: Path) -> str:
    """What the example prints of a day, from the events that it has written."""
    held: Counter[int] = Counter()
    grants: Counter[int] = Counter()
    ended: dict[int, Counter[str]] = defaultdict(Counter)
    since: dict[tuple[int, int], int] = {}
    longest: dict[int, tuple[int, int, int, int]] = {}
    for line in events.read_text(encoding="utf-8").splitlines():
        time_text, what, cause, uid_text, mask_text = line.split()
        time, uid, mask = int(time_text), int(uid_text), int(mask_text)
        for bit in (bit for bit in range(9) if mask >> bit & 1):
            if what == "begin":
                assert (uid, bit) not in since
                since[uid, bit] = time
                grants[bit] += 1
                held[bit] -= time
            else:
                begin = since.pop((uid, bit))
                ended[bit][cause] += 1
                held[bit] += time
                if uid not in longest or time - begin > longest[uid][0]:
                    longest[uid] = (time - begin, bit, begin, time)
    assert not since  # midnight has ended all
    causes = ("release", "expired", "app_stopped", "admin")
    lines = [f"{'type':14} {'held':>18} {'grants':>8} " + " ".join(f"{cause:>11}" for cause in causes)]
    for bit, name in enumerate(TYPES):
        assert set(ended[bit]) <= set(causes)
        counts = " ".join(f"{ended[bit][cause]:>11}" for cause in causes)
        lines.append(f"{name:14} {clock_text(held[bit]):>18} {grants[bit]:>8} {counts}")
    lines += ["", "the apps with the longest holds: how long, from, to"]
    for uid, (length, bit, begin, end) in sorted(longest.items(), key=lambda item: (-item[1][0], item[0]))[:10]:
        lines.append(f"{uid:6} {TYPES[bit]:14} {clock_text(length)}  {clock_text(begin)}  {clock_text(end)}")
    return "".join(f"{line}\n" for line in lines)


@pytest.mark.parametrize(("apps", "seed"), [(1, 1), (2000, 7)])
def test_the_virtual_day_says_what_its_events_say(folder: Path, tmp_path: Path, apps: int, seed: int) -> None:
    file = tmp_path / "events"
    head, rest = run(folder / "virtual_day", str(apps), str(seed), file).split("\n\n", 1)
    events = file.read_text(encoding="utf-8").count("\n")
    assert re.fullmatch(rf"a day of {apps} apps: \d+ calls, 0 refused, {events} events, 0 missed", head)
    assert rest == summed_up(file)


def test_the_virtual_day_of_ten_thousand_apps_is_always_the_same(built: tuple[Path, str]) -> None:
    folder, printed = built
    day = run(folder / "virtual_day")
    assert day.startswith("a day of 10000 apps: ")
    assert ", 0 refused, " in day
    assert ", 0 missed\n" in day
    assert printed.endswith(day)  # the command of the page ends with it
    assert run(folder / "virtual_day", "10000", "2") != day


def test_shards_do_together_what_one_manager_does(folder: Path) -> None:
    assert run(folder / "sharded_host") == (
        "GPS is held by 10 apps: 1000 1001 1002 1003 1004 1005 1006 1007 1008 1009\n"
        "CPU is held by 1 process\n"
        "the death of 1000's process 42 takes 0, that of 1001's 1\n"
        "14 events, 0 missed\n"
        "to be woken: yes\n"
    )


def test_shards_are_measured(folder: Path) -> None:
    rate = r" +\d+\.\d\d"
    gain = r", \d+\.\d\d times one thread"
    lines = [
        f"{count:2} managers, {threads} threads:{rate}{gain * (threads - 1)}\n"
        for count in (1, 16, 64)
        for threads in (1, 2)
    ]
    head = "million calls a second, medians of 3 rounds:\n"
    assert re.fullmatch(head + "".join(lines), run(folder / "sharded_host", "2000", "3"))
