"""The policy file of the service: what it says, and how it is refused."""

import os
import pwd
from pathlib import Path

import pytest

from grantwheel import (
    Ability,
    BackgroundMode,
    Caller,
    Manager,
    NotSystemAppError,
    PermissionDeniedError,
    ResourceType,
)
from grantwheel.service import policy_file
from grantwheel.service.policy_file import PolicyFileError

OWN_UID = 990
WHOLE = """
administrators = [0, 1000]
act_for = []
unknown_bundles = ["com.example.unknown"]
over_timeout_max = "refuse"
task_keeping = true

[default]
allowed = ["TIMER", 1]
timeout_max_ms = { TIMER = 60000, 1 = 1000 }

[default_caller]
bundle = "com.example.any"

[bundles."com.example.nav"]
allowed = ["GPS", "CPU"]
cpu_level_max = 1
timeout_max_ms = { GPS = 5000 }
abilities = { Route = ["LOCATION", 2] }

[bundles.every]
allowed = [0]

[callers.1000]
bundle = "com.example.nav"
system_app = true
native = true
"""


def written(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "policy.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_the_whole_of_it(tmp_path: Path) -> None:
    found = policy_file.read(written(tmp_path, WHOLE), OWN_UID)
    assert found.administrators == {0, 1000}
    assert found.act_for == frozenset()
    policy = found.policy
    assert policy.allowed["com.example.nav"] == ResourceType.GPS | ResourceType.CPU
    assert policy.allowed["every"] == ResourceType.ALL
    assert policy.default_allowed == ResourceType.TIMER | ResourceType.CPU
    assert policy.default_timeout_max_ms == {ResourceType.CPU: 1000, ResourceType.TIMER: 60000}
    assert policy.timeout_max_ms["com.example.nav"] == {ResourceType.GPS: 5000}
    assert policy.cpu_level_max["com.example.nav"] == 1
    assert policy.unknown_bundles == {"com.example.unknown"}
    assert policy.over_timeout_max == "refuse"
    assert policy.callers[1000] == Caller(bundle="com.example.nav", system_app=True, native=True)
    assert policy.default_caller == Caller(bundle="com.example.any")
    assert found.tasks.task_keeping
    declared = found.tasks.allowed("com.example.nav", Ability("Route")).declared
    assert declared == {BackgroundMode.LOCATION, BackgroundMode.AUDIO_PLAYBACK}
    for bundle, ability in (("com.example.nav", "Other"), ("every", "Route"), ("com.example.any", "Route")):
        assert found.tasks.allowed(bundle, Ability(ability)).declared == frozenset()
    peer = found.peer(1000, 5)
    assert (peer.uid, peer.pid, peer.caller, peer.is_admin, peer.may_act_for) == (1000, 5, None, True, False)


@pytest.mark.parametrize("is_file", [False, True])
def test_without_a_word_root_and_the_own_uid_may_do_everything_and_others_nothing(
    tmp_path: Path, is_file: bool
) -> None:
    found = policy_file.read(written(tmp_path, ""), OWN_UID) if is_file else policy_file.default(OWN_UID)
    assert found.administrators == found.act_for == {0, OWN_UID}
    with Manager(policy=found.policy) as manager:
        for uid in (0, OWN_UID):
            assert manager.apply(uid, 1, ResourceType.ALL, 1000, cpu_level=2) == ResourceType.ALL
        with pytest.raises(NotSystemAppError):
            manager.apply(1000, 1, ResourceType.CPU, 1000)
    assert not found.policy.default_caller.keep_background_running
    assert found.tasks.allowed("uid.0", Ability("any")).declared is None
    assert found.tasks.allowed("uid.1000", Ability("any")).declared == frozenset()


def test_a_bundle_with_the_name_of_roots_own_has_what_the_file_says(tmp_path: Path) -> None:
    for text in ('[callers.1000]\nbundle = "uid.0"', '[default_caller]\nbundle = "uid.0"', '[bundles."uid.0"]'):
        found = policy_file.read(written(tmp_path, text), OWN_UID)
        assert found.tasks.allowed("uid.0", Ability("any")).declared == frozenset()
        assert found.tasks.allowed(f"uid.{OWN_UID}", Ability("any")).declared is None


def test_a_user_can_be_named(tmp_path: Path) -> None:
    name = pwd.getpwuid(os.getuid()).pw_name
    text = f'administrators = ["{name}"]\n[callers.{name}]\nbundle = "own"\n'
    found = policy_file.read(written(tmp_path, text), OWN_UID)
    assert found.administrators == {os.getuid()}
    assert found.policy.callers[os.getuid()].bundle == "own"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = \n", "line 1"),
        ("a = 1\na = 2\n", "line 2"),
        (b"# \xff", "not UTF-8 (at line 1)"),
        (b"\n\n# \xff", "not UTF-8 (at line 3)"),
        ("admins = [0]", "admins is no key of a policy file"),
        ("administrators = 0", "administrators must be an array, not an integer"),
        ("administrators = [-1]", "administrators[0] must be within 0..4294967294, not -1"),
        ("administrators = [true]", "administrators[0] must be an integer, not a boolean"),
        ('act_for = ["no-such-user-here"]', "act_for[0]: there is no user 'no-such-user-here'"),
        ('over_timeout_max = "cut"', "over_timeout_max must be 'cap' or 'refuse'"),
        ("over_timeout_max = [1]", "over_timeout_max must be 'cap' or 'refuse'"),
        ("unknown_bundles = [1]", "unknown_bundles[0] must be a string"),
        ('[default]\nallowed = ["FUSION"]', "default.allowed[0] must be one of CPU"),
        ("[default]\nallowed = [10]", "default.allowed[0] must be within 0..9, not 10"),
        ("[default]\nallowed = [1.5]", "default.allowed[0] must be an integer, not a float"),
        ("[default]\ntimeout_max_ms = { CPU = 0 }", "default.timeout_max_ms.CPU must be within 1..4294967295"),
        ("[default]\ntimeout_max_ms = { WIND = 5 }", "a key of default.timeout_max_ms must be one of"),
        ("[default]\ntimeout_max = { }", "default.timeout_max is no key"),
        ("[bundles]\nx = 1", "bundles.x must be a table, not an integer"),
        ('[bundles."a.b"]\ncpu_level_max = 3', "bundles.'a.b'.cpu_level_max must be within 0..2, not 3"),
        ("[callers.1000]\nsystem_app = true", "callers.1000.bundle is missing"),
        ('[callers.1000]\nbundle = "a"\nnative = 1', "callers.1000.native must be true or false, not an integer"),
        ('[callers.1000]\nbundle = "a"\nroot = true', "callers.1000.root is no key"),
        ('[callers.4294967295]\nbundle = "a"', "callers.4294967295 must be within"),
        ('[callers.7]\nbundle = "a"\n[callers.07]\nbundle = "b"', "callers.07: uid 7 is named already, by callers.7"),
        ("[default_caller]\nnative = true", "default_caller.bundle is missing"),
        ('[callers.1000]\nbundle = ""', "callers.1000.bundle must be the name of a bundle, not empty"),
        ('[default_caller]\nbundle = ""', "default_caller.bundle must be the name of a bundle, not empty"),
        ('[bundles.""]\nallowed = []', "bundles.'' must be the name of a bundle, not empty"),
        ('unknown_bundles = [""]', "unknown_bundles[0] must be the name of a bundle, not empty"),
        ('[bundles."*"]\nallowed = []', "bundles.'*' must be the name of one bundle: no * stands for others"),
        ('[callers.1000]\nbundle = "com.example.*"', "callers.1000.bundle must be the name of one bundle"),
        ('[callers.1000]\nbundle = " "', "callers.1000.bundle must be the name of a bundle, without spaces, not ' '"),
        ('[callers.1000]\nbundle = "a\\u0000"', "callers.1000.bundle must be the name of a bundle, without spaces"),
        (
            f'[callers.1000]\nbundle = "{"é" * 513}"',
            "callers.1000.bundle must be the name of a bundle, of at most 1024",
        ),
        ('[callers."*"]\nbundle = "a"', "callers.'*': there is no user '*'"),
        ('[callers.""]\nbundle = "a"', "callers.'': there is no user ''"),
        ('act_for = [""]', "act_for[0]: there is no user ''"),
        (
            '[callers.0]\nbundle = "a"\n[callers.root]\nbundle = "b"',
            "callers.root: uid 0 is named already, by callers.0",
        ),
        ("[bundles.a]\ntimeout_max_ms = {}", "bundles.a.timeout_max_ms must name a type"),
        ("task_keeping = 1", "task_keeping must be true or false, not an integer"),
        ("[bundles.a]\nabilities = []", "bundles.a.abilities must be a table, not an array"),
        ("[bundles.a.abilities]\nA = 1", "bundles.a.abilities.A must be an array, not an integer"),
        ('[bundles.a.abilities]\n"A b" = [0]', "bundles.a.abilities.'A b'[0] must be within 1..9, not 0"),
        ("[bundles.a.abilities]\nA = [true]", "bundles.a.abilities.A[0] must be an integer, not a boolean"),
        ('[bundles.a.abilities]\nA = ["SLEEP"]', "bundles.a.abilities.A[0] must be one of DATA_TRANSFER"),
        (
            '[callers.1000]\nbundle = "a"\nkeep_background_running = 1',
            "callers.1000.keep_background_running must be true or false, not an integer",
        ),
        ("a = " + "[" * 100_000, ""),
    ],
)
def test_what_is_not_right_is_refused_with_file_and_key(tmp_path: Path, text: str | bytes, said: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(PolicyFileError) as refused:
        policy_file.read(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("# a policy\n\nadmins = [0]", 3),
        ("administrators = [\n  0,\n  -1,\n]", 1),
        ('[default]\nallowed = []\n\n[bundles."a.b"]\nallowed = ["CPU"]\ncpu_level_max = 3', 6),
        ("[default]\nallowed = [10]\n[bundles.a]\nallowed = []", 2),
        ("[callers.1000]\nnative = true", 1),
        ("[default]\ntimeout_max_ms = { WIND = 5 }", 2),
        ("default.allowed = [77]", 1),
        ('[callers.1000]\nsystem_app = true\nbundle = ""', 3),
        ('[default]\n\n[bundles.""]\nallowed = []', 3),
        ("[bundles.a]\nallowed = [1]\n[bundles.a.timeout_max_ms]", 3),
        ("[bundles.a]\n[bundles.a.abilities]\nA = [1]\nB = [0]", 4),
        ("task_keeping = 1", 1),
    ],
)
def test_the_line_of_a_key_is_named(tmp_path: Path, text: str, line: int) -> None:
    with pytest.raises(PolicyFileError, match=rf"\(at line {line}\)$"):
        policy_file.read(written(tmp_path, text))


