"""Documented requests of every kind, judged by an oracle and carried out by the model: ``--seconds N`` or ``--seed N``.

Hypothesis draws them, and not a fuzzer of bytes: what matters is the form of a request, which has to be nearly right to
come far, and a failure shrinks to the few fields that matter. The extension is no Python that coverage could guide by.
"""

import argparse
import os
import secrets
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "fuzz")]

from hypothesis import HealthCheck, given, seed, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from grantwheel import BusinessError, Caller, Policy, backgroundTaskManager  # noqa: E402
from hostile import Request, made, rarely, requests, strange  # noqa: E402
from lockstep import MAX_NOW, Lockstep, Operation, Setup  # noqa: E402
from lockstep_events import Mismatch  # noqa: E402
from model_policy import MAX_PID, MAX_UID, Refused  # noqa: E402
from oracle import CODES, judge  # noqa: E402
from support import check_error  # noqa: E402

POLICIES: Final = (
    Policy(cpu_level_max={"mail": 2, "music": 1}),
    Policy(allowed={"mail": (1, 3, 6), "music": (0,)}, default_allowed=(2, 9), unknown_bundles=("none",)),
)
SETUPS: Final = (
    Setup(policies=POLICIES),
    Setup(policies=POLICIES, max_records=2, max_strings=2, event_capacity=3),
    Setup(policies=POLICIES, start=2**62 - 2**33, quota=True),
)
CALLERS: Final = (
    None,
    *[Caller(uid=1, pid=1, bundle="mail", system_app=True)] * 4,
    *[Caller(uid=2, pid=1, bundle="mail", system_app=True)] * 3,
    Caller(uid=1, pid=2, bundle="music", service_extension=True),
    Caller(uid=2, pid=2, bundle="none", system_app=True),
    Caller(uid=1, pid=1, bundle="mail"),
    Caller(uid=MAX_UID + 1, pid=1, system_app=True),
    Caller(uid=1, pid=MAX_PID + 1, system_app=True),
    Caller(uid=3, pid=3, bundle="\udc80", system_app=True),
)


class Documented(Lockstep):
    """A manager and the model, with the documented call on both."""

    def _pair_calls(self) -> dict[str, tuple[Callable[..., object], Callable[..., object]]]:
        return {**super()._pair_calls(), "apply_request": (self._call, self._judge)}

    def _call(self, recipes: tuple[Any, ...], caller: Caller | None, module: bool) -> object:
        arguments = tuple(make(recipe) for recipe in recipes)
        try:
            if module and caller is None:
                backgroundTaskManager.set_default_manager(self.manager)
                backgroundTaskManager.applyEfficiencyResources(*arguments)
                return ("done", None)
            return ("done", self.manager.apply_request(*arguments, caller=caller))
        except BusinessError as error:
            check_error(error, error.code, error.detail)
            named = [name for name, code in CODES.items() if code == error.detail]
            if not all(name in error.message for name in named):
                raise Mismatch(f"message of {error.detail}: {error.message}") from error
            raise
        except Exception as error:
            return ("raised", type(error), str(error))

    def _judge(self, now: int, recipes: tuple[Any, ...], caller: Caller | None, module: bool) -> object:
        arguments = tuple(make(recipe) for recipe in recipes)
        self.model.settle(now)
        try:
            asked = judge(arguments)
        except Refused:
            raise
        except Exception as error:
            return ("raised", type(error), str(error))
        uid, pid = (os.getuid(), os.getpid()) if caller is None else (caller.uid, caller.pid)
        same: Mapping[str, Any] = {"process": asked.process, "cpu_level": asked.cpu_level, "caller": caller}
        if asked.is_apply:
            more = {"persist": asked.persist, "reason": asked.reason, **same}
            mask = self.model.apply(now, uid, pid, asked.mask, asked.timeout_ms, **more)
        else:
            mask = self.model.release(now, uid, pid, asked.mask, **same)
        return ("done", None if module and caller is None else mask)


def make(recipe: Any) -> Any:
    """What a recipe of an argument makes."""
    return recipe.make() if isinstance(recipe, Request) else made(recipe)


arguments = rarely(
    requests.map(lambda request: (request,)), st.lists(st.one_of(requests, strange), max_size=3).map(tuple), 15
)
steps = rarely(
    st.tuples(st.just("apply_request"), arguments, st.sampled_from(CALLERS), st.booleans()),
    st.one_of(
        st.tuples(st.just("wait"), st.sampled_from((1, 2, 63, 4096, 2**31))),
        st.tuples(st.just("set_policy"), st.sampled_from((0, 1))),
        st.tuples(st.just("ready"), st.sampled_from((True, True, False))),
        st.tuples(st.just("advance"), st.sampled_from((None, 1))),
    ),
    4,
)


def check_requests(setup: Setup, calls: list[tuple[Any, ...]]) -> None:
    """Every call of a list is answered as the oracle and the model answer it, and leaves what they leave."""
    both = Documented(setup)
    now = setup.start
    for name, *rest in calls:
        if name == "wait":
            now = min(now + rest[0], MAX_NOW)
        else:
            both.perform(Operation(now, name, tuple(rest)))
    both.finish()


def check_seed(number: int, examples: int) -> None:
    """Check so many lists of calls, the same for the same seed."""
    drawn = given(setup=st.sampled_from(SETUPS), calls=st.lists(steps, min_size=1, max_size=12))(check_requests)
    configured = settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    seed(number)(configured(drawn))()


def main() -> int:
    """Check seed after seed for the time given, or one seed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30, help="how long (30)")
    parser.add_argument("--seed", type=int, help="check this seed alone")
    options = parser.parse_args()
    examples = 200
    started = time.monotonic()
    rounds = 0
    number = secrets.randbits(32) if options.seed is None else options.seed
    while rounds == 0 or (options.seed is None and time.monotonic() - started < options.seconds):
        try:
            check_seed(number, examples)
        except BaseException:
            print(f"again: {Path(sys.executable).name} fuzz/request_fuzz.py --seed {number}", flush=True)
            raise
        number += 1
        rounds += 1
    print(f"Done {rounds * examples} runs in {time.monotonic() - started:.0f} seconds, up to seed {number - 1}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
