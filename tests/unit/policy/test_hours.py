"""Hours of markets and of keys."""

from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from guard.codes import Code
from guard.policy.hours import Hours
from guard.policy.notation import Window
from guard.policy.rule import Proposal
from guard.terms import Effect, KeyLimits
from tests.support.policy import REAL, asked, caller, codes, order, policies, worth
from tests.support.worlds import exchange, world

RULES = """
[instruments]
markets = ["HK", "US", "FUTURES_HK", "CN"]
[hours]
HK = ["09:30-12:00", "13:00-16:00"]
US = "always"
FUTURES_HK = "17:15-03:00"
CN = []
"""
HK = ZoneInfo("Asia/Hong_Kong")


def at(text: str) -> datetime:
    """A time in Hong Kong."""
    return datetime.fromisoformat(text).replace(tzinfo=HK)


@pytest.mark.parametrize(
    ("wall", "is_open"),
    [
        ("2026-11-20T09:29:59.999999", False),
        ("2026-11-20T09:30:00", True),
        ("2026-11-20T11:59:59.999999", True),
        ("2026-11-20T12:00:00", False),
        ("2026-11-20T13:00:00", True),
        ("2026-11-20T16:00:00", False),
        ("2026-11-21T10:00:00", False),
        ("2026-11-22T10:00:00", False),
        ("2026-11-23T10:00:00", True),
    ],
)
def test_windows_are_half_open_and_on_weekdays(wall: str, *, is_open: bool) -> None:
    """The first moment of a window is inside, the last is not; Saturday and Sunday are closed."""
    assert codes(asked(RULES, wall=at(wall))) == ([] if is_open else [Code.HOURS])


@pytest.mark.parametrize(
    ("wall", "is_open"),
    [
        ("2026-11-20T17:14:59", False),
        ("2026-11-20T17:15:00", True),
        ("2026-11-21T02:59:59", True),
        ("2026-11-21T03:00:00", False),
        ("2026-11-21T17:15:00", False),
        ("2026-11-23T02:00:00", False),
        ("2026-11-24T02:00:00", True),
    ],
)
def test_a_night_belongs_to_the_day_on_which_it_begins(wall: str, *, is_open: bool) -> None:
    """Friday's night session runs into Saturday; there is none from Sunday into Monday."""
    what = order(market="FUTURES_HK", code="HSI2612")

    assert codes(asked(RULES, what, wall=at(wall))) == ([] if is_open else [Code.HOURS])


def test_always_is_always() -> None:
    """The word holds at weekends too; an empty list never."""
    sunday = at("2026-11-22T10:00:00")

    assert not codes(asked(RULES, order(market="US", code="AAPL"), wall=sunday))
    assert codes(asked(RULES, order(market="CN", code="600000"), wall=at("2026-11-20T10:00:00"))) == [Code.HOURS]


