"""docs/policies.md, the JSON Schema and the cookbook: made from the table, as right as the code they tell of."""

import json
import re
import tomllib
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import jsonschema  # type: ignore[import-untyped] # it ships no types
import pytest

from guard.policy import PolicyDoc, PolicySet, compile_set, parse_policy
from guard.policy.cases import prepared, run_prepared
from guard.policy.jsonschema import schema
from guard.policy.mutate import survey
from guard.policy.page import page, schema_text
from guard.policy.rows import RuleRow
from guard.policy.table import ROWS
from guard.policyfiles import read_docs, read_tests
from tests.support.policy import FRIDAY

ROOT: Final = Path(__file__).parents[2]
COOKBOOK: Final = sorted(path for path in (ROOT / "docs" / "cookbook").iterdir() if path.is_dir())
FILES: Final = [*sorted((ROOT / "policies").glob("*.toml")), *sorted((ROOT / "docs" / "cookbook").glob("*/*.toml"))]
POLICIES: Final = [path for path in FILES if not path.stem.endswith("_test")]
CHECKER: Final = jsonschema.Draft202012Validator(schema())
RATES: Final = 'USDHKD = "7.80"\nas_of = 2026-11-20'
BESIDE: Final = {
    "fx.rates": "as_of = 2026-11-20",
    "fx.as_of": 'USDHKD = "7.80"',
    "budgets.resets": 'daily_value = "1 HKD"',
}


def as_json(text: str) -> Any:
    """TOML as editors hand it to a schema: times are texts."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: plain(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [plain(inner) for inner in value]
        return value.isoformat() if isinstance(value, datetime | date) else value

    return plain(tomllib.loads(text))


def test_page_and_schema_are_what_the_table_makes() -> None:
    """`make docs` writes both."""
    assert (ROOT / "docs" / "policies.md").read_text() == page()
    assert (ROOT / "policies" / "policy.schema.json").read_text() == schema_text()
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_policy_that_ships_is_valid_by_the_schema(path: Path) -> None:
    """What the guard accepts an editor does not underline."""
    assert isinstance(parse_policy(path.read_text(), file=path.name), PolicyDoc)
    assert list(CHECKER.iter_errors(as_json(path.read_text()))) == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.path)
def test_every_example_of_the_table_means_something(row: RuleRow) -> None:
    """Each example is read by the guard, and accepted by the schema."""
    beside = BESIDE.get(row.path, RATES if row.table == "fx" else "")
    only_hk = '[instruments]\nmarkets = ["HK"]\n' if row.path == "hours" else ""
    text = f"{only_hk}[{row.table}]\n{beside}\n{row.example}\n"

    assert isinstance(parse_policy(text, file="example.toml"), PolicyDoc), text
    assert list(CHECKER.iter_errors(as_json(text))) == []


@pytest.mark.parametrize(
    "text",
    [
        "[order]\nmax_qty = 1",
        "[orders]\nmax_valu = 1",
        '[orders]\nmax_value = "1 EUR"',
        '[orders]\nsides = ["BUYY"]',
        '[orders]\nmax_qty = "3"',
        '[rates]\nreads = "3/1m"',
        '[hours]\nUK = "always"',
        '[hours]\nHK = "9:30-12:00"',
        '[fx]\nUSDHKD = "7.8"',
        '[policy]\nmode = "off"',
    ],
)
def test_what_an_editor_can_know_to_be_wrong_is_underlined(text: str) -> None:
    """The schema refuses what the guard refuses, as far as a schema can."""
    assert not isinstance(parse_policy(text, file="wrong.toml"), PolicyDoc)
    assert list(CHECKER.iter_errors(as_json(text)))


@pytest.mark.parametrize("place", COOKBOOK, ids=lambda path: path.name)
def test_every_set_up_of_the_cookbook_is_held_by_its_tests(place: Path) -> None:
    """All tests pass, and a limit that moves by one step makes one of them fail."""
    docs, wrong = read_docs(place)
    rules = compile_set(docs, keys={}, flags=None, tz="UTC", require_cover=True, now=FRIDAY)
    assert isinstance(rules, PolicySet)
    assert wrong == []
    cases = prepared(read_tests(place)[0])

    assert cases.files
    assert run_prepared(rules, cases).failures == ()
    assert [str(mutant) for mutant in survey(rules, cases).unnoticed] == []


def test_the_cookbook_s_list_is_whole() -> None:
    """Ten set-ups, each with a line in the list."""
    listed = re.findall(r"\| \[`([^`]+)`\]", (ROOT / "docs" / "cookbook" / "README.md").read_text())

    assert sorted(listed) == [path.name for path in COOKBOOK]
    assert len(listed) == 10


def test_the_page_s_own_test_file_runs() -> None:
    """The example of a test file passes against policies that it fits."""
    (block,) = [block for block in re.findall(r"```toml\n(.*?)```", page(), re.DOTALL) if "[[matrix]]" in block]
    text = (
        '[policy]\nid = "desk"\n[instruments]\nmarkets = ["HK", "US"]\n'
        '[orders]\nmax_value = ["20000 HKD", "2500 USD"]\n'
        '[budgets]\ndaily_value = ["200000 HKD", "25000 USD"]\n[rates]\nnew_orders = "15/30s"'
    )
    found = parse_policy(text, file="desk.toml")
    assert isinstance(found, PolicyDoc)
    rules = compile_set([found], keys={}, flags=None, tz="UTC", require_cover=True, now=FRIDAY)
    assert isinstance(rules, PolicySet)

    assert run_prepared(rules, prepared({"desk_test.toml": block})).failures == ()
    assert json.loads(schema_text())["title"]
