"""The table of names: which fields each body may have, and how else they may be spelled. Data, one entry per endpoint.

An entry lists fields by the daemon's own snake_case name; `/` adds another documented spelling, `:Message` says that
the field is an object (or a list of objects) with that message's fields. `^` after a message: in a flat body its fields
stand at top level (the trade header). `~`: they may stand there or in the object. `@name` stands for a bundle. An
indented line continues the one above. Where a flat body could mean two fields, the header's wins: a flat `trd_market`
is the header's; cancel-all's own filter of that name exists in the proto shape only.

Sources: FTAPI messages of 2026-04; the daemon's snake_case aliases (a camelCase name is refused with its snake_case
form, W11, B12, B13); the fields of the reference's own examples.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

_MESSAGES: Final = """
PacketID    conn_id serial_no
TrdHeader   trd_env/env acc_id card_num trd_market/market jp_acc_type
Conditions  code_list id_list begin_time/begin/start end_time/end order_id_ex_list filter_market
Security    market code
TimeFilter  type begin_time/begin/start end_time/end
BaseFilter  field_name filter_min filter_max is_no_filter sort_dir
AccumulateFilter  field_name filter_min filter_max is_no_filter sort_dir days
FinancialFilter   field_name filter_min filter_max is_no_filter sort_dir quarter
PatternFilter     field_name kl_type is_no_filter consecutive_period
IndicatorFilter   first_field_name second_field_name relative_position field_value kl_type is_no_filter
    first_field_para_list second_field_para_list consecutive_period
DataFilter  implied_volatility_min implied_volatility_max delta_min delta_max gamma_min gamma_max vega_min vega_max
    theta_min theta_max rho_min rho_max net_open_interest_min net_open_interest_max open_interest_min
    open_interest_max vol_min vol_max
"""

_BUNDLES: Final = """
@header      header:TrdHeader^
@conditions  filter_conditions:Conditions~
@packet      packet_id:PacketID
@times       begin_time/begin/start end_time/end
@security    security:Security/symbol/code
@securities  security_list:Security/symbols/stocks/code_list/symbol_list/symbol/code
@owner       owner:Security/symbol/code
@trail       trail_type trail_value trail_spread
@adjust      adjust_price adjust_side_and_limit
@cash_flow   @header clearing_date cash_flow_direction begin_date end_date
@modify      @packet @header order_id order_id_ex modify_order_op/op for_all trd_market qty/quantity price
    aux_price @trail @adjust
@subscribe   @securities sub_type_list/sub_types is_sub_or_un_sub/is_sub is_reg_or_un_reg_push
    reg_push_rehab_type_list is_first_push is_unsub_all is_sub_order_book_detail extended_time session
"""

_BODIES: Final = """
/api/delay-statistics        type_list qot_push_stage segment_list

/api/query-subscription      is_req_all_conn
/api/subscribe               @subscribe
/api/unsubscribe             @subscribe

/api/broker                  @security
/api/capital-distribution    @security
/api/capital-flow            @security period_type @times
/api/history-kl-quota        @header b_get_detail/get_detail @times
/api/history-kline           @security rehab_type kl_type @times max_ack_kl_num/req_count/max_count/count
    need_kl_fields_flag next_req_key extended_time session
/api/kline                   @security rehab_type kl_type req_num/count
/api/market-state            @securities
/api/orderbook               @security num/depth
/api/quote                   @securities
/api/rt                      @security
/api/snapshot                @securities
/api/static-info             @securities market sec_type
/api/ticker                  @security max_ret_num/count

/api/code-change             @securities place_holder time_filter_list:TimeFilter type_list
/api/ipo-list                market
/api/list-plates             market plate_set_type
/api/plate-security          plate:Security sort_field ascend
/api/plate-set               market plate_set_type
/api/stock-filter            begin num market plate:Security base_filter_list:BaseFilter
    accumulate_filter_list:AccumulateFilter financial_filter_list:FinancialFilter
    pattern_filter_list:PatternFilter custom_indicator_filter_list:IndicatorFilter
/api/suspend                 @securities @times
/api/trading-days            @security market @times

