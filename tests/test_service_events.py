"""Events and holds through the service, and what becomes of them when it is started anew."""

import itertools
import threading
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("hiredis")

from client_stage import OWN, Stage, stage
from grantwheel import BusinessError, Event, EventKind, ResourceType
from grantwheel.caller import Caller
from grantwheel.service.client_commands import pack
from grantwheel.service.client_hold import ClientHold
from grantwheel.service.client_link import Link
from grantwheel.service.peers import Peer
from support import refusal
from waiting import own_threads, wait_for

__all__ = ["stage"]  # a fixture

UID, PID = OWN


def sequences(events: list[Event]) -> list[int]:
    return [event.sequence for event in events]


def change(stage: Stage, count: int) -> None:
    """Make events: two for each."""
    for uid in range(1, count + 1):
        stage.manager.apply(uid, 1, 1, 50)
        stage.manager.release(uid, 1, 1)


# Reading.


def test_a_reader_has_every_event_from_its_start_on(stage: Stage) -> None:
    change(stage, 1)
    client = stage.client()
    subscription = client.subscribe("reader")
    assert subscription.drain() == []
    change(stage, 2)
    assert sequences(subscription.drain(limit=3)) == [3, 4, 5]
    assert sequences(subscription.drain()) == [6]
    assert subscription.missed == 0
    assert subscription.subscriber == "reader"


def test_kinds_and_uids_choose(stage: Stage) -> None:
    client = stage.client()
    resets = client.subscribe("resets", kinds=[EventKind.APP_RESET])
    ones = client.subscribe("ones", uids=[1])
    change(stage, 2)
    assert sequences(resets.drain()) == [2, 4]
    assert sequences(ones.drain()) == [1, 2]
    with pytest.raises(ValueError, match="no_kind"):
        client.subscribe("wrong", kinds=["no_kind"])


def test_subscribers_are_told_apart(stage: Stage) -> None:
    client = stage.client()
    assert refusal(lambda: client.subscribe(None)).code == 401
    assert refusal(lambda: client.unsubscribe("a")).detail == 980000502
    client.subscribe("a")
    assert refusal(lambda: client.subscribe("a")).detail == 980000501
    client.unsubscribe("a")
    with client.subscribe("a") as again:
        change(stage, 1)
    change(stage, 1)
    assert sequences(again.drain()) == [1, 2]  # those from before its end
    assert refusal(again.cancel).detail == 980000502
    with pytest.raises(TypeError, match="callable"):
        client.subscribe("b", batch=True)


def test_events_are_for_native_callers(stage: Stage) -> None:
    stage.peer = Peer(uid=UID, pid=PID, caller=Caller(uid=UID, pid=PID, system_app=True))
    client = stage.client()
    assert refusal(lambda: client.subscribe("a")).code == 201
    assert refusal(client.follow).code == 201
    assert refusal(client.records).code == 201


def test_a_gap_is_counted(stage: Stage) -> None:
    stage.stop()
    stage.start(event_capacity=4)
    client = stage.client()
    subscription = client.subscribe("slow")
    change(stage, 5)
    assert sequences(subscription.drain()) == [7, 8, 9, 10]
    assert subscription.missed == 6
    gaps: list[int] = []
    first = next(iter(client.follow(0, on_gap=gaps.append)))
    assert (first.sequence, gaps) == (7, [6])


def test_the_clients_own_subscription(stage: Stage) -> None:
    client = stage.client()
    assert client.drain() == []
    change(stage, 1)
    assert sequences(client.drain()) == [1, 2]
    assert client.missed == 0


# Following.


def test_a_callable_is_called_with_each_event(stage: Stage) -> None:
    client = stage.client()
    one_by_one: list[Event] = []
    in_lists: list[list[Event]] = []
    client.subscribe(one_by_one.append)
    client.subscribe(in_lists.append, batch=True)
    change(stage, 300)
    wait_for(lambda: len(one_by_one) == 600 and sum(map(len, in_lists)) == 600)
    assert sequences(one_by_one) == list(range(1, 601))
    assert sequences(list(itertools.chain(*in_lists))) == list(range(1, 601))
    client.unsubscribe(one_by_one.append)
    change(stage, 1)
    wait_for(lambda: sum(map(len, in_lists)) == 602)
    assert len(one_by_one) == 600
    client.close()
    wait_for(lambda: not own_threads())


