"""The working orders of a trading state's scope, cancelled when the state is set with `cancel_working`.

The same mechanism as a cancel of all: newest first, at the broker's pace, each cancel a decision that says who wanted
it and why. Where every order known on an account and market is in the scope, one request ends them. Orders that were
placed elsewhere belong to a scope that names no keys.
"""

from guard.limits import Holder, State, TradingRule
from guard.terms import Principal
from guard.walk.cancelling import Cancelling
from guard.walk.targets import Requester, Target

_Place = tuple[object, str]


def cancel_scope(
    cancelling: Cancelling, state: State, rule: TradingRule, *, batch: str, by: Principal | None
) -> tuple[Target, ...]:
    """Has them cancelled; at once what each has come to."""
    why = f"{'drill: ' if rule.drill else ''}{rule.state} by {rule.by}: {rule.reason}"
    requester = Requester(batch=batch, principal=by, why=why)
    meant = [holder for holder in state.holders.values() if is_in_scope(rule, holder)][::-1]
    names = {holder.id for holder in meant}
    shared = {_place(holder) for holder in state.holders.values() if holder.id not in names}
    alone = [holder for holder in meant if _place(holder) not in shared]
    rest = [holder for holder in meant if _place(holder) in shared]
    return (*cancelling.begin(requester, alone, as_one=True), *cancelling.begin(requester, rest))


def is_in_scope(rule: TradingRule, holder: Holder) -> bool:
    """The rule binds the order's key, its account and its market."""
    if rule.keys and holder.key not in rule.keys:
        return False
    if rule.accounts and holder.account.acc_id not in rule.accounts:
        return False
    return not rule.markets or holder.market in rule.markets


def _place(holder: Holder) -> _Place:
    """What one request for all would reach: an account's orders of a market; of futures, those of every market."""
    return holder.account, holder.market.partition("_")[0] if holder.market.startswith("FUTURES") else holder.market
