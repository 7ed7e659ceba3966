"""`largest_qty`: how much of a refused order would have passed, in whole lots where the lot size is known."""

from typing import Final

from msgspec.structs import replace

from guard.policy import Judgement, largest_bound, whole_lots
from guard.reference import NOTHING
from guard.terms import NOT_ASKED, Full, Granted, Instrument, InstrumentKind, Valuation
from guard.walk.decisionrecord import Judged
from guard.walk.desk import Desk
from guard.walk.visit import Situation

PLAIN_KINDS: Final[frozenset[InstrumentKind]] = frozenset({"stock", "fund"})


def largest_of(
    desk: Desk, situation: Situation, judgement: Judgement, *, judged: Judged, seen: Granted | Full
) -> str | None:
    """The largest quantity that would pass, as text; None where no quantity would."""
    short = []
    for shortfall in seen.shortfalls if isinstance(seen, Full) else ():
        maker = judged.makers[shortfall.index]
        claim = judged.claims[shortfall.index]
        if maker is not None:
            spent = 0 if claim.whole is None else claim.amount - claim.whole  # by fills, whatever the quantity
            short.append((claim, maker, replace(shortfall, used=shortfall.used + spent)))
    bound, lot = largest_bound(judgement, short), lot_of(situation)
    if bound is None:
        return None
    if lot is None and int(bound) and _learns_lot(desk, situation):
        lot = lot_of(situation)
    return str(whole_lots(bound, lot))


def lot_of(situation: Situation) -> int | None:
    """The lot size of the order's instrument; None where it is not known."""
    known = None if situation.world is None else situation.world.instrument
    return known.lot_size if isinstance(known, Instrument) else None


def _learns_lot(desk: Desk, situation: Situation) -> bool:
    """Adds the instrument to the situation's world, if it is cached and agrees with what the order was judged as."""
    order, account, world, worth = situation.order, situation.account, situation.world or NOTHING, situation.worth
    if order is None or account is None or world.instrument is not NOT_ASKED:
        return False
    found = desk.reference.instrument(order, account=account)
    if not isinstance(found, Instrument) or found.lot_size is None or found.kind not in PLAIN_KINDS:
        return False
    if not isinstance(worth, Valuation) or found.currency != worth.value.currency:
        return False
    situation.world = replace(world, instrument=found)
    return True
