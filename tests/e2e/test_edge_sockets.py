"""The edge over real sockets, on both loops: every request of the corpus, and what only a socket can do."""

import asyncio
import ssl
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from guard.clock import SystemClock
from guard.codes import MEANING
from guard.server import EdgeBounds, TlsServer
from tests.support.edge import LOOPS, Echo, Loop, answer, run, until
from tests.support.edge_attacks import CORPUS
from tests.support.edge_corpus import ORDER, WS, Case, get, post


async def send(echo: Echo, case: Case) -> None:
    """One request of the corpus on a connection of its own has the answer that the table expects."""
    reader, writer = await echo.connect()
    echo.calls.clear()
    writer.write(case.raw)
    if case.method == "HEAD" and case.code is None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert [call.method for call in echo.calls] == ["HEAD"]
    else:
        status, fields, body = await answer(reader)
        if case.code is None:
            assert (status, body["method"], body["path"]) == (200, case.method, case.path), case.name
            assert (body["token"], body["body"]) == (case.token, case.body.hex()), case.name
            assert case.head is None or body["head"] == case.head, case.name
        else:
            assert (status, body["err_code"]) == (MEANING[case.code].status, case.code), case.name
            assert fields["guard-decision"] == body["guard"]["decision"], case.name
            assert fields["connection"] == "close", case.name
            assert await reader.read() == b"", case.name
            assert echo.calls == [], case.name
    writer.close()


@LOOPS
def test_the_corpus_over_sockets(loop: Loop) -> None:
    """Each raw request gets the status, the code or the call of the table; a refused one never reaches the walk."""

    async def scenario(echo: Echo) -> None:
        for case in CORPUS:
            await send(echo, case)
        reader, writer = await echo.connect()
        writer.write(get())
        assert (await answer(reader))[0] == 200
        writer.close()

    run(loop, scenario)


@LOOPS
def test_a_body_in_two_parts_and_a_connection_kept(loop: Loop) -> None:
    """Requests follow each other on one connection, each in as many pieces as it likes."""

    async def scenario(echo: Echo) -> None:
        reader, writer = await echo.connect()
        for raw in (get(), post(), post(body=b"x" * 65_536)):
            for part in (raw[:20], raw[20:-3], raw[-3:]):
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.005)
            assert (await answer(reader))[0] == 200
        assert echo.listener.counts.total == 1
        writer.close()

    run(loop, scenario)


@LOOPS
def test_what_arrives_during_an_answer_waits(loop: Loop) -> None:
    """A second request sent while the first is walked is not read before the first is answered."""

    async def scenario(echo: Echo) -> None:
        echo.gate.clear()
        reader, writer = await echo.connect()
        writer.write(get())
        await until(lambda: bool(echo.calls))
        writer.write(post())
        await asyncio.sleep(0.02)
        assert len(echo.calls) == 1
        echo.gate.set()
        paths = [(await answer(reader))[2]["path"] for _ in range(2)]
        assert paths == ["/api/ping", "/api/order"]
        writer.close()

    run(loop, scenario)


@LOOPS
def test_a_refusal_survives_a_body_that_is_still_being_sent(loop: Loop) -> None:
    """A caller that sends a megabyte too much still reads its 413: the connection is not reset under it."""

    async def scenario(echo: Echo) -> None:
        reader, writer = await echo.connect()
        writer.write(post(body=b"x" * 1_000_000))
        status, _, body = await answer(reader)
        assert (status, body["err_code"]) == (413, "body_too_large")
        writer.close()

    run(loop, scenario)


@LOOPS
def test_an_expectation_is_met(loop: Loop) -> None:
    """100 Continue comes before the body is sent."""

    async def scenario(echo: Echo) -> None:
        reader, writer = await echo.connect()
        raw = post("Expect: 100-continue")
        writer.write(raw[: -len(ORDER)])
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(ORDER)
        assert (await answer(reader))[2]["body"] == ORDER.hex()
        writer.close()

    run(loop, scenario)


@LOOPS
def test_a_caller_that_hangs_up_does_not_stop_the_walk(loop: Loop) -> None:
    """The walk ends after its caller has gone, and the next caller is served."""

    async def scenario(echo: Echo) -> None:
        echo.gate.clear()
        _, writer = await echo.connect()
        writer.write(post())
        await until(lambda: bool(echo.calls))
        writer.transport.abort()
        await asyncio.sleep(0.02)
        assert len(echo.tasks) == 1
        echo.gate.set()
        await asyncio.gather(*echo.tasks)
        reader, writer = await echo.connect()
        writer.write(get())
        assert (await answer(reader))[0] == 200
        writer.close()

    run(loop, scenario)


@LOOPS
def test_a_caller_that_ends_its_side_is_still_answered(loop: Loop) -> None:
    """`nc -N` and its like send, end, and read."""

    async def scenario(echo: Echo) -> None:
        reader, writer = await echo.connect()
        writer.write(post())
        writer.write_eof()
        assert (await answer(reader))[0] == 200
        assert await reader.read() == b""
        writer.close()

    run(loop, scenario)


