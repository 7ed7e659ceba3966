"""The client over real sockets: TLS, IPv6, what it says beside the answer. Faults are in tests/faults."""

import asyncio
import contextlib
import datetime as dt
import ssl
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from msgspec.structs import replace

from guard.clock import SystemClock
from guard.errors import SettingsFault
from guard.terms import Answer, Failure, Outbound
from guard.upstream import Circuits, Client, Link
from guard.upstream.circuit import EVERYBODY
from guard.upstream.connection import DaemonConnection, Waiter
from tests.support.ipv6 import IPV6
from tests.support.scripted_daemon import ScriptedDaemon, Talk, answer, scripted, well

READ = Outbound("GET", "/api/accounts", None, 60.0)
ORDER = Outbound("POST", "/api/order", b"{}", 60.0, is_trade=True)


class Certificate:
    """A self-signed certificate of "localhost", which is its own authority."""

    def __init__(self, folder: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        now = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now)
            .not_valid_after(now + dt.timedelta(days=36_500))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        self.file = folder / "ca.pem"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        secret = folder / "key.pem"
        secret.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(self.file, secret)


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    """A private authority and a server certificate by it."""
    return Certificate(tmp_path)


async def test_an_open_circuit_lets_nothing_but_cancels_to_the_daemon() -> None:
    """What is kept back is told why, and that nothing was sent; reads have a circuit of their own."""
    async with scripted() as daemon:
        clock, circuits = SystemClock(), Circuits()
        trades = circuits.trades
        trades.opened_us, trades.blamed, trades.why = clock.mono_us(), {EVERYBODY}, "it answered 503"
        client = Client(Link(url=f"http://127.0.0.1:{daemon.port}"), clock=clock, circuits=circuits)

        kept_back = await client.send(ORDER)
        assert isinstance(kept_back, Failure)
        assert (kept_back.kind, kept_back.is_sent) == ("open", False)
        assert "it answered 503" in kept_back.message
        assert daemon.connections == 0
        assert isinstance(await client.send(READ), Answer)
        assert isinstance(await client.send(replace(ORDER, is_cancel=True)), Answer)
        assert circuits.opened() == ()
        await client.close()


async def test_a_daemon_with_a_private_authority_is_talked_to_over_tls(certificate: Certificate) -> None:
    """With the CA file the name is verified and the connection kept."""
    async with scripted(tls=certificate.server) as daemon:
        client = Client(Link(url=f"https://localhost:{daemon.port}", ca_file=str(certificate.file)))

        for request in (READ, ORDER, READ):
            assert isinstance(await client.send(request), Answer)
        assert client.dials_total == 1
        assert daemon.requests[0].startswith(b"GET /api/accounts HTTP/1.1\r\nHost: localhost:")
        await client.close()
        assert client.connections == 0


@pytest.mark.parametrize("wrong", ["authority", "name"])
async def test_a_daemon_that_cannot_prove_its_name_is_sent_nothing(certificate: Certificate, wrong: str) -> None:
    """An unknown authority or another name: refused before the first byte, and told without the name."""
    async with scripted(tls=certificate.server) as daemon:
        host = "127.0.0.1" if wrong == "name" else "localhost"
        ca_file = None if wrong == "authority" else str(certificate.file)
        client = Client(Link(url=f"https://{host}:{daemon.port}", ca_file=ca_file), key="secret")

        result = await client.send(ORDER)

        assert isinstance(result, Failure)
        assert (result.kind, result.is_sent) == ("refused", False)
        assert host not in result.message
        assert daemon.requests == []
        await client.close()


async def test_a_daemon_that_speaks_no_tls_is_sent_nothing(certificate: Certificate) -> None:
    """Neither is one that answers the handshake with something else."""

    async def plain(talk: Talk) -> None:
        await talk.say(answer())
        await talk.hang()

    async with scripted(default=plain) as daemon:
        client = Client(
            Link(url=f"https://localhost:{daemon.port}", ca_file=str(certificate.file), connect_timeout_s=0.5)
        )

        result = await client.send(ORDER)

        assert isinstance(result, Failure)
        assert not result.is_sent
        await client.close()


