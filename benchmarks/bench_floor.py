"""The floor under pytest-benchmark."""

import pytest

from grantbench import under_pytest
from grantbench.workloads.floor import FLOOR


@pytest.mark.parametrize(("workload", "entry", "owners"), under_pytest.cases([FLOOR]))
def test_floor(benchmark: under_pytest.Benchmark, workload: str, entry: str, owners: int) -> None:
    """The least that one could do for an owner in Python."""
    under_pytest.run(benchmark, workload, entry, owners)
