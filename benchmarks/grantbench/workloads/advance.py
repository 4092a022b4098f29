"""What `advance` costs: over the grants that it ends, and over the time that it skips."""

from collections.abc import Callable

from grantbench.contender import EVERYTHING, Contender
from grantbench.contenders import CONTENDERS
from grantbench.plan import LONGEST_MS, Plan
from grantbench.shape import COMMON
from grantbench.workload import Entry, Trial, expect

# How many grants end while time is skipped.
ENDED = 1_000
# The longest timeout there is.
LONGEST_SKIP_MS = 2**32 - 1

# For each contender whose time is a number, by name.
Series = dict[str, Entry]


def _series(setup: Callable[[Contender, Plan], Trial]) -> Series:
    def entry(contender: type[Contender]) -> Entry:
        return Entry(lambda plan: setup(contender(plan.owners), plan), contender.max_owners)

    return {contender.name: entry(contender) for contender in CONTENDERS.values() if contender.is_virtual}


def _end(contender: Contender, plan: Plan, ended: int) -> Trial:
    return Trial(
        run=lambda: contender.end(EVERYTHING),
        operations=1,
        check=lambda: expect("owners left", contender.count(), plan.owners - ended),
        close=contender.close,
    )


def ending(ended: int) -> Series:
    """Of all owners, so many have run out, their deadlines spread over ten minutes; the rest has not."""

    def setup(contender: Contender, plan: Plan) -> Trial:
        for uid, timeout in zip(plan.uids[ended:], plan.longer[ended:], strict=True):
            contender.apply(uid, COMMON, timeout + LONGEST_MS)
        contender.applying(plan.uids[:ended], plan.timeouts[:ended])()
        contender.pass_time(LONGEST_MS)
        return _end(contender, plan, ended)

    return _series(setup)


def skipping(ms: int) -> Series:
    """So much time passes, over which `ENDED` grants (or all, where there are fewer) end at even intervals."""

    def setup(contender: Contender, plan: Plan) -> Trial:
        ended = min(ENDED, plan.owners)
        for place, uid in enumerate(plan.uids[:ended]):
            contender.apply(uid, COMMON, max(1, ms * (place + 1) // ended))
        contender.pass_time(ms)
        return _end(contender, plan, plan.owners)

    return _series(setup)
