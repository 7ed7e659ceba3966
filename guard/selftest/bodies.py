"""Cases about what a request says: targets, names, numbers, and bodies that tell two stories."""

from typing import Final

from guard.selftest.case import Ask, Case
from guard.selftest.words import CANCEL_ALL, MODIFY, ORDER, ORDERS, UNLOCK, account, cancel, change, order, proto

_ONCE: Final = b'{"market":"HK","acc_id":123456,"env":"simulate","side":"BUY",'
_TWICE: Final = _ONCE + b'"acc_id":281756478875559548,'
_HEADER: Final = {"trd_env": 0, "acc_id": 123456, "trd_market": 1}
_CHUNKED: Final = b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"
_EVERYTHING: Final = {"symbols": ["HK.00700"], "sub_types": [1], "is_unsub_all": True}
_REST: Final = b'"code":"00700","qty":100,"price":200}'

BODIES: Final = (
    Case(
        id="B01",
        sentence="A path that is not in the table does not exist, whatever the daemon would make of it.",
        steps=(
            Ask(path="/api/cancel-order", body=cancel(order_id_ex="<number>"), status=404, code="unknown_endpoint"),
            Ask(path="/api/place-order", body=order(), status=404, code="unknown_endpoint"),
            Ask(path="/metrics", body=None, status=404, code="unknown_endpoint"),
            Ask(path="/api/order/", body=order(), status=404, code="unknown_endpoint"),
        ),
        proves=("find",),
        anywhere=True,
    ),
    Case(
        id="B01+B25-method",
        sentence="A path is asked with its own method only.",
        steps=(
            Ask(path=ORDER, body=None, status=405, code="method"),
            Ask(path="/api/accounts", body={}, status=405, code="method"),
        ),
        proves=("find",),
        anywhere=True,
    ),
    Case(
        id="B12",
        sentence="A field in camel case is refused by name, not dropped and replaced by a default.",
        steps=(
            Ask(body=order(acc_id=None, accId=123456), status=400, code="unknown_field", shows=("acc_id",)),
            Ask(body=order(env=None, trdEnv=1), status=400, code="unknown_field"),
            Ask(path=ORDERS, body=account(acc_id=None, accID=123456), status=400, code="unknown_field"),
        ),
        proves=("parse",),
        anywhere=True,
    ),
    Case(
        id="B13",
        sentence="Names that a normaliser would have to guess at are refused.",
        steps=(
            Ask(path=UNLOCK, body={"unlock": True, "pwdMD5": "0" * 32}, status=400, code="unknown_field"),
            Ask(body=order(env=None, TRD_ENV=1), status=400, code="unknown_field"),
        ),
        proves=("parse",),
        anywhere=True,
    ),
    Case(
        id="B16+W03",
        sentence="Header, code prefix and sec_market must agree: no American order goes out under a Hong Kong header.",
        steps=(
            Ask(body=order(code="US.AAPL"), status=400, code="bad_value"),
            Ask(body=order(market="US", code="HK.00700"), status=400, code="bad_value"),
            Ask(body=order(sec_market=2), status=400, code="bad_value"),
            Ask(body=order(market="US", code="US.HK.00700"), status=400, code="bad_value"),
        ),
        proves=("parse",),
        anywhere=True,
    ),
    Case(
        id="B20-names",
        sentence="A subscription with misspelt names is refused, not answered with a success that does nothing.",
        steps=(
            Ask(path="/api/subscribe", body={"symbolz": ["HK.00700"]}, status=400, code="unknown_field"),
            Ask(
                path="/api/unsubscribe",
                body={"symbols": ["HK.00700"], "subTypes": [1]},
                status=400,
                code="unknown_field",
            ),
        ),
        proves=("parse",),
        anywhere=True,
    ),
    Case(
        id="B23",
        sentence="The word bearer is taken in any case; a body beyond the bound is not read.",
        steps=(
            Ask(path=ORDERS, body=account(), head={"Authorization": "bearer <key>"}),
            Ask(body=order(remark="x" * 70_000), status=413, code="body_too_large"),
        ),
    ),
    Case(
        id="B24-enum",
        sentence="A market that does not exist is refused; it once returned real funds.",
        steps=(
            Ask(path="/api/funds", body=account(market=None, trd_market=999), status=400, code="bad_value"),
            Ask(body=order(market=None, trd_market=999), status=400, code="bad_value"),
        ),
        proves=("parse",),
        anywhere=True,
    ),
    Case(
        id="B25",
        sentence="Enumerations are checked on every trade route.",
        steps=(
            Ask(path=MODIFY, body=change(order_id_ex="1", op="BOGUS"), status=400, code="bad_value"),
            Ask(body=order(side="LONG"), status=400, code="bad_value"),
            Ask(body=order(order_type=99), status=400, code="bad_value"),
            Ask(path=CANCEL_ALL, body=account(market="MOON"), status=400, code="bad_value"),
        ),
        proves=("parse",),
        anywhere=True,
    ),
    Case(
        id="B26",
        sentence="A change without an operation is refused, and a cancel of all carries its own.",
        steps=(
            Ask(),
            Ask(path=MODIFY, body=change(op=None), status=400, code="missing_field"),
            Ask(path=CANCEL_ALL, body=account(), sends={"modify_order_op": 2, "order_id_ex": "<1>"}),
        ),
        proves=("parse",),
    ),
    Case(
        id="B30-unsub",
        sentence="Nobody ends everybody's subscriptions.",
        steps=(Ask(path="/api/unsubscribe", body=_EVERYTHING, status=400, code="bad_value"),),
        proves=("parse",),
        anywhere=True,
    ),
    Case(
        id="B32-numbers",
        sentence="What is no exact, finite, positive number is refused before any arithmetic.",
        steps=(
            Ask(body=_ONCE + b'"code":"00700","qty":NaN,"price":200}', status=400, code="bad_json"),
            Ask(body=order(qty=-100), status=400, code="bad_value"),
            Ask(body=order(qty=0), status=400, code="bad_value"),
            Ask(body=order(price="200"), status=400, code="bad_number"),
            Ask(body=order(qty=1e300), status=400, code="bad_number"),
        ),
        proves=("parse",),
        anywhere=True,
    ),
    Case(
        id="W11",
        sentence="A field that stands twice, or under two of its names, is refused: nobody has to know which wins.",
        steps=(
            Ask(body=_TWICE + _REST, status=400, code="duplicate_key"),
            Ask(body=order(symbol="HK.00005"), status=400, code="conflicting_fields"),
            Ask(body=order(trd_env=1), status=400, code="conflicting_fields"),
            Ask(body=order(card_num="1001200130017680"), status=400, code="conflicting_fields"),
            Ask(body=proto() | order(), status=400, code="conflicting_fields"),
        ),
        proves=("parse",),
        anywhere=True,
    ),
    Case(
        id="W12",
        sentence="`for_all` is a cancel of all, and its market is the one that was looked at.",
        steps=(
            Ask(),
            Ask(
                path=MODIFY, body=account(op="CANCEL", for_all=True), sends={"modify_order_op": 2, "order_id_ex": "<1>"}
            ),
            Ask(
                path=MODIFY,
                body={"c2s": {"header": _HEADER, "for_all": True, "modify_order_op": 2, "trd_market": 2}},
                status=400,
                code="bad_value",
            ),
        ),
        proves=("parse",),
    ),
    Case(
        id="B12+B26-canonical",
        sentence="However an order is spelt, the daemon is sent the one form that was judged.",
        steps=tuple(
            Ask(
                body=body,
                sends={
                    "header.acc_id": 123456,
                    "header.trd_env": 0,
                    "header.trd_market": 1,
                    "order_type": 1,
                    "sec_market": 1,
                    "trd_side": 1,
                    "code": "00700",
                },
            )
            for body in (order(code="HK.00700"), order(order_type="normal", qty=200), proto(qty=300))
        ),
        proves=("judge",),
    ),
    Case(
        id="G01",
        sentence="Bytes that two readers could read as two requests end the connection.",
        steps=(
            Ask(raw=b"POST /api/order HTTP/1.1\r\nHost: x\r\n" + _CHUNKED, status=400, code="bad_header"),
            Ask(raw=b"GET /api/ping HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", status=400, code="bad_header"),
            Ask(raw=b"GET /api/../api/ping HTTP/1.1\r\nHost: x\r\n\r\n", status=400, code="bad_target"),
            Ask(raw=b"GET /api/ping HTTP/1.0\r\nHost: x\r\n\r\n", status=505, code="http_version"),
        ),
    ),
)
