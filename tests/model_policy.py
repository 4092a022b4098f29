"""The model, part one: who may ask for what (the rules for callers, allowed types, cpu levels and the quota hook)."""

from typing import Any

from grantwheel import Caller, Policy

CPU = 1
ALL = 511
RETAINED = 4 | 8
DEFAULT_LEVEL = -1

MAX_UID = 2**32 - 2
MAX_PID = 2**31 - 1
MAX_TIMEOUT = 2**32 - 1
MAX_TEXT_BYTES = 1024

PERMISSION_DENIED = 201
NOT_SYSTEM_APP = 202
OUT_OF_MEMORY = 980000101
PARCEL_FAILED = 980000201
TRANSACTION_FAILED = 980000301
NOT_READY = 980000401
REQUEST_INVALID = 1870000101
IDENTITY_INVALID = 1870000102
LEVEL_INVALID = 1870000107
LEVEL_NOT_CONFIGURED = 1870000108
LEVEL_BUNDLE_UNKNOWN = 1870000109
LEVEL_ABOVE_LIMIT = 1870000111
QUERY_PARCEL_FAILED = 1870000201
QUERY_NOT_READY = 1870000401


class Refused(Exception):
    """A call was refused by the rule with this inner code, and has changed nothing."""

    def __init__(self, inner: int) -> None:
        super().__init__(inner)
        self.inner = inner

    @property
    def public(self) -> int:
        """The code that the documented API names."""
        if 9800400 <= self.inner <= 9800499:
            return 401
        return self.inner // 100 if self.inner >= 100_000_000 else self.inner


def encodable(text: str) -> bool:
    """Say whether the text can be written as UTF-8."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def text_too_long(text: str) -> bool:
    """Say whether an encodable text takes more bytes than a reason or a bundle name may."""
    return len(text) * 4 > MAX_TEXT_BYTES and len(text.encode()) > MAX_TEXT_BYTES


def check_identity(uid: int, pid: int = 0, bundle: str = "") -> None:
    """Refuse a uid, a pid or a bundle name out of range."""
    if not 0 <= uid <= MAX_UID or not 0 <= pid <= MAX_PID or text_too_long(bundle):
        raise Refused(IDENTITY_INVALID)


def check_mask(mask: int) -> None:
    """Refuse an empty mask and one with an unknown bit."""
    if not 1 <= mask <= ALL:
        raise Refused(REQUEST_INVALID)


class Gate:
    """The checks of SPEC 4, 5 and 12 under one policy, which may be replaced; ``ready`` may be set."""

    def __init__(self, policy: Policy) -> None:
        self.ready = True
        self.policy = policy

    @property
    def policy(self) -> Policy:
        """What is allowed now."""
        return self._policy

    @policy.setter
    def policy(self, policy: Policy) -> None:
        self._policy = policy
        self._allowed: dict[str, int] = {}

    def caller(self, uid: int, caller: Caller | None) -> Caller:
        """The caller that was named, or else the registered one of the uid."""
        return self._policy.callers.get(uid, self._policy.default_caller) if caller is None else caller

    def allowed(self, bundle: str) -> int:
        """The types that a bundle may hold."""
        if bundle not in self._allowed:
            self._allowed[bundle] = self._judge_bundle(bundle)
        return self._allowed[bundle]

    def _judge_bundle(self, bundle: str) -> int:
        if bundle in self._policy.unknown_bundles:
            return 0
        return sum(int(bit) for bit in self._policy.allowed.get(bundle, self._policy.default_allowed))

    def longest(self, bundle: str, mask: int, timeout: int, persist: bool) -> dict[int, int]:
        """The types of an apply that would last longer than the policy lets them, with the timeout that it has."""
        policy = self._policy
        timeouts: dict[Any, Any] = dict(policy.timeout_max_ms.get(bundle, policy.default_timeout_max_ms))  # ints by now
        capped = {int(bit): most for bit, most in timeouts.items() if bit & mask and (persist or timeout > most)}
        if capped and self._policy.over_timeout_max == "refuse":
            raise Refused(PERMISSION_DENIED)
        return capped

    def check_level(self, bundle: str, mask: int, level: int) -> None:
        """Refuse a cpu level that the bundle may not name."""
        if not mask & CPU or level == DEFAULT_LEVEL:
            return
        if not 0 <= level <= 2:
            raise Refused(LEVEL_INVALID)
        limit = self._policy.cpu_level_max.get(bundle)
        if limit is None:
            raise Refused(LEVEL_NOT_CONFIGURED)
        if bundle in self._policy.unknown_bundles:
            raise Refused(LEVEL_BUNDLE_UNKNOWN)
        if level > limit:
            raise Refused(LEVEL_ABOVE_LIMIT)

    def check_caller(self, uid: int, pid: int, caller: Caller) -> None:
        """Refuse an invalid identity, then one without the privilege to apply."""
        check_identity(uid, pid, caller.bundle)
        if not caller.system_app and not caller.service_extension:
            raise Refused(NOT_SYSTEM_APP)

    def admit_request(
        self, uid: int, pid: int, caller: Caller, mask: int, reason: str, cpu_level: int, timed_without_timeout: bool
    ) -> int:
        """Judge an apply or a release up to the quota hook; answer the types that are left of it."""
        if not encodable(reason) or not encodable(caller.bundle):
            raise Refused(PARCEL_FAILED)
        if not self.ready:
            raise Refused(NOT_READY)
        check_mask(mask)
        if timed_without_timeout or text_too_long(reason):
            raise Refused(REQUEST_INVALID)
        self.check_caller(uid, pid, caller)
        self.check_level(caller.bundle, mask, cpu_level)
        effective = mask & self.allowed(caller.bundle)
        if not effective:
            raise Refused(PERMISSION_DENIED)
        return effective

    def ask_quota(self, uid: int, bundle: str, effective: int, is_apply: bool) -> None:
        """Refuse what the quota hook, if there is one, does not let pass."""
        quota = self._policy.quota
        if quota is not None and effective & CPU and not quota.check(uid, bundle, effective, is_apply):
            raise Refused(PERMISSION_DENIED)

    def admit_reset_all(self, uid: int, pid: int, caller: Caller) -> int:
        """Judge a reset of all types; answer the allowed ones."""
        if not encodable(caller.bundle):
            raise Refused(PARCEL_FAILED)
        if not self.ready:
            raise Refused(NOT_READY)
        self.check_caller(uid, pid, caller)
        allowed = self.allowed(caller.bundle)
        if not allowed:
            raise Refused(PERMISSION_DENIED)
        return allowed

    def admit_query(self, caller: Caller) -> None:
        """Judge whether the caller may read the grants of its uid."""
        if not encodable(caller.bundle):
            raise Refused(QUERY_PARCEL_FAILED)
        if not self.ready:
            raise Refused(QUERY_NOT_READY)
        self.check_caller(caller.uid, caller.pid, caller)

    def admit_native(self, caller: Caller) -> None:
        """Judge whether the caller may see the records of everyone."""
        if not caller.native:
            raise Refused(PERMISSION_DENIED)