@IPV6
async def test_a_daemon_on_ipv6_is_reached() -> None:
    """Brackets in the URL and in `Host`."""
    async with scripted(host="::1") as daemon:
        client = Client(Link(url=f"http://[::1]:{daemon.port}"))

        assert isinstance(await client.send(READ), Answer)
        assert f"\r\nHost: [::1]:{daemon.port}\r\n".encode() in daemon.requests[0]
        await client.close()


async def test_a_daemon_that_is_not_there_is_told_without_its_address() -> None:
    """Callers read this: where the daemon is, past the guard, is not theirs to know."""
    async with scripted() as daemon:
        pass
    client = Client(Link(url=f"http://127.0.0.1:{daemon.port}"), key="secret")
    result = await client.send(ORDER)

    assert isinstance(result, Failure)
    assert result.message == "the daemon cannot be connected to: connection refused"
    await client.close()


async def test_a_name_that_resolves_to_nothing_is_refused_unsent() -> None:
    """DNS failures are connect failures."""
    client = Client(Link(url="http://daemon.invalid:1", connect_timeout_s=1.0))

    result = await client.send(ORDER)

    assert isinstance(result, Failure)
    assert result.kind in {"refused", "timeout"}
    assert not result.is_sent
    await client.close()


async def test_an_answer_says_how_long_it_took() -> None:
    """For the metrics; afterwards nothing is under way, and the connection is kept."""
    async with scripted() as daemon:
        client = Client(Link(url=f"http://127.0.0.1:{daemon.port}"))

        result = await client.send(READ)

        assert result.duration_us > 0
        assert (client.dials_total, client.in_flight, client.connections) == (1, 0, 1)
        await client.close()


@pytest.mark.parametrize("connections_max", [1, 2])
async def test_a_full_pool_makes_room_for_a_trade(connections_max: int) -> None:
    """Connections too old for a trade are closed rather than dialling above the bound, and none for no need."""
    async with scripted() as daemon:
        client = Client(Link(url=f"http://127.0.0.1:{daemon.port}", connections_max=connections_max))
        assert isinstance(await client.send(READ), Answer)
        client._idle._connections[0].idle_since_s -= 3

        assert isinstance(await client.send(ORDER), Answer)
        await asyncio.sleep(0.01)

        assert daemon.connections == 2
        assert client.connections == connections_max
        await client.close()


async def test_a_connection_found_closed_is_passed_over() -> None:
    """The next idle one is asked; the closed one is dropped, and nothing is dialled for it."""
    both = asyncio.Barrier(2)

    async def together(talk: Talk) -> None:
        await talk.request()
        await both.wait()
        await talk.say(answer())
        await well(talk)

    async with scripted(default=together) as daemon:
        client = Client(Link(url=f"http://127.0.0.1:{daemon.port}"))
        await asyncio.gather(client.send(READ), client.send(READ))
        client._idle._connections[-1].eof_received()

        assert isinstance(await client.send(ORDER), Answer)
        await asyncio.sleep(0.01)

        assert (client.dials_total, client.connections) == (2, 1)
        await client.close()


class SlowDialler(Client):
    """A client that is held up between the connect and the first byte, until the daemon has spoken."""

    async def _dial(self, *, deadline_s: float) -> DaemonConnection | Failure:
        connection = await super()._dial(deadline_s=deadline_s)
        async with asyncio.timeout(60):
            while isinstance(connection, DaemonConnection) and connection.is_reusable:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.001)
        return connection


async def test_a_read_is_tried_again_only_where_no_byte_had_left() -> None:
    """A connection that speaks first is given up before the request; a read dials once more, a trade never."""

    async def banner(talk: Talk) -> None:
        await talk.say(b"220 hello\r\n")
        await talk.hang()

    for request, dials in ((READ, 2), (ORDER, 1)):
        async with scripted(default=banner) as daemon:
            client = SlowDialler(Link(url=f"http://127.0.0.1:{daemon.port}"))

            result = await client.send(request)

            assert isinstance(result, Failure)
            assert (result.kind, result.is_sent, client.dials_total) == ("reset", False, dials)
            assert daemon.requests == []
            await client.close()


