"""What a key was granted on an account: remembered, and never for anything but the very same question."""

from datetime import UTC, datetime
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from guard.catalogue import find
from guard.codes import Code
from guard.terms import Account, AccountRow, Call, Effect, Endpoint, Env, Intent, Missing, Principal, Read
from guard.walk import door
from guard.walk.visit import Situation, Visit

PATHS: Final = ("/api/order", "/api/modify-order", "/api/funds", "/api/unlock-trade")
SCOPES: Final = (frozenset({"trade:simulate"}), frozenset({"trade:real", "acc:read"}), frozenset({"acc:read"}))
ROWS: Final[tuple[Any, ...]] = (
    (AccountRow(Account(Env.SIMULATE, 1)), AccountRow(Account(Env.REAL, 2))),
    (AccountRow(Account(Env.SIMULATE, 1)),),
    (AccountRow(Account(Env.REAL, 1)), AccountRow(Account(Env.SIMULATE, 2))),
    Missing(Code.REFERENCE_UNAVAILABLE, "the account list is not known"),
)
INTENT: Final[Intent] = Read(None)


def endpoint(path: str) -> Endpoint:
    """The row of the catalogue."""
    found = find("POST", path)
    assert isinstance(found, Endpoint)
    return found


questions = st.fixed_dictionaries(
    {
        "path": st.sampled_from(PATHS),
        "is_cancel": st.booleans(),
        "key": st.sampled_from(("bot", "other")),
        "scopes": st.sampled_from(SCOPES),
        "acc_ids": st.sampled_from((None, frozenset({1}), frozenset({2}))),
        "rows": st.sampled_from(ROWS),
        "env": st.sampled_from((None, Env.SIMULATE, Env.REAL)),
        "named": st.sampled_from((None, (), (1,), (2,), (1, 2))),
    }
)


def asked(said: dict[str, Any]) -> list[Any]:
    """What stands against this request, asked as the walk asks it."""
    row = endpoint(said["path"])
    now = datetime(2026, 11, 25, tzinfo=UTC)
    config: Any = None  # rights hang on no setting
    visit = Visit(Call("POST", row.path, {}, b"", ""), "id", now, 0, 0, 0, config)
    visit.endpoint, visit.effect = row, Effect.ORDER_CANCEL if said["is_cancel"] and row.is_trade else row.effect
    visit.principal = Principal(said["key"], said["key"], said["scopes"], said["acc_ids"])
    situation = Situation(INTENT, rows=said["rows"], env=said["env"], acc_ids=said["named"])
    return door.rights(visit, situation)


@given(st.lists(questions, min_size=2, max_size=12))
def test_a_grant_that_is_remembered_is_the_one_that_would_be_given_now(series: list[dict[str, Any]]) -> None:
    """Keys of one id whose rights change, lists that change, other environments, accounts and effects, in any order."""
    for said in series:
        remembered = asked(said)
        assert asked(said) == remembered
        kept = dict(door._granted)
        door._granted.clear()
        assert asked(said) == remembered
        door._granted.update(kept)


def test_only_so_many_grants_are_remembered() -> None:
    """One a key, and no more keys than are told; a refusal is worked out each time."""
    said = {"path": "/api/order", "is_cancel": False, "scopes": SCOPES[0], "acc_ids": None, "rows": ROWS[0]}
    said |= {"env": Env.SIMULATE, "named": (1,)}
    for number in range(door.GRANTED_MAX + 5):
        assert asked(said | {"key": f"bot-{number}"}) == []
        assert len(door._granted) <= door.GRANTED_MAX
    before = dict(door._granted)
    assert asked(said | {"key": "new", "named": (2,)}) != []
    assert door._granted == before
