"""The rule table: every key of a policy file, once, in the order of the contract."""

from types import MappingProxyType
from typing import Final

from guard.policy.rows import RuleRow
from guard.policy.rows_counts import BREAKER, BUDGETS, FX_ROWS, RATES, REFERENCE, RIGHTS
from guard.policy.rows_orders import HEAD, HOURS_ROWS, INSTRUMENTS, ORDERS, SELECTORS

ROWS: Final[tuple[RuleRow, ...]] = (
    *HEAD,
    *SELECTORS,
    *INSTRUMENTS,
    *ORDERS,
    *HOURS_ROWS,
    *BUDGETS,
    *RATES,
    *RIGHTS,
    *BREAKER,
    *REFERENCE,
    *FX_ROWS,
)
BY_PATH: Final = MappingProxyType({row.path: row for row in ROWS})
