"""Metrics: what `grantwheel.Manager.stats` counts, for Prometheus. Needs the extra ``grantwheel[prometheus]``."""

from collections.abc import Iterator
from itertools import accumulate
from typing import TYPE_CHECKING

try:
    from prometheus_client import registry
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
        Metric,
    )
except ImportError as error:
    raise ImportError("grantwheel.metrics needs prometheus_client: pip install 'grantwheel[prometheus]'") from error

from . import _core
from .types import LatenessCounts, LogStats, OwnerKind, ResourceType, SnapshotStats, Stats

if TYPE_CHECKING:
    from .manager import Manager

__all__ = ["Collector"]


def _name(resource: ResourceType) -> str:
    return resource.name or str(int(resource))


class Collector(registry.Collector):
    """Gives the numbers of a manager to a registry of prometheus_client, as they are when it is asked.

    ``REGISTRY.register(Collector(manager))``. A manager that is closed gives none. There is no label by uid.

    Parameters
    ----------
    manager : Manager
        Whose numbers.
    namespace : str
        What all names begin with. Several managers in one registry need one each.
    """

    def __init__(self, manager: "Manager", *, namespace: str = "grantwheel") -> None:
        self._manager = manager
        self._namespace = namespace

    def collect(self) -> Iterator[Metric]:
        """Give each metric."""
        try:
            stats = self._manager.stats()
        except _core.ServiceOperationError:
            return
        yield from self._gauges(stats)
        yield from self._counters(stats)
        yield self._lateness(
            "advance_lateness",
            "How late what was due was ended: one observation for each advance.",
            stats.advance_lateness,
        )
        yield self._lateness(
            "delivery_lateness", "How long after their instants events came to a reader.", stats.delivery_lateness
        )
        if stats.log is not None:
            yield from self._of_log(stats.log)
        if stats.snapshots is not None:
            yield from self._of_snapshots(stats.snapshots)

    def _gauges(self, stats: Stats) -> Iterator[Metric]:
        grants = GaugeMetricFamily(self._name("grants"), "Grants that live now.", labels=["owner", "type"])
        records = GaugeMetricFamily(self._name("records"), "Records that live now.", labels=["owner"])
        by_owner = {
            OwnerKind.APP: (stats.app_records, stats.app_grants),
            OwnerKind.PROCESS: (stats.process_records, stats.process_grants),
        }
        for owner, (record_count, counts) in by_owner.items():
            for resource, count in counts.items():
                grants.add_metric([owner, _name(resource)], count)
            records.add_metric([owner], record_count)
        yield grants
        yield records
        yield GaugeMetricFamily(self._name("strings"), "Texts in use.", value=stats.strings)

    def _of_log(self, log: LogStats) -> Iterator[Metric]:
        gauge = self._gauge
        yield gauge("log_takes_changes", "1; 0 while it fails, does not answer, or is lost.", int(log.state == "open"))
        yield gauge("log_position", "The last group of the log.", log.position)
        yield gauge("log_largest_group_bytes", "The largest group that was appended.", log.largest_bytes)
        yield gauge("log_waiting_ops", "Changes and advances that are not in the log yet.", log.waiting_ops)
        yield gauge("log_waiting_bytes", "Their bytes.", log.waiting_bytes)
        yield self._counter("log_groups", "Groups that were appended.", log.groups)
        yield self._counter("log_ops", "Changes and advances that were appended.", log.ops)
        yield self._counter("log_bytes", "Bytes that were appended.", log.bytes)
        yield self._counter("log_failures", "Appends that came to nothing.", log.failures)
        times = log.append_times
        bounds = [2 ** (6 + i) / 1e6 for i in range(len(times.counts) - 1)]
        yield self._histogram(
            "log_append", "How long the log took to append a group.", bounds, times.counts, times.sum_us / 1e6
        )

    def _of_snapshots(self, snapshots: SnapshotStats) -> Iterator[Metric]:
        yield self._counter("snapshots", "Snapshots that were made.", snapshots.made)
        yield self._counter("snapshot_failures", "Snapshots that could not be made.", snapshots.failures)
        yield self._gauge("snapshot_position", "The group up to which the last snapshot goes.", snapshots.position)
        yield self._gauge("snapshot_bytes", "The size of the last snapshot.", snapshots.bytes)
        yield self._gauge("snapshot_seconds", "How long the last snapshot took to make.", snapshots.seconds)

    def _gauge(self, name: str, documentation: str, value: float) -> Metric:
        return GaugeMetricFamily(self._name(name), documentation, value=value)

    def _counter(self, name: str, documentation: str, count: int) -> Metric:
        return CounterMetricFamily(self._name(name), documentation, value=count)

    def _counters(self, stats: Stats) -> Iterator[Metric]:
        counter = self._counter
        yield counter("granted", "Grants that were given.", stats.granted)
        yield counter("renewed", "Grants that were applied for again while held.", stats.renewed)
        ended = CounterMetricFamily(self._name("ended"), "Grants that have ended.", labels=["cause"])
        for cause, count in stats.ended.items():
            ended.add_metric([cause], count)
        yield ended
        refused = CounterMetricFamily(self._name("refused"), "Calls that were refused.", labels=["code"])
        for code, count in stats.refused.items():
            refused.add_metric([str(code)], count)
        yield refused
        yield counter("events", "Events.", stats.last_sequence)
        yield counter("events_missed", "Events overwritten before a reader had them.", stats.missed)

    def _lateness(self, name: str, documentation: str, lateness: LatenessCounts) -> Metric:
        # The counts are of whole ms below 1, 2, 4 and so on; the last one is of all others.
        bounds = [2**i / 1000 for i in range(len(lateness.counts) - 1)]
        return self._histogram(name, documentation, bounds, lateness.counts, lateness.sum_ms / 1000)

    def _histogram(
        self, name: str, documentation: str, bounds: list[float], counts: tuple[int, ...], sum_s: float
    ) -> Metric:
        buckets = list(zip([*map(str, bounds), "+Inf"], accumulate(counts), strict=True))
        return HistogramMetricFamily(self._name(f"{name}_seconds"), documentation, buckets=buckets, sum_value=sum_s)

    def _name(self, name: str) -> str:
        return f"{self._namespace}_{name}"
