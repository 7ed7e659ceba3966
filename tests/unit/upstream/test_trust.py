"""The authorities of the daemon's certificate are read anew, and a file that cannot be used changes nothing."""

import asyncio
import os
import ssl
from pathlib import Path
from typing import Final

import pytest

from guard.errors import SettingsFault
from guard.stream.bounds import StreamBounds
from guard.stream.dial import Dialler
from guard.terms import Answer, Failure, Outbound, Refusal
from guard.upstream import Client, Link
from guard.upstream.trust import Trust
from tests.support.guards import lay_out, operate, running
from tests.support.scripted_daemon import Talk, answer, scripted
from tests.support.tls import write_pair

READ: Final = Outbound("GET", "/api/accounts", None, 60.0)
ORDER: Final = Outbound("POST", "/api/order", b"{}", 60.0, is_trade=True)


def authority(folder: Path, *, serial: int) -> ssl.SSLContext:
    """A new certificate, its own authority, as cert.pem; the daemon that shows it."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*write_pair(folder, serial=serial))
    return server


async def test_a_new_authority_counts_from_the_next_look_on(tmp_path: Path) -> None:
    """What is open already is asked nothing more: a daemon for which the new file does not vouch gets nothing."""
    first = authority(tmp_path, serial=1)
    async with scripted(tls=first) as daemon:
        url, ca_file = f"https://localhost:{daemon.port}", str(tmp_path / "cert.pem")
        trust = Trust(url, ca_file=ca_file)
        client = Client(Link(url=url, ca_file=ca_file), trust=trust)
        assert isinstance(await client.send(READ), Answer)
        await trust.renew()
        assert isinstance(await client.send(READ), Answer)
        assert client.dials_total == 1, "the file is as it was"

        _ = authority(tmp_path, serial=2)
        await trust.renew()
        refused = await client.send(ORDER)
        assert isinstance(refused, Failure)
        assert (refused.kind, refused.is_sent) == ("refused", False)
        assert "its certificate is not accepted" in refused.message
        assert len(daemon.requests) == 2

        first.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
        assert isinstance(await client.send(ORDER), Answer)
        await client.close()


@pytest.mark.parametrize("broken", [b"", b"rubbish", None])
async def test_a_file_that_cannot_be_used_leaves_those_of_before_in_use(tmp_path: Path, broken: bytes | None) -> None:
    """Emptied, damaged or gone: told, open connections go on, and the next good file takes it back."""
    file, server = tmp_path / "cert.pem", authority(tmp_path, serial=1)
    good = file.read_bytes()
    async with scripted(tls=server) as daemon:
        trust = Trust(f"https://localhost:{daemon.port}", ca_file=str(file))
        client = Client(Link(), trust=trust)
        assert isinstance(await client.send(READ), Answer)
        file.unlink() if broken is None else file.write_bytes(broken)
        await trust.renew()
        (told,) = trust.concerns()
        assert told.startswith(f"daemon.ca_file: {file}: cannot be used")
        assert isinstance(await client.send(READ), Answer)
        assert client.dials_total == 1

        file.write_bytes(good)
        await trust.renew()
        assert trust.concerns() == ()
        async with asyncio.timeout(60):
            while client.connections:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.001)
        assert isinstance(await client.send(READ), Answer)
        assert client.dials_total == 2
        await client.close()


async def test_what_is_under_way_gets_its_answer(tmp_path: Path) -> None:
    """A change of authorities in the middle of an order makes no outcome unknown; its connection is not used again."""
    asked, go = asyncio.Event(), asyncio.Event()

    async def held(talk: Talk) -> None:
        await talk.request()
        asked.set()
        await go.wait()
        await talk.say(answer())

    async with scripted(held, tls=authority(tmp_path, serial=1)) as daemon:
        trust = Trust(f"https://localhost:{daemon.port}", ca_file=str(tmp_path / "cert.pem"))
        client = Client(Link(), trust=trust)
        sent = asyncio.ensure_future(client.send(ORDER))
        await asked.wait()
        os.utime(tmp_path / "cert.pem", (1, 1))
        await trust.renew()
        go.set()
        assert isinstance(await sent, Answer)
        assert isinstance(await client.send(ORDER), Answer)
        assert client.dials_total == 2
        await client.close()


@pytest.mark.parametrize("is_vouched", [False, True])
async def test_a_connection_that_was_being_dialled_is_dialled_anew(tmp_path: Path, *, is_vouched: bool) -> None:
    """Those of before let it through: nothing is asked of a daemon for which the new file does not vouch."""
    async with scripted(tls=authority(tmp_path, serial=1)) as daemon:
        trust = Trust(f"https://localhost:{daemon.port}", ca_file=str(tmp_path / "cert.pem"))
        client = Client(Link(), trust=trust)
        sending = asyncio.ensure_future(client.send(ORDER))
        await asyncio.sleep(0)
        if is_vouched:
            os.utime(tmp_path / "cert.pem", (1, 1))
        else:
            _ = authority(tmp_path, serial=2)
        assert trust.look()
        trust.changed()

        told = await sending
        assert isinstance(told, Answer) == is_vouched, told
        assert (client.dials_total, len(daemon.requests), client.in_flight) == (2, is_vouched, 0)
        await client.close()


async def test_the_stream_is_dialled_by_the_new_ones(tmp_path: Path) -> None:
    """The same file vouches for the daemon's stream."""
    async with scripted(tls=authority(tmp_path, serial=1)) as daemon:
        url = f"https://localhost:{daemon.port}"
        trust = Trust(url, ca_file=str(tmp_path / "cert.pem"))
        dialler = Dialler(trust, key=None, bounds=StreamBounds())
        authority(tmp_path, serial=2)
        await trust.renew()
        refused = await dialler.dial(connect_s=5.0, answer_s=5.0)
        assert isinstance(refused, Refusal)
        assert "its certificate is not accepted" in refused.reasons[0].message
        await dialler.close()


