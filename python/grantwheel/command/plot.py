"""A timeline of grants as SVG: a lane for each owner and type, the colours for what ended them."""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import NamedTuple

from grantwheel import ResourceType
from grantwheel._text import printable

from .axis import ticks
from .density import Density
from .history import History, Owner, Span
from .times import duration
from .totals import order, owner_words

_LEFT, _WIDTH, _RIGHT = 300, 860, 90
_LANE, _BAR, _BAND, _GAP = 20, 14, 44, 8
_PART = 2  # pixels
_MANY = 250  # in a lane: more are shown by how much of each part was held
_HELD = "held still"
# Told apart also by those who see few colours; what ends most grants has those that differ most.
_COLOURS = {
    "expired": "#e69f00",
    "release": "#009e73",
    "process_died": "#d55e00",
    "app_stopped": "#cc79a7",
    "reset_all": "#56b4e9",
    "admin": "#6a3d9a",
    "package_removed": "#8c564b",
    "pid_reused": "#404040",
    "recovered": "#882255",
    "unknown": "#bbbbbb",
    _HELD: "#0072b2",
}
_CAUSES = list(_COLOURS)


class _Lane:
    """The grants of one owner and type."""

    __slots__ = ("causes", "ends", "older", "starts")

    def __init__(self) -> None:
        self.starts, self.ends = array("Q"), array("Q")
        self.causes = bytearray()
        self.older = False  # the first of them

    def __iter__(self) -> Iterator[tuple[int, int, str]]:
        for start, end, cause in zip(self.starts, self.ends, self.causes, strict=True):
            yield start, end, _CAUSES[cause]

    def __len__(self) -> int:
        return len(self.causes)


class _Key(NamedTuple):
    owner: Owner
    type: int


class Plot:
    """Gathers spans, and draws them when all are there."""

    def __init__(self) -> None:
        self._lanes: dict[_Key, _Lane] = {}

    def add(self, span: Span) -> None:
        """Take one grant."""
        lane = self._lanes.setdefault(_Key(span.owner, span.type), _Lane())
        lane.older = lane.older or span.is_older
        lane.starts.append(span.start)
        lane.ends.append(span.end)
        lane.causes.append(_CAUSES.index(span.cause or _HELD))

    def draw(self, history: History, name: str, most: int) -> str:
        """Return the SVG: so many lanes at most, of those with most grants; the rest by type."""
        busiest = sorted(self._lanes, key=lambda key: (-len(self._lanes[key]), order(key.owner), key.type))
        chosen, others = busiest[:most], busiest[most:]
        grants = Counter[Owner]()
        for key in chosen:
            grants[key.owner] += len(self._lanes[key])
        chosen.sort(key=lambda key: (-grants[key.owner], order(key.owner), key.type))
        drawing = _Drawing(history)
        drawing.begin(name, sum(map(len, self._lanes.values())), len({key.owner for key in self._lanes}))
        drawing.legend(Counter(cause for lane in self._lanes.values() for cause in lane.causes))
        drawing.frame_begins()
        before = None
        for key in chosen:
            drawing.lane(key, self._lanes[key], is_first=key.owner != before)
            before = key.owner
        for one in sorted({key.type for key in others}):
            of_type = [key for key in others if key.type == one]
            drawing.band(one, len({key.owner for key in of_type}), [self._lanes[key] for key in of_type], bool(chosen))
        return drawing.end()