def test_what_a_callable_is_called_with_may_be_chosen_by_an_iterator(stage: Stage) -> None:
    client = stage.client()
    got: list[Event] = []
    client.subscribe(got.append, kinds=iter([EventKind.APP_RESET]), uids=iter([2]))
    change(stage, 3)
    wait_for(lambda: got)
    client.unsubscribe(got.append)
    assert sequences(got) == [4]


def test_a_callable_that_raises_goes_on(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    got: list[Event] = []

    def careless(event: Event) -> None:
        got.append(event)
        raise RuntimeError("it raises")

    stage.client().subscribe(careless)
    change(stage, 1)
    wait_for(lambda: len(got) == 2)
    assert "raised" in caplog.text


def test_followers_go_on_at_their_place(stage: Stage) -> None:
    client = stage.client()
    reader = client.subscribe("reader")
    got: list[Event] = []
    client.subscribe(got.append)
    follower = client.follow(0)
    change(stage, 2)
    assert [next(follower).sequence for _ in range(4)] == [1, 2, 3, 4]
    wait_for(lambda: len(got) == 4)
    stage.stop()
    change(stage, 1)  # nobody is told
    stage.resume()
    change(stage, 1)
    assert [next(follower).sequence for _ in range(4)] == [5, 6, 7, 8]
    wait_for(lambda: len(got) == 8)
    assert sequences(got) == sequences(reader.drain()) == list(range(1, 9))


@pytest.mark.parametrize("asked", [1, 2])
def test_a_follower_whose_connection_ends_while_it_begins_begins_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, asked: int
) -> None:
    follower = stage.client().follow(0)
    change(stage, 1)
    assert [next(follower).sequence for _ in range(2)] == [1, 2]
    stage.stop()
    stage.resume()
    change(stage, 1)
    exchange, commands = Link.exchange, list[bytes]()

    def exchange_and_end(link: Link, command: bytes) -> Any:
        reply = exchange(link, command)
        commands.append(command)
        if len(commands) == asked:  # after HELLO, and after what is asked for next
            link.shut()
        return reply

    monkeypatch.setattr(Link, "exchange", exchange_and_end)
    assert [next(follower).sequence for _ in range(2)] == [3, 4]
    assert commands.count(pack(b"HELLO", b"3")) == 2


