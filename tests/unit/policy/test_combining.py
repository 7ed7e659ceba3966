"""Answers of several rules as one judgement."""

from guard.policy.combining import collect
from guard.policy.keylimits import Unreadable
from guard.terms import Claim


def test_an_uncapped_claim_is_the_loosest() -> None:
    """Two claims on one cell fold to the smaller cap and the larger amount, whichever comes first."""
    loose, tight = Claim("spend", "x", 1), Claim("spend", "x", 2, cap=9)
    makers = Unreadable("a", ""), Unreadable("b", "")

    for pairs in (((makers[0], loose), (makers[1], tight)), ((makers[1], tight), (makers[0], loose))):
        found = collect([(maker, (claim,)) for maker, claim in pairs])
        assert (found.claims, found.makers) == ((tight,), (makers[1],))
    found = collect([(makers[0], (Claim("spend", "x", 5, cap=20),)), (makers[1], (tight,))])
    assert found.claims == (Claim("spend", "x", 5, cap=9),)
    assert found.makers == (makers[1],)
