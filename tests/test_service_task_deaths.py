"""The deaths of processes that have tasks and nothing else, and what a service of its own process makes of them."""

import asyncio
import os
import signal

import pytest

pytest.importorskip("hiredis")

from grantwheel import Caller, Tasks
from grantwheel.linux.running import Running
from grantwheel.service.deaths import Deaths, EndedError
from grantwheel.service.limits import Limits
from serve_stage import OTHER_UID, Line, serving, short_folder, user
from test_service_deaths import Watched, end, on_loop, sleeper

IS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="has to become other users")


class WithTasks(Watched):
    """The same with tasks."""

    def __init__(self, **limits: int) -> None:
        super().__init__(**limits)
        self.deaths.close()
        self.tasks = Tasks(self.manager)
        self.deaths = Deaths(
            self.manager, self.gone.put_nowait, limits=Limits(**limits), tasks=self.tasks, look=self._look
        )

    def ask(self, uid: int, pid: int) -> int:
        """Have a process make a request."""
        caller = Caller(uid=uid, pid=pid, bundle="app")
        return self.tasks.request_suspend_delay("why", lambda: None, caller=caller).requestId

    def start(self, uid: int, pid: int) -> None:
        """Have a process begin a continuous task."""
        caller = Caller(uid=uid, pid=pid, bundle="app")
        self.tasks.start_background_running("Sync", 1, "page", caller=caller)

    def kinds(self) -> list[str]:
        return [str(event.kind) for event in self.tasks.drain()]


def test_requests_end_with_their_process_whether_or_not_it_is_connected() -> None:
    async def run() -> None:
        first, second = sleeper(), sleeper()
        with WithTasks() as it:
            for one in (first, second):
                it.connect(7, one.pid)
                it.ask(7, one.pid)
                it.deaths.leave(7, one.pid)
                assert one.pid in it.deaths
            end(first)
            await it.until(lambda: it.tasks.processes() == {(7, second.pid)})
            assert it.gone.empty()
            end(second)
            await it.until(lambda: not it.tasks.keeps_running(7))
            assert it.kinds() == ["task_start", "app_task_start", "task_start", "task_end", "task_end", "app_task_end"]
            assert len(it.deaths) == 0

    on_loop(run)


def test_a_process_without_a_request_any_more_is_let_go() -> None:
    async def run() -> None:
        process = sleeper()
        with WithTasks(watched_per_uid=1) as it:
            it.connect(7, process.pid)
            request = it.ask(7, process.pid)
            it.deaths.leave(7, process.pid)
            it.tasks.cancel_suspend_delay(request, caller=Caller(uid=7, pid=process.pid, bundle="app"))
            it.connect(7, os.getpid())  # there is room for it, as the other one is of no use
            assert process.pid not in it.deaths

    on_loop(run)


def test_a_process_in_the_foreground_is_watched() -> None:
    async def run() -> None:
        process = sleeper()
        with WithTasks() as it:
            it.deaths.watch(7, process.pid)
            it.tasks.set_foreground(7, process.pid, True)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert process.pid in it.deaths
            end(process)
            await it.until(lambda: not it.tasks.processes())

    on_loop(run)


def test_continuous_tasks_end_with_the_last_process_of_their_app() -> None:
    async def run() -> None:
        first, second = sleeper(), sleeper()
        with WithTasks() as it:
            it.running = {second.pid: Running((7,), 5)}
            it.connect(7, first.pid)
            it.start(7, first.pid)
            it.deaths.leave(7, first.pid)
            assert first.pid in it.deaths
            end(first)
            await it.look()
            assert it.tasks.keeps_running(7)
            assert second.pid in it.deaths  # though it has never connected
            it.running = {}
            end(second)
            await it.until(lambda: not it.tasks.keeps_running(7))
            assert it.kinds() == ["continuous_start", "continuous_stop", "continuous_app_stop"]

    on_loop(run)


@pytest.mark.parametrize("is_left", [False, True])
def test_an_app_that_was_in_the_foreground_and_has_nothing_else_has_stopped_with_its_last_process(
    is_left: bool,
) -> None:
    async def run() -> None:
        first, second = sleeper(), sleeper()
        with WithTasks() as it:
            it.running = {second.pid: Running((7,), 5)}
            it.connect(7, first.pid)
            it.tasks.set_foreground(7, first.pid, True)
            if is_left:
                it.tasks.set_foreground(7, first.pid, False)
            it.deaths.leave(7, first.pid)
            assert first.pid in it.deaths
            end(first)
            await it.look()
            assert it.tasks.apps() == {7}
            assert second.pid in it.deaths
            it.running = {}
            end(second)
            await it.until(lambda: not it.tasks.apps())
            it.clock.advance(60_000)
            assert it.ask(7, os.getpid()) == 1  # as one that has never been in the foreground

    on_loop(run)


