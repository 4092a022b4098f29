"""Reads across owners under pytest-benchmark."""

import pytest

from grantbench import under_pytest
from grantbench.workloads.reads import READS


@pytest.mark.parametrize(("workload", "entry", "owners"), under_pytest.cases(READS))
def test_reads(benchmark: under_pytest.Benchmark, workload: str, entry: str, owners: int) -> None:
    """Who holds a type."""
    under_pytest.run(benchmark, workload, entry, owners)
