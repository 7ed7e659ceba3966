"""Names and figures of orders, in less room."""

from decimal import Decimal

from hypothesis import example, given
from hypothesis import strategies as st

from guard.limits.holder import Basis, Parts, Worth, slim

DECIMALS = st.decimals(allow_nan=False, allow_infinity=False)
WORTHS = st.none() | st.builds(Worth.of, DECIMALS, DECIMALS, DECIMALS)
BASES = st.lists(st.tuples(st.text(), st.integers(), st.sampled_from("swc"))).flatmap(
    lambda parts: st.builds(
        Basis,
        st.just(tuple(cell for cell, _, _ in parts)),
        st.just(tuple(amount for _, amount, _ in parts)),
        st.just("".join(kind for _, _, kind in parts)),
        WORTHS,
    )
)
NAMES = st.text() | st.integers(0, 10**25).map(str) | st.from_regex(r"[0-9]{1,22}", fullmatch=True)


@given(NAMES)
@example("0")
@example("007")
@example("²")
@example("٣")
@example("-1")
@example("9" * 5000)
def test_a_name_comes_back_as_it_was(name: str) -> None:
    """So two are equal where their short forms are."""
    assert str(slim(name)) == name


def test_numbers_are_numbers() -> None:
    """What the daemon counts its orders by."""
    assert (slim("900000000000000001"), slim("7")) == (900_000_000_000_000_001, 7)


@given(BASES)
@example(Basis())
@example(Basis(worth=Worth("30000", "3E+2")))
@example(Basis(("d",), (10**40,), "s", Worth.of(Decimal("1E-7"), Decimal("-0"), Decimal(100))))
def test_what_an_order_claimed_comes_back_as_it_was(basis: Basis) -> None:
    """Amounts of any size, and what they were valued at to the digit."""
    assert Parts.of_basis(basis).basis == basis
