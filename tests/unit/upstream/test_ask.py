"""Requests that are sent in the turn in which they come, and whose answers come by callback."""

import asyncio

import pytest
from msgspec.structs import replace

from guard.clock import SystemClock
from guard.terms import Answer, Failure, Outbound
from guard.upstream import Circuits, Client, Link
from guard.upstream.circuit import EVERYBODY, OPEN_MIN_US
from tests.support.scripted_daemon import ScriptedDaemon, Talk, answer, scripted

READ = Outbound("GET", "/api/accounts", None, 60.0)
ORDER = Outbound("POST", "/api/order", b"{}", 60.0, is_trade=True)
Heard = asyncio.Queue[Answer | Failure | None]


def client_of(daemon: ScriptedDaemon, circuits: Circuits | None = None) -> Client:
    """A client of this daemon."""
    return Client(Link(url=f"http://127.0.0.1:{daemon.port}"), circuits=circuits)


async def opened(client: Client) -> None:
    """One connection is open, and rests."""
    assert isinstance(await client.send(READ), Answer)
    assert (client.in_flight, client.connections) == (0, 1)


@pytest.mark.parametrize("request_", [READ, ORDER, replace(ORDER, is_cancel=True)])
async def test_it_is_sent_at_once_and_its_answer_told_later(request_: Outbound) -> None:
    """On the connection that is open; slot and connection are free again when it is told."""
    async with scripted() as daemon:
        client, heard = client_of(daemon), Heard()
        await opened(client)
        free: list[int] = []

        def told(result: Answer | Failure | None) -> None:
            free.append(client.in_flight)
            heard.put_nowait(result)

        assert client.ask(request_, told)
        assert client.in_flight == 1
        result = await heard.get()
        assert isinstance(result, Answer)
        assert (result.status, free, client.dials_total, len(daemon.requests)) == (200, [0], 1, 2)
        assert result.duration_us > 0
        await client.close()


async def test_what_cannot_be_sent_at_once_is_left_as_it_was() -> None:
    """No connection is open, or only one that is in use: nothing is sent, and no slot is held."""
    async with scripted() as daemon:
        client, heard = client_of(daemon), Heard()
        assert not client.ask(READ, heard.put_nowait)
        assert (client.in_flight, daemon.connections) == (0, 0)
        await opened(client)
        assert client.ask(READ, heard.put_nowait)
        assert not client.ask(READ, heard.put_nowait)
        assert client.in_flight == 1
        assert isinstance(await heard.get(), Answer)
        assert (client.in_flight, len(daemon.requests), heard.qsize()) == (0, 2, 0)
        await client.close()


@pytest.mark.parametrize("others", [0, 1])
async def test_a_trade_that_may_not_leave_by_then_is_kept_back(others: int) -> None:
    """Alone at once, with others at the end of the turn; not a byte leaves, and its connection stays of use."""
    async with scripted() as daemon:
        client, heard, reads = client_of(daemon), Heard(), Heard()
        await asyncio.gather(*[client.send(READ) for _ in range(1 + others)])
        before = len(daemon.requests)
        assert all(client.ask(READ, reads.put_nowait) for _ in range(others))
        assert client.ask(replace(ORDER, may_leave=lambda: False), heard.put_nowait)
        kept = await heard.get()
        assert isinstance(kept, Failure)
        assert (kept.kind, kept.is_sent) == ("held", False)
        assert isinstance(await client.send(READ), Answer)
        assert (len(daemon.requests), client.dials_total) == (before + others + 1, 1 + others)
        await client.close()


@pytest.mark.parametrize("others", [0, 1])
async def test_a_fault_as_it_is_asked_whether_it_may_leave_is_left_to_who_sends_it_anew(others: int) -> None:
    """No byte of it has left and no slot stays taken; `send` meets the fault again, and raises it."""

    def broken() -> bool:
        raise RuntimeError("broken")

    order = replace(ORDER, may_leave=broken)
    async with scripted() as daemon:
        client, heard, reads = client_of(daemon), Heard(), Heard()
        await asyncio.gather(*[client.send(READ) for _ in range(1 + others)])
        before = len(daemon.requests)
        assert all(client.ask(READ, reads.put_nowait) for _ in range(others))
        assert client.ask(order, heard.put_nowait)
        assert await heard.get() is None
        with pytest.raises(RuntimeError, match="broken"):
            await client.send(order)
        assert [type(await reads.get()) for _ in range(others)] == [Answer] * others
        assert (len(daemon.requests), client.in_flight) == (before + others, 0)
        await client.close()


