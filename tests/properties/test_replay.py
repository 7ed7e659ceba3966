"""A replay foretells what a guard with other policies would have done with the same requests."""

import json
from datetime import UTC, datetime
from pathlib import Path
from random import Random  # noqa: TID251 - seeded
from typing import Any, Final

import pytest

from guard.policy import PolicyDoc, parse_policy
from guard.replay import Options, replayed
from tests.support.guards import record
from tests.support.stage import TRADING, stage

BOTS: Final = ("a", "b")
QUOTE: Final = "/api/quote"
ALL: Final = f'{TRADING}[journal]\nreads = "all"\n'
PAST: Final = "2000-01-01T00:00:00.000000Z"


def policy(dice: Random) -> str:
    """Limits that bind now and then: on size, on the day's money and number, on how often."""
    rows = [
        '[instruments]\nblocked_symbols = ["HK.00388"]' if dice.random() < 0.3 else "",
        "[orders]",
        f'max_value = ["{dice.choice([40_000, 60_000, 80_000])} HKD", "{dice.choice([3_000, 9_000])} USD"]',
        f"max_qty = {dice.choice([200, 300, 1000])}" if dice.random() < 0.5 else "",
        f"per_day = {dice.choice([10, 30])}" if dice.random() < 0.5 else "",
        f"duplicate_window_s = {dice.choice([1, 10])}" if dice.random() < 0.5 else "",
        f'[budgets]\nper = "{dice.choice(["key", "account", "policy"])}"',
        f'daily_value = "{dice.choice([300_000, 900_000])} HKD"',
        "[rates]",
        f'new_orders = "{dice.choice([3, 6])}/10s"' if dice.random() < 0.7 else "",
        f'reads = "{dice.choice([2, 3])}/{dice.choice([5, 10])}s"' if dice.random() < 0.7 else "",
    ]
    return "\n".join(row for row in rows if row)


def requests(dice: Random, count: int) -> list[tuple[str, dict[str, Any] | None, int]]:
    """Who asks what, and how long until the next one (ms); nobody minds the answer, and nothing is filled.

    None: a read.
    """
    found: list[tuple[str, dict[str, Any] | None, int]] = []
    for _ in range(count):
        order = {
            "qty": dice.choice([100, 200, 300]),
            "price": dice.choice([198, 200, 202]),
            "code": dice.choice(["00700", "00700", "00388"]),
        }
        found.append((dice.choice(BOTS), None if dice.random() < 0.4 else order, dice.choice([0, 900, 4_000])))
    return found


async def told(
    directory: Path, text: str, asked: list[tuple[str, dict[str, Any] | None, int]]
) -> list[tuple[str, str]]:
    """What a guard with this policy answers: decision and code ("" where it passes), request by request."""
    found = []
    async with stage(directory, *map(record, BOTS), policies=text, toml=ALL) as scene:
        for who, body, pause_ms in asked:
            asking = scene.ask(QUOTE, {"symbol": "HK.00700"}, who=who) if body is None else scene.place(who=who, **body)
            reply = await asking
            guard = json.loads(reply.body).get("guard") or {}
            found.append((dict(reply.headers)["Guard-Decision"], guard.get("code", "")))
            scene.clock.advance(us=pause_ms * 1000)
        await scene.written()
    return found


@pytest.mark.parametrize("seed", range(5))
async def test_a_replay_says_what_the_other_guard_says(tmp_path: Path, seed: int) -> None:
    """Whoever asks the same of both guards gets the answers that the replay foretold, path-dependent or not."""
    dice = Random(seed)
    one, other, asked = policy(dice), policy(dice), requests(dice, 40)
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    was, would_be = await told(tmp_path / "one", one, asked), await told(tmp_path / "other", other, asked)

    docs = parse_policy(other, file="desk.toml")
    assert isinstance(docs, PolicyDoc)
    found = replayed(tmp_path / "one/state", Options(PAST, docs=[docs]), now=datetime(2026, 11, 22, tzinfo=UTC))

    assert found.replayed == found.reproduced == len(asked)
    foretold = {one.decision: one.kind for one in found.differences}
    for (decision, code), (_, code_there) in zip(was, would_be, strict=True):
        kind = "newly_refused" if code_there and not code else "newly_allowed" if code and not code_there else None
        assert foretold.get(decision) == kind, (decision, code, code_there)
