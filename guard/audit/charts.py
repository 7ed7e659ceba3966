"""Charts as inline SVG: columns over time, a bar in a table's row, a limit's use on its track. Pure.

Colours are classes of the style sheet, so that they follow light, dark and paper. Every chart has a title and a
description in words; the numbers stand in a table beside it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from guard.audit.markup import Markup, el

WIDTH: Final = 880
HEIGHT: Final = 230
_LEFT: Final = 52
_BOTTOM: Final = 26
_TOP: Final = 20
COLUMNS_MAX: Final = 64
_WIDE_MAX: Final = 56
_LETTER_W: Final = 7  # at most, of what is written below the columns
_STEPS_H: Final = (1, 2, 3, 6, 12, 24, 48, 7 * 24, 14 * 24, 30 * 24, 91 * 24)


class Series(NamedTuple):
    """One layer of the columns: the class that colours it, its name, and what it counts of an hour."""

    kind: str
    name: str
    counts: tuple[str, ...]


class ChartColumn(NamedTuple):
    """One column: when it begins, how it is called, and its layers from below."""

    begins: datetime
    label: str
    parts: tuple[int, ...]


def columns(
    hours: Mapping[str, Counter[str]], series: Sequence[Series], *, since: str, until: str
) -> list[ChartColumn]:
    """Hours gathered into at most 64 columns of equal length, empty ones included; times in UTC."""
    first, last = _hour(since), _hour(until)
    hours_total = int((last - first) / timedelta(hours=1)) + 1
    step_h = next((step for step in _STEPS_H if hours_total <= step * COLUMNS_MAX), hours_total // COLUMNS_MAX + 1)
    if step_h >= 24:  # noqa: PLR2004 - hours of a day
        first = first.replace(hour=0)
        hours_total = int((last - first) / timedelta(hours=1)) + 1
    slots = [Counter[str]() for _ in range(-(-hours_total // step_h))]
    for hour, counts in hours.items():
        place = int((_hour(hour) - first) / timedelta(hours=step_h))
        if 0 <= place < len(slots):
            slots[place].update(counts)
    found = []
    for place, slot in enumerate(slots):
        begins = first + timedelta(hours=step_h * place)
        label = f"{begins:%d %b}" if step_h >= 24 else f"{begins:%d %b %H:%M}"  # noqa: PLR2004 - hours of a day
        found.append(ChartColumn(begins, label, tuple(sum(slot[name] for name in one.counts) for one in series)))
    return found


def stacked(title: str, found: Sequence[ChartColumn], series: Sequence[Series]) -> Markup:
    """Columns over time, one on the other, with a scale of round numbers."""
    top = _round_up(max((sum(column.parts) for column in found), default=0))
    plot_w, plot_h = WIDTH - _LEFT, HEIGHT - _TOP - _BOTTOM
    step = plot_w / max(len(found), 1)
    wide = min(max(step - max(1.5, step * 0.22), 1), _WIDE_MAX)
    marks: list[Markup] = []
    for line in range(5):
        y = _TOP + plot_h * line / 4
        value = top * (4 - line) // 4
        marks.append(el("line", x1=_LEFT, x2=WIDTH, y1=_at(y), y2=_at(y), class_="grid" if line < 4 else "axis"))  # noqa: PLR2004 - the last is the axis
        marks.append(el("text", _short(value), x=_LEFT - 8, y=_at(y + 4), class_="tick end"))
    for place, column in enumerate(found):
        marks += _column(column, series, x=_LEFT + step * place + (step - wide) / 2, wide=wide, scale=plot_h / top)
    every = max(-(-len(found) // 8), 1)
    for place, column in enumerate(found):
        if place % every == 0:
            half, is_second = _LETTER_W * len(column.label) / 2, place // every % 2
            x = min(_LEFT + step * place + step / 2, WIDTH - half)
            kind = "tick mid thin" if is_second else "tick mid"  # every second label makes room on a phone
            marks.append(el("text", column.label, x=_at(x), y=HEIGHT - 6, class_=kind))
    totals = ", ".join(f"{one.name} {sum(c.parts[n] for c in found)}" for n, one in enumerate(series))
    legend = el("figcaption", [[el("span", "", class_=f"key {one.kind}"), one.name, " "] for one in series])
    drawing = el(
        "svg",
        el("title", f"{title}: {totals}"),
        marks,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=f"{title}: {totals}",
    )
    return el("figure", drawing, legend, class_="chart")


def _column(column: ChartColumn, series: Sequence[Series], *, x: float, wide: float, scale: float) -> list[Markup]:
    y, marks = float(HEIGHT - _BOTTOM), list[Markup]()
    for one, count in zip(series, column.parts, strict=True):
        if count:
            tall = max(count * scale, 1)
            y -= tall
            told = el("title", f"{column.begins:%d %b %H:%M}: {count} {one.name}")
            marks.append(
                Markup(
                    el("g", told, el("rect", x=_at(x), y=_at(y), width=_at(wide), height=_at(tall), class_=one.kind))
                )
            )
    return marks


def bar(part: float, kind: str) -> Markup:
    """A thin bar that takes this part (0 to 1) of its cell."""
    wide = max(min(part, 1.0), 0.0) * 100
    return el(
        "svg",
        el("rect", x=0, y=0, width=100, height=6, rx=1, class_="track"),
        el("rect", x=0, y=0, width=_at(max(wide, 0.6) if part > 0 else 0), height=6, rx=1, class_=kind),
        viewBox="0 0 100 6",
        preserveAspectRatio="none",
        class_="bar",
        aria_hidden="true",
    )


def track(median: Decimal, high: Decimal, peak: Decimal) -> Markup:
    """A limit's use from 0 to 100 %: shaded to the 95th percentile, a tick at the median, a mark at the peak."""
    at = [min(max(float(one), 0.0), 100.0) * 2 for one in (median, high, peak)]
    kind = "hot" if peak >= 95 else "calm"  # noqa: PLR2004 - percent: what is this close is as good as hit
    return el(
        "svg",
        el("rect", x=0, y=4, width=200, height=6, rx=3, class_="track"),
        el("rect", x=0, y=4, width=_at(at[1]), height=6, rx=3, class_=f"{kind} soft"),
        el("rect", x=_at(max(at[0] - 1, 0)), y=1, width=2, height=12, class_="tickmark"),
        el("circle", cx=_at(min(max(at[2], 4), 196)), cy=7, r=4, class_=kind),
        viewBox="0 0 200 14",
        class_="uses",
        aria_hidden="true",
    )


