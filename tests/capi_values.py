"""Between the values of the package and those of the C ABI: callers, requests, policies, records and events."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from capi_library import NO_DEADLINE, array, clamped, lib, new, string
from grantwheel import (
    Caller,
    Cause,
    EfficiencyResourcesInfo,
    Event,
    EventKind,
    Grant,
    OwnerKind,
    Policy,
    Record,
    ResourceType,
)

KINDS: Final = {lib.GW_OWNER_APP: OwnerKind.APP, lib.GW_OWNER_PROCESS: OwnerKind.PROCESS}
COMMANDS: Final = {
    getattr(lib, f"GW_COMMAND_{name.upper()}"): name
    for name in (
        *("apply", "release", "reset_all", "process_died", "app_stopped", "package_removed"),
        *("admin_reset_all", "admin_reset_app", "admin_reset_process"),
    )
}
EVENTS: Final = {getattr(lib, f"GW_EVENT_{kind.name}"): kind for kind in EventKind}
CAUSES: Final = {getattr(lib, f"GW_CAUSE_{cause.name}"): cause for cause in Cause}
CPU: Final = int(lib.GW_TYPE_CPU)
ALL: Final = int(lib.GW_TYPE_ALL)
LEVEL_OUT_OF_RANGE: Final = 3


class Command(NamedTuple):
    """A gw_command as a journal of a test gets it, with its instant."""

    kind: str
    now: int
    uid: int
    pid: int
    mask: int
    timeout_ms: int
    persist: bool
    process: bool
    cpu_level: int
    bundle: str
    reason: str
    caps_ms: tuple[tuple[ResourceType, int], ...]


def caller_of(caller: Caller, uid: int | None = None, pid: int | None = None) -> Any:
    """The gw_caller of a caller, with another uid and pid if they are given."""
    return new(
        "gw_caller",
        uid=number(caller.uid if uid is None else uid),
        pid=number(caller.pid if pid is None else pid),
        bundle=caller.bundle,
        system_app=caller.system_app,
        service_extension=caller.service_extension,
        native=caller.native,
    )


def request_of(mask: int, timeout_ms: int, reason: str = "", *, cpu_level: int = -1, **flags: bool) -> Any:
    """A gw_request; the flags are is_apply, is_persist and is_process."""
    return new(
        "gw_request",
        mask=mask_of(mask),
        cpu_level=clamped(cpu_level, -(2**31), 2**31 - 1, LEVEL_OUT_OF_RANGE),
        timeout_ms=clamped(timeout_ms, 0, 2**64 - 1, 2**64 - 1),
        reason=reason,
        **flags,
    )


def number(value: int) -> int:
    """A uid or pid as an int64_t; one beyond becomes another that is out of range."""
    return clamped(value, -(2**63), 2**63 - 1, -1)


def mask_of(value: int) -> int:
    """A mask as a uint32_t; one beyond becomes another that is out of range."""
    return clamped(value, 0, 2**32 - 1, 2**32 - 1)


def mask_of_types(types: Iterable[int]) -> int:
    """The mask of the types of a policy."""
    return sum(int(bit) for bit in types)


def timeouts_of(timeouts: Mapping[Any, Any]) -> list[int]:
    """The timeouts of a policy by the bit position of the type."""
    return [timeouts.get(1 << position, 0) for position in range(lib.GW_TYPE_COUNT)]


def policy_of(policy: Policy, **quota: Any) -> Any:
    """The gw_policy of a policy; ``quota`` are its functions."""
    default = mask_of_types(policy.default_allowed)
    usual = policy.default_timeout_max_ms
    refuses = policy.over_timeout_max == "refuse"
    unknown = set(policy.unknown_bundles)
    rules = [
        new(
            "gw_bundle_rule",
            allowed=mask_of_types(policy.allowed[bundle]) if bundle in policy.allowed else default,
            level_limit=policy.cpu_level_max.get(bundle, -1),
            is_known=bundle not in unknown,
            bundle=bundle,
            refuses_longer=refuses,
            timeout_max_ms=timeouts_of(policy.timeout_max_ms.get(bundle, usual)),
        )
        for bundle in sorted({*policy.allowed, *policy.cpu_level_max, *policy.timeout_max_ms, *unknown})
    ]
    callers = [caller_of(caller, uid=uid) for uid, caller in policy.callers.items()]
    return new(
        "gw_policy",
        default_rule=new(
            "gw_bundle_rule",
            allowed=default,
            level_limit=-1,
            is_known=1,
            refuses_longer=refuses,
            timeout_max_ms=timeouts_of(usual),
        ),
        rules=array("gw_bundle_rule", rules),
        rule_count=len(rules),
        default_caller=caller_of(policy.default_caller),
        callers=array("gw_caller", callers),
        caller_count=len(callers),
        **quota,
    )


def command_of(command: Any, now: int) -> Command:
    """The package's form of a gw_command."""
    return Command(
        kind=COMMANDS[command.kind],
        now=now,
        uid=command.uid,
        pid=command.pid,
        mask=command.mask,
        timeout_ms=command.timeout_ms,
        persist=bool(command.is_persist),
        process=bool(command.is_process),
        cpu_level=command.cpu_level,
        bundle=string(command.bundle),
        reason=string(command.reason),
        caps_ms=tuple((bit, command.caps_ms[bit.bit_length() - 1]) for bit in ResourceType(command.capped)),
    )


def event_of(event: Any) -> Event:
    """The package's form of a gw_event."""
    return Event(
        sequence=event.sequence,
        time=event.time,
        kind=EVENTS[event.kind],
        cause=CAUSES[event.cause],
        uid=event.uid,
        pid=event.pid,
        mask=event.mask,
        bundle=string(event.bundle),
        cpu_level=event.cpu_level,
    )


def record_of(record: Any, now: int) -> Record:
    """The package's form of a gw_record."""
    grants = []
    for grant in record.grants[0 : record.grant_count]:
        persist = bool(grant.is_persist)
        assert persist == (grant.deadline == NO_DEADLINE)
        grants.append(
            Grant(
                type=ResourceType(grant.type),
                persist=persist,
                timeout_ms=grant.timeout_ms,
                deadline_ms=None if persist else grant.deadline,
                remaining_ms=None if persist else grant.deadline - now,
                reason=string(grant.reason),
            )
        )
    return Record(
        kind=KINDS[record.owner.kind],
        uid=record.uid,
        pid=record.pid,
        mask=record.mask,
        bundle=string(record.bundle),
        cpu_level=record.cpu_level,
        grants=tuple(grants),
    )


def documented_rows(record: Record) -> list[EfficiencyResourcesInfo]:
    """The rows of get all that a record gives."""
    return [
        EfficiencyResourcesInfo(
            resourceTypes=grant.type,
            timeout=grant.timeout_ms,
            remaining=grant.remaining_ms,
            isPersistent=grant.persist,
            isForProcess=record.kind is OwnerKind.PROCESS,
            reason=grant.reason,
            uid=record.uid,
            pid=record.pid,
            cpuLevel=record.cpu_level if grant.type == CPU and record.cpu_level != -1 else None,
        )
        for grant in record.grants
    ]
