"""Room 5, policy: should it happen?

In: policy files, keys' limits, an order with its value, who asks, the wall clock. Out: every reason against it, and
the claims that the ledger has to grant. Every policy whose selectors match must pass; the tightest wins; what cannot
be judged is refused. Never: a counter read, a clock, a file, a network, a float. Pure.

- a file is read: `parse` by `schema`, `notation` and `checks` (`locate`: where in the text) to a `document`; `table`,
  of `rows`, `rows_orders` and `rows_counts`, describes every key once (`page`, `jsonschema`)
- becomes rules: `compile` joins documents, `keylimits` and flags; `assemble` makes the rules of one, and `selection`,
  `policyset` and `plan` say which bind
- the rules, as `rule` defines them: `instruments`, `orders`, `collar`, `hours`, `budgets`, `working`, `rates`;
  their counters: `cells`, `periods`, `metering`, `breaker`; their money: `amounts`, `fx`; orders of others: `rights`
- one order: `needs`, `prices`, `contracts`, `valuation`, `reducing`, `orderclass`; `judge` asks, `combining` joins the
  answers, `explain` and `largest` tell more of them; later in its life: `changed`, `fills`
- two sets compared: `diff` by `compared`, `witness` with `boundary` and `stand_ins`; probable mistakes: `lint`,
  `loadwarnings`; policy tests: `casefile`, `cases`, `staged`, `trial`, `mutate`; limits from use: `suggest`
"""

from guard.policy.breaker import COUNTED, BreakerLimit, outcome_claim
from guard.policy.budgets import counted_again
from guard.policy.cells import ends_at, fill_cell
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
    "ends_at",
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
