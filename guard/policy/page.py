"""`docs/policies.md` and `policies/policy.schema.json`, generated from the rule table.

`python -m guard.policy.page` writes both; a test fails when they and the table drift apart.
"""

import sys
from pathlib import Path
from typing import Final

import msgspec

from guard.policy.jsonschema import schema
from guard.policy.rows import STEPS, RuleRow
from guard.policy.table import ROWS

# ruff: noqa: E501 - paragraphs of a document are one line each

_INTRODUCTION: Final = """\
# Policies

Every key of a policy file. This page is generated from the rule table in `guard/policy` (`make docs`); the same table makes the JSON Schema that editors complete by (`policies/policy.schema.json`), the order in which `guard policy diff` calls a change looser or tighter, and the steps of `guard policy test --mutate`.

A policy is a TOML file in the policies' directory. A request must pass every enforcing policy whose selectors match, so the tightest limit wins. A limit of `0` allows nothing, `[]` means nobody or nothing, and a limit that is left out does not exist. Money limits and rates are a string or a list of strings. A trade that no policy with `orders.max_value` covers (nor the key's own `max_order_value`, nor the flag `--max-order-value`) is refused `no_policy`, unless `policies.require_cover = false`.

| word | means |
|---|---|
| inclusive | exactly the limit passes, one step more does not |
| exclusive | exactly the limit is already outside |
| on a change | what the key does to a change of an order; *as a new order* means that the changed order is judged like a new one |
| on a cancel | what the key does to a cancel; no limit but `rates.cancels` ever stops one |
| tighter | in which direction a change of the value lets less through |

For editors with Taplo (Even Better TOML and others), the first line of a policy may be `#:schema ./policy.schema.json`.
"""

_TIGHTER: Final = {
    "caps": "a smaller amount, or fewer currencies",
    "cap": "a smaller number",
    "allow": "a shorter list",
    "block": "a longer list",
    "reach": "a longer list: more are bound",
    "unreach": "a shorter list: more are bound",
    "rates": "fewer, or a longer window",
    "percents": "a smaller percentage",
    "wait": "a longer time",
    "buffer": "a larger percentage",
    "hours": "shorter windows",
    "until": "a later end",
    "mixed": "neither: some orders gain, others lose",
    "note": "neither: no answer changes",
}

_TESTS: Final = """\
## Tests

A `*_test.toml` beside the policies says what they let through. `guard policy test` runs it, and so do `guard policy check` and every reload; a reload whose tests fail is refused. A case expects a refusal unless it says `expect = "allow"`. The sample policies ship with tests of every limit: just under it, at it, and just over it.

```toml
given = { now = 2026-11-20T10:00:00+08:00, key = "bot-1", environment = "real", account = 1 }
case = [
    { order = { symbol = "HK.00700", qty = 100, price = 200 }, expect = "allow" },
    { order = { symbol = "HK.00700", qty = 100, price = 200.01 }, codes = "max_order_value", largest_qty = 99 },
    { order = { symbol = "HK.00700", price = 100 }, usage = { daily_value = "199900.01 HKD" }, codes = "daily_value" },
    { order = { symbol = "HK.00700", price = 1 }, usage = { new_orders_s_ago = ["14 x 1", 29.999] }, codes = "rate" },
    { action = "cancel", usage = { cancels_s_ago = [0, 0, 0] }, expect = "allow" },
]

[[matrix]]   # every combination; what `allow` does not list is expected to be refused
order = { symbol = "", price = 1 }
keys = ["bot-1", "agent-1"]
symbols = ["HK.00700", "US.AAPL", "SG.D05"]
allow = [{ symbol = ["HK.00700", "US.AAPL"] }]

[reference."HK.00700"]   # the data that rules may look at; there are no others
last = 200
lot_size = 1
position = 500
age_s = 1
```

| table | holds |
|---|---|
| `given` | `now` (required, with zone), `key`, `environment`, `account`: the defaults of every case |
| `case` | `order` (`symbol side qty price type time_in_force market aux_price trail_type trail_value trail_spread adjust_side_and_limit remark`), `action` (`new change cancel read`), `usage`, `expect` (`allow` or `refuse`, the default), `codes` (exactly these, the primary one first), `policies` (exactly those that refuse), `largest_qty`, `name`, and `now key environment account` of its own |
| `usage` | `daily_value`, `open_value` (money), `per_day`, `open_orders` (counts), and `new_orders_s_ago`, `changes_s_ago`, `cancels_s_ago`, `reads_s_ago`, `same_order_s_ago`: how many seconds ago each request was, `"14 x 1.5"` for many at once. It is put on every counter of its kind that binds the request |
| `matrix` | `order`, `keys`, `environments`, `symbols`, `sides`, `types`, `allow` |
| `reference."SYMBOL"` | `kind currency multiplier lot_size strike underlying last bid ask prev_close age_s session suspended position` |
| `market.NAME` | `state trading_day half_day afternoon_only was_trading_day`; left out, Monday to Friday are trading days |
| `keys.ID` | limits that a key brings along, as in keys.json; keys.json itself and the start-up flags are ignored |

`guard policy test --mutate` moves each limit by one step, runs all tests each time, and names the limits that no test notices. The steps: {steps}. `breaker` and `rights` are not moved, since no case can test them.

## Changes

`guard policy diff A B` says, for each policy and rule, whether a change is looser, tighter, neutral or mixed, by the row *tighter* above. What cannot be shown to be one of the first three counts as mixed. For each loosening it shows an order that was refused before and passes after, and says if another policy still refuses it. It exits 3 if anything is looser or mixed.

Ten set-ups to start from, each a directory with its tests: [`docs/cookbook`](cookbook/README.md).
"""


def page() -> str:
    """The whole page."""
    parts = [_INTRODUCTION]
    table = ""
    for row in ROWS:
        if row.table != table:
            table = row.table
            parts.append(f"## [{table}]\n")
        parts.append(_section(row))
    steps = {
        "caps": "money {} of the unit",
        "cap": "counts {}",
        "rates": "rates {} request or second",
        "percents": "percentages {}",
        "buffer": "buffers {}",
        "wait": "times {} s",
        "hours": "hours {} minute",
    }
    told = ", ".join(text.format(STEPS[order]) for order, text in steps.items())
    parts.append(_TESTS.replace("{steps}", f"{told}; lists lose each of their entries"))
    return "\n".join(parts)


def _section(row: RuleRow) -> str:
    title = f"### {row.path}\n\n{row.says}\n\n```toml\n[{row.table}]\n{row.example}\n```\n"
    tighter = _TIGHTER.get(row.order) or f"in this order: {', '.join(filter(None, row.loosest_last))}"
    facts = [
        ("unit", row.unit),
        ("left out", row.unset),
        ("bound", row.bound),
        ("counter", "kept over a reload; a new limit starts from what the record shows" if row.claims else ""),
        ("on a change", row.modify),
        ("on a cancel", row.cancel),
        ("tighter", f"{tighter}{f' ({row.mixed_why})' if row.mixed_why else ''}"),
        ("codes", ", ".join(f"`{code}`" for code in row.codes)),
    ]
    return title + "\n| | |\n|---|---|\n" + "".join(f"| {name} | {text} |\n" for name, text in facts if text)


def schema_text() -> str:
    """The schema as its file holds it."""
    return msgspec.json.format(msgspec.json.encode(schema()), indent=1).decode() + "\n"


if __name__ == "__main__":
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    (root / "docs" / "policies.md").write_text(page(), encoding="utf-8")
    (root / "policies" / "policy.schema.json").write_text(schema_text(), encoding="utf-8")
