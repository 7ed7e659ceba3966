"""Reads of the recorded past decided again: by the rates of the day, and by others."""

import re
from hashlib import sha256
from pathlib import Path
from typing import Final

import pytest

from guard.admin.change import Who
from guard.replay.span import earlier, span_from
from tests.support.guards import record
from tests.support.longlived import SMALL
from tests.support.replays import past
from tests.support.stage import TRADING, Stage, account, again, stage

ORDERS: Final = "/api/orders"
HISTORY: Final = "/api/history-orders"
QUOTE: Final = "/api/quote"
CAP: Final = '[orders]\nmax_value = "60000 HKD"\n'
RATED: Final = CAP + '[rates]\nreads = "4/60s"\n'
BROKER: Final = f'{TRADING}[daemon]\nbroker_limits = "documented"\n'
ALL: Final = f'{TRADING}[journal]\nreads = "all"\n'
NONE: Final = f'{TRADING}[journal]\nreads = "refused"\n'


async def reads(scene: Stage, *paths: str, pause_s: float = 0) -> list[int]:
    """The statuses of these reads, one after the other."""
    told = []
    for path in paths:
        body = {"symbol": "HK.00700"} if path == QUOTE else account()
        told.append((await scene.ask(path, body)).status)
        scene.clock.advance(us=int(pause_s * 1_000_000))
    return told


