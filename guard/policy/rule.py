"""What a rule is: one small frozen class that looks at one request and answers None, a `Reason`, or claims.

A rule never reads a counter: it says what the request shall hold on one (`Claim`), the ledger says whether that fits,
and the rule that made the claim writes the reason (`refuse`). No clock, no log, no exception for a "no"; an exception
inside a rule is a refusal of the order, made by the judge.
"""

from abc import abstractmethod
from collections.abc import Hashable
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import ClassVar, Literal, Protocol, Self

from msgspec import Struct
from msgspec.structs import replace

from guard.codes import Code
from guard.policy.notation import Reset
from guard.policy.prices import ValueTerms
from guard.terms import Account, Claim, Effect, Env, Missing, PlaceOrder, Reason, Shortfall, Valuation, World

Per = Literal["key", "account", "policy"]
Answer = Reason | tuple[Claim, ...] | None


class Request(Struct, frozen=True, gc=False):
    """What is asked: by which key, with which effect, on which account (None: a read), when (wall clock, aware)."""

    key: str
    effect: Effect
    account: Account | None
    wall: datetime


class Proposal(Request, frozen=True, gc=False):
    """An order as it is to be, what it is worth, and the mark that makes a repeat deliberate.

    `world` None: nothing was asked about the instrument. `reducible`: up to which quantity an order of this symbol and
    side only makes a fresh position smaller.
    """

    order: PlaceOrder
    worth: Valuation | Missing
    mark: str = ""
    world: World | None = None
    terms: ValueTerms = ValueTerms()
    reducible: Decimal = Decimal(0)

    @property
    def is_reducing(self) -> bool:
        """The order only makes a fresh position smaller: no budget, missing price or old rate stops it."""
        return 0 < self.order.qty <= self.reducible


class Meter(Struct, frozen=True):
    """A counter that a caller meets, named without an order. Used is the sum of `counter` and `also`.

    `cap` is in ledger units for money (`unit` is then the currency) and a plain number for counts and rates. `resets`
    are the next ones of the first of these cells, in their order: what is used of a cell comes back at its own.
    """

    policy: str
    rule: str
    subject: str
    counter: str
    cap: int
    unit: str
    window_ms: int = 0
    resets: tuple[datetime, ...] = ()
    also: tuple[str, ...] = ()


class Maker(Protocol):
    """Whoever made a claim: turns the ledger's shortfall into a reason, and into a quantity that would have fitted."""

    def refuse(self, claim: Claim, shortfall: Shortfall) -> Reason:
        """Why the claim does not fit: observed is what the counter would have become, limit the cap."""
        ...

    def largest(self, proposal: Proposal, /) -> Fraction | None:
        """The largest quantity that passes by itself; None where quantity does not matter."""
        ...

    def largest_beside(self, proposal: Proposal, claim: Claim, used: int) -> Fraction | None:
        """The largest quantity for which the claim fits beside what is used; None where quantity does not matter."""
        ...


Granting = tuple[tuple[Claim, ...], tuple[Maker, ...]]
"""Claims, and who made each of them."""


class Scope(Struct, frozen=True):
    """What a counter counts: `per` whom, within which policy, and the part of the selectors that `per` does not fix.

    A limit for agents on an account counts the agents only; so `chosen` is part of the counter's name, and two policies
    that measure the same thing share one counter. `by_env`: real and simulated orders are counted apart.
    """

    per: Per
    policy: str
    chosen: str = ""
    by_env: bool = False

    @property
    def what(self) -> tuple[str, str, bool, str]:
        """What is counted: the same for two scopes whose counters are the same."""
        return self.per, self.chosen, self.by_env, self.policy if self.per == "policy" else ""

    def same(self, other: "Scope") -> bool:
        """Both count the same."""
        return self.what == other.what

    def subject(self, key: str, account: Account | None) -> str:
        """The counter's subject for a request of this key on this account."""
        return self.of(key=key, account=account, env=None if account is None else account.env)

    def of(self, *, key: str, account: Account | None, env: Env | None) -> str:
        """The counter's subject for a key, an account and an environment, as far as it needs them."""
        if self.per == "account":
            if account is None:
                raise AssertionError("a limit per account was asked about a request without one")
            return f"account={account.env.word}:{account.acc_id}{self.chosen}"
        who = f"key={key}" if self.per == "key" else f"policy={self.policy}"
        if not self.by_env:
            return f"{who}{self.chosen}"
        if env is None:
            raise AssertionError("a budget was asked about a request without an account")
        return f"{who};{env.word}{self.chosen}"


