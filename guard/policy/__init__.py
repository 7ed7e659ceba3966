"""Room 5, policy: should it happen?

In: policy files, keys' limits, an order with its value, who asks, the wall clock. Out: every reason against it, and
the claims that the ledger has to grant. Every policy whose selectors match must pass; the tightest wins; what cannot
be judged is refused. Never: a counter read, a clock, a file, a network, a float. Pure.
"""

from guard.policy.compile import PolicySet, compile_set
from guard.policy.document import PolicyDoc, PolicyError, parse_policy
from guard.policy.judge import Judgement, judge, judge_cancel, judge_read, may_touch, meters
from guard.policy.rule import Maker, Meter
from guard.policy.valuation import value

__all__ = [
    "Judgement",
    "Maker",
    "Meter",
    "PolicyDoc",
    "PolicyError",
    "PolicySet",
    "compile_set",
    "judge",
    "judge_cancel",
    "judge_read",
    "may_touch",
    "meters",
    "parse_policy",
    "value",
]
