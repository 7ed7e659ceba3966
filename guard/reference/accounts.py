"""The daemon's account list, read exactly and kept for a while.

An account is a pair (environment, acc_id) of this list; nothing else is one. `parse_account_list` is pure. The list
asks the daemon one question at a time and at most one a second, answers from memory while the list is young, renews
it beside the callers when it is half old, and keeps the last good list when the daemon is down: `age_s` says how old.
"""

import asyncio
import re
from collections.abc import Mapping
from typing import Any, Final

from guard.clock import Clock
from guard.codes import Code
from guard.reference.envelope import opened
from guard.supervisor import Supervisor
from guard.terms import Account, AccountRow, Answer, Daemon, Env, Missing, Outbound

PATH: Final = "/api/accounts"
AGE_MAX_S: Final = 60.0
REFRESH_EVERY_S: Final = 1.0
TIMEOUT_S: Final = 5.0
STALE_WAIT_S: Final = 1.0  # with an old list in hand nobody waits longer for a newer one
ACCOUNTS_MAX: Final = 10_000
CARD_CHARS_MAX: Final = 64

_OK: Final = 200
_DIGITS: Final = re.compile(r"[0-9]{1,20}")
_ENVIRONMENTS: Final = {int(env): env for env in Env}


class _Odd(ValueError):
    """A row that no account list should have."""


def _whole(value: object) -> int:
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _Odd
    return value


def _card(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > CARD_CHARS_MAX or not value.isascii():
        raise _Odd
    return value


def _row(raw: object) -> AccountRow | None:
    """One row; None for an environment that is none of ours."""
    if not isinstance(raw, dict):
        raise _Odd
    acc_id, markets = _whole(raw.get("acc_id")), raw.get("trd_market_auth_list")
    if not 0 < acc_id < 2**64 or not isinstance(markets, list | None):
        raise _Odd
    env = _ENVIRONMENTS.get(_whole(raw.get("trd_env")))
    if env is None:
        return None
    return AccountRow(
        Account(env, acc_id),
        card_num=_card(raw.get("card_num")),
        uni_card_num=_card(raw.get("uni_card_num")),
        markets=tuple(_whole(market) for market in markets or ()),
    )


def _list_of(body: bytes) -> list[Any]:
    s2c = opened(_OK, body)
    listed = s2c.get("acc_list") if isinstance(s2c, dict) else None
    if not isinstance(listed, list) or len(listed) > ACCOUNTS_MAX:
        raise _Odd
    return listed


def parse_account_list(body: bytes) -> tuple[AccountRow, ...] | None:
    """The accounts of the daemon's answer, 64-bit ids exact; None where any of it cannot be believed.

    Believed is `ret_type` 0 with `s2c.acc_list`. Rows of an unknown environment are left out; the same pair listed
    twice with different particulars makes the whole list worthless.
    """
    rows: dict[Account, AccountRow] = {}
    try:
        for raw in _list_of(body):
            row = _row(raw)
            if row is not None and rows.setdefault(row.account, row) != row:
                return None
    except ValueError:
        return None
    return tuple(rows.values())


class AccountList:
    """The account list with its age. Used on one event loop; `clock` is asked for durations only."""

    def __init__(
        self, daemon: Daemon, clock: Clock, supervisor: Supervisor, *, stale_wait_s: float = STALE_WAIT_S
    ) -> None:
        self._stale_wait_s = stale_wait_s
        self._daemon = daemon
        self._clock = clock
        self._supervisor = supervisor
        self._rows: tuple[AccountRow, ...] | None = None
        self._by_account: Mapping[Account, AccountRow] = {}
        self._read_us = 0
        self._tried_us: int | None = None
        self._flight: asyncio.Task[None] | None = None

    @property
    def age_s(self) -> float | None:
        """How old the list is, from when it was asked for; None while there is none."""
        return None if self._rows is None else (self._clock.mono_us() - self._read_us) / 1_000_000

    async def rows(self, max_age_s: float = AGE_MAX_S) -> tuple[AccountRow, ...] | Missing:
        """Every account; older than `max_age_s` only while the daemon does not answer. Missing: there never was one."""
        age_s = self.age_s
        if age_s is None or age_s > max_age_s:
            await self._refresh()
        elif age_s > max_age_s / 2:
            self._begin_refresh()
        return (
            Missing(Code.REFERENCE_UNAVAILABLE, "the account list is not known") if self._rows is None else self._rows
        )

    def at_hand(self, max_age_s: float = AGE_MAX_S) -> tuple[AccountRow, ...] | None:
        """Every account, as long as nobody has to be waited for; a list that is half old is renewed beside it."""
        age_s = self.age_s
        if age_s is None or age_s > max_age_s:
            return None
        if age_s > max_age_s / 2:
            self._begin_refresh()
        return self._rows

    @property
    def known(self) -> tuple[AccountRow, ...]:
        """The last list, however old; empty while there is none."""
        return self._rows or ()

    def lists(self, account: Account) -> bool:
        """The pair is in the list that is at hand."""
        return account in self._by_account

    async def find(self, env: Env, acc_id: int, max_age_s: float = AGE_MAX_S) -> AccountRow | Missing | None:
        """The row of a pair; None: the daemon lists no such account.

        An unknown pair makes the list be asked for again, at most once a second whoever asks. Missing: the list is
        older than `max_age_s` and the daemon does not answer, so that nobody can say.
        """
        account = Account(env, acc_id)
        rows = await self.rows(max_age_s)
        if isinstance(rows, Missing) or account in self._by_account:
            return rows if isinstance(rows, Missing) else self._by_account[account]
        await self._refresh()
        age_s = self.age_s
        if account not in self._by_account and (age_s is None or age_s > max_age_s):
            return Missing(
                Code.REFERENCE_UNAVAILABLE, "the account list is too old to say that there is no such account"
            )
        return self._by_account.get(account)

    async def _refresh(self) -> None:
        flight = self._begin_refresh()
        if flight is not None:
            # Waiting does not own the question: a caller may hang up, and a cancel is not held up by a hung daemon.
            await asyncio.wait({flight}, timeout=None if self._rows is None else self._stale_wait_s)

    def _begin_refresh(self) -> asyncio.Task[None] | None:
        """The question that is under way; a new one if the last is a second ago; else None."""
        if self._flight is not None and not self._flight.done():
            return self._flight
        now_us = self._clock.mono_us()
        if self._tried_us is not None and now_us - self._tried_us < REFRESH_EVERY_S * 1_000_000:
            return None
        self._tried_us = now_us
        self._flight = self._supervisor.start(self._ask(now_us), "account list", service=True)
        return self._flight

    async def _ask(self, asked_us: int) -> None:
        answer = await self._daemon.send(Outbound("GET", PATH, None, TIMEOUT_S))
        if not isinstance(answer, Answer) or answer.status != _OK:
            return
        rows = parse_account_list(answer.body)
        # An empty success is what a daemon says that has lost its login (B20): it proves nothing against a full list.
        if rows or (rows is not None and not self._rows):
            self._read_us = asked_us
            if rows != self._rows:  # what hangs on an unchanged list goes on hanging on the same one
                self._rows, self._by_account = rows, {row.account: row for row in rows}
