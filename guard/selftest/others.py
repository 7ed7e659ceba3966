"""Cases about other callers: their orders, their subscriptions, and what is pushed to whom."""

from typing import Final

from guard.selftest.case import Ask, Case, Hear
from guard.selftest.drill import FENCED
from guard.selftest.words import (
    CANCEL_ALL,
    MODIFY,
    ORDERS,
    account,
    cancel,
    change,
    order,
)

_LINE: Final = {"symbols": ["HK.00001"], "sub_types": [1]}

OTHERS: Final = (
    Case(
        id="B27-origin",
        sentence="A page in a browser opens no stream.",
        steps=(Hear(head={"Origin": "http://evil.example"}, status=400),),
    ),
    Case(
        id="B18",
        sentence="Two keys may use the same Idempotency-Key, and one key for two things is told so.",
        steps=(
            Ask(head={"Idempotency-Key": "k-1"}),
            Ask(who="other", body=order(qty=300), head={"Idempotency-Key": "k-1"}, sends={"qty": 300}),
            Ask(
                body=order(qty=200),
                head={"Idempotency-Key": "k-1"},
                status=409,
                code="idempotency_conflict",
            ),
            Ask(path=MODIFY, body=cancel(), head={"Idempotency-Key": "k-1"}, sends={"modify_order_op": 2}),
        ),
        proves=("judge",),
    ),
    Case(
        id="G02",
        sentence="An order of another key is neither changed nor cancelled.",
        steps=(
            Ask(),
            Ask(path=MODIFY, who="other", body=change(qty=200), status=403, code="not_your_order"),
            Ask(path=MODIFY, who="other", body=cancel(), status=403, code="not_your_order"),
            Ask(path=MODIFY, body=cancel()),
        ),
        proves=("ownership",),
    ),
    Case(
        id="W12-others",
        sentence="A cancel of all leaves the orders of other keys alone.",
        steps=(
            Ask(),
            Ask(who="other", body=order(qty=300)),
            Ask(path=CANCEL_ALL, body=account(), who="other", shows=("results",)),
            Ask(path=ORDERS, body=account(), shows=('"order_status":5,"order_id":<id 1>',)),
        ),
        proves=("own_orders_only",),
    ),
    Case(
        id="G03",
        sentence="A key that sees its own orders alone is shown no other's, in lists and in pushes.",
        steps=(
            Ask(),
            Ask(who="own", body=order(qty=300)),
            Ask(path=ORDERS, body=account(), who="own", hides=("<1>",), shows=("<2>",)),
            Hear(who="own", pushes=("trade 123456 1", "quote - -"), order="<1>", hears=("quote",)),
            Hear(who="own", pushes=("trade 123456 1", "quote - -"), order="<2>", hears=("trade", "quote")),
        ),
        proves=("answer_view", "may_see_order"),
    ),
    Case(
        id="B17",
        sentence="Diagnostics of the daemon's pushes tell of no other caller's accounts.",
        steps=(
            Ask(path="/api/sub-acc-push", body={"acc_id_list": [123456, FENCED]}),
            Ask(
                path="/api/push-subscriber-info",
                body=None,
                who="quotes",
                hides=(str(FENCED), "123456"),
                shows=("push_stream_healthy",),
            ),
        ),
        proves=("answer_view",),
    ),
    Case(
        id="B04",
        sentence="A key for quotes hears quotes: each event wants its own scope.",
        steps=(Hear(who="quotes", pushes=("trade 123456 1", "quote - -"), hears=("quote",)),),
        proves=("may_see",),
    ),
    Case(
        id="B31",
        sentence="Trade events are cut to the key's accounts and markets.",
        steps=(
            Hear(who="fenced", pushes=("trade 123456 1", f"trade {FENCED} 1", "quote - -"), hears=("trade", "quote")),
            Hear(who="market", pushes=("trade 123456 1", "trade 123456 2", "quote - -"), hears=("trade", "quote")),
        ),
        proves=("may_see",),
    ),
    Case(
        id="W13",
        sentence="A trade event without a market or an account is nobody's whose key is bound to some.",
        steps=(
            Hear(who="market", pushes=("trade 123456 -", "quote - -"), hears=("quote",)),
            Hear(who="fenced", pushes=("trade - 1", "quote - -"), hears=("quote",)),
        ),
        proves=("may_see",),
    ),
    Case(
        id="W18",
        sentence="No key ends what another one has subscribed.",
        steps=(
            Ask(path="/api/subscribe", body=_LINE),
            Ask(path="/api/subscribe", who="other", body=_LINE),
            Ask(path="/api/unsubscribe", who="other", body=_LINE),
            Ask(path="/api/sub-info", body=None, shows=('"code":"00001"',)),
        ),
    ),
    Case(
        id="W18-seen",
        sentence="No key is shown what another one has subscribed.",
        steps=(
            Ask(path="/api/subscribe", body={"symbols": ["HK.00939"], "sub_types": [1]}),
            Ask(path="/api/subscribe", who="other", body={"symbols": ["HK.01299"], "sub_types": [1]}),
            Ask(path="/api/sub-info", body=None, who="other", hides=("00939",), shows=("01299",)),
            Ask(path="/api/query-subscription", body={"is_req_all_conn": True}, hides=("01299",), shows=("00939",)),
        ),
        proves=("answer_view",),
    ),
)
