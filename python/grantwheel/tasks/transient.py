"""Transient tasks: an app asks not to be suspended for a while, of which it has so much a day."""

import heapq
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from grantwheel._task_errors import TaskStatus, task_refusal
from grantwheel.caller import Caller

from .agenda import Agenda
from .callers import check_transient_caller, is_identity
from .store import OUT_OF_MEMORY, Draft, Machine, Store
from .transient_state import App, Device, Due, Owner, Request
from .values import DelaySuspendInfo, TaskEvent, TaskEventKind, TransientFigures, TransientTaskInfo

_MAX_FOREGROUND: Final = 1024  # processes of one uid
_MAX_BUNDLES: Final = 64  # of one uid


class TransientTasks(Machine):
    """The transient tasks of a device. Every call has its instant; what was due by then happens first.

    A call that refuses has changed nothing but that, and the day's quotas where it came upon a new day.

    Parameters
    ----------
    now : int
        The instant of the start (ms). Without anything on record, every app is given its quota then.
    store : Store
        Where the state is kept.
    emit : callable
        Called with each event, in order.
    figures : TransientFigures
        How much time there is.
    max_records : int
        How many uids may be known at once: more are refused with 9800001.

    Raises
    ------
    BusinessError
        9800002: what is in the store cannot be read.
    """

    _NAME = "transient"
    _NOT_STORED = 980000301
    _NO_ROOM = OUT_OF_MEMORY

    def __init__(
        self,
        now: int,
        *,
        store: Store,
        emit: Callable[[TaskEvent], object],
        figures: TransientFigures | None = None,
        max_records: int = 10_000,
    ) -> None:
        super().__init__(store, emit, max_records + 1)
        self._figures = TransientFigures() if figures is None else figures
        self._begun_at = now
        self._load()

    # What apps ask.

    def request(
        self,
        now: int,
        caller: Caller,
        reason: str,
        callback: str,
        *,
        is_ready: bool = True,
        knows_bundle: bool = True,
    ) -> DelaySuspendInfo:
        """Grant an app some time in the background.

        Parameters
        ----------
        now : int
            The instant.
        caller : Caller
            Who asks.
        reason : str
            Why, at most 1024 bytes of UTF-8.
        callback : str
            What stands for the callback, the same for the same one.
        is_ready : bool
            Whether the service is.
        knows_bundle : bool
            Whether the policy knows the bundle.

        Raises
        ------
        BusinessError
            In this order: 9900003 for a text that cannot be encoded; 9800004, not ready; 9900001, uid or pid or bundle;
            9900002, the callback has an open request; then a new day begins, if it is time; 9900002, the app has been
            in the background for too long, or has as many open requests as it may, or too little time left. 9800001:
            there are too many records. 9800003: the store refused.
        """

        def grant(draft: Draft) -> DelaySuspendInfo:
            check_transient_caller(caller, reason, is_ready=is_ready, knows_bundle=knows_bundle)
            if self._is_registered(draft, callback):
                raise task_refusal(TaskStatus.CALLBACK_REGISTERED)
            self._begin_day(draft, now)
            draft.keep()
            return self._grant(draft, now, caller, reason, callback)

        return self._operate(now, grant)

    def cancel(
        self, now: int, caller: Caller, request_id: int, *, is_ready: bool = True, knows_bundle: bool = True
    ) -> None:
        """End a request of the caller's app.

        Raises
        ------
        BusinessError
            In this order: 9800004, not ready; 9900001, uid or pid or bundle, or the app has no open request of this id.
            9800003: the store refused.
        """

        def end(draft: Draft) -> None:
            check_transient_caller(caller, "", is_ready=is_ready, knows_bundle=knows_bundle)
            owner, app, request = self._find(draft, caller, request_id)
            self._end(draft, now, owner, app, request)

        self._operate(now, end)

    def remaining(
        self, now: int, caller: Caller, request_id: int, *, is_ready: bool = True, knows_bundle: bool = True
    ) -> int:
        """Return what is left of a request of the caller's app, in ms. Refused as `cancel`, but for 9800003."""

        def look(draft: Draft) -> int:
            check_transient_caller(caller, "", is_ready=is_ready, knows_bundle=knows_bundle)
            owner, _, request = self._find(draft, caller, request_id)
            self._begin_day(draft, now)
            return owner.remaining(request, now)

        return self._operate(now, look, is_read=True)

    def info(self, now: int, caller: Caller, *, is_ready: bool = True, knows_bundle: bool = True) -> TransientTaskInfo:
        """Return what is left of the day of the caller's app, and of each of its open requests, by ascending id.

        Raises
        ------
        BusinessError
            In this order: 9900004, not ready; 9900001, uid or pid or bundle.
        """

        def look(draft: Draft) -> TransientTaskInfo:
            not_ready = TaskStatus.INFO_NOT_READY
            check_transient_caller(caller, "", is_ready=is_ready, knows_bundle=knows_bundle, not_ready=not_ready)
            self._begin_day(draft, now)
            owner = self._owner(draft, caller.uid)
            app = self._app(owner, caller.bundle)
            left = [DelaySuspendInfo(request.id, owner.remaining(request, now)) for request in app.requests]
            return TransientTaskInfo(owner.quota(app, now), left)

        return self._operate(now, look, is_read=True)

    # What the host tells.

    def set_foreground(self, now: int, uid: int, pid: int, *, is_foreground: bool) -> None:
        """Hear that a process has gone to the foreground, or has left it.

        Raises
        ------
        BusinessError
            9900001: there can be no such process. 9800001: there are too many records. 9800003: the store refused.
        """
        if not is_identity(uid, pid):
            raise task_refusal(TaskStatus.TRANSIENT_CALLER_INVALID)

        def move(draft: Draft) -> None:
            owner = self._owner(draft, uid)
            if is_foreground:
                foreground = tuple(sorted({*owner.foreground, pid}))
                if len(foreground) > _MAX_FOREGROUND:
                    raise task_refusal(OUT_OF_MEMORY, "", f"{_MAX_FOREGROUND} processes of the uid are there already")
                owner = replace(owner, foreground=foreground, left_at=None)
            else:
                owner = owner.without({pid}, now)
                if not owner.foreground and owner.left_at is None:  # where it was before nobody has said
                    owner = replace(owner, left_at=now)
            self._put(draft, now, owner)

        self._operate(now, move)

    def set_screen(self, now: int, *, is_on: bool) -> None:
        """Hear that the screen is on, or off: then all requests run. Raises 9800003 when the store refuses."""

        def switch(draft: Draft) -> None:
            draft.put(self._NAME, replace(self._device(draft), is_screen_on=is_on))
            for uid in sorted(set(self._uids.values())):
                self._put(draft, now, self._owner(draft, uid))

        self._operate(now, switch)

    def set_battery(self, now: int, *, is_low: bool) -> None:
        """Hear that the battery is low, or no longer. Raises 9800003 when the store refuses."""

        def switch(draft: Draft) -> None:
            draft.put(self._NAME, replace(self._device(draft), is_battery_low=is_low))

        self._operate(now, switch)

    def process_died(self, now: int, uid: int, pid: int) -> None:
        """Hear that a process has died: its requests end. Raises 9800003 when the store refuses."""

        def end(draft: Draft) -> None:
            self._end_all(draft, now, uid, lambda request: request.pid == pid)
            self._put(draft, now, self._owner(draft, uid).without({pid}, now))

        self._operate(now, end)

    def app_stopped(self, now: int, uid: int) -> None:
        """Hear that no process of a uid runs any more: all its requests end. Raises 9800003 when the store refuses.

        What it has left of its day stays. When it is started again it has never been in the foreground.
        """

        def end(draft: Draft) -> None:
            self._end_all(draft, now, uid, lambda _request: True)
            self._put(draft, now, replace(self._owner(draft, uid), foreground=(), left_at=None))

        self._operate(now, end)

    def package_removed(self, now: int, uid: int) -> None:
        """Hear that an app is gone: the same, and nothing is known of it any more."""

        def forget(draft: Draft) -> None:
            self._end_all(draft, now, uid, lambda _request: True)
            draft.put(self._key(uid), None)

        self._operate(now, forget)

    def restarted(self, now: int, runs: Callable[[int, int], bool], *, is_reboot: bool = False) -> None:
        """Drop what belongs to processes that do not run any more, after a restart. That makes no event.

        Parameters
        ----------
        now : int
            The instant.
        runs : callable
            Whether a process, of a uid and a pid, is the one that it was.
        is_reboot : bool
            Whether the machine was started since: no app has been in the foreground then.

        Raises
        ------
        BusinessError
            9800003: the store refused.
        """
        draft = self._draft(now)
        for key in self._keys(draft):
            owner: Owner = draft.get(key)
            gone = {pid for pid in owner.pids if not runs(owner.uid, pid)}
            if gone:
                self._drop(draft, now, owner, gone)
            if is_reboot:
                self._put(draft, now, replace(self._owner(draft, owner.uid), left_at=None))
        draft.events.clear()
        self._commit(draft)

    def advance(self, now: int) -> None:
        """Have what is due happen: callbacks and ends. Raises 9800003 when the store refuses."""
        self._operate(now, lambda _draft: None)

    def next_deadline(self) -> int | None:
        """Return when something happens next (ms), if nothing else happens before."""
        self.mend()
        return self._agenda.next()

    def is_open(self, now: int, uid: int) -> bool:
        """Whether a uid has open requests at an instant. Changes nothing."""
        self.mend()
        owner: Owner | None = self._records.get(self._key(uid))
        ends = () if owner is None else (owner.end_of(request, self._figures) for request in owner.requests)
        return any(end is None or end > now for end in ends)

    def owners(self, uid: int | None = None) -> list[Owner]:
        """Return what is known of one uid or all."""
        self.mend()
        found = self._records.values() if uid is None else (self._records.get(self._key(uid)),)
        return [one for one in found if isinstance(one, Owner)]

    # How it is done.

    def _is_registered(self, draft: Draft, callback: str) -> bool:
        request_id = self._callbacks.get(callback)
        if request_id is None:
            return False
        owner = self._owner(draft, self._uids[request_id])
        return any(request.id == request_id for request in owner.requests)

    def _begin_day(self, draft: Draft, now: int) -> None:
        """Give every app its quota, if that was last done more than a day ago; idle ones are forgotten."""
        device = self._device(draft)
        if now - device.reset_at <= self._figures.day_ms:
            return
        draft.put(self._NAME, replace(device, reset_at=now))
        for key in self._keys(draft):
            self._put(draft, now, draft.get(key).refilled(now, self._figures))

    def _grant(self, draft: Draft, now: int, caller: Caller, reason: str, callback: str) -> DelaySuspendInfo:
        figures, device, owner = self._figures, self._device(draft), self._owner(draft, caller.uid)
        if owner.left_at is not None and now - owner.left_at > figures.window_ms:
            rule = f"the app has been in the background for more than {figures.window_ms} ms"
            raise task_refusal(TaskStatus.TOO_LATE, "", rule)
        app = self._app(owner, caller.bundle)
        if len(app.requests) >= figures.max_requests:
            raise task_refusal(TaskStatus.TOO_MANY, "", f"the app has {figures.max_requests} open requests already")
        if owner.app(caller.bundle) is None and len(owner.apps) >= _MAX_BUNDLES:
            raise task_refusal(OUT_OF_MEMORY, "", f"{_MAX_BUNDLES} bundles of the uid have used time today")
        quota = owner.quota(app, now)
        if quota < figures.least_quota_ms:
            rule = f"{quota} ms are left of the app's day, less than {figures.least_quota_ms}"
            raise task_refusal(TaskStatus.QUOTA_USED_UP, "", rule)
        most = figures.low_battery_ms if device.is_battery_low else figures.request_ms
        began = owner.ran(now)
        request = Request(device.next_id, caller.pid, callback, reason, min(quota, most), began, called_at=None)
        draft.put(self._NAME, replace(device, next_id=device.next_id + 1))
        self._tell(draft, now, TaskEventKind.TASK_START, owner, app, request)
        if not app.requests:
            app = replace(app, charged_ms=began)
            self._tell(draft, now, TaskEventKind.APP_TASK_START, owner, app)
        app = replace(app, requests=(*app.requests, request))
        self._put(draft, now, owner.with_app(app, figures))
        return DelaySuspendInfo(request.id, request.delay_ms)

    def _do_due(self, draft: Draft, now: int) -> None:
        uids = self._agenda.due_by(now)
        coming = [due for uid in uids if (due := self._owner(draft, uid).next_due(self._figures)) is not None]
        heapq.heapify(coming)
        while coming and coming[0].instant <= now:
            due = heapq.heappop(coming)
            self._happen(draft, due)
            following = self._owner(draft, due.uid).next_due(self._figures)
            if following is not None:
                heapq.heappush(coming, following)

    def _happen(self, draft: Draft, due: Due) -> None:
        owner = self._owner(draft, due.uid)
        app = self._app(owner, due.bundle)
        request = next(one for one in app.requests if one.id == due.id)
        if due.is_end:
            self._end(draft, due.instant, owner, app, request)
            return
        self._tell(draft, due.instant, TaskEventKind.EXPIRED_CALLBACK, owner, app, request)
        called = replace(request, called_at=due.instant)
        requests = tuple(called if one is request else one for one in app.requests)
        self._put(draft, due.instant, owner.with_app(replace(app, requests=requests), self._figures))

    def _end(self, draft: Draft, at: int, owner: Owner, app: App, request: Request) -> None:
        """End a request at an instant, with its events."""
        left = tuple(one for one in app.requests if one is not request)
        self._tell(draft, at, TaskEventKind.TASK_END, owner, app, request)
        if left:
            ended = replace(app, requests=left)
        else:
            self._tell(draft, at, TaskEventKind.APP_TASK_END, owner, app)
            ended = App(app.bundle, owner.quota(app, at), 0, ())
        self._put(draft, at, owner.with_app(ended, self._figures))

    def _end_all(self, draft: Draft, at: int, uid: int, is_one: Callable[[Request], bool]) -> None:
        """End requests of a uid, by ascending id."""
        for request in sorted(filter(is_one, self._owner(draft, uid).requests), key=lambda one: one.id):
            self._end_one(draft, at, uid, request)

    def _end_one(self, draft: Draft, at: int, uid: int, request: Request) -> None:
        owner = self._owner(draft, uid)
        app = next(app for app in owner.apps if request in app.requests)
        self._end(draft, at, owner, app, request)

    def _drop(self, draft: Draft, now: int, owner: Owner, gone: set[int]) -> None:
        """Drop what belongs to processes of a uid. A request that had to end meanwhile is charged until then."""
        lost = [request for request in owner.requests if request.pid in gone]
        ends = {request.id: owner.end_of(request, self._figures) for request in lost}
        until = {number: now if end is None else min(now, end) for number, end in ends.items()}
        for request in sorted(lost, key=lambda one: (until[one.id], one.id)):
            self._end_one(draft, until[request.id], owner.uid, request)
        self._put(draft, now, self._owner(draft, owner.uid).without(gone, now))

    def _find(self, draft: Draft, caller: Caller, request_id: int) -> tuple[Owner, App, Request]:
        owner = self._owner(draft, caller.uid)
        app = self._app(owner, caller.bundle)
        for request in app.requests:
            if request.id == request_id:
                return owner, app, request
        raise task_refusal(TaskStatus.REQUEST_UNKNOWN)

    def _tell(
        self, draft: Draft, at: int, kind: TaskEventKind, owner: Owner, app: App, request: Request | None = None
    ) -> None:
        pid, number = (0, 0) if request is None else (request.pid, request.id)
        draft.events.append(TaskEvent(0, at, kind, owner.uid, pid, app.bundle, number, ()))

    # Records.

    def _clear(self) -> None:
        super()._clear()
        self._agenda: Agenda[int] = Agenda()
        self._uids: dict[int, int] = {}  # those of open requests, by id
        self._callbacks: dict[str, int] = {}  # the ids of open requests by callback
        self._records[self._NAME] = Device(1, self._begun_at, is_screen_on=True, is_battery_low=False)

    def _key(self, uid: int) -> str:
        return f"{self._NAME}/{uid}"

    def _device(self, draft: Draft) -> Device:
        device: Device = draft.get(self._NAME)
        return device

    def _owner(self, draft: Draft, uid: int) -> Owner:
        found: Owner | None = draft.get(self._key(uid))
        return Owner(uid, (), None, 0, None, ()) if found is None else found

    def _app(self, owner: Owner, bundle: str) -> App:
        return owner.app(bundle) or App(bundle, self._figures.quota_ms, 0, ())

    def _put(self, draft: Draft, at: int, owner: Owner) -> None:
        """Change what is known of a uid, its clock going on or standing from an instant on."""
        timed = owner.timed(at, is_screen_on=self._device(draft).is_screen_on)
        draft.put(self._key(owner.uid), None if timed.is_blank else timed)

    def _decode(self, key: str, fields: Any) -> Device | Owner:
        if key == self._NAME:
            return Device.read(fields)
        owner = Owner.read(fields)
        if key != self._key(owner.uid):
            raise ValueError(f"it is of uid {owner.uid}")
        return owner

    def _replace(self, key: str, record: Any) -> None:
        before = self._records.get(key)
        super()._replace(key, record)
        if key == self._NAME:
            return
        for request in () if before is None else before.requests:
            self._uids.pop(request.id, None)
            if self._callbacks.get(request.callback) == request.id:
                self._callbacks.pop(request.callback)
        for request in () if record is None else record.requests:
            self._uids[request.id] = record.uid
            self._callbacks[request.callback] = request.id
        uid = int(key.partition("/")[2])
        due = None if record is None else record.next_due(self._figures)
        self._agenda.set(uid, None if due is None else due.instant)
