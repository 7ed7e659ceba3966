"""Room 5, policy: should it happen?

In: policy files, keys' limits, an order with its value, who asks, the wall clock. Out: every reason against it, and
the claims that the ledger has to grant. Every policy whose selectors match must pass; the tightest wins; what cannot
be judged is refused. Never: a counter read, a clock, a file, a network, a float. Pure.
"""

from guard.policy.breaker import COUNTED, BreakerLimit, outcome_claim
from guard.policy.budgets import counted_again
from guard.policy.cells import fill_cell
from guard.policy.combining import Judgement
from guard.policy.compile import compile_set
from guard.policy.document import PolicyDoc, PolicyError
from guard.policy.judge import RULES_VERSION, breaker_limits, judge, judge_cancel, judge_read
from guard.policy.largest import largest_bound, largest_qty, whole_lots
from guard.policy.metering import meters
from guard.policy.needs import excusable
from guard.policy.parse import parse_policy
from guard.policy.plan import Plan
from guard.policy.policyset import PolicySet
from guard.policy.prices import ValueTerms
from guard.policy.reducing import exits_claim, exits_of, reducible
from guard.policy.rights import cancels_account, may_touch, sees_own_only
from guard.policy.rule import Maker, Meter
from guard.policy.valuation import value

__all__ = [
    "COUNTED",
    "RULES_VERSION",
    "BreakerLimit",
    "Judgement",
    "Maker",
    "Meter",
    "Plan",
    "PolicyDoc",
    "PolicyError",
    "PolicySet",
    "ValueTerms",
    "breaker_limits",
    "cancels_account",
    "compile_set",
    "counted_again",
    "excusable",
    "exits_claim",
    "exits_of",
    "fill_cell",
    "judge",
    "judge_cancel",
    "judge_read",
    "largest_bound",
    "largest_qty",
    "may_touch",
    "meters",
    "outcome_claim",
    "parse_policy",
    "reducible",
    "sees_own_only",
    "value",
    "whole_lots",
]
