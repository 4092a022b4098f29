"""A manager that is driven through the C ABI, with the methods of `grantwheel.Manager` that tests use.

So the conformance runner and the model drive both alike. A quota is asked by the library, in one-step calls. With a
recorder the calls are made in two steps, and this asks the quota and the recorder in between.
"""

from collections.abc import Callable, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

from capi_library import NO_BUDGET, NO_DEADLINE, clamped, ffi, lib, new, string
from capi_values import (
    ALL,
    KINDS,
    Command,
    caller_of,
    command_of,
    documented_rows,
    event_of,
    mask_of,
    number,
    policy_of,
    record_of,
    request_of,
)
from grantwheel import (
    Caller,
    Cause,
    Clock,
    EfficiencyResourcesInfo,
    Event,
    Infos,
    OwnerKind,
    Policy,
    Record,
    RecordInfo,
    ResourceType,
    _core,
)
from grantwheel.listing import listing

HOST_ERRORS = (lib.GW_TIME_BACKWARDS, lib.GW_TIME_OUT_OF_RANGE, lib.GW_ARGUMENT_INVALID, lib.GW_IN_CALLBACK)


def check(status: int, sentence: str = "") -> None:
    """Raise what a status stands for."""
    if status == lib.GW_OK:
        return
    if status in HOST_ERRORS:
        raise ValueError(ffi.string(lib.gw_status_text(status)).decode())
    raise _core.business_error(status, sentence)


class Reader:
    """A cursor into the events of a manager."""

    def __init__(self, manager: "CapiManager") -> None:
        self._manager = manager
        self._after = manager.last_sequence
        self.missed = 0

    def drain(self, limit: int | None = None) -> list[Event]:
        """Return the events since the last drain."""
        events, missed = self._manager.read(self._after, limit)
        self.missed += missed
        self._after = events[-1].sequence if events else self._after
        return events