@pytest.mark.parametrize("is_running", [False, True])
def test_an_app_that_leaves_the_foreground_with_its_process_may_have_stopped(is_running: bool) -> None:
    async def run() -> None:
        process, other = sleeper(), sleeper()
        end(process)
        with WithTasks() as it:
            if is_running:
                it.running = {other.pid: Running((7,), 5)}
            with pytest.raises(EndedError):
                it.deaths.watch(7, process.pid)
            it.tasks.set_foreground(7, process.pid, False)
            await it.look()
            assert it.tasks.apps() == ({7} if is_running else set())
            assert (other.pid in it.deaths) == is_running

    on_loop(run)


def test_those_who_have_tasks_are_watched_after_a_restart() -> None:
    async def run() -> None:
        alive, ended = sleeper(), sleeper()
        end(ended)
        with WithTasks() as it:
            it.running = {alive.pid: Running((7,), 5)}
            it.ask(7, alive.pid)
            it.ask(8, ended.pid)
            it.start(9, ended.pid)
            it.tasks.set_foreground(10, ended.pid, False)
            it.deaths.watch_holders()
            await it.until(lambda: it.tasks.apps() == {7})
            assert it.tasks.processes() == {(7, alive.pid)}
            assert alive.pid in it.deaths

    on_loop(run)


# A service of its own process. ---------------------------------------------------------------------------------------

POLICY = f"""
[bundles.mail]
abilities = {{ Sync = ["DATA_TRANSFER"] }}

[callers.{OTHER_UID}]
bundle = "mail"
"""


@IS_ROOT
def test_an_ordinary_user_has_tasks_as_the_policy_says_until_its_process_ends() -> None:
    with short_folder() as folder:
        policy = folder / "policy.toml"
        policy.write_text(POLICY)
        requests = [
            ("SUSPENDDELAY", "why", "cb"),
            ("STARTRUNNING", "Sync", "DATA_TRANSFER", "page"),
            ("STARTRUNNING", "Play", "DATA_TRANSFER", "page"),
            ("TRANSIENTINFO", "FOR", 0, 1),
            ("TASKSTATE", "SCREEN", "off"),
        ]
        with serving(folder / "s", "--policy", policy) as service, Line(folder / "s") as line:
            with user(folder / "s", *requests) as (pid, answers):
                assert answers[:2] == [[1, 180_000], 1]
                assert [str(answer).split()[:2] for answer in answers[2:]] == [
                    ["-TASK", "9800005"],
                    ["-PERMISSION", "201"],
                    ["-PERMISSION", "201"],
                ]
                assert line.ask("RUNNING", "UID", OTHER_UID) == [[1, OTHER_UID, pid, "mail", "Sync", 0, [1]]]
                policy.write_text(POLICY.replace("Sync", "Play"))
                service.process.send_signal(signal.SIGHUP)
                service.until("the policy has been read again")
                assert line.ask("STARTRUNNING", "Play", 1, "page", "FOR", OTHER_UID, pid) == 2
                assert "980000504" in str(
                    line.ask("STARTRUNNING", "Sync", 1, "page", "ABILITYID", 1, "FOR", OTHER_UID, pid)
                )
            while line.ask("KEEPSRUNNING", OTHER_UID):
                pass
            page = line.ask("TASKEVENTS", "AFTER", 0)
            assert isinstance(page, list)
            assert [event[2] for event in page[2]] == [
                "task_start",
                "app_task_start",
                "continuous_start",
                "continuous_start",
                "task_end",
                "app_task_end",
                "continuous_stop",
                "continuous_stop",
                "continuous_app_stop",
            ]


@IS_ROOT
def test_an_ordinary_user_has_no_tasks_without_a_policy() -> None:
    requests = [("SUSPENDDELAY", "why", "cb"), ("STARTRUNNING", "Sync", 1, "page"), ("TASKEVENTS", "AFTER", 0)]
    with short_folder() as folder, serving(folder / "s"), user(folder / "s", *requests) as (_, answers):
        assert [str(answer).split()[:2] for answer in answers] == [
            ["-TRANSIENTCALLER", "9900001"],
            ["-PERMISSION", "201"],
            ["-PERMISSION", "201"],
        ]


def test_a_durable_service_answers_for_tasks() -> None:
    with short_folder() as folder, serving(folder / "s", "--state", folder / "state"), Line(folder / "s") as line:
        answer = line.ask("SUSPENDDELAY", "why", "cb")
        assert answer == [1, 180_000]
