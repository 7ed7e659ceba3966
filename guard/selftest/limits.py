"""Cases about limits: each on each route, counted once for all of them, across restarts, and never for a cancel."""

from typing import Any, Final

from guard.selftest.case import Ask, Case, Do
from guard.selftest.words import MODIFY, ORDERS, account, cancel, change, order

_LIMITS: Final[tuple[tuple[str, str, str, str, dict[str, Any]], ...]] = (
    ("trader", "instruments.markets", "market", "Markets", {"market": "JP", "code": "7203"}),
    ("trader", "instruments.blocked_symbols", "symbol", "Blocked symbols", {"code": "00005"}),
    ("buying", "orders.sides", "side", "Sides", {"side": "SELL", "price": 350}),
    ("trader", "orders.types", "order_type", "Types", {"order_type": "SPECIAL_LIMIT"}),
    ("trader", "orders.time_in_force", "time_in_force", "Times in force", {"time_in_force": "GTC"}),
    ("small", "orders.max_qty", "max_order_qty", "Quantities", {"qty": 200}),
    ("narrow", "instruments.symbols", "symbol", "Symbols", {"code": "09988", "price": 90}),
    ("closed", "hours", "hours", "Hours", {}),
    ("market", "allowed_markets", "market", "A key's markets", {}),
    ("symbol", "allowed_symbols", "symbol", "A key's symbols", {"code": "09988", "price": 90}),
    ("side", "allowed_trd_sides", "side", "A key's sides", {"side": "SELL", "price": 350}),
    ("value", "max_order_value", "max_order_value", "A key's order value", {"qty": 200}),
    ("night", "hours_window", "hours", "A key's hours", {}),
)


def _limit(row: tuple[str, str, str, str, dict[str, Any]]) -> Case:
    role, rule, code, what, members = row
    number = f"B06-{rule.rpartition('.')[2]}"
    refused = Ask(who=role, body=order(**members), status=403, code=code)
    return Case(
        id=number,
        sentence=f"{what}: bound on this route as on any other, with 403.",
        steps=(refused,),
        proves=(rule,),
    )


def _third(row: tuple[str, str, str, str, str], *, status: int = 403, room: int = 2) -> Case:
    """So many orders pass, and the next does not."""
    number, role, rule, code, sentence = row
    asks = [Ask(who=role, body=order(price=201 - n)) for n in range(room)]
    last = Ask(who=role, body=order(price=190), status=status, code=code)
    return Case(id=number, sentence=sentence, steps=(*asks, last), proves=(rule, "hold"))


_DAY: Final = ("B06-daily_value", "daily", "budgets.daily_value", "daily_value", "A day's value is one sum of orders.")
_TOTAL: Final = ("B06-max_daily_value", "total", "max_daily_value", "daily_value", "A key's daily value binds.")
_COUNT: Final = ("B06-per_day", "counted", "orders.per_day", "orders_per_day", "Orders of a day are counted.")
_OPEN: Final = ("B06-open_orders", "open", "budgets.open_orders", "open_orders", "Working orders are counted.")
_WORK: Final = ("B06-open_value", "openvalue", "budgets.open_value", "open_value", "Working orders are summed up.")
_RATE: Final = ("B05", "minute", "max_orders_per_minute", "rate", "One rate counts every connection of a key.")