class CapiManager:
    """A gw_manager, its clock and its readers."""

    def __init__(
        self,
        *,
        clock: Clock,
        policy: Policy | None = None,
        max_records: int = 1_000_000,
        max_strings: int = 65_536,
        event_capacity: int = 1 << 16,
        recorder: Callable[[Command], object] | None = None,
    ) -> None:
        limits = new("gw_limits", max_records=max_records, max_strings=max_strings, event_capacity=event_capacity)
        handle = ffi.new("gw_manager **")
        check(lib.gw_create(limits, handle))
        self._handle = ffi.gc(handle[0], lib.gw_destroy)
        self._clock = clock
        self._recorder = recorder
        self._quota: Any = None
        self._functions: dict[str, Any] = {}  # the library calls them as long as the policy is in force
        self._readers: dict[str, Reader] = {}
        self._mask = ffi.new("uint32_t *")
        self._event = new("gw_event")
        self._record = new("gw_record")
        self._own = Reader(self)
        self.set_policy(Policy() if policy is None else policy)

    def close(self) -> None:
        """Free the manager."""
        ffi.release(self._handle)

    # Changes

    def _change(self, name: str, *arguments: Any) -> int:
        """Make a changing call, in two steps when there is a recorder; answer the mask."""
        if self._recorder is None:
            check(getattr(lib, f"gw_{name}")(self._handle, *arguments, self._clock.now(), self._mask))
            return int(self._mask[0])
        command = new("gw_command")
        admit = "gw_admit" if name == "perform" else f"gw_admit_{name}"
        check(getattr(lib, admit)(self._handle, *arguments, self._clock.now(), command))
        said = command_of(command, self._clock.now())
        asks = self._quota is not None and command.ask_quota
        if asks and not self._quota.check(said.uid, said.bundle, said.mask, said.kind == "apply"):
            check(lib.GW_PERMISSION_DENIED)
        try:
            self._recorder(said)
        except Exception as error:
            raise _core.business_error(lib.GW_TRANSACTION_FAILED) from error
        check(lib.gw_execute(self._handle, command, said.now, self._mask))
        return int(self._mask[0])

    def _caller(self, uid: int, pid: int, caller: Caller | None) -> Any:
        """The gw_caller of a typed call."""
        if caller is not None:
            return caller_of(caller, uid, pid)
        registered = new("gw_caller")
        check(lib.gw_caller_of(self._handle, number(uid), number(pid), registered))
        return registered

    def _perform(self, caller: Any, request: Any) -> int:
        return self._change("perform", caller, request)

    def apply(
        self,
        uid: int,
        pid: int,
        mask: int,
        timeout_ms: int,
        *,
        persist: bool = False,
        process: bool = False,
        reason: str = "",
        cpu_level: int = -1,
        caller: Caller | None = None,
        only_held: bool = False,
    ) -> int:
        """Apply; return the mask in effect."""
        flags: dict[str, Any] = {"is_persist": persist, "is_process": process, "only_held": only_held}
        request = request_of(mask, timeout_ms, reason, is_apply=True, cpu_level=cpu_level, **flags)
        return self._perform(self._caller(uid, pid, caller), request)

    def renew(self, uid: int, pid: int, mask: int, timeout_ms: int, **how: Any) -> int:
        """Apply for what is held; return it."""
        return self.apply(uid, pid, mask, timeout_ms, **how, only_held=True)

    def release(
        self, uid: int, pid: int, mask: int, *, process: bool = False, cpu_level: int = -1, caller: Caller | None = None
    ) -> int:
        """Release; return the mask removed."""
        request = request_of(mask, 0, is_apply=False, is_process=process, cpu_level=cpu_level)
        return self._perform(self._caller(uid, pid, caller), request)

    def reset_all(self, uid: int, pid: int, *, caller: Caller | None = None) -> int:
        """Release all that is allowed."""
        return self._change("reset_all", self._caller(uid, pid, caller))

    def apply_request(self, *args: Any, caller: Caller) -> int:
        """Carry out a documented request, read by the package's own parser."""
        mask, is_apply, is_persist, is_process, cpu_level, timeout_ms, reason = _core.read_request(*args)
        flags = {"is_apply": is_apply, "is_persist": is_persist, "is_process": is_process}
        request = request_of(mask, timeout_ms, reason, cpu_level=cpu_level, **flags)
        return self._perform(caller_of(caller), request)

    def reset_all_request(self, *, caller: Caller) -> int:
        """Release all that is allowed."""
        return self._change("reset_all", caller_of(caller))

    def process_died(self, uid: int, pid: int) -> int:
        """Hear of a death."""
        return self._change("process_died", number(uid), number(pid))

    def app_stopped(self, uid: int) -> int:
        """Hear that an application was stopped."""
        return self._change("app_stopped", number(uid))

    def package_removed(self, uid: int) -> int:
        """Hear that a package was removed."""
        return self._change("package_removed", number(uid))

    def admin_reset_all(self) -> int:
        """Reset everything."""
        return self._change("admin_reset_all")

    def admin_reset_app(self, uid: int, mask: int) -> int:
        """Reset some types of an app."""
        return self._change("admin_reset_app", number(uid), mask_of(mask))

    def admin_reset_process(self, pid: int, mask: int) -> int:
        """Reset some types of a process."""
        return self._change("admin_reset_process", number(pid), mask_of(mask))

    def admin_list(self) -> str:
        """Return a text that lists every record."""
        return listing(self.records())

    # Batches

    @staticmethod
    def _column(values: Sequence[int], otherwise: int = 2**32 - 1) -> Any:
        """A column; what 32 bits cannot hold becomes what is refused in the same way."""
        return ffi.new("uint32_t[]", [clamped(value, 0, 2**32 - 1, otherwise) for value in values])

    def _many(self, name: str, *columns: Any) -> list[int]:
        count = len(columns[0])
        results = ffi.new("gw_result[]", count)
        check(getattr(lib, f"gw_{name}")(self._handle, count, *columns, self._clock.now(), results))
        codes = [lib.gw_status_public_code(result.status) for result in results]
        assert all(not result.mask for result, code in zip(results, codes, strict=True) if code)
        return [-code or result.mask for result, code in zip(results, codes, strict=True)]

    def apply_many(
        self, uids: Sequence[int], pids: Sequence[int], masks: Sequence[int], timeouts_ms: Sequence[int]
    ) -> list[int]:
        """Apply for many; return masks, or minus the public codes."""
        if self._recorder is not None:
            rows = zip(uids, pids, masks, timeouts_ms, strict=True)
            return [self._result(partial(self.apply, *row)) for row in rows]
        columns = map(self._column, (uids, pids, masks))
        return self._many("apply_many", *columns, self._column(timeouts_ms, otherwise=0))

    def release_many(self, uids: Sequence[int], pids: Sequence[int], masks: Sequence[int]) -> list[int]:
        """Release for many."""
        if self._recorder is not None:
            rows = zip(uids, pids, masks, strict=True)
            return [self._result(partial(self.release, *row)) for row in rows]
        return self._many("release_many", *map(self._column, (uids, pids, masks)))

    def app_masks(self, uids: Sequence[int]) -> list[int]:
        """Return the masks of many apps."""
        return self._many("app_masks", self._column(uids))

    @staticmethod
    def _result(call: Callable[[], int]) -> int:
        try:
            return call()
        except _core.BusinessError as error:
            return -error.code

    # Policy and readiness

    def set_policy(self, policy: Policy) -> None:
        """Replace the policy and its quota."""
        quota = policy.quota
        functions: dict[str, Any] = {}
        if quota is not None:

            def ask(_: object, command: Any) -> bool:
                is_apply = command.kind == lib.GW_COMMAND_APPLY
                return quota.check(command.uid, string(command.bundle), command.mask, is_apply)

            functions["quota_check"] = ffi.callback("gw_quota_check", ask)
            functions["quota_settle"] = ffi.callback("gw_quota_settle", lambda _, uid: quota.settle(uid))
        check(lib.gw_set_policy(self._handle, policy_of(policy, **functions)))
        self._functions, self._quota = functions, quota

    @property
    def ready(self) -> bool:
        """Whether requests are carried out."""
        return bool(lib.gw_ready(self._handle))

    @ready.setter
    def ready(self, value: bool) -> None:
        check(lib.gw_set_ready(self._handle, value))

    # Time

    def advance(self, budget: int | None = None) -> int:
        """End what is due; return the number of grants."""
        ended, more = ffi.new("size_t *"), ffi.new("uint8_t *")
        check(lib.gw_advance(self._handle, self._clock.now(), NO_BUDGET if budget is None else budget, ended, more))
        assert budget is not None or not more[0]
        return int(ended[0])

    def next_deadline(self) -> int | None:
        """Return the earliest deadline."""
        deadline = ffi.new("uint64_t *")
        check(lib.gw_next_deadline(self._handle, self._clock.now(), deadline))
        return None if deadline[0] == NO_DEADLINE else int(deadline[0])

    @property
    def wake_at(self) -> int | None:
        """Return an instant not later than the earliest deadline."""
        wake = int(lib.gw_wake_at(self._handle))
        return None if wake == NO_DEADLINE else wake

    # Reads

    def _owner(self, kind: int, key: int, most: int) -> tuple[int, int]:
        if not 0 <= key <= most:
            check(lib.GW_IDENTITY_INVALID)
        return kind, key

    def _mask_of(self, owner: tuple[int, int]) -> int:
        check(lib.gw_mask(self._handle, owner, self._clock.now(), self._mask))
        return int(self._mask[0])

    def app_mask(self, uid: int) -> int:
        """Return what an app holds."""
        return self._mask_of(self._owner(lib.GW_OWNER_APP, uid, 2**32 - 2))

    def process_mask(self, pid: int) -> int:
        """Return what a process holds."""
        return self._mask_of(self._owner(lib.GW_OWNER_PROCESS, pid, 2**31 - 1))

    def _find(self, owner: Any) -> Record | None:
        now = self._clock.now()
        check(lib.gw_find(self._handle, owner, now, self._record))
        return record_of(self._record, now) if self._record.mask else None

    def find_app(self, uid: int) -> Record | None:
        """Return the record of an app."""
        return self._find(self._owner(lib.GW_OWNER_APP, uid, 2**32 - 2))

    def find_process(self, pid: int) -> Record | None:
        """Return the record of a process."""
        return self._find(self._owner(lib.GW_OWNER_PROCESS, pid, 2**31 - 1))

    def _owners(self, types: int, after: Any, limit: int | None = None) -> list[tuple[int, int]]:
        most = lib.gw_most_owners(self._handle, types)
        capacity = most if limit is None else limit
        owners, count = ffi.new("gw_owner[]", capacity), ffi.new("size_t *")
        check(lib.gw_owners(self._handle, types, after, self._clock.now(), owners, capacity, count))
        assert count[0] <= min(most, capacity)
        return [(owner.kind, owner.key) for owner in owners[0 : count[0]]]

    def records(self, after: Record | None = None, limit: int | None = None) -> list[Record]:
        """Return every record, by pages."""
        start = ffi.NULL
        if after is not None:
            kind = lib.GW_OWNER_APP if after.kind is OwnerKind.APP else lib.GW_OWNER_PROCESS
            start = ffi.new("gw_owner *", (kind, after.uid if after.kind is OwnerKind.APP else after.pid))
        found = [self._find(owner) for owner in self._owners(ALL, start, limit)]
        return [record for record in found if record is not None]

    def holders(self, resource_type: int) -> tuple[list[int], list[int]]:
        """Return who holds a type."""
        owners = self._owners(resource_type, ffi.NULL)
        apps, processes = (
            [key for each, key in owners if KINDS[each] is kind] for kind in (OwnerKind.APP, OwnerKind.PROCESS)
        )
        return apps, processes

    def count(self, resource_type: int) -> int:
        """Return how many hold a type."""
        count = ffi.new("size_t *")
        check(lib.gw_count(self._handle, resource_type, self._clock.now(), count))
        return int(count[0])

    def get_all(self, *, caller: Caller) -> list[EfficiencyResourcesInfo]:
        """Return the grants of the caller's uid."""
        now, who = self._clock.now(), caller_of(caller)
        check(lib.gw_admit_query(self._handle, who, now))
        total = ffi.new("size_t *")
        check(lib.gw_owners_of(self._handle, caller.uid, now, ffi.NULL, 0, total))
        owners = ffi.new("gw_owner[]", total[0])
        check(lib.gw_owners_of(self._handle, caller.uid, now, owners, total[0], total))
        records = [self._find(owner) for owner in owners]
        return [row for record in records if record is not None for row in documented_rows(record)]

    def infos(self, *, caller: Caller) -> Infos:
        """Return every record of everyone."""
        check(lib.gw_admit_native(self._handle, caller_of(caller)))
        rows: dict[OwnerKind, list[RecordInfo]] = {kind: [] for kind in OwnerKind}
        for record in self.records():
            row = RecordInfo(record.uid, record.pid, record.mask, record.bundle, record.cpu_level)
            rows[record.kind].append(row)
        return Infos(rows[OwnerKind.APP], rows[OwnerKind.PROCESS])

    def stats(self) -> SimpleNamespace:
        """Return plain numbers: those of `grantwheel.Stats` that the engine counts."""
        stats = new("gw_stats")
        check(lib.gw_get_stats(self._handle, self._clock.now(), stats))
        return SimpleNamespace(
            app_records=stats.app_records,
            process_records=stats.process_records,
            app_grants=dict(zip(ResourceType, stats.app_grants, strict=True)),
            process_grants=dict(zip(ResourceType, stats.process_grants, strict=True)),
            granted=stats.granted,
            renewed=stats.renewed,
            ended={
                cause: stats.ended[getattr(lib, f"GW_CAUSE_{cause.name}")]
                for cause in Cause
                if cause is not Cause.APPLY
            },
            strings=stats.strings,
            last_sequence=stats.last_sequence,
        )

    def validate(self) -> None:
        """Check every invariant."""
        broken = lib.gw_validate(self._handle)
        assert not broken, ffi.string(broken).decode()

    # Events

    @property
    def last_sequence(self) -> int:
        """Return the number of the newest event."""
        return int(lib.gw_last_sequence(self._handle))

    def read(self, after: int, limit: int | None = None) -> tuple[list[Event], int]:
        """Return the events after a number, and how many were overwritten before them."""
        there = self.last_sequence - max(after, lib.gw_first_sequence(self._handle) - 1)
        capacity = there if limit is None else min(limit, there)
        events = ffi.new("gw_event[]", max(capacity, 1))
        events[0].size = ffi.sizeof("gw_event")
        count, missed = ffi.new("size_t *"), ffi.new("uint64_t *")
        check(lib.gw_read(self._handle, after, events, capacity, count, missed))
        return [event_of(event) for event in events[0 : count[0]]], missed[0]

    def drain(self, limit: int | None = None) -> list[Event]:
        """Return the events since the last drain."""
        return self._own.drain(limit)

    @property
    def missed(self) -> int:
        """How many events were overwritten before they were drained."""
        return self._own.missed

    def subscribe(self, subscriber: str | None, *, caller: Caller | None = None) -> Reader:
        """Start a reader: who may is asked of the library, who has is the host's to know."""
        if subscriber is None:
            check(lib.GW_SUBSCRIBER_NULL, "subscriber must be given.")
            raise AssertionError
        who = self._caller(0, 0, None) if caller is None else caller_of(caller)
        check(lib.gw_admit_native(self._handle, who))
        if subscriber in self._readers:
            check(lib.GW_SUBSCRIBED_TWICE)
        return self._readers.setdefault(subscriber, Reader(self))

    def unsubscribe(self, subscriber: str | None) -> None:
        """End a reader."""
        if subscriber is None:
            check(lib.GW_SUBSCRIBER_NULL, "subscriber must be given.")
        elif subscriber not in self._readers:
            check(lib.GW_SUBSCRIBER_UNKNOWN)
        else:
            del self._readers[subscriber]