@pytest.mark.parametrize(("hk", "asks"), [('"always"', 1), ('"00:00-23:59"', 3)])
def test_hours_without_a_clock_are_asked_of_one_of_each_shape(
    hk: str, asks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is open at any time passed for all like it, a market that is never open refuses each; a clock is asked."""
    seen, judged = [], Hours.judge

    def judge(rule: Hours, proposal: Proposal) -> Any:
        seen.append(proposal.order.symbol)
        return judged(rule, proposal)

    monkeypatch.setattr(Hours, "judge", judge)
    rules = policies(f'[instruments]\nmarkets = ["HK", "CN"]\n[hours]\nHK = {hk}\nCN = []')
    for day in (20, 23, 24):
        assert not codes(asked(rules, wall=at(f"2026-11-{day}T10:00:00")))
        assert codes(asked(rules, order(market="CN", code="600000"), wall=at(f"2026-11-{day}T10:00:00")))
    assert (seen.count("HK.00700"), len(seen)) == (asks, asks + 3)


def test_hours_bind_changes() -> None:
    """A change outside of the hours is refused as a new order is."""
    assert codes(asked(RULES, effect=Effect.ORDER_CHANGE, wall=at("2026-11-20T12:30:00"))) == [Code.HOURS]


def test_windows_move_with_daylight_saving() -> None:
    """09:30 in New York is another moment in summer than in winter."""
    rules = '[instruments]\nmarkets = ["US"]\n[hours]\nUS = "09:30-16:00"'
    what, zone = order(market="US", code="AAPL"), ZoneInfo("UTC")
    summer, winter = datetime(2026, 7, 1, 13, 30, tzinfo=zone), datetime(2026, 12, 1, 14, 30, tzinfo=zone)

    for opening in (summer, winter):
        assert not codes(asked(rules, what, wall=opening))
        assert codes(asked(rules, what, wall=opening - timedelta(microseconds=1))) == [Code.HOURS]


def test_a_refusal_tells_the_market_and_its_time() -> None:
    """The reason names market, local time and windows."""
    reason = asked(RULES, wall=at("2026-11-20T12:30:00")).reasons[0]

    assert reason.observed == "Fri 12:30 Asia/Hong_Kong"
    assert reason.limit == "09:30-12:00, 13:00-16:00"
    assert reason.message == (
        "HK is closed to orders on Fri 12:30 Asia/Hong_Kong; open on trading days: 09:30-12:00, 13:00-16:00"
    )


def test_a_market_without_hours_is_closed() -> None:
    """The rule itself fails closed for a market that its table does not name."""
    what = order(market="US", code="AAPL")
    rule = Hours("desk", {"HK": (Window(570, 720),)})
    proposal = Proposal("bot-a", Effect.ORDER_NEW, REAL, at("2026-11-20T10:00:00"), what, worth(what))

    reason = rule.judge(proposal)
    assert reason is not None
    assert reason.code is Code.HOURS
    assert reason.limit == "nothing"


@pytest.mark.parametrize(
    ("wall", "is_open"),
    [
        ("2026-11-21T21:59:59", False),
        ("2026-11-21T22:00:00", True),
        ("2026-11-22T01:59:59", True),
        ("2026-11-22T02:00:00", False),
    ],
)
def test_a_keys_window_is_every_day_in_the_keys_zone(wall: str, *, is_open: bool) -> None:
    """`hours_window` may cross midnight and knows no weekends; its zone is that of the keys file."""
    limits = KeyLimits(hours_window="22:00-02:00")
    judgement = asked(policies(tz="Asia/Hong_Kong"), who=caller(limits=limits), wall=at(wall))

    assert codes(judgement) == ([] if is_open else [Code.HOURS])
    if not is_open:
        assert (judgement.reasons[0].policy, judgement.reasons[0].rule) == ("key:bot-a", "hours_window")
        assert judgement.reasons[0].limit == "22:00-02:00"


# ---------------------------------------------------------------- the exchange has the last word

DAY = date(2026, 11, 20)
MORNING, NOON, AFTERNOON = at("2026-11-20T10:00:00"), at("2026-11-20T12:30:00"), at("2026-11-20T14:00:00")


@pytest.mark.parametrize(
    ("wall", "fields", "is_open"),
    [
        (MORNING, {"is_trading_day": True}, True),
        (MORNING, {"is_trading_day": False}, False),
        (MORNING, {"is_trading_day": None}, True),
        (NOON, {"is_trading_day": True}, False),
        (MORNING, {"is_trading_day": True, "state": "closed"}, False),
        (MORNING, {"is_trading_day": True, "state": "continuous"}, True),
        (MORNING, {"is_trading_day": True, "state": "break"}, True),
        (MORNING, {"is_trading_day": False, "state": "continuous"}, False),
        (at("2026-11-21T10:00:00"), {"day": date(2026, 11, 21), "is_trading_day": True}, True),
        (at("2026-11-21T10:00:00"), {"day": date(2026, 11, 21), "is_trading_day": None}, False),
        (MORNING, {"day": date(2026, 11, 18), "is_trading_day": False}, True),
        (MORNING, {"day": None, "is_trading_day": False}, True),
    ],
)
def test_the_exchanges_calendar_and_state_win(wall: datetime, fields: dict[str, Any], *, is_open: bool) -> None:
    """A holiday, a Saturday that is traded, a typhoon; a calendar of another day says nothing."""
    where = world(exchange=exchange(**{"day": DAY} | fields))

    assert codes(asked(RULES, wall=wall, world=where)) == ([] if is_open else [Code.HOURS])


@pytest.mark.parametrize(
    ("wall", "fields", "is_open"),
    [
        ("2026-11-20T17:30:00", {"day": "2026-11-20", "is_trading_day": True}, True),
        ("2026-11-20T17:30:00", {"day": "2026-11-20", "is_trading_day": False}, False),
        ("2026-11-21T02:00:00", {"day": "2026-11-21", "is_trading_day": False, "was_trading_day": True}, True),
        ("2026-11-20T02:00:00", {"day": "2026-11-20", "is_trading_day": True, "was_trading_day": False}, False),
        ("2026-11-20T02:00:00", {"day": "2026-11-20", "is_trading_day": True, "was_trading_day": None}, True),
    ],
)
def test_a_night_is_of_the_trading_day_on_which_it_begins(wall: str, fields: dict[str, Any], *, is_open: bool) -> None:
    """After midnight it is the day before that had to be a trading day."""
    what = order(market="FUTURES_HK", code="HSI2612")
    where = world(exchange=exchange("FUTURES_HK", **fields | {"day": date.fromisoformat(fields["day"])}))

    assert codes(asked(RULES, what, wall=at(wall), world=where)) == ([] if is_open else [Code.HOURS])


@pytest.mark.parametrize(
    ("wall", "fields", "is_open"),
    [
        (MORNING, {}, True),
        (AFTERNOON, {}, False),
        (AFTERNOON, {"state": "continuous"}, True),
        (AFTERNOON, {"state": "closed"}, False),
        (MORNING, {"is_afternoon_only": True}, False),
        (AFTERNOON, {"is_afternoon_only": True}, True),
        (AFTERNOON, {"is_half_day": False}, True),
    ],
)
def test_half_days(wall: datetime, fields: dict[str, Any], *, is_open: bool) -> None:
    """The market's state says whether it is over; where that is not known, calendar and clock do."""
    plain: dict[str, Any] = {"day": DAY, "is_trading_day": True, "is_half_day": True}
    where = world(exchange=exchange(**plain | fields))

    assert codes(asked(RULES, wall=wall, world=where)) == ([] if is_open else [Code.HOURS])


@pytest.mark.parametrize("is_afternoon_only", [True, False])
def test_a_half_day_says_nothing_of_the_night_that_ends_on_it(is_afternoon_only: bool) -> None:
    """Two in the morning of a half-day belongs to the day before, which was a whole one."""
    day = {"day": date(2026, 11, 24), "is_trading_day": True, "was_trading_day": True, "is_half_day": True}
    where = world(exchange=exchange("FUTURES_HK", **day, is_afternoon_only=is_afternoon_only))
    night = order(market="FUTURES_HK", code="HSI2612")

    assert codes(asked(RULES, night, wall=at("2026-11-24T02:00:00"), world=where)) == []


@pytest.mark.parametrize(("wall", "is_open"), [("2026-11-27T17:59:59", True), ("2026-11-27T18:00:00", False)])
def test_new_yorks_half_day_ends_at_one(wall: str, *, is_open: bool) -> None:
    """13:00 local on the day after Thanksgiving is 18:00 UTC."""
    rules = '[instruments]\nmarkets = ["US"]\n[hours]\nUS = "09:30-16:00"'
    day = date(2026, 11, 27)
    where = world(exchange=exchange("US", day=day, is_trading_day=True, is_half_day=True))
    moment = datetime.fromisoformat(wall).replace(tzinfo=ZoneInfo("UTC"))

    assert codes(asked(rules, order(market="US", code="AAPL"), wall=moment, world=where)) == (
        [] if is_open else [Code.HOURS]
    )


def test_always_is_always_whatever_the_exchange() -> None:
    """Who writes "always" asks nobody."""
    where = world(exchange=exchange("US", day=DAY, is_trading_day=False, state="closed"))

    assert not codes(asked(RULES, order(market="US", code="AAPL"), wall=MORNING, world=where))


def test_an_exchange_that_cannot_be_asked_refuses_within_the_windows() -> None:
    """A missing datum is no open market; outside of the windows the hours alone refuse."""
    assert codes(asked(RULES, wall=MORNING, world=world())) == [Code.REFERENCE_UNAVAILABLE]
    assert codes(asked(RULES, wall=NOON, world=world())) == [Code.HOURS]


@pytest.mark.parametrize(
    ("wall", "fields", "words"),
    [
        (MORNING, {"is_trading_day": False}, "Fri 2026-11-20 is no trading day"),
        (MORNING, {"is_trading_day": True, "state": "closed"}, "the exchange says that it is closed"),
        (
            AFTERNOON,
            {"is_trading_day": True, "is_half_day": True},
            "only the morning of 2026-11-20 is traded, and it turns at 12:00",
        ),
    ],
)
def test_a_refusal_tells_what_the_exchange_says(wall: datetime, fields: dict[str, Any], words: str) -> None:
    """Holiday, closure, half-day."""
    (reason,) = asked(RULES, wall=wall, world=world(exchange=exchange(day=DAY, **fields))).reasons

    assert reason.message.endswith(words)
