"""Names and figures of orders, in less room."""

from copy import copy
from decimal import Decimal
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from guard.limits.holder import NONE_FILLED, About, Amounts, Basis, Course, Fills, Holder, Worth, slim
from guard.limits.shared import in_short
from tests.support.ledger import REAL

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
    assert Amounts.of_basis(basis).basis == basis


@given(BASES, BASES)
def test_what_is_not_kept_for_long_is_the_same_in_short(claimed: Basis, held: Basis) -> None:
    """Amounts and worth to the digit; what was one object is one again."""
    whole, holds = (Amounts(one.cells, one.kinds, (one.amounts, one.worth)) for one in (claimed, held))
    for course in (whole, Course(whole, whole, step="o"), Course(holds, whole), Course(holds, (holds, whole))):
        long = Holder("o", About("bot", REAL, "HK", "HK.00700", b""), b"{}", course)
        brief = replace(long, course=in_short(course))
        assert [brief.holds.basis, *(basis.basis for basis in brief.bases)] == [
            long.holds.basis,
            *(basis.basis for basis in long.bases),
        ]
        assert brief.holds is brief.claimed or long.holds is not long.claimed
        assert (brief.status, brief.step) == (long.status, long.step)
        assert all(isinstance(one.figures, bytes) for one in (brief.holds, *brief.bases))
        assert in_short(brief.course) == brief.course


FIRST, LEFT = Amounts(("a",), "s", b"3"), Amounts(("a",), "s", b"2")
ALTERATIONS = st.lists(
    st.sampled_from(
        [
            ("holds", FIRST),
            ("holds", LEFT),
            ("claimed", FIRST),
            ("claimed", (FIRST,)),
            ("claimed", (LEFT, FIRST)),
            ("fills", Fills(Decimal(1))),
            ("fills", NONE_FILLED),
            ("status", "unknown"),
            ("status", "done"),
            ("opens", "c"),
            ("works", None),
        ]
    ),
    max_size=12,
)


def standing(holder: Holder) -> dict[str, Any]:
    """Where it stands."""
    return {name: getattr(holder, name) for name in ("holds", "claimed", "fills", "status", "step")}


@given(ALTERATIONS)
def test_where_an_order_stands_is_known_however_it_is_kept(alterations: list[tuple[str, Any]]) -> None:
    """Every part as a plain table would have it; in short just where it only works, on all that it claimed."""
    holder = Holder("o", About("bot", REAL, "HK", "HK.00700", b""), b"{}", FIRST)
    model = {"holds": FIRST, "claimed": FIRST, "fills": NONE_FILLED, "status": "working", "step": None}
    for name, value in alterations:
        twin, before = copy(holder), dict(model)
        if name == "opens":
            holder.opens(value)
            model |= {"status": "changing", "step": value}
        elif name == "works":
            holder.works()
            model |= {"status": "working", "step": None}
        else:
            setattr(holder, name, value)
            model[name] = value
        assert standing(holder) == model
        assert holder.terms == (None if model["step"] else model["claimed"])
        only_works = (model["fills"], model["status"], model["step"]) == (NONE_FILLED, "working", None)
        assert isinstance(holder.course, Amounts) == (only_works and model["claimed"] is model["holds"])
        assert standing(twin) == before, "another copy of it stands where it stood"
