"""Cases about what the daemon answers: what is believed, what is told on, and what is held until evidence comes."""

from typing import Final

from guard.selftest.case import Ask, Case
from guard.selftest.words import MODIFY, ORDERS, UNLOCK, WRONG, account, change, order
from guard.simulator.faults import Garbage, HttpError, Ids, RetType

_UNKNOWN: Final = "outcome_unknown"

ANSWERS: Final = (
    Case(
        id="B34",
        sentence="A success without an order id is no success: the money stays held and the caller is told 504.",
        steps=(
            Ask(body=order(env="real"), fault=Ids(order_id=0, order_id_ex=""), status=504, code=_UNKNOWN),
            Ask(body=order(env="real", qty=200), fault=Ids(order_id_ex="0"), status=504, code=_UNKNOWN),
        ),
        proves=("verdict",),
    ),
    Case(
        id="B33",
        sentence="A new order answered with an earlier order's id was not answered.",
        steps=(Ask(), Ask(body=order(qty=200), fault=Ids(order_id_ex="<1>"), status=504, code=_UNKNOWN)),
        proves=("verdict",),
    ),
    Case(
        id="B31-success",
        sentence="An answer that cannot be read, or an error of the daemon's own, is unknown: neither yes nor no.",
        steps=(
            Ask(fault=Garbage(), status=504, code=_UNKNOWN),
            Ask(body=order(qty=200), fault=HttpError(status=500), status=504, code=_UNKNOWN),
            Ask(body=order(qty=300), fault=RetType(-400), status=504, code=_UNKNOWN),
        ),
        proves=("verdict",),
    ),
    Case(
        id="W20",
        sentence="After a lost answer the same Idempotency-Key places nothing; after a told one it tells it again.",
        steps=(
            Ask(head={"Idempotency-Key": "once"}, fault=Garbage(acts=True), status=504, code=_UNKNOWN),
            Ask(head={"Idempotency-Key": "once"}, status=409, code=_UNKNOWN),
            Ask(body=order(qty=300), head={"Idempotency-Key": "twice"}),
            Ask(body=order(qty=300), head={"Idempotency-Key": "twice"}, shows=("<3>",), sends={}),
        ),
        proves=("hold",),
    ),
    Case(
        id="B20",
        sentence="An order that the daemon's list does not show yet is still counted, and still a duplicate.",
        steps=(
            Ask(),
            Ask(path=ORDERS, body=account(), fault=RetType(0)),
            Ask(status=409, code="duplicate_order"),
        ),
        proves=("hold", "orders.duplicate_window_s"),
    ),
    Case(
        id="G08",
        sentence="While nobody knows what became of a change, the order's next change waits.",
        steps=(
            Ask(),
            Ask(path=MODIFY, body=change(qty=200), fault=Garbage(), status=504, code=_UNKNOWN),
            Ask(path=MODIFY, body=change(qty=300), status=409, code=_UNKNOWN),
        ),
        proves=("in_the_way",),
    ),
    Case(
        id="B31-tries",
        sentence="How many tries are left for the trade password is told to nobody.",
        steps=(
            Ask(
                path=UNLOCK,
                body={"unlock": True, "pwd_md5": WRONG, "acc_ids": [123456]},
                hides=("9 attempts", "8 attempts", "7 attempts"),
                shows=("attempts",),
            ),
        ),
        proves=("pass_on",),
    ),
)
