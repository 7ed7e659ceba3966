"""What keeps the interpreter from stopping the loop."""

import asyncio
import gc
from typing import Any
from weakref import ref

import pytest

from guard import pauses
from guard.loop import resting
from guard.loop.resting import (
    PIECE_S,
    REST_S,
    RESTS_MAX,
    SWITCH_S,
    THRESHOLD,
    YOUNG_MAX,
    GiveWay,
    Pieces,
    aside,
    let_go,
    uncollected,
)
from guard.pauses import with_pauses


def test_while_much_is_made_nothing_is_looked_through() -> None:
    """The collector rests, and goes on afterwards, also after a fault; a second one within changes nothing."""
    for fault in (None, ValueError):
        try:
            with uncollected():
                assert not gc.isenabled()
                with uncollected():
                    pass
                assert not gc.isenabled()
                if fault is not None:
                    raise fault
        except ValueError:
            pass
        assert gc.isenabled()


@pytest.mark.parametrize(("is_at_rest", "stays"), [(True, True), (True, False), (False, True)])
def test_what_comes_into_force_is_looked_through_no_more(
    monkeypatch: pytest.MonkeyPatch, is_at_rest: bool, stays: bool
) -> None:
    """In a program that came to rest; what is given up again is left to the collector."""
    frozen = []
    monkeypatch.setattr(gc, "freeze", lambda: frozen.append(1))
    monkeypatch.setattr(gc, "get_threshold", lambda: THRESHOLD if is_at_rest else (700, 10, 10))
    with uncollected() as made:
        made.stays = stays
    assert len(frozen) == (is_at_rest and stays)