async def test_a_client_that_is_closed_while_it_dials_sends_nothing() -> None:
    """The connection that comes too late is closed again."""
    async with scripted() as daemon:
        client = Client(Link(url=f"http://127.0.0.1:{daemon.port}"))
        sending = asyncio.ensure_future(client.send(ORDER))
        await asyncio.sleep(0)
        await client.close()
        result = await sending

        assert isinstance(result, Failure)
        assert (result.kind, result.is_sent) == ("held", False)
        assert (client.connections, daemon.requests) == (0, [])


@pytest.mark.parametrize("link", [Link(url="http://host/path"), Link(ca_file="ca.pem")])
def test_settings_that_cannot_work_are_told_at_the_start(link: Link) -> None:
    """Before a socket is opened."""
    with pytest.raises(SettingsFault):
        Client(link)


async def test_what_waited_for_a_connection_is_asked_once_more_before_it_leaves() -> None:
    """A halt in the meantime keeps the request back: not a byte of it leaves, and the connection stays of use."""
    first = asyncio.Event()

    async def slowly(talk: Talk) -> None:
        while await talk.request():
            await first.wait()
            await talk.say(answer())

    async with scripted(slowly) as daemon:
        client = Client(Link(url=f"http://127.0.0.1:{daemon.port}", connections_max=1))
        is_halted = False
        running = asyncio.ensure_future(client.send(ORDER))
        await daemon.accepted.wait()
        waiting = asyncio.ensure_future(client.send(replace(ORDER, may_leave=lambda: not is_halted)))
        await asyncio.sleep(0)
        is_halted = True
        first.set()

        assert isinstance(await running, Answer)
        kept = await waiting
        assert isinstance(kept, Failure)
        assert not kept.is_sent
        assert isinstance(await client.send(READ), Answer)
        assert (len(daemon.requests), daemon.connections) == (2, 1)
        await client.close()


async def test_what_may_no_longer_leave_once_its_connection_stands_does_not() -> None:
    """Halted while the daemon was being dialled: nothing is sent, and the connection serves the next one."""
    async with scripted() as daemon:
        client = Client(Link(url=f"http://127.0.0.1:{daemon.port}"))
        is_halted = False
        dialling = asyncio.ensure_future(client.send(replace(ORDER, may_leave=lambda: not is_halted)))
        await asyncio.sleep(0)
        assert client.dials_total == 1
        is_halted = True

        kept = await dialling
        assert isinstance(kept, Failure)
        assert not kept.is_sent
        assert isinstance(await client.send(READ), Answer)
        assert (len(daemon.requests), daemon.connections) == (1, 1)
        await client.close()


@contextlib.asynccontextmanager
async def warm(connections: int) -> AsyncIterator[tuple[Client, ScriptedDaemon]]:
    """A client with so many idle connections; each has been asked once."""
    all_here = asyncio.Barrier(connections)

    async def together(talk: Talk) -> None:
        await talk.request()
        await all_here.wait()
        await talk.say(answer())
        await well(talk)

    async with scripted(*[together] * connections) as daemon:
        client = Client(Link(url=f"http://127.0.0.1:{daemon.port}"))
        await asyncio.gather(*[client.send(READ) for _ in range(connections)])
        yield client, daemon
        await client.close()


