"""What a request costs in steps of Python: counted, not timed, so that no neighbour's noise is in it.

What the guard spends is interpreted steps (docs/performance.md): a change that takes many more of them is a change of
speed, and shows here before it shows in a benchmark. A bound may be raised by whoever says why.
"""

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import FrameType
from typing import Any, Final, Self

import guard
from guard.terms import Reply
from tests.support.guards import Waiting, call, guarded
from tests.support.guards import order as order_of
from tests.support.stage import ORDER, code_of, is_passed, stage

GUARD: Final = str(Path(guard.__file__).parent)
POLICY: Final = """\
[instruments]
markets = ["HK", "US"]
symbols = ["HK.*", "US.*"]
blocked_symbols = ["US.GME"]
[orders]
sides = ["BUY", "SELL"]
types = ["NORMAL", "MARKET"]
time_in_force = ["DAY", "GTC"]
max_value = ["1000000 HKD", "100000 USD"]
max_qty = 100000
per_day = 100000
[budgets]
daily_value = ["100000000 HKD", "10000000 USD"]
[rates]
new_orders = "10000/30s"
reads = "10000/10s"
"""
# Steps that the requests of a turn take together (docs/adr/0013) are some twenty calls more a trade, and
# a quarter less CPU where more than one is under way: a sale was held to 330 before.
ORDER_MAX: Final = 240
SALE_MAX: Final = 350  # it is worth what it may fill at: a price that is fresh is looked up, and recorded
QUOTE_MAX: Final = 92  # as a caller's connection asks, with the request to the daemon and its answer
REFUSAL_MAX: Final = 225
ASKED: Final = 5


class Steps:
    """Calls of the guard's own functions on this thread, the simulated daemon's left out."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> Self:
        sys.setprofile(self._seen)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _seen(self, frame: FrameType, event: str, _: object) -> None:
        name = frame.f_code.co_filename
        self.count += event == "call" and name.startswith(GUARD) and "/simulator/" not in name


async def steps_of(ask: Callable[[], Awaitable[Reply]]) -> tuple[int, Reply]:
    """How many it takes to answer, and the answer: the fewest of some, for what a timer does meanwhile counts too."""
    counts: list[int] = []
    while True:
        with Steps() as steps:
            reply = await ask()
        counts.append(steps.count)
        if len(counts) == ASKED:
            return min(counts), reply


async def test_a_request_takes_no_more_steps_than_it_may(tmp_path: Path) -> None:
    """An order with every check and both records, bought or sold, a refusal with all reasons."""
    async with stage(tmp_path, policies=POLICY) as scene:
        for qty in (100, 200):  # what is worked out once is not counted
            assert is_passed(await scene.place(qty=qty))
            assert is_passed(await scene.place(qty=qty, side="SELL"))
            assert code_of(await scene.place(qty=qty * 500)) == (403, "max_order_value")

        def asking(**members: Any) -> Callable[[], Awaitable[Reply]]:
            def ask() -> Awaitable[Reply]:
                waiting = Waiting(call(ORDER, order_of(**members)))
                scene.guard.pipeline.begin([waiting])
                return waiting.reply

            return ask

        order, reply = await steps_of(asking(qty=300))
        assert is_passed(reply)
        sale, reply = await steps_of(asking(qty=300, side="SELL"))
        assert is_passed(reply)
        refusal, reply = await steps_of(asking(qty=90_000))
        assert code_of(reply) == (403, "max_order_value")

    assert order <= ORDER_MAX
    assert sale <= SALE_MAX
    assert refusal <= REFUSAL_MAX


async def test_a_quote_takes_no_more_steps_than_it_may(tmp_path: Path) -> None:
    """From the edge to the daemon's answer, on a connection that is open."""
    async with guarded(tmp_path) as (guard_, _):

        def ask() -> Awaitable[Reply]:
            waiting = Waiting(call("/api/quote", {"symbol": "HK.00700"}))
            guard_.pipeline.begin([waiting])
            return waiting.reply

        assert (await ask()).status == 200  # and there is a connection
        quote, reply = await steps_of(ask)
        assert reply.status == 200
    assert quote <= QUOTE_MAX
