"""The classification of a diff agrees with brute force: what is called tighter lets nothing new through.

Random documents, random changes of them, random orders with random pasts. And every order that a diff shows is really
refused before and passes after.
"""

import random  # noqa: TID251 - a sample that is the same every time
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from guard.policy import PolicySet
from guard.policy.diff import compare, overall
from guard.policy.stand_ins import order_in, principal, world_of
from guard.policy.trial import TrialRequest, Usage, try_order
from guard.policy.witness import confirmed
from guard.terms import Account, Effect, Env, OrderType, Quote, Side, TimeInForce
from guard.terms.world import NOT_ASKED
from tests.support.policy import policies

# For every key, values that are tighter, looser and neither than each other; None leaves the key out.
CHOICES: dict[str, tuple[str | None, ...]] = {
    "policy.mode": (None, None, '"shadow"'),
    "policy.expires_at": (None, "2026-11-19T00:00:00Z", "2026-11-18T04:00:00Z"),
    "applies_to.keys": (None, '["bot-*"]', '["bot-a"]', "[]"),
    "applies_to.except_keys": (None, '["bot-b"]', '["bot-*"]'),
    "applies_to.environments": (None, '["real"]', '["simulate"]'),
    "applies_to.accounts": (None, "[1]", "[1, 2]"),
    "instruments.symbols": (None, '["HK.*"]', '["HK.00700", "US.AAPL"]', '["US.A*"]'),
    "instruments.blocked_symbols": (None, '["US.*"]', '["HK.00700"]', '["US.AAPL"]'),
    "orders.sides": (None, '["BUY"]', '["SELL", "BUY"]', "[]"),
    "orders.types": (None, '["NORMAL"]', '["NORMAL", "MARKET"]'),
    "orders.time_in_force": (None, '["DAY"]', '["GTC"]'),
    "orders.max_value": (None, '"50 HKD"', '["50 HKD", "9 USD"]', '["40 HKD", "20 USD"]', '"0 HKD"'),
    "orders.max_premium": (None, '"5 USD"', '"9 USD"'),
    "orders.max_underlying_value": (None, '"5 USD"', '"9 USD"'),
    "orders.max_qty": (None, "3", "7", "0"),
    "orders.per_day": (None, "2", "4", "0"),
    "orders.price_collar_percent": (None, "{ stock = 10 }", "{ stock = 5, option = 5 }", "{ option = 20 }"),
    "orders.market_buffer_percent": (None, "1", "5", "30"),
    "orders.duplicate_window_s": (None, "5", "0", "60"),
    "budgets.per": (None, '"account"', '"policy"'),
    "budgets.daily_value": (None, '"60 HKD"', '["90 HKD", "9 USD"]'),
    "budgets.open_orders": (None, "1", "3"),
    "budgets.open_value": (None, '"60 HKD"', '["60 HKD", "60 USD"]'),
    "rates.new_orders": (None, '"2/10s"', '["3/10s", "5/60s"]', '"0/1s"'),
    "rates.changes": (None, '"1/10s"', '"1/60s"'),
    "rates.reads": (None, '"2/10s"', '"2/20s"'),
    "rates.cancels": (None, '"1/10s"', '"2/10s"'),
    "reference.price_age_max_s": (None, "1", "9"),
    "reference.price_collar_missing": (None, '"skip"', '"refuse"'),
    "fx.USDHKD": (None, None, '"7"', '"8"'),
    "fx.buffer_percent": (None, "1", "20"),
    "fx.max_age_days": (None, "1", "30"),
    "hours.HK": (None, None, '"10:00-12:00"', '["10:00-11:00", "13:00-15:00"]', '"22:00-02:00"', '"always"'),
}
MARKETS = "US CN HKCC SG JP AU MY CA HK_FUND US_FUND FUTURES_HK FUTURES_US FUTURES_SG FUTURES_JP"
Chosen = dict[str, str | None]


