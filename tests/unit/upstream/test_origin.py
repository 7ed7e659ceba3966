"""Where the daemon is."""

import errno
import socket
import ssl
from pathlib import Path

import pytest

from guard.errors import SettingsFault
from guard.upstream.origin import Origin, brief, parse_origin, tls_context


@pytest.mark.parametrize(
    ("url", "origin", "authority"),
    [
        ("http://127.0.0.1:22499", Origin("http", "127.0.0.1", 22499), "127.0.0.1:22499"),
        ("http://127.0.0.1:22499/", Origin("http", "127.0.0.1", 22499), "127.0.0.1:22499"),
        ("http://[::1]:22499", Origin("http", "::1", 22499), "[::1]:22499"),
        ("http://[::1]", Origin("http", "::1", 80), "[::1]"),
        ("https://daemon.internal", Origin("https", "daemon.internal", 443), "daemon.internal"),
        ("https://Daemon:80", Origin("https", "daemon", 80), "daemon:80"),
    ],
)
def test_a_url_is_scheme_host_and_port(url: str, origin: Origin, authority: str) -> None:
    """The port defaults to the scheme's, and `Host` leaves that one out."""
    assert parse_origin(url) == origin
    assert origin.authority == authority


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:22499",
        "ftp://host",
        "http://",
        "http://:22499",
        "http://host:0",
        "http://host:99999",
        "http://host:x",
        "http://[::1",
        "http://user:pass@host",
        "http://@host",
        "http://host/api",
        "http://host?",
        "http://host?x=y",
        "http://host#",
        "http://ho st",
        "http://höst",
        "http://host%41",
        "http://host\r\nX: y",
        "http://" + "a" * 64,
        "http://a..b",
    ],
)
def test_a_url_with_more_or_less_is_refused(url: str) -> None:
    """Paths, queries and credentials have no place in it, and what cannot be a host is told at the start."""
    with pytest.raises(SettingsFault):
        parse_origin(url)


def test_tls_is_verified_always() -> None:
    """Certificate and host name are checked, and nothing older than TLS 1.2 is spoken."""
    context = tls_context(Origin("https", "daemon", 443), ca_file=None)

    assert context is not None
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert tls_context(Origin("http", "daemon", 80), ca_file=None) is None


def test_a_ca_file_that_cannot_be_used_is_a_settings_fault(tmp_path: Path) -> None:
    """Absent, not a certificate, or given for http: refused at the start."""
    odd = tmp_path / "ca.pem"
    odd.write_text("no certificate")

    for scheme, file in (("https", tmp_path / "absent"), ("https", odd), ("http", odd)):
        with pytest.raises(SettingsFault):
            tls_context(Origin(scheme, "daemon", 443), ca_file=str(file))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed ('10.9.8.7', 22499)"), "connection refused"),
        (OSError("Multiple exceptions: [Errno 111] ('10.9.8.7', 22499)"), "none of its addresses answers"),
        (socket.gaierror(socket.EAI_NONAME, "10.9.8.7"), "its name has no address"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] 10.9.8.7"), "it does not speak TLS as it should"),
        (TimeoutError("10.9.8.7"), "no connection in time"),
        (ValueError("10.9.8.7"), "ValueError"),
    ],
)
def test_why_there_is_no_connection_names_no_address(error: Exception, words: str) -> None:
    """Callers read it; a library's own text would tell them where the daemon is, past the guard."""
    assert brief(error) == words
