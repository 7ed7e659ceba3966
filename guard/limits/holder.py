"""A live order as the ledger keeps it: plain data in as few bytes as possible, since there may be 100,000 of them.

What orders have in common is one object for all of them (`shared`). An unfilled order holds the very amounts that it
claimed, which are kept once. Numbers are kept as one text, in a third of the memory that they take as objects.
"""

from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from sys import intern
from typing import Final, Literal, Self, final

from msgspec import Struct
from msgspec.structs import replace

from guard.limits.bodies import whole
from guard.terms import Account

Name = int | str  # of an order, as the daemon calls it; see `slim`
DIGITS_MAX: Final = 19
HolderStatus = Literal["sent", "working", "changing", "unknown", "done"]


class Worth(Struct, frozen=True, omit_defaults=True, gc=False):
    """What an order was valued at: `value` is quantity x `price` x `multiplier`, in its own currency."""

    value: str
    price: str
    multiplier: str = "1"

    @classmethod
    def of(cls, value: Decimal, price: Decimal, multiplier: Decimal) -> Self:
        """To the digit."""
        return cls(str(value), str(price), intern(str(multiplier)))


class Basis(Struct, frozen=True, gc=False):
    """What an order claimed as a whole, before anything was filled, and what it was valued at then; as it is written.

    `amounts[i]` on `cells[i]`, whose kind begins with the letter `kinds[i]` (s, w, c). What a fill leaves on a cell is
    a part of its amount here.
    """

    cells: tuple[str, ...] = ()
    amounts: tuple[int, ...] = ()
    kinds: str = ""
    worth: Worth | None = None


@final  # so that `type(x) is Amounts` suffices, which takes a tenth of `isinstance`
class Amounts(Struct, frozen=True, gc=False):
    """Amounts on cells, and what they were valued at if that is known: a `Basis` in the form that is kept.

    `figures`: the amounts as text, and behind a semicolon the worth; or both as they are, where that is not for long
    (`shared.in_short`).
    """

    cells: tuple[str, ...] = ()
    kinds: str = ""
    figures: bytes | tuple[tuple[int, ...], Worth | None] = b""

    @classmethod
    def of(cls, cells: tuple[str, ...], amounts: Sequence[int], kinds: str, *, worth: Worth | None = None) -> Self:
        """These amounts on these cells."""
        figures = " ".join(map(str, amounts))
        if worth is not None:
            figures += f";{worth.value} {worth.price} {worth.multiplier}"
        return cls(cells, kinds, figures.encode())

    @classmethod
    def of_basis(cls, basis: Basis) -> Self:
        """The same in short."""
        return cls.of(basis.cells, basis.amounts, basis.kinds, worth=basis.worth)

    @property
    def amounts(self) -> tuple[int, ...]:
        """One a cell."""
        figures = self.figures
        return figures[0] if type(figures) is tuple else _amounts_in(figures)

    @property
    def by_cell(self) -> dict[str, int]:
        """The same, by their cells."""
        return dict(zip(self.cells, self.amounts, strict=True))

    @property
    def worth(self) -> Worth | None:
        """What they were valued at."""
        if isinstance(self.figures, tuple):
            return self.figures[1]
        figures = self.figures.partition(b";")[2]
        return Worth(*figures.decode().split(" ")) if figures else None

    @property
    def basis(self) -> Basis:
        """The same at length."""
        return Basis(self.cells, self.amounts, self.kinds, self.worth)


@lru_cache(maxsize=4096)
def _amounts_in(figures: bytes) -> tuple[int, ...]:
    """Asked for at least once of every order."""
    return tuple(map(int, figures.partition(b";")[0].split()))


class About(Struct, frozen=True, gc=False):
    """Whose an order is and what it trades. `form`: the beginning of its body, shared with similar orders."""

    key: str
    account: Account
    market: str
    symbol: str
    form: bytes


class Fills(Struct, frozen=True, gc=False):
    """How much of an order is filled, and quantity x price of that: None where only the quantity is known."""

    qty: Decimal = Decimal(0)
    paid: Decimal | None = None


NOTHING: Final = Amounts()
NONE_FILLED: Final = Fills()  # one for all orders of which nothing is filled


@final
class Course(Struct, frozen=True, gc=False):
    """Where a live order stands: what it holds and claimed, what is filled of it, which step of it is open.

    `claimed`: the whole of which `holds` is a part; if several, the latest last, and an earlier one counts only for
    cells that no later one names. `step`: the placing or changing step that is not settled yet. Status `done`: the
    order has ended, and only that step is waited for.
    """

    holds: Amounts
    claimed: Amounts | tuple[Amounts, ...]
    fills: Fills = NONE_FILLED
    status: HolderStatus = "working"
    step: str | None = None

    @property
    def short(self) -> "Amounts | Course":
        """The form that is kept: for most orders, which just work and hold all that they claimed, the amounts alone."""
        is_usual = self.claimed is self.holds and self.fills is NONE_FILLED and self.status == "working"
        return self.holds if is_usual and self.step is None else self


