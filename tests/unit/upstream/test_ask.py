"""Reads that are sent in the turn in which they come, and whose answers come by callback."""

import asyncio

import pytest

from guard.clock import SystemClock
from guard.terms import Answer, Failure, Outbound
from guard.upstream import Circuits, Client, Link
from guard.upstream.circuit import EVERYBODY, OPEN_MIN_US
from tests.support.scripted_daemon import ScriptedDaemon, Talk, answer, scripted

READ = Outbound("GET", "/api/accounts", None, 5.0)
Heard = asyncio.Queue[Answer | Failure | None]


def client_of(daemon: ScriptedDaemon, circuits: Circuits | None = None) -> Client:
    """A client of this daemon."""
    return Client(Link(url=f"http://127.0.0.1:{daemon.port}"), circuits=circuits)


async def opened(client: Client) -> None:
    """One connection is open, and rests."""
    assert isinstance(await client.send(READ), Answer)
    assert (client.in_flight, client.connections) == (0, 1)


async def test_a_read_is_sent_at_once_and_its_answer_told_later() -> None:
    """On the connection that is open; slot and connection are free again when it is told."""
    async with scripted() as daemon:
        client, heard = client_of(daemon), Heard()
        await opened(client)
        free: list[int] = []

        def told(result: Answer | Failure | None) -> None:
            free.append(client.in_flight)
            heard.put_nowait(result)

        assert client.ask(READ, told)
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
        assert client.ask(Outbound("GET", "/api/accounts", None, 0.05 if is_slow else 5.0), heard.put_nowait)
        result = await heard.get()
        assert isinstance(result, Failure)
        assert (result.kind, result.is_sent) == ("timeout" if is_slow else "bad_answer", True)
        assert [whose for _, whose in circuits.reads.results] == [None, ""]
        assert (client.in_flight, client.connections) == (0, 0)
        await client.close()


async def test_a_client_that_closes_tells_those_that_wait() -> None:
    """Their requests had left; none is told to send it anew."""

    async def silent(talk: Talk) -> None:
        await talk.request()
        await talk.say(answer())
        await talk.hang()

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

    async def silent(talk: Talk) -> None:
        await talk.request()
        await talk.say(answer())
        await talk.hang()

    async with asyncio.timeout(10), scripted(default=silent) as daemon:
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
