"""Managers whose grants survive crashes, restarts and reboots: `open`, and what it takes and reports."""

from .durable import DurableManager
from .opening import open_manager as open  # noqa: A004 - grantwheel.open, as it reads
from .report import Report
from .start import Start

__all__ = ["DurableManager", "Report", "Start", "open"]