/api/future-info             @securities
/api/get-reference           @security reference_type
/api/holding-change          @security holder_category @times
/api/modify-user-security    @securities group_name op
/api/option-chain            @owner index_option_type type condition @times data_filter:DataFilter
/api/option-expiration-date  @owner index_option_type
/api/owner-plate             @securities
/api/reference               @security reference_type
/api/rehab                   @security
/api/user-security           group_name
/api/warrant                 @owner begin num sort_field ascend type_list issuer_list maturity_time_min
    maturity_time_max ipo_period price_type status cur_price_min cur_price_max strike_price_min strike_price_max
    street_min street_max conversion_min conversion_max vol_min vol_max premium_min premium_max leverage_ratio_min
    leverage_ratio_max delta_min delta_max implied_min implied_max recovery_price_min recovery_price_max
    price_recovery_ratio_min price_recovery_ratio_max

/api/price-reminder          @security market
/api/set-price-reminder      @security op key type/reminder_type freq value note reminder_session_list

/api/acc-cash-flow           @cash_flow
/api/flow-summary            @cash_flow
/api/funds                   @header refresh_cache currency asset_category
/api/history-order-fills     @header @conditions
/api/history-orders          @header @conditions filter_status_list
/api/margin-ratio            @header @securities
/api/max-trd-qtys            @header order_type code/symbol price order_id order_id_ex @adjust sec_market session
    position_id
/api/order-fee               @header order_id_ex_list
/api/order-fills             @header @conditions refresh_cache
/api/orders                  @header @conditions filter_status_list refresh_cache
/api/positions               @header @conditions filter_pl_ratio_min filter_pl_ratio_max refresh_cache asset_category
/api/reconfirm-order         @packet @header order_id reconfirm_reason

/api/cancel-all-order        @modify
/api/modify-order            @modify
/api/order                   @packet @header code/symbol trd_side/side order_type qty/quantity price time_in_force
    sec_market aux_price @trail @adjust fill_outside_rth session position_id remark
/api/sub-acc-push            acc_id_list/acc_ids
/api/unlock-trade            unlock pwd_md5 security_firm sec_otp/otp/token/one_time_password acc_ids
/api/unsub-acc-push          acc_id_list/acc_ids

/api/admin/reload
/api/admin/shutdown
"""


class Names(Struct, frozen=True):
    """One endpoint's names.

    `flat` and `proto` map every spelling allowed in that shape to the field's path ("env" → "header.trd_env"); `inner`
    maps the path of an object to the spellings of its own fields.
    """

    flat: Mapping[str, str]
    proto: Mapping[str, str]
    inner: Mapping[str, Mapping[str, str]]


def _entries(text: str) -> dict[str, list[str]]:
    entries: dict[str, list[str]] = {}
    words: list[str] = []
    for line in text.splitlines():
        if line and not line.startswith(" "):
            key, *words = line.split()
            entries[key] = words
        else:
            words += line.split()
    return entries


def _spellings(fields: list[str], path: str = "") -> dict[str, str]:
    return {name: path + field.split("/")[0] for field in fields for name in field.split("/")}


_MESSAGE_FIELDS: Final = _entries(_MESSAGES)
_BUNDLE_FIELDS: Final = _entries(_BUNDLES)


def _unbundled(fields: list[str]) -> list[str]:
    return [
        field for word in fields for field in (_unbundled(_BUNDLE_FIELDS[word]) if word.startswith("@") else [word])
    ]


def _names(fields: list[str]) -> Names:
    flat: dict[str, str] = {}
    proto: dict[str, str] = {}
    lifted: dict[str, str] = {}
    inner: dict[str, Mapping[str, str]] = {}
    for field in _unbundled(fields):
        own, colon, rest = field.partition(":")
        message, *aliases = rest.split("/")
        spellings = _spellings(["/".join([own, *aliases])])
        proto |= spellings
        if not message.endswith("^"):
            flat |= spellings
        if colon:
            members = _MESSAGE_FIELDS[message.rstrip("^~")]
            inner[own] = _spellings(members, f"{own}.")
            lifted |= inner[own] if message.endswith(("^", "~")) else {}
    return Names(flat | lifted, proto, inner)


NAMES: Final[Mapping[str, Names]] = {path: _names(fields) for path, fields in _entries(_BODIES).items()}
"""The names of every endpoint that takes a body, by path."""
ALIASES: Final[Mapping[str, str]] = {
    path: name
    for names in NAMES.values()
    for name, path in reversed(list(names.flat.items()))
    if name != path.rpartition(".")[2]
}
"""By a field's path its first other spelling: the one that flat bodies are mostly written with."""
