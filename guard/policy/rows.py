"""What a row of the rule table says of one key of a policy file. The rows themselves are in `table`.

One table is the source of docs/policies.md, of the descriptions in the JSON Schema, of the order in which a diff calls
a change looser or tighter, and of the steps by which `guard policy test --mutate` moves a limit.
"""

from typing import Final, Literal

from msgspec import Struct

Order = Literal[
    "caps",  # money by currency: smaller is tighter; without the key there is no limit
    "cap",  # a number: smaller is tighter; without the key there is no limit
    "allow",  # a list of what is allowed: shorter is tighter; without the key everything is
    "block",  # a list of what is refused: longer is tighter
    "reach",  # a list of whom the policy selects: longer is tighter, for more are bound
    "unreach",  # a list of whom it leaves out: longer is looser
    "rates",  # counts in windows: fewer in longer windows is tighter
    "percents",  # percentages by class: smaller is tighter
    "wait",  # a time for which something is refused: longer is tighter
    "buffer",  # a percentage added to what an order is worth: larger is tighter
    "hours",  # windows: shorter is tighter
    "words",  # the words of `loosest_last`, in that order
    "until",  # an end: later is tighter, for the policy binds longer
    "mixed",  # a change of it lets some through and refuses others
    "note",  # a change of it changes no answer
]
Bound = Literal["inclusive", "exclusive", "exact", ""]

STEPS: Final = {"caps": "0.01", "cap": "1", "rates": "1", "percents": "0.1", "buffer": "0.1", "wait": "1", "hours": "1"}
UNCHANGED: Final = "as a new order, on the order as it will be"
NO_CANCEL: Final = "never asked"


class RuleRow(Struct, frozen=True, kw_only=True):
    """One key. `unset` is what leaving it out means; `modify` and `cancel` what it does to a change and a cancel.

    `codes` are those of its refusals. `claims`: a counter stands behind it. `loosest_last` orders the words of "words".
    `step`: by how much a mutation moves it, where that is not what `STEPS` says of its order.
    """

    path: str
    says: str
    order: Order
    example: str
    unit: str = ""
    unset: str = "no limit"
    bound: Bound = ""
    modify: str = UNCHANGED
    cancel: str = NO_CANCEL
    codes: tuple[str, ...] = ()
    claims: bool = False
    loosest_last: tuple[str, ...] = ()
    mixed_why: str = ""
    step: str = ""

    @property
    def table(self) -> str:
        """The table that the key stands in."""
        return self.path.split(".", maxsplit=1)[0]

    @property
    def key(self) -> str:
        """The key within its table; "" where the table is all keys (hours)."""
        return self.path.partition(".")[2]
