"""Changes and cancels: `/api/modify-order`, `/api/cancel-all-order`, `/api/reconfirm-order`.

One wire message means five things; here each has its own type, so that nobody downstream can take a cancel for a change
(B14: a daemon once sent Enable where Cancel was meant). What a cancel does not need is dropped unread: quantity, price
and trail of a CANCEL, DISABLE, ENABLE or DELETE are ignored, and a cancel is never refused for a price.
"""

import re
from typing import Final

from guard.codes import Code
from guard.intent.fields import Fields, choices
from guard.intent.header import MARKETS, trade_header
from guard.intent.orders import adjustment, packet_id, price_at, quantity, trail
from guard.terms import CancelAll, CancelOrder, Header, ModifyOrder, Op, Reconfirm, Refusal

OPS: Final = choices({op.name: op for op in Op})
ORDER_ID_EX: Final = re.compile(r"[!#-\[\]-~]{1,64}", re.ASCII)  # printable, without space, quote and backslash
_REASON_END: Final = 2**31


def modify_order(fields: Fields) -> ModifyOrder | CancelOrder | CancelAll | Refusal:
    """A change (NORMAL, ENABLE), a cancel (CANCEL, DISABLE, DELETE), or with `for_all` a cancel of everything (W12)."""
    fields.require("modify_order_op")
    op = fields.choice("modify_order_op", OPS)
    if fields.flag("for_all"):
        return _cancel_all(fields, op)
    header, packet = trade_header(fields), packet_id(fields)
    _same_market(fields, header)
    faults_before = fields.faults
    order_id, order_id_ex = _order_ids(fields)
    is_wrong = fields.faults != faults_before  # a name that is there, but wrong, is not missing
    if not (order_id or order_id_ex or is_wrong):
        fields.note(Code.MISSING_FIELD, "order_id or order_id_ex is missing")
    if op is Op.NORMAL:
        return _changed_terms(fields, header, order_id=order_id, order_id_ex=order_id_ex)
    if not fields.is_good or header is None or op is None:
        return fields.refusal()
    if op is Op.ENABLE:
        return ModifyOrder(header, order_id, order_id_ex, op, packet_id=packet)
    return CancelOrder(header, order_id, order_id_ex, op, packet_id=packet)


def cancel_all_order(fields: Fields) -> CancelAll | Refusal:
    """Cancel everything: the path says so, and a body that says something else is refused (B26)."""
    if fields.flag("for_all") is False:
        fields.note(Code.BAD_VALUE, "cancel-all-order is for all; modify-order cancels one")
    return _cancel_all(fields, fields.choice("modify_order_op", OPS))


def reconfirm_order(fields: Fields) -> Reconfirm | Refusal:
    """The confirmation of an order that the broker holds back: it is named by its number, with the reason given."""
    fields.require("order_id")
    fields.require("reconfirm_reason")
    header, packet = trade_header(fields), packet_id(fields)
    order_id, reason = fields.identifier("order_id"), fields.number("reconfirm_reason", decimals=0)
    if order_id == 0:
        fields.note(Code.BAD_VALUE, "order_id 0 names no order")
    if reason is not None and not 0 <= reason < _REASON_END:
        fields.note(Code.BAD_VALUE, "reconfirm_reason is a small number")
    if not fields.is_good or header is None or order_id is None or reason is None:
        return fields.refusal()
    return Reconfirm(header, str(order_id), int(reason), packet_id=packet)


def _changed_terms(
    fields: Fields, header: Header | None, *, order_id: str | None, order_id_ex: str | None
) -> ModifyOrder | Refusal:
    fields.require("qty")
    fields.require("price")
    trd_market = 0 if header is None else header.trd_market
    # Lists show the price of a stop or a market order as 0; of an order with a limit `order_after` refuses it.
    qty, price = quantity(fields), price_at(fields, "price", trd_market=trd_market, may_be_zero=True)
    aux_price = price_at(fields, "aux_price", trd_market=trd_market)
    kind, value, spread = trail(fields)
    is_adjusted, limit = adjustment(fields)
    if not fields.is_good or header is None:
        return fields.refusal()
    return ModifyOrder(
        header=header,
        order_id=order_id,
        order_id_ex=order_id_ex,
        op=Op.NORMAL,
        qty=qty,
        price=price,
        aux_price=aux_price,
        trail_type=kind,
        trail_value=value,
        trail_spread=spread,
        adjust_price=is_adjusted,
        adjust_side_and_limit=limit,
        packet_id=packet_id(fields),
    )


def _cancel_all(fields: Fields, op: Op | None) -> CancelAll | Refusal:
    header, packet = trade_header(fields), packet_id(fields)
    trd_market = _same_market(fields, header)
    if op not in {None, Op.CANCEL}:
        fields.note(Code.BAD_VALUE, "for all orders there is only CANCEL")
    if any(_order_ids(fields)):
        fields.note(Code.BAD_VALUE, "an order is named, and all orders are meant")
    if not fields.is_good or header is None:
        return fields.refusal()
    return CancelAll(header, trd_market, packet_id=packet)


def _same_market(fields: Fields, header: Header | None) -> int | None:
    """The market whose orders are meant, where the message names one: it must be the header's own (W12)."""
    trd_market = fields.choice("trd_market", MARKETS)
    if trd_market is not None and header is not None and trd_market != header.trd_market:
        fields.note(Code.BAD_VALUE, "trd_market differs from the header's")
    return trd_market


def _order_ids(fields: Fields) -> tuple[str | None, str | None]:
    """Both names of an order. Zero and "" are how the daemon's own messages leave one out."""
    order_id, order_id_ex = fields.identifier("order_id"), fields.text("order_id_ex")
    if order_id_ex in {"", "0"}:
        order_id_ex = None
    if order_id_ex is not None and not ORDER_ID_EX.fullmatch(order_id_ex):
        fields.note(Code.BAD_VALUE, "order_id_ex is at most 64 printable characters")
    return str(order_id) if order_id else None, order_id_ex
