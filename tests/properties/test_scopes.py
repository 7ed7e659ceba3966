"""Whom a limit counts: what a plain list of the orders that passed says, for every `per` and every selector."""

from fnmatch import fnmatchcase
from itertools import product
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from guard.policy.notation import ledger_units
from guard.terms import LEDGER_UNIT, Account, Env
from tests.support.policy import Book, asked, caller, order, policies, worth

KEYS = ("bot-a", "bot-b", "agent")
ACCOUNTS = tuple(Account(env, acc_id) for env, acc_id in product(Env, (1, 2)))
TRADED = (("HK", "00700"), ("HK", "80700"), ("US", "AAPL"))  # in HKD, CNH and USD
PER = st.sampled_from(["key", "account", "policy"])


class Policy(Struct, frozen=True):
    """One policy: whom it selects (None: everyone), what it counts per, and its caps (money in each currency)."""

    keys: tuple[str, ...] | None
    except_keys: tuple[str, ...] | None
    environments: tuple[str, ...] | None
    accounts: tuple[int, ...] | None
    per: str
    rates_per: str
    daily_value: int
    open_value: int
    open_orders: int
    new_orders: int

    @property
    def text(self) -> str:
        """As a file has it."""
        chosen = ("keys", "except_keys", "environments", "accounts")
        selectors = [f"{name} = {list(value)}" for name in chosen if (value := getattr(self, name)) is not None]
        money = [
            f'{name} = ["{cap} HKD", "{cap} USD", "{cap} CNH"]'
            for name, cap in (("daily_value", self.daily_value), ("open_value", self.open_value))
        ]
        budgets = ["[budgets]", f'per = "{self.per}"', 'resets = "00:00 UTC"', *money]
        rates = ["[rates]", f'per = "{self.rates_per}"', f'new_orders = "{self.new_orders}/60s"']
        return "\n".join(["[applies_to]", *selectors, *budgets, f"open_orders = {self.open_orders}", *rates])

    def names(self, key: str) -> bool:
        """The key is one of those selected."""
        chosen = self.keys is None or any(fnmatchcase(key, text) for text in self.keys)
        return chosen and not any(fnmatchcase(key, text) for text in self.except_keys or ())

    def selects(self, key: str, account: Account) -> bool:
        """The policy binds an order of this key on this account."""
        is_of_env = self.environments is None or account.env.word in self.environments
        return self.names(key) and is_of_env and (self.accounts is None or account.acc_id in self.accounts)

    def counts(self, other: "Placed", one: "Placed", *, per: str, is_rate: bool) -> bool:
        """What `other` placed counts for `one`, whom the policy binds."""
        if per == "account":
            return other.account == one.account and self.names(other.key)
        is_same_env = is_rate or other.account.env is one.account.env
        if per == "policy":
            return is_same_env and self.selects(other.key, other.account)
        if is_rate:  # over both environments, unless the policy is about one of them
            is_same_env = len(set(self.environments or ())) != 1 or other.account.env.word in (self.environments or ())
        is_of_account = self.accounts is None or other.account.acc_id in self.accounts
        return other.key == one.key and is_same_env and is_of_account


class Placed(Struct, frozen=True):
    """An order that somebody places: who, where, when, what it is worth."""

    key: str
    account: Account
    at_s: int
    currency: str
    units: int


def _expected(policy: Policy, one: Placed, placed: list[Placed]) -> set[str]:
    """The codes of the limits that the order does not fit, beside those that passed."""
    beside = [other for other in placed if policy.counts(other, one, per=policy.per, is_rate=False)]
    money = one.units + sum(other.units for other in beside if other.currency == one.currency)
    stamps = [other for other in placed if policy.counts(other, one, per=policy.rates_per, is_rate=True)]
    recent = [other for other in stamps if other.at_s > one.at_s - 60]
    found = {
        "daily_value": money > policy.daily_value * LEDGER_UNIT,
        "open_value": money > policy.open_value * LEDGER_UNIT,
        "open_orders": len(beside) + 1 > policy.open_orders,
        "rate": len(recent) + 1 > policy.new_orders,
    }
    return {code for code, is_short in found.items() if is_short}


def _some(values: list[Any]) -> Any:
    return st.none() | st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True).map(tuple)


POLICIES = st.builds(
    Policy,
    keys=_some(["bot-*", "bot-a", "agent", "*"]),
    except_keys=st.none() | st.just(("bot-b",)),
    environments=_some([env.word for env in Env]),
    accounts=_some([1, 2]),
    per=PER,
    rates_per=PER,
    daily_value=st.integers(20, 60),
    open_value=st.integers(20, 60),
    open_orders=st.integers(2, 8),
    new_orders=st.integers(1, 6),
)
ORDERS = st.tuples(
    st.sampled_from(KEYS), st.sampled_from(ACCOUNTS), st.sampled_from(TRADED), st.integers(1, 9), st.integers(0, 40)
)


@settings(max_examples=150, deadline=None)
@given(texts=st.lists(POLICIES, min_size=1, max_size=3), flow=st.lists(ORDERS, min_size=10, max_size=25))
def test_a_limit_counts_whom_a_plain_list_says(
    texts: list[Policy], flow: list[tuple[str, Account, tuple[str, str], int, int]]
) -> None:
    """Each order is refused by those limits, and only those, that it does not fit beside what they count."""
    rules, book, placed, at_s = policies(*(policy.text for policy in texts)), Book(), list[Placed](), 0
    for key, account, (market, code), qty, wait_s in flow:
        at_s += wait_s
        what = order(str(qty), "1.001", market=market, code=code)
        value = worth(what).value
        one = Placed(key, account, at_s, value.currency, ledger_units(value.amount))
        told = book.place(asked(rules, what, who=caller(key), account=account), at_s=at_s)

        expected = set[str]().union(*(_expected(p, one, placed) for p in texts if p.selects(key, account)))
        assert {reason.code.value for reason in told} == expected
        if not told:
            placed.append(one)
