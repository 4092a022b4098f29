"""Events as they are pushed: page by page, each follower in turn, and a page made once for all who are at its place."""

import asyncio

from . import streams
from .context import Following, Page, Session, Stream, Wanted
from .wire import Push, encode

_PAGE = 256  # events
_PAGES = 4  # that are made before others have their turn
_SENT = 256  # that are sent


class MadePages:
    """The pages of one moment, in which nothing happens.

    Parameters
    ----------
    stream : Stream
        Of which events.
    """

    def __init__(self, stream: Stream) -> None:
        self.name = stream.name
        self._stream = stream
        self._made: dict[tuple[int, Wanted], Page] = {}

    def __len__(self) -> int:
        return len(self._made)

    def next(self, following: Following) -> Page:
        """Return the page that comes next."""
        place = following.after, following.wanted
        page = self._made.get(place)
        if page is None:
            found, missed, after = self._stream.read(following.after, _PAGE)
            rows = [self._stream.row(one) for one in found if streams.is_wanted(one, following.wanted)]
            message = encode(Push([self.name, after, missed, rows]), 3) if rows or missed else b""
            page = self._made[place] = Page(message, after, len(found) == _PAGE)
        return page


class Pushes:
    """Who follows events, on the running loop.

    Parameters
    ----------
    stream : Stream
        Of which events.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._followers: set[Session] = set()
        self._behind: dict[Session, None] = {}  # those for whom there may be something
        self._is_scheduled = False
        self._waiting: asyncio.Task[None] | None = None

    def add(self, follower: Session) -> None:
        """Push events to it, from now on."""
        self._followers.add(follower)
        if self._waiting is None:
            self._waiting = asyncio.get_running_loop().create_task(self._wait())
        self.wake(follower)

    def discard(self, follower: Session) -> None:
        """Push nothing to it any more."""
        self._followers.discard(follower)
        self._behind.pop(follower, None)

    def wake(self, follower: Session) -> None:
        """Hear that it reads again."""
        if follower in self._followers:
            self._behind[follower] = None
            self._schedule()

    def close(self) -> None:
        """Push nothing any more."""
        self._followers.clear()
        self._behind.clear()
        if self._waiting is not None:
            self._waiting.cancel()

    async def _wait(self) -> None:
        async for _ in self._stream.changes():
            self._behind.update(dict.fromkeys(self._followers))
            self._schedule()

    def _schedule(self) -> None:
        if not self._is_scheduled and self._behind:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._push)

    def _push(self) -> None:
        self._is_scheduled = False
        pages = MadePages(self._stream)
        sent = 0
        while self._behind and len(pages) < _PAGES and sent < _SENT:
            follower = next(iter(self._behind))
            del self._behind[follower]
            sent += 1
            if follower.push(pages):
                self._behind[follower] = None
        self._schedule()
