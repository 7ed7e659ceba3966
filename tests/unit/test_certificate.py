"""The listeners' certificate: TLS 1.3, renewed in place, and never worse than it was."""

import asyncio
import json
import os
import ssl
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from guard.certificate import Certificate
from guard.cli.main import app
from guard.cli.running import run
from guard.clock import SystemClock
from guard.errors import SettingsFault
from tests.support.guards import lay_out, operate_tls, running
from tests.support.tls import write_pair

TLS = '[listen]\ndata = "127.0.0.1:0"\nops = "127.0.0.1:0"\ntls_cert = "cert.pem"\ntls_key = "key.pem"\n'


def serial(path: Path) -> int:
    """The number of a certificate file."""
    return x509.load_pem_x509_certificate(path.read_bytes()).serial_number


async def shown(port: int, *, highest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> int:
    """The number of the certificate that a new connection is shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = highest
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    raw = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return x509.load_der_x509_certificate(raw).serial_number


async def test_both_doors_show_a_renewed_certificate_without_a_restart(tmp_path: Path) -> None:
    """After SIGHUP new connections see the new pair, on data and on ops; nothing older than TLS 1.3 is spoken."""
    write_pair(tmp_path, serial=1)
    async with running(lay_out(tmp_path, toml=TLS)) as guard:
        assert [await shown(port) for port in guard.ports] == [1, 1]
        write_pair(tmp_path, serial=2)
        await guard.reload()

        assert [await shown(port) for port in guard.ports] == [2, 2]
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            await shown(guard.ports[0], highest=ssl.TLSVersion.TLSv1_2)


async def test_a_pair_that_does_not_fit_leaves_the_old_one_in_use_and_is_told(tmp_path: Path) -> None:
    """Half a renewal, rubbish or no file: the old certificate serves on, readiness says why, the metric its end."""
    cert, key = write_pair(tmp_path, serial=1)
    good = key.read_bytes()
    async with running(lay_out(tmp_path, toml=TLS)) as guard:
        for broken in (b"rubbish", None):
            key.write_bytes(broken) if broken else key.unlink()
            await guard.reload()
            _, told = await operate_tls(guard, "/readyz")
            assert told["degraded"]
            assert [word for word in told["reasons"] if word.startswith("certificate: listen.tls_cert")]
            assert await shown(guard.ports[0]) == serial(cert) == 1

        key.write_bytes(good)
        await guard.reload()
        assert not (await operate_tls(guard, "/readyz"))[1]["reasons"]
        ends = x509.load_pem_x509_certificate(cert.read_bytes()).not_valid_after_utc.timestamp()
        _, metrics = await operate_tls(guard, "/metrics")
        line = next(row for row in str(metrics).splitlines() if row.startswith("guard_tls_not_after"))
        assert float(line.split()[1]) == ends


def test_a_certificate_that_callers_refuse_takes_no_valid_ones_place(tmp_path: Path) -> None:
    """An ended one, put there by mistake, is told and not used; one that has not begun is, once it has."""
    pair = write_pair(tmp_path, days=(-1, 5))
    today = now = SystemClock().wall()
    certificate = Certificate(*pair, now=lambda: now)
    first = certificate.not_after
    for days, why in (((-9, -2), "ended at"), ((2, 9), "begins at")):
        write_pair(tmp_path, days=days)
        certificate.look()
        assert certificate.not_after == first
        (told,) = certificate.concerns()
        assert f"cert.pem {why} " in told
        assert "the old one is in use until" in told

    now = today + timedelta(days=3)
    certificate.look()
    assert certificate.not_after > first
    assert certificate.concerns() == ()


def test_a_certificate_that_ends_while_it_is_in_use_is_told(tmp_path: Path) -> None:
    """Nothing else says why callers are gone; and any other takes its place."""
    pair = write_pair(tmp_path, days=(-2, 1))
    today = now = SystemClock().wall()
    certificate = Certificate(*pair, now=lambda: now)
    assert certificate.concerns() == ()

    now = today + timedelta(days=1)
    (told,) = certificate.concerns()
    assert "ended at" in told
    assert told.endswith("callers that verify it cannot connect, not for cancels either")
    before = certificate.not_after
    write_pair(tmp_path, days=(-3, -1))
    certificate.look()
    assert certificate.not_after < before


def test_check_tells_how_long_the_certificate_is_valid(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """An ended one is weak, since a guard starts with it; a valid one is told with its end."""
    for days, told in (
        ((-1, 1), "   ok  listen.tls_cert: valid until 20"),
        ((-3, -1), " weak  certificate: listen.tls_cert: "),
    ):
        write_pair(tmp_path, days=days)
        _ = run(app, ["check", "--config", str(lay_out(tmp_path, toml=TLS))])
        assert told in capfd.readouterr().out


@pytest.mark.parametrize("name", ["cert.pem", "key.pem"])
def test_a_pipe_in_a_files_place_is_not_waited_for(tmp_path: Path, name: str) -> None:
    """Nor opened: the look would hold a thread, and with it the guard's stop. The old certificate stays in use."""
    certificate = Certificate(*write_pair(tmp_path, serial=1))
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)
    certificate.look()

    assert certificate.wrong is not None
    assert certificate.wrong.endswith(f"cannot be loaded: is no regular file ({tmp_path / name})")


def test_a_start_names_the_files_that_cannot_be_used(tmp_path: Path) -> None:
    """Settings that name a pair that is none: one error, with both files."""
    with pytest.raises(SettingsFault) as caught:
        Certificate(tmp_path / "cert.pem", tmp_path / "key.pem")

    assert json.dumps(caught.value.errors).count("listen.tls_cert: ") == 1


@pytest.mark.parametrize("name", ["cert.pem", "key.pem"])
def test_a_pair_that_was_replaced_behind_its_mount_is_told(tmp_path: Path, name: str) -> None:
    """The mount of that file alone shows the old one for ever; the renewal went unseen until the old one had ended."""
    cert, key = write_pair(tmp_path, serial=1)
    place = tmp_path / name
    outside = place.rename(tmp_path / "outside")
    with outside.open("rb") as mounted:
        place.symlink_to(f"/dev/fd/{mounted.fileno()}")
        certificate = Certificate(cert, key)
        outside.unlink()
        certificate.look()

    assert "mount its folder" in certificate.concerns()[0]
