"""Many threads and the C ABI, whose managers belong to one of them at a time. It needs an installed package."""

import random
import threading
from functools import partial

from capi_manager import CapiManager
from grantwheel import ManualClock, Policy
from support import GPS
from test_threads import MASKS, SEED, UIDS, at_once


def test_managers_of_the_c_abi_have_nothing_in_common() -> None:
    """The calls run without the GIL. Each thread has a manager of its own, and all of them one more under a lock."""
    shared = CapiManager(clock=ManualClock())
    lock = threading.Lock()

    def work(number: int) -> None:
        dice = random.Random(f"{SEED} {number}")
        for _ in range(10):
            clock = ManualClock()
            own = CapiManager(clock=clock, policy=Policy(cpu_level_max={"org.tide.mail": 2}))
            for _ in range(20):
                uid, mask = dice.randrange(UIDS), dice.choice(MASKS)
                own.apply(uid, 1, mask, 1 + dice.randrange(20), reason=f"reason {dice.randrange(5)}")
                own.apply_many([uid, uid + 1], [1, 1], [mask, GPS], [5, 5])
                clock.advance(dice.randrange(5))
                own.advance(3)
                own.release(dice.randrange(UIDS), 1, dice.choice(MASKS))
                own.records()
                own.drain()
                with lock:
                    shared.apply(uid, 1, mask, 0, persist=True)
                    shared.release(uid, 1, mask)
            own.validate()
            own.close()

    at_once(*[partial(work, number) for number in range(4)])
    assert shared.records() == []
    assert shared.last_sequence == 4 * 10 * 20 * 2
    shared.validate()
