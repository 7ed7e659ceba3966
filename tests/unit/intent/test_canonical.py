"""The canonical body, digests, and what an order becomes."""

import json
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from guard.intent import changed, digest, encode, kept, order_after, order_of
from guard.terms import (
    AccPush,
    Env,
    Intent,
    ModifyOrder,
    Op,
    OrderType,
    PlaceOrder,
    Read,
    Reconfirm,
    Refusal,
    Subscribe,
    Unlock,
)
from tests.support.bodies import ACCOUNT, HEADER, ORDER, order, read_as

DIGEST = "0123456789abcdef0123456789abcdef"


def _sent(intent: Intent | Refusal, **over: Any) -> Any:
    assert not isinstance(intent, Refusal), intent
    arguments: dict[str, Any] = {"env": None, "acc_id": None, "serial": 7, "remark": None} | over
    return json.loads(encode(intent, **arguments))["c2s"]


def test_an_order_in_the_protos_shape() -> None:
    """Integers, plain numbers, the guard's own packet id, the stamp."""
    assert encode(order(), env=Env.SIMULATE, acc_id=123456, serial=7, remark="g:01K") == (
        b'{"c2s":{"packet_id":{"conn_id":0,"serial_no":7},"header":{"trd_env":0,"acc_id":123456,"trd_market":1},'
        b'"trd_side":1,"order_type":1,"code":"00700","qty":100,"price":300,"sec_market":1,"remark":"g:01K",'
        b'"time_in_force":0}}'
    )


@pytest.mark.parametrize(
    ("market", "code", "sent"),
    [
        ("AU", "ES", "AU.ES"),  # a root of American futures
        ("CA", "CA.GC", "CA.GC"),
        ("SG", "CN", "SG.CN"),
        ("MY", "1155", "MY.1155"),
        ("FUTURES", "HK.HSI2606", "HK.HSI2606"),
        ("US", "US.ES", "ES"),
        ("US", "MHI", "US.MHI"),  # a share of New York, and a root of Hong Kong's futures
        ("HK", "HK.00700", "00700"),
        ("CN", "SH.600519", "600519"),
        ("JP", "JP.7203", "7203"),
    ],
)
def test_w03_a_code_that_the_daemon_could_take_for_a_future_keeps_its_prefix(market: str, code: str, sent: str) -> None:
    """W03: without one the daemon's list of futures roots would have the word before `sec_market` and header."""
    placed = order(market=market, code=code)

    assert _sent(placed)["code"] == sent
    assert order_of(encode(placed, env=None, acc_id=None, serial=1, remark=None)).symbol == placed.symbol


def test_a_live_order_keeps_its_terms_alone() -> None:
    """Neither packet id nor our own mark; a caller's remark, and what is no body that we wrote, stay."""
    own = encode(order(), env=Env.SIMULATE, acc_id=1, serial=7, remark="g:01K")
    named = encode(order(remark="g:mine"), env=Env.SIMULATE, acc_id=1, serial=7, remark="g:01K")
    assert kept(own, decision="01K") == own[:8] + own[own.index(b'"header"') :].replace(b',"remark":"g:01K"', b"")
    assert order_of(kept(own, decision="01K")) == replace(order_of(own), remark=None)
    assert order_of(kept(named, decision="01K")) == order_of(named)
    assert kept(kept(own, decision="01K"), decision="01K") == kept(own, decision="01K")
    assert kept(b"{}", decision="01K") == b"{}"


def test_a_callers_remark_is_left_alone() -> None:
    """The stamp is for orders without one."""
    assert _sent(order(remark="mine"), remark="g:01K")["remark"] == "mine"
    assert _sent(order(remark=""), remark="g:01K")["remark"] == ""
    assert "remark" not in _sent(order())


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/order", ORDER),
        ("/api/modify-order", ACCOUNT | {"order_id": "987", "op": "NORMAL", "qty": 5, "price": 9}),
        ("/api/modify-order", ACCOUNT | {"order_id": "987", "op": "ENABLE"}),
        ("/api/modify-order", ACCOUNT | {"order_id": "987", "op": "CANCEL"}),
        ("/api/cancel-all-order", ACCOUNT),
        ("/api/reconfirm-order", ACCOUNT | {"order_id": "987", "reconfirm_reason": 1}),
    ],
)
def test_b18_a_callers_packet_id_is_never_forwarded(path: str, body: dict[str, Any]) -> None:
    """Two programs with the same fixed id would be given each other's answers, a cancel that of an order."""
    read = read_as(path, body | {"packet_id": {"conn_id": 5, "serial_no": 6}})

    assert not isinstance(read, Refusal | Read | Unlock | Subscribe | AccPush)
    assert read.packet_id == (5, 6)
    assert _sent(read)["packet_id"] == {"conn_id": 0, "serial_no": 7}


@pytest.mark.parametrize("price", [None, 0.01, 10**9])
def test_w02_a_market_orders_price_is_the_guards_constant(price: object) -> None:
    """FTAPI asks for the member; the caller's own value never gets there."""
    assert _sent(order(order_type="MARKET", price=price))["price"] == 0


