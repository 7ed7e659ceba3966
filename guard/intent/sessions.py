"""What changes the daemon's session: unlocking, quote subscriptions, account pushes.

Nothing here is taken for granted that the daemon would: an empty unlock body locked trading (B19), an unsubscribe
without its flag did nothing and answered success (B20), `is_unsub_all` ended everybody's quotes (B30).
"""

import re
from typing import Final

from guard.codes import Code
from guard.intent.fields import Choices, Fields, choices, pick, shown, words
from guard.intent.orders import SESSIONS
from guard.intent.strict import is_object
from guard.markets import PREFIX_OF_QOT, QOT_MARKET_OF
from guard.terms import AccPush, Refusal, Subscribe, Unlock, refuse

FIRMS: Final = choices(
    {"FUTUSECURITIES": 1, "FUTUINC": 2, "FUTUSG": 3, "FUTUAU": 4, "FUTUCA": 5, "FUTUMY": 6, "FUTUJP": 7}
    | {"FUTU_SECURITIES": 1, "FUTU_INC": 2, "FUTU_SG": 3, "FUTU_AU": 4, "FUTU_CA": 5, "FUTU_MY": 6, "FUTU_JP": 7}
)
SUB_TYPES: Final = choices(
    {
        "BASIC": 1,
        "ORDER_BOOK": 2,
        "TICKER": 4,
        "RT": 5,
        "KL_DAY": 6,
        "KL_5MIN": 7,
        "KL_15MIN": 8,
        "KL_30MIN": 9,
        "KL_60MIN": 10,
        "KL_1MIN": 11,
        "KL_WEEK": 12,
        "KL_MONTH": 13,
        "BROKER": 14,
        "KL_QURATER": 15,  # the label's own spelling
        "KL_QUARTER": 15,
        "KL_YEAR": 16,
        "KL_3MIN": 17,
    }
)
REHABS: Final = choices({"NONE": 0, "FORWARD": 1, "BACKWARD": 2})
QOT_MARKETS: Final = choices(
    dict(QOT_MARKET_OF)
    | {"HK_SECURITY": 1, "HK_FUTURE": 2, "US_SECURITY": 11, "CNSH_SECURITY": 21, "CNSZ_SECURITY": 22}
    | {"SG_SECURITY": 31, "JP_SECURITY": 41, "AU_SECURITY": 51, "MY_SECURITY": 61, "CA_SECURITY": 71, "FX_SECURITY": 81}
)
_MD5: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
_OTP: Final = re.compile(r"[0-9A-Za-z-]{1,32}", re.ASCII)
# Quotes exist for indices, plates and main contracts too, so case is kept and only the alphabet is checked.
_QUOTE_CODE: Final = re.compile(r"[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*", re.ASCII)
_CODE_CHARACTERS_MAX: Final = 32
_FLAGS: Final = ("is_reg_or_un_reg_push", "is_first_push", "is_sub_order_book_detail", "extended_time")


def unlock_trade(fields: Fields) -> Unlock | Refusal:
    """Unlock or lock. `unlock` must be said (B19); unlocking takes the MD5 of the password in lower-case hex."""
    fields.require("unlock")
    unlock = fields.flag("unlock")
    if unlock:
        fields.require("pwd_md5")
    digest, otp = fields.text("pwd_md5"), fields.text("sec_otp")
    if digest is not None and not _MD5.fullmatch(digest):
        fields.note(Code.BAD_VALUE, "pwd_md5 is the MD5 of the trade password: 32 lower-case hex digits")
    if otp is not None and not _OTP.fullmatch(otp):
        fields.note(Code.BAD_VALUE, "sec_otp is at most 32 letters and digits")
    # A password that slipped into another field of this body is still a password.
    firm, acc_ids = fields.choice("security_firm", FIRMS, is_secret=True), fields.identifiers("acc_ids")
    if not fields.is_good or unlock is None:
        return fields.refusal()
    return Unlock(unlock, digest, firm, otp, acc_ids)


def subscribe(fields: Fields) -> Subscribe | Refusal:
    """`/api/subscribe`."""
    return _subscription(fields, is_subscribe=True)


def unsubscribe(fields: Fields) -> Subscribe | Refusal:
    """`/api/unsubscribe`."""
    return _subscription(fields, is_subscribe=False)


def sub_acc_push(fields: Fields) -> AccPush | Refusal:
    """`/api/sub-acc-push`; without a list every account that the key may see is meant."""
    return _acc_push(fields, is_subscribe=True)


def unsub_acc_push(fields: Fields) -> AccPush | Refusal:
    """`/api/unsub-acc-push`."""
    return _acc_push(fields, is_subscribe=False)


def _acc_push(fields: Fields, *, is_subscribe: bool) -> AccPush | Refusal:
    acc_ids = fields.identifiers("acc_id_list")
    return AccPush(is_subscribe, acc_ids) if fields.is_good else fields.refusal()


def _subscription(fields: Fields, *, is_subscribe: bool) -> Subscribe | Refusal:
    if fields.flag("is_unsub_all"):  # whatever else is missing beside it
        return refuse(Code.BAD_VALUE, "is_unsub_all would end the subscriptions of everybody on this login")
    fields.require("security_list")
    fields.require("sub_type_list")
    said = fields.flag("is_sub_or_un_sub")
    if said is not None and said is not is_subscribe:
        fields.note(Code.BAD_VALUE, "is_sub_or_un_sub contradicts the path")
    securities = tuple(_security(fields, item) for item in _filled(fields, "security_list"))
    sub_types = _members(fields, "sub_type_list", SUB_TYPES)
    extra: dict[str, object] = {path: value for path in _FLAGS if (value := fields.flag(path)) is not None}
    session = fields.choice("session", SESSIONS)
    if session is not None:
        extra["session"] = session
    if fields.has("reg_push_rehab_type_list"):
        extra["reg_push_rehab_type_list"] = list(_members(fields, "reg_push_rehab_type_list", REHABS))
    if not fields.is_good:
        return fields.refusal()
    return Subscribe(is_subscribe, tuple(pair for pair in securities if pair is not None), sub_types, extra)


def _filled(fields: Fields, path: str) -> list[object]:
    items = fields.array(path)
    if items == []:
        fields.note(Code.BAD_VALUE, f"{path} is empty")
    return items or []


def _members(fields: Fields, path: str, allowed: Choices[int]) -> tuple[int, ...]:
    found = []
    for item in _filled(fields, path):
        member = pick(item, allowed)
        if member is None:
            fields.note(Code.BAD_VALUE, f"{path} holds {shown(item)}, which is none of {words(allowed)}")
        else:
            found.append(member)
    return tuple(found)


def _security(fields: Fields, item: object) -> tuple[int, str] | None:
    """One security as (QotMarket, code), from "HK.00700" or {"market": 1, "code": "00700"}."""
    market: int | None = None
    code: object = None
    if type(item) is str:
        prefix, _, code = item.partition(".")
        market = QOT_MARKET_OF.get(prefix)
    elif is_object(item):
        market, code = pick(item.get("market"), QOT_MARKETS), item.get("code")
    if market is None or type(code) is not str or not _QUOTE_CODE.fullmatch(code) or len(code) > _CODE_CHARACTERS_MAX:
        fields.note(Code.BAD_VALUE, f"{shown(item)} is no security: write HK.00700 or its market and code")
        return None
    own, (prefix, dot, _) = PREFIX_OF_QOT[market], code.partition(".")
    if dot and prefix != own and prefix in QOT_MARKET_OF:
        fields.note(Code.BAD_VALUE, f"{shown(code)} has the prefix of another market")
    return market, code.removeprefix(f"{own}.")