LIMITS: Final = (
    *(_limit(row) for row in _LIMITS),
    *(_third(row) for row in (_DAY, _TOTAL, _COUNT, _WORK)),
    _third(_OPEN, room=1),
    _third(_RATE, status=429),
    Case(
        id="B02-rate",
        sentence="Changes have their rate: no route is without one.",
        steps=(
            Ask(who="rated"),
            Ask(path=MODIFY, who="rated", body=change(qty=200)),
            Ask(path=MODIFY, who="rated", body=change(qty=300), status=429, code="rate"),
        ),
        proves=("rates.changes", "hold"),
    ),
    Case(
        id="W09",
        sentence="A key whose rate and hours are used up can still cancel.",
        steps=(
            Ask(who="rated"),
            Ask(who="rated", body=order(qty=200)),
            Ask(who="rated", body=order(qty=300), status=429, code="rate"),
            Ask(path=MODIFY, who="rated", body=cancel(), sends={"modify_order_op": 2}),
        ),
        proves=("rates.new_orders", "hold"),
    ),
    Case(
        id="W09-refused",
        sentence="A refused order uses up nothing.",
        steps=(
            Ask(who="rated", body=order(qty=100_000), status=403, code="max_order_value", times=4),
            Ask(who="rated"),
            Ask(who="rated", body=order(qty=200)),
        ),
    ),
    Case(
        id="B09",
        sentence="What a list forbids is 403: nobody is told to try again.",
        steps=(Ask(body=order(code="00005"), status=403, code="symbol", hides=('"retryable":true',)),),
        proves=("instruments.blocked_symbols",),
    ),
    Case(
        id="B28",
        sentence="The same order again is refused while the window lasts, with the way to place it on purpose.",
        steps=(
            Ask(),
            Ask(status=409, code="duplicate_order", shows=("Idempotency-Key",)),
            Ask(head={"Idempotency-Key": "again"}),
        ),
        proves=("orders.duplicate_window_s", "hold"),
    ),
    Case(
        id="W10",
        sentence="A restart forgets no counter.",
        steps=(
            Ask(who="daily"),
            Ask(who="daily", body=order(qty=150)),
            Do("restart"),
            Ask(who="daily", body=order(price=190), status=403, code="daily_value"),
        ),
        proves=("budgets.daily_value",),
    ),
    Case(
        id="G05",
        sentence="Reads have their rate, and so have cancels where a policy gives them one.",
        steps=(
            Ask(path=ORDERS, body=account(), who="reading", times=2),
            Ask(path=ORDERS, body=account(), who="reading", status=429, code="rate"),
            Ask(who="cancelling"),
            Ask(path=MODIFY, body=cancel(order_id_ex="<4>"), who="cancelling"),
            Ask(path=MODIFY, body=cancel(order_id_ex="<4>"), who="cancelling", status=429, code="rate"),
        ),
        proves=("judge_passing", "rates.reads", "rates.cancels"),
    ),
    Case(
        id="G09",
        sentence="Where trading is not switched on, nothing that adds risk goes out, and cancels do.",
        steps=(
            Ask(status=403, code="trading_disabled"),
            Ask(path=MODIFY, body=cancel(order_id_ex="<number>"), sends={"modify_order_op": 2}),
        ),
        proves=("state",),
        stage="off",
    ),
    Case(
        id="G06",
        sentence="With the HALT file there, nothing that adds risk goes out, and cancels do.",
        steps=(
            Ask(),
            Do("halt"),
            Ask(body=order(qty=200), status=423, code="halted"),
            Ask(path=MODIFY, body=change(qty=200), status=423, code="halted"),
            Ask(path=MODIFY, body=cancel()),
            Do("unhalt"),
        ),
    ),
    Case(
        id="G07",
        sentence="The decision is in the record before the daemon sees the order.",
        steps=(Ask(records=True),),
        proves=("when_recorded",),
    ),
    Case(
        id="W14",
        sentence="What the broker limits is shared out: a burst of reads does not use up the account's.",
        steps=(
            Ask(path="/api/flow-summary", body=account(clearing_date="2026-11-20"), times=20),
            Ask(path="/api/flow-summary", body=account(clearing_date="2026-11-20"), status=429, code="rate"),
        ),
        proves=("judge_passing",),
        stage="broker",
    ),
    Case(
        id="W14-anew",
        sentence="Reads that have the broker asked anew are counted: they leave what the guard asks with.",
        steps=(
            Ask(path="/api/positions", body=account(refresh_cache=True), times=2),
            Ask(path="/api/positions", body=account(refresh_cache=True), status=429, code="rate"),
            Ask(path="/api/positions", body=account()),
        ),
        proves=("judge_passing",),
        stage="broker",
    ),
)