async def test_sighup_reads_them_anew_and_readiness_says_what_is_wrong(tmp_path: Path) -> None:
    """The running guard looks, with its certificate."""
    authority(tmp_path, serial=1)
    toml = '[daemon]\nurl = "https://localhost:1"\nca_file = "cert.pem"\n'
    async with running(lay_out(tmp_path, toml=toml)) as guard:
        (tmp_path / "cert.pem").write_text("rubbish")
        await guard.reload()
        _, told = await operate(guard, "/readyz")
        assert [word for word in told["reasons"] if word.startswith("daemon.ca_file")]
        authority(tmp_path, serial=2)
        await guard.reload()
        _, told = await operate(guard, "/readyz")
        assert not [word for word in told["reasons"] if word.startswith("daemon.ca_file")]


def test_at_the_start_a_file_that_cannot_be_used_is_a_fault(tmp_path: Path) -> None:
    """There is nothing to go on with."""
    with pytest.raises(SettingsFault, match=r"daemon\.ca_file"):
        Trust("https://localhost:1", ca_file=str(tmp_path / "none.pem"))


async def test_a_file_that_was_replaced_behind_its_mount_is_told(tmp_path: Path) -> None:
    """The mount of that file alone shows the authorities of before for ever."""
    authority(tmp_path, serial=1)
    with (tmp_path / "cert.pem").open("rb") as mounted:
        trust = Trust("https://localhost:1", ca_file=f"/dev/fd/{mounted.fileno()}")
        (tmp_path / "cert.pem").unlink()
        await trust.renew()

    assert "mount its folder" in trust.concerns()[0]


async def test_a_file_that_a_disk_would_not_give_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has not changed since: no mark tells that the disk gives it now."""

    def failing(*_: object, **__: object) -> ssl.SSLContext:
        raise OSError(5, "Input/output error")

    file = tmp_path / "cert.pem"
    _ = authority(tmp_path, serial=1)
    trust = Trust("https://localhost:1", ca_file=str(file))
    before = trust.context
    _ = authority(tmp_path, serial=2)
    with monkeypatch.context() as patch:
        patch.setattr(ssl, "create_default_context", failing)
        await trust.renew()
        await trust.renew()
    assert trust.context is before
    (told,) = trust.concerns()
    assert "Input/output error" in told
    await trust.renew()
    assert trust.context is not before
    assert trust.concerns() == ()
