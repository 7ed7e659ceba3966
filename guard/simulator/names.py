"""What fields are called: every spelling the daemon accepts, and the fields that each endpoint knows.

The daemon turns keys into snake case, then aliases into its own names. Where two spellings of one field meet, one
wins: here the later one. Facts: messages of the protocol, documented aliases, the reference's examples.
"""

import re
from types import MappingProxyType
from typing import Final

_HUMP: Final = re.compile(r"([a-z0-9])([A-Z])")
_RUN: Final = re.compile(r"([A-Z]+)([A-Z][a-z])")

HEADER: Final = frozenset({"trd_env", "acc_id", "trd_market", "jp_acc_type", "card_num"})
_HEADER_ALIASES: Final = {"env": "trd_env", "market": "trd_market"}
_SECURITY: Final = {"symbol": "security", "code": "security", "stock": "security"}
_SECURITIES: Final = dict.fromkeys(
    ("symbol", "code", "symbols", "stocks", "code_list", "symbol_list", "security"), "security_list"
)
_OWNER: Final = {"symbol": "owner", "code": "owner", "security": "owner"}
_TIMES: Final = {"begin": "begin_time", "start": "begin_time", "end": "end_time"}
_ORDER: Final = {"symbol": "code", "quantity": "qty", "side": "trd_side", "op": "modify_order_op"}
_FILTER: Final = frozenset({"code_list", "id_list", "begin_time", "end_time", "order_id_ex_list", "filter_market"})

# path: its fields beside the header. `+header`: has a trade header. `+filter`: flat filter conditions are taken too.
_FIELDS: Final = """
/api/global-state: user_id
/api/ping: user_id
/api/user-info: flag
/api/delay-statistics: type_list qot_push_stage segment_list
/api/push-subscriber-info:
/api/query-subscription: is_req_all_conn
/api/sub-info: is_req_all_conn
/api/subscribe: security_list sub_type_list is_sub_or_un_sub is_reg_or_un_reg_push reg_push_rehab_type_list is_first_push is_unsub_all is_sub_order_book_detail extended_time session
/api/unsubscribe: security_list sub_type_list is_sub_or_un_sub is_reg_or_un_reg_push reg_push_rehab_type_list is_first_push is_unsub_all is_sub_order_book_detail extended_time session
/api/broker: security
/api/capital-distribution: security
/api/capital-flow: security period_type begin_time end_time
/api/history-kl-quota: +header b_get_detail get_detail begin_time end_time
/api/history-kline: rehab_type kl_type security begin_time end_time max_ack_kl_num need_kl_fields_flag next_req_key extended_time session
/api/kline: rehab_type kl_type security req_num
/api/market-state: security_list
/api/orderbook: security num
/api/quote: security_list
/api/rt: security
/api/snapshot: security_list
/api/static-info: market sec_type security_list
/api/ticker: security max_ret_num
/api/code-change: place_holder security_list time_filter_list type_list
/api/ipo-list: market
/api/list-plates: market plate_set_type
/api/plate-set: market plate_set_type
/api/plate-security: plate sort_field ascend
/api/stock-filter: begin num market plate base_filter_list accumulate_filter_list financial_filter_list pattern_filter_list custom_indicator_filter_list
/api/suspend: security_list begin_time end_time
/api/trading-days: market begin_time end_time security
/api/future-info: security_list
/api/get-reference: security reference_type
/api/reference: security reference_type
/api/holding-change: security holder_category begin_time end_time
/api/modify-user-security: group_name op security_list
/api/option-chain: owner index_option_type type condition begin_time end_time data_filter
/api/option-expiration-date: owner index_option_type
/api/owner-plate: security_list
/api/rehab: security
/api/user-security: group_name
/api/warrant: begin num sort_field ascend owner type_list issuer_list maturity_time_min maturity_time_max ipo_period price_type status cur_price_min cur_price_max strike_price_min strike_price_max street_min street_max conversion_min conversion_max vol_min vol_max premium_min premium_max leverage_ratio_min leverage_ratio_max delta_min delta_max implied_min implied_max recovery_price_min recovery_price_max price_recovery_ratio_min price_recovery_ratio_max
/api/price-reminder: security market
/api/set-price-reminder: security op key type freq value note reminder_session_list
/api/acc-cash-flow: +header clearing_date cash_flow_direction begin_date end_date
/api/flow-summary: +header clearing_date cash_flow_direction begin_date end_date
/api/accounts: user_id trd_category need_general_sec_account
/api/list-accounts: user_id trd_category need_general_sec_account
/api/funds: +header refresh_cache currency asset_category
/api/history-order-fills: +header +filter
/api/history-orders: +header +filter filter_status_list
/api/margin-ratio: +header security_list
/api/max-trd-qtys: +header order_type code price order_id order_id_ex adjust_price adjust_side_and_limit sec_market session position_id
/api/order-fee: +header order_id_ex_list
/api/order-fills: +header +filter refresh_cache
/api/orders: +header +filter filter_status_list refresh_cache
/api/positions: +header +filter filter_pl_ratio_min filter_pl_ratio_max refresh_cache asset_category
/api/reconfirm-order: +header packet_id order_id reconfirm_reason
/api/cancel-all-order: +header packet_id order_id modify_order_op for_all trd_market order_id_ex
/api/modify-order: +header packet_id order_id modify_order_op for_all trd_market qty price adjust_price adjust_side_and_limit aux_price trail_type trail_value trail_spread order_id_ex
/api/order: +header packet_id trd_side order_type code qty price adjust_price adjust_side_and_limit sec_market remark time_in_force fill_outside_rth aux_price trail_type trail_value trail_spread session position_id expire_time
/api/sub-acc-push: acc_id_list
/api/unsub-acc-push: acc_id_list
/api/unlock-trade: unlock pwd_md5 security_firm sec_otp acc_ids
/api/admin/reload:
/api/admin/shutdown:
/api/admin/status:
"""  # noqa: E501 - a table reads by its rows
_OWN_ALIASES: Final = {
    "/api/history-kline": {"req_count": "max_ack_kl_num", "max_count": "max_ack_kl_num", "count": "max_ack_kl_num"},
    "/api/kline": {"count": "req_num"},
    "/api/orderbook": {"depth": "num", "count": "num"},
    "/api/ticker": {"count": "max_ret_num", "num": "max_ret_num"},
    "/api/subscribe": {"sub_types": "sub_type_list", "is_sub": "is_sub_or_un_sub"},
    "/api/unsubscribe": {"sub_types": "sub_type_list", "is_sub": "is_sub_or_un_sub"},
    "/api/set-price-reminder": {"reminder_type": "type"},
    "/api/unlock-trade": {
        "otp": "sec_otp",
        "token": "sec_otp",
        "one_time_password": "sec_otp",
        "acc_id_list": "acc_ids",
    },
    "/api/sub-acc-push": {"acc_ids": "acc_id_list"},
    "/api/unsub-acc-push": {"acc_ids": "acc_id_list"},
}


