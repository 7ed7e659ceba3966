"""What a run found, as its tables have it, for programs: it is saved beside the windows that it is made of.

Every figure is the smallest, the median and the largest of the rounds; every ratio is of one round.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import fanout
from figures import WANTED
from measure import Results
from noise import noisy
from tables import cpu, p50, p99, places, rps, span


def summed(results: Results) -> dict[str, Any]:
    """Scenarios, sizes, frames, pauses, the figures to hold, and which rounds were noisy."""
    return {
        "figures": [wanted.told(results) for wanted in WANTED],
        "scenarios": list(_scenarios(results)),
        "sizes": _sizes(results),
        "frames": list(_frames(results)),
        "pauses": [
            {"orders": level.orders, "policies": level.policies}
            | {figure: _spans(getattr(level, figure)) for figure in ("work", "held_up", "passed", "took")}
            for level in results.pauses
        ],
        "noisy_rounds": noisy(results),
    }


def _scenarios(results: Results) -> Iterator[dict[str, Any]]:
    for ask in dict.fromkeys(window.ask for window in results.windows):
        for view, _ in places(results, ask):
            names = dict.fromkeys(window.name for window in view.windows)
            guard = "guard-unsynced" if "guard-unsynced" in names else "guard"
            for name in names:
                yield {
                    "scenario": ask,
                    "connections": view.windows[0].connections,
                    "rate": view.windows[0].rate,
                    "contestant": name,
                    "cpu_us": _told(view.of(name, cpu)),
                    "requests_per_s": _told(view.of(name, rps)),
                    "p50_us": _told(view.of(name, p50)),
                    "p99_us": _told(view.of(name, p99)),
                    "p50_added_to_direct_us": _told(view.above(name, "direct", p50)),
                    "guard_by_it": {
                        "cpu": _told(view.against(guard, name, cpu)),
                        "requests_per_s": _told(view.against(guard, name, rps)),
                        "p50": _told(view.against(guard, name, p50)),
                    },
                }


def _sizes(results: Results) -> dict[str, Any]:
    scale = results.scale
    if scale is None:
        return {}
    return {
        name: {"cpu_us": _told(values), "by_smallest": _told(scale.ratios(name))}
        for name, values in scale.cpu_us.items()
    }


def _frames(results: Results) -> Iterator[dict[str, Any]]:
    for name, sockets, burst in sorted({(each.name, each.sockets, each.burst) for each in results.frames}):
        at = [each for each in results.frames if (each.name, each.sockets, each.burst) == (name, sockets, burst)]
        yield {
            "contestant": name,
            "sockets": sockets,
            "burst": burst,
            "cpu_us": _told([each.cpu_us for each in at]),
            "frames_per_s": _told([each.frames_per_s for each in at]),
            "guard_by_it": _told(fanout.ratios(results.frames, sockets=sockets, burst=burst, against=name)),
        }


def _spans(figures: dict[str, list[float]]) -> dict[str, Any]:
    return {name: _told(values) for name, values in figures.items()}


def _told(values: Sequence[float]) -> dict[str, float] | None:
    found = span(values)
    return None if found is None else found._asdict()
