"""What a manager counts, as plain numbers and as a collector for prometheus_client."""

import contextlib
import subprocess
import sys
from array import array
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

import grantwheel
from grantwheel import LatenessCounts, Manager, ManualClock, MemoryLog, Policy, TransactionError
from grantwheel.journal import MemoryJournal
from grantwheel.metrics import Collector
from journals import ScriptedLog, appends, conflicts, refuses
from support import AUDIO, CPU, GPS, MAIL, PLAIN, TIMER, filled, make_manager, refusal, request

UID, PID = 1000, 42
CODES = (201, 202, 401, 9800001, 9800002, 9800003, 9800004, 9800005, 18700001, 18700002, 18700004)


def refused(manager: Manager) -> dict[int, int]:
    """The codes that were counted at all."""
    counts = manager.stats().refused
    assert tuple(counts) == CODES
    return {code: count for code, count in counts.items() if count}


def test_live_grants_by_type_and_owner_kind() -> None:
    manager, _ = filled()
    stats = manager.stats()
    assert (stats.app_records, stats.process_records) == (3, 2)
    assert {resource: count for resource, count in stats.app_grants.items() if count} == {CPU: 1, TIMER: 1, GPS: 2}
    assert {resource: count for resource, count in stats.process_grants.items() if count} == {CPU: 2}


def test_released_are_those_that_somebody_let_go() -> None:
    manager, clock = make_manager()
    manager.apply(UID, PID, GPS | AUDIO | CPU, 100)
    manager.release(UID, PID, GPS)
    manager.reset_all(UID, PID)
    manager.apply(UID, PID, GPS, 100)
    manager.apply(UID, PID, GPS, 200)
    clock.set(300)
    stats = manager.stats()
    assert (stats.granted, stats.renewed, stats.released) == (4, 1, 3)
    assert {cause: count for cause, count in stats.ended.items() if count} == {
        "release": 1,
        "reset_all": 2,
        "expired": 1,
    }


def test_refused_calls_are_counted_by_code() -> None:
    manager, _ = make_manager(policy=Policy(default_allowed=[6]), max_records=1)
    assert refused(manager) == {}
    calls: list[Any] = [
        (201, lambda: manager.apply(UID, PID, AUDIO, 5)),
        (201, lambda: manager.release(UID, PID, AUDIO)),
        (201, lambda: manager.renew(UID, PID, AUDIO, 5)),
        (202, lambda: manager.reset_all(UID, PID, caller=PLAIN)),
        (202, lambda: manager.get_all(caller=PLAIN)),
        (201, lambda: manager.infos(caller=PLAIN)),
        (201, lambda: manager.subscribe("reader", caller=PLAIN)),
        (401, manager.apply_request),
        (401, lambda: manager.subscribe(None)),
        (9800005, lambda: manager.unsubscribe("nobody")),
        (401, lambda: manager.apply_request(request(mask=-1), caller=MAIL)),
        (9800002, lambda: manager.apply(UID, PID, GPS, 5, reason="\ud800")),
        (18700002, lambda: manager.get_all(caller=replace(MAIL, bundle="\ud800"))),
        (18700001, lambda: manager.apply(UID, PID, 0, 5)),
        (18700001, lambda: manager.app_mask(-1)),
        (18700001, lambda: manager.process_died(-1, PID)),
        (18700001, lambda: manager.admin_reset_app(UID, 512)),
        (18700001, lambda: manager.find_app(2**32)),
    ]
    expected: dict[int, int] = {}
    for code, call in calls:
        assert refusal(call).code == code
        expected[code] = expected.get(code, 0) + 1
        assert refused(manager) == dict(sorted(expected.items(), key=lambda item: CODES.index(item[0])))


@pytest.mark.parametrize("has_log", [False, True])
def test_refused_calls_of_a_batch_are_counted_one_by_one(has_log: bool) -> None:
    manager, _ = make_manager(policy=Policy(default_allowed=[6]), log=MemoryLog() if has_log else None)
    uids, masks = array("q", [1, -1, 3, 4]), array("i", [GPS, GPS, AUDIO, 0])
    pids, timeouts = array("i", [1] * 4), array("i", [5] * 4)
    assert manager.apply_many(uids, pids, masks, timeouts).tolist() == [GPS, -18700001, -201, -18700001]
    assert refused(manager) == {201: 1, 18700001: 2}
    manager.release_many(uids, pids, masks)
    manager.app_masks(uids)
    assert refused(manager) == {201: 2, 18700001: 5}
    with pytest.raises(TypeError):
        manager.app_masks(None)  # type: ignore[arg-type]
    assert refused(manager) == {201: 2, 18700001: 5}


