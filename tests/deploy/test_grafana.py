"""The dashboard: what is checked in is what the tables say, it fits one screen, and a real Prometheus has its data."""

import asyncio
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from deploy.grafana import dashboard
from deploy.grafana.panels import CHARTS, FIGURES, MARKS, Query
from deploy.grafana.picture import draw
from guard.metrics import FAMILIES
from tests.support.promql import TARGET_LABELS, selectors
from tests.support.traffic import Seen, watch

pytestmark = pytest.mark.xdist_group("prometheus")

ROOT: Final = Path(__file__).parents[2]
FILE: Final = ROOT / "deploy" / "grafana" / "guard.json"
PICTURE: Final = ROOT / "docs" / "dashboard.svg"
SECONDS: Final = 8.0
ROWS_MAX: Final = 24
"""Of 38 pixels each: what a browser shows of 1080 below its own bars and Grafana's."""
QUERIES: Final[dict[str, tuple[Query, ...]]] = {
    **{figure.title: (figure.query,) for figure in FIGURES},
    **{chart.title: chart.queries for chart in CHARTS},
    **{mark.name: (mark.query,) for mark in MARKS},
}

FIGURES_AFTER: Final = {
    "Guard": 1,
    "Trading": 0,
    "Unknown orders": 1,
    "Daemon": 1,
    "Record": 0,
    "Policy reload": 1,
}
"""What the numbers of the top line say after the script; disk and key expiry are looked at by size."""

SERIES: Final = {
    "Decisions": {"allowed", "refused", "failed"},
    "Refusals by code": {"bad_value", "daily_value", "market", "max_order_value", "unauthenticated"},
    "Refusals by policy": {"desk", "key", "none"},
    "Refusals by key": {"agent-1 market", "bot bad_value", "bot max_order_value", "spender daily_value"},
    "Requests by key": {"agent-1 allowed", "agent-1 refused", "bot allowed", "bot refused", "spender allowed"},
    "Budgets": {"bot budgets.daily_value HKD (desk)", "spender max_daily_value HKD (key:spender)"},
    "Rates": {"bot max_orders_per_minute orders/60s (key:bot)", "agent-1 rates.reads reads/60s (desk)"},
    "Age of reference data": {"price"},
    "Latency": {"guard p50", "guard p99", "daemon p50", "daemon p99"},
    "Journal": {"fsync p99", "checkpoint age", "records a second", "records that wait"},
    "Orders": {"accepted", "unknown", "now in flight", "now unknown"},
    "Sockets": {"open", "frames relayed", "ended client_data"},
    "Alerts": {"GuardBudgetExhausted spender"},
}
"""Series that the script must leave in each chart, by the names in the legend."""

QUIET: Final = {"failed", "unknown", "records that wait", "now in flight", "spender allowed"}
"""Series that may stay at zero: they happen once, before they have a rate, or last for less than a scrape."""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """What Prometheus answers to every query of the dashboard after some seconds of traffic."""
    return asyncio.run(watch(tmp_path_factory.mktemp("watched"), seconds=SECONDS))


# ---------------------------------------------------------------- without a server


def test_what_is_checked_in_is_what_the_tables_say() -> None:
    """`make docs` writes the file; nobody edits it."""
    assert FILE.read_text() == dashboard.text()


def test_the_dashboard_fits_one_screen() -> None:
    """No panel lies on another, none beyond 24 columns, none below the first screen."""
    places = [panel["gridPos"] for panel in _built()["panels"]]

    cells = [(x, y) for p in places for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < dashboard.COLUMNS
    assert max(y for _, y in cells) < ROWS_MAX


def _built() -> dict[str, Any]:
    built: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return built


def test_panels_have_names_and_numbers_of_their_own() -> None:
    """Titles and ids are unique, and each panel says what it shows."""
    panels = _built()["panels"]

    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(QUERIES) - 2
    assert all(panel["description"] for panel in panels)


def test_a_series_with_a_key_leads_to_that_key_alone() -> None:
    """The template variables are the source, the guard and the key; charts by key link to themselves with that key."""
    built = _built()
    linked = {panel["title"] for panel in built["panels"] if "var-key" in str(panel["fieldConfig"]["defaults"])}

    assert [variable["name"] for variable in built["templating"]["list"]] == ["source", "instance", "key"]
    assert linked == {"Refusals by key", "Requests by key", "Budgets", "Rates"}


@pytest.mark.parametrize("title", QUERIES)
def test_every_metric_in_a_panel_exists(title: str) -> None:
    """What a query names is in the table of metrics, with its labels."""
    for query in QUERIES[title]:
        for metric, matchers in selectors(query.expr):
            assert metric in FAMILIES
            assert {label for label, _, _ in matchers} <= {*FAMILIES[metric].labels, *TARGET_LABELS}


def test_the_runbook_names_panels_that_exist() -> None:
    """Where the runbook says *panel*, the dashboard has one of that title."""
    text = (ROOT / "docs" / "runbook.md").read_text()
    named = {
        title for some in re.findall(r"panels? ((?:\*[^*]+\*(?: and )?)+)", text) for title in some.split("*")[1::2]
    }

    assert named
    assert named <= set(QUERIES)


def test_the_picture_in_the_documents_shows_every_panel() -> None:
    """docs/dashboard.svg is a drawing of this dashboard: each title stands in it."""
    texts = {element.text for element in ET.parse(PICTURE).iter() if element.text}  # noqa: S314 - our own file

    assert set(QUERIES) - {mark.name for mark in MARKS} <= texts


# ---------------------------------------------------------------- with a Prometheus that scraped a guard


@pytest.mark.parametrize("title", QUERIES)
def test_every_query_returns_data(title: str, seen: Seen) -> None:
    """Each panel and mark has series, and each series has points."""
    assert seen[title]
    assert all(series.points for series in seen[title])


@pytest.mark.parametrize("title", SERIES)
def test_charts_have_the_series_that_the_script_left(title: str, seen: Seen) -> None:
    """Each expected series is there under its name in the legend, and is not zero throughout."""
    found = {series.name: series for series in seen[title]}

    assert SERIES[title] <= set(found)
    for name in SERIES[title] - QUIET:
        assert any(value > 0 for _, value in found[name].points), name


@pytest.mark.parametrize("title", FIGURES_AFTER)
def test_figures_say_how_things_are(title: str, seen: Seen) -> None:
    """One number a figure, and at the end it is what the script made of it."""
    (series,) = seen[title]

    assert series.points[-1][1] == FIGURES_AFTER[title]


def test_free_space_and_the_life_of_keys_are_told(seen: Seen) -> None:
    """Bytes, and seconds until the first key expires: the script's lasts about a year."""
    (free,), (left,) = seen["Disk left"], seen["Next key expires in"]

    assert free.points[-1][1] > 1e6
    assert 300 * 86_400 < left.points[-1][1] < 367 * 86_400


def test_a_new_policy_is_a_mark(seen: Seen) -> None:
    """The reload in the script is marked with the hash of what came into force, and only then."""
    (mark,) = seen["Policy versions"]

    assert re.fullmatch("policy [0-9a-f]{64}", mark.name)
    assert len(mark.points) < SECONDS


def test_the_picture_draws_what_was_seen(seen: Seen) -> None:
    """The drawing is well-formed, with a line for each series of the charts."""
    picture = draw({title: [(series.name, series.points) for series in lines] for title, lines in seen.items()})

    lines = [element for element in ET.fromstring(picture).iter() if element.tag.endswith("polyline")]  # noqa: S314 - ours
    assert len(lines) == sum(len(seen[chart.title]) for chart in CHARTS)
