"""Accounts: which a caller may see, which a request names, in which environment, and lists cut to what may be seen.

An account is a pair (environment, acc_id) of the daemon's account list; a pair that is not listed is refused to
everybody. Whatever a restricted caller learns is a function of the accounts it may see: card numbers and environments
of requests are resolved among those alone, and every refusal reads the same, so that nobody can probe which accounts
exist (B11, B32). Endpoints that only read are no exception (B08). Pure; the account list is an argument, and an empty
one lists nothing: a list that could not be had is the pipeline's to answer.
"""

from collections.abc import Set as AbstractSet
from operator import attrgetter
from typing import Final

import msgspec
from msgspec import Raw

from guard.access.cutting import ENVELOPE
from guard.codes import Code
from guard.terms import (
    Account,
    AccountAt,
    AccountRow,
    Effect,
    Endpoint,
    Env,
    Principal,
    Reason,
    Refusal,
    refuse,
)

Rows = tuple[AccountRow, ...]

UNIFORM: Final = Reason(
    Code.ACCOUNT,
    "the request names no account that this key may use in this environment; /api/accounts lists those that it may",
    rule="accounts",
)
_SUFFIX_DIGITS: Final = 4
_UNNAMED: Final = frozenset({AccountAt.NONE, AccountAt.ANSWER})
_NULL: Final = Raw(b"null")
_ACCOUNT: Final = attrgetter("account")


def _matches(row: AccountRow, card_num: str) -> bool:
    numbers = (row.card_num, row.uni_card_num)
    if len(card_num) == _SUFFIX_DIGITS:
        return any(number.endswith(card_num) for number in numbers)
    return card_num in numbers


def _of_card(card_num: str, rows: Rows) -> frozenset[Account]:
    """The accounts of one card; none where it is unknown, or belongs to more than one acc_id."""
    found = frozenset(row.account for row in rows if card_num and _matches(row, card_num))
    return found if len({account.acc_id for account in found}) == 1 else frozenset()


def visible_accounts(principal: Principal, rows: Rows) -> frozenset[Account] | None:
    """The listed accounts that the caller may see; None means all.

    A card number of the key that is unknown or ambiguous denies everything, whatever else the key names: a key that
    no longer says what its writer meant must not half work (B30).
    """
    if not principal.is_restricted:
        return None
    acc_ids = principal.acc_ids or frozenset()
    seen = {row.account for row in rows if row.account.acc_id in acc_ids}
    for card_num in principal.card_nums or ():
        found = _of_card(card_num, rows)
        if not found:
            return frozenset()
        seen |= found
    return frozenset(seen)


def _visible_rows(principal: Principal, rows: Rows) -> Rows:
    visible = visible_accounts(principal, rows)
    return rows if visible is None else tuple(row for row in rows if row.account in visible)


def resolve_acc_id(
    principal: Principal, rows: Rows, *, env: Env | None, acc_id: int | None, card_num: str | None
) -> int | None:
    """The account id that a body means by `acc_id`, `card_num`, or both; None where there is none or they disagree.

    A card is looked up among the accounts that the caller may see, in `env` where the body names one.
    """
    if card_num is None:
        return acc_id
    rows = tuple(row for row in _visible_rows(principal, rows) if env is None or row.account.env is env)
    found = {account.acc_id for account in _of_card(card_num, rows)}
    if acc_id is not None and acc_id not in found:
        return None
    return next(iter(found), None)


def resolve_env(principal: Principal, rows: Rows, *, order: Env | None, acc_id: int | None) -> Env | None:
    """Where a trade counts whose body does not say: as the order named does, else as its account, listed in one only.

    None is unknown; what unknown counts as is `environment_reasons`' business.
    """
    if order is not None:
        return order
    listed = {row.account.env for row in _visible_rows(principal, rows) if row.account.acc_id == acc_id}
    return listed.pop() if len(listed) == 1 else None