class Reach(Struct, frozen=True):
    """For whom meters are wanted: the key, the environments and accounts that it may meet, and when."""

    key: str
    envs: tuple[Env, ...]
    accounts: tuple[Account, ...]
    wall: datetime

    def subjects(self, scope: Scope) -> tuple[str, ...]:
        """The subjects of a scope's counters, as far as they can be named without an order."""
        if scope.per == "account":
            return tuple(scope.of(key=self.key, account=account, env=None) for account in self.accounts)
        envs = self.envs if scope.by_env else (None,)
        return tuple(scope.of(key=self.key, account=None, env=env) for env in envs)


class Rule(Struct, frozen=True):
    """What all rules have: the policy they stand in, and their key path there."""

    policy: str
    name: ClassVar[str] = ""

    def reason(
        self,
        code: Code,
        message: str,
        *,
        observed: str | None = None,
        limit: str | None = None,
        unit: str | None = None,
    ) -> Reason:
        """A reason of this rule."""
        return Reason(code, message, self.policy, self.name, observed, limit, unit)


class OrderRule(Rule, frozen=True):
    """A rule on orders, and the `Maker` of its claims. Rates take any `Request`: reads and cancels meet them too."""

    is_of_shape: ClassVar[bool] = False
    """Its answer hangs on market, symbol, side, type and time in force alone, as long as the instrument is not known.

    Then the same shape need not be asked again once it has passed.
    """
    claims_worth: ClassVar[bool] = False
    """The amount of its claims is what the order is worth."""
    measure: ClassVar[Literal["qty", "value"] | None] = None
    """It compares this of an order with the cap of `limits_in`, and whatever is above nothing and within passes."""

    @abstractmethod
    def judge(self, proposal: Proposal, /) -> Answer:
        """None where there is nothing against the order."""
        raise AssertionError(f"{self.name} says nothing of orders")

    def implies(self, other: Self) -> bool:
        """Whatever passes this rule passes the other, and claims the same counters under caps as tight. Here: equal.

        The other is of the very same kind.
        """
        return replace(other, policy=self.policy) == self

    @property
    def kin(self) -> Hashable:
        """Rules of one kind imply each other only where this is the same; the others need not be compared."""
        return None

    def limits_in(self, currency: str) -> tuple[Hashable, Decimal] | None:  # noqa: ARG002 - for rules on money
        """What an order in this currency is measured by, and the most of it; None where that is not all there is to it.

        Of two rules with the same measure the one that allows less implies the other, for orders in this currency.
        """
        return None

    def is_steady_in(self, currency: str) -> bool:  # noqa: ARG002 - for rules that claim
        """Of orders in this currency of one class (see `orderclass`) it claims the same, but for what they are worth.

        That is said of those that it claims of at all, and that do not only reduce a position.
        """
        return False

    @property
    def resets(self) -> tuple[Reset, ...]:
        """Where a period begins that its counters are named after."""
        return ()

    def refuse(self, claim: Claim, shortfall: Shortfall) -> Reason:  # noqa: ARG002 - for rules that claim
        """Rules that claim say here why a claim does not fit."""
        raise AssertionError(f"{self.name} makes no claims, so not {claim.counter}")

    def meters(self, reach: Reach) -> tuple[Meter, ...]:  # noqa: ARG002 - for rules that claim
        """Rules that claim name their counters here."""
        return ()

    def largest(self, proposal: Proposal) -> Fraction | None:  # noqa: ARG002 - for rules on size
        """Rules on size say here up to which quantity they would let the order through."""
        return None

    def largest_beside(self, proposal: Proposal, claim: Claim, used: int) -> Fraction | None:  # noqa: ARG002 - as above
        """Rules that claim by size say here up to which quantity the claim would have fitted."""
        return None