def snake(key: str) -> str:
    """The key in snake case: accID, TrdEnv, TRD_ENV and pwdMD5 become acc_id, trd_env, trd_env and pwd_md5."""
    return _RUN.sub(r"\1_\2", _HUMP.sub(r"\1_\2", key)).lower()


class Spelling:
    """The names of one endpoint: its `fields`, the `aliases` of each, whether it has a header or filter conditions."""

    def __init__(self, path: str, words: list[str]) -> None:
        self.path = path
        self.has_header = "+header" in words
        self.has_filter = "+filter" in words
        self.fields = frozenset(word for word in words if not word.startswith("+"))
        self.aliases = self._aliases()

    def _aliases(self) -> MappingProxyType[str, str]:
        targets = self.fields | self.flat_filter | (HEADER if self.has_header else frozenset())
        tables = (_SECURITY, _SECURITIES, _OWNER, _TIMES, _ORDER, _HEADER_ALIASES, _OWN_ALIASES.get(self.path, {}))
        found = {alias: name for table in tables for alias, name in table.items() if name in targets}
        return MappingProxyType({alias: name for alias, name in found.items() if alias not in self.fields})

    @property
    def flat_filter(self) -> frozenset[str]:
        """The names that belong into `filter_conditions` when a flat body has them."""
        return _FILTER if self.has_filter else frozenset()

    @property
    def known(self) -> frozenset[str]:
        """Every name that may stand in `c2s` after aliases were resolved."""
        extra = {"header"} if self.has_header else set()
        return self.fields | extra | ({"filter_conditions"} if self.has_filter else set())


def _read() -> dict[str, Spelling]:
    rows = (line.partition(":") for line in _FIELDS.strip().splitlines())
    return {path: Spelling(path, words.split()) for path, _, words in rows}


SPELLINGS: Final = MappingProxyType(_read())
