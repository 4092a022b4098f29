"""Random calls on a manager and on the model in step, over the ladder of configurations, in both ways into the engine.

`--differential-steps N` sets the number of steps in total; `python tests/differential.py` takes other seeds.
"""

from collections.abc import Sequence

import pytest

from capi_manager import CapiManager
from differential import SETTINGS, plan, run
from ladder import LADDER, Config, Steps


@pytest.mark.parametrize(("seed", "percent"), [(1, 20), pytest.param(2026, 80, marks=pytest.mark.long)])
@pytest.mark.parametrize("config", LADDER, ids=lambda config: config.name)
def test_manager_agrees_with_model(config: Config, seed: int, percent: int, request: pytest.FixtureRequest) -> None:
    total = int(request.config.getoption("--differential-steps"))
    steps = {each.name: share for each, share in plan(total * percent // 100, LADDER)}[config.name]
    print(run(config, seed, steps))


@pytest.mark.parametrize("config", LADDER, ids=lambda config: config.name)
def test_c_abi_agrees_with_model(config: Config, request: pytest.FixtureRequest) -> None:
    total = int(request.config.getoption("--differential-steps")) // 10
    steps = {each.name: share for each, share in plan(total, LADDER)}[config.name]
    print(run(config, 7, steps, make_manager=CapiManager))


def test_both_ways_into_the_engine_give_the_same() -> None:
    assert run(LADDER[1], 5, 500, make_manager=CapiManager).digest == run(LADDER[1], 5, 500).digest


def test_a_run_can_be_repeated() -> None:
    assert run(LADDER[1], 5, 500).digest == run(LADDER[1], 5, 500).digest


def test_every_operation_is_taken_somewhere() -> None:
    def names(config: Config) -> Sequence[str]:
        return [operation.name for operation, _ in zip(Steps(config, 0), range(3000), strict=False)]

    taken = {name for config in LADDER for name in names(config)}
    assert taken >= {name for config in LADDER for name in config.weights} | set(SETTINGS) | {"advance"}
