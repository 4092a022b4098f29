"""Bytes that come on connections of the service, checked in many ways: ``--seconds N``, ``--seed N``, or ``FILE...``.

With atheris, which is libFuzzer for Python, the coverage of the service guides what is tried; where there is none,
requests are drawn at random. Both try the same for the same seed, where no corpus is given.
"""

import argparse
import contextlib
import importlib.util
import random
import secrets
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "fuzz")]
FOUND = ROOT / "build" / "fuzz" / "found"
MOST_BYTES = 2048
EXAMPLES = 200  # that one seed draws
GUIDED = 0.7  # of the mutations are of requests, the others of bytes


def guided(seconds: float, runs: int, seed: int, corpora: list[str]) -> None:
    """Have atheris look for inputs; ends the program."""
    import atheris

    with atheris.instrument_imports(include=["grantwheel.service"]):
        from connection_check import check, described
    from connection_inputs import generated, mutated, parts_of

    def mutate(data: bytes, most: int, number: int) -> bytes:
        chance = random.Random(number)
        if chance.random() < GUIDED:
            found = mutated(data, chance) if len(parts_of(data)[1]) and chance.random() < 0.9 else generated(chance)
            return found if len(found) <= most else found[:most]
        return bytes(atheris.Mutate(data, most))

    def run(data: bytes) -> None:
        try:
            check(data)
        except BaseException:
            print(described(data), flush=True)
            raise

    FOUND.mkdir(parents=True, exist_ok=True)
    options = [f"-seed={seed}", f"-max_len={MOST_BYTES}", "-len_control=0", "-timeout=60", "-print_final_stats=1"]
    options += [f"-runs={runs}"] if runs else [f"-max_total_time={max(1, round(seconds))}"]
    options += [f"-artifact_prefix={FOUND}/connection_fuzz-"]
    atheris.Setup([sys.argv[0], *options, *corpora], run, custom_mutator=mutate)
    atheris.Fuzz()


def check_seed(number: int, examples: int = EXAMPLES) -> None:
    """Check so many inputs, the same for the same seed."""
    from connection_check import check, described
    from connection_inputs import generated, mutated

    chance = random.Random(number)
    data = generated(chance)
    for _ in range(examples):
        data = mutated(data, chance) if chance.random() < 0.5 else generated(chance)
        try:
            check(data)
        except BaseException:
            print(described(data), flush=True)
            raise


def drawn(seconds: float, seed: int, is_one: bool) -> None:
    """Check seed after seed for the time given, or one."""
    started = time.monotonic()
    rounds = 0
    while rounds == 0 or (not is_one and time.monotonic() - started < seconds):
        with contextlib.ExitStack() as told:
            told.callback(print, f"again: python fuzz/connection_fuzz.py --drawn --seed {seed + rounds}", flush=True)
            check_seed(seed + rounds)
            told.pop_all()
        rounds += 1
    print(f"Done {rounds * EXAMPLES} runs in {time.monotonic() - started:.0f} seconds, up to seed {seed + rounds - 1}")


def main() -> int:
    """Look for inputs that are answered wrongly, or check the ones given."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30, help="how long (30)")
    parser.add_argument("--runs", type=int, default=0, help="how many inputs, however long that takes")
    parser.add_argument("--seed", type=int, help="where to begin; another one each time")
    parser.add_argument(
        "--corpus", action="append", default=[], help="a folder of inputs; what is found goes to the first"
    )
    parser.add_argument("--drawn", action="store_true", help="do not use atheris")
    parser.add_argument("files", nargs="*", type=Path, help="check these inputs alone")
    options = parser.parse_args()
    if options.files:
        from connection_check import check, described

        for file in options.files:
            data = file.read_bytes()
            print(described(data))
            check(data)
        return 0
    seed = secrets.randbits(31) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    if options.drawn or importlib.util.find_spec("atheris") is None:
        drawn(options.seconds, seed, is_one=options.seed is not None)
        return 0
    guided(options.seconds, options.runs, seed, options.corpus)
    return 0


if __name__ == "__main__":
    sys.exit(main())
