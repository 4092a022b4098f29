"""The documented call: a request object or a mapping is made and applied, against the typed call."""

import os
from collections.abc import Callable
from types import MappingProxyType

from grantbench import loops
from grantbench.contender import Run
from grantbench.contenders.grantwheel_contender import GrantwheelContender
from grantbench.plan import LONGEST_MS, Plan
from grantbench.shape import COMMON
from grantbench.workload import Entry, Trial, Workload, expect
from grantwheel import Caller, EfficiencyResourcesRequest, backgroundTaskManager

REASON = "navigation"
TIMEOUT_MS = 2 * LONGEST_MS


def _callers(plan: Plan) -> list[Caller]:
    return [Caller(uid=uid, pid=uid, system_app=True) for uid in plan.again]


def _typed(contender: GrantwheelContender, plan: Plan) -> Run:
    apply = contender.manager.apply

    def run() -> None:
        for uid in plan.again:
            apply(uid, uid, COMMON, TIMEOUT_MS, reason=REASON)

    return run


def _made_and_applied(contender: GrantwheelContender, plan: Plan) -> Run:
    apply_request = contender.manager.apply_request
    callers = _callers(plan)

    def run() -> None:
        for caller in callers:
            request = EfficiencyResourcesRequest(
                resourceTypes=COMMON, isApply=True, timeOut=TIMEOUT_MS, reason=REASON, isPersist=False, isProcess=False
            )
            apply_request(request, caller=caller)

    return run


def _kept(contender: GrantwheelContender, plan: Plan) -> Run:
    apply_request = contender.manager.apply_request
    callers = _callers(plan)
    request = EfficiencyResourcesRequest(resourceTypes=COMMON, isApply=True, timeOut=TIMEOUT_MS, reason=REASON)

    def run() -> None:
        for caller in callers:
            apply_request(request, caller=caller)

    return run


def _mapping_made(contender: GrantwheelContender, plan: Plan) -> Run:
    apply_request = contender.manager.apply_request
    callers = _callers(plan)

    def run() -> None:
        for caller in callers:
            request = {
                "resourceTypes": COMMON,
                "isApply": True,
                "timeOut": TIMEOUT_MS,
                "reason": REASON,
                "isPersist": False,
                "isProcess": False,
            }
            apply_request(request, caller=caller)

    return run


def _mapping_kept(contender: GrantwheelContender, plan: Plan) -> Run:
    apply_request = contender.manager.apply_request
    callers = _callers(plan)
    request = MappingProxyType({"resourceTypes": COMMON, "isApply": True, "timeOut": TIMEOUT_MS, "reason": REASON})

    def run() -> None:
        for caller in callers:
            apply_request(request, caller=caller)

    return run


def _by_module(contender: GrantwheelContender, plan: Plan) -> Run:
    backgroundTaskManager.set_default_manager(contender.manager)
    apply = backgroundTaskManager.applyEfficiencyResources
    request = EfficiencyResourcesRequest(resourceTypes=COMMON, isApply=True, timeOut=TIMEOUT_MS, reason=REASON)

    def run() -> None:
        for _uid in plan.again:
            apply(request)

    return run


def _entry(loop: Callable[[GrantwheelContender, Plan], Run], *, is_of_this_process: bool = False) -> Entry:
    def make(plan: Plan) -> Trial:
        contender = GrantwheelContender(plan.owners)
        contender.applying(plan.uids, plan.timeouts)()
        renewed = os.getuid() if is_of_this_process else plan.again[-1]
        contender.apply(renewed, COMMON, LONGEST_MS)  # which the plan may know nothing of
        owners = contender.count()

        def check() -> None:
            record = contender.manager.find_app(renewed)
            expect("reason", record and record.grants[0].reason, REASON)
            expect("timeout", record and record.grants[0].timeout_ms, TIMEOUT_MS)
            expect("owners", contender.count(), owners)

        def close() -> None:
            if is_of_this_process:
                backgroundTaskManager.set_default_manager(None)
            contender.close()

        return Trial(
            run=loop(contender, plan),
            loop=lambda: loops.over(plan.again),
            operations=plan.owners,
            check=check,
            close=close,
        )

    return Entry(make, 1_000_000)


DOCUMENTED = Workload(
    name="documented call",
    what="renew by a request object, made for the call or kept from one call to the next, by a dict that is made for "
    "it, and by a mapping that is kept and no dict; and by the documented module, for this process alone; against the "
    "typed call with a reason",
    unit="per call",
    base="typed",
    entries={
        "typed": _entry(_typed),
        "documented, made each time": _entry(_made_and_applied),
        "documented, kept": _entry(_kept),
        "documented, dict made each time": _entry(_mapping_made),
        "documented, mapping kept": _entry(_mapping_kept),
        "documented, by the module": _entry(_by_module, is_of_this_process=True),
    },
)
