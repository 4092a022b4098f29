"""Every error code by its natural cause: codes, class and message, and nothing has changed."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import grantwheel
from grantwheel import BusinessError, Caller, Cause, Manager, NotAppended, Policy
from support import (
    CPU,
    GPS,
    MAIL,
    PLAIN,
    PUBLIC,
    TIMER,
    Hook,
    check_error,
    check_refused,
    make_manager,
    refusal,
    request,
    unchanged,
)

STATUS_H = Path(__file__).resolve().parent.parent / "csrc" / "include" / "grantwheel" / "status.h"


def nothing(manager: Manager) -> None:
    pass


def make_unready(manager: Manager) -> None:
    manager.ready = False


@dataclass
class Case:
    """How one error comes about. The manager holds TIMER for uid 700 with the reason "held" before `call` is made."""

    name: str
    code: int
    detail: int
    call: Callable[[Manager], object]
    policy: Policy = field(default_factory=Policy)
    prepare: Callable[[Manager], object] = nothing
    arguments: dict[str, Any] = field(default_factory=dict)


def typed(
    mask: int = GPS, timeout: int = 40, uid: int = 800, pid: int = 81, **more: Any
) -> Callable[[Manager], object]:
    return lambda manager: manager.apply(uid, pid, mask, timeout, **more)


def documented(*args: Any, caller: Caller = MAIL) -> Callable[[Manager], object]:
    return lambda manager: manager.apply_request(*args, caller=caller)


def caller(**more: Any) -> Caller:
    return Caller(**{"uid": 800, "pid": 81, "system_app": True, **more})


class Full:
    """A log that has room for one group."""

    def last(self) -> int:
        return 1

    def append(self, after: int, _group: bytes) -> int:
        if after != 0:
            raise NotAppended("no room")
        return 1


NOTHING_ALLOWED = Policy(allowed={"org.tide.mail": ()})
LIMITED = Policy(cpu_level_max={"org.tide.mail": 1, "org.tide.gone": 2}, unknown_bundles=["org.tide.gone"])
NEAR_LONG = "b" * 1024

CASES = [
    Case("no type allowed to apply", 201, 201, documented(request()), NOTHING_ALLOWED),
    Case("no type allowed to release", 201, 201, documented(request(isApply=False)), NOTHING_ALLOWED),
    Case("no type allowed to reset", 201, 201, lambda m: m.reset_all_request(caller=MAIL), NOTHING_ALLOWED),
    Case("none of these types allowed", 201, 201, typed(GPS | CPU), Policy(default_allowed=[3])),
    Case("unknown bundle", 201, 201, documented(request()), Policy(unknown_bundles=["org.tide.mail"])),
    Case("refused by the quota", 201, 201, typed(CPU | GPS), Policy(quota=Hook(answer=False))),
    Case("infos for a caller that is not native", 201, 201, lambda m: m.infos(caller=MAIL)),
    Case("subscribing by a caller that is not native", 201, 201, lambda m: m.subscribe("s", caller=MAIL)),
    Case("apply by a plain app", 202, 202, documented(request(), caller=PLAIN)),
    Case("typed apply by a plain app", 202, 202, typed(caller=PLAIN)),
    Case("reset by a plain app", 202, 202, lambda m: m.reset_all(700, 71, caller=PLAIN)),
    Case("query by a plain app", 202, 202, lambda m: m.get_all(caller=PLAIN)),
    Case("no argument", 401, 9800401, documented()),
    Case("two arguments", 401, 9800401, documented(request(), request())),
    Case("bad resourceTypes", 401, 9800413, documented(request(resourceTypes=-1))),
    Case("bad isApply", 401, 9800414, documented(request(isApply=1))),
    Case("bad timeOut", 401, 9800415, documented(request(timeOut=1.5))),
    Case("bad reason", 401, 9800402, documented(request(reason=None))),
    Case("bad isPersist", 401, 9800416, documented(request(isPersist=None))),
    Case("bad isProcess", 401, 9800417, documented(request(isProcess=0))),
    Case("bad cpuLevel", 401, 9800418, documented(request(cpuLevel=-1))),
    Case("null subscriber", 401, 401, lambda m: m.subscribe(None)),
    Case("too many records", 9800001, 980000101, typed(), arguments={"max_records": 1}),
    Case("too many texts", 9800001, 980000101, typed(reason="new"), arguments={"max_strings": 1}),
    Case("reason without encoding", 9800002, 980000201, documented(request(reason="\ud800"))),
    Case("typed reason without encoding", 9800002, 980000201, typed(reason="a\udfff")),
    Case("bundle without encoding", 9800002, 980000201, documented(request(), caller=caller(bundle="\ud800"))),
    Case("typed bundle without encoding", 9800002, 980000201, typed(caller=caller(bundle="\udcff"))),
    Case(
        "resetting bundle without encoding",
        9800002,
        980000201,
        lambda m: m.reset_all_request(caller=caller(bundle="\ud800")),
    ),
    Case(
        "querying bundle without encoding",
        18700002,
        1870000201,
        lambda m: m.get_all(caller=caller(bundle="\ud800")),
    ),
    Case("log that refuses", 9800003, 980000301, typed(), arguments={"log": Full()}),
    Case("apply when not ready", 9800004, 980000401, documented(request()), prepare=make_unready),
    Case("typed apply when not ready", 9800004, 980000401, typed(0, uid=-1, caller=PLAIN), prepare=make_unready),
    Case("release when not ready", 9800004, 980000401, lambda m: m.release(700, 71, TIMER), prepare=make_unready),
    Case("reset when not ready", 9800004, 980000401, lambda m: m.reset_all(700, 71), prepare=make_unready),
    Case("query when not ready", 18700004, 1870000401, lambda m: m.get_all(caller=MAIL), prepare=make_unready),
    Case("second subscription", 9800005, 980000501, lambda m: m.subscribe("s"), prepare=lambda m: m.subscribe("s")),
    Case("unknown subscriber", 9800005, 980000502, lambda m: m.unsubscribe("s")),
    Case("mask 0", 18700001, 1870000101, typed(0)),
    Case("mask above 511", 18700001, 1870000101, documented(request(512))),
    Case("mask below 0", 18700001, 1870000101, typed(-1)),
    Case("timed without timeout", 18700001, 1870000101, typed(timeout=0)),
    Case("timeout of 2^32", 18700001, 1870000101, typed(timeout=2**32)),
    Case("typed reason of 1025 bytes", 18700001, 1870000101, typed(reason="é" * 512 + "x")),
    Case("administration without mask", 18700001, 1870000101, lambda m: m.admin_reset_app(700, 0)),
    Case("administration above 511", 18700001, 1870000101, lambda m: m.admin_reset_process(71, 512)),
    Case("negative uid", 18700001, 1870000102, documented(request(), caller=caller(uid=-1))),
    Case("negative pid", 18700001, 1870000102, typed(pid=-1)),
    Case("uid left out", 18700001, 1870000102, documented(request(), caller=Caller(pid=1, system_app=True))),
    Case("uid of 2^32-1", 18700001, 1870000102, typed(uid=2**32 - 1)),
    Case("pid of 2^31", 18700001, 1870000102, lambda m: m.get_all(caller=caller(pid=2**31))),
    Case("bundle of 1025 bytes", 18700001, 1870000102, typed(caller=caller(bundle=NEAR_LONG + "b"))),
    Case("death of a negative uid", 18700001, 1870000102, lambda m: m.process_died(-1, 71)),
    Case("death of a negative pid", 18700001, 1870000102, lambda m: m.process_died(700, -1)),
    Case("stop of a negative uid", 18700001, 1870000102, lambda m: m.app_stopped(-1)),
    Case("removal of a uid too large", 18700001, 1870000102, lambda m: m.package_removed(2**32 - 1)),
    Case("cpu level below -1", 18700001, 1870000107, typed(CPU, cpu_level=-2)),
    Case("cpu level above 2", 18700001, 1870000107, typed(CPU, cpu_level=3)),
    Case("cpu level without limit", 18700001, 1870000108, documented(request(CPU, cpuLevel=0)), Policy()),
    Case(
        "cpu level of an unknown bundle",
        18700001,
        1870000109,
        typed(CPU, cpu_level=0, caller=caller(bundle="org.tide.gone")),
        LIMITED,
    ),
    Case("cpu level above its limit", 18700001, 1870000111, documented(request(CPU, cpuLevel=2)), LIMITED),
]


def prepared(case: Case) -> Manager:
    manager, _ = make_manager(policy=case.policy, **case.arguments)
    if case.policy is not NOTHING_ALLOWED:
        manager.set_policy(Policy())
        manager.apply(700, 71, TIMER, 1000, reason="held")
        manager.set_policy(case.policy)
    case.prepare(manager)
    return manager


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_error_by_its_cause(case: Case) -> None:
    manager = prepared(case)
    check_refused(manager, lambda: case.call(manager), case.code, case.detail)
    assert [event.mask for event in manager.drain()] == ([] if case.policy is NOTHING_ALLOWED else [TIMER])


@pytest.mark.parametrize(
    ("call", "code", "detail"),
    [
        (typed(), 9800004, 980000402),
        (documented(request()), 9800004, 980000402),
        (lambda m: m.release(700, 71, TIMER), 9800004, 980000402),
        (lambda m: m.reset_all_request(caller=MAIL), 9800004, 980000402),
        (lambda m: m.app_mask(700), 9800004, 980000402),
        (lambda m: m.process_died(700, 71), 9800004, 980000402),
        (lambda m: m.advance(), 9800004, 980000402),
        (lambda m: m.get_all(caller=MAIL), 18700004, 1870000402),
        (lambda m: m.infos(caller=MAIL), 18700004, 1870000402),
    ],
    ids=["apply", "request", "release", "reset_all", "app_mask", "death", "advance", "get_all", "infos"],
)
def test_error_of_a_closed_manager(call: Callable[[Manager], object], code: int, detail: int) -> None:
    manager, _ = make_manager()
    manager.apply(700, 71, TIMER, 1000)
    manager.close()
    check_error(refusal(lambda: call(manager)), code, detail)


def test_every_code_of_the_list_has_a_case() -> None:
    statuses = STATUS_H.read_text(encoding="utf-8").split("GRANTWHEEL_PUBLIC_LIST")[0]
    listed = re.findall(r"X\(\w+,\s*\w+,\s*(\d+),", statuses)
    reached = {case.detail for case in CASES} | {980000402, 1870000402}
    assert {int(inner) for inner in listed} - {0} == reached
    assert {case.code for case in CASES} == set(PUBLIC)


def test_every_class_is_a_business_error() -> None:
    for public_class, _ in PUBLIC.values():
        assert issubclass(public_class, BusinessError)
        assert public_class is getattr(grantwheel, public_class.__name__)
    assert issubclass(BusinessError, Exception)


def test_codes_derive_from_inner_codes() -> None:
    for case in CASES:
        derived = case.detail // 100 if case.detail >= 100_000_000 else case.detail
        assert case.code == (401 if 9800400 <= case.detail <= 9800499 else derived)


def test_a_parcel_error_comes_before_readiness() -> None:
    manager, _ = make_manager()
    manager.ready = False
    check_refused(manager, lambda: manager.apply(800, 81, GPS, 40, reason="\ud800"), 9800002, 980000201)
    check_refused(manager, lambda: manager.get_all(caller=caller(bundle="\ud800")), 18700002, 1870000201)


def test_the_longest_texts_are_fine() -> None:
    manager, _ = make_manager()
    assert manager.apply(800, 81, GPS, 40, reason="é" * 512, caller=caller(bundle=NEAR_LONG)) == GPS
    record = manager.find_app(800)
    assert record is not None
    assert (record.bundle, record.grants[0].reason) == (NEAR_LONG, "é" * 512)


def test_what_was_due_is_reported_in_spite_of_an_error() -> None:
    manager, clock = make_manager()
    manager.apply(700, 71, GPS, 40)
    manager.drain()
    clock.set(50)
    check_error(refusal(lambda: manager.apply(700, 71, GPS, 900, caller=PLAIN)), 202, 202)
    manager.advance()
    assert [(event.cause, event.time, event.mask) for event in manager.drain()] == [(Cause.EXPIRED, 40, GPS)]


def test_after_an_error_everything_goes_on() -> None:
    manager, clock = make_manager(max_records=2)
    manager.apply(700, 71, GPS, 40)
    manager.apply(800, 81, GPS, 90)
    with unchanged(manager):
        refusal(lambda: manager.apply(900, 91, GPS, 40))
    assert manager.next_deadline() == 40
    clock.set(40)
    assert manager.apply(900, 91, GPS, 40) == GPS
    assert manager.release(800, 81, GPS) == GPS


OUT_OF_MEMORY = """
import json, resource
from grantwheel import Manager, ManualClock, MemoryOperationError

