"""What one connection, one uid and all together may ask for."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    connections: int = 10_000
    connections_per_uid: int = 1_000
    request_bytes: int = 8 << 20
    calls_per_second: int = 0


class Rates:
    def __init__(self, calls_per_second: int) -> None:
        self._most = calls_per_second

    def take(self, uid: int, now: float) -> bool:
        return True
