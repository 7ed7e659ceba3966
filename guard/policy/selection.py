"""Which policies are chosen: by a key, an environment, an account. Pure but for a bounded cache.

Most policies have selectors in common, and most keys are chosen by the same ones. So each different selector is asked
once, and what its answers come to is one tuple for all keys of which they are the same: with 1,000 policies a key
costs as many questions as there are different selectors, not a thousand.
"""

from collections.abc import Sequence
from typing import Final

from guard.policy.assemble import Bound
from guard.policy.schema import AppliesTo
from guard.terms import Account, Env

SHARED_MAX: Final = 1024  # sets of policies that keys have in common
Answers = tuple[bool, ...]


class Selection:
    """Over the policies of one set, in their order. An `Answers` has one answer for each different selector."""

    def __init__(self, bounds: Sequence[Bound]) -> None:
        self._bounds = tuple(bounds)
        firsts: dict[AppliesTo, Bound] = {}
        for bound in bounds:
            firsts.setdefault(bound.applies_to, bound)
        places = {selectors: place for place, selectors in enumerate(firsts)}
        self._firsts = tuple(firsts.values())
        self._places = tuple(places[bound.applies_to] for bound in bounds)
        self._chosen: dict[Answers, tuple[Bound, ...]] = {}

    def answers(self, key: str, env: Env | None) -> Answers:
        """What the selectors say of this key in this environment; of none they say nothing."""
        return tuple(bound.selects(key, env) for bound in self._firsts)

    def reaching(self, answers: Answers, account: Account) -> Answers:
        """The same, where they name this account or none."""
        return tuple(yes and bound.reaches(account) for yes, bound in zip(answers, self._firsts, strict=True))

    def chosen(self, answers: Answers) -> tuple[Bound, ...]:
        """The policies of these answers."""
        found = self._chosen.get(answers)
        if found is None:
            if len(self._chosen) >= SHARED_MAX:
                self._chosen.clear()
            found = tuple(bound for bound, place in zip(self._bounds, self._places, strict=True) if answers[place])
            self._chosen[answers] = found
        return found
