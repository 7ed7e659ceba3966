"""What the daemon is sent: every byte of the head is ours."""

import pytest

from guard.errors import SettingsFault
from guard.terms import Outbound
from guard.upstream.head import Heads

HEADS = Heads("daemon:1", key="guard-key", public_key="public-key")
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_trade_carries_our_headers_and_nothing_else() -> None:
    """Target, host, key, idempotency key, trace, type and length, in this order, then the body."""
    request = Outbound(
        "POST", "/api/order", b'{"c2s":{}}', 1.0, is_trade=True, idempotency_key="01KABC", traceparent=TRACE
    )

    assert HEADS.render(request).decode().split("\r\n") == [
        "POST /api/order HTTP/1.1",
        "Host: daemon:1",
        "Accept: application/json",
        "Authorization: Bearer guard-key",
        "Idempotency-Key: 01KABC",
        f"traceparent: {TRACE}",
        "Content-Type: application/json",
        "Content-Length: 10",
        "",
        '{"c2s":{}}',
    ]


def test_a_get_has_no_body_and_no_length() -> None:
    """A GET is a head."""
    assert HEADS.render(Outbound("GET", "/api/ping", None, 1.0, lend="none")) == (
        b"GET /api/ping HTTP/1.1\r\nHost: daemon:1\r\nAccept: application/json\r\n\r\n"
    )


def test_a_post_without_a_body_says_so() -> None:
    """The length of nothing is zero."""
    assert HEADS.render(Outbound("POST", "/api/admin/reload", None, 1.0)).endswith(b"Content-Length: 0\r\n\r\n")


@pytest.mark.parametrize(("lend", "lent"), [("guard", b"guard-key"), ("public", b"public-key"), ("none", None)])
def test_the_key_that_is_lent_is_the_one_that_goes_along(lend: str, lent: bytes | None) -> None:
    """A public request never carries the guard's own key; without a configured key none is sent at all."""
    sent = HEADS.render(Outbound("GET", "/api/ping", None, 1.0, lend=lend))  # type: ignore[arg-type]
    bare = Heads("daemon:1", key=None, public_key=None).render(Outbound("GET", "/api/ping", None, 1.0, lend=lend))  # type: ignore[arg-type]

    assert [line for line in sent.split(b"\r\n") if b"-key" in line] == (
        [] if lent is None else [b"Authorization: Bearer " + lent]
    )
    assert b"Authorization" not in bare


@pytest.mark.parametrize("trace", ["", "00-1-2-3", TRACE.upper(), TRACE + "\r\nX: y", TRACE + "-more"])
def test_a_malformed_trace_is_left_out(trace: str) -> None:
    """The one field that comes from a caller passes only in its exact shape."""
    assert b"trace" not in HEADS.render(Outbound("GET", "/api/ping", None, 1.0, traceparent=trace))


@pytest.mark.parametrize(
    "path", ["", "api", "/", "/api/ping?x=y", "/api/../x", "/api/%2e", "/a b", "/a\r\nX: y", "http://x/"]
)
def test_a_target_that_is_no_constant_is_a_bug(path: str) -> None:
    """No query, no dots, no escapes, no blanks."""
    with pytest.raises(AssertionError):
        HEADS.render(Outbound("GET", path, None, 1.0))


@pytest.mark.parametrize(
    "request_",
    [
        Outbound("GET", "/api/ping", b"{}", 1.0),
        Outbound("POST", "/api/order", b"{}", 1.0, idempotency_key="a\r\nX: y"),
        Outbound("POST", "/api/order", b"{}", 1.0, idempotency_key=""),
        Outbound("POST", "/api/order", b"{}", 1.0, idempotency_key="k" * 256),
    ],
)
def test_a_request_that_cannot_be_ours_is_a_bug(request_: Outbound) -> None:
    """A GET with a body, an Idempotency-Key that would break the head."""
    with pytest.raises(AssertionError):
        HEADS.render(request_)


@pytest.mark.parametrize("bad", ["", "a b", "a\nb", "ä", "x" * 5000])
def test_a_daemon_key_that_would_break_the_head_is_a_settings_fault(bad: str) -> None:
    """It is told by name, never by value."""
    with pytest.raises(SettingsFault) as fault:
        Heads("daemon:1", key=bad, public_key=bad)

    assert len(fault.value.errors) == 2
    assert not bad or bad not in str(fault.value)
