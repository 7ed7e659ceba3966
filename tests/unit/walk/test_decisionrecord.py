"""What is written of a decision: member by member what was found out, however few of them a request has."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from hashlib import sha256
from itertools import product
from typing import Final

import msgspec
import pytest
from msgspec import Raw

from guard.activeconfig import ActiveConfig
from guard.catalogue import ENDPOINTS
from guard.codes import Code
from guard.journal import ABSENT, Decision, seen_of
from guard.limits import About, Amounts, Holder
from guard.terms import (
    NOT_ASKED,
    Account,
    Call,
    Claim,
    Effect,
    Endpoint,
    Env,
    Header,
    ModifyOrder,
    Money,
    Op,
    OrderType,
    PlaceOrder,
    Principal,
    Quote,
    Read,
    Reason,
    Refusal,
    Side,
    Valuation,
    World,
    refuse,
    utc,
)
from guard.walk.decisionrecord import NOT_JUDGED, Judged, record_of
from guard.walk.visit import NOTHING_KNOWN, Situation, Visit
from tests.support.clock import START_US
from tests.support.journal import SHA

STANDING: Final = ActiveConfig(None, None, (), None, b"", SHA)  # type: ignore[arg-type]
REAL: Final = Account(Env.REAL, 281756478875559548)
HEADER: Final = Header(None, REAL.acc_id, None, 1)
ORDER: Final = PlaceOrder(
    HEADER, "HK", "HK.00700", "00700", Side.BUY, OrderType.NORMAL, Decimal(100), Decimal(300), packet_id=(7, 9)
)
HOLDER: Final = Holder("01H", About("bot", REAL, "US", "US.AAPL", b""), b"{}", Amounts())
PRINCIPALS: Final = (
    None,
    Principal("bot@2", "bot", frozenset({"trade:real"})),
    Principal("bot", "bot", frozenset({"trade:real", "acc:read"}), jti="j\x1b1"),
)
HEADS: Final[tuple[Mapping[str, str], ...]] = (
    {"authorization": "Bearer x"},
    {"user-agent": "bot/1\x1b[2J"},
    {
        "idempotency-key": "once",
        "guard-intent": "hedge \xe4\xbd\x99",
        "user-agent": "bot " * 80,
        "x-request-id": "r-1 gk_" + "ab" * 32,
    },
)
REFUSALS: Final = (
    None,
    refuse(Code.RATE, "too many"),
    Refusal((Reason(Code.HALTED, "locked", rule="state"),), 1.5, "300", note="for the record"),
)
JUDGED: Final = (
    NOT_JUDGED,
    Judged(
        claims=(
            Claim("spend", "daily_value/key=bot|HKD|day", 7, cap=9),
            Claim("rate", "new_orders/key=bot", 1, cap=15, window_ms=30_000),
        ),
        used=(2, 3),
        order=b'{"c2s":{}}',
        resulting=b'{"c2s":{"qty":1}}',
        exits=5,
        shadow=(Reason(Code.RATE, "m", policy="watched"),),
    ),
)
WORLD: Final = World(NOT_ASKED, Quote("HK.00700", last=Decimal("300.2")), NOT_ASKED)
WORTH: Final = Valuation(Money(Decimal(30_000), "HKD"), Decimal(300), "limit")


def endpoint(path: str) -> Endpoint:
    """A row of the catalogue."""
    return next(row for row in ENDPOINTS if row.path == path)


def enabled(holder: Holder | None) -> Situation:
    """A disabled order that shall work again, found or not."""
    intent = ModifyOrder(HEADER, "9", None, Op.ENABLE, packet_id=(1, 2))
    return Situation(intent, env=None, acc_id=REAL.acc_id, account=REAL, holder=holder, order=ORDER if holder else None)


SITUATIONS: Final[tuple[tuple[Endpoint | None, Effect | None, tuple[Situation, ...]], ...]] = (
    (None, None, (NOTHING_KNOWN,)),
    (endpoint("/api/quote"), Effect.READ, (NOTHING_KNOWN, Situation(Read(None), env=Env.SIMULATE, acc_id=5))),
    (
        endpoint("/api/order"),
        Effect.ORDER_NEW,
        (
            NOTHING_KNOWN,
            Situation(ORDER, env=None, acc_id=REAL.acc_id, account=REAL, order=ORDER),
            Situation(ORDER, acc_id=REAL.acc_id, account=REAL, order=ORDER, worth=WORTH, world=WORLD),
        ),
    ),
    (endpoint("/api/modify-order"), Effect.ORDER_CHANGE, (NOTHING_KNOWN, enabled(None), enabled(HOLDER))),
    (
        endpoint("/api/modify-order"),
        Effect.ORDER_CANCEL,
        (Situation(ModifyOrder(HEADER, "9", None, Op.NORMAL), account=REAL, acc_id=REAL.acc_id, holder=HOLDER),),
    ),
)


def visits(row: Endpoint | None, effect: Effect | None) -> Iterator[Visit]:
    """Whoever asks, with whatever head; some of them asked for by the guard itself."""
    for principal, head, (batch, why) in product(PRINCIPALS, HEADS, ((None, ""), ("01B", "breaker"))):
        call = Call("POST", "/api/" + "ab" * 40, head, b"", "10.0.0.7")
        visit = Visit(call, "01V", utc(START_US), START_US, 17, 1, STANDING, row, effect, principal)
        visit.batch, visit.why = batch, why
        yield visit


def spelled_out(
    visit: Visit, refusal: Refusal | None, seen: Situation, judged: Judged, replays: str | None
) -> Decision:
    """Each member by itself, whether there is anything to say or not."""
    head, principal, trades = visit.call.head, visit.principal, {Effect.ORDER_NEW, Effect.ORDER_CHANGE}
    env = seen.account.env if seen.account and visit.effect in trades | {Effect.ORDER_CANCEL} else seen.env
    clean = {
        "bot/1\x1b[2J": "bot/1 [2J",
        "bot " * 80: ("bot " * 80)[:99] + "…",
        HEADS[2]["x-request-id"]: "r-1 ***",
        None: None,
    }
    return Decision(
        id="01V",
        t=17,
        key=principal.id if principal else None,
        endpoint=visit.endpoint.path if visit.endpoint else "/api/...",
        outcome="refuse" if refusal else "allow",
        code=refusal.reasons[0].code.value if refusal else None,
        reasons=refusal.reasons if refusal else (),
        policy_sha256="",
        config_sha256=SHA,
        effect=visit.effect.value if visit.effect else None,
        intent="hedge 余" if "guard-intent" in head else None,
        environment=None if env is None else {Env.REAL: "real", Env.SIMULATE: "simulate"}[env],
        account=seen.acc_id,
        market=seen.market,
        symbol=getattr(seen.order or seen.holder, "symbol", None),
        of=seen.holder.id if seen.holder else None,
        replays=replays,
        batch=visit.batch,
        anew=seen.comes_back,
        packet_id=getattr(seen.intent, "packet_id", None),
        order=Raw(judged.order) if judged.order else ABSENT,
        resulting=Raw(judged.resulting) if judged.resulting else ABSENT,
        valuation=seen.worth if isinstance(seen.worth, Valuation) else None,
        world=seen_of(seen.world, exits=judged.exits) if seen.world and judged.claims else None,
        claims=judged.claims,
        used=judged.used,
        shadow=judged.shadow,
        idempotency=sha256(b"once").hexdigest() if "idempotency-key" in head else None,
        retry_after_s=refusal.retry_after_s if refusal else None,
        largest_qty=refusal.largest_qty if refusal else None,
        peer="10.0.0.7",
        user_agent=clean[head.get("user-agent")],
        request_id=clean[head.get("x-request-id")],
        jti="j 1" if principal and principal.jti else None,
        scopes=("acc:read", "trade:real") if principal and principal.jti else (),
        note=refusal.note if refusal else visit.why,
    )


@pytest.mark.parametrize(("row", "effect", "situations"), SITUATIONS)
def test_a_decision_is_written_as_if_each_member_were_spelled_out(
    row: Endpoint | None, effect: Effect | None, situations: tuple[Situation, ...]
) -> None:
    """Strangers, keys and tokens, passed or refused, new orders and changes: the same bytes."""
    for visit, refusal, seen, judged, replays in product(
        visits(row, effect), REFUSALS, situations, JUDGED, (None, "01A")
    ):
        written = msgspec.json.encode(record_of(visit, refusal, seen, judged=judged, replays=replays))
        assert written == msgspec.json.encode(spelled_out(visit, refusal, seen, judged, replays))