async def test_a_trade_counts_for_the_circuit_of_trades() -> None:
    """Not for that of reads."""
    async with scripted() as daemon:
        circuits, heard = Circuits(), Heard()
        client = client_of(daemon, circuits)
        await opened(client)
        reads = len(circuits.reads.results)
        assert client.ask(ORDER, heard.put_nowait)
        await heard.get()
        assert (len(circuits.trades.results), len(circuits.reads.results)) == (1, reads)
        await client.close()


async def test_an_open_circuit_is_left_to_those_that_can_be_refused() -> None:
    """`send` says why, and sends the probe that is due."""
    async with scripted() as daemon:
        circuits, heard = Circuits(), Heard()
        client = client_of(daemon, circuits)
        await opened(client)
        circuits.reads.opened_us, circuits.reads.blamed = SystemClock().mono_us() - OPEN_MIN_US, {EVERYBODY}
        assert not client.ask(READ, heard.put_nowait)
        assert (client.in_flight, len(daemon.requests), circuits.reads.is_probing) == (0, 1, False)
        await client.close()


async def test_on_a_connection_that_was_closed_nothing_is_sent() -> None:
    """Whoever asked is told to send it anew; that says nothing against the daemon."""

    async def once(talk: Talk) -> None:
        await talk.request()
        await talk.say(answer())

    async with scripted(once) as daemon:
        circuits, heard = Circuits(), Heard()
        client = client_of(daemon, circuits)
        await opened(client)
        before = list(circuits.reads.results)
        daemon.writers[0].close()
        await daemon.writers[0].wait_closed()  # the kernel knows, the client's loop does not yet
        if client.ask(READ, heard.put_nowait):
            assert await heard.get() is None
        assert (client.in_flight, len(daemon.requests)) == (0, 1)
        assert list(circuits.reads.results) == before
        assert isinstance(await client.send(READ), Answer)
        await client.close()


@pytest.mark.parametrize("is_slow", [True, False])
async def test_a_fault_is_told_and_counts_against_the_daemon(is_slow: bool) -> None:
    """No answer in time, or a connection that is cut in the middle of one: a byte had left."""

    async def badly(talk: Talk) -> None:
        await talk.request()
        await talk.say(answer())
        await talk.request()
        if is_slow:
            await talk.hang()
        await talk.say(answer()[:-1])

    async with scripted(badly) as daemon:
        circuits, heard = Circuits(), Heard()
        client = client_of(daemon, circuits)
        await opened(client)
        assert client.ask(Outbound("GET", "/api/accounts", None, 0.05 if is_slow else 60.0), heard.put_nowait)
        result = await heard.get()
        assert isinstance(result, Failure)
        assert (result.kind, result.is_sent) == ("timeout" if is_slow else "bad_answer", True)
        assert [whose for _, whose in circuits.reads.results] == [None, ""]
        assert (client.in_flight, client.connections) == (0, 0)
        await client.close()


async def silent(talk: Talk) -> None:
    """Answers once, and then no more."""
    await talk.request()
    await talk.say(answer())
    await talk.hang()


async def test_a_client_that_closes_tells_those_that_wait() -> None:
    """Their requests had left; none is told to send it anew."""
    async with scripted(silent) as daemon:
        client, heard = client_of(daemon), Heard()
        await opened(client)
        assert client.ask(READ, heard.put_nowait)
        await client.close()
        result = await heard.get()
        assert isinstance(result, Failure)
        assert (result.kind, result.is_sent) == ("reset", True)


async def test_a_fault_of_one_that_is_told_is_not_the_others() -> None:
    """All that asked are told in the same turn, and no slot stays taken."""
    async with asyncio.timeout(60), scripted(default=silent) as daemon:
        client, heard = client_of(daemon), Heard()

        def broken(result: Answer | Failure | None) -> None:
            heard.put_nowait(result)
            raise RuntimeError

        await asyncio.gather(client.send(READ), client.send(READ), client.send(READ))
        for _ in range(3):
            assert client.ask(READ, broken)
        await client.close()
        assert [type(await heard.get()) for _ in range(3)] == [Failure] * 3
        assert client.in_flight == 0
