"""The longest pauses of the loop, for the table of figures: `pauses.py` in a process of its own for each level.

Of the three figures of a pause it is *held up* that the figure to hold is about: how long no turn of the loop could
begin, by its own work or by other threads of the guard, whatever else the machine did meanwhile.
"""

import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from typing import Final

import machine
import msgspec

HERE: Final = Path(__file__).parent
LEVELS: Final = ((3_000, 50), (50_000, 50), (3_000, 1_000))  # live orders, policies
CALM: Final = "nothing, half a second"
LEVEL_S: Final = 900.0


class Level(msgspec.Struct):
    """So many live orders and policies; in ms, one a round, by what is done meanwhile: see `pauses.Pause`."""

    orders: int
    policies: int
    work: dict[str, list[float]]
    held_up: dict[str, list[float]]
    passed: dict[str, list[float]]
    took: dict[str, list[float]]

    def title(self) -> str:
        """Which level it is."""
        return f"{self.orders:,} live orders, {self.policies:,} policies"


def measure(folder: Path, levels: Iterable[tuple[int, int]], *, rounds: int, say: Callable[[str], None]) -> list[Level]:
    """Every level. Raises `Unfit` where one could not be measured, with what was said."""
    folder.mkdir()
    found = []
    for orders, policies in levels:
        say(f"pauses: {orders} live orders, {policies} policies, {rounds} rounds")
        path = folder / "level.json"
        words = ("--orders", orders, "--policies", policies, "--rounds", rounds, "--work", folder, "--json", path)
        command = [sys.executable, str(HERE / "pauses.py"), *map(str, words)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LEVEL_S)
        except subprocess.TimeoutExpired as late:
            raise machine.Unfit(f"the pauses could not be measured within {LEVEL_S} s") from late
        if done.returncode != 0:
            raise machine.Unfit(f"the pauses could not be measured: {done.stdout[-1000:]}{done.stderr[-1000:]}")
        found += msgspec.json.decode(path.read_bytes(), type=list[Level])
    return found


def worst(levels: list[Level]) -> tuple[Level, str] | None:
    """What holds the loop up longest, in the median of the rounds, and at which level."""
    each = [(level, name) for level in levels for name in level.held_up if name != CALM]
    return max(each, key=lambda place: median(place[0].held_up[place[1]]), default=None)