class Holder(Struct, gc=False):
    """A live order: whose it is, what it trades, and what it holds.

    `own`: the rest of its body, shortened. `course`: a `Course.short`. `by_id`, `by_ex`: `order_id`, `order_id_ex`.
    """

    id: str
    about: About
    own: bytes
    course: Amounts | Course
    by_id: Name | None = None
    by_ex: Name | None = None

    @property
    def at_length(self) -> Course:
        """Where it stands."""
        course = self.course
        return Course(course, course) if type(course) is Amounts else course

    def opens(self, step: str) -> None:
        """A step that changes the order is open from now on."""
        self.course = replace(self.at_length, status="changing", step=step)

    def works(self) -> None:
        """No step of it is open any more."""
        course = self.course
        if type(course) is Course:
            is_usual = course.claimed is course.holds and course.fills is NONE_FILLED
            self.course = course.holds if is_usual else replace(course, status="working", step=None)

    @property
    def holds(self) -> Amounts:
        """What it holds."""
        course = self.course
        return course if type(course) is Amounts else course.holds

    @holds.setter
    def holds(self, holds: Amounts) -> None:
        course = self.course
        if type(course) is Course:
            self.course = replace(course, holds=holds).short
        elif holds is not course:
            self.course = Course(holds, course)

    @property
    def claimed(self) -> Amounts | tuple[Amounts, ...]:
        """The whole claims of which that is a part."""
        course = self.course
        return course if type(course) is Amounts else course.claimed

    @claimed.setter
    def claimed(self, claimed: Amounts | tuple[Amounts, ...]) -> None:
        self.course = replace(self.at_length, claimed=claimed).short

    @property
    def terms(self) -> Amounts | tuple[Amounts, ...] | None:
        """What it claims as a whole, the same object as long as nothing changes; None while a step is open."""
        course = self.course
        if type(course) is Amounts:
            return course
        return course.claimed if course.step is None else None

    @property
    def fills(self) -> Fills:
        """What is filled of it."""
        course = self.course
        return NONE_FILLED if type(course) is Amounts else course.fills

    @fills.setter
    def fills(self, fills: Fills) -> None:
        course = self.course
        if type(course) is Course:
            self.course = replace(course, fills=fills).short
        elif fills is not NONE_FILLED:
            self.course = Course(course, course, fills)

    @property
    def status(self) -> HolderStatus:
        """How far it has come."""
        course = self.course
        return "working" if type(course) is Amounts else course.status

    @status.setter
    def status(self, status: HolderStatus) -> None:
        self.course = replace(self.at_length, status=status).short

    @property
    def step(self) -> str | None:
        """Its step that is open."""
        course = self.course
        return None if type(course) is Amounts else course.step

    @property
    def bases(self) -> tuple[Amounts, ...]:
        """All that it claimed as a whole, the latest last."""
        return (self.claimed,) if type(self.claimed) is Amounts else self.claimed

    def claim(self, bases: tuple[Amounts, ...]) -> None:
        """It claims this as a whole from now on."""
        self.claimed = bases[0] if len(bases) == 1 else bases

    @property
    def filled(self) -> Decimal:
        """How much of it is filled, as far as that is known. It never becomes less."""
        return self.fills.qty

    @property
    def key(self) -> str:
        """Whose it is."""
        return self.about.key

    @property
    def account(self) -> Account:
        """Where it was placed."""
        return self.about.account

    @property
    def market(self) -> str:
        """The market, as policies call it."""
        return self.about.market

    @property
    def symbol(self) -> str:
        """The instrument."""
        return self.about.symbol

    @property
    def order_id(self) -> str | None:
        """The daemon's number of it."""
        return None if self.by_id is None else str(self.by_id)

    @property
    def order_id_ex(self) -> str | None:
        """The daemon's other name of it."""
        return None if self.by_ex is None else str(self.by_ex)

    @property
    def is_nameless(self) -> bool:
        """The daemon has not told yet what it calls it."""
        return self.by_id is None and self.by_ex is None

    @property
    def order(self) -> bytes:
        """Its canonical body."""
        return whole(self.about.form, self.own)


def slim(name: str) -> Name:
    """The name, as a number if it is a plain one, which takes half the memory. Equal names stay equal."""
    return int(name) if name.isdecimal() and len(name) <= DIGITS_MAX and name.isascii() and name[0] != "0" else name