@pytest.mark.parametrize("is_at_rest", [True, False])
@pytest.mark.parametrize("many", [YOUNG_MAX // 4, 2 * YOUNG_MAX])
def test_much_that_was_made_meanwhile_is_not_looked_through_in_one_go(is_at_rest: bool, many: int) -> None:
    """A thousand first orders during a reload: what they leave stands from then on. A little is looked through."""
    threshold = gc.get_threshold()
    gc.unfreeze()  # what another test left standing may go at any moment, and would not be counted any more
    gc.set_threshold(*(THRESHOLD if is_at_rest else (1_000_000, 0, 0)))
    try:
        gc.collect()
        stood = gc.get_freeze_count()  # CPython 3.12 counts there what never dies
        scrape, reload = uncollected(), uncollected()
        scrape.__enter__()
        reload.__enter__()
        _made = [[] for _ in range(many)]  # type: list[list[int]]
        scrape.__exit__(None, None, None)
        assert gc.get_freeze_count() == stood, "the reload still makes more"
        reload.__exit__(None, None, None)
        stands = gc.get_freeze_count() - stood
    finally:
        gc.unfreeze()
        gc.set_threshold(*threshold)
    assert (stands >= many) is (is_at_rest and many > YOUNG_MAX)


@pytest.mark.parametrize("is_on", [True, False])
def test_the_collector_rests_until_the_last_one_is_done(is_on: bool) -> None:
    """A scrape that began before a reload and ends within it does not wake it; after both it is as it was."""
    was_on = gc.isenabled()
    (gc.enable if is_on else gc.disable)()
    try:
        scrape, reload = uncollected(), uncollected()
        scrape.__enter__()
        reload.__enter__()
        assert not gc.isenabled()
        scrape.__exit__(None, None, None)
        assert not gc.isenabled()
        reload.__exit__(None, None, None)
        assert gc.isenabled() is is_on
    finally:
        (gc.enable if was_on else gc.disable)()


async def test_everything_is_let_go_of_and_others_go_on_meanwhile() -> None:
    """Lists and maps are empty in the end, however large; the loop turns while that goes on."""
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    rest = asyncio.ensure_future(others())
    many: list[Any] = [object() for _ in range(100_000)]
    named = {n: object() for n in range(100_000)}
    pieces: list[list[Any] | dict[Any, Any]] = [many, {}, named, []]
    await let_go(pieces)
    rest.cancel()
    assert (pieces, many, named) == ([], [], {})
    assert turns > 2


async def test_the_turn_of_a_change_lets_go_of_nothing() -> None:
    """What came into force in it took its time already."""
    pieces: Pieces = [[1]]
    going = let_go(pieces)
    going.send(None)
    assert pieces == [[1]]
    with pytest.raises(StopIteration):
        going.send(None)
    assert not pieces


class Whole:
    """Made of pieces, and used by somebody."""


@pytest.mark.parametrize("ends", [True, False])
async def test_what_is_still_used_is_waited_for_but_not_for_ever(monkeypatch: pytest.MonkeyPatch, ends: bool) -> None:
    """A request that is under way holds the whole: its pieces go after it, or once that has taken too long."""
    monkeypatch.setattr("guard.loop.resting.GONE_S", 30.0 if ends else 0.02)
    used = [Whole()]
    pieces: Pieces = [[1]]
    going = asyncio.ensure_future(let_go(pieces, ref(used[0])))
    for _ in range(5):
        await asyncio.sleep(0)
    assert pieces == [[1]]
    if ends:
        used.clear()
    await asyncio.wait_for(going, 60)
    assert pieces == []


class Hours:
    """A clock for one thread, and for each of its sleeps how much later than asked it has the interpreter again."""

    def __init__(self, *late_s: float) -> None:
        self.now_s = 100.0
        self.slept: list[float] = []
        self._late_s = list(late_s)

    def perf_counter(self) -> float:
        """What it shows."""
        return self.now_s

    def sleep(self, for_s: float) -> None:
        """Noted, and over."""
        self.slept.append(for_s)
        self.now_s += for_s + (self._late_s.pop(0) if self._late_s else 0.0)


LATE_S = 2 * SWITCH_S


@pytest.mark.parametrize(
    ("late_s", "slept"),
    [
        ((), [0.0]),
        ((SWITCH_S / 2,), [0.0]),
        ((LATE_S,), [0.0, REST_S]),
        ((LATE_S, LATE_S), [0.0, REST_S, REST_S]),
        ((LATE_S,) * 100, [0.0, *[REST_S] * RESTS_MAX]),
    ],
)
def test_a_thread_gives_way_once_a_piece_and_leaves_a_turn_that_it_broke_off_its_rest(
    monkeypatch: pytest.MonkeyPatch, late_s: tuple[float, ...], slept: list[float]
) -> None:
    """Where nobody else works it goes on at once; where the loop does it rests, but not for ever."""
    hours = Hours(*late_s)
    monkeypatch.setattr(resting, "time", hours)
    give_way = GiveWay()
    hours.now_s += PIECE_S / 2
    give_way()
    assert not hours.slept, "so little is no piece"
    hours.now_s += PIECE_S
    give_way()
    assert hours.slept == slept
    give_way()
    assert hours.slept == slept, "the next piece has only begun"
    hours.now_s += 1.01 * PIECE_S
    give_way()
    assert len(hours.slept) > len(slept)


async def test_only_what_works_aside_is_put_aside_between_its_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answer and its fault come back; what works elsewhere meanwhile, and afterwards, is not put aside."""
    gave: list[int] = []

    class Counted(GiveWay):
        def __call__(self) -> None:
            gave.append(1)

    def doubled(many: range, *, more: int) -> list[int]:
        return [2 * one + more for one in with_pauses(many)]

    monkeypatch.setattr(resting, "GiveWay", Counted)
    assert await aside(doubled, range(3), more=1) == [1, 3, 5]
    assert len(gave) == 3
    assert doubled(range(3), more=0) == [0, 2, 4]
    assert len(gave) == 3
    assert pauses.on_pause.get() is None
    with pytest.raises(ZeroDivisionError):
        await aside(lambda: 1 // 0)
