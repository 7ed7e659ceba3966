"""The state as parts, and back."""

import base64
from typing import Any

import msgspec
import pytest

from guard.intent import order_of
from guard.limits import (
    Opening,
    Part,
    State,
    TradingRule,
    Worth,
    check_claims,
    end_order,
    find_order,
    find_slot,
    note_currency,
    owner_of,
    post,
    reserve,
    restore,
    set_trading,
    settle,
    snapshot,
    used,
)
from guard.limits.snapshot import CELLS_MAX, IDS_MAX, ORDERS_MAX, STAMPS_MAX, Holders, Ids, Stamps, Time
from guard.limits.windows import log_of
from guard.pauses import on_pause
from guard.terms import OrderNames, Taken
from tests.support.dump import dump
from tests.support.ledger import (
    ACCEPTED,
    REAL,
    SECOND,
    UNKNOWN,
    accepted,
    change,
    new_order,
    once,
    rate,
    slot,
    sums,
    through_json,
)


def busy() -> State:
    """Something of everything: live, ended, changed and doubtful orders, windows, slots, ids, an operator's word."""
    state = State()
    for n in range(40):
        claims = (sums("spend", f"day/key=k{n % 3}", 10 + n), sums("working", "open", n), sums("count", "n", 1))
        windows = (rate("r", 100, 90), once(f"same/{n}", 5), slot(f"key/{n}", f"digest{n}"))
        reserve(state, new_order(f"o{n}", *claims, *windows, key=f"k{n % 3}"), t_us=n * SECOND)
        if n % 4:
            settle(state, f"o{n}", accepted(str(n), f"ex{n}"), t_us=n * SECOND)
    end_order(state, "o5", t_us=41 * SECOND)
    reserve(state, change("m1", "o6", sums("spend", "day/key=k0", 99)), t_us=42 * SECOND)
    settle(state, "o8", UNKNOWN, t_us=43 * SECOND)
    reserve(state, Opening("c1", (rate("cancels", None, 30),), of="o7", account=REAL, order=b"{}"), t_us=44 * SECOND)
    post(state, (rate("wide", None, 3600),), t_us=45 * SECOND)
    set_trading(state, TradingRule("reduce_only", keys=("k1",), reason="drill", by="ops", drill=True, t=7), t_us=1)
    return state


def again(state: State) -> State:
    """Through the parts."""
    return restore(through_json(snapshot(state)))


def test_whoever_restores_beside_a_loop_can_give_way_after_each_order_log_and_slot() -> None:
    """A part of 32 orders took as long as two turns of a loop, and the logs of a day as long as five."""
    state, paused = busy(), list[None]()
    parts = through_json(snapshot(state))

    token = on_pause.set(lambda: paused.append(None))
    try:
        found = restore(parts)
    finally:
        on_pause.reset(token)

    assert len(paused) == len(state.holders) + len(state.logs) + len(state.slots)
    assert dump(found) == dump(state)


def test_the_restored_state_is_the_same() -> None:
    """Every counter, order, step, window, slot and id, and the operators' words."""
    state = busy()

    assert dump(again(state)) == dump(state)
    assert dump(again(again(state))) == dump(state)


def test_no_field_of_the_state_is_forgotten() -> None:
    """A new field needs a part here, or is worked out: `sums` and `days` from orders and spent, `due`, `kept` from
    slots.

    `touched` and `rising` are no state: lists for whoever listens at the moment.
    """
    told = {"at_us", "spent", "holders", "ended", "steps", "logs", "slots", "ids", "currencies", "trading"}

    assert set(State.__struct_fields__) == told | {"sums", "days", "due", "turns", "kept", "touched", "rising"}


def test_currencies_that_were_seen_stay_in_their_order() -> None:
    """The oldest goes first where there are too many, so the order matters."""
    state = State()
    for n in range(CELLS_MAX + 3):
        note_currency(state, f"HK.{n:05}", "USD", t_us=n)
    note_currency(state, "HK.00001", "CNH", t_us=9)
    found = restore(through_json(snapshot(state)))
    assert list(found.currencies.items()) == list(state.currencies.items())
    assert next(reversed(found.currencies)) == "HK.00001"