def test_a_future_keeps_its_prefix() -> None:
    """The daemon reads it before its own list of futures roots."""
    sent = _sent(order(market="FUTURES", code="HK.HSI2606"))

    assert (sent["code"], sent["sec_market"], sent["header"]["trd_market"]) == ("HK.HSI2606", 1, 5)


def test_the_resolved_account_goes_into_the_header() -> None:
    """A card number is replaced by the account that it was judged as; without one it stands."""
    by_card = order(acc_id=None, card_num="7680", env=None)

    assert _sent(by_card, env=Env.REAL, acc_id=9)["header"] == {"trd_env": 1, "acc_id": 9, "trd_market": 1}
    assert _sent(by_card)["header"] == {"card_num": "7680", "trd_market": 1}


def test_b14_a_cancel_is_sent_as_a_cancel() -> None:
    """Op 2, and nothing that a cancel does not need."""
    cancel = read_as("/api/modify-order", ACCOUNT | {"order_id": "987", "op": "CANCEL", "qty": 5, "price": 0})

    assert _sent(cancel) == {
        "packet_id": {"conn_id": 0, "serial_no": 7},
        "header": HEADER,
        "order_id": 987,
        "modify_order_op": 2,
    }


@pytest.mark.parametrize(("op", "number"), [("CANCEL", 2), ("DISABLE", 3), ("ENABLE", 4), ("DELETE", 5)])
def test_b14_each_op_keeps_its_number(op: str, number: int) -> None:
    """Cancel is never Enable."""
    change = read_as("/api/modify-order", ACCOUNT | {"order_id_ex": "AB1", "op": op})

    sent = _sent(change)
    assert (sent["modify_order_op"], sent["order_id"], sent["order_id_ex"]) == (number, 0, "AB1")
    assert "qty" not in sent


def test_b26_a_cancel_of_everything_carries_its_op() -> None:
    """From a flat body too."""
    sent = _sent(read_as("/api/cancel-all-order", ACCOUNT))

    assert (sent["order_id"], sent["modify_order_op"], sent["for_all"]) == (0, 2, True)
    assert sent["trd_market"] == 1
    filtered = {"c2s": {"header": HEADER, "trd_market": 1}}
    assert _sent(read_as("/api/cancel-all-order", filtered))["trd_market"] == 1


def test_a_change_and_a_reconfirmation() -> None:
    """Their numbers are what was judged."""
    change = _sent(read_as("/api/modify-order", ACCOUNT | {"order_id": "987", "op": 1, "qty": 2e2, "price": 310.5}))
    confirm = _sent(read_as("/api/reconfirm-order", ACCOUNT | {"order_id": "987", "reconfirm_reason": 1}))

    assert (change["order_id"], change["modify_order_op"], change["qty"], change["price"]) == (987, 1, 200, 310.5)
    assert (confirm["order_id"], confirm["reconfirm_reason"]) == (987, 1)


@pytest.mark.parametrize(
    ("intent", "sent"),
    [
        (Unlock(True, DIGEST, 1, "123456", (1, 2)), {"unlock": True, "pwd_md5": DIGEST, "security_firm": 1}),
        (Unlock(False), {"unlock": False}),
        (AccPush(True, (1, 2**60)), {"acc_id_list": [1, 2**60]}),
        (AccPush(False), {}),
        (
            Subscribe(False, ((1, "00700"),), (1, 2), {"session": 3, "is_first_push": False}),
            {
                "security_list": [{"market": 1, "code": "00700"}],
                "sub_type_list": [1, 2],
                "is_sub_or_un_sub": False,
                "session": 3,
                "is_first_push": False,
            },
        ),
    ],
)
def test_what_changes_the_session_is_written_anew(intent: Intent, sent: dict[str, object]) -> None:
    """Unlocks, pushes and subscriptions carry no packet id."""
    whole = _sent(intent)

    assert {name: whole[name] for name in sent} == sent
    assert "packet_id" not in whole


def test_reads_pass_as_they_are() -> None:
    """A GET has no body."""
    assert encode(Read(None), env=None, acc_id=None, serial=1, remark=None) == b""
    assert encode(Read(b'{"a" : 1}'), env=Env.REAL, acc_id=1, serial=1, remark="x") == b'{"a" : 1}'


def test_a_digest_is_of_the_meaning() -> None:
    """Spelling, packet ids and the stamp make no difference; anything else does."""

    def of(body: dict[str, object]) -> str:
        intent = read_as("/api/order", body)
        assert not isinstance(intent, Refusal)
        return digest(intent, env=Env.SIMULATE, acc_id=123456)

    same = of(ORDER)
    assert len(same) == 64
    flat = {k: v for k, v in ORDER.items() if k not in {"side", "env", "code"}}
    assert of(flat | {"trd_side": 1, "trd_env": 0, "symbol": "HK.00700", "price": 3e2}) == same
    proto = {"header": HEADER, "trd_side": "buy", "code": "00700", "qty": 100, "price": 300, "sec_market": "HK"}
    assert of({"c2s": proto | {"order_type": 1, "packet_id": {"conn_id": 1, "serial_no": 1}}}) == same
    for change in ({"qty": 200}, {"price": 300.1}, {"side": "SELL"}, {"code": "00701"}, {"remark": "x"}):
        assert of(ORDER | change) != same
    assert digest(order(), env=Env.REAL, acc_id=123456) != same


