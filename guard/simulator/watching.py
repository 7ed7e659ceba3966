"""What a user keeps: watch lists and price reminders."""

from decimal import Decimal
from typing import Any, Final

from guard.simulator.catalogues import prefix_of, statics
from guard.simulator.contracts import find
from guard.simulator.labels import label
from guard.simulator.quotes import many, one
from guard.simulator.reading import Body, number, text
from guard.simulator.refusals import Declined
from guard.simulator.world import Reminder, World

NO_REMINDER: Final = 3002
_ADD, _DEL, _ENABLE, _DISABLE, _MODIFY, _DEL_ALL = 1, 2, 3, 4, 5, 6


def user_security(world: World, c2s: Body) -> dict[str, Any]:
    """Qot_GetUserSecurity; without a group name the first list."""
    name = text(c2s, "group_name") or next(iter(world.watchlists))
    rows = map(find, world.watchlists.get(name, []))
    return statics([row for row in rows if row is not None])


def modify_user_security(world: World, c2s: Body) -> dict[str, Any]:
    """Qot_ModifyUserSecurity: add, or take out."""
    name = text(c2s, "group_name") or next(iter(world.watchlists))
    listed = world.watchlists.setdefault(name, [])
    for row in many(c2s):
        if c2s.get("op", _ADD) == _ADD and row.symbol not in listed:
            listed.append(row.symbol)
        elif c2s.get("op", _ADD) != _ADD and row.symbol in listed:
            listed.remove(row.symbol)
    return {}


def set_price_reminder(world: World, c2s: Body) -> dict[str, Any]:
    """Qot_SetPriceReminder."""
    op, symbol = c2s.get("op", _ADD), one(world, c2s).symbol
    if op == _ADD:
        key = 1 + max(world.reminders, default=0)
        freq = label("reminder_freq", c2s.get("freq", 1))
        value = number(c2s, "value") or Decimal(0)
        world.reminders[key] = Reminder(key, symbol, c2s.get("type", 1), value, text(c2s, "note") or "", freq)
        return {"key": key}
    if op == _DEL_ALL:
        world.reminders = {key: row for key, row in world.reminders.items() if row.symbol != symbol}
        return {"key": 0}
    row = world.reminders.get(c2s.get("key", 0))
    if row is None or row.symbol != symbol:
        raise Declined("no such price reminder", NO_REMINDER)
    _change_reminder(world, row, c2s, op=op)
    return {"key": row.key}


def _change_reminder(world: World, row: Reminder, c2s: Body, *, op: int) -> None:
    if op == _DEL:
        del world.reminders[row.key]
    elif op in {_ENABLE, _DISABLE}:
        row.is_enable = op == _ENABLE
    elif op == _MODIFY:
        row.value = number(c2s, "value") or row.value
        row.note = text(c2s, "note") or row.note


def price_reminder(world: World, c2s: Body) -> dict[str, Any]:
    """Qot_GetPriceReminder: of one security, else of a market or all."""
    wanted = one(world, c2s).symbol if "security" in c2s else None
    prefix = prefix_of(c2s) if "market" in c2s else None
    found: dict[str, list[Reminder]] = {}
    for row in world.reminders.values():
        if wanted in {None, row.symbol} and prefix in {None, row.symbol.partition(".")[0]}:
            found.setdefault(row.symbol, []).append(row)
    listed = [(find(symbol), rows) for symbol, rows in found.items()]
    return {
        "price_reminder_list": [
            {"security": item.security, "name": item.name, "item_list": [_reminder(row) for row in rows]}
            for item, rows in listed
            if item is not None
        ]
    }


def _reminder(row: Reminder) -> dict[str, Any]:
    return {
        "key": row.key,
        "type": row.type,
        "value": row.value,
        "note": row.note,
        "freq": row.freq,
        "is_enable": row.is_enable,
    }
