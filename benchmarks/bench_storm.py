"""The storm under pytest-benchmark."""

import pytest

from grantbench import under_pytest
from grantbench.workloads.storm import STORM


@pytest.mark.parametrize(("workload", "entry", "owners"), under_pytest.cases([STORM]))
def test_storm(benchmark: under_pytest.Benchmark, workload: str, entry: str, owners: int) -> None:
    """Everything is due at one instant; the longest stall is in the extra info."""
    under_pytest.run(benchmark, workload, entry, owners)