def test_a_digest_of_an_unlock_holds_no_secret() -> None:
    """The password's MD5 and the one-time code leave no trace, not even a hashed one."""
    one = Unlock(True, DIGEST, sec_otp="1")
    other = Unlock(True, DIGEST[::-1], sec_otp="2")

    assert digest(one, env=None, acc_id=None) == digest(other, env=None, acc_id=None)


def test_the_digest_of_a_push_tells_beginning_from_end() -> None:
    """Their bodies are alike, their meaning is not."""
    assert digest(AccPush(True), env=None, acc_id=None) != digest(AccPush(False), env=None, acc_id=None)


def test_a_canonical_order_is_read_back() -> None:
    """What was written is what is read, but for the packet id and a stamp."""
    placed = order(remark="x", order_type="STOP_LIMIT", aux_price=299.5, time_in_force="GTC")

    assert order_of(encode(placed, env=None, acc_id=None, serial=9, remark="g:1")) == placed


def test_what_is_no_canonical_order_is_a_bug() -> None:
    """Only bytes of our own are read back."""
    with pytest.raises(AssertionError):
        order_of(b"{}")
    with pytest.raises(AssertionError):
        order_of(b"not json")


def test_w04_a_changed_order_is_the_whole_order() -> None:
    """Symbol and side of the old one, quantity and price of the new."""
    change = ModifyOrder(order().header, "987", None, Op.NORMAL, qty=Decimal(500), price=Decimal(310))

    assert changed(order(), change) == replace(order(), qty=Decimal(500), price=Decimal(310))
    stop = order(order_type="STOP", aux_price=290)
    moved = changed(stop, replace(change, aux_price=Decimal(280)))
    assert (moved.price, moved.aux_price, moved.qty) == (None, Decimal(280), Decimal(500))
    trailing = order(order_type=OrderType.TRAILING_STOP, trail_type=1, trail_value=5)
    kept = changed(trailing, change)
    assert (kept.trail_type, kept.trail_value) == (1, Decimal(5))
    assert changed(trailing, replace(change, trail_value=Decimal(9))).trail_value == 9
    by_amount = changed(trailing, replace(change, trail_type=2, trail_value=Decimal(9)))
    assert (by_amount.trail_type, by_amount.trail_value) == (2, Decimal(9))
    adjusted = order(adjust_price=True, adjust_side_and_limit=0.01)
    assert changed(adjusted, change) == replace(order(), qty=Decimal(500), price=Decimal(310))
    again = changed(order(), replace(change, adjust_price=True, adjust_side_and_limit=Decimal("0.02")))
    assert (again.adjust_price, again.adjust_side_and_limit) == (True, Decimal("0.02"))


def _held(placed: PlaceOrder) -> bytes:
    return encode(placed, env=None, acc_id=None, serial=9, remark=None)


def test_an_order_after_a_change_is_one_that_could_be_placed() -> None:
    """Whatever a change adds to a live order is checked against the type and the market that the order has."""
    change = ModifyOrder(order().header, "987", None, Op.NORMAL, qty=Decimal(500), price=Decimal(310))
    trailing = order(order_type=OrderType.TRAILING_STOP, trail_type=1, trail_value=5)

    assert order_after(_held(order()), change) == replace(order(), qty=Decimal(500), price=Decimal(310))
    assert isinstance(order_after(_held(order()), replace(change, aux_price=Decimal(290))), Refusal)
    assert isinstance(order_after(_held(order()), replace(change, trail_spread=Decimal(1))), Refusal)
    assert isinstance(order_after(_held(order()), replace(change, price=Decimal(0))), Refusal)
    assert isinstance(order_after(_held(trailing), replace(change, trail_value=Decimal(101))), Refusal)
    other = replace(order().header, trd_market=2)
    assert isinstance(order_after(_held(order()), replace(change, header=other)), Refusal)
    assert isinstance(order_after(_held(order()), Reconfirm(other, "987", 1)), Refusal)
    assert order_after(_held(order()), Reconfirm(order().header, "987", 1)) == order()


def test_w05_enable_brings_the_order_back_as_it_was() -> None:
    """So that it can be judged like a new one."""
    change = ModifyOrder(order().header, "987", None, Op.ENABLE)

    assert changed(order(), change) == order()


def test_a_change_without_a_quantity_is_a_bug() -> None:
    """Parsing refuses it, nobody else builds one."""
    with pytest.raises(AssertionError):
        changed(order(), ModifyOrder(order().header, "987", None, Op.NORMAL, price=Decimal(1)))