def test_a_service_that_has_kept_nothing_counts_anew(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    client = stage.client()
    reader = client.subscribe("reader")
    change(stage, 2)
    assert sequences(reader.drain()) == [1, 2, 3, 4]
    stage.stop()
    stage.start()
    change(stage, 1)
    assert sequences(reader.drain()) == [1, 2]
    assert "counts its events anew" in caplog.text
    assert (reader.restarts, reader.missed) == (1, 0)


def test_events_of_a_service_that_has_begun_anew_are_not_taken_for_those_that_were_to_come(stage: Stage) -> None:
    client = stage.client()
    reader, ended = client.subscribe("reader"), client.subscribe("ended")
    got: list[Event] = []
    gaps: list[int] = []
    told = client.subscribe(got.append, on_gap=gaps.append)
    change(stage, 2)
    follower_gaps: list[int] = []
    follower = client.follow(0, on_gap=follower_gaps.append)
    assert [next(follower).sequence for _ in range(4)] == [1, 2, 3, 4]
    assert sequences(reader.drain(limit=3)) == [1, 2, 3]
    wait_for(lambda: len(got) == 4)
    ended.cancel()
    stage.stop()
    stage.start()
    change(stage, 5)  # so many that the numbers alone would not tell
    assert [next(follower).sequence for _ in range(10)] == list(range(1, 11))
    assert follower_gaps == [0]
    assert sequences(reader.drain()) == list(range(1, 11))
    assert ended.drain() == ended.drain() == []
    wait_for(lambda: len(got) == 14)
    assert sequences(got) == [1, 2, 3, 4, *range(1, 11)]
    assert (gaps, told.restarts, reader.restarts) == ([0], 1, 1)
    change(stage, 1)
    assert sequences(reader.drain()) == [11, 12]
    assert reader.restarts == 1


def test_what_happened_in_a_service_that_has_begun_anew_and_is_gone_is_counted(stage: Stage) -> None:
    client = stage.client()
    reader = client.subscribe("reader")
    change(stage, 2)
    assert len(reader.drain()) == 4
    stage.stop()
    stage.start(event_capacity=4)
    change(stage, 5)
    assert sequences(reader.drain()) == [7, 8, 9, 10]
    assert (reader.restarts, reader.missed) == (1, 6)


def test_a_number_that_there_is_not_yet_is_refused(stage: Stage) -> None:
    client = stage.client()
    change(stage, 1)
    assert client.read(2) == ([], 0, 2)
    for call in (lambda: client.read(3), lambda: next(client.follow(3))):
        error = refusal(call)
        assert error.code == 401
        assert "AFTER must be within 0..2" in str(error)


def test_a_follower_ends_with_its_client(stage: Stage) -> None:
    client = stage.client()
    got: list[Event] = []
    thread = threading.Thread(target=lambda: got.extend(client.follow(0)))
    thread.start()
    change(stage, 1)
    wait_for(lambda: len(got) == 2)
    client.close()
    thread.join(30)
    assert not thread.is_alive()


def test_a_follower_of_nobody_says_so(tmp_path: Path) -> None:
    from grantwheel import connect

    with pytest.raises(BusinessError, match="9800004"):
        next(connect(tmp_path / "s").follow(0))


# Holding.


def test_a_hold_lasts_as_long_as_its_block(stage: Stage) -> None:
    client = stage.client()
    with client.hold(ResourceType.GPS, reason="a walk") as held:
        assert held.types == ResourceType.GPS
        assert stage.manager.app_mask(UID) == ResourceType.GPS
        with client.hold(ResourceType.GPS | ResourceType.AUDIO):
            assert stage.manager.app_mask(UID) == 96
        assert stage.manager.app_mask(UID) == ResourceType.GPS  # the last one out releases
        assert (held.lost, held.failure) == (0, None)
        with pytest.raises(RuntimeError), held:
            pass
    assert stage.manager.app_mask(UID) == 0
    assert "ended" in repr(held)

    @client.hold(ResourceType.TIMER)
    def work() -> int:
        return stage.manager.app_mask(UID)

    assert [work(), work(), stage.manager.app_mask(UID)] == [4, 4, 0]
    client.close()
    wait_for(lambda: not own_threads())


def test_a_hold_is_renewed(stage: Stage) -> None:
    client = stage.client()
    lost: list[ClientHold] = []
    with client.hold(33, timeout_ms=30, on_lost=lost.append) as held:
        wait_for(lambda: stage.manager.stats().renewed >= 4)
        stage.manager.release(UID, PID, 1)
        wait_for(lambda: lost)
        assert held.lost == 1
        wait_for(lambda: stage.manager.stats().renewed >= 8)
        assert stage.manager.app_mask(UID) == 32  # what has gone is not granted again
    assert lost == [held]


def test_a_hold_comes_back_with_the_service(stage: Stage) -> None:
    client = stage.client()
    told: list[Any] = []
    with client.hold(33, timeout_ms=600_000, on_lost=lambda held: told.append(held.failure)) as held:
        stage.stop()
        wait_for(lambda: held.failure is not None)
        stage.start()
        wait_for(lambda: stage.manager.app_mask(UID) == 33)
        wait_for(lambda: held.failure is None)
        assert held.lost == 0
    assert stage.manager.app_mask(UID) == 0
    assert [error.code for error in told] == [9800004]


def test_a_hold_that_is_refused_raises(stage: Stage) -> None:
    with pytest.raises(BusinessError, match="mask must be within"), stage.client().hold(0):
        pass
