"""What is typed behind a flag."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

import pytest
import typer

from guard.cli import typed

NOW: Final = datetime(2026, 11, 22, 9, 46, 28, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "found"),
    [(None, None), ("", []), (" ", []), ("HK", ["HK"]), (" HK , US", ["HK", "US"]), ("a,,b", ["a", "", "b"])],
)
def test_words_stand_between_commas(text: str | None, found: list[str] | None) -> None:
    """Left out is nothing, empty is an empty list; the file's own check says what it thinks of an empty word."""
    assert typed.words(text) == found


@pytest.mark.parametrize(
    ("text", "found"), [(None, None), ("", []), ("7, 8", [7, 8]), ("18446744073709551615", [2**64 - 1])]
)
def test_numbers_stand_between_commas(text: str | None, found: list[int] | None) -> None:
    """Account ids are longer than a double is exact."""
    assert typed.numbers("--ids", text) == found


@pytest.mark.parametrize("text", ["x", "7,", "-1", "7.0", "\u0667", "1e3"])
def test_what_is_no_list_of_numbers_says_what_to_write(text: str) -> None:
    """Digits of ASCII only."""
    with pytest.raises(typer.BadParameter, match="--ids: write numbers"):
        typed.numbers("--ids", text)


@pytest.mark.parametrize(("text", "found"), [(None, None), ("0", 0), ("12500.50", Decimal("12500.50")), ("-1", -1)])
def test_a_number_is_exact(text: str | None, found: object) -> None:
    """As it was typed, never through a double; whether it may be negative the file's own check says."""
    assert str(typed.number("--value", text)) == str(found)


@pytest.mark.parametrize("text", ["", "x", "true", "1,000", '"5"', "NaN", "Infinity", "[1]", "01"])
def test_what_is_no_number_is_wrong_usage(text: str) -> None:
    """The flag and what was typed are named."""
    with pytest.raises(typer.BadParameter, match=r"--value: .* is not a plain number"):
        typed.number("--value", text)


@pytest.mark.parametrize(
    ("text", "found"),
    [("0m", timedelta(0)), ("30m", timedelta(minutes=30)), ("24h", timedelta(hours=24)), ("2d", timedelta(2))],
)
def test_a_span_has_a_unit(text: str, found: timedelta) -> None:
    """Minutes, hours or days."""
    assert typed.span("--overlap", text) == found


@pytest.mark.parametrize("text", ["", "24", "1w", "1.5h", "-1h", "1h30m", "100000d", "\u0663h"])
def test_what_is_no_span_says_what_to_write(text: str) -> None:
    """One number of at most five digits and one unit."""
    with pytest.raises(typer.BadParameter, match="--overlap: write 24h, 30m or 2d"):
        typed.span("--overlap", text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1m", NOW + timedelta(minutes=1)),
        ("30d", NOW + timedelta(30)),
        ("2026-11-22T17:46:29+08:00", NOW + timedelta(seconds=1)),
    ],
)
def test_an_end_is_a_time_or_how_long_it_is_away(text: str, found: datetime) -> None:
    """In any zone that it names."""
    assert typed.end("--expires", text, now=NOW) == found


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0m", "not in the future"),
        ("2026-11-22T09:46:28Z", "not in the future"),
        ("2026-11-21T00:00:00Z", "not in the future"),
        ("2027-01-31T18:00:00", "no time like 2026-12-01T17:00:00Z"),
        ("99999999d", "no duration"),
        ("tomorrow", "no duration"),
    ],
)
def test_an_end_lies_ahead(text: str, why: str) -> None:
    """Now is no end, and a time without a zone is another one elsewhere."""
    with pytest.raises(typer.BadParameter, match=why):
        typed.end("--expires", text, now=NOW)