@LOOPS
def test_too_many_connections(loop: Loop) -> None:
    """One more than allowed is answered 503 at once while all are at work; when none is, there is room again."""

    async def scenario(echo: Echo) -> None:
        echo.gate.clear()
        held = [await echo.connect() for _ in range(2)]
        for _, writer in held:
            writer.write(get())
        await until(lambda: len(echo.calls) == 2)
        reader, writer = await echo.connect()
        status, fields, body = await answer(reader)
        assert (status, body["err_code"], fields["retry-after"]) == (503, "overloaded", "1")
        writer.close()
        echo.gate.set()
        for reader, _ in held:
            assert (await answer(reader))[0] == 200
        reader, writer = await echo.connect()
        writer.write(get())
        assert (await answer(reader))[0] == 200
        for _, one in ((reader, writer), *held):
            one.close()

    run(loop, scenario, bounds=EdgeBounds(connections_max=2))


@LOOPS
def test_slow_callers_are_told_and_idle_ones_are_not(loop: Loop) -> None:
    """Half a head and half a body are 408, silence is closed silently."""

    async def scenario(echo: Echo) -> None:
        for part in (b"GET /api", post()[:-1]):
            reader, writer = await echo.connect()
            writer.write(part)
            status, _, body = await answer(reader)
            assert (status, body["err_code"]) == (408, "request_timeout")
            writer.close()
        reader, writer = await echo.connect()
        assert await reader.read() == b""
        writer.close()

    run(loop, scenario, bounds=EdgeBounds(header_timeout_s=0.1, body_timeout_s=0.1, idle_timeout_s=0.1))


def self_signed() -> bytes:
    """A key and its certificate for localhost, valid this day."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    today = SystemClock().wall()
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(today - timedelta(days=1))
    builder = builder.not_valid_after(today + timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private + builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def both_sides(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """What the listener serves TLS with, and what a caller that trusts it brings."""
    pair = folder / "pair.pem"
    pair.write_bytes(self_signed())
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(pair)
    return server, ssl.create_default_context(cafile=pair)


@LOOPS
def test_the_edge_speaks_tls(loop: Loop, tmp_path: Path) -> None:
    """The same edge behind TLS: requests, a refusal that is readable, and plain HTTP turned away."""
    server, client = both_sides(tmp_path)

    async def scenario(echo: Echo) -> None:
        reader, writer = await echo.connect(client)
        writer.write(post())
        assert (await answer(reader))[2]["path"] == "/api/order"
        writer.write(get(target="/api/%2e%2e"))
        assert (await answer(reader))[2]["err_code"] == "bad_target"
        writer.transport.abort()
        _, writer = await echo.connect()
        writer.write(get())
        writer.close()

    run(loop, scenario, tls=server)


@LOOPS
def test_handshakes_that_never_come_are_bounded_in_number(loop: Loop, tmp_path: Path) -> None:
    """Of fifty that say nothing ten are held, the newest; another caller is let in past them."""
    server, client = both_sides(tmp_path)

    async def scenario(echo: Echo) -> None:
        tls_server = echo.listener._server
        assert isinstance(tls_server, TlsServer)
        silent = [await echo.connect() for _ in range(50)]
        await until(lambda: sum(reader.at_eof() for reader, _ in silent) == 40)
        assert not any(reader.at_eof() for reader, _ in silent[-10:])
        assert (tls_server.handshakes, echo.listener.counts.open) == (10, 0)
        reader, writer = await echo.connect(client)
        writer.write(get())
        assert (await answer(reader))[0] == 200
        assert echo.listener.counts.open == 1
        for _, one in (*silent, (reader, writer)):
            one.transport.abort()

    run(loop, scenario, tls=server, bounds=EdgeBounds(connections_max=10, header_timeout_s=3600.0))


@LOOPS
def test_handshakes_that_never_come_are_ended_in_time(loop: Loop, tmp_path: Path) -> None:
    """They are closed without a word, and nothing is held for them."""
    server, _ = both_sides(tmp_path)

    async def scenario(echo: Echo) -> None:
        tls_server = echo.listener._server
        assert isinstance(tls_server, TlsServer)
        for reader, writer in [await echo.connect() for _ in range(5)]:
            assert await reader.read() == b""
            writer.close()
        await until(lambda: tls_server.handshakes == 0)

    run(loop, scenario, tls=server, bounds=EdgeBounds(header_timeout_s=0.3))


@LOOPS
def test_a_handshake_without_a_stream_is_the_walks(loop: Loop) -> None:
    """Where no stream is wired, the walk sees the handshake as a call, its token apart from its path."""

    async def scenario(echo: Echo) -> None:
        reader, writer = await echo.connect()
        writer.write(get(*WS, target="/ws?token=k1"))
        body = (await answer(reader))[2]
        assert (body["path"], body["token"]) == ("/ws", "k1")
        writer.close()

    run(loop, scenario)
