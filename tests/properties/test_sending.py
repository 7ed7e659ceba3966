"""Many requests at once to a daemon that hangs up when it likes: what is said of each is what the daemon saw."""

import asyncio
from random import Random  # noqa: TID251 - seeded
from typing import Final

import pytest

from guard.terms import Answer, Failure, Outbound
from guard.upstream import Client, Link
from tests.support.scripted_daemon import Talk, answer, scripted

CALLERS: Final = 24
EACH: Final = 8
GONE: Final = CALLERS * EACH  # the requests from here on find nobody


@pytest.mark.parametrize("seed", range(6))
async def test_what_was_not_sent_reached_nobody_and_nothing_was_sent_twice(seed: int) -> None:
    """Reads that leave together, trades that leave at once, callers that hang up, connections that close under them,
    and in the end a daemon that is gone.
    """
    dice = Random(seed)
    told: dict[int, Answer | Failure | None] = {}

    async def moody(talk: Talk) -> None:
        for _ in range(dice.randint(1, 9)):
            asked = await talk.request()
            if not asked:
                return
            if dice.random() < 0.05:
                break
            await talk.say(answer(asked.rpartition(b"\r\n\r\n")[2]))
            if dice.random() < 0.3:
                await asyncio.sleep(0)
        if dice.random() < 0.5:
            talk.reset()

    async with scripted(default=moody) as daemon:
        client = Client(Link(url=f"http://127.0.0.1:{daemon.port}", connections_max=8))

        async def one(number: int) -> None:
            is_trade = dice.random() < 0.3
            request = Outbound("POST", "/api/quote", b'{"n":%d}' % number, 60.0, is_trade=is_trade)
            sending = asyncio.ensure_future(client.send(request))
            if dice.random() < 0.1:
                await asyncio.sleep(0)
                sending.cancel()
            told[number] = (await asyncio.gather(sending, return_exceptions=True))[0]  # type: ignore[assignment]

        async def caller(first: int) -> None:
            for number in range(first, GONE, CALLERS):
                await one(number)

        await asyncio.gather(*[caller(first) for first in range(CALLERS)])
    await asyncio.gather(*[one(number) for number in range(GONE, GONE + CALLERS)])
    in_flight = client.in_flight
    await client.close()

    bodies = [request.rpartition(b"\r\n\r\n")[2] for request in daemon.requests]
    for number, result in told.items():
        body = b'{"n":%d}' % number
        times = bodies.count(body)
        if isinstance(result, Answer):
            assert (result.body, times) == (body, 1)
        elif isinstance(result, Failure) and not result.is_sent:
            assert times == 0, result
        else:
            assert times <= 1, result
    assert in_flight == 0
    assert sum(isinstance(result, Answer) for result in told.values()) > GONE / 2
    assert any(isinstance(result, Failure) and result.is_sent for result in told.values())
    assert sum(isinstance(result, Failure) and not result.is_sent for result in told.values()) > CALLERS / 2
