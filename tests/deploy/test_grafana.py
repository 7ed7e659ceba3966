"""The dashboard: what is checked in is what the tables say, it fits one screen, and a real Prometheus has its data."""

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
    "Daemon": 1,
    "Record": 0,
    "Policy reload": 1,
}
"""What the numbers of the top line say after the script; the others are looked at by size."""

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


@pytest.mark.parametrize("chosen", ["bot", "(agent-1|bot)"])
def test_with_a_key_chosen_what_it_shares_with_others_is_shown(chosen: str) -> None:
    """A limit of an account or of a policy binds it too, and its series has an empty key; it was hidden."""
    found = [
        value.replace("$key", chosen)
        for queries in QUERIES.values()
        for query in queries
        for _, matchers in selectors(query.expr)
        for label, _, value in matchers
        if label == "key"
    ]

    assert found
    for value in found:
        assert [bool(re.fullmatch(value, key)) for key in ("", "bot", "other")] == [True, True, False]


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


async def test_a_prometheus_that_scraped_a_guard_has_what_every_query_asks_for(
    tmp_path: Path, subtests: pytest.Subtests
) -> None:
    """After some seconds of scripted traffic each panel and mark has data, the series that the script left among it."""
    seen = await watch(tmp_path, seconds=SECONDS)

    for title in QUERIES:
        with subtests.test(title):
            _has_data(title, seen)
    with subtests.test("Unknown orders: there was one, whatever became of it since"):
        assert max(value for _, value in seen["Unknown orders"][0].points) == 1
    with subtests.test("Disk left"):
        assert seen["Disk left"][0].points[-1][1] > 1e6
    with subtests.test("Next key expires in"):
        assert 300 * 86_400 < seen["Next key expires in"][0].points[-1][1] < 367 * 86_400
    with subtests.test("Policy versions: the reload, by the hash of what came into force, and only then"):
        (mark,) = seen["Policy versions"]
        assert re.fullmatch("policy [0-9a-f]{64}", mark.name)
        assert len(mark.points) < SECONDS
    with subtests.test("the picture: a line for each series"):
        picture = draw({title: [(series.name, series.points) for series in lines] for title, lines in seen.items()})
        root = ET.fromstring(picture)  # noqa: S314 - our own drawing
        lines = [element for element in root.iter() if element.tag.endswith("polyline")]
        assert len(lines) == sum(len(seen[chart.title]) for chart in CHARTS)


def _has_data(title: str, seen: Seen) -> None:
    """Series with points; those expected not zero throughout; a figure that says what the script made of it."""
    found = {series.name: series for series in seen[title]}
    assert found
    assert all(series.points for series in found.values())
    expected = SERIES.get(title, set())
    assert expected <= set(found)
    assert not [name for name in expected - QUIET if not any(value > 0 for _, value in found[name].points)]
    if title in FIGURES_AFTER:
        (series,) = found.values()
        assert series.points[-1][1] == FIGURES_AFTER[title]
