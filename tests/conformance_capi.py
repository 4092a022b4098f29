"""The C ABI as a way into the engine: ``python tests/conformance.py --face capi FILE...`` drives it.

It is the face of the Python API on another manager. Documented requests are read by the package's own parser, the quota
is asked by the library, and everything else is a call of the C ABI.
"""

from capi_manager import CapiManager
from conformance_face import PythonFace, Row


class CapiFace(PythonFace):
    """The engine through the C ABI, as cffi calls it."""

    def _make_manager(self) -> CapiManager:
        return CapiManager(clock=self._clock, policy=self._policy)

    def _make_tasks(self, policy: Row) -> None:
        """The C ABI has none."""
