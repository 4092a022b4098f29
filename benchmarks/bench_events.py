"""Reading events under pytest-benchmark."""

import pytest

from grantbench import under_pytest
from grantbench.workloads.events import EVENTS


@pytest.mark.parametrize(("workload", "entry", "owners"), under_pytest.cases([EVENTS]))
def test_events(benchmark: under_pytest.Benchmark, workload: str, entry: str, owners: int) -> None:
    """One event per owner is read."""
    under_pytest.run(benchmark, workload, entry, owners)
