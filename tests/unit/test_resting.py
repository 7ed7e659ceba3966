"""What keeps the interpreter from stopping the loop."""

import asyncio
import gc
from typing import Any
from weakref import ref

import pytest

from guard.resting import THRESHOLD, YOUNG_MAX, Pieces, let_go, uncollected


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
    before, threshold = gc.get_freeze_count(), gc.get_threshold()
    gc.set_threshold(*(THRESHOLD if is_at_rest else (1_000_000, 0, 0)))
    try:
        gc.collect()
        scrape, reload = uncollected(), uncollected()
        scrape.__enter__()
        reload.__enter__()
        _made = [[] for _ in range(many)]  # type: list[list[int]]
        scrape.__exit__(None, None, None)
        assert gc.get_freeze_count() == before, "the reload still makes more"
        reload.__exit__(None, None, None)
        stands = gc.get_freeze_count() - before
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


class Whole:
    """Made of pieces, and used by somebody."""


@pytest.mark.parametrize("ends", [True, False])
async def test_what_is_still_used_is_waited_for_but_not_for_ever(monkeypatch: pytest.MonkeyPatch, ends: bool) -> None:
    """A request that is under way holds the whole: its pieces go after it, or once that has taken too long."""
    monkeypatch.setattr("guard.resting.GONE_S", 30.0 if ends else 0.02)
    used = [Whole()]
    pieces: Pieces = [[1]]
    going = asyncio.ensure_future(let_go(pieces, ref(used[0])))
    for _ in range(5):
        await asyncio.sleep(0)
    assert pieces == [[1]]
    if ends:
        used.clear()
    await asyncio.wait_for(going, 10)
    assert pieces == []
