"""Whose request it is: the account that a trade header names, checked against the list of accounts."""

from typing import Any, Final

from msgspec import Struct

from guard.simulator.orders import Order
from guard.simulator.reading import Body
from guard.simulator.refusals import BadBody, Declined
from guard.simulator.world import World
from guard.terms import Account, AccountRow, Env

NO_ACCOUNT: Final = 2001
NO_MARKET: Final = 2002
HK: Final = 1


class Named(Struct, frozen=True):
    """The account and market that a header names; `jp_acc_type` as it came."""

    account: Account
    trd_market: int
    jp_acc_type: int | None = None

    def message(self) -> dict[str, Any]:
        """Trd_Common.TrdHeader."""
        return {"trd_env": int(self.account.env), "acc_id": self.account.acc_id, "trd_market": self.trd_market}


def of_read(world: World, c2s: Body) -> Named:
    """The header of a read; what it does not say is filled in from the first account that fits (quirk)."""
    header = c2s.get("header") or {}
    if world.quirks.fills_blanks:
        header = _filled(world, header)
    return _named(world, header)


def of_write(world: World, c2s: Body, *, order: Order | None = None) -> Named:
    """The header of a write; only its environment may be that of the order named (quirk)."""
    header = dict(c2s.get("header") or {})
    if order is not None and "trd_env" not in header and world.quirks.env_may_lack:
        header["trd_env"] = int(order.account.env)
    return _named(world, header)


def _filled(world: World, header: Body) -> Body:
    def fits(row: AccountRow) -> bool:
        return header.get("trd_env", row.account.env) == row.account.env and (
            "card_num" in header or header.get("acc_id", row.account.acc_id) == row.account.acc_id
        )

    row = next(filter(fits, world.ledger.rows), None)
    if row is None:
        return header
    blank = {"trd_env": int(row.account.env), "acc_id": row.account.acc_id, "trd_market": HK}
    return blank | header


def _named(world: World, header: Body) -> Named:
    for name in ("trd_env", "trd_market"):
        if name not in header:
            raise BadBody(f"missing header.{name}")
    env, market = Env(header["trd_env"]), header["trd_market"]
    account = _account(world, env, header)
    row = world.ledger.row(account)
    if row is None:
        raise Declined("account not found, or not of this trd_env", NO_ACCOUNT)
    if market not in row.markets:
        raise Declined(f"the account may not trade in trd_market {market}", NO_MARKET)
    return Named(account, market, header.get("jp_acc_type"))


def _account(world: World, env: Env, header: Body) -> Account:
    card = header.get("card_num")
    if card is not None:  # resolved after the id was read, so it wins over it (§3.1, step 5)
        found = world.ledger.of_card(env, str(card))
        if found is None:
            raise Declined("account not found, or not of this trd_env", NO_ACCOUNT)
        return found
    if "acc_id" not in header:
        raise BadBody("missing header.acc_id")
    return Account(env, header["acc_id"])
