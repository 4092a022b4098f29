"""What a grant does for an app in the background: who is suspended, when, and why not."""

from grantwheel.linux.freezers import FreezeError, Freezer, FreezeRefusedError, HierarchyError, PartlyThawedError
from grantwheel.linux.freezers_cgroup import CgroupFreezer
from grantwheel.linux.freezers_process import descendants_of
from grantwheel.linux.freezers_signal import SignalFreezer
from grantwheel.linux.freezers_thaw import Thawed, thaw_left

from .listening import SuspensionSubscription
from .suspension import Suspension
from .values import (
    AppState,
    Keeper,
    SuspensionCause,
    SuspensionEvent,
    SuspensionKind,
    SuspensionStats,
    TaskKind,
    Why,
)

__all__ = [
    "AppState",
    "CgroupFreezer",
    "FreezeError",
    "FreezeRefusedError",
    "Freezer",
    "HierarchyError",
    "Keeper",
    "PartlyThawedError",
    "SignalFreezer",
    "Suspension",
    "SuspensionCause",
    "SuspensionEvent",
    "SuspensionKind",
    "SuspensionStats",
    "SuspensionSubscription",
    "TaskKind",
    "Thawed",
    "Why",
    "descendants_of",
    "thaw_left",
]
