"""Short ways to say claims, openings and outcomes in tests of the ledger. Times in seconds become microseconds."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from guard.limits import Opening, Part, State, end_order, reserve, settle
from guard.terms import Account, Claim, ClaimKind, Env, Outcome, Verdict

SECOND: Final = 1_000_000  # µs
REAL: Final = Account(Env.REAL, 1)
ACCEPTED: Final = Outcome(Verdict.ACCEPTED, status=200, ret_type=0)
REFUSED: Final = Outcome(Verdict.REFUSED, status=200, ret_type=-1, message="no")
NOT_SENT: Final = Outcome(Verdict.NOT_SENT)
UNKNOWN: Final = Outcome(Verdict.UNKNOWN, status=504)


def accepted(order_id: str | None = None, order_id_ex: str | None = None) -> Outcome:
    """The daemon took it, and calls it so."""
    return Outcome(Verdict.ACCEPTED, status=200, ret_type=0, order_id=order_id, order_id_ex=order_id_ex)


def sums(kind: ClaimKind, counter: str, amount: int, cap: int | None = None, *also: str) -> Claim:
    """A claim on a sum."""
    return Claim(kind, counter, amount, cap, also=also)


def rate(counter: str, cap: int | None, window_s: int, *also: str) -> Claim:
    """A claim of one stamp in a sliding window."""
    return Claim("rate", counter, 1, cap, window_s * 1000, also)


def once(counter: str, window_s: int) -> Claim:
    """A claim that the same thing was not done within the window."""
    return Claim("once", counter, 1, 1, window_s * 1000)


def slot(counter: str, value: str = "digest", window_s: int = 60) -> Claim:
    """A claim of a slot."""
    return Claim("slot", counter, 0, window_ms=window_s * 1000, value=value)


def new_order(step: str, *claims: Claim, **fields: Any) -> Opening:
    """A new order of key `bot` on account 1 (real)."""
    known: dict[str, Any] = {"key": "bot", "account": REAL, "market": "HK", "symbol": "HK.00700", "order": b"{}"}
    return Opening(step, claims, step, **(known | fields))


def change(step: str, holder: str, *claims: Claim) -> Opening:
    """A change of a live order."""
    return Opening(step, claims, holder)


def spend(state: State, name: str, *claims: Claim, t_us: int = 0) -> None:
    """An order that is taken and ends at once, filled whole."""
    reserve(state, new_order(name, *claims), t_us=t_us)
    settle(state, name, ACCEPTED, t_us=t_us)
    end_order(state, name, t_us=t_us)


def through_json(parts: Iterable[Part]) -> Iterator[Part]:
    """The parts of a snapshot as a record keeps them: written and read again."""
    for part in parts:
        yield msgspec.json.decode(msgspec.json.encode(part), type=Part)
