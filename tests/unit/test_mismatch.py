"""What is said of values that do not fit: what is known in their place."""

from datetime import datetime
from typing import Annotated

import msgspec
import pytest
from msgspec import Meta, Struct

from guard.admin.asked import fitting
from guard.admin.trading import StateBody
from guard.mismatch import mismatch
from guard.settingsfile import parse_settings
from guard.terms import Refusal
from guard.tracking.byhand import SettleBody

STATES = "known: active, cancel_only, locked, reduce_only"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"state":"LOCKED","reason":"x"}', f"Invalid enum value 'LOCKED' - at `$.state`; {STATES}"),
        (
            b'{"state":"locked","why":"x"}',
            "unknown field `why`; known: state, reason, scope, drill, cancel_working",
        ),
        (
            b'{"state":"locked","reason":"x","scope":{"key":["bot"]}}',
            "unknown field `key` - at `$.scope`; known: keys, accounts, markets",
        ),
    ],
)
def test_who_stops_trading_is_told_the_words_that_do(body: bytes, said: str) -> None:
    """At night nobody looks up how a state is written: the refusal of an unknown word names the known ones."""
    refusal = fitting(body, StateBody)

    assert isinstance(refusal, Refusal)
    assert refusal.reasons[0].message.endswith(said)


def test_who_settles_is_told_the_verdicts() -> None:
    """Likewise whoever ends an unknown outcome by a word."""
    refusal = fitting(b'{"verdict":"gone","reason":"x"}', SettleBody)

    assert isinstance(refusal, Refusal)
    assert refusal.reasons[0].message.endswith("'gone' - at `$.verdict`; known: accepted, not_sent, refused")


def test_a_setting_of_an_unknown_word_is_told_with_the_known_ones() -> None:
    """The words stand in the error, with the file and the key."""
    _, errors = parse_settings('[journal]\nreads = "some"', origin="guard.toml", root=".")

    assert errors == ["guard.toml: journal.reads: Invalid enum value 'some'; known: account, all, refused"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            '[trading]\nenabled = "true"',
            "trading.enabled: Expected `bool`, got `str`; write true or false, without quotes",
        ),
        (
            '[bounds]\nconnections_max = "64"',
            "bounds.connections_max: Expected `int`, got `str`; write a whole number, without quotes",
        ),
        (
            '[bounds]\npre_stop_s = "5"',
            "bounds.pre_stop_s: Expected `float`, got `str`; write a number, without quotes",
        ),
        ("[listen]\ndata = 22500", "listen.data: Expected `str`, got `int`; write a text in quotes"),
        ("[listen]\ntls_cert = 1", "listen.tls_cert: Expected `str | null`, got `int`; write a text in quotes"),
        (
            '[listen]\nallowed_origins = "https://desk"',
            "listen.allowed_origins: Expected `array`, got `str`; write a list of texts in quotes",
        ),
        (
            "[journal]\nreads = true",
            "journal.reads: Expected `str`, got `bool`; write one of 'account', 'all', 'refused'",
        ),
    ],
)
def test_a_setting_of_a_wrong_type_is_told_how_to_write_it(text: str, told: str) -> None:
    """The decoder names types alone, and who wrote quotes does not know one."""
    assert parse_settings(text, origin="guard.toml", root=".")[1] == [f"guard.toml: {told}"]


class Ending(Struct):
    """Something that ends."""

    until: Annotated[datetime, Meta(tz=True)] | None


@pytest.mark.parametrize("said", ['"8h"', '"2026-12-01T17:00:00"', '"2026-13-01T17:00:00Z"', "5"])
def test_a_time_that_is_none_is_told_with_one(said: str) -> None:
    """Whoever lets a change end by itself is told how a time is written, with its zone."""
    refusal = fitting(b'{"until":%s}' % said.encode(), Ending)

    assert isinstance(refusal, Refusal)
    assert refusal.reasons[0].message.endswith("at `$.until`; write it like 2026-12-01T17:00:00Z")


def test_other_errors_stand_as_they_are() -> None:
    """A wrong type says what is expected; nothing is known in place of what a list holds or no field leads to."""
    assert mismatch(ValueError("Expected `int`, got `str` - at `$.a`"), StateBody) == (
        "Expected `int`, got `str` - at `$.a`"
    )
    assert mismatch(msgspec.ValidationError("Invalid enum value 'x' - at `$.no`"), StateBody) == (
        "Invalid enum value 'x' - at `$.no`"
    )
