"""Cuts the daemon's answers to what their caller may see: its accounts, and its own orders by `rights.see`."""

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from guard.access import Cut, cut_account_list, cut_lines, cut_members, cut_rows, visible_accounts
from guard.catalogue import DIAGNOSTICS, ORDER_ROWS, SUBSCRIPTIONS
from guard.limits import NOBODY, State, owner_of
from guard.policy import sees_own_only
from guard.terms import Account, AccountAt, Answer, Env, OrderNames, Refusal
from guard.walk.desk import Desk
from guard.walk.gather import listed
from guard.walk.visit import Situation, Visit

FILTERED: Final = "Guard-Filtered"
_CUT: Final = frozenset({*DIAGNOSTICS, *SUBSCRIPTIONS, *ORDER_ROWS})
_ANSWER: Final = AccountAt.ANSWER


class AnswerView(Struct, frozen=True, gc=False):
    """The answer as the caller gets it, and the headers that say how it was cut."""

    answer: Answer
    headers: tuple[tuple[str, str], ...] = ()


def view_of(desk: Desk, visit: Visit, situation: Situation, *, answer: Answer) -> AnswerView | Refusal:
    """The daemon's answer, cut; an answer that cannot be read well enough to be cut is refused."""
    endpoint, principal = visit.endpoint, visit.principal
    if endpoint is None or (endpoint.path not in _CUT and endpoint.account is not _ANSWER):
        return AnswerView(answer)
    if endpoint.path in DIAGNOSTICS:
        return _with(answer, cut_members(answer.body, DIAGNOSTICS[endpoint.path]))
    if principal is None:
        return AnswerView(answer)
    if endpoint.path in SUBSCRIPTIONS:
        held = frozenset(desk.subscriptions.held(principal.name))
        return _with(answer, cut_lines(answer.body, is_held=lambda *line: line in held))
    if endpoint.account is _ANSWER and principal.is_restricted:
        visible = visible_accounts(principal, listed(situation) or ())
        body = cut_account_list(answer.body, visible or frozenset())
        return body if isinstance(body, Refusal) else AnswerView(replace(answer, body=body))
    rows = ORDER_ROWS.get(endpoint.path)
    policies, env, acc_id = visit.config.policies, situation.env, situation.acc_id
    if rows is None or not sees_own_only(policies, principal, env=env, acc_id=acc_id, wall=visit.wall):
        return AnswerView(answer)
    accounts = accounts_of(env, acc_id)
    found = cut_rows(answer.body, rows, is_shown=lambda names: owner_in(desk.state, accounts, names) == principal.name)
    return _with(answer, found, is_counted=True)


def _with(answer: Answer, cut: Cut | Refusal, *, is_counted: bool = False) -> AnswerView | Refusal:
    if isinstance(cut, Refusal):
        return cut
    return AnswerView(replace(answer, body=cut.body), ((FILTERED, str(cut.filtered)),) if is_counted else ())


def accounts_of(env: Env | None, acc_id: int | None) -> tuple[Account, ...]:
    """The accounts that an answer may be about: in both environments if none is named, none without an id."""
    if acc_id is None:
        return ()
    return tuple(Account(each, acc_id) for each in (tuple(Env) if env is None else (env,)))


def owner_in(state: State, accounts: tuple[Account, ...], names: OrderNames) -> str:
    """Whose order this is, looked up in each of the accounts; nobody's if they disagree."""
    owners = {owner_of(state, account, names) for account in accounts} - {NOBODY}
    return owners.pop() if len(owners) == 1 else NOBODY
