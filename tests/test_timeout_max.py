"""The longest timeouts of a policy, by every way to ask for more."""

from array import array

import pytest

from grantwheel import Caller, MemoryLog, Policy, ResourceType, replay
from support import ALL, AUDIO, CPU, GPS, MAIL, MAPS, Hook, check_refused, make_manager, request, state, unchanged

LIMITS = {"org.tide.mail": {ResourceType.GPS: 100, ResourceType.CPU: 10}}
CAPPING = Policy(timeout_max_ms=LIMITS, callers={700: MAIL})
REFUSING = Policy(timeout_max_ms=LIMITS, callers={700: MAIL}, over_timeout_max="refuse")


def grants(manager: object, uid: int = 700) -> dict[int, tuple[int, int | None]]:
    """The timeout and the deadline of each type that an app holds."""
    record = manager.find_app(uid)  # type: ignore[attr-defined]
    return {} if record is None else {int(one.type): (one.timeout_ms, one.deadline_ms) for one in record.grants}


def test_a_longer_apply_gets_the_longest_which_all_views_show() -> None:
    manager, clock = make_manager(policy=CAPPING)
    assert manager.apply(700, 71, GPS | CPU | AUDIO, 500, reason="nav") == GPS | CPU | AUDIO
    assert grants(manager) == {CPU: (10, 10), GPS: (100, 100), AUDIO: (500, 500)}
    assert [(row.resourceTypes, row.timeout, row.remaining) for row in manager.get_all(caller=MAIL)] == [
        (CPU, 10, 10),
        (GPS, 100, 100),
        (AUDIO, 500, 500),
    ]
    assert "100 ms left of 100 ms" in manager.admin_list()
    assert len(manager.drain()) == 1
    clock.set(100)
    assert manager.app_mask(700) == AUDIO


def test_a_documented_request_and_a_batch_are_cut_the_same() -> None:
    manager, _ = make_manager(policy=CAPPING)
    manager.apply_request(request(GPS | AUDIO, 500), caller=MAIL)
    assert grants(manager) == {GPS: (100, 100), AUDIO: (500, 500)}
    manager, _ = make_manager(policy=CAPPING)
    columns = (array("I", one) for one in ([700, 800], [71, 81], [GPS, GPS], [500, 500]))
    assert list(manager.apply_many(*columns)) == [GPS, GPS]
    assert grants(manager) == {GPS: (100, 100)}
    assert grants(manager, 800) == {GPS: (500, 500)}


def test_a_persistent_apply_is_longer_than_any_timeout() -> None:
    manager, _ = make_manager(policy=CAPPING)
    manager.apply(700, 71, GPS | AUDIO, 0, persist=True)
    assert grants(manager) == {GPS: (100, 100), AUDIO: (0, None)}
    manager, _ = make_manager(policy=REFUSING)
    check_refused(manager, lambda: manager.apply(700, 71, GPS | AUDIO, 0, persist=True), 201, 201)
    assert manager.apply(700, 71, AUDIO, 0, persist=True) == AUDIO


def test_a_refusal_is_of_the_whole_request() -> None:
    manager, _ = make_manager(policy=REFUSING)
    assert manager.apply(700, 71, GPS, 100) == GPS
    before = state(manager)
    with unchanged(manager):
        check_refused(manager, lambda: manager.apply(700, 71, GPS | AUDIO, 101), 201, 201)
    check_refused(manager, lambda: manager.apply_request(request(GPS, 101), caller=MAIL), 201, 201)
    columns = (array("I", one) for one in ([700, 800], [71, 81], [GPS, GPS], [500, 500]))
    assert list(manager.apply_many(*columns)) == [-201, GPS]
    assert state(manager) != before  # that of 800


def test_a_renewal_is_cut_and_refused_as_an_apply_is() -> None:
    manager, clock = make_manager(policy=CAPPING)
    manager.apply(700, 71, GPS, 50)
    clock.set(40)
    assert manager.renew(700, 71, GPS | AUDIO, 5000) == GPS
    assert grants(manager) == {GPS: (100, 140)}
    manager.set_policy(REFUSING)
    check_refused(manager, lambda: manager.renew(700, 71, GPS, 5000), 201, 201)
    assert manager.renew(700, 71, GPS, 100) == GPS


def test_a_hold_lasts_no_longer_without_a_renewal() -> None:
    manager, clock = make_manager(policy=CAPPING)
    with manager.hold(GPS, uid=700, pid=71, timeout_ms=300):
        assert grants(manager) == {GPS: (100, 100)}
        clock.set(100)
        assert manager.app_mask(700) == 0
    manager.set_policy(REFUSING)
    check_refused(manager, lambda: manager.hold(GPS, uid=700, pid=71, timeout_ms=300).__enter__(), 201, 201)


def test_a_release_is_never_too_long() -> None:
    manager, _ = make_manager(policy=REFUSING)
    manager.apply(700, 71, GPS, 100)
    manager.apply_request(request(GPS, 5000, isApply=False), caller=MAIL)
    assert manager.app_mask(700) == 0


def test_bundles_without_an_entry_have_the_default() -> None:
    policy = Policy(
        timeout_max_ms={"org.tide.mail": {}},
        default_timeout_max_ms={ResourceType.ALL: 60, ResourceType.GPS | ResourceType.AUDIO: 50},
    )
    manager, _ = make_manager(policy=policy)
    manager.apply(700, 71, GPS, 500, caller=MAIL)
    manager.apply(800, 81, GPS | CPU, 500, caller=MAPS)
    manager.apply(900, 91, AUDIO, 500, caller=Caller(system_app=True))
    assert grants(manager) == {GPS: (500, 500)}
    assert grants(manager, 800) == {CPU: (60, 60), GPS: (50, 50)}
    assert grants(manager, 900) == {AUDIO: (50, 50)}


def test_the_quota_is_asked_with_its_four_arguments_for_what_is_granted() -> None:
    hook = Hook()
    manager, _ = make_manager(policy=Policy(timeout_max_ms={"": {ResourceType.CPU: 9}}, quota=hook))
    manager.apply(700, 71, CPU, 0, persist=True)
    assert hook.calls == [("check", 700, "", CPU, True)]
    manager.apply(800, 81, CPU, 0, persist=True, caller=MAPS)
    assert len(hook.calls) == 1


def test_what_was_decided_is_on_record_and_a_replay_does_the_same() -> None:
    log = MemoryLog()
    manager, _ = make_manager(policy=CAPPING, log=log)
    manager.apply(700, 71, GPS | CPU | AUDIO, 500, persist=True, reason="nav")
    manager.apply(700, 71, AUDIO, 500)
    follower = replay(group for _, group in log.read())
    assert follower.records() == manager.records()
    assert follower.read(0)[0] == manager.drain()


@pytest.mark.parametrize("timeout", [1, 99, 100])
def test_what_is_not_longer_is_left_alone(timeout: int) -> None:
    for policy in (CAPPING, REFUSING):
        manager, _ = make_manager(policy=policy)
        assert manager.apply(700, 71, GPS, timeout) == GPS
        assert grants(manager) == {GPS: (timeout, timeout)}
        assert manager.apply(700, 71, ALL & ~(CPU | GPS), 2**32 - 1) == ALL & ~(CPU | GPS)