def test_what_is_not_refused_by_the_documented_rules_is_not_counted() -> None:
    manager, clock = make_manager()
    clock.set(10)
    manager.advance()
    clock.set(9)
    with pytest.raises(ValueError, match="now must not be before"):
        manager.apply(UID, PID, GPS, 5)
    with pytest.raises(TypeError):
        manager.apply(UID, PID, GPS, None)
    clock.set(10)
    assert refused(manager) == {}


def test_missed_events_are_those_of_all_readers() -> None:
    manager, _ = make_manager(event_capacity=4)
    reader = manager.subscribe("reader")
    for uid in range(10):
        manager.apply(uid, PID, GPS, 5)
    assert manager.stats().missed == 0  # nobody has come upon it
    assert len(reader.drain()) == 4
    assert manager.stats().missed == 6
    manager.drain()
    assert manager.missed == 6
    assert manager.stats().missed == 12
    assert manager.stats().last_sequence == 10


@pytest.mark.parametrize(
    "arguments",
    [{}, {"log": MemoryLog()}, {"log": ScriptedLog()}, {"log": ScriptedLog(), "durability": "batch"}],
    ids=["no log", "immediate", "commit", "batch"],
)
def test_lateness_of_an_advance_is_that_of_the_earliest_it_ended(arguments: dict[str, Any]) -> None:
    manager, clock = make_manager(**arguments)
    for uid, timeout in enumerate((10, 10, 12, 50, 60)):
        manager.apply(uid, PID, GPS, timeout)
    assert manager.stats().advance_lateness == LatenessCounts((0,) * 18, sum_ms=0, max_ms=0)
    for now in (10, 15, 20, 52, 60 + 2**16):
        clock.set(now)
        manager.advance()
    # 0 ms late; 3, the one of 12; nothing at 20; 2; 65536
    counts = manager.stats().advance_lateness
    assert counts == LatenessCounts((1, 0, 2, *(0,) * 14, 1), sum_ms=5 + 2**16, max_ms=2**16)


def test_lateness_of_a_delivery() -> None:
    manager, clock = make_manager()
    reader = manager.subscribe("reader")
    manager.apply(UID, PID, GPS, 10)
    clock.set(13)
    manager.advance()
    assert len(reader.drain()) == 2
    lateness = manager.stats().delivery_lateness
    assert lateness.sum_ms == 13 + 3
    assert lateness.counts == reader.lateness.counts
    assert sum(lateness.counts) == 2


def test_how_a_log_fares() -> None:
    assert make_manager()[0].stats().log is None
    for durability in ("commit", "batch"):
        log = ScriptedLog(appends, appends, refuses)
        manager, clock = make_manager(log=log, durability=durability)
        manager.apply(UID, PID, GPS, 10)
        assert manager.flush()
        manager.apply_many(*[array("i", [1, 2, 3])] * 4)
        assert manager.flush()
        figures = manager.stats().log
        assert figures is not None
        sizes = [len(group) for group in log.groups]
        assert figures[:9] == ("open", 2, 2, 2, sum(sizes), max(sizes), 0, 0, 0)
        assert sum(figures.append_times.counts) == 2
        assert figures.append_times.max_us <= figures.append_times.sum_us
        clock.set(10)
        with contextlib.suppress(TransactionError):
            manager.advance()
            manager.flush()
        figures = manager.stats().log
        assert figures is not None
        assert figures.failures == 1


def test_how_a_log_in_memory_fares() -> None:
    manager, _ = make_manager(log=(log := MemoryLog()))
    for uid in range(3):
        manager.apply(uid, PID, GPS, 10)
    figures = manager.stats().log
    assert figures is not None
    groups = [len(group) for _, group in log.read()]
    assert figures == ("open", 3, 3, 3, sum(groups), max(groups), 0, 0, 0, ((0,) * 16, 0, 0))


def samples(registry: CollectorRegistry) -> dict[str, float]:
    lines = generate_latest(registry).decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


def test_the_collector_gives_what_the_stats_say() -> None:
    manager, clock = filled()
    refusal(lambda: manager.apply(UID, PID, 0, 5))
    clock.set(205)
    manager.advance()
    registry = CollectorRegistry()
    registry.register(Collector(manager))
    found = samples(registry)
    stats = manager.stats()
    for kind in ("app", "process"):
        assert found[f'grantwheel_records{{owner="{kind}"}}'] == getattr(stats, f"{kind}_records")
        for resource, count in getattr(stats, f"{kind}_grants").items():
            assert found[f'grantwheel_grants{{owner="{kind}",type="{resource.name}"}}'] == count
    for cause, count in stats.ended.items():
        assert found[f'grantwheel_ended_total{{cause="{cause}"}}'] == count
    for code in CODES:
        assert found[f'grantwheel_refused_total{{code="{code}"}}'] == (code == 18700001)
    for name in ("granted", "renewed"):
        assert found[f"grantwheel_{name}_total"] == getattr(stats, name)
    assert found["grantwheel_events_total"] == stats.last_sequence > 0
    assert found["grantwheel_events_missed_total"] == 0
    assert found["grantwheel_strings"] == stats.strings > 0
    assert 'uid="' not in generate_latest(registry).decode()


