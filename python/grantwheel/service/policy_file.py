"""``policy.toml``: who may hold what, who may administrate, and who may act for others."""

import os
import pwd
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from grantwheel.caller import Caller
from grantwheel.policy import EVERY_TYPE, OverTimeoutMax, Policy
from grantwheel.tasks.policy import TaskPolicy
from grantwheel.types import BackgroundMode, ResourceType

from .peers import Peer

_TABLES: Final = {
    "": (
        *("administrators", "act_for", "unknown_bundles", "over_timeout_max", "task_keeping"),
        *("default", "default_caller", "bundles", "callers"),
    ),
    "default": ("allowed", "timeout_max_ms"),
    "bundle": ("allowed", "timeout_max_ms", "cpu_level_max", "abilities"),
    "caller": ("bundle", "system_app", "service_extension", "native", "keep_background_running"),
}
_FULL: Final = Caller(system_app=True, native=True)
_NOBODY: Final = Caller(keep_background_running=False)
_MOST_BYTES: Final = 16 << 20
_MAX_UID: Final = 2**32 - 2
_MAX_NAME_BYTES: Final = 1024


class PolicyFileError(ValueError):
    """A policy file that is not right: the message names the file, the line where it is known, and the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """What a service knows of those who may come.

    Parameters
    ----------
    policy : Policy
        What each bundle may hold, and which bundle and flags each uid has.
    administrators : frozenset of int
        The uids that may administrate.
    act_for : frozenset of int
        The uids that may name other uids and pids.
    tasks : TaskPolicy
        Which modes the abilities of each bundle declare.
    """

    policy: Policy
    administrators: frozenset[int]
    act_for: frozenset[int]
    tasks: TaskPolicy

    def peer(self, uid: int, pid: int) -> Peer:
        """Return what a process of a uid is to the service."""
        return Peer(uid=uid, pid=pid, may_act_for=uid in self.act_for, is_admin=uid in self.administrators)


def default(own_uid: int | None = None) -> Registry:
    """Return what counts without a file: root and the service's own uid may hold everything, others nothing."""
    trusted = _trusted(own_uid)
    policy = Policy(cpu_level_max={"": 2}, callers=dict.fromkeys(sorted(trusted), _FULL), default_caller=_NOBODY)
    return Registry(
        policy=policy, administrators=trusted, act_for=trusted, tasks=TaskPolicy(abilities=_of_trusted(trusted))
    )


def read(path: str | os.PathLike[str], own_uid: int | None = None) -> Registry:
    """Return what a policy file says.

    Parameters
    ----------
    path : str or os.PathLike
        The file.
    own_uid : int
        The uid of the service. Default: that of this process. Like root, it may hold everything, administrate and act
        for others where the file does not say otherwise.

    Raises
    ------
    PolicyFileError
        The file is not right.
    OSError
        It cannot be read.
    """
    with Path(path).open("rb") as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise PolicyFileError(f"{path}: a policy file may have at most {_MOST_BYTES} bytes")
    try:
        text = content.decode()
        given = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise PolicyFileError(f"{path}: it is not UTF-8 (at line {line})") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise PolicyFileError(f"{path}: {error}") from None  # it says the line itself
    try:
        return _registry(given, _trusted(own_uid))
    except (ValueError, TypeError) as error:
        place = _line_of(text, str(error).removeprefix("a key of "))
        raise PolicyFileError(f"{path}: {error}{place and f' (at line {place})'}") from None


def _line_of(text: str, said: str) -> int | str:
    """Return the number of the line that has the key with which a message begins, or nothing where none is seen."""
    best, found = "", 0
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        is_header = line.lstrip().startswith("[")
        try:
            keys = tomllib.loads(line if is_header else line.partition("=")[0] + "= 0")
        except tomllib.TOMLDecodeError:
            continue  # a part of a value over several lines
        place = "" if is_header else table
        inner: Any = keys
        while isinstance(inner, dict) and inner:
            ((name, inner),) = inner.items()
            place = _place(place, name)
        if is_header:
            table = place
        if len(place) > len(best) and said.startswith(place) and said[len(place) : len(place) + 1] in " .[:":
            best, found = place, number
    return found or ""


