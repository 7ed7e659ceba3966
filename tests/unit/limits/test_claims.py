"""Lists of claims that make no sense are bugs of the caller."""

import pytest

from guard.limits.claims import check_cells, parted
from guard.terms import Claim
from tests.support.ledger import once, rate, slot, sums


@pytest.mark.parametrize(
    ("claims", "stamped"),
    [
        ((sums("spend", "a", 1), sums("spend", "b", 1), rate("r", 1, 1), slot("s")), [rate("r", 1, 1), slot("s")]),
        (
            (rate("r", 15, 30), rate("r", 3, 1), rate("q", 1, 1), sums("count", "a", 1)),
            [rate("r", 15, 30), rate("q", 1, 1)],
        ),
        ((once("o", 5), once("o", 60)), [once("o", 60)]),
    ],
    ids=["each cell once", "one rate cell, two windows", "one duplicate cell, two windows"],
)
def test_sensible_lists_are_parted(claims: tuple[Claim, ...], stamped: list[Claim]) -> None:
    """Cells stand once; only a cell of stamps may be looked at through several windows, and gets one stamp for all."""
    *on_sums, others = parted(claims)

    counted = [claim for claim in claims if claim.kind in {"spend", "working", "count"}]
    cells, amounts = tuple(claim.counter for claim in counted), tuple(claim.amount for claim in counted)
    assert on_sums == [cells, amounts, "".join(claim.kind[0] for claim in counted)]
    assert others == stamped


@pytest.mark.parametrize(
    "claims",
    [
        (sums("spend", "a", 1), sums("spend", "a", 2)),
        (slot("s"), slot("s")),
        (sums("spend", "a", 1), sums("working", "a", 1)),
        (rate("a", 1, 1), sums("spend", "a", 1)),
        (rate("a", 1, 1), once("a", 1)),
    ],
    ids=["spend twice", "slot twice", "two kinds of sums", "rate and sum", "rate and once"],
)
def test_two_claims_on_one_cell_are_a_bug(claims: tuple[Claim, ...]) -> None:
    """Two claims on one sum would each see the same room."""
    for looks in (check_cells, parted):
        with pytest.raises(AssertionError, match="claims o"):
            looks(claims)


@pytest.mark.parametrize(
    "claim",
    [
        sums("spend", "a", -1),
        Claim("rate", "r", 1, 5),
        Claim("slot", "s", 0),
        Claim("rate", "r", 2, 5, 1000),
        Claim("once", "r", 0, 5, 1000),
    ],
    ids=["negative", "rate without window", "slot without lifetime", "two stamps", "no stamp"],
)
def test_amounts_and_windows_fit_their_kind(claim: Claim) -> None:
    """Sums take no negative target, windows have a length, a step leaves exactly one stamp."""
    with pytest.raises(AssertionError, match="claim"):
        parted((claim,))


def test_claims_on_sums_are_told_from_the_others() -> None:
    """Each in the order in which they were made."""
    one, two, three, four = sums("spend", "a", 1), rate("r", 1, 1), sums("count", "n", 1), slot("s")
    assert parted((one, two, three, four)) == (("a", "n"), (1, 1), "sc", [two, four])
    assert parted(()) == ((), (), "", [])


def test_a_claim_on_nothing_is_no_part() -> None:
    """It is checked all the same."""
    nothing, one, none = sums("working", "w", 0), sums("spend", "a", 1), sums("count", "n", 0)
    assert parted((nothing, one, none)) == (("a",), (1,), "s", [])
    assert parted((nothing,)) == ((), (), "", [])
    with pytest.raises(AssertionError, match="two claims on one cell"):
        parted((nothing, one, none, nothing))
