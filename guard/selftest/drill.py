"""The configuration that the matrix runs under: roles, their keys, and policies with every limit there is.

Roles are the first part of a key's id; the second is the case. Whatever a policy here limits, some case tries to get
around. `hours` are written so that they exclude the present.
"""

from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

ALL: Final = ["qot:read", "acc:read", "trade:simulate", "trade:real", "trade:unlock"]
FENCED: Final = 281756478875559548  # a real account of the simulated daemon, and the card of it
CARD: Final = "1001200130017680"

ROLES: Final[dict[str, dict[str, Any]]] = {
    "trader": {},
    "other": {},
    "buying": {},
    "narrow": {},
    "small": {},
    "rated": {},
    "daily": {},
    "counted": {},
    "open": {},
    "openvalue": {},
    "closed": {},
    "own": {},
    "reading": {},
    "cancelling": {},
    "quotes": {"scopes": ["qot:read"]},
    "reader": {"scopes": ["qot:read", "acc:read"]},
    "paper": {"scopes": ["qot:read", "acc:read", "trade:simulate"]},
    "fenced": {"allowed_acc_ids": [FENCED]},
    "carded": {"allowed_card_nums": [CARD]},
    "market": {"allowed_markets": ["US"]},
    "symbol": {"allowed_symbols": ["HK.00700"]},
    "side": {"allowed_trd_sides": ["BUY"]},
    "value": {"max_order_value": 30000},
    "total": {"max_daily_value": 50000},
    "minute": {"max_orders_per_minute": 2},
    "night": {},
    "operator": {"scopes": [*ALL, "admin"], "owner": "the selftest"},
}

_EVERYBODY: Final = """
[instruments]
markets = ["HK", "US"]
blocked_symbols = ["HK.00005"]
[orders]
types = ["NORMAL", "MARKET", "STOP", "STOP_LIMIT", "MARKET_IF_TOUCHED", "TRAILING_STOP"]
time_in_force = ["DAY"]
max_value = ["100000 HKD", "12500 USD"]
max_premium = ["20000 HKD", "2500 USD"]
max_underlying_value = ["500000 HKD", "60000 USD"]
price_collar_percent = { stock = 10 }
duplicate_window_s = 3600
[rights]
touch = "own"
"""

_BY_ROLE: Final = {
    "buying": '[orders]\nsides = ["BUY"]',
    "narrow": '[instruments]\nsymbols = ["HK.00700"]',
    "small": "[orders]\nmax_qty = 100",
    "rated": '[rates]\nnew_orders = "2/3600s"\nchanges = "1/3600s"',
    "daily": '[budgets]\ndaily_value = ["50000 HKD", "6000 USD"]',
    "counted": "[orders]\nper_day = 2",
    "open": "[budgets]\nopen_orders = 1",
    "openvalue": '[budgets]\nopen_value = ["50000 HKD", "6000 USD"]',
    "own": '[rights]\nsee = "own"',
    "reading": '[rates]\nreads = "2/3600s"',
    "cancelling": '[rates]\ncancels = "1/3600s"',
}


def policies(now: datetime) -> dict[str, str]:
    """The policy files by name."""
    files = {"everybody.toml": _EVERYBODY}
    for role, text in _BY_ROLE.items():
        files[f"{role}.toml"] = f'[applies_to]\nkeys = ["{role}-*"]\n{text}\n'
    hours = "\n".join(f'{market} = ["{_closed(now, zone)}"]' for market, zone in _ZONES.items())
    files["closed.toml"] = (
        f'[applies_to]\nkeys = ["closed-*"]\n[instruments]\nmarkets = ["HK", "US"]\n[hours]\n{hours}\n'
    )
    return files


_ZONES: Final = {"HK": "Asia/Hong_Kong", "US": "America/New_York"}


def _closed(now: datetime, zone: str) -> str:
    """An hour of the zone's day that begins in two hours, or where that is tomorrow, one early in the day."""
    local = now.astimezone(ZoneInfo(zone))
    begin = local.hour + 2 if local.hour < 21 else 3  # noqa: PLR2004 - hours of a day
    return f"{begin:02}:00-{begin + 1:02}:00"


def key_record(role: str, case: str, *, now: datetime) -> dict[str, Any]:
    """The record of a case's key in this role, as yet without a hash."""
    record = {"id": f"{role}-{case}", "hash": "", "scopes": ALL, **ROLES[role]}
    if role == "night":
        later = now.astimezone(ZoneInfo("UTC")) + timedelta(hours=2)
        record["hours_window"] = f"{later:%H:%M}-{later + timedelta(hours=1):%H:%M}"
    return record
