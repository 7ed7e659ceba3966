"""One request on its way: the visit that it pays to the desk, and the situation it finds there."""

from datetime import datetime
from decimal import Decimal
from typing import Final, Literal

from msgspec import Struct

from guard.activeconfig import ActiveConfig
from guard.limits import Holder
from guard.policy import Judgement, Plan
from guard.terms import (
    Account,
    AccountRow,
    Call,
    Claim,
    Effect,
    Endpoint,
    Env,
    Intent,
    Missing,
    ModifyOrder,
    Needs,
    Op,
    Outbound,
    PlaceOrder,
    Principal,
    Read,
    Refusal,
    Valuation,
    World,
)


class Visit(Struct, gc=False):
    """One request on its way: who asks what, and what will be counted and recorded of it.

    `wall` (in µs `wall_us`) and `t_us` are its one notion of now, by the wall and by the guard's own clock; a wait
    moves both, but not `started_us`, which is the `t_us` of its beginning. `is_decided`: its decision is on record.
    `under_way`: the name under which it counts as under way. `daemon_us`: the part of its time that was the daemon's.
    `more`: what was asked for beyond what the rules need, because it may change a refusal. A position that was read
    before `position_since_us` is not used. `exits_before`: what other working orders were taking off it when it was
    asked for, and those that came until it arrived; `filled_before`: how much of the changed order itself was filled
    when it was asked for. `batch` and `why`: for a cancel that the guard makes itself, what it is a part of and on
    whose word.
    """

    call: Call
    id: str
    wall: datetime
    wall_us: int
    t_us: int
    started_us: int
    config: ActiveConfig
    endpoint: Endpoint | None = None
    effect: Effect | None = None
    principal: Principal | None = None
    outcome: Literal["allowed", "refused", "failed"] = "failed"
    is_decided: bool = False
    under_way: str | None = None
    daemon_us: int = 0
    more: Needs | None = None
    position_since_us: int = 0
    exits_before: int = 0
    filled_before: int = 0
    batch: str | None = None
    why: str = ""


class Ruling(Struct, frozen=True, gc=False):
    """What the rules said of a trade before the ledger was asked, and what would be sent (None: no account is known).

    `exits`: the claim for what the order takes off its position; `working`: what the rules were told that other orders
    take off it.
    """

    judgement: Judgement
    outbound: Outbound | None
    exits: Claim | None
    working: int


class Situation(Struct, gc=False):
    """What is known of the world for one request; a missing datum is a value here.

    `rows`: the account list. `acc_ids`: the accounts that the body names; None: it names none, empty: what it names is
    no account. `plan`: the rules that bind a trade of this key on this account; None where either is not known.
    `order`: the order as it shall be, new or after the change; `needs` is what its rules have to know, `world` what is
    known of that, `worth` what they valued it at. `holder`: the live order that is meant; `conflict`: why none can be
    meant, or none can be changed so; `elsewhere`: the orders of other accounts that a cancel names instead.
    `reducible`: up to this quantity an order of this symbol and side only makes a fresh position smaller. `each`: the
    live orders that a cancel-all cancels one by one; None: it is sent as one request. `ruling`: what the rules said
    before the ledger was asked.
    """

    intent: Intent
    rows: tuple[AccountRow, ...] | Missing = ()
    env: Env | None = None
    acc_id: int | None = None
    account: Account | None = None
    acc_ids: tuple[int, ...] | None = None
    holder: Holder | None = None
    conflict: Refusal | None = None
    elsewhere: tuple[Holder, ...] = ()
    order: PlaceOrder | None = None
    plan: Plan | None = None
    worth: Valuation | Missing | None = None
    needs: Needs | None = None
    world: World | None = None
    reducible: Decimal = Decimal(0)
    each: tuple[Holder, ...] | None = None
    ruling: Ruling | None = None

    @property
    def is_reducing(self) -> bool:
        """By what its rules were told, the order only makes a fresh position smaller."""
        return self.order is not None and 0 < self.order.qty <= self.reducible

    def locate(self, env: Env | None, acc_id: int | None) -> None:
        """Sets the account on which the request counts; an unknown environment counts as real."""
        self.env, self.acc_id = env, acc_id
        self.account = None if acc_id is None else Account(Env.REAL if env is None else env, acc_id)

    @property
    def comes_back(self) -> bool:
        """A disabled order is to be enabled again: it is judged and counted like a new one (W05)."""
        return isinstance(self.intent, ModifyOrder) and self.intent.op is Op.ENABLE

    @property
    def market(self) -> str | None:
        """The policy's word for the market, where an order is known."""
        if self.order is not None:
            return self.order.market
        return None if self.holder is None else self.holder.market


NOTHING_KNOWN: Final = Situation(Read(None))
