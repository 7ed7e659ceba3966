"""The columns of an export: names and types that stay, and where each is found in a record. Pure.

One row a record. A record that belongs to a decision (an outcome, say) has that decision's key, endpoint and instrument
too, so that no reader needs a join. `docs/record-columns.md` is made from this table.
"""

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from guard.terms import OrderType, Side, TimeInForce

Kind = Literal["text", "integer", "decimal", "time"]
SQL_TYPES: Final[Mapping[Kind, str]] = MappingProxyType(
    {"text": "VARCHAR", "integer": "BIGINT", "decimal": "DECIMAL(38,9)", "time": "TIMESTAMPTZ"}
)
TYPES_TOLD: Final[Mapping[Kind, str]] = MappingProxyType(
    {
        "text": "UTF-8 text",
        "integer": "64-bit integer",
        "decimal": "decimal, 38 digits, 9 of them decimals",
        "time": "time in UTC, microseconds",
    }
)


class Column(NamedTuple):
    """One column. `paths`: where the value stands, the first that is there counts; none: it is computed.

    `labels`: numbers that are written as their names. `inherited`: taken from the decision that a record belongs to.
    """

    name: str
    kind: Kind
    paths: tuple[str, ...]
    meaning: str
    labels: type[IntEnum] | None = None
    inherited: bool = False


COLUMNS: Final = (
    Column("seq", "integer", ("seq",), "the record's place, from 1, without gaps"),
    Column("ts", "time", ("ts",), "wall clock of the guard's host"),
    Column("type", "text", ("type",), "type of record"),
    Column("decision", "text", ("id", "decision"), "the decision that the record is, or belongs to"),
    Column("of", "text", ("of",), "for a change or cancel: the decision that opened the order"),
    Column(
        "key", "text", ("key",), "id of the caller's key; of a reload or state: of the key that made it", inherited=True
    ),
    Column("endpoint", "text", ("endpoint",), "path that was asked", inherited=True),
    Column("effect", "text", ("effect",), "what the request does: order_new, order_change, …", inherited=True),
    Column("outcome", "text", ("outcome",), "of a decision: allow or refuse"),
    Column("code", "text", ("code",), "primary refusal code"),
    Column("codes", "text", (), "every refusal code, the primary one first, with commas between"),
    Column("policy", "text", ("reasons[0].policy",), "policy of the primary reason"),
    Column("rule", "text", ("reasons[0].rule",), "rule of the primary reason"),
    Column("observed", "text", ("reasons[0].observed",), "what the counter would have become"),
    Column("limit", "text", ("reasons[0].limit",), "the limit that it met"),
    Column("unit", "text", ("reasons[0].unit",), "unit of both"),
    Column("message", "text", ("reasons[0].message", "message", "reason", "note"), "for people"),
    Column("environment", "text", ("environment",), "real or simulate", inherited=True),
    Column("account", "integer", ("account",), "account id", inherited=True),
    Column("market", "text", ("market",), "market, in the policies' words", inherited=True),
    Column("symbol", "text", ("symbol",), "instrument", inherited=True),
    Column("side", "text", ("order.c2s.trd_side",), "BUY, SELL, SELL_SHORT, BUY_BACK", Side),
    Column("order_type", "text", ("order.c2s.order_type",), "NORMAL, MARKET, …", OrderType),
    Column("time_in_force", "text", ("order.c2s.time_in_force",), "DAY or GTC", TimeInForce),
    Column("qty", "decimal", ("order.c2s.qty",), "quantity that was asked for"),
    Column("price", "decimal", ("order.c2s.price",), "limit price; 0 where the type has none"),
    Column("value", "decimal", ("valuation.value.amount",), "what the order was worth for the limits"),
    Column("currency", "text", ("valuation.value.currency",), "currency of that value"),
    Column("value_source", "text", ("valuation.source",), "where its price came from"),
    Column("verdict", "text", ("verdict",), "accepted, refused, unknown, not_sent"),
    Column("order_id", "text", ("order_id", "order.c2s.order_id"), "the daemon's order id"),
    Column("order_id_ex", "text", ("order_id_ex", "order.c2s.order_id_ex"), "the daemon's external order id"),
    Column("http_status", "integer", (), "the daemon's HTTP status"),
    Column("ret_type", "integer", ("ret_type",), "the daemon's ret_type"),
    Column("duration_us", "integer", ("duration_us",), "how long the daemon took"),
    Column("order_status", "text", (), "what was learned of the order: filled, cancelled, …"),
    Column("filled_qty", "decimal", ("filled_qty",), "filled so far"),
    Column("filled_value", "decimal", ("filled_value",), "value of what was filled"),
    Column("source", "text", ("source",), "where something was learned; of `denied`: the address"),
    Column("result", "text", ("result", "state"), "of a reload: what came of it; of a state: the new one"),
    Column("by", "text", ("by",), "the person who did it"),
    Column("by_key", "text", ("by_key",), "of a settlement by a person: the id of the key that it was made with"),
    Column("count", "integer", ("count", "cancels"), "of a sum: how many"),
    Column("policy_sha256", "text", ("policy_sha256",), "the policies in force"),
    Column("config_sha256", "text", ("config_sha256",), "everything else that decided"),
    Column("sha256", "text", ("sha256",), "of a reload: what it led to"),
    Column("peer", "text", ("peer",), "address of the caller"),
    Column("user_agent", "text", ("user_agent",), "what the caller says it is"),
    Column("request_id", "text", ("request_id",), "the caller's own id of the request"),
    Column("jti", "text", ("jti",), "id of the token"),
    Column("intent", "text", ("intent",), "the caller's own word why, untrusted"),
    Column("idempotency", "text", ("idempotency",), "SHA-256 of the Idempotency-Key"),
    Column("prev", "text", ("prev",), "SHA-256 of the line before"),
    Column("line", "text", (), "the record as it is written, without its newline"),
)


def expressions(fields: str) -> dict[str, str]:
    """Column → SQL over `line` and the list `fields`, which holds what `PATHS` names, in that order."""
    at = {path: f"{fields}[{place}]" for place, path in enumerate(PATHS, 1)}
    reasons = at["reasons"]
    computed = {
        "codes": f"CASE WHEN {reasons} IS NOT NULL THEN "
        f"nullif(array_to_string(json_extract_string({reasons}, '$[*].code'), ','), '') END",
        "http_status": f"CASE WHEN {at['type']} = 'outcome' THEN TRY_CAST({at['status']} AS BIGINT) END",
        "order_status": f"CASE WHEN {at['type']} = 'order' THEN {at['status']} END",
        "line": "line",
    }
    return {column.name: computed.get(column.name) or _expression(column, at) for column in COLUMNS}


def _expression(column: Column, at: Mapping[str, str]) -> str:
    value = f"coalesce({', '.join(at[path] for path in column.paths)}, NULL)"
    if column.labels is not None:
        cases = " ".join(f"WHEN '{int(member)}' THEN '{member.name}'" for member in column.labels)
        return f"CASE {value} {cases} ELSE {value} END"
    return value if column.kind == "text" else f"TRY_CAST({value} AS {SQL_TYPES[column.kind]})"


PATHS: Final = (*dict.fromkeys(path for column in COLUMNS for path in column.paths), "reasons", "status")
