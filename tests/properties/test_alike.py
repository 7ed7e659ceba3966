"""A body is read alike whatever was read before it: an order that is like a known one, and one that only seems so."""

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from guard.intent.fields import Fields
from guard.intent.names import NAMES
from guard.intent.orders import place_order
from guard.intent.shape import shape
from guard.intent.strict import load
from guard.terms import PlaceOrder, Refusal
from tests.support.bodies import read_as

PATH = "/api/order"
MARK = '"g:01ARZ3NDEKTSV4RRFFQ69G5FAV"'
NUMBERS = [
    "1",
    "100",
    "100.0",
    "1e2",
    "0",
    "-0.0",
    "-1",
    "0.001",
    "0.0001",
    "300.5",
    "1E+999999",
    "null",
    "true",
    '"1"',
]
NUMBERS += ["999999999999999", "1000000000000000", "123456789012345.6", "1.10000000000000000", "[]", "{}", '{"a":1}']
BASE = {"market": '"HK"', "acc_id": "1", "env": '"REAL"', "side": '"BUY"', "code": '"00700"', "qty": "1", "price": "1"}
VALUES: dict[str, list[str]] = {
    "market": ['"HK"', '"hk"', "1", "true", "1.0", '"US"', '"FUTURES"', "5", "null", '"\\u0048K"'],
    "acc_id": ["1", '"1"', "true", "1.0", "0", '"01"', "2"],
    "env": ['"REAL"', '"Real"', "1", "true", "1.0", "0", "false", "null"],
    "side": ['"BUY"', '"SELL"', "1", "true", "2", "1.0"],
    "code": ['"00700"', '"HK.00700"', '"HSI2606"', '"700"', "1"],
    "order_type": ['"NORMAL"', '"MARKET"', "1", "true", "2", '"STOP"', "1.0", "null"],
    "time_in_force": ['"DAY"', "0", "false", "0.0", "1", "null"],
    "sec_market": ["1", "true", '"US"', "1.0"],
    "aux_price": ["1", "1.0", "1.00", "0"],
    "position_id": ["0", "1", '"1"', "true"],
    "fill_outside_rth": ["true", "1", "false"],
    "session": ["1", "true", '"RTH"'],
    "remark": ['"a"', '"b"', MARK, '""', '"\\u0000"', '"é"', f'"{"x" * 65}"', "1", "null"],
    "packet_id": ['{"conn_id":1,"serial_no":2}', "null"],
    "qty": NUMBERS,
    "quantity": NUMBERS,
    "price": NUMBERS,
    "symbol": ['"00700"'],
    "bogus": ["1"],
}


@st.composite
def _bodies(draw: st.DrawFn) -> list[bytes]:
    """An order, and some that differ from it in a few members: changed, added, left out or in another place."""
    changes = st.lists(st.sampled_from(sorted(VALUES)), max_size=2)
    first = BASE | {name: draw(st.sampled_from(VALUES[name])) for name in draw(changes)}
    bodies = [first, *[first | {n: draw(st.sampled_from(VALUES[n])) for n in draw(changes)} for _ in range(6)]]
    if draw(st.booleans()):
        bodies[-1] = dict(reversed(bodies[-1].items()))
    if draw(st.booleans()):
        del bodies[-2][draw(st.sampled_from(sorted(bodies[-2])))]
    return [_body(body) for body in bodies]


def _body(members: dict[str, str]) -> bytes:
    return ("{" + ",".join([f'"{name}":{said}' for name, said in members.items()]) + "}").encode()


def _read_alone(body: bytes) -> Any:
    """By those who read a body of which nothing is known."""
    members = load(body)
    if isinstance(members, Refusal):
        return members
    shaped = shape(NAMES[PATH], members)
    return shaped if isinstance(shaped, Refusal) else place_order(Fields(shaped.values))


@settings(max_examples=200, deadline=None)
@given(_bodies())
@example([_body(BASE | {"remark": '"a"'}), _body(BASE | {"remark": MARK})])
def test_nothing_that_was_read_before_changes_what_is_read(bodies: list[bytes]) -> None:
    """To the digit of a number and the word of a refusal; a mark of the guard's is refused however often."""
    for body in [*bodies, *bodies]:
        found, alone = read_as(PATH, body), _read_alone(body)
        if isinstance(alone, PlaceOrder) and alone.remark is not None and alone.remark == MARK[1:-1]:
            assert isinstance(found, Refusal)
            continue
        assert found == alone
        assert repr(found) == repr(alone)  # 1 and 1.0 are equal, and so are true and 1
