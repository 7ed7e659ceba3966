"""Short ways to say policies, orders and callers in tests of judging. Times are UTC; a Friday noon in Hong Kong."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import msgspec

from guard.codes import Code
from guard.limits import Opening, State, check_claims, reserve
from guard.policy import Judgement, PolicyDoc, PolicySet, compile_set, judge, largest_qty, parse_policy, value
from guard.terms import (
    Account,
    Effect,
    Env,
    Full,
    Header,
    KeyLimits,
    OrderType,
    PlaceOrder,
    Principal,
    Reason,
    Side,
    Valuation,
    World,
    in_order,
)

FRIDAY: Final = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)  # 12:00 in Hong Kong, 23:00 on Thursday in New York
REAL: Final = Account(Env.REAL, 1)
PAPER: Final = Account(Env.SIMULATE, 1)
_PREFIX_OF: Final = {"CN": "SH", "HKCC": "SH"}
WHOLE: Final = """
[policy]
id = "desk"
owner = "risk desk"
rationale = "board limit"
mode = "enforce"
revision = 4
expires_at = 2026-12-01T00:00:00Z
[applies_to]
keys = ["bot-*"]
except_keys = ["bot-lab"]
environments = ["real"]
accounts = [281756478875559548]
[instruments]
markets = ["HK", "US", "FUTURES"]
symbols = ["HK.*", "US.AAPL"]
blocked_symbols = ["US.GME"]
[orders]
sides = ["BUY", "SELL"]
types = ["NORMAL", "MARKET"]
time_in_force = ["DAY", "GTC"]
max_value = ["100000 HKD", "12500 USD"]
max_qty = 10000
max_premium = "20000 HKD"
max_underlying_value = "500000 HKD"
price_collar_percent = { stock = 10, option = 50, future = 5 }
market_buffer_percent = 5
per_day = 200
duplicate_window_s = 5
[hours]
HK = ["09:30-12:00", "13:00-16:00"]
US = "always"
FUTURES = "always"
[budgets]
per = "key"
daily_value = ["500000 HKD", "64000 USD"]
resets = "08:30 Asia/Hong_Kong"
open_orders = 20
open_value = "300000 HKD"
[rates]
per = "key"
new_orders = "15/30s"
changes = ["20/30s", "100/300s"]
reads = "3000/60s"
cancels = "100/60s"
[breaker]
unknowns = "3/300s"
daemon_refusals = ["20/60s", "100/3600s"]
[reference]
price_age_max_s = 5
price_collar_missing = "refuse"
[fx]
USDHKD = "7.80"
as_of = 2026-11-20
max_age_days = 5
buffer_percent = 1
[rights]
see = "account"
touch = "own"
"""


def order(
    qty: Any = "100", price: str | None = "10", *, market: str = "HK", code: str = "00700", **fields: Any
) -> PlaceOrder:
    """A limit buy of 00700, unless something else is said."""
    prefix = _PREFIX_OF.get(market, market.removesuffix("_FUND").removeprefix("FUTURES_"))
    return msgspec.structs.replace(
        PlaceOrder(
            header=Header(Env.REAL, 1, None, 1),
            market=market,
            symbol=f"{prefix}.{code}",
            code=code,
            side=Side.BUY,
            order_type=OrderType.NORMAL,
            qty=Decimal(qty),
            price=None if price is None else Decimal(price),
        ),
        **fields,
    )


def caller(name: str = "bot-a", limits: KeyLimits | None = None, **fields: Any) -> Principal:
    """A key that may trade in both environments."""
    scopes = frozenset({"trade:real", "trade:simulate"})
    own = limits or KeyLimits()
    return Principal(id=name, name=name.split("@", maxsplit=1)[0], scopes=scopes, limits=own, **fields)


def doc(text: str, file: str = "desk.toml") -> PolicyDoc:
    """A policy that is right."""
    found = parse_policy(text, file=file)
    assert isinstance(found, PolicyDoc), "\n".join(map(str, found))
    return found


def codes_of(text: str, file: str = "desk.toml") -> list[tuple[str, str]]:
    """What is wrong with a policy: key paths and codes, in order."""
    found = parse_policy(text, file=file)
    return [] if isinstance(found, PolicyDoc) else [(error.path, error.code) for error in found]


def policies(
    *texts: str,
    keys: Mapping[str, KeyLimits] | None = None,
    flags: KeyLimits | None = None,
    tz: str = "UTC",
    require_cover: bool = False,
) -> PolicySet:
    """A set of these policies, named p0, p1, … where they have no id of their own."""
    docs = [doc(text, f"p{place}.toml") for place, text in enumerate(texts)]
    found = compile_set(docs, keys=keys or {}, flags=flags, tz=tz, require_cover=require_cover, now=FRIDAY)
    assert isinstance(found, PolicySet), "\n".join(map(str, found))
    return found


def asked(
    rules: PolicySet | str,
    what: PlaceOrder | None = None,
    *,
    who: Principal | None = None,
    effect: Effect = Effect.ORDER_NEW,
    account: Account = REAL,
    wall: datetime = FRIDAY,
    mark: str = "",
    world: World | None = None,
    exits: Any = 0,
) -> Judgement:
    """The judgement of an order, valued as it would be."""
    what, who = what or order(), who or caller()
    compiled = policies(rules) if isinstance(rules, str) else rules
    plan = compiled.on(who, account, wall=wall)
    return judge(
        plan,
        what,
        effect=effect,
        account=account,
        wall=wall,
        mark=mark,
        world=world,
        exits=Decimal(exits),
    )


def worth(what: PlaceOrder) -> Valuation:
    """The value of an order that has one."""
    found = value(what)
    assert isinstance(found, Valuation)
    return found


def codes(judgement: Judgement) -> list[Code]:
    """Every code, the primary one first."""
    return [reason.code for reason in judgement.reasons]


class Book:
    """A ledger that orders are placed in, one after the other; time is in seconds."""

    def __init__(self) -> None:
        self.state = State()
        self.steps = 0

    def reasons(self, judgement: Judgement, *, at_s: int = 0) -> tuple[Reason, ...]:
        """Every reason against it, the ledger's too; nothing is reserved."""
        found = check_claims(self.state, judgement.claims, t_us=at_s * 1_000_000)
        told = list(judgement.reasons)
        if isinstance(found, Full):
            told += [judgement.makers[s.index].refuse(judgement.claims[s.index], s) for s in found.shortfalls]
        return in_order(told)

    def largest(self, judgement: Judgement, *, at_s: int = 0) -> Decimal | None:
        """The quantity that would pass."""
        found = check_claims(self.state, judgement.claims, t_us=at_s * 1_000_000)
        short = found.shortfalls if isinstance(found, Full) else ()
        return largest_qty(judgement, [(judgement.claims[s.index], judgement.makers[s.index], s) for s in short])

    def place(self, judgement: Judgement, *, at_s: int = 0) -> tuple[Reason, ...]:
        """Reserves what the judgement claims, where there is no reason against it."""
        told = self.reasons(judgement, at_s=at_s)
        if not told:
            self.steps += 1
            step = f"step-{self.steps}"
            opening = Opening(step, judgement.claims, step, key="bot-a", account=REAL, symbol="HK.00700")
            reserve(self.state, opening, t_us=at_s * 1_000_000)
        return told