def test_where_a_type_is_named_twice_the_shorter_timeout_counts(tmp_path: Path) -> None:
    for given in ("CPU = 5, 1 = 7000", "1 = 7000, CPU = 5", "ALL = 7000, 0 = 5"):
        found = policy_file.read(written(tmp_path, f"[bundles.a]\ntimeout_max_ms = {{ {given} }}"))
        assert found.policy.timeout_max_ms["a"][ResourceType.CPU] == 5


def test_what_is_empty_gives_nothing(tmp_path: Path) -> None:
    text = "administrators = []\nact_for = []\n[default]\nallowed = [0]\n[bundles.a]\nallowed = []\n"
    found = policy_file.read(written(tmp_path, text + '[callers.5]\nbundle = "a"\nsystem_app = true\n'), OWN_UID)
    assert found.administrators == found.act_for == frozenset()
    with Manager(policy=found.policy) as manager, pytest.raises(PermissionDeniedError):
        manager.apply(5, 1, ResourceType.CPU, 1000)


def test_a_file_that_is_not_there_or_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError):
        policy_file.read(tmp_path / "none")
    monkeypatch.setattr(policy_file, "_MOST_BYTES", 8)
    with pytest.raises(PolicyFileError, match="at most 8 bytes"):
        policy_file.read(written(tmp_path, WHOLE))


def test_the_example() -> None:
    example = Path(__file__).parent.parent / "examples" / "systemd" / "policy.toml"
    assert policy_file.read(example, OWN_UID).policy.callers
