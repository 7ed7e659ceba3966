"""The policies that come with the guard: they may all bind at once, and let a sane first day through."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from guard.codes import Code
from guard.policy import PolicySet, judge_read
from guard.policy.cases import prepared, run_prepared
from guard.policy.mutate import survey
from guard.terms import Effect, OrderType, PlaceOrder, Side, TimeInForce, World
from tests.support.policy import PAPER, REAL, Book, asked, caller, codes, order, policies
from tests.support.worlds import option, quote, world

POLICIES = Path(__file__).parents[3] / "policies"
FILES = sorted(path for path in POLICIES.glob("*.toml") if not path.stem.endswith("_test"))
TESTS = {path.name: path.read_text() for path in sorted(POLICIES.glob("*_test.toml"))}
MORNING = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
AAPL = {"market": "US", "code": "AAPL"}
BOT, AGENT = caller("bot-a"), caller("agent-1")


@pytest.fixture(name="shipped", scope="module")
def _shipped() -> PolicySet:
    return policies(*(path.read_text() for path in FILES), require_cover=True)


def test_the_set_is_what_was_promised() -> None:
    """Three policies, each with an owner and a reason."""
    assert [path.stem for path in FILES] == ["agents", "default", "paper-trading"]
    for path in FILES:
        text = path.read_text()
        assert f'id = "{path.stem}"' in text
        assert "owner = " in text
        assert "rationale = " in text


def test_their_own_tests_hold_every_limit(shipped: PolicySet) -> None:
    """Every policy has tests beside it, all pass, and a limit that moves by one step makes one of them fail."""
    cases = prepared(TESTS)

    assert [f"{path.stem}_test.toml" for path in FILES] == list(cases.files)
    assert run_prepared(shipped, cases).failures == ()
    assert [str(mutant) for mutant in survey(shipped, cases).unnoticed] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_line_is_explained(path: Path) -> None:
    """Each key stands beside or under a comment."""
    lines = path.read_text().splitlines()
    for place, line in enumerate(lines):
        if "=" in line.split("#")[0]:
            assert "#" in line or lines[place - 1].startswith("#"), line


@pytest.mark.parametrize(
    ("what", "found"),
    [
        (order("66", "303.03"), []),
        (order("100", "200"), []),
        (order("100", "200.01"), [Code.MAX_ORDER_VALUE]),
        (order("10", "250", **AAPL), []),
        (order("10", "250.01", **AAPL), [Code.MAX_ORDER_VALUE]),
        (order("1", "1", time_in_force=TimeInForce.GTC), []),
        (order("1", "1", order_type=OrderType.STOP_LIMIT), []),
        (order("1", "1", order_type=OrderType.STOP), [Code.PRICE_UNAVAILABLE]),
        (order("1", "1", order_type=OrderType.MARKET), [Code.ORDER_TYPE, Code.PRICE_UNAVAILABLE]),
        (order("1", "1", code="80700"), [Code.FX_UNAVAILABLE, Code.FX_UNAVAILABLE]),
        (order("1", "1", market="SG", code="D05"), [Code.MARKET, Code.FX_UNAVAILABLE, Code.FX_UNAVAILABLE]),
    ],
)
def test_real_money_meets_the_default_policy(shipped: PolicySet, what: PlaceOrder, found: list[Code]) -> None:
    """Each limit of default.toml at its bound and one tick over."""
    assert codes(asked(shipped, what, who=BOT, wall=MORNING)) == found


CALL = {"market": "US", "code": "AAPL260116C200000"}


@pytest.mark.parametrize(
    ("what", "where", "found"),
    [
        (order("100", None, order_type=OrderType.STOP, aux_price=Decimal("190.476")), world(quote("180")), []),
        (
            order("100", None, order_type=OrderType.STOP, aux_price=Decimal("190.477")),
            world(quote("180")),
            [Code.MAX_ORDER_VALUE],
        ),
        (order("100", None, order_type=OrderType.STOP, aux_price=Decimal(9)), world(quote("180")), []),
        (
            order("1", "5", side=Side.SELL, **CALL),
            world(what=option(), underlying=quote("250", symbol="US.AAPL")),
            [],
        ),
        (
            order("1", "5", side=Side.SELL, **CALL),
            world(what=option(), underlying=quote("250.01", symbol="US.AAPL")),
            [Code.MAX_ORDER_VALUE],
        ),
        (
            order("5", "5.001", **CALL),
            world(what=option(strike="1"), underlying=quote("1", symbol="US.AAPL")),
            [Code.MAX_ORDER_VALUE],
        ),
    ],
)
def test_real_stops_and_options_are_valued_in_their_world(
    shipped: PolicySet, what: PlaceOrder, where: World, found: list[Code]
) -> None:
    """A stop at 20,000 HKD with its 5 % buffer; an option at 2,500 USD of premium and 25,000 USD of what it is on."""
    assert codes(asked(shipped, what, who=BOT, wall=MORNING, world=where)) == found


def test_a_day_of_real_money(shipped: PolicySet) -> None:
    """Ten full orders in Hong Kong and ten in the United States pass on one day; the next of each does not."""
    book = Book()
    for place in range(10):
        assert not book.place(
            asked(shipped, order("100", "200"), who=BOT, wall=MORNING, mark=str(place)), at_s=place * 60
        )
        what = order("10", "250", **AAPL)
        assert not book.place(asked(shipped, what, who=BOT, wall=MORNING, mark=str(place)), at_s=place * 60)

    for what in (order("1", "1"), order("1", "1", **AAPL)):
        (reason,) = book.place(asked(shipped, what, who=BOT, wall=MORNING), at_s=700)
        assert (reason.code, reason.policy) == (Code.DAILY_VALUE, "default")
    assert not book.place(asked(shipped, who=BOT, wall=MORNING + timedelta(days=3)), at_s=800)


def test_the_rates_of_the_default_policy(shipped: PolicySet) -> None:
    """15 orders and 20 changes in 30 s, 3,000 reads in a minute, and duplicates for 5 s."""
    new = {claim.counter.split("/")[0]: claim for claim in asked(shipped, who=BOT).claims}
    change = {
        claim.counter.split("/")[0]: claim for claim in asked(shipped, who=BOT, effect=Effect.ORDER_CHANGE).claims
    }
    (read,) = judge_read(shipped, BOT, wall=MORNING).claims

    assert (new["new_orders"].cap, new["new_orders"].window_ms) == (15, 30_000)
    assert (change["changes"].cap, change["changes"].window_ms) == (20, 30_000)
    assert (read.cap, read.window_ms) == (3000, 60_000)
    assert new["duplicate"].window_ms == 5000


@pytest.mark.parametrize(
    ("market", "code", "amount"),
    [
        ("HK", "00700", 1_000_000),
        ("US", "AAPL", 125_000),
        ("HKCC", "600000", 900_000),
        ("HK", "80700", 900_000),
        ("JP", "7203", 20_000_000),
        ("SG", "D05", 165_000),
        ("AU", "BHP", 190_000),
        ("CA", "SHOP", 175_000),
        ("MY", "1155", 550_000),
    ],
)
def test_everything_may_be_tried_on_paper(shipped: PolicySet, market: str, code: str, amount: int) -> None:
    """Every market and currency, up to about a million Hong Kong dollars an order, at the bound and one tick over."""
    what = order("1", str(amount), market=market, code=code)
    over = order("1", f"{amount}.001", market=market, code=code)

    assert not codes(asked(shipped, what, who=BOT, account=PAPER))
    assert codes(asked(shipped, over, who=BOT, account=PAPER)) == [Code.MAX_ORDER_VALUE]
    assert not codes(asked(shipped, order("1", "1", market=market, code=code), who=AGENT, account=PAPER))


@pytest.mark.parametrize("account", [REAL, PAPER], ids=["real", "paper"])
def test_agents_meet_their_own_limits_too(shipped: PolicySet, account: object) -> None:
    """5,000 HKD or 600 USD an order, at the bound and one tick over, in both environments."""
    at = PAPER if account is PAPER else REAL
    for what, over in (
        (order("25", "200"), order("25", "200.001")),
        (order("6", "100", **AAPL), order("6", "100.001", **AAPL)),
    ):
        assert not codes(asked(shipped, what, who=AGENT, account=at))
        assert [(r.code, r.policy) for r in asked(shipped, over, who=AGENT, account=at).reasons] == [
            (Code.MAX_ORDER_VALUE, "agents")
        ]


def test_an_agents_loop_runs_into_a_wall(shipped: PolicySet) -> None:
    """The same order is refused for a minute, the fourth order in a minute too, and the day ends at 20,000 HKD."""
    book, full = Book(), Decimal(5000)
    assert not book.place(asked(shipped, order("1", str(full)), who=AGENT))
    (same,) = book.place(asked(shipped, order("1", str(full)), who=AGENT), at_s=59)
    assert (same.code, same.policy) == (Code.DUPLICATE_ORDER, "agents")
    for place in range(2):
        assert not book.place(asked(shipped, order("1", str(full), remark=str(place)), who=AGENT), at_s=59)
    (fourth,) = book.place(asked(shipped, order("1", "1"), who=AGENT), at_s=59)
    assert (fourth.code, fourth.policy, fourth.unit) == (Code.RATE, "agents", "orders/60s")

    assert not book.place(asked(shipped, order("1", str(full), remark="x"), who=AGENT), at_s=120)
    (day,) = book.place(asked(shipped, order("1", "1"), who=AGENT), at_s=180)
    assert (day.code, day.policy, day.limit) == (Code.DAILY_VALUE, "agents", "20000")