def written(chosen: Mapping[str, str | None]) -> str:
    """The document as TOML."""
    tables: dict[str, list[str]] = {}
    for path, value in chosen.items():
        table, key = path.split(".")
        if value is not None:
            tables.setdefault(table, []).append(f"{key} = {value}")
    if "fx" in tables:
        if any(line.startswith("USDHKD") for line in tables["fx"]):
            tables["fx"].append("as_of = 2026-11-16")
        else:
            del tables["fx"]
    if "hours" in tables:
        tables["hours"] += [f'{market} = "always"' for market in MARKETS.split()]
    return "".join(f"[{table}]\n" + "\n".join(lines) + "\n" for table, lines in tables.items())


# What a key has no meaning without.
_NEEDS: dict[str, Chosen] = {
    "orders.market_buffer_percent": {"orders.max_value": '"50 HKD"'},
    "reference.price_age_max_s": {"orders.max_value": '"50 HKD"'},
    "reference.price_collar_missing": {"orders.price_collar_percent": "{ stock = 10 }"},
    "fx.USDHKD": {"orders.max_value": '"50 HKD"'},
    "fx.buffer_percent": {"orders.max_value": '"50 HKD"', "fx.USDHKD": '"7"'},
    "fx.max_age_days": {"orders.max_value": '"50 HKD"', "fx.USDHKD": '"7"'},
    "budgets.per": {"budgets.daily_value": '"60 HKD"'},
}
_SELECTORS: dict[str, Chosen] = {
    path: {"orders.max_qty": "3"} for path in CHOICES if path.split(".")[0] in {"policy", "applies_to"}
}
BESIDE = _NEEDS | _SELECTORS
FEW = st.lists(st.sampled_from(sorted(CHOICES)), max_size=3, unique=True)


@st.composite
def few(draw: st.DrawFn) -> Chosen:
    """A document of a few keys: one of many refuses everything, and tells nothing apart."""
    return {name: draw(st.sampled_from(CHOICES[name])) for name in draw(FEW)}


@st.composite
def changed(draw: st.DrawFn) -> tuple[str, str]:
    """A document, and the same with a few keys otherwise."""
    before, otherwise = draw(few()), draw(few())
    return written(before), written(before | otherwise)


def made_up(seed: int, count: int) -> list[TrialRequest]:
    """Requests around all of these limits, the same ones every time."""
    chance = random.Random(seed)
    return [_made_up(chance) for _ in range(count)]


def _made_up(chance: random.Random) -> TrialRequest:
    places = [("HK", "HK.00700")] * 2 + [("US", "US.AAPL"), ("US", "US.AAPL260116C200000"), ("US", "US.TSLA")]
    market, symbol = chance.choice(places)
    account = Account(chance.choice(list(Env)), chance.choice([1, 2, 3]))
    wall = datetime(2026, 11, chance.choice([18, 18, 20, 21]), chance.choice([2, 3, 5, 15]), 30, tzinfo=UTC)
    order = replace(
        order_in(market, symbol, account),
        side=chance.choice([Side.BUY, Side.SELL]),
        qty=Decimal(chance.choice([1, 3, 4, 5, 7, 8])),
        price=Decimal(chance.choice(["0.5", "1", "9", "9.5", "10.5", "11"])),
        order_type=chance.choice([OrderType.NORMAL, OrderType.NORMAL, OrderType.MARKET]),
        time_in_force=chance.choice(list(TimeInForce)),
    )
    known = world_of(order, price=Decimal(chance.choice(["1", "9", "10"])), wall=wall, strike=Decimal(2))
    assert isinstance(known.quote, Quote)
    quote = replace(known.quote, age_ms=chance.choice([0, 0, 3000, 8000]))
    missing = chance.random() < 0.1
    effects = [Effect.ORDER_NEW] * 4 + [Effect.ORDER_CHANGE, Effect.ORDER_CANCEL, Effect.READ]
    effect = chance.choice(effects)
    return TrialRequest(
        principal(chance.choice(["bot-a", "bot-b", "agent"])),
        account,
        wall,
        order if effect in {Effect.ORDER_NEW, Effect.ORDER_CHANGE} else None,
        effect,
        replace(known, quote=NOT_ASKED if missing else quote),
        _used(chance),
    )


