"""The documented call under pytest-benchmark."""

import pytest

from grantbench import under_pytest
from grantbench.workloads.documented import DOCUMENTED


@pytest.mark.parametrize(("workload", "entry", "owners"), under_pytest.cases([DOCUMENTED]))
def test_documented(benchmark: under_pytest.Benchmark, workload: str, entry: str, owners: int) -> None:
    """A request is made and applied."""
    under_pytest.run(benchmark, workload, entry, owners)
