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
from .types import LatenessCounts, OwnerKind, ResourceType, Stats

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
        yield self._histogram(
            "advance_lateness",
            "How late what was due was ended: one observation for each advance.",
            stats.advance_lateness,
        )
        yield self._histogram(
            "delivery_lateness", "How long after their instants events came to a reader.", stats.delivery_lateness
        )

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

    def _counters(self, stats: Stats) -> Iterator[Metric]:
        def counter(name: str, documentation: str, count: int) -> Metric:
            return CounterMetricFamily(self._name(name), documentation, value=count)

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

    def _histogram(self, name: str, documentation: str, lateness: LatenessCounts) -> Metric:
        counts = lateness.counts
        # The counts are of whole ms below 1, 2, 4 and so on; the last one is of all others.
        bounds = [*(str(2**i / 1000) for i in range(len(counts) - 1)), "+Inf"]
        buckets = list(zip(bounds, accumulate(counts), strict=True))
        return HistogramMetricFamily(
            self._name(f"{name}_seconds"), documentation, buckets=buckets, sum_value=lateness.sum_ms / 1000
        )

    def _name(self, name: str) -> str:
        return f"{self._namespace}_{name}"
