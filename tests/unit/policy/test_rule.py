"""What counters are called, and what a rule is by itself."""

import pytest

from guard.codes import Code
from guard.policy.keylimits import Unreadable
from guard.policy.rule import Reach, Request, Scope
from guard.terms import Account, Claim, Effect, Env, Shortfall
from tests.support.policy import FRIDAY, REAL

REQUEST = Request("bot-a", Effect.ORDER_NEW, REAL, FRIDAY)
READ = Request("bot-a", Effect.READ, None, FRIDAY)


@pytest.mark.parametrize(
    ("scope", "subject"),
    [
        (Scope("key", "desk"), "key=bot-a"),
        (Scope("key", "desk", by_env=True), "key=bot-a;real"),
        (Scope("key", "desk", ";accounts=1", by_env=True), "key=bot-a;real;accounts=1"),
        (Scope("account", "desk"), "account=real:1"),
        (Scope("account", "desk", ";keys=agent-*", by_env=True), "account=real:1;keys=agent-*"),
        (Scope("policy", "desk"), "policy=desk"),
        (Scope("policy", "desk", by_env=True), "policy=desk;real"),
    ],
)
def test_a_subject_is_what_is_measured(scope: Scope, subject: str) -> None:
    """Key, account or policy, with what the selectors leave out and the environment where it matters."""
    assert scope.subject(REQUEST.key, REQUEST.account) == subject


def test_only_policies_with_a_counter_per_policy_name_themselves() -> None:
    """A counter belongs to what it measures, so a rename of the policy changes nothing."""
    assert Scope("key", "desk").subject(REQUEST.key, REQUEST.account) == Scope("key", "renamed").subject(
        REQUEST.key, REQUEST.account
    )


def test_a_scope_that_needs_an_account_is_never_asked_without() -> None:
    """Asking about a read per account, or by environment, is a bug."""
    with pytest.raises(AssertionError):
        Scope("account", "desk").subject(READ.key, READ.account)
    with pytest.raises(AssertionError):
        Scope("key", "desk", by_env=True).subject(READ.key, READ.account)


def test_a_reach_names_subjects_without_an_order() -> None:
    """Meters are named for the environments and accounts that the key may meet."""
    paper = Account(Env.SIMULATE, 2)
    reach = Reach("bot-a", (Env.REAL, Env.SIMULATE), (REAL, paper), FRIDAY)

    assert reach.subjects(Scope("key", "desk")) == ("key=bot-a",)
    assert reach.subjects(Scope("key", "desk", by_env=True)) == ("key=bot-a;real", "key=bot-a;simulate")
    assert reach.subjects(Scope("account", "desk")) == ("account=real:1", "account=simulate:2")


def test_a_rule_without_claims_has_no_meters_and_refuses_no_claim() -> None:
    """Being asked about somebody else's claim is a bug, not a refusal."""
    rule = Unreadable("desk", "no")

    assert rule.meters(Reach("bot-a", (), (), FRIDAY)) == ()
    assert rule.reason(Code.SIDE, "no").policy == "desk"
    with pytest.raises(AssertionError):
        rule.refuse(Claim("count", "x", 1, 1), Shortfall(0, 1))
