"""Cases about who asks: keys, scopes, environments, accounts, the lock, and a start without any of them."""

from typing import Final

from guard.selftest.case import Ask, Case, Do, Start
from guard.selftest.drill import CARD, FENCED
from guard.selftest.words import (
    ORDER,
    ORDERS,
    RECONFIRM,
    RIGHT,
    UNLOCK,
    WRONG,
    account,
    order,
)

_READS: Final = ("/api/funds", "/api/positions", ORDERS, "/api/order-fills", "/api/history-orders", "/api/order-fee")
_RECONFIRM: Final = account() | {"reconfirm_reason": 1}


def _no_account(path: str = ORDER, body: object = None, *, who: str = "fenced", same_as: int = 0) -> Ask:
    """A request that names an account which this key may not use."""
    return Ask(path=path, body=order() if body is None else body, who=who, status=403, code="account", same_as=same_as)


CALLERS: Final = (
    Case(
        id="B03",
        sentence="A revoked key is nobody's from the next request on, and its order does not go out.",
        steps=(Ask(), Do("revoke"), Ask(body=order(qty=200), status=401, code="unauthenticated")),
        proves=("identify",),
    ),
    Case(
        id="B08",
        sentence="A key bound to accounts is bound on reads too.",
        steps=tuple(_no_account(path, account()) for path in _READS),
        proves=("judge_passing",),
    ),
    Case(
        id="B15",
        sentence="An account is a pair with its environment; a pair that is not listed is refused to everybody.",
        steps=(
            _no_account(body=order(env="simulate", acc_id=FENCED), who="trader"),
            _no_account(body=order(acc_id=5), who="trader"),
        ),
        proves=("rights",),
    ),
    Case(
        id="B15-environment",
        sentence="A key for simulated trading places no real order.",
        steps=(Ask(who="paper", body=order(env="real", qty=200), status=403, code="environment"), Ask(who="paper")),
        proves=("rights",),
    ),
    Case(
        id="B22",
        sentence="Without a key, or with a wrong one, there is no order.",
        steps=(
            Ask(who=None, body=order(), status=401, code="unauthenticated"),
            Ask(body=order(), head={"Authorization": "Bearer gk_wrong"}, status=401, code="unauthenticated"),
            Ask(
                path="/api/ping",
                body=None,
                head={"Authorization": "Bearer gk_wrong"},
                status=401,
                code="unauthenticated",
            ),
        ),
        proves=("identify",),
        anywhere=True,
    ),
    Case(
        id="B24-file",
        sentence="A keys file that others may read lets nobody in: the guard does not start.",
        steps=(Start("keys_are_readable", "chmod"),),
    ),
    Case(
        id="B27",
        sentence="A keys file that cannot be parsed, or is not there, and a setting that is unknown: no start.",
        steps=(
            Start("keys_are_garbage", "keys.json"),
            Start("no_keys", "keys.json"),
            Start("unknown_setting", "unknown"),
        ),
    ),
    Case(
        id="B07",
        sentence="A record that cannot be written is no record: no start.",
        steps=(Start("no_record", "state"),),
    ),
    Case(
        id="B27-words",
        sentence="A refusal for scope names neither the key nor what another key has.",
        steps=(Ask(who="quotes", body=order(), status=403, code="scope", hides=("quotes-", "trader-")),),
        proves=("identify",),
    ),
    Case(
        id="B29-accounts",
        sentence="The account list is cut to what the key may see.",
        steps=(Ask(path="/api/accounts", body=None, who="fenced", hides=("123456,", "9032"), shows=(str(FENCED),)),),
        proves=("answer_view",),
    ),
    Case(
        id="B29",
        sentence="A key bound to accounts unlocks none by naming none.",
        steps=(_no_account(UNLOCK, {"unlock": True, "pwd_md5": WRONG}),),
        proves=("judge_passing",),
    ),
    Case(
        id="B30-cards",
        sentence="A key bound to a card is bound.",
        steps=(
            _no_account(ORDERS, account(), who="carded"),
            Ask(path=ORDERS, body=account(env="real", acc_id=None, card_num=CARD), who="carded"),
        ),
        proves=("judge_passing",),
    ),
    Case(
        id="B30-unlock",
        sentence="A key for simulated trading unlocks nothing.",
        steps=(Ask(path=UNLOCK, body={"unlock": True, "pwd_md5": WRONG}, who="paper", status=403, code="environment"),),
        proves=("judge_passing",),
    ),
    Case(
        id="B32",
        sentence="An account that exists and one that does not are refused in the same words.",
        steps=(
            _no_account(),
            _no_account(body=order(acc_id=77), same_as=1),
            _no_account(body=order(env="real"), same_as=1),
        ),
        proves=("rights",),
    ),
    Case(
        id="B19",
        sentence="An unlock that does not say which way is refused, not taken for lock; a lock is sent as one.",
        steps=(
            Ask(path=UNLOCK, body={}, status=400, code="missing_field"),
            Ask(path=UNLOCK, body={"unlock": False}, sends={"unlock": False}),
        ),
        proves=("parse",),
    ),
    Case(
        id="B10",
        sentence="A lock locks: real orders are refused by the daemon afterwards, and are told as refused.",
        steps=(
            Ask(path=UNLOCK, body={"unlock": True, "pwd_md5": RIGHT}),
            Ask(path=UNLOCK, body={"unlock": False}, sends={"unlock": False}),
            Ask(body=order(env="real"), shows=('"ret_type":-1',)),
            Ask(path=UNLOCK, body={"unlock": True, "pwd_md5": RIGHT}),
        ),
    ),
    Case(
        id="B27+B30-cooldown",
        sentence="After two wrong passwords no other is tried for a while, whichever way the accounts are named.",
        steps=(
            Ask(path=UNLOCK, body={"unlock": True, "pwd_md5": WRONG, "acc_ids": [FENCED]}, hides=("9 att", "8 att")),
            Ask(path=UNLOCK, body={"unlock": True, "pwd_md5": WRONG, "security_firm": 1}, hides=("9 att", "8 att")),
            Ask(
                path=UNLOCK,
                body={"unlock": True, "pwd_md5": WRONG, "acc_ids": [FENCED]},
                who="other",
                status=429,
                code="cooldown",
            ),
        ),
        proves=("judge_passing", "pass_on"),
    ),
    Case(
        id="B03-waiting",
        sentence="A key that is revoked while its request waits is nobody's: the key is looked at once more.",
        steps=(Ask(path=ORDERS, body=account(), meanwhile=Do("revoke"), status=401, code="unauthenticated"),),
        proves=("revoked",),
        stage="fresh",
    ),
    Case(
        id="W17",
        sentence="A reconfirmation is a trade: not for readers, not of an order that nobody knows, not past a limit.",
        steps=(
            Ask(),
            Ask(path=RECONFIRM, body=_RECONFIRM | {"order_id": "<id 1>"}, who="reader", status=403, code="scope"),
            Ask(path=RECONFIRM, body=_RECONFIRM | {"order_id": "<number>"}, status=403, code="unknown_order"),
            Do("tighten"),
            Ask(path=RECONFIRM, body=_RECONFIRM | {"order_id": "<id 1>"}, status=403, code="max_order_value"),
        ),
        proves=("identify", "ownership", "orders.max_value"),
    ),
)
