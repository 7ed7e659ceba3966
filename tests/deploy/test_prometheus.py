"""Rules for Prometheus: checked and tried by its own tool, of metrics that exist, each alert with a page to read."""

import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from deploy.grafana.panels import CHARTS
from guard.codes import Code
from guard.limits import STRICTNESS
from guard.metrics import FAMILIES
from guard.policy.table import ROWS
from guard.server import EdgeCounts
from tests.support.processes import external
from tests.support.promql import ENDINGS, TARGET_LABELS, recorded, selectors

ROOT: Final = Path(__file__).parents[2]
HERE: Final = ROOT / "deploy" / "prometheus"
RULE_FILES: Final = sorted((HERE / "rules").glob("*.yaml"))
RUNBOOK: Final = ROOT / "docs" / "runbook.md"
PARTS: Final = ["**Means.**", "**Look at.**", "**Do.**", "**Do not.**"]


def _read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


RULES: Final[list[dict[str, Any]]] = [
    rule for path in RULE_FILES for group in _read(path)["groups"] for rule in group["rules"]
]
ALERTS: Final = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RECORDED: Final = {rule["record"]: rule for rule in RULES if "record" in rule}
CASES: Final[list[dict[str, Any]]] = [
    case
    for path in sorted((HERE / "tests").glob("*.yaml"))
    for test in _read(path)["tests"]
    for case in test.get("alert_rule_test", [])
]
CLOSED: Final[dict[tuple[str, str], set[str]]] = {
    ("guard_refusals_total", "code"): {code.value for code in Code},
    ("guard_refusals_by_key_total", "code"): {code.value for code in Code},
    ("guard_trading_state", "state"): set(STRICTNESS),
    ("guard_ws_closed_total", "reason"): ENDINGS,
    ("guard_connections_cut_total", "reason"): set(EdgeCounts().cut),
}
"""Labels whose values the code fixes: a rule that names another value would never match."""
BUDGETS: Final = {Code.ORDERS_PER_DAY, Code.DAILY_VALUE, Code.OPEN_ORDERS, Code.OPEN_VALUE}


def _promtool(*words: object) -> tuple[int, str]:
    command = [external("promtool"), *map(str, words)]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603 - promtool
    return done.returncode, done.stdout + done.stderr


def test_promtool_finds_nothing_wrong_with_the_rules_and_the_scrape_configuration() -> None:
    """`promtool check` accepts every rule, finds none twice, and reads the configuration that loads them."""
    assert _promtool("check", "rules", "--lint=all", "--lint-fatal", *RULE_FILES)[0] == 0
    assert _promtool("check", "config", "--lint=all", "--lint-fatal", HERE / "prometheus.yaml")[0] == 0


def test_alerts_fire_when_they_must_and_only_then() -> None:
    """`promtool test rules` plays every case of deploy/prometheus/tests."""
    code, told = _promtool("test", "rules", *sorted((HERE / "tests").glob("*.yaml")))

    assert code == 0, told


@pytest.mark.parametrize("name", ALERTS)
def test_each_alert_is_tried_both_ways(name: str) -> None:
    """Each alert has a case in which it fires and one in which it nearly does."""
    tried = [bool(case["exp_alerts"]) for case in CASES if case["alertname"] == name]

    assert set(tried) == {True, False}


@pytest.mark.parametrize("name", ALERTS)
def test_each_alert_says_how_bad_it_is_and_where_to_read_on(name: str) -> None:
    """A severity of three, a summary, and the section of the runbook that bears its name."""
    rule = ALERTS[name]

    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["runbook_url"] == f"{{{{ $externalLabels.guard_docs }}}}docs/runbook.md#{name.lower()}"


def test_the_runbook_has_one_section_an_alert() -> None:
    """Every alert has its section and every section its alert, in the order of the rules, each with its four parts."""
    sections = re.split(r"^## ", RUNBOOK.read_text(), flags=re.MULTILINE)[1:]

    assert [section.partition("\n")[0] for section in sections] == list(ALERTS)
    for section in sections:
        assert re.findall(r"^\*\*[\w ]+\.\*\*", section, re.MULTILINE) == PARTS, section.partition("\n")[0]


@pytest.mark.parametrize("name", [*RECORDED, *ALERTS])
def test_every_metric_in_a_rule_exists(name: str) -> None:
    """What a rule names is in the table of metrics, with its labels and, where the code fixes them, its values."""
    expression = (RECORDED | ALERTS)[name]["expr"]

    assert recorded(expression) <= set(RECORDED)
    for metric, matchers in selectors(expression):
        assert metric in FAMILIES
        for label, operator, value in matchers:
            assert label in {*FAMILIES[metric].labels, *TARGET_LABELS}
            words = value.split("|") if "~" in operator else [value]
            known = CLOSED.get((metric, label), ())
            assert not known or all(any(re.fullmatch(word, one) for one in known) for word in words), value


@pytest.mark.parametrize("name", [name for name, rule in ALERTS.items() if recorded(rule["expr"])])
def test_codes_and_reasons_in_alerts_on_recorded_series_exist(name: str) -> None:
    """A code or a reason that an alert picks from a recorded series is one that the guard can count."""
    for label, value in re.findall(r'\b(code|reason)[!=]~?"([^"]*)"', ALERTS[name]["expr"]):
        known = set(Code) if label == "code" else ENDINGS
        assert all(any(re.fullmatch(word, one) for one in known) for word in value.split("|")), value


def test_every_budget_is_watched_and_drawn() -> None:
    """Whatever refuses with a budget's code is in the series of their alerts, and in the panel *Budgets*."""
    names = {row.path for row in ROWS if BUDGETS & set(row.codes)}
    assert len(names) == len(BUDGETS)
    (drawn,) = [chart.queries[0].expr for chart in CHARTS if chart.title == "Budgets"]
    for expression in (RECORDED["guard:budget_used:ratio"]["expr"], drawn):
        (pattern,) = re.findall(r'limit=~"([^"]+)"', expression)
        assert [name for name in names if not re.fullmatch(pattern, f"{name} unit")] == []