def account_reasons(
    endpoint: Endpoint,
    principal: Principal,
    *,
    rows: Rows,
    env: Env | None,
    acc_ids: tuple[int, ...] | None,
) -> tuple[Reason, ...]:
    """Why the caller may not use the accounts that the request names; every refusal is the same `UNIFORM` reason.

    `acc_ids` None: the request names none. An empty tuple: it names something that is no account (a card number that
    does not resolve, an empty list). `env` None: any environment in which the account is listed. A read that leaves it
    out leaves it to the daemon, so there the caller must be allowed all of them (B15).
    """
    if endpoint.account in _UNNAMED:
        return ()
    if acc_ids is not None and len(acc_ids) == 1 and env is not None and not principal.is_restricted:
        return () if Account(env, acc_ids[0]) in map(_ACCOUNT, rows) else (UNIFORM,)
    visible = visible_accounts(principal, rows)
    usable = {row.account for row in rows} if visible is None else visible
    if acc_ids is None:
        return _naming_none(endpoint, principal, usable)
    known = {account.acc_id for account in usable if env is None or account.env is env}
    if env is None and endpoint.effect is Effect.READ:
        known -= {row.account.acc_id for row in rows if row.account not in usable}
    return () if acc_ids and known.issuperset(acc_ids) else (UNIFORM,)


def _naming_none(endpoint: Endpoint, principal: Principal, usable: AbstractSet[Account]) -> tuple[Reason, ...]:
    """A trade always names its account. A restricted key always does, but for pushes, which are cut to what it sees.

    Leaving the list out of an unlock would mean every account of the login (B29), and so may an empty list of pushes.
    """
    if endpoint.is_trade or (endpoint.effect is Effect.SUBSCRIBE and not usable):
        return (UNIFORM,)
    if endpoint.effect is Effect.SUBSCRIBE or not principal.is_restricted:
        return ()
    return (UNIFORM,)


def push_acc_ids(principal: Principal, rows: Rows, acc_ids: tuple[int, ...] | None) -> tuple[int, ...]:
    """The account ids of a push subscription as the daemon is told them: those named, else all that may be seen."""
    if acc_ids is not None:
        return acc_ids
    return tuple(sorted({row.account.acc_id for row in _visible_rows(principal, rows)}))


def cut_account_list(body: bytes, visible: frozenset[Account]) -> bytes | Refusal:
    """An account list of the daemon's without the rows that are not in `visible`.

    Every value that stays is the daemon's own bytes: 64-bit ids and decimals never pass through a number. A row that
    does not say which account it is goes too, as does every member that nobody knows: a newer daemon may tell accounts
    there. What is no JSON object is refused as `daemon_bad_answer`. An answer without a list (an error of the
    daemon's) keeps its words.
    """
    try:
        answer = msgspec.json.decode(body, type=dict[str, Raw])
        inner = msgspec.json.decode(answer.get("s2c", _NULL), type=dict[str, Raw] | None)
        cut = {name: value for name, value in answer.items() if name in ENVELOPE} | _lists(answer, visible)
        if "s2c" in answer:
            cut["s2c"] = _NULL if inner is None else Raw(msgspec.json.encode(_lists(inner, visible)))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return refuse(Code.DAEMON_BAD_ANSWER, "the daemon's account list could not be read")
    return msgspec.json.encode(cut)


def _lists(members: dict[str, Raw], visible: frozenset[Account]) -> dict[str, Raw]:
    """Every account list among the members, in whichever spelling it comes, cut."""
    return {
        name: _cut_rows(value, visible) for name, value in members.items() if name.replace("_", "").lower() == "acclist"
    }


def _cut_rows(value: Raw, visible: frozenset[Account]) -> Raw:
    rows = msgspec.json.decode(value, type=list[Raw] | None) or []
    return Raw(msgspec.json.encode([row for row in rows if _account(row) in visible]))


def _account(row: Raw) -> Account | None:
    fields = msgspec.json.decode(row, type=dict[str, Raw])
    env = msgspec.json.decode(fields.get("trd_env", _NULL))
    acc_id = msgspec.json.decode(fields.get("acc_id", _NULL))
    # Exact types: true and 1.0 are no environment, and no account.
    if type(env) is not int or env not in set(Env) or type(acc_id) is not int:
        return None
    return Account(Env(env), acc_id)
