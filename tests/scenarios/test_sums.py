"""Floods and market-data reads are summed up; trades are always whole."""

from pathlib import Path
from typing import Any, Final

import pytest

from tests.support import guards
from tests.support.stage import Stage, stage

READER: Final = guards.record("reader", scopes=["qot:read", "acc:read"])
BOT: Final = guards.record("bot")
QUOTE: Final[dict[str, Any]] = {"symbols": ["HK.00700"]}


async def times(scene: Stage, count: int, path: str, body: Any, *, who: str | None) -> None:
    """The same request so often within one second."""
    for _ in range(count):
        await scene.ask(path, body, who=who)


@pytest.mark.parametrize(
    ("who", "path", "body", "summed"),
    [
        (None, "/api/quote", QUOTE, {"source": "127.0.0.1"}),
        ("reader", "/api/order", guards.order(), {"key": "reader", "code": "scope"}),
        ("reader", "/api/modify-order", {"nonsense": 1}, {"key": "reader", "code": "scope"}),
        (None, "/api/nowhere", None, {"source": "127.0.0.1"}),
        ("reader", "/api/nowhere", None, {"key": "reader", "code": "unknown_endpoint"}),
        ("bot", "/api/quote", {"nonsense": 1}, {"key": "bot", "code": "unknown_field"}),
    ],
)
async def test_the_same_refusal_again_is_summed_up_beyond_ten_a_second(
    tmp_path: Path, who: str | None, path: str, body: Any, summed: dict[str, str]
) -> None:
    """Ten are whole in each second, the rest is one record: of a stranger by source, of a key by its code."""
    async with stage(tmp_path, READER, BOT) as scene:
        await times(scene, 25, path, body, who=who)
        scene.clock.advance(s=1)
        await times(scene, 11, path, body, who=who)
        scene.guard.recorder.floods.sum_up()

        assert len(await scene.records("decision")) == 20
        told = [
            {n: v for n, v in one.items() if n not in {"seq", "ts", "type", "prev", "second"}}
            for one in await scene.records("denied")
        ]
        assert told == [{"count": 15} | summed, {"count": 1} | summed]


async def test_every_order_of_a_key_that_may_trade_has_a_record_of_its_own(tmp_path: Path) -> None:
    """However often it is refused: what somebody wanted to trade is never a sum."""
    async with stage(tmp_path, READER, BOT, policies='[orders]\nmax_value = "1 HKD"') as scene:
        await times(scene, 30, "/api/order", guards.order(), who="bot")
        await times(scene, 30, "/api/order", {"nonsense": 1}, who="bot")
        scene.guard.recorder.floods.sum_up()

        assert len(await scene.records("decision")) == 60
        assert await scene.records("denied") == []


@pytest.mark.parametrize(
    ("reads", "whole", "summed"),
    [("account", 1, [("bot", "/api/quote", 3), ("reader", "/api/quote", 2)]), ("all", 6, []), ("refused", 0, [])],
)
async def test_market_data_reads_are_summed_up_by_key_endpoint_and_minute(
    tmp_path: Path, reads: str, whole: int, summed: list[tuple[str, str, int]]
) -> None:
    """`journal.reads` says whether a passed read has a record, is counted, or leaves nothing."""
    toml = f'[journal]\nreads = "{reads}"\n'
    async with stage(tmp_path, READER, BOT, toml=toml) as scene:
        await times(scene, 3, "/api/quote", QUOTE, who="bot")
        await times(scene, 2, "/api/quote", QUOTE, who="reader")
        await scene.ask("/api/funds", {"market": "HK", "acc_id": 123456, "env": "simulate"})
        scene.guard.recorder.floods.sum_up(scene.clock.wall_us())
        assert await scene.records("access") == []
        scene.clock.advance(s=60)
        scene.guard.recorder.floods.sum_up(scene.clock.wall_us())

        told = await scene.records("access")
        assert sorted((one["key"], one["endpoint"], one["count"]) for one in told) == summed
        assert all(one["minute"].endswith(":00.000000Z") for one in told)
        assert len(await scene.records("decision")) == whole


async def test_what_is_open_is_written_at_the_end(tmp_path: Path) -> None:
    """A stop sums up what the last minute held."""
    async with stage(tmp_path, READER, BOT) as scene:
        await times(scene, 2, "/api/quote", QUOTE, who="reader")

    assert [one["count"] for one in guards.of_type(scene.config, "access")] == [2]