def _used(chance: random.Random) -> Usage:
    def ages() -> tuple[int, ...]:
        return tuple(chance.choices([0, 4_000, 5_000, 9_999, 15_000, 40_000], k=chance.choice([0, 0, 1, 2, 3])))

    def money() -> dict[str, Decimal]:
        return chance.choice([{}, {}, {"HKD": Decimal(10)}, {"HKD": Decimal(55), "USD": Decimal(5)}])

    return Usage(
        daily_value=money(),
        open_value=money(),
        per_day=chance.choice([0, 0, 2, 3]),
        open_orders=chance.choice([0, 0, 1, 2]),
        new_orders_ms=ages(),
        changes_ms=ages(),
        cancels_ms=ages(),
        reads_ms=ages(),
        same_order_ms=ages(),
    )


ASKS = made_up(1, 1500)


def disagrees(before: PolicySet, after: PolicySet, ask: TrialRequest) -> str:
    """How the requests that pass differ, against what the diff says; "" where it does not."""
    kind = overall(compare(before, after))
    was, now = try_order(before, ask).passes, try_order(after, ask).passes
    if kind in {"tighter", "neutral"} and now and not was:
        return f"called {kind}, but lets {ask} through"
    if kind in {"looser", "neutral"} and was and not now:
        return f"called {kind}, but refuses {ask}"
    return ""


def passes(rules: PolicySet) -> list[bool]:
    """Which of the requests pass."""
    return [try_order(rules, ask).passes for ask in ASKS]


@pytest.mark.parametrize("path", CHOICES)
def test_every_change_of_one_key_is_called_what_brute_force_finds(path: str) -> None:
    """Every two values of every key: what is called tighter lets no request through that was refused, and so on."""
    beside = BESIDE.get(path, {})
    values = list(dict.fromkeys(CHOICES[path]))
    sets = {value: policies(written(beside | {path: value})) for value in values}
    found = {value: passes(rules) for value, rules in sets.items()}

    for before, after in permutations(values, 2):
        kind = overall(compare(sets[before], sets[after]))
        pairs = set(zip(found[before], found[after], strict=True))
        assert kind == "mixed" or not ((False, True) in pairs and kind != "looser"), (before, after, kind)
        assert kind == "mixed" or not ((True, False) in pairs and kind != "tighter"), (before, after, kind)


def test_the_requests_tell_values_apart() -> None:
    """The brute force sees something: for nearly every key some request is answered otherwise by two of its values."""
    blind = []
    for path, choices in CHOICES.items():
        found = {tuple(passes(policies(written(BESIDE.get(path, {}) | {path: value})))) for value in choices}
        if len(found) == 1:
            blind.append(path)

    assert blind == ["budgets.per"]  # whose counter it is cannot be seen from usage that stands on every counter


@settings(max_examples=60, deadline=None)
@given(change=changed(), other=few(), many=st.integers(0, 12), require_cover=st.booleans())
def test_the_classification_agrees_with_brute_force(
    *, change: tuple[str, str], other: Chosen, many: int, require_cover: bool
) -> None:
    """Beside any other policy, with any past, no request contradicts what the diff calls the change."""
    beside = written(other)
    before = policies(change[0], beside, require_cover=require_cover)
    after = policies(change[1], beside, require_cover=require_cover)

    for ask in ASKS[many::13]:
        assert not disagrees(before, after, ask)
        assert not disagrees(after, before, ask)


@pytest.mark.parametrize("path", CHOICES)
def test_every_loosening_of_one_key_is_shown_by_an_order(path: str) -> None:
    """Between any two values of a key: where the diff says looser it has an order that shows it."""
    beside = BESIDE.get(path, {})
    sets = [policies(written(beside | {path: value})) for value in dict.fromkeys(CHOICES[path])]

    for before, after in permutations(sets, 2):
        assert [found.rule for found in confirmed(before, after) if found.kind == "looser" and not found.witness] == []


@settings(max_examples=25, deadline=None)
@given(change=changed(), other=few())
def test_an_order_that_is_shown_is_refused_before_and_not_by_its_rule_after(
    change: tuple[str, str], other: Chosen
) -> None:
    """A witness was refused; where nothing else of the set stands against it, it passes now."""
    beside = written(other)
    before, after = policies(change[0], beside), policies(change[1], beside)

    for found in confirmed(before, after):
        assert found.witness is None or found.kind in {"looser", "mixed"}
        if found.witness is not None:
            assert found.witness.refused
            assert str(found.witness)