class _Drawing:
    """The parts of the SVG, from the top to the bottom."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._first = history.first
        self._last = max(history.last, history.first + 1)
        self._parts: list[str] = []
        self._top = self._y = 0

    def begin(self, name: str, grants: int, owners: int) -> None:
        """Say what it is about."""
        clock, first, last = self._history.clock, self._first, self._history.last
        self._text(16, 28, f"Grants of {name}", "font-size:17px;font-weight:600")
        between = f"{clock.text(first) or f'{first} ms'} to {clock.text(last) or f'{last} ms'}"
        what = f"{_counted(grants, 'grant')} of {_counted(owners, 'owner')}, {between} ({duration(last - first)})"
        self._text(16, 48, what, "fill:#555")

    def legend(self, causes: Counter[int]) -> None:
        """Say which colour is which end."""
        x, y = 16.0, 72
        self._text(x, y, "ended by", "fill:#555")
        x += 62
        for place, count in sorted(causes.items()):
            words = f"{_CAUSES[place]} {count:,}"
            if x + 24 + 7 * len(words) > _LEFT + _WIDTH + _RIGHT:
                x, y = 78.0, y + 20
            self._parts.append(f'<rect x="{x:g}" y="{y - 10}" width="12" height="12" rx="2" fill="{_colour(place)}"/>')
            self._text(x + 17, y, words)
            x += 36 + 6.6 * len(words)
        self._y = y + 36

    def frame_begins(self) -> None:
        """Leave the place at which the axis is drawn, behind all lanes, when it is known how many there are."""
        self._top = self._y
        self._axis_at = len(self._parts)

    def lane(self, key: _Key, lane: _Lane, *, is_first: bool) -> None:
        """Draw the grants of one owner and type."""
        owner = f"{owner_words(key.owner)} {self._history.names.get(key.owner, '')}".strip()
        middle = self._y + _LANE / 2 + 4
        if is_first:
            if self._y > self._top:
                self._line(16, self._y, _LEFT + _WIDTH, self._y, "#ddd")
            self._text(16, middle, _short(owner, 30), title=owner)
        self._text(_LEFT - 8, middle, _type(key.type), "text-anchor:end;fill:#555")
        self._text(_LEFT + _WIDTH + 8, middle, _counted(len(lane), "grant"), "fill:#555")
        self._parts.append(f"<g><title>{_escaped(f'{_type(key.type)} of {owner}: {_summary(lane)}')}</title>")
        if len(lane) > _MANY:
            density = Density(self._first, self._last, _WIDTH // _PART)
            for start, end, cause in lane:
                density.add(start, end, cause)
            self._densities(density, self._y + 3, _BAR, 1.0)
        else:
            is_older = lane.older
            for start, end, cause in lane:
                self._bar(start, end, cause, f"{_type(key.type)} of {owner}", is_older=is_older)
                is_older = False
        self._parts.append("</g>")
        self._y += _LANE

    def band(self, one: int, owners: int, lanes: Sequence[_Lane], is_rest: bool) -> None:
        """Draw how much of a type all others held together."""
        density = Density(self._first, self._last, _WIDTH // _PART)
        for lane in lanes:
            for start, end, cause in lane:
                density.add(start, end, cause)
        most = max(map(sum, zip(*density.values().values(), strict=True)))
        grants = sum(map(len, lanes))
        words = f"{_counted(owners, 'more owner' if is_rest else 'owner')}"
        self._line(16, self._y + _GAP / 2, _LEFT + _WIDTH, self._y + _GAP / 2, "#ddd")
        top = self._y + _GAP
        self._text(16, top + 14, words)
        self._text(
            16, top + 30, f"up to {most:,.3g} at once" if most < 100 else f"up to {most:,.0f} at once", "fill:#555"
        )
        self._text(_LEFT - 8, top + 14, _type(one), "text-anchor:end;fill:#555")
        self._text(_LEFT + _WIDTH + 8, top + 14, _counted(grants, "grant"), "fill:#555")
        ended = Counter(_CAUSES[cause] for lane in lanes for cause in lane.causes)
        summary = ", ".join(f"{cause} {count:,}" for cause, count in ended.most_common())
        self._parts.append(f"<g><title>{_escaped(f'{_type(one)} of {words}: {summary}')}</title>")
        self._densities(density, top, _BAND, most)
        self._parts.append("</g>")
        self._y = top + _BAND

    def end(self) -> str:
        """Return all of it."""
        bottom = self._y + 6
        marks, what = ticks(self._first, self._last, self._history.clock)
        axis = []
        for tick in marks:
            x = self._x(tick.time)
            axis.append(f'<path d="M{x:.1f} {self._top - 5}V{bottom}" stroke="#e4e4e4"/>')
            axis.extend(
                f'<text x="{x:.1f}" y="{y}" style="text-anchor:middle;fill:#555">{_escaped(tick.text)}</text>'
                for y in (self._top - 10, bottom + 16)
            )
        axis.append(
            f'<text x="{_LEFT + _WIDTH / 2:g}" y="{bottom + 36}" style="text-anchor:middle;fill:#555">'
            f"{_escaped(what)}</text>"
        )
        self._parts[self._axis_at : self._axis_at] = axis
        width, height = _LEFT + _WIDTH + _RIGHT + 16, bottom + 48
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
            'font-family="system-ui,DejaVu Sans,Helvetica,Arial,sans-serif" font-size="12" fill="#222">'
        )
        return "\n".join([head, f'<rect width="{width}" height="{height}" fill="#fff"/>', *self._parts, "</svg>\n"])

    def _x(self, time: int) -> float:
        return _LEFT + _WIDTH * (time - self._first) / (self._last - self._first)

    def _bar(self, start: int, end: int, cause: str, what: str, *, is_older: bool) -> None:
        x = self._x(start)
        width = max(self._x(end) - x, 1.5)
        how = "held still" if cause == _HELD else f"ended by {cause}"
        begin = f"since before {start} ms, until" if is_older else f"{start} ms to"
        title = f"{what}: {begin} {end} ms, {duration(end - start)}, {how}"
        self._parts.append(
            f'<rect x="{x:.1f}" y="{self._y + 3}" width="{width:.1f}" height="{_BAR}" rx="{min(2, width / 2):.3g}" '
            f'fill="{_COLOURS[cause]}"><title>{_escaped(title)}</title></rect>'
        )

    def _densities(self, density: Density, top: int, height: int, most: float) -> None:
        """Draw parts one on the other, by cause: what was held at all is a pixel high at least."""
        values = density.values()
        sums = [sum(column) for column in zip(*values.values(), strict=True)]
        scales = [0.0 if not total else max(height * total / most, 1.0) / total for total in sums]
        floor = [float(top + height)] * len(sums)
        for cause in _CAUSES:
            if cause not in values:
                continue
            path = []
            for place, (value, scale) in enumerate(zip(values[cause], scales, strict=True)):
                if value:
                    floor[place] -= value * scale
                    path.append(f"M{_LEFT + place * _PART} {floor[place]:.1f}h{_PART}v{value * scale:.1f}h-{_PART}z")
            self._parts.append(f'<path fill="{_COLOURS[cause]}" d="{"".join(path)}"/>')

    def _text(self, x: float, y: float, text: str, style: str = "", *, title: str = "") -> None:
        styled = f' style="{style}"' if style else ""
        told = f"<title>{_escaped(title)}</title>" if title else ""
        self._parts.append(f'<text x="{x:g}" y="{y:g}"{styled}>{told}{_escaped(text)}</text>')

    def _line(self, x: float, y: float, other_x: float, other_y: float, colour: str) -> None:
        self._parts.append(f'<path d="M{x:g} {y:g}L{other_x:g} {other_y:g}" stroke="{colour}"/>')


def _colour(place: int) -> str:
    return _COLOURS[_CAUSES[place]]


def _summary(lane: Iterable[tuple[int, int, str]]) -> str:
    ended: Counter[str] = Counter()
    held = 0
    for start, end, cause in lane:
        ended[cause] += 1
        held += end - start
    return f"held {duration(held)} in all; " + ", ".join(f"{cause} {count:,}" for cause, count in ended.most_common())


def _type(one: int) -> str:
    return str(ResourceType(one).name)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _counted(number: int, word: str) -> str:
    return f"{number:,} {word if number == 1 else word + 's'}"


def _escaped(text: str) -> str:
    """Return text that neither XML nor a reader can take for more than it is."""
    return escape(printable(text))
