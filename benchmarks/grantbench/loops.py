"""The loops of the workloads with nothing in them: what is subtracted."""

from collections.abc import Sequence

from grantbench.plan import Mix


def over(uids: Sequence[int]) -> None:
    """Walk the owners."""
    for _uid in uids:
        pass


def over_pairs(uids: Sequence[int], timeouts: Sequence[int]) -> None:
    """Walk the owners and their timeouts."""
    for _uid, _timeout in zip(uids, timeouts, strict=True):
        pass


def over_mix(mix: Mix) -> None:
    """Walk a mix, and tell releases from the rest."""
    for is_release, _uid, _timeout in zip(mix.is_release, mix.uids, mix.timeouts, strict=True):
        if is_release:
            pass
