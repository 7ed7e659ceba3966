"""How much would have fitted: the largest quantity that every limit on money and quantity lets through now.

Value grows with quantity in a straight line, so each limit that refused says its own bound, and the smallest of them,
cut down to whole lots, passes; a lot more does not. Limits that let the asked quantity through let every smaller one
through. Where something else stands against the order no quantity helps, and there is no answer.
"""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from guard.policy.combining import Judgement
from guard.policy.needs import EXCUSED
from guard.policy.rule import Maker, Proposal
from guard.terms import Claim, Instrument, Missing, Shortfall

Short = tuple[Claim, Maker, Shortfall]


def largest_qty(judgement: Judgement, short: Sequence[Short]) -> Decimal | None:
    """The quantity, in whole lots (shares or contracts where no lot is known); 0 where not even one fits.

    `short` and None as for `largest_bound`.
    """
    bound, proposal = largest_bound(judgement, short), judgement.proposal
    if bound is None or proposal is None:
        return None
    known = None if proposal.world is None else proposal.world.instrument
    return whole_lots(bound, known.lot_size if isinstance(known, Instrument) else None)


def largest_bound(judgement: Judgement, short: Sequence[Short]) -> Fraction | None:
    """How much would have passed, if parts of a share could be had.

    `short`: the judgement's claims that do not fit, with their makers and what the ledger said of them. None: not a
    matter of quantity, or nothing stands against the order.
    """
    proposal = judgement.proposal
    if proposal is None or not (judgement.refusing or short):
        return None
    bound = _lowest(proposal, judgement, short)
    exits = _as_exit(proposal, judgement, short)
    return exits if bound is None or (exits is not None and exits > bound) else bound


def whole_lots(bound: Fraction, lot: int | None) -> Decimal:
    """As much of it as whole lots make."""
    lot = lot or 1
    return Decimal(int(bound) // lot * lot)


def _lowest(proposal: Proposal, judgement: Judgement, short: Sequence[Short]) -> Fraction | None:
    """The bound of everything that refuses the order as it is."""
    lowest: Fraction | None = None
    for rule, _ in judgement.refusing:
        bound = None if rule is None else rule.largest(proposal)
        if bound is None:
            return None
        lowest = bound if lowest is None or bound < lowest else lowest
    for claim, maker, shortfall in short:
        bound = maker.largest_beside(proposal, claim, shortfall.used)
        if bound is None:
            return None
        lowest = bound if lowest is None or bound < lowest else lowest
    return lowest


def _as_exit(proposal: Proposal, judgement: Judgement, short: Sequence[Short]) -> Fraction | None:
    """The bound of the same order made so small that it only reduces a position, and no budget stops it."""
    if proposal.is_reducing or not proposal.reducible or isinstance(proposal.worth, Missing):
        return None
    refusing = tuple((rule, code) for rule, code in judgement.refusing if code not in EXCUSED)
    beside = tuple(entry for entry in short if entry[1].refuse(entry[0], entry[2]).code not in EXCUSED)
    left, most = Judgement(refusing=refusing), Fraction(proposal.reducible)
    if not (refusing or beside):
        return most
    bound = _lowest(proposal, left, beside)
    return None if bound is None else min(bound, most)