def _trusted(own_uid: int | None) -> frozenset[int]:
    return frozenset({0, os.geteuid() if own_uid is None else own_uid})


def _of_trusted(trusted: frozenset[int]) -> dict[str, None]:
    """Return that the bundles of those who may have everything, which are named after their uids, declare it."""
    return dict.fromkeys(map(bundle_of_uid, sorted(trusted)))


def bundle_of_uid(uid: int) -> str:
    """Return the bundle that tasks of a uid are of which needs none in the policy, as it may have everything."""
    return f"uid.{uid}"


def _registry(given: dict[str, Any], trusted: frozenset[int]) -> Registry:
    _know(given, "", "")
    general = _table(given.get("default", {}), "default", "default")
    bundles = {
        name: _table(value, _place("bundles", name), "bundle")
        for name, value in _mapping(given.get("bundles", {}), "bundles").items()
    }
    callers = dict.fromkeys(sorted(trusted), _FULL)
    named: dict[int, str] = {}
    for name, value in _mapping(given.get("callers", {}), "callers").items():
        place = _place("callers", name)
        uid = _uid(int(name) if _is_number(name) else name, place)
        if uid in named:
            raise ValueError(f"{place}: uid {uid} is named already, by {named[uid]}")
        named[uid] = place
        callers[uid] = _caller(value, place)
    allowed: dict[str, ResourceType] = {"": ResourceType.ALL}  # those without a bundle: root, and the service's own uid
    levels: dict[str, int] = {"": 2}
    timeouts: dict[str, dict[ResourceType, int]] = {}
    default_caller = _caller(given["default_caller"], "default_caller") if "default_caller" in given else _NOBODY
    abilities: dict[str, dict[str, list[BackgroundMode]] | None] = {**_of_trusted(trusted)}
    for caller in (*callers.values(), default_caller):
        abilities[caller.bundle] = {}  # whoever the file calls so has what it says and no more
    for name, table in bundles.items():
        place = _place("bundles", name)
        _bundle(name, place)
        if "allowed" in table:
            allowed[name] = _types(table["allowed"], f"{place}.allowed")
        if "cpu_level_max" in table:
            levels[name] = _within(table["cpu_level_max"], f"{place}.cpu_level_max", 0, 2)
        abilities[name] = _abilities(table.get("abilities", {}), f"{place}.abilities")
        if "timeout_max_ms" in table:
            timeouts[name] = _timeouts(table["timeout_max_ms"], f"{place}.timeout_max_ms")
            if not timeouts[name]:
                raise ValueError(
                    f"{place}.timeout_max_ms must name a type: an empty table would lift the limits of default; left "
                    "out, those count"
                )
    policy = Policy(
        allowed=allowed,
        default_allowed=_types(general.get("allowed", []), "default.allowed"),
        unknown_bundles=_list(given.get("unknown_bundles", []), "unknown_bundles", _bundle),
        cpu_level_max=levels,
        timeout_max_ms=timeouts,
        default_timeout_max_ms=_timeouts(general.get("timeout_max_ms", {}), "default.timeout_max_ms"),
        over_timeout_max=given.get("over_timeout_max", OverTimeoutMax.CAP),
        callers=callers,
        default_caller=default_caller,
    )
    lists = {
        name: frozenset(_list(given[name], name, _uid)) if name in given else trusted
        for name in ("administrators", "act_for")
    }
    keeping = _flag(given.get("task_keeping", False), "task_keeping")
    return Registry(policy=policy, tasks=TaskPolicy(abilities=abilities, task_keeping=keeping), **lists)


def _caller(value: object, place: str) -> Caller:
    table = _table(value, place, "caller")
    if "bundle" not in table:
        raise ValueError(f"{place}.bundle is missing")
    flags = {name: _flag(table[name], f"{place}.{name}") for name in _TABLES["caller"][1:] if name in table}
    return Caller(bundle=_bundle(table["bundle"], f"{place}.bundle"), **flags)


def _flag(value: object, place: str) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{place} must be true or false, not {_kind(value)}")
    return value


def _abilities(value: object, place: str) -> dict[str, list[BackgroundMode]]:
    """Return which modes each ability declares."""
    return {name: _list(modes, _place(place, name), _mode) for name, modes in _mapping(value, place).items()}


