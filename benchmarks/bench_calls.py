"""Calls on single owners under pytest-benchmark."""

import pytest

from grantbench import under_pytest
from grantbench.workloads.calls import CALLS


@pytest.mark.parametrize(("workload", "entry", "owners"), under_pytest.cases(CALLS))
def test_calls(benchmark: under_pytest.Benchmark, workload: str, entry: str, owners: int) -> None:
    """New, renew, release, query, mixed, and the expiry of all."""
    under_pytest.run(benchmark, workload, entry, owners)
