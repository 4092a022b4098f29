"""The differential run: random calls on a manager and on the model in step, over a ladder of configurations.

    python tests/differential.py --steps 1000000 --seed 7 [--config NAME] [--face python|capi]

It prints its seed, and for each configuration a digest of all results and events, by which two builds can be compared.
When the two disagree it prints the step, the call and what differed, and a shortened list of calls that shows it.
"""

import argparse
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from grantwheel import Manager
from ladder import LADDER, Config, Steps
from lockstep import BATCHES, Lockstep, Operation

REMEMBERED = 4000
SETTINGS = ("set_policy", "ready", "deny", "journal")


@dataclass(frozen=True)
class Report:
    """How a run over one configuration went."""

    config: str
    seed: int
    steps: int
    seconds: float
    digest: str

    def __str__(self) -> str:
        rate = self.steps / self.seconds if self.seconds else 0.0
        return f"{self.config:10} seed {self.seed:<4} {self.steps:8} steps {rate:9.0f}/s  digest {self.digest}"


class DifferentialFailure(AssertionError):
    """The manager and the model disagree; the text tells where, and how to see it again."""


MakeManager = Callable[..., Any]


def run(
    config: Config,
    seed: int,
    steps: int,
    *,
    echo_from: int | None = None,
    make_manager: MakeManager = Manager,
    make_pair: Callable[..., Lockstep] = Lockstep,
) -> Report:
    """Take so many steps on a configuration. Raises `DifferentialFailure`."""
    started = time.perf_counter()
    pair = make_pair(config.setup, config.validate_every, make_manager)
    last: deque[Operation] = deque(maxlen=REMEMBERED)
    settings: dict[str, Operation] = {}
    done = 0
    try:
        for operation in islice(Steps(config, seed), steps):
            if len(last) == REMEMBERED and last[0].name in SETTINGS:
                settings[last[0].name] = last[0]
            last.append(operation)
            if echo_from is not None and done >= echo_from:
                print(done, operation, flush=True)
            pair.perform(operation)
            done += 1
        digest = pair.finish()
    except Exception as error:
        shown = explain(partial(make_pair, config.setup, make_manager=make_manager), [*settings.values(), *last])
        raise DifferentialFailure(
            f"config {config.name}, seed {seed}, step {done}: {last[-1] if last else 'start'}\n"
            f"{type(error).__name__}: {error}\n{shown}"
        ) from error
    return Report(config.name, seed, steps, time.perf_counter() - started, digest)


def fails(make_pair: Callable[[], Lockstep], operations: Sequence[Operation]) -> tuple[int, Exception] | None:
    """Take given steps from the start; answer where and how they fail, if they do."""
    pair = make_pair()
    for index, operation in enumerate(operations):
        try:
            pair.perform(operation)
        except Exception as error:
            return index, error
    try:
        pair.finish()
    except Exception as error:
        return len(operations) - 1, error
    return None


def shorten(make_pair: Callable[[], Lockstep], operations: list[Operation]) -> list[Operation]:
    """Leave out calls, in halves, quarters and so on, as long as the rest still fails."""
    size = len(operations) // 2
    while size:
        start = 0
        while start < len(operations):
            fewer = operations[:start] + operations[start + size :]
            failure = fails(make_pair, fewer) if fewer else None
            if failure is None:
                start += size
            else:
                operations = fewer[: failure[0] + 1]
        size //= 2
    return [narrow(make_pair, operations, index) for index in range(len(operations))]


def narrow(make_pair: Callable[[], Lockstep], operations: list[Operation], index: int) -> Operation:
    """Leave out rows of a batch, as long as the whole still fails."""
    operation = operations[index]
    if operation.name not in BATCHES:
        return operation
    for row in reversed(range(len(operation.arguments[0]))):
        columns = tuple(column[:row] + column[row + 1 :] for column in operation.arguments)
        operations[index] = operation._replace(arguments=columns)
        if fails(make_pair, operations) is not None:
            operation = operations[index]
    operations[index] = operation
    return operation


def explain(make_pair: Callable[[], Lockstep], operations: list[Operation]) -> str:
    """A short list of calls that fails from a fresh start, or the last calls when none of that length does."""
    length = 25
    while True:
        tail = operations[-length:]
        failure = fails(make_pair, tail)
        if failure is not None:
            short = shorten(make_pair, tail[: failure[0] + 1])
            failure = fails(make_pair, short) or failure
            lines = [f"{len(short)} calls from a fresh start show it as {failure[1]}:", *map(str, short)]
            return "\n    ".join(lines)
        if length >= len(operations):
            return "\n    ".join(["it does not show from a fresh start; the last calls:", *map(str, operations[-25:])])
        length *= 4


def plan(total: int, configs: Sequence[Config]) -> Iterator[tuple[Config, int]]:
    """Share out steps over configurations."""
    shares = sum(config.share for config in configs)
    for config in configs:
        yield config, max(1, int(total * config.share / shares))


def manager_by_face(name: str) -> MakeManager:
    """Return what makes a manager; the one of the C ABI needs cffi."""
    if name == "python":
        return Manager
    from capi_manager import CapiManager

    return CapiManager


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; answer the exit status."""
    parser = argparse.ArgumentParser(description="Random calls on a manager and on the model in step.")
    parser.add_argument("--steps", type=int, default=1_000_000, help="in total")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--config", choices=[config.name for config in LADDER], help="only this configuration")
    parser.add_argument(
        "--echo-from", type=int, metavar="STEP", help="print each call before it is made, from this step"
    )
    parser.add_argument("--face", choices=("python", "capi"), default="python", help="the way into the engine")
    options = parser.parse_args(arguments)
    make_manager = manager_by_face(options.face)
    configs = [config for config in LADDER if options.config in (None, config.name)]
    print(f"seed {options.seed}, {options.steps} steps", flush=True)
    total = seconds = 0.0
    failed = 0
    for config, steps in plan(options.steps, configs):
        try:
            report = run(config, options.seed, steps, echo_from=options.echo_from, make_manager=make_manager)
        except DifferentialFailure as failure:
            print(f"FAILED {failure}", flush=True)
            failed += 1
            continue
        print(report, flush=True)
        total += report.steps
        seconds += report.seconds
    if total:
        print(f"{total:.0f} steps in {seconds:.1f} s: {total / seconds:.0f}/s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
