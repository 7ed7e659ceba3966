"""The JSON type of every member, as a typed decoder sees it: a string where a number belongs is a malformed body (400).

One table by name, since a name has one type in all messages; members not listed are checked where they are used.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from guard.simulator.refusals import BadBody

_INTEGERS: Final = (
    "num begin req_num max_ret_num max_ack_kl_num need_kl_fields_flag sort_field type freq key sec_type condition"
    " index_option_type holder_category period_type asset_category cash_flow_direction reconfirm_reason flag"
    " filter_market jp_acc_type security_firm qot_push_stage place_holder user_id trd_category"
)
_TEXTS: Final = (
    "begin_time end_time group_name note clearing_date begin_date end_date remark pwd_md5 sec_otp order_id_ex"
    " next_req_key"
)
_FLAGS: Final = (
    "ascend refresh_cache is_req_all_conn is_reg_or_un_reg_push is_first_push extended_time for_all unlock"
    " adjust_price fill_outside_rth is_sub_or_un_sub is_unsub_all is_sub_order_book_detail b_get_detail get_detail"
)
_LISTS: Final = (
    "acc_id_list acc_ids filter_status_list order_id_ex_list code_list id_list type_list issuer_list segment_list"
    " reminder_session_list reg_push_rehab_type_list"
)
_OBJECTS: Final = "packet_id data_filter"


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_list(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) or _is_integer(item) for item in value)


_CHECKS: Final = MappingProxyType(
    dict.fromkeys(_INTEGERS.split(), ("an integer", _is_integer))
    | dict.fromkeys(_TEXTS.split(), ("a string", lambda value: isinstance(value, str)))
    | dict.fromkeys(_FLAGS.split(), ("a boolean", lambda value: isinstance(value, bool)))
    | dict.fromkeys(_LISTS.split(), ("a list of plain values", _is_list))
    | dict.fromkeys(_OBJECTS.split(), ("an object", lambda value: isinstance(value, dict)))
)


def check_types(members: Mapping[str, Any]) -> None:
    """Refuse a member whose JSON type is not that of its name; null counts as absent."""
    for name, value in members.items():
        expected, is_right = _CHECKS.get(name, ("", None))
        if is_right is not None and value is not None and not is_right(value):
            raise BadBody(f"invalid type for {name}: {expected} is expected")
