"""The model of the engine in dicts and `min`: slow, and right at a glance.

Every call takes ``now`` and first ends all that is due by then, in the order of deadlines. The engine reports the same
endings later, when it meets them; the comparison allows for that, and for nothing else.

Views are plain tuples with the fields of those that `grantwheel` returns, so that both compare as equal. Events are
tuples (time, kind, cause, uid, pid, mask, bundle, cpu_level).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from grantwheel import Caller, Policy
from model_policy import (
    ALL,
    CPU,
    DEFAULT_LEVEL,
    MAX_TIMEOUT,
    OUT_OF_MEMORY,
    RETAINED,
    TRANSACTION_FAILED,
    Gate,
    Refused,
    check_identity,
    check_mask,
)
from model_record import BITS_OF, FOREVER, Grant, InfoTuple, Record, RecordTuple, RowTuple

EventTuple = tuple[int, str, str, int, int, int, str, int]
ENDING_CAUSES = (
    *("release", "reset_all", "expired", "process_died", "app_stopped", "package_removed", "pid_reused", "admin"),
    "recovered",
)


class Model:
    """What a manager has to do. `events` grows; whoever reads it may clear it.

    Parameters
    ----------
    policy : Policy
        As a manager takes it; its quota hook is asked and told.
    max_records, max_strings : int
        As a manager takes them.
    """

    def __init__(self, policy: Policy, max_records: int = 1_000_000, max_strings: int = 65_536) -> None:
        self.gate = Gate(policy)
        self.max_records = max_records
        self.max_strings = max_strings
        self.journal_works = True
        self.apps: dict[int, Record] = {}
        self.processes: dict[int, Record] = {}
        self.events: list[EventTuple] = []
        self._nothing_due_before = FOREVER
        self._granted = 0
        self._renewed = 0
        self._ended = dict.fromkeys(ENDING_CAUSES, 0)

    # Requests

    def apply(
        self,
        now: int,
        uid: int,
        pid: int,
        mask: int,
        timeout_ms: int,
        *,
        persist: bool = False,
        process: bool = False,
        reason: str = "",
        cpu_level: int = DEFAULT_LEVEL,
        caller: Caller | None = None,
        only_held: bool = False,
    ) -> int:
        """Apply for types; answer those in effect."""
        self.settle(now)
        who = self.gate.caller(uid, caller)
        invalid = not 0 <= timeout_ms <= MAX_TIMEOUT or (timeout_ms == 0 and not persist)
        effective = self.gate.admit_request(uid, pid, who, mask, reason, cpu_level, invalid)
        caps = self.gate.longest(who.bundle, effective, timeout_ms, persist)
        if only_held:
            effective &= self._held(uid, pid, process=process)
        if not process and (not persist or CPU in caps):
            self.gate.ask_quota(uid, who.bundle, effective, is_apply=True)
        self._commit()
        if not effective:
            return 0
        caps = {bit: most for bit, most in caps.items() if bit & effective}
        for_process = effective & CPU if process else 0
        for_app = effective & ~for_process
        self._check_capacity(uid, pid, bool(for_process), bool(for_app), (reason, who.bundle))
        if for_process:
            reused = self.processes.get(pid)
            if reused is not None and reused.uid != uid:
                self._remove(reused, ALL, now, "pid_reused")
            record = self.processes.get(pid) or Record(False, uid, pid, who.bundle)
            self._merge(record, pid, who.bundle, for_process, now, timeout_ms, persist, reason, cpu_level, caps)
        if for_app:
            record = self.apps.get(uid) or Record(True, uid, pid, who.bundle)
            self._merge(record, pid, who.bundle, for_app, now, timeout_ms, persist, reason, cpu_level, caps)
        return effective

    def renew(self, now: int, uid: int, pid: int, mask: int, timeout_ms: int, **how: Any) -> int:
        """Apply for those of the types that are held; answer them."""
        return self.apply(now, uid, pid, mask, timeout_ms, **how, only_held=True)

    def release(
        self,
        now: int,
        uid: int,
        pid: int,
        mask: int,
        *,
        process: bool = False,
        cpu_level: int = DEFAULT_LEVEL,
        caller: Caller | None = None,
    ) -> int:
        """Release types; answer those that were removed, over all records."""
        self.settle(now)
        who = self.gate.caller(uid, caller)
        effective = self.gate.admit_request(uid, pid, who, mask, "", cpu_level, timed_without_timeout=False)
        if not process:
            self.gate.ask_quota(uid, who.bundle, effective, is_apply=False)
        self._commit()
        removed = 0
        if process and effective & CPU:
            own = self.processes.get(pid)
            if own is not None and own.uid == uid:
                removed |= self._remove(own, CPU, now, "release")
            effective &= ~CPU
        return removed | self._release_app(uid, effective, now, "release")

    def reset_all(self, now: int, uid: int, pid: int, *, caller: Caller | None = None) -> int:
        """Release every allowed type; answer those that were removed."""
        self.settle(now)
        allowed = self.gate.admit_reset_all(uid, pid, self.gate.caller(uid, caller))
        self._commit()
        return self._release_app(uid, allowed, now, "reset_all")

    def apply_many(
        self, now: int, uids: Sequence[int], pids: Sequence[int], masks: Sequence[int], timeouts_ms: Sequence[int]
    ) -> list[int]:
        """Apply one after the other; answer masks, or minus the public code."""
        answers = []
        for uid, pid, mask, timeout in zip(uids, pids, masks, timeouts_ms, strict=True):
            try:
                answers.append(self.apply(now, uid, pid, mask, timeout))
            except Refused as refused:
                answers.append(-refused.public)
        return answers

    def release_many(self, now: int, uids: Sequence[int], pids: Sequence[int], masks: Sequence[int]) -> list[int]:
        """Release one after the other; answer masks, or minus the public code."""
        answers = []
        for uid, pid, mask in zip(uids, pids, masks, strict=True):
            try:
                answers.append(self.release(now, uid, pid, mask))
            except Refused as refused:
                answers.append(-refused.public)
        return answers

    # Deaths and administration

    def process_died(self, now: int, uid: int, pid: int) -> int:
        """Drop the record of a process, except retained types."""
        self.settle(now)
        check_identity(uid, pid)
        self._commit()
        record = self.processes.get(pid)
        if record is None or record.uid != uid:
            return 0
        return self._remove(record, ALL & ~RETAINED, now, "process_died")

    def app_stopped(self, now: int, uid: int) -> int:
        """Drop what an application and its processes hold, except retained types."""
        self.settle(now)
        check_identity(uid)
        self._commit()
        return self._release_app(uid, ALL & ~RETAINED, now, "app_stopped")

    def package_removed(self, now: int, uid: int) -> int:
        """Drop all that an application and its processes hold."""
        self.settle(now)
        check_identity(uid)
        self._commit()
        return self._release_app(uid, ALL, now, "package_removed")

    def admin_reset_all(self, now: int) -> int:
        """Drop everything."""
        self.settle(now)
        self._commit()
        removed = 0
        for record in list(self._listing()):
            removed |= self._remove(record, ALL, now, "admin")
        return removed

    def admin_reset_app(self, now: int, uid: int, mask: int) -> int:
        """Drop types of one app record."""
        self.settle(now)
        check_mask(mask)
        check_identity(uid)
        self._commit()
        record = self.apps.get(uid)
        return 0 if record is None else self._remove(record, mask, now, "admin")

    def admin_reset_process(self, now: int, pid: int, mask: int) -> int:
        """Drop types of one process record."""
        self.settle(now)
        check_mask(mask)
        check_identity(0, pid)
        self._commit()
        record = self.processes.get(pid)
        return 0 if record is None else self._remove(record, mask, now, "admin")

    def recover(self, uids: Iterable[int], pids: Iterable[int]) -> int:
        """Drop what a start finds without a process, and answer how many grants that are.

        Records of these pids, and all of these apps that is not retained; what is due too, and without a word.
        """
        before = self._ended["recovered"]
        for records, keys, mask in ((self.processes, pids, ALL), (self.apps, uids, ALL & ~RETAINED)):
            for key in keys:
                if key in records:
                    self._take(records[key], mask, "recovered")
        return self._ended["recovered"] - before

    # Queries

    def app_mask(self, now: int, uid: int) -> int:
        """The types that an app record holds."""
        self.settle(now)
        record = self.apps.get(uid)
        return 0 if record is None else record.mask

    def process_mask(self, now: int, pid: int) -> int:
        """The types that a process record holds."""
        self.settle(now)
        record = self.processes.get(pid)
        return 0 if record is None else record.mask

    def app_masks(self, now: int, uids: Iterable[int]) -> list[int]:
        """The types that some app records hold."""
        return [self.app_mask(now, uid) for uid in uids]

    def find_app(self, now: int, uid: int) -> RecordTuple | None:
        """All that an app record holds."""
        self.settle(now)
        record = self.apps.get(uid)
        return None if record is None else record.view(now)

    def find_process(self, now: int, pid: int) -> RecordTuple | None:
        """All that a process record holds."""
        self.settle(now)
        record = self.processes.get(pid)
        return None if record is None else record.view(now)

    def records(self, now: int) -> list[RecordTuple]:
        """Everything, in listing order."""
        self.settle(now)
        return [record.view(now) for record in self._listing()]

    def holders(self, now: int, type_bit: int) -> tuple[list[int], list[int]]:
        """The uids of apps and the pids of processes that hold a type."""
        self.settle(now)
        holding = [record for record in self._listing() if type_bit in record.grants]
        return [record.uid for record in holding if record.is_app], [r.pid for r in holding if not r.is_app]

    def count(self, now: int, type_bit: int) -> int:
        """How many owners hold a type."""
        apps, processes = self.holders(now, type_bit)
        return len(apps) + len(processes)

    def infos(self, now: int, *, caller: Caller) -> tuple[list[InfoTuple], list[InfoTuple]]:
        """Every record of everyone, without grants."""
        self.settle(now)
        self.gate.admit_native(caller)
        apps = [record.info() for record in self._listing() if record.is_app]
        return apps, [record.info() for record in self._listing() if not record.is_app]

    def get_all(self, now: int, *, caller: Caller) -> list[RowTuple]:
        """A row for each grant of the caller's uid."""
        self.settle(now)
        self.gate.admit_query(caller)
        return [row for record in self._listing() if record.uid == caller.uid for row in record.rows(now)]

    def next_deadline(self, now: int) -> int | None:
        """The earliest deadline of all that is held."""
        self.settle(now)
        earliest = min((grant.deadline for grant in self._grants()), default=FOREVER)
        return None if earliest == FOREVER else earliest

    def stats(self, now: int) -> dict[str, object]:
        """Numbers of records, texts in use, and of grants so far."""
        self.settle(now)
        return {
            "app_records": len(self.apps),
            "process_records": len(self.processes),
            "granted": self._granted,
            "renewed": self._renewed,
            "ended": dict(self._ended),
            "strings": len(self._texts_in_use()),
        }

    # Expiry

    def settle(self, now: int) -> None:
        """End all that is due (SPEC 9): by deadline, processes before apps, keys ascending."""
        if now < self._nothing_due_before:
            return
        due = {
            (grant.deadline, record.is_app, record.key)
            for record in self._listing()
            for grant in record.grants.values()
            if grant.deadline <= now
        }
        for deadline, is_app, key in sorted(due):
            record = (self.apps if is_app else self.processes)[key]
            mask = sum(bit for bit, grant in record.grants.items() if grant.deadline == deadline)
            self._remove(record, mask, deadline, "expired")
        self._nothing_due_before = min((grant.deadline for grant in self._grants()), default=FOREVER)

    # The parts of the above

    def _listing(self) -> Iterator[Record]:
        """All records: apps, then processes, keys ascending."""
        yield from (self.apps[uid] for uid in sorted(self.apps))
        yield from (self.processes[pid] for pid in sorted(self.processes))

    def _grants(self) -> Iterator[Grant]:
        for table in (self.apps, self.processes):
            for record in table.values():
                yield from record.grants.values()

    def _held(self, uid: int, pid: int, *, process: bool) -> int:
        """The types that an apply of this uid and pid would find held already."""
        app, own = self.apps.get(uid), self.processes.get(pid)
        for_process = CPU if process else 0
        of_app = app.mask & ~for_process if app is not None else 0
        return of_app | (own.mask & for_process if own is not None and own.uid == uid else 0)

    def _commit(self) -> None:
        """Put the command on record, or refuse it."""
        if not self.journal_works:
            raise Refused(TRANSACTION_FAILED)

    def _check_capacity(self, uid: int, pid: int, for_process: bool, for_app: bool, texts: tuple[str, str]) -> None:
        """Refuse an apply that would need more records or texts than there may be."""
        reason, bundle = texts
        held = self.processes.get(pid)
        reused = for_process and held is not None and held.uid != uid
        new_records = int(for_process and (held is None or reused)) + int(for_app and uid not in self.apps)
        if len(self.apps) + len(self.processes) - int(reused) + new_records > self.max_records:
            raise Refused(OUT_OF_MEMORY)
        if 10 * (len(self.apps) + len(self.processes)) + 2 <= self.max_strings:
            return
        in_use = self._texts_in_use()
        needed = {reason, bundle} if new_records else {reason}
        added = needed - in_use - {""}
        if added and len(in_use) + len(added) > self.max_strings:
            raise Refused(OUT_OF_MEMORY)

    def _texts_in_use(self) -> set[str]:
        bundles = {record.bundle for record in self._listing()}
        return (bundles | {grant.reason for grant in self._grants()}) - {""}

    def _merge(
        self,
        record: Record,
        pid: int,
        bundle: str,
        mask: int,
        now: int,
        timeout: int,
        persist: bool,
        reason: str,
        level: int,
        caps: Mapping[int, int],
    ) -> None:
        """Merge an apply into a record, put it into its table, and report what is new."""
        new = record.merge(mask, now, timeout, persist, reason, level, caps)
        (self.apps if record.is_app else self.processes)[record.key] = record
        self._nothing_due_before = min(
            self._nothing_due_before, *(now + most for most in caps.values()), FOREVER if persist else now + timeout
        )
        self._granted += new.bit_count()
        self._renewed += (mask & ~new).bit_count()
        if new:
            kind = "app_apply" if record.is_app else "process_apply"
            self.events.append((now, kind, "apply", record.uid, pid, new, bundle, record.level))

    def _release_app(self, uid: int, mask: int, now: int, cause: str) -> int:
        """Remove types from an app record, then from every process record of the uid (SPEC 8)."""
        removed = 0
        if uid in self.apps:
            removed |= self._remove(self.apps[uid], mask, now, cause)
        for pid in sorted(pid for pid, record in self.processes.items() if record.uid == uid):
            removed |= self._remove(self.processes[pid], mask, now, cause)
        return removed

    def _remove(self, record: Record, mask: int, time: int, cause: str) -> int:
        """Remove those types that a record holds, and the record with its last; report and answer them."""
        removed = sum(bit for bit in record.grants if bit & mask)
        if not removed:
            return 0
        kind = "app_reset" if record.is_app else "process_reset"
        self.events.append((time, kind, cause, record.uid, record.pid, removed, record.bundle, record.level))
        self._take(record, removed, cause)
        quota = self.gate.policy.quota
        if removed & CPU and record.is_app and quota is not None:
            quota.settle(record.uid)
        return removed

    def _take(self, record: Record, mask: int, cause: str) -> None:
        """Remove those types that a record holds, and the record with its last; count them."""
        removed = sum(bit for bit in record.grants if bit & mask)
        self._ended[cause] += removed.bit_count()
        for bit in BITS_OF[removed]:
            del record.grants[bit]
        if not record.grants:
            del (self.apps if record.is_app else self.processes)[record.key]
        if removed & CPU:
            record.level = DEFAULT_LEVEL
