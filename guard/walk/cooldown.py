"""Wrong trade passwords by account: after the second one no password is tried for a minute. Pure.

After some wrong passwords the broker locks the account, and nobody can trade or cancel. An unlock that names no account
may concern every real one and counts for each (B30). A try that is still under way counts as wrong, or a burst would
get past the limit. Time is an argument, in µs.
"""

from collections.abc import Collection
from typing import Final, Literal

from msgspec import Struct, field

from guard.terms import AccountRow, Env, Missing, Unlock

WRONG_MAX: Final = 2
COOLDOWN_US: Final = 60_000_000
ACCOUNTS_MAX: Final = 4096
EVERY: Final = 0  # stands for accounts that cannot be listed now

TryResult = Literal["right", "wrong", "untried"]


class Tries(Struct):
    """One account: wrong passwords since the last right one, when the last was tried, and tries under way."""

    wrong: int = 0
    last_us: int = 0
    in_flight: int = 0


class Cooldowns(Struct):
    """The tries of every account."""

    tries: dict[int, Tries] = field(default_factory=dict)

    def wait_us(self, accounts: Collection[int], *, now_us: int) -> int | None:
        """None: a password may be tried. Otherwise how long to wait; 0: until the try that is under way is answered."""
        found = [tries for name in accounts if (tries := self.tries.get(name)) is not None]
        cooling = [tries.last_us + COOLDOWN_US - now_us for tries in found if tries.wrong >= WRONG_MAX]
        if max(cooling, default=0) > 0:
            return max(cooling)
        is_full = any(tries.in_flight and tries.in_flight + tries.wrong >= WRONG_MAX for tries in found)
        return 0 if is_full else None

    def begin(self, accounts: Collection[int], *, now_us: int) -> None:
        """A password is being tried."""
        if len(self.tries) + len(accounts) > ACCOUNTS_MAX:
            self._forget(now_us)
        for name in accounts:
            self.tries.setdefault(name, Tries()).in_flight += 1

    def end(self, verdicts: dict[int, TryResult], *, now_us: int) -> None:
        """What came of it, for each account that it was begun for."""
        for name, verdict in verdicts.items():
            tries = self.tries.setdefault(name, Tries())
            tries.in_flight = max(0, tries.in_flight - 1)
            if verdict == "wrong":
                tries.wrong, tries.last_us = tries.wrong + 1, now_us
            elif verdict == "right":
                tries.wrong = 0

    def _forget(self, now_us: int) -> None:
        """Lets go of accounts that nothing is under way for and that are not cooling down."""
        self.tries = {
            name: tries for name, tries in self.tries.items() if tries.in_flight or tries.last_us + COOLDOWN_US > now_us
        }


def accounts_tried(intent: Unlock, rows: tuple[AccountRow, ...] | Missing) -> frozenset[int]:
    """The accounts whose password the unlock tries: those named, else every real one."""
    if isinstance(rows, Missing):
        return frozenset(intent.acc_ids or ()) | {EVERY}
    real = (row.account.acc_id for row in rows if row.account.env is Env.REAL)
    return frozenset(intent.acc_ids or real) or frozenset({EVERY})
