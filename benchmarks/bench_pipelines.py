"""Pipelines under pytest-benchmark."""

import pytest

from grantbench import under_pytest
from grantbench.workloads.pipelines import PIPELINES


@pytest.mark.parametrize(("workload", "entry", "owners"), under_pytest.cases(PIPELINES))
def test_pipelines(benchmark: under_pytest.Benchmark, workload: str, entry: str, owners: int) -> None:
    """Many calls that are carried out together."""
    under_pytest.run(benchmark, workload, entry, owners)
