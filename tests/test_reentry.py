"""The live layer is entered again at any line: by a signal handler, a finaliser, another thread, or Ctrl-C.

Whatever comes in: nothing hangs, no thread is left, nobody loses an event or has it twice, and nobody stays on a list.
"""

from collections.abc import Callable
from typing import Any

import pytest

from grantwheel import BusinessError, Event, Manager
from intruding import Scene, at_every_line
from support import GPS, make_manager
from waiting import own_threads, wait_for


class Stage:
    """A manager with a callback, a reader and a runner."""

    def __init__(self) -> None:
        self.threads_before = len(own_threads())
        self.manager, _ = make_manager()
        self.events: list[Event] = []
        self.callback = self.events.append
        self.others: list[Event] = []
        self.subscription = self.manager.subscribe(self.callback)
        self.runner = self.manager.running()

    def blink(self) -> None:
        self.manager.apply(700, 71, GPS, 40)
        self.manager.release(700, 71, GPS)

    def whole(self) -> None:
        """Begin, let two events happen, and end."""
        self.runner.start()
        self.blink()
        self.runner.stop()

    def restart(self) -> None:
        self.runner.stop()
        tolerant(self.runner.start)

    def cancel(self) -> None:
        tolerant(self.subscription.cancel)

    def subscribe_and_cancel(self) -> None:
        other = self.manager.subscribe(self.others.append)
        self.blink()
        other.cancel()

    def check_threads(self) -> None:
        """Look for threads that nobody has ended; this runs in one of its own."""
        wait_for(lambda: len(own_threads()) <= self.threads_before + 1)

    def check_all_was_delivered(self) -> None:
        assert self.manager.runner is None
        with self.manager.running():
            self.blink()
        assert [event.sequence for event in self.events] == list(range(1, self.manager.last_sequence + 1))
        assert (self.subscription.pending, self.subscription.missed) == (0, 0)
        self.check_threads()

    def check_it_is_cancelled(self) -> None:
        """Nothing comes any more, and the subscriber may come back."""
        with self.manager.running():
            self.blink()
        count = len(self.events)
        assert [event.sequence for event in self.events] == list(range(1, count + 1))
        with self.manager.subscribe(self.callback), self.manager.running():
            self.blink()
        assert len(self.events) == count + 2
        self.check_threads()


def tolerant(call: Callable[[], object]) -> None:
    """Make a call that may be refused, because somebody else was faster."""
    try:
        call()
    except BusinessError as error:
        assert error.code in {9800004, 9800005}  # noqa: PT017 - there may be none
    except RuntimeError as error:
        assert "running already" in str(error)  # noqa: PT017


PLAYS: dict[str, Callable[[Stage], object]] = {
    "run": lambda stage: tolerant(stage.whole),
    "subscribe": lambda stage: tolerant(stage.subscribe_and_cancel),
    "read": lambda stage: tolerant(lambda: (stage.manager.drain(), stage.subscription.pending)),
}
INTRUSIONS: dict[str, Callable[[Stage], object]] = {
    **PLAYS,
    "start": lambda stage: tolerant(stage.runner.start),
    "stop": lambda stage: stage.runner.stop(),
    "stop and start": lambda stage: stage.restart(),
    "another run": lambda stage: tolerant(lambda: run(stage.manager)),
}


def run(manager: Manager) -> None:
    with manager.running():
        manager.apply(700, 71, GPS, 40)


@pytest.mark.parametrize("intrusion", INTRUSIONS)
@pytest.mark.parametrize("play", PLAYS)
def test_nothing_is_lost_whatever_comes_in(play: str, intrusion: str) -> None:
    def make() -> Scene:
        stage = Stage()

        def check() -> None:
            stage.runner.stop()
            stage.check_all_was_delivered()

        return Scene(lambda: PLAYS[play](stage), lambda: INTRUSIONS[intrusion](stage), check)

    assert len(list(at_every_line(make))) > 1


@pytest.mark.parametrize("intrusion", INTRUSIONS)
@pytest.mark.parametrize("is_running", [False, True], ids=["idle", "running"])
def test_what_is_cancelled_stays_so(intrusion: str, is_running: bool) -> None:
    def make() -> Scene:
        stage = Stage()
        if is_running:
            stage.runner.start()
            stage.blink()

        def check() -> None:
            stage.runner.stop()
            stage.check_it_is_cancelled()

        return Scene(stage.subscription.cancel, lambda: INTRUSIONS[intrusion](stage), check)

    assert len(list(at_every_line(make))) > 1


@pytest.mark.parametrize("play", PLAYS)
@pytest.mark.parametrize("first", ["cancel", "close"])
def test_cancelled_and_closed_at_any_moment(play: str, first: str) -> None:
    def make() -> Scene:
        stage = Stage()

        def check() -> None:
            tolerant(stage.runner.stop)
            if first == "cancel":
                stage.cancel()  # the scene may be over before it came in
                stage.check_it_is_cancelled()
            else:
                assert [event.sequence for event in stage.events] == list(range(1, len(stage.events) + 1))
                stage.check_threads()

        end: dict[str, Callable[[], object]] = {"cancel": stage.cancel, "close": stage.manager.close}
        return Scene(lambda: PLAYS[play](stage), end[first], check)

    assert len(list(at_every_line(make))) > 1


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("is_running", [False, True], ids=["idle", "running"])
def test_an_interrupted_cancel_can_be_repeated(is_running: bool) -> None:
    def make() -> Scene:
        stage = Stage()
        if is_running:
            stage.runner.start()
            stage.blink()

        def play() -> None:
            try:
                stage.subscription.cancel()
            except KeyboardInterrupt:
                stage.cancel()

        def check() -> None:
            stage.runner.stop()
            stage.check_it_is_cancelled()

        return Scene(play, interrupt, check)

    assert len(list(at_every_line(make))) > 1


@pytest.mark.parametrize("is_running", [False, True], ids=["idle", "running"])
def test_an_interrupted_subscribe_leaves_nobody_on_the_list(is_running: bool) -> None:
    def make() -> Scene:
        stage = Stage()
        kept: list[Any] = []
        if is_running:
            stage.runner.start()

        def play() -> None:
            try:
                kept.append(stage.manager.subscribe(stage.others.append))
            except KeyboardInterrupt:
                tolerant(lambda: stage.manager.unsubscribe(stage.others.append))

        def check() -> None:
            for subscription in kept:
                subscription.cancel()
            count = len(stage.others)
            stage.blink()
            stage.runner.stop()
            assert len(stage.others) == count
            stage.manager.subscribe(stage.others.append).cancel()
            stage.check_all_was_delivered()

        return Scene(play, interrupt, check)

    assert len(list(at_every_line(make))) > 1


@pytest.mark.parametrize("block", [False, True], ids=["start and stop", "block"])
def test_an_interrupted_run_can_be_ended(block: bool) -> None:
    def make() -> Scene:
        stage = Stage()

        def play() -> None:
            try:
                if block:
                    with stage.runner:
                        stage.blink()
                else:
                    stage.whole()
            except KeyboardInterrupt:
                pass

        def check() -> None:
            if block:
                assert stage.manager.runner is None
            else:
                stage.runner.stop()
            stage.check_all_was_delivered()

        return Scene(play, interrupt, check)

    assert len(list(at_every_line(make))) > 1