def strip(days: Sequence[str], peaks: Mapping[str, Decimal], hits: Mapping[str, int]) -> Markup:
    """One cell a day: how much of a limit was used at most, and whether it refused."""
    wide = 200 / max(len(days), 1)
    cells = []
    for place, day in enumerate(days):
        part = peaks.get(day)
        kind = "none" if part is None else ("hit" if hits.get(day) else f"level{min(int(part) // 20, 4)}")
        told = (
            "no order"
            if part is None
            else f"at most {part:.0f} %" + (f", refused {hits[day]}" if hits.get(day) else "")
        )
        gap = min(1.5, wide / 4)
        rect = el("rect", x=_at(place * wide), y=0, width=_at(max(wide - gap, 0.5)), height=12, class_=f"day {kind}")
        cells.append(el("g", el("title", f"{day}: {told}"), rect))
    return el("svg", cells, viewBox="0 0 200 12", class_="strip", preserveAspectRatio="none", aria_hidden="true")


def _hour(text: str) -> datetime:
    return datetime.fromisoformat(f"{text[:13]}:00:00").replace(tzinfo=UTC)


def _round_up(value: int) -> int:
    """The next of 4, 8, 20, 40, 80 … : four steps of a round number."""
    scale = 4
    for factor in (2, 2.5, 2) * 20:
        if scale >= value:
            return int(scale)
        scale = int(scale * factor)
    return scale


def _short(value: int) -> str:
    if value >= 1_000_000:  # noqa: PLR2004 - a million
        return f"{value / 1_000_000:g}M"
    return f"{value / 1000:g}k" if value >= 10_000 else str(value)  # noqa: PLR2004 - five digits are too wide


def _at(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