def _mode(value: object, place: str) -> BackgroundMode:
    """Return a mode that is given by name, or by its documented number."""
    if isinstance(value, str):
        try:
            return BackgroundMode[value]
        except KeyError:
            known = ", ".join(one.name for one in BackgroundMode)
            raise ValueError(f"{place} must be one of {known}, not {value!r}") from None
    return BackgroundMode(_within(value, place, 1, len(BackgroundMode)))


def _types(value: object, place: str) -> ResourceType:
    """Return types that are named one by one, or by their documented numbers; 0 is every type."""
    union = ResourceType(0)
    for one in _list(value, place, _type):
        union |= one
    return union


def _type(value: object, place: str) -> ResourceType:
    if isinstance(value, str):
        try:
            return ResourceType[value]
        except KeyError:
            known = ", ".join(one.name for one in ResourceType if one.name)
            raise ValueError(f"{place} must be one of {known}, ALL, not {value!r}") from None
    number = _within(value, place, 0, 9)
    return ResourceType.ALL if number == EVERY_TYPE else ResourceType(1 << number - 1)


def _timeouts(value: object, place: str) -> dict[ResourceType, int]:
    """Return the longest timeouts by type; where a type is named twice, the shorter one, as in a policy."""
    shortest: dict[ResourceType, int] = {}
    for name, given in _mapping(value, place).items():
        key = _type(int(name) if _is_number(name) else name, f"a key of {place}")
        timeout_ms = _within(given, _place(place, name), 1, 2**32 - 1)
        shortest[key] = min(timeout_ms, shortest.get(key, timeout_ms))
    return shortest


def _uid(value: object, place: str) -> int:
    """Return a uid that is given as a number, or as the name of a user."""
    if isinstance(value, str):
        try:
            return pwd.getpwnam(value).pw_uid
        except (KeyError, ValueError):
            raise ValueError(f"{place}: there is no user {value!r}") from None
    return _within(value, place, 0, _MAX_UID)


def _table(value: object, place: str, kind: str) -> dict[str, Any]:
    table = _mapping(value, place)
    _know(table, kind, place)
    return table


def _know(table: Mapping[str, Any], kind: str, place: str) -> None:
    for name in table:
        if name not in _TABLES[kind]:
            known = ", ".join(_TABLES[kind])
            raise ValueError(f"{_place(place, name)} is no key of a policy file; there are {known}")


def _mapping(value: object, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{place} must be a table, not {_kind(value)}")
    return value


def _list(value: object, place: str, convert: Callable[[object, str], Any]) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"{place} must be an array, not {_kind(value)}")
    return [convert(one, f"{place}[{index}]") for index, one in enumerate(value)]


def _bundle(value: object, place: str) -> str:
    """Return the name of a bundle; the empty one, of root and the service's own uid, may hold everything."""
    if not isinstance(value, str):
        raise TypeError(f"{place} must be a string, not {_kind(value)}")
    if not value:
        raise ValueError(f"{place} must be the name of a bundle, not empty: that would give everything, as to root")
    if "*" in value:
        raise ValueError(f"{place} must be the name of one bundle: no * stands for others, as default does")
    if not value.isprintable() or " " in value:
        raise ValueError(f"{place} must be the name of a bundle, without spaces, not {value!r}")
    if len(value.encode()) > _MAX_NAME_BYTES:
        raise ValueError(f"{place} must be the name of a bundle, of at most {_MAX_NAME_BYTES} bytes")
    return value


def _within(value: object, place: str, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{place} must be an integer, not {_kind(value)}")
    if not least <= value <= most:
        raise ValueError(f"{place} must be within {least}..{most}, not {value}")
    return value


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdecimal() and len(name) <= 10


def _place(table: str, name: str) -> str:
    """Return a key as it stands in the file."""
    bare = name if name and name.isascii() and name.replace("-", "_").replace("_", "a").isalnum() else repr(name)
    return f"{table}.{bare}" if table else bare


def _kind(value: object) -> str:
    names = {bool: "a boolean", int: "an integer", float: "a float", str: "a string", list: "an array", dict: "a table"}
    return names.get(type(value), "a date or a time")
