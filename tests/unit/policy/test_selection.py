"""Which policies are chosen: the same as when each of them is asked by itself, for far fewer questions."""

from itertools import combinations, product
from typing import Final

import pytest

from guard.policy.assemble import Bound
from guard.policy.schema import AppliesTo
from guard.policy.selection import Selection
from guard.terms import Account, Env

KEYS: Final = (None, ("bot-*",), ("bot-1", "desk"), ())
EXCEPT: Final = (None, ("bot-1",))
ENVIRONMENTS: Final = (None, ("real",), ())
ACCOUNTS: Final = (None, (1,), (1, 2), ())
BOUNDS: Final = tuple(
    Bound(f"p{place}", (), applies_to=AppliesTo(*selectors))
    for place, selectors in enumerate(2 * tuple(product(KEYS, EXCEPT, ENVIRONMENTS, ACCOUNTS)))
)


@pytest.mark.parametrize("env", [None, *Env])
@pytest.mark.parametrize("key", ["bot-1", "bot-2", "desk", "other"])
def test_what_is_chosen_is_what_chooses_one_by_one(key: str, env: Env | None) -> None:
    """Every mixture of selectors, each twice: in their order, with an account and without one."""
    selection = Selection(BOUNDS)
    answers = selection.answers(key, env)
    chosen = [bound for bound in BOUNDS if bound.selects(key, env)]

    assert list(selection.chosen(answers)) == chosen
    assert 0 < len(chosen) < len(BOUNDS)
    for acc_id in (1, 2, 3):
        account = Account(env or Env.REAL, acc_id)
        reaching = selection.chosen(selection.reaching(answers, account))
        assert list(reaching) == [bound for bound in chosen if bound.reaches(account)]


def test_keys_that_are_chosen_alike_have_one_list_of_policies() -> None:
    """And a selector that many policies have is asked once."""
    selection = Selection([Bound(f"p{number}", (), applies_to=AppliesTo(("bot-*",))) for number in range(100)])
    first, second = selection.answers("bot-1", None), selection.answers("bot-2", None)

    assert first == (True,)
    assert selection.chosen(first) is selection.chosen(second)
    assert selection.chosen(selection.answers("desk", None)) == ()


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past its size it starts anew, and answers the same."""
    monkeypatch.setattr("guard.policy.selection.SHARED_MAX", 2)
    bounds = [Bound(name, (), applies_to=AppliesTo((name,))) for name in "abc"]
    selection = Selection(bounds)
    for several in (*combinations("abc", 1), *combinations("abc", 2), *combinations("abc", 1)):
        answers = tuple(bound.policy in several for bound in bounds)
        assert [bound.policy for bound in selection.chosen(answers)] == list(several)
        assert len(selection._chosen) <= 2