manager = Manager(clock=ManualClock(start_ms=0), max_records=2**31 - 1, max_strings=2**31 - 1, event_capacity=16)
for uid in range(1000):
    manager.apply(uid, uid, 33, 1000, process=True, reason=f"reason {uid}")
with open("/proc/self/statm") as statm:
    size = int(statm.read().split()[0]) * resource.getpagesize()
soft, hard = resource.getrlimit(resource.RLIMIT_AS)
limited = size + (24 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limited, hard))

def validate():  # which takes memory of its own
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    manager.validate()
    resource.setrlimit(resource.RLIMIT_AS, (limited, hard))

uid, failed = 1000, None
while failed is None and uid < 4_000_000:
    before = manager.stats()
    try:
        manager.apply(uid, uid, 33, 1000, process=True, reason="%d" % uid)
        uid += 1
    except MemoryOperationError as error:
        failed = [error.code, error.detail]
after = manager.stats()
validate()
held = [manager.app_mask(uid), manager.process_mask(uid), manager.app_mask(uid - 1), manager.process_mask(uid - 1)]
released = manager.reset_all(7, 7)
again = manager.apply(7, 7, 33, 1000, process=True, reason="reason 7")
validate()
resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
later = manager.apply(uid, uid, 33, 1000, process=True, reason="%d" % uid)
manager.validate()
before.refused[9800001] += 1
print(json.dumps({"failed": failed, "same": before == after, "held": held, "released": released, "again": again,
                  "later": later}))
"""


def test_a_failed_allocation_changes_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", OUT_OF_MEMORY], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "failed": [9800001, 980000101],
        "same": True,
        "held": [0, 0, GPS, CPU],
        "released": GPS | CPU,
        "again": GPS | CPU,
        "later": GPS | CPU,
    }
