"""Draws what the dashboard shows as SVG, for the documents: the same panels, places and series, in plain lines.

It is no Grafana: the series come from a real Prometheus, the drawing is ours.
"""

import re
from collections.abc import Mapping, Sequence
from html import escape
from math import isnan
from typing import Final

from deploy.grafana.panels import CHARTS, FIGURES, MARKS, Chart, Figure

Points = Sequence[tuple[float, float]]
Lines = Sequence[tuple[str, Points]]
"""Series as (name, points as (seconds, value))."""

COLOURS: Final = (
    "#7eb26d",
    "#eab839",
    "#6ed0e0",
    "#ef843c",
    "#e24d42",
    "#5195ce",
    "#ba43a9",
    "#b7dbab",
    "#f4d598",
    "#70dbed",
)
PAINT: Final = {"green": "#37872d", "red": "#c4162a", "orange": "#e0752d", "blue": "#5794f2"}
WIDTH: Final = 1440
COLUMNS: Final = 4
CHART: Final = (360, 214)
FIGURE: Final = (180, 74)
PLOT: Final = (44, 26, 284, 110)
"""Left, top, width and height of the plot in its panel."""
LEGEND_LINES: Final = 4
NAME_MAX: Final = 28


def draw(seen: Mapping[str, Lines]) -> str:
    """The picture. `seen`: by title of panel or name of mark, its series."""
    height = FIGURE[1] + -(-len(CHARTS) // COLUMNS) * CHART[1]
    font = 'font-family="Inter, Helvetica, Arial, sans-serif" font-size="11"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {font}>',
        f'<rect width="{WIDTH}" height="{height}" fill="#111217"/>',
    ]
    for number, figure in enumerate(FIGURES):
        parts += _figure(figure, seen[figure.title], left=number * FIGURE[0])
    marks = {mark.name: _moments(seen[mark.name]) for mark in MARKS}
    for number, chart in enumerate(CHARTS):
        line, column = divmod(number, COLUMNS)
        parts.append(f'<g transform="translate({column * CHART[0]} {FIGURE[1] + line * CHART[1]})">')
        parts += [*_chart(chart, seen[chart.title], marks), "</g>"]
    return "\n".join([*parts, "</svg>", ""])


def _moments(lines: Lines) -> list[float]:
    """When each mark begins."""
    return [points[0][0] for _, points in lines if points]


# ---------------------------------------------------------------- figures


def _figure(figure: Figure, lines: Lines, *, left: float) -> list[str]:
    width, height = FIGURE
    value = lines[0][1][-1][1] if lines and lines[0][1] else None
    text, colour = _worded(figure, value)
    return [
        f'<g transform="translate({left} 0)">',
        f'<rect x="2" y="2" width="{width - 4}" height="{height - 4}" rx="2" fill="{PAINT[colour]}"/>',
        f'<text x="10" y="18" fill="#fff" opacity=".85">{escape(figure.title)}</text>',
        f'<text x="{width / 2}" y="52" fill="#fff" font-size="24" text-anchor="middle">{escape(text)}</text>',
        "</g>",
    ]


def _worded(figure: Figure, value: float | None) -> tuple[str, str]:
    if value is None:
        return "none", "green"
    for number, word, colour in figure.words:
        if number == round(value):
            return word, colour
    reached = [colour for bound, colour in figure.steps if bound is None or value >= bound]
    return shown(value, figure.unit), reached[-1]


# ---------------------------------------------------------------- charts


def _chart(chart: Chart, lines: Lines, marks: Mapping[str, Sequence[float]]) -> list[str]:
    _, top, _, down = PLOT
    times = [at for _, points in lines for at, _ in points]
    span = (min(times), max(times)) if times else (0.0, 1.0)
    colours = {name: COLOURS[number % len(COLOURS)] for number, (name, _) in enumerate(lines)}
    out = [
        f'<rect x="2" y="2" width="{CHART[0] - 4}" height="{CHART[1] - 4}" rx="2" fill="#181b1f" stroke="#2c3235"/>',
        f'<text x="10" y="17" fill="#ccccdc" font-weight="600">{escape(chart.title)}</text>',
    ]
    for side, is_right in ((_on_side(chart, lines, right=False), False), (_on_side(chart, lines, right=True), True)):
        if is_right and not side:
            continue
        highest = max([0.0 if is_right else chart.limit or 0.0, *_values(side)]) or 1.0
        out += _axis(highest, "short" if is_right else chart.unit, right=is_right)
        out += [_line(points, colours[name], span=span, highest=highest) for name, points in side]
    for mark in MARKS:
        places = [_x(at, span) for at in marks[mark.name] if span[0] <= at <= span[1]]
        stroke = f'stroke="{PAINT[mark.colour]}" stroke-dasharray="3 3"'
        out += [f'<path d="M{x:.1f} {top}v{down}" {stroke}/>' for x in places]
    return [*out, *_legend(list(colours.items()), top=top + down + 18)]


def _on_side(chart: Chart, lines: Lines, *, right: bool) -> Lines:
    """The series that are counted on this side's axis."""
    return [line for line in lines if bool(chart.aside and re.fullmatch(chart.aside, line[0])) is right]


def _values(lines: Lines) -> list[float]:
    return [value for _, points in lines for _, value in points if not isnan(value)]


def _x(at: float, span: tuple[float, float]) -> float:
    first, last = span
    return PLOT[0] + (at - first) / max(last - first, 1e-9) * PLOT[2]


def _axis(highest: float, unit: str, *, right: bool) -> list[str]:
    left, top, across, down = PLOT
    x, anchor = (left + across + 4, "start") if right else (left - 4, "end")
    out = []
    for share in (0.0, 0.5, 1.0):
        y = top + down * (1 - share)
        text = escape(shown(highest * share, unit))
        out.append(f'<path d="M{left} {y:.1f}h{across}" stroke="#2c3235"/>')
        out.append(f'<text x="{x}" y="{y + 4:.1f}" fill="#8e8e9a" font-size="9" text-anchor="{anchor}">{text}</text>')
    return out


def _line(points: Points, colour: str, *, span: tuple[float, float], highest: float) -> str:
    _, top, _, down = PLOT
    drawn = [(_x(at, span), top + down * (1 - min(value / highest, 1))) for at, value in points if not isnan(value)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in drawn)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.4"/>'


def _legend(names: Sequence[tuple[str, str]], *, top: float) -> list[str]:
    out = []
    for number, (name, colour) in enumerate(names[: 2 * LEGEND_LINES]):
        line, column = divmod(number, 2)
        x, y = 12 + column * 174, top + line * 14
        word = name if len(name) <= NAME_MAX else f"{name[: NAME_MAX - 1]}…"
        out.append(f'<rect x="{x}" y="{y - 6}" width="10" height="3" fill="{colour}"/>')
        out.append(f'<text x="{x + 14}" y="{y}" fill="#ccccdc" font-size="10">{escape(word)}</text>')
    return out


# ---------------------------------------------------------------- numbers


def shown(value: float, unit: str) -> str:
    """A number with its unit, short."""
    match unit:
        case "percentunit":
            return f"{value * 100:.0f}%"
        case "bytes":
            return f"{value / 2**30:.0f} GiB"
        case "dtdurations":
            return f"{value / 86_400:.0f} days"
        case "s" if value and value < 1:
            return f"{value * 1000:.3g} ms"
        case "s":
            return f"{value:.3g} s"
        case "reqps":
            return f"{value:.3g}/s"
        case _:
            return f"{value:.3g}"