def test_seen_currencies_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that was noted first goes."""
    monkeypatch.setattr("guard.limits.currencies.CURRENCIES_MAX", 2)
    state = State()
    for n in (1, 2, 1, 3):
        note_currency(state, f"HK.{n}", "USD", t_us=0)
    assert list(state.currencies) == ["HK.1", "HK.3"]


def test_an_empty_state_is_its_time() -> None:
    """Nothing else is written."""
    assert list(snapshot(State(at_us=7))) == [Time(7)]
    assert dump(restore([Time(7)])) == dump(State(at_us=7))
    assert dump(restore([])) == dump(State())


def test_life_goes_on_alike_in_both() -> None:
    """Ends, settlements, looks and doubts give the same answers."""
    one, two = busy(), again(busy())
    for state in (one, two):
        settle(state, "m1", ACCEPTED, t_us=50 * SECOND)
        settle(state, "o8", accepted("8", "ex8"), t_us=51 * SECOND)
        end_order(state, "o7", t_us=52 * SECOND)
        reserve(state, new_order("o99", sums("spend", "day/key=k1", 3), rate("r", 100, 90)), t_us=53 * SECOND)

    assert dump(one) == dump(two)
    claims = (slot("key/39", "other"), rate("r", 30, 90))
    assert check_claims(one, claims, t_us=54 * SECOND) == check_claims(two, claims, t_us=54 * SECOND)
    assert isinstance(check_claims(two, claims, t_us=54 * SECOND), Taken)
    assert find_order(one, REAL, order_id="9", order_id_ex=None) == find_order(
        two, REAL, order_id="9", order_id_ex=None
    )


def test_forgetting_goes_on_in_a_restored_state() -> None:
    """Windows and slots that are over are swept as before: memory stays bounded."""
    state = again(busy())
    for n in range(200):
        reserve(state, new_order(f"x{n}", rate("r2", None, 1)), t_us=(10_000 + n) * SECOND)
        settle(state, f"x{n}", ACCEPTED, t_us=(10_000 + n) * SECOND)

    assert not [cell for cell in state.logs if cell.startswith("same/")]
    assert set(state.slots) == {f"key/{n}" for n in range(0, 40, 4)}, "open steps keep theirs"
    assert used(state, "r", t_us=10_200 * SECOND, window_ms=90_000) == 0
    assert find_slot(state, "key/0", t_us=10_200 * SECOND) is not None


def test_parts_are_small() -> None:
    """A run of small records: none holds more than so many orders, cells, stamps or ids."""
    state = State()
    for n in range(3 * ORDERS_MAX + 1):
        reserve(state, new_order(f"o{n}", sums("spend", f"day{n}", 1), order=b"x" * 500), t_us=n)
        settle(state, f"o{n}", accepted(str(n), f"ex{n}"), t_us=n)
    state.spent |= {f"cell{n}": n for n in range(1, 2 * CELLS_MAX)}
    state.sums |= state.spent
    state.logs["many"] = log_of(range(2 * STAMPS_MAX + 5), 60 * SECOND)
    state.ids[REAL].recent |= dict.fromkeys((str(n) for n in range(2 * IDS_MAX)), "bot")
    parts = list(snapshot(state))

    assert [len(part.holders) for part in parts if isinstance(part, Holders)] == [ORDERS_MAX] * 3 + [1]
    assert [len(part.log.stamps) for part in parts if isinstance(part, Stamps)] == [STAMPS_MAX, STAMPS_MAX, 5]
    assert max(len(part.recent) for part in parts if isinstance(part, Ids)) == IDS_MAX
    assert max(len(msgspec.json.encode(part)) for part in parts) < 64 * 1024
    assert dump(again(state)) == dump(state)


def test_strings_are_shared_as_in_the_live_state() -> None:
    """10⁵ restored orders cost no more memory than live ones."""
    state = again(busy())
    first, second = (state.holders[name] for name in ("o1", "o4"))

    assert first.key is second.key
    assert first.holds.cells[0] is second.holds.cells[0]
    assert first.holds.kinds is second.holds.kinds
    assert first.account is second.account


def test_a_part_that_is_none_is_refused() -> None:
    """A record of a later guard is not guessed at."""
    with pytest.raises(msgspec.ValidationError):
        list(through_json([{"type": "mood"}]))  # type: ignore[list-item] # what a later guard might write


def test_a_snapshot_of_a_guard_before_this_one_is_taken_up() -> None:
    """Names of live orders stood among the latest ids too, and a body with packet id and mark: it comes to the same."""
    body = base64.b64encode(
        b'{"c2s":{"packet_id":{"conn_id":0,"serial_no":7},"header":{"trd_env":1,"acc_id":1,"trd_market":1},"trd_side":1,'
        b'"order_type":1,"code":"00700","qty":100,"price":300,"sec_market":1,"remark":"g:o","time_in_force":0}}'
    ).decode()
    account, worth = {"env": 1, "acc_id": 1}, {"value": "30000", "price": "3E+2"}
    basis = {"cells": ["day"], "amounts": [5], "kinds": "s", "worth": worth}
    holder: dict[str, Any] = {
        "id": "o",
        "key": "bot",
        "account": account,
        "market": "HK",
        "symbol": "HK.00700",
        "order": body,
    }
    holder |= {"status": "working", "order_id": "7", "order_id_ex": "x7", "filled": "0", "step": None, "bases": [basis]}
    holder |= {"cells": ["day"], "held": [5], "kinds": "s"}
    ids: dict[str, Any] = {"type": "ids", "account": account}
    told = [
        {"type": "time", "at_us": 9},
        {"type": "holders", "holders": [holder]},
        ids | {"live": {"7": "o"}},
        ids | {"live_ex": {"x7": "o"}},
        ids | {"recent": ["5", "7", "x7"], "owners": ["other", "bot", "bot"]},
    ]
    state = restore(msgspec.json.decode(msgspec.json.encode(part), type=Part) for part in told)

    live = state.holders["o"]
    assert (state.sums, live.bases[0].worth) == ({"day": 5}, Worth("30000", "3E+2"))
    assert order_of(live.order).symbol == "HK.00700"
    assert find_order(state, REAL, order_id="7", order_id_ex="x7") is live
    end_order(state, "o", t_us=10)
    names = [OrderNames(name, None) for name in ("5", "7", "x7")]
    assert [owner_of(state, REAL, name) for name in names] == ["other", "bot", "bot"]
    assert list(state.ids[REAL].recent) == [5, 7, "x7"]