async def test_what_comes_in_one_turn_leaves_together_and_a_cancel_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is alone waits for nothing, nor does a cancel; all others are written when the turn is over."""
    seen: list[str] = []
    keep, leave = DaemonConnection.keep, DaemonConnection.leave

    def keeping(connection: DaemonConnection, request: bytes, deadline_s: float, waiter: Waiter) -> bool:
        seen.append("keep")
        return keep(connection, request, deadline_s, waiter)

    def leaving(connection: DaemonConnection) -> bool:
        seen.append("leave")
        return leave(connection)

    cancel = replace(ORDER, is_cancel=True)
    async with warm(5) as (client, daemon):
        monkeypatch.setattr(DaemonConnection, "keep", keeping)
        monkeypatch.setattr(DaemonConnection, "leave", leaving)
        answers = await asyncio.gather(*[client.send(request) for request in (READ, READ, ORDER, cancel, ORDER)])

        assert all(isinstance(each, Answer) for each in answers)
        assert seen == ["keep", "leave", "keep", "keep", "keep", "leave", "keep", "leave", "leave", "leave"]
        assert (client.dials_total, len(daemon.requests), client.in_flight) == (5, 10, 0)


LOOKED_AT = replace(ORDER, may_leave=lambda: True)


async def test_trades_leave_before_what_else_came_in_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads hold up no trade."""
    seen: list[str] = []
    leave = DaemonConnection.leave

    def leaving(connection: DaemonConnection) -> bool:
        seen.append((connection._unsent or b"").split(b" ")[1].decode())
        return leave(connection)

    async with warm(4) as (client, _):
        monkeypatch.setattr(DaemonConnection, "leave", leaving)
        await asyncio.gather(*[client.send(request) for request in (READ, READ, READ, LOOKED_AT)])
        assert seen == [READ.path, ORDER.path, READ.path, READ.path]


async def test_what_leaves_at_the_end_of_the_turn_is_asked_then_whether_it_still_may() -> None:
    """What came in between keeps it back: not a byte of it leaves, its connection stays of use, the others leave."""
    is_halted, asked = False, list[str]()

    def may_leave(name: str) -> bool:
        asked.append(name)
        return not (is_halted and name == "second")

    orders = [replace(ORDER, may_leave=partial(may_leave, name)) for name in ("first", "second", "third")]
    async with warm(3) as (client, daemon):
        sending = [asyncio.ensure_future(client.send(order)) for order in orders]
        await asyncio.sleep(0)
        assert asked == ["first"], "it is alone in that moment, and leaves"
        is_halted = True
        left, kept, third = await asyncio.gather(*sending)

        assert isinstance(kept, Failure)
        assert (kept.kind, kept.is_sent) == ("held", False)
        assert (type(left), type(third), asked) == (Answer, Answer, ["first", "second", "third"])
        assert all(isinstance(each, Answer) for each in await asyncio.gather(*[client.send(READ) for _ in range(3)]))
        assert (client.dials_total, len(daemon.requests), client.in_flight) == (3, 8, 0)


async def test_a_trade_that_was_kept_back_makes_its_connection_no_younger() -> None:
    """Nothing was sent on it: the next trade finds it idle for longer than two seconds, and dials."""
    async with warm(1) as (client, daemon):
        client._idle._connections[0].idle_since_s -= 0.5
        kept = await client.send(replace(ORDER, may_leave=lambda: False))
        client._idle._connections[0].idle_since_s -= 1.6

        assert isinstance(kept, Failure)
        assert isinstance(await client.send(ORDER), Answer)
        assert (client.dials_total, len(daemon.requests)) == (2, 2)
        assert isinstance(await client.send(READ), Answer), "the old one is still of use to a read"


async def test_a_fault_as_one_is_asked_whether_it_may_leave_is_no_other_ones() -> None:
    """Nothing of it leaves, and its own sender hears of it."""

    def broken() -> bool:
        raise RuntimeError("broken")

    async with warm(3) as (client, daemon):
        requests = (ORDER, replace(ORDER, may_leave=broken), ORDER)
        left, met, third = await asyncio.gather(*[client.send(one) for one in requests], return_exceptions=True)

        assert (type(left), type(met), type(third)) == (Answer, RuntimeError, Answer)
        assert (len(daemon.requests), client.in_flight) == (5, 0)


