"""Batches under pytest-benchmark."""

import pytest

from grantbench import under_pytest
from grantbench.workloads.batches import BATCHES


@pytest.mark.parametrize(("workload", "entry", "owners"), under_pytest.cases(BATCHES))
def test_batches(benchmark: under_pytest.Benchmark, workload: str, entry: str, owners: int) -> None:
    """Many owners in one call."""
    under_pytest.run(benchmark, workload, entry, owners)
