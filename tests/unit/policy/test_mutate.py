"""Limits moved by a step: every kind of limit is moved both ways, and what no test notices is named."""

import pytest

from guard.policy.cases import prepared
from guard.policy.mutate import mutants, survey
from tests.support.policy import doc, policies

GIVEN = 'given = { now = 2026-11-20T12:00:00+08:00, key = "bot" }\ncase = [\n'


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        ('[orders]\nmax_value = "1 HKD"', ["1.01 HKD", "0.99 HKD"]),
        ('[orders]\nmax_value = ["1 HKD", "2 USD"]', 6),
        ("[orders]\nmax_qty = 5", ["6", "4"]),
        ("[orders]\nmax_qty = 0", ["1"]),
        ("[orders]\nprice_collar_percent = { stock = 5 }", ["{ stock = 5.1 }", "{ stock = 4.9 }"]),
        ("[orders]\nmarket_buffer_percent = 5", ["5.1", "4.9"]),
        ("[orders]\nduplicate_window_s = 5", ["6", "4"]),
        ('[orders]\nsides = ["BUY", "SELL"]', ["", "SELL", "BUY"]),
        ('[orders]\ntime_in_force = ["DAY", "GTC"]', ["GTC", "DAY"]),
        ('[rates]\nnew_orders = "5/10s"', ["6/10s", "4/10s", "5/11s", "5/9s"]),
        ('[rates]\nnew_orders = "0/1s"', ["1/1s"]),
        ('[applies_to]\nkeys = ["a"]', [""]),
        ("[reference]\nprice_age_max_s = 5", ["6", "4"]),
        ('[breaker]\nunknowns = "3/300s"', []),
        ('[policy]\nowner = "x"', []),
        (
            '[instruments]\nmarkets = ["HK"]\n[hours]\nHK = "09:30-24:00"',
            ["", "{ HK = 09:29-24:00 }", "{ HK = 09:31-24:00 }", "{ HK = 09:30-23:59 }"],
        ),
        ('[instruments]\nmarkets = ["HK"]\n[hours]\nHK = "always"', [""]),
    ],
)
def test_each_limit_is_moved_by_its_own_step(text: str, moved: list[str] | int) -> None:
    """The steps of the rule table, tighter and looser, never below nothing."""
    found = [mutant.after for mutant in mutants(doc(text))]

    assert (len(found) if isinstance(moved, int) else found) == moved


def test_what_no_test_notices_is_named() -> None:
    """At the cap and a step over hold it from both sides; one of them alone does not."""
    rules = policies('[policy]\nid = "p"\n[orders]\nmax_value = "10 HKD"')
    at = '{ order = { symbol = "HK.1", price = 10 }, expect = "allow" },\n'
    over = '{ order = { symbol = "HK.1", price = 10.01 }, codes = "max_order_value" },\n'

    assert survey(rules, prepared({"p_test.toml": f"{GIVEN}{at}{over}]"})).unnoticed == ()
    found = survey(rules, prepared({"p_test.toml": f"{GIVEN}{at}]"}))
    assert found.count == 2
    assert [str(mutant) for mutant in found.unnoticed] == [
        "p0.toml: orders.max_value 10 HKD could be 10.01 HKD, and no test would notice"
    ]
