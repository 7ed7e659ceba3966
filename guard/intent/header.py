"""The trade header: which environment, which account, which market."""

import re
from typing import Final

from guard.codes import Code
from guard.intent.fields import Fields, choices, shown
from guard.markets import TRD_MARKETS
from guard.terms import Env, Header, Reason

ENVS: Final = choices({"SIMULATE": Env.SIMULATE, "REAL": Env.REAL})
MARKETS: Final = choices(dict(TRD_MARKETS))
JP_ACCOUNTS: Final = choices(
    {
        "NONE": 0,
        "JP_GENERAL": 1,
        "JP_TOKUTEI": 2,
        "JP_NISA_GENERAL": 3,
        "JP_NISA_TSUMITATE": 4,
        "JP_GENERAL_SHORT": 5,
        "JP_TOKUTEI_SHORT": 6,
        "JP_HONPO_GENERAL": 7,
        "JP_GAIKOKU_GENERAL": 8,
        "JP_HONPO_TOKUTEI": 9,
        "JP_GAIKOKU_TOKUTEI": 10,
        "JP_DERIVATIVE_LONG": 11,
        "JP_DERIVATIVE_SHORT": 12,
        "JP_HONPO_DERIVATIVE_GENERAL": 13,
        "JP_GAIKOKU_DERIVATIVE_GENERAL": 14,
        "JP_HONPO_DERIVATIVE_TOKUTEI": 15,
        "JP_GAIKOKU_DERIVATIVE_TOKUTEI": 16,
    }
)
UNNAMED: Final = Reason(Code.MISSING_FIELD, "acc_id is missing")
"""What a trade without an account is refused with, where nothing else is wrong with it."""
_CARD: Final = re.compile(r"\d{4}|\d{16}", re.ASCII)  # the last four digits, or all sixteen
_PARTS: Final = frozenset(f"header.{part}" for part in ("trd_env", "acc_id", "card_num", "trd_market", "jp_acc_type"))
_SELDOM: Final = frozenset({"header.card_num", "header.jp_acc_type"})
_CARDED: Final = ("header.trd_market",)
_NAMED: Final = ("header.acc_id", "header.trd_market")


def trade_header(fields: Fields) -> Header | None:
    """The header of a trade: account and market must be named, the environment may be left to the account's own."""
    fields.require(*_CARDED if fields.has("header.card_num") else _NAMED)
    return any_header(fields)


def any_header(fields: Fields) -> Header | None:
    """The header as far as the body has one; None without any of its fields. `trd_market` 0: not named.

    An unknown market number is refused (B24: 999 once answered with real funds), so is account 0, which stands for
    whichever account comes first (W11: `acc_id` beside `card_num` would leave the choice to the daemon).
    """
    if not fields.has("header.trd_market") and fields.has_none(_PARTS):
        return None
    env = fields.choice("header.trd_env", ENVS)
    market = fields.choice("header.trd_market", MARKETS)
    acc_id = fields.identifier("header.acc_id")
    if acc_id == 0:
        fields.note(Code.BAD_VALUE, "acc_id 0 names no account")
    if fields.has_none(_SELDOM):
        return Header(env, acc_id, None, market or 0)
    return Header(env, acc_id, _card(fields), market or 0, fields.choice("header.jp_acc_type", JP_ACCOUNTS))


def _card(fields: Fields) -> str | None:
    card = fields.text("header.card_num")
    if card is None:
        return None
    if not _CARD.fullmatch(card):
        fields.note(Code.BAD_VALUE, f"card_num {shown(card)} is neither four nor sixteen digits")
    if fields.has("header.acc_id"):
        fields.note(Code.CONFLICTING_FIELDS, "acc_id and card_num both name an account: give one")
    return card