async def test_what_finds_its_connection_closed_at_the_end_of_the_turn_goes_on_another() -> None:
    """It was not sent, so it is sent once; whoever leaves with it notices nothing."""
    async with warm(3) as (client, daemon):
        sending = [asyncio.ensure_future(client.send(READ)) for _ in range(3)]
        await asyncio.sleep(0)
        client._departures.unasked[0].eof_received()

        assert all(isinstance(each, Answer) for each in await asyncio.gather(*sending))
        assert (client.dials_total, len(daemon.requests), client.in_flight) == (4, 6, 0)


async def test_what_has_not_left_when_other_authorities_count_goes_on_a_new_connection() -> None:
    """The old one was let through by those of before: what left on it is answered, and nothing more leaves there."""
    async with warm(3) as (client, daemon):
        sending = [asyncio.ensure_future(client.send(ORDER)) for _ in range(3)]
        await asyncio.sleep(0)
        client._retire()

        assert all(isinstance(each, Answer) for each in await asyncio.gather(*sending))
        assert (client.dials_total, len(daemon.requests), client.connections, client.in_flight) == (5, 6, 2, 0)


async def test_who_hangs_up_before_the_end_of_the_turn_takes_only_its_connection_along() -> None:
    """Its slot is free again; whoever leaves with it notices nothing."""
    async with warm(3) as (client, _):
        sending = [asyncio.ensure_future(client.send(READ)) for _ in range(3)]
        await asyncio.sleep(0)
        sending[1].cancel()

        first, second, third = await asyncio.gather(*sending, return_exceptions=True)
        assert isinstance(second, asyncio.CancelledError)
        assert isinstance(first, Answer)
        assert isinstance(third, Answer)
        await asyncio.sleep(0.01)
        assert (client.connections, client.in_flight) == (2, 0)


async def test_a_client_closed_before_the_end_of_the_turn_sends_nothing_more() -> None:
    """What had not left is held back, and said to be."""
    async with warm(2) as (client, _):
        sending = [asyncio.ensure_future(client.send(READ)) for _ in range(2)]
        await asyncio.sleep(0)
        await client.close()
        left, held = await asyncio.gather(*sending)

        assert isinstance(left, Failure)
        assert (left.kind, left.is_sent) == ("reset", True)
        assert isinstance(held, Failure)
        assert (held.kind, held.is_sent) == ("held", False)
        assert client.in_flight == 0


async def test_a_bug_of_ours_as_one_leaves_is_no_other_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own sender hears of it, or is served on another connection; the others leave."""
    leave = DaemonConnection.leave
    broken: list[DaemonConnection] = []

    def once(connection: DaemonConnection) -> bool:
        if not broken and client._slots.in_use == 3:
            broken.append(connection)
            raise RuntimeError("broken")
        return leave(connection)

    async with warm(3) as (client, daemon):
        monkeypatch.setattr(DaemonConnection, "leave", once)
        sending = [asyncio.ensure_future(client.send(READ)) for _ in range(3)]

        assert all(isinstance(each, Answer) for each in await asyncio.gather(*sending))
        assert broken
        assert (client.dials_total, len(daemon.requests), client.in_flight) == (4, 6, 0)


@pytest.mark.parametrize("where", ["keep", "leave"])
@pytest.mark.parametrize("is_idle", [True, False], ids=["an idle connection", "a new connection"])
async def test_a_bug_of_ours_while_sending_takes_no_slot_along(
    monkeypatch: pytest.MonkeyPatch, is_idle: bool, where: str
) -> None:
    """What raises before the request is on its way is heard by who sent it; the next one goes as if nothing was."""

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("broken")

    async with scripted() as daemon:
        client = Client(Link(url=f"http://127.0.0.1:{daemon.port}", connections_max=1))
        if is_idle:
            assert isinstance(await client.send(READ), Answer)
        with monkeypatch.context() as patch:
            patch.setattr(DaemonConnection, where, broken)
            with pytest.raises(RuntimeError, match="broken"):
                await client.send(ORDER)
        assert client.in_flight == 0
        assert isinstance(await client.send(ORDER), Answer)
        await asyncio.sleep(0.01)

        assert (client.in_flight, client.connections) == (0, 1)
        await client.close()