async def test_the_rates_of_the_day_reproduce_every_read_on_record(tmp_path: Path) -> None:
    """Passed and refused, with market-data reads in between that are summed up only, through a reload and a restart."""
    async with stage(tmp_path, policies=RATED) as scene:
        told = await reads(scene, ORDERS, QUOTE, ORDERS, QUOTE, ORDERS, QUOTE, pause_s=1)
        assert told == [200, 200, 200, 200, 429, 429]
        assert await reads(scene, *[ORDERS] * 5, pause_s=20) == [429, 429, 429, 200, 200]
        (tmp_path / "policies/desk.toml").write_text(RATED.replace("4/60s", "2/10s"))
        await scene.guard.changes.policies.reload(Who())
        assert await reads(scene, *[ORDERS] * 3) == [200, 200, 429]
        config = scene.config
    async with again(config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert await reads(scene, *[ORDERS] * 3) == [200, 200, 429]
        found = await past(scene)
    assert found.broken == []
    assert found.replayed == found.reproduced == 15
    assert found.left_out == {"reads that are summed up": 2}


async def test_the_brokers_buckets_are_reproduced(tmp_path: Path) -> None:
    """What the broker would refuse the guard refused: the same again, with the same numbers."""
    async with stage(tmp_path, policies=CAP, toml=BROKER) as scene:
        assert await reads(scene, *[HISTORY] * 12) == [200] * 5 + [429] * 7
        found = await past(scene)
        tighter = await past(scene, RATED)
    assert found.broken == []
    assert found.replayed == found.reproduced == 12
    assert (tighter.newly_refused, tighter.newly_allowed) == (1, 0)


@pytest.mark.parametrize(
    ("was", "is_", "told"),
    [
        (rb'"used":[2]', b'"used":[1]', "used"),
        (rb'"used":[4]', b'"used":[3]', "used"),
        (rb'"cap":4', b'"cap":9', "claims"),
        (rb'"observed":"5"', b'"observed":"6"', "reasons"),
    ],
)
async def test_a_read_that_was_made_up_is_not_reproduced(tmp_path: Path, was: bytes, is_: bytes, told: str) -> None:
    """Fewer reads than are on record, another cap, another number in the refusal: the rules find it out."""
    async with stage(tmp_path, policies=RATED) as scene:
        assert await reads(scene, *[ORDERS] * 5) == [200] * 4 + [429]
        assert (await past(scene)).unlike == 0
        forge(tmp_path / "state/journal/00000001.jsonl", was, is_)
        found = await past(scene)
    assert found.unlike == 1
    assert told in found.broken[0].recorded


async def test_other_rates_refuse_and_let_through_by_rule_and_key(tmp_path: Path) -> None:
    """A smaller rate refuses what its window holds on record, for certain; what follows in it hangs on that."""
    async with stage(tmp_path, policies=RATED) as scene:
        await reads(scene, *[ORDERS] * 5)
        scene.clock.advance(s=61)
        later = scene.clock.wall().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        await reads(scene, *[ORDERS] * 3)
        tighter = await past(scene, RATED.replace("4/60s", "2/30s"))
        looser = await past(scene, RATED.replace("4/60s", "9/60s"))
        same = await past(scene, RATED)
        none = await past(scene, CAP)

    assert [(one.kind, one.key, one.policy, one.rule, one.certain) for one in tighter.differences] == [
        ("newly_refused", "bot", "desk", "rates.reads", True),
        ("newly_refused", "bot", "desk", "rates.reads", False),
        ("newly_refused", "bot", "desk", "rates.reads", True),
    ]
    assert tighter.differences[2].ts >= later, "when the window is over nothing hangs on what was before"
    for found in (looser, none):
        assert [(one.kind, one.rule, one.certain) for one in found.differences] == [
            ("newly_allowed", "rates.reads", True)
        ]
    assert (same.newly_refused, same.newly_allowed) == (0, 0)


async def test_a_replay_that_begins_behind_the_start_reproduces_reads_too(tmp_path: Path) -> None:
    """In a later segment no start is on record; what stood on the counters each read tells by itself."""
    async with stage(tmp_path, policies=RATED, toml=SMALL) as scene:
        await reads(scene, *[ORDERS] * 80, pause_s=20)
        scene.clock.advance(s=3 * 86_400)
        since = scene.clock.wall().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        assert await reads(scene, *[ORDERS] * 5) == [200] * 4 + [429]
        found = await past(scene, since=since)
    assert span_from(tmp_path / "state", earlier(since)).first > 1
    assert (found.replayed, found.reproduced, found.broken) == (5, 5, [])


@pytest.mark.parametrize(("toml", "certain"), [(TRADING, False), (ALL, True)])
async def test_what_reads_beside_the_record_might_have_stopped_is_not_certain(
    tmp_path: Path, toml: str, certain: bool
) -> None:
    """Under another window nobody knows how many summed up reads would stand there; where all are on record they do."""
    async with stage(tmp_path, policies=RATED, toml=toml) as scene:
        assert await reads(scene, QUOTE, QUOTE, ORDERS, ORDERS, ORDERS) == [200, 200, 200, 200, 429]
        found = await past(scene, RATED.replace("4/60s", "4/61s"))
        also = await past(scene, RATED.replace("4/60s", "5/61s"))
    assert found.broken == also.broken == []
    assert [one.certain for one in found.differences] == ([] if certain else [False])
    assert [(one.kind, one.certain) for one in also.differences] == [("newly_allowed", certain)]


async def test_what_the_record_sums_up_is_counted_not_judged(tmp_path: Path) -> None:
    """Refusals beyond ten a second, market data, requests without a key: each by why, and all of them together."""
    async with stage(tmp_path, policies=RATED) as scene:
        await reads(scene, QUOTE, *[ORDERS] * 18)
        assert (await scene.ask("/api/ping", who=None)).status == 200
        scene.clock.advance(s=61)
        scene.guard.recorder.floods.sum_up(scene.guard.clock.wall_us())
        found = await past(scene)
    assert found.left_out == {"reads that are summed up": 2, "refusals that are summed up": 5}
    assert (found.decisions, found.replayed, found.reproduced) == (20, 13, 13)


async def test_reads_that_no_rule_was_asked_about_are_told_in_words(tmp_path: Path) -> None:
    """Refused for want of a scope, or of nobody: no rate judged them then, so none finds them unlike now."""
    async with stage(tmp_path, record("bot", scopes=["qot:read"]), policies=RATED, toml=ALL) as scene:
        assert (await scene.ask(ORDERS, account())).status == 403
        assert (await scene.ask("/api/ping", who=None)).status == 200
        found = await past(scene)
    assert found.left_out == {"scope": 1, "no key": 1}
    assert (found.replayed, found.unlike) == (0, 0)


async def test_reads_that_are_in_no_record_are_told(tmp_path: Path) -> None:
    """`journal.reads = "refused"`: only refusals can be replayed, with what stood then; a sentence says so."""
    async with stage(tmp_path, policies=RATED, toml=NONE) as scene:
        await reads(scene, *[ORDERS] * 5)
        found = await past(scene)
        looser = await past(scene, RATED.replace("4/60s", "9/60s"))
    assert (found.replayed, found.reproduced) == (1, 1)
    assert len(found.notes) == 1
    assert "reads that passed are in no record" in found.notes.pop()
    assert [(one.kind, one.certain) for one in looser.differences] == [("newly_allowed", True)]


def forge(path: Path, was: bytes, is_: bytes) -> None:
    """The record with the last such bytes edited, and every hash after them taken anew."""
    head, _, tail = path.read_bytes().rpartition(was)
    prev, out = "0" * 64, []
    for line in (head + is_ + tail).splitlines():
        text = re.sub(rb'"prev":"[0-9a-f]{64}"', b'"prev":"%s"' % prev.encode(), line)
        prev = sha256(text).hexdigest()
        out.append(text + b"\n")
    path.write_bytes(b"".join(out))
