"""The ledger's state as plain data: two states folded from one record are equal here, by whichever route they were.

What can no longer count at the state's own time is left out, so that it does not show whether it was forgotten yet.
"""

from typing import Any

from msgspec import to_builtins

from guard.limits import windows
from guard.limits.holder import Holder
from guard.limits.slots import find_slot
from guard.limits.snapshot import live
from guard.limits.state import OrderIds, State


def dump(state: State) -> dict[str, Any]:
    """Dictionaries, sequences, text and integers only (bytes as base64), fit for JSON and for `==`."""
    return {
        "at_us": state.at_us,
        "sums": dict(state.sums),
        "spent": dict(state.spent),
        "logs": _logs(state),
        "slots": {
            cell: to_builtins(slot) for cell, slot in state.slots.items() if find_slot(state, cell, t_us=state.at_us)
        },
        "holders": {name: _holder(holder) for name, holder in state.holders.items()},
        "ended": {name: _holder(holder) for name, holder in state.ended.items()},
        "steps": {name: to_builtins(step) for name, step in state.steps.items()},
        "ids": {f"{a.env.word}:{a.acc_id}": _ids(ids) for a, ids in state.ids.items()},
        "currencies": dict(state.currencies),
        "trading": sorted((to_builtins(rule) for rule in state.trading.values()), key=repr),
    }


def _logs(state: State) -> dict[str, Any]:
    logs = {}
    for cell, log in state.logs.items():
        if not windows.is_forgettable(log, t_us=state.at_us):
            stamps = windows.stamps_in(log, t_us=state.at_us, window_us=log.widest_us)
            logs[cell] = {"widest_us": log.widest_us, "stamps": stamps}
    return logs


def _holder(holder: Holder) -> dict[str, Any]:
    plain: dict[str, Any] = to_builtins(live(holder))
    parts = zip(plain.pop("cells"), plain.pop("held"), plain.pop("kinds"), strict=True)
    return plain | {"holds": {cell: [kind, amount] for cell, amount, kind in parts}}


def _ids(ids: OrderIds) -> dict[str, Any]:
    return {
        "live": {str(name): order for name, order in ids.live.items()},
        "live_ex": {str(name): order for name, order in ids.live_ex.items()},
        "recent": [[str(name), owner] for name, owner in ids.recent.items()],
    }