def test_the_collector_gives_lateness_as_histograms_in_seconds() -> None:
    manager, clock = make_manager()
    for timeout, now in ((10, 10), (10, 23), (100_000, 200_000)):
        manager.apply(UID, PID, GPS, timeout)
        clock.set(now)
        manager.advance()
    registry = CollectorRegistry()
    registry.register(Collector(manager))
    found = samples(registry)
    late = 200_000 - 100_023
    name = "grantwheel_advance_lateness_seconds"
    bounds = {bound: found[f'{name}_bucket{{le="{bound}"}}'] for bound in ("0.001", "0.002", "0.004", "65.536", "+Inf")}
    assert bounds == {"0.001": 1, "0.002": 1, "0.004": 2, "65.536": 2, "+Inf": 3}
    assert found[f"{name}_count"] == 3
    assert found[f"{name}_sum"] == pytest.approx((3 + late) / 1000)
    assert found["grantwheel_delivery_lateness_seconds_count"] == 0


def test_the_collector_gives_the_numbers_of_the_log() -> None:
    def found(manager: Manager) -> dict[str, float]:
        registry = CollectorRegistry()
        registry.register(Collector(manager))
        return {name: value for name, value in samples(registry).items() if name.startswith("grantwheel_log_")}

    assert found(make_manager()[0]) == {}
    manager, _ = make_manager(log=ScriptedLog(appends, conflicts))
    manager.apply(UID, PID, GPS, 10)
    log = manager.stats().log
    assert log is not None
    numbers = found(manager)
    assert numbers["grantwheel_log_takes_changes"] == 1
    assert numbers["grantwheel_log_position"] == numbers["grantwheel_log_groups_total"] == 1
    assert numbers["grantwheel_log_bytes_total"] == numbers["grantwheel_log_largest_group_bytes"] == log.bytes
    assert numbers["grantwheel_log_append_seconds_count"] == 1
    assert numbers["grantwheel_log_append_seconds_sum"] == pytest.approx(log.append_times.sum_us / 1e6)
    assert numbers['grantwheel_log_append_seconds_bucket{le="+Inf"}'] == 1
    with pytest.raises(TransactionError):
        manager.apply(UID, PID, GPS, 10)
    numbers = found(manager)
    assert (numbers["grantwheel_log_takes_changes"], numbers["grantwheel_log_failures_total"]) == (0, 1)


def test_the_collector_gives_the_numbers_of_snapshots() -> None:
    registry = CollectorRegistry()
    with grantwheel.open(MemoryJournal(), clock=ManualClock()) as manager:
        registry.register(Collector(manager))
        manager.apply(UID, PID, GPS, 10)
        manager.snapshot()
        snapshots = manager.stats().snapshots
        assert snapshots is not None
        found = {name: value for name, value in samples(registry).items() if "snapshot" in name}
    assert found == {
        "grantwheel_snapshots_total": 1,
        "grantwheel_snapshot_failures_total": 0,
        "grantwheel_snapshot_position": 2,
        "grantwheel_snapshot_bytes": snapshots.bytes,
        "grantwheel_snapshot_seconds": pytest.approx(snapshots.seconds),
    }
    registry = CollectorRegistry()
    registry.register(Collector(make_manager(log=MemoryLog())[0]))
    assert not any("snapshot" in name for name in samples(registry))


def test_two_managers_in_one_registry_have_names_of_their_own() -> None:
    registry = CollectorRegistry()
    for namespace in ("east", "west"):
        registry.register(Collector(make_manager()[0], namespace=namespace))
    assert {name.partition("_")[0] for name in samples(registry)} == {"east", "west"}


def test_a_closed_manager_has_no_metrics() -> None:
    manager, _ = make_manager()
    registry = CollectorRegistry()
    registry.register(Collector(manager))
    manager.close()
    assert generate_latest(registry) == b""


def test_prometheus_is_imported_when_it_is_asked_for_and_not_before() -> None:
    script = """
import sys
import grantwheel
assert "prometheus_client" not in sys.modules
sys.modules["prometheus_client"] = None
try:
    import grantwheel.metrics
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == "grantwheel.metrics needs prometheus_client: pip install 'grantwheel[prometheus]'\n"
    assert done.returncode == 0
    assert "Collector" not in grantwheel.__all__
