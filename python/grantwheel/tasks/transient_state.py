"""What is on record of an app's transient requests, and what follows from it at an instant.

A uid with open requests has a clock of its own, which goes on while they run: while no process of it is in the
foreground, or the screen is off. A request, and the time of an app's day, are used up by this clock; so going to the
foreground or coming from there changes one record and no request.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

from .reading import flag, number, number_or_none, text
from .values import TransientFigures


@dataclass(frozen=True, slots=True)
class Device:
    """What is the same for all apps."""

    next_id: int
    reset_at: int  # when every app was last given its quota
    is_screen_on: bool
    is_battery_low: bool

    @classmethod
    def read(cls, fields: Any) -> Self:
        """Return what a value stands for."""
        return cls(
            number(fields["next_id"]),
            number(fields["reset_at"]),
            flag(fields["is_screen_on"]),
            flag(fields["is_battery_low"]),
        )


@dataclass(frozen=True, slots=True)
class Request:
    """An open request."""

    id: int
    pid: int
    callback: str
    reason: str
    delay_ms: int
    began_ms: int  # by the clock of its uid
    called_at: int | None  # when its callback was called

    @classmethod
    def read(cls, fields: Any) -> Self:
        """Return what a value stands for."""
        return cls(
            number(fields["id"]),
            number(fields["pid"]),
            text(fields["callback"]),
            text(fields["reason"]),
            number(fields["delay_ms"]),
            number(fields["began_ms"]),
            number_or_none(fields["called_at"]),
        )


@dataclass(frozen=True, slots=True)
class App:
    """A bundle of a uid: what is left of its day, and its open requests, by ascending id."""

    bundle: str
    quota_ms: int
    charged_ms: int  # the instant, by the clock of its uid, from which on the quota is used up; while any is open
    requests: tuple[Request, ...]

    @classmethod
    def read(cls, fields: Any) -> Self:
        """Return what a value stands for."""
        return cls(
            text(fields["bundle"]),
            number(fields["quota_ms"]),
            number(fields["charged_ms"]),
            tuple(Request.read(one) for one in fields["requests"]),
        )


class Due(NamedTuple):
    """What happens next to the requests of a uid. In order: by instant, then by id."""

    instant: int
    id: int
    uid: int
    bundle: str
    is_end: bool  # else the callback is called


@dataclass(frozen=True, slots=True)
class Owner:
    """A uid: which of its processes are in the foreground, its clock, and its apps, by bundle name."""

    uid: int
    foreground: tuple[int, ...]
    left_at: int | None  # when it went to the background; None while it is in the foreground or never was
    ran_ms: int
    runs_since: int | None
    apps: tuple[App, ...]

    @classmethod
    def read(cls, fields: Any) -> Self:
        """Return what a value stands for."""
        return cls(
            number(fields["uid"]),
            tuple(number(pid) for pid in fields["foreground"]),
            number_or_none(fields["left_at"]),
            number(fields["ran_ms"]),
            number_or_none(fields["runs_since"]),
            tuple(App.read(one) for one in fields["apps"]),
        )

    @property
    def requests(self) -> list[Request]:
        """All open requests."""
        return [request for app in self.apps for request in app.requests]

    @property
    def pids(self) -> set[int]:
        """The processes that have open requests or are in the foreground."""
        return {*self.foreground, *(request.pid for request in self.requests)}

    @property
    def is_started(self) -> bool:
        """Whether anything is known of it that the stop of its app would change."""
        return bool(self.pids) or self.left_at is not None

    @property
    def is_blank(self) -> bool:
        """Whether nothing is known of it."""
        return not self.foreground and self.left_at is None and not self.apps

    def app(self, bundle: str) -> App | None:
        """Return what is known of a bundle."""
        return next((app for app in self.apps if app.bundle == bundle), None)

    def ran(self, at: int) -> int:
        """Return how far its clock is at an instant."""
        return self.ran_ms + (0 if self.runs_since is None else at - self.runs_since)

    def quota(self, app: App, at: int) -> int:
        """Return what is left of an app's day at an instant."""
        return max(0, app.quota_ms - (self.ran(at) - app.charged_ms)) if app.requests else app.quota_ms

    def remaining(self, request: Request, at: int) -> int:
        """Return what is left of a request at an instant."""
        return max(0, request.delay_ms - (self.ran(at) - request.began_ms))

    def next_due(self, figures: TransientFigures) -> Due | None:
        """Return what happens next, if nothing else happens before."""
        return min(
            (due for app in self.apps for request in app.requests if (due := self._due(app, request, figures))),
            default=None,
        )

    def _due(self, app: App, request: Request, figures: TransientFigures) -> Due | None:
        if request.called_at is not None:
            return Due(request.called_at + figures.forced_ms, request.id, self.uid, app.bundle, is_end=True)
        if self.runs_since is None:
            return None
        left = request.delay_ms - (self.ran_ms - request.began_ms) - figures.notice_ms
        # Not before its clock has gone on: the figures may have been others then.
        return Due(self.runs_since + max(0, left), request.id, self.uid, app.bundle, is_end=False)

    def end_of(self, request: Request, figures: TransientFigures) -> int | None:
        """Return when a request will have been ended, if nothing else happens before."""
        return next(
            (
                due.instant if due.is_end else due.instant + figures.forced_ms
                for app in self.apps
                if request in app.requests and (due := self._due(app, request, figures)) is not None
            ),
            None,
        )

    def with_app(self, app: App, figures: TransientFigures) -> "Owner":
        """Return the same with an app as it is given; one that has all its quota and no request is not kept."""
        others = [one for one in self.apps if one.bundle != app.bundle]
        if app.requests or app.quota_ms != figures.quota_ms:
            others.append(app)
        return replace(self, apps=tuple(sorted(others, key=lambda one: one.bundle)))

    def refilled(self, at: int, figures: TransientFigures) -> "Owner":
        """Return the same with all its quota for each app, from an instant on."""
        owner = self
        for app in self.apps:
            full = replace(app, quota_ms=figures.quota_ms, charged_ms=self.ran(at) if app.requests else 0)
            owner = owner.with_app(full, figures)
        return owner

    def without(self, gone: Collection[int], at: int) -> "Owner":
        """Return the same with processes no longer in the foreground: it may have gone to the background by that."""
        foreground = tuple(pid for pid in self.foreground if pid not in gone)
        left_at = at if self.foreground and not foreground else self.left_at
        return replace(self, foreground=foreground, left_at=left_at)

    def timed(self, at: int, *, is_screen_on: bool) -> "Owner":
        """Return the same with its clock going on from an instant, or standing, as it has to."""
        if not self.requests:
            return replace(self, ran_ms=0, runs_since=None)
        if self.foreground and is_screen_on:
            return replace(self, ran_ms=self.ran(at), runs_since=None)
        return self if self.runs_since is not None else replace(self, runs_since=at)
