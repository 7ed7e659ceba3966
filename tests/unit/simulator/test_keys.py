"""The daemon's own door."""

import json
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest

from guard.catalogue import ENDPOINTS
from guard.simulator.keys import Caller, Door, Key, Profile, bearer_in, parse_keys
from guard.terms import Answer, Effect, Endpoint, Env

NOW = datetime(2026, 11, 23, tzinfo=UTC)
HASH = sha256(b"secret").hexdigest()


def _file(**members: Any) -> bytes:
    record = {"id": "one", "hash": f"sha256:{HASH}", "scopes": ["qot:read"]} | members
    return json.dumps({"version": 1, "keys": [record]}).encode()


def _endpoint(path: str) -> Endpoint:
    return next(row for row in ENDPOINTS if row.path == path)


@pytest.mark.parametrize(
    "members",
    [{}, {"hash": HASH.upper()}, {"limits": {"max_order_value": 1}}, {"max_order_value": 1, "note": "flat"}],
)
def test_both_layouts_are_read(members: dict[str, Any]) -> None:
    """Nested limits and flat ones are both passed over; the hash with or without its prefix."""
    assert parse_keys(_file(**members)) == (Key("one", HASH, frozenset({"qot:read"})),)


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"keys":[{}]}', b'{"keys":[1]}', b'{"keys":[{"id":1}]}'])
def test_what_is_no_keys_file_is_a_value_error(raw: bytes) -> None:
    """Never a door without a lock."""
    with pytest.raises(ValueError, match=r".+"):
        parse_keys(raw)


@pytest.mark.parametrize(
    ("header", "bearer"),
    [(None, None), ("Bearer abc", "abc"), ("bearer abc", "abc"), ("Basic abc", None), ("Bearer ", None), ("abc", None)],
)
def test_the_scheme_is_taken_in_any_case(header: str | None, bearer: str | None) -> None:
    """Bearer only."""
    assert bearer_in(header) == bearer


@pytest.mark.parametrize("profile", ["documented", "runtime"])
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda row: f"{row.method} {row.path}")
def test_each_endpoint_wants_its_scope(endpoint: Endpoint, profile: Profile) -> None:
    """A key with one of the wanted scopes passes, one with all others does not, and without a key only public ones."""
    wanted = set(endpoint.documented if profile == "documented" else endpoint.runtime)
    others = {"qot:read", "acc:read", "trade:real", "trade:simulate", "trade:unlock", "admin"} - wanted
    keys = (
        Key("has", sha256(b"has").hexdigest(), frozenset(list(wanted)[:1])),
        Key("lacks", sha256(b"lacks").hexdigest(), frozenset(others)),
    )
    door = Door(keys, profile=profile, is_legacy=False)
    answers = [door.admit(endpoint, bearer, now=NOW) for bearer in ("has", "lacks", "nobody", None)]
    seen = [answer.status if isinstance(answer, Answer) else 200 for answer in answers]

    assert seen == ([200, 403, 401, 401] if wanted else [200, 200, 401, 200])


def test_an_expired_key_looks_like_an_invalid_one() -> None:
    """401 from its last moment on."""
    door = Door(parse_keys(_file(expires_at="2026-11-23T00:00:00Z")), profile="runtime", is_legacy=False)
    ping = _endpoint("/api/ping")

    assert isinstance(door.admit(ping, "secret", now=datetime(2026, 11, 22, tzinfo=UTC)), Caller)
    assert door.admit(ping, "secret", now=NOW) == door.admit(ping, "wrong", now=NOW)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda row: f"{row.method} {row.path}")
def test_legacy_mode_keeps_writes_and_administration_shut(endpoint: Endpoint) -> None:
    """Without keys everything passes, unless the daemon is in legacy mode."""
    legacy = Door(None, profile="runtime", is_legacy=True).admit(endpoint, None, now=NOW)
    is_write = endpoint.is_trade or endpoint.effect in {Effect.UNLOCK, Effect.ADMIN}

    assert isinstance(legacy, Answer) == is_write
    assert isinstance(Door(None, profile="runtime", is_legacy=False).admit(endpoint, None, now=NOW), Caller)


def test_environments_are_bound_to_scopes() -> None:
    """Who is not checked may trade in both."""
    assert Caller(frozenset({"trade:real"})).may_trade(Env.REAL)
    assert not Caller(frozenset({"trade:real"})).may_trade(Env.SIMULATE)
    assert Caller().may_trade(Env.REAL)
