"""Columns over time and small drawings."""

import re
from collections import Counter
from datetime import datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.audit.charts import COLUMNS_MAX, WIDTH, Series, columns, stacked, strip, track

SERIES = (Series("allow", "allowed", ("a", "b")), Series("refuse", "refused", ("r",)))
HOURS = st.datetimes(min_value=datetime(2024, 1, 1), max_value=datetime(2031, 1, 1))  # noqa: DTZ001 - hours


@given(met=st.lists(st.tuples(HOURS, st.sampled_from("abr")), min_size=1, max_size=60))
def test_every_request_stands_in_one_column(met: list[tuple[datetime, str]]) -> None:
    """From an hour to seven years: the sums are the counts, in at most 64 columns or so."""
    hours: dict[str, Counter[str]] = {}
    for at, what in met:
        hours.setdefault(f"{at:%Y-%m-%dT%H}", Counter())[what] += 1
    found = columns(hours, SERIES, since=min(hours), until=max(hours))

    assert len(found) <= COLUMNS_MAX + 1
    assert sum(sum(one.parts) for one in found) == len(met)
    assert stacked("Orders", found, SERIES).count("<rect") <= 2 * len(found)


@pytest.mark.parametrize("until", ["2026-11-02T20", "2026-11-05T01", "2026-11-16T23", "2026-12-30T00"])
def test_no_two_columns_have_one_name(until: str) -> None:
    """Columns that are parts of a day name their hour, however many days there are."""
    labels = [one.label for one in columns({}, SERIES, since="2026-11-02T01", until=until)]

    assert len(set(labels)) == len(labels)


def test_no_label_is_cut_off_at_the_edge() -> None:
    """The last column's name ends within the drawing."""
    found = columns({}, SERIES, since="2026-11-02T01", until="2026-11-05T01")
    placed = re.findall(r'<text x="([0-9.]+)"[^>]*class="tick mid[^>]*>([^<]+)<', stacked("Orders", found, SERIES))

    assert len(placed) == 8
    assert all(float(x) + 3.5 * len(label) <= WIDTH for x, label in placed)


def test_a_chart_says_in_words_what_it_draws() -> None:
    """For who cannot see it, and for a pointer over a column."""
    found = columns({"2026-11-02T09": Counter(a=3, r=1)}, SERIES, since="2026-11-02T09", until="2026-11-02T11")
    drawn = stacked("Orders", found, SERIES)

    assert 'aria-label="Orders: allowed 3, refused 1"' in drawn
    assert "<title>02 Nov 09:00: 3 allowed</title>" in drawn
    assert len(found) == 3


def test_a_limit_is_drawn_inside_its_track() -> None:
    """Beyond 100 % too; a day without orders is no day at zero."""
    assert 'cx="196"' in track(Decimal(50), Decimal(99), Decimal(250))
    drawn = strip(["2026-11-02", "2026-11-03"], {"2026-11-02": Decimal(97)}, {"2026-11-02": 2})
    assert "at most 97 %, refused 2" in drawn
    assert "2026-11-03: no order" in drawn
