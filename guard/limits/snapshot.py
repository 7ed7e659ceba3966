"""The state as a series of small parts, and back: `restore(snapshot(state))` is the same state.

Parts are plain Structs for JSON, each small enough for a record. Sums are left out, since they follow from what ended
orders spent and live ones hold; so is whatever can no longer count.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import islice
from sys import intern
from typing import Final, TypeVar

from msgspec import Struct

from guard.limits import windows
from guard.limits.bodies import short
from guard.limits.holder import NONE_FILLED, About, Basis, Course, Fills, Holder, HolderStatus, Name, slim
from guard.limits.shared import same_about, same_whole
from guard.limits.slots import find_slot
from guard.limits.state import LogPart, OrderIds, Slot, State, Step, TradingRule, put_slot
from guard.limits.sums import move, spend
from guard.limits.sweep import remember
from guard.pauses import with_pauses
from guard.terms import Account

ORDERS_MAX: Final = 32  # in a part; an order's body is at most 64 KiB, and hardly ever more than 500 bytes
CELLS_MAX: Final = 500
STAMPS_MAX: Final = 2_000
IDS_MAX: Final = 1_000
_T = TypeVar("_T")


class Time(Struct, frozen=True, tag="time"):
    """The state's own time."""

    at_us: int


class Spent(Struct, frozen=True, tag="spent"):
    """What ended orders have used up."""

    spent: dict[str, int]


class Live(Struct, frozen=True):
    """A live order with all that it shares with others written out; `held` and `kinds` belong to `cells`."""

    id: str
    key: str
    account: Account
    market: str
    symbol: str
    order: bytes
    status: HolderStatus = "sent"
    order_id: str | None = None
    order_id_ex: str | None = None
    cells: tuple[str, ...] = ()
    held: tuple[int, ...] = ()
    kinds: str = ""
    bases: tuple[Basis, ...] = ()
    step: str | None = None
    filled: Decimal = NONE_FILLED.qty
    paid: Decimal | None = None


class Holders(Struct, frozen=True, tag="holders", omit_defaults=True):
    """Live orders, and those that ended lately; each oldest first."""

    holders: tuple[Live, ...] = ()
    ended: tuple[Live, ...] = ()


class Steps(Struct, frozen=True, tag="steps"):
    """Decisions in flight, oldest first."""

    steps: tuple[Step, ...]


class Stamps(Struct, frozen=True, tag="stamps"):
    """Stamps of one log, which may go on in the next part."""

    cell: str
    log: LogPart


class Slots(Struct, frozen=True, tag="slots"):
    """Slots that are held."""

    slots: dict[str, Slot]


class Ids(Struct, frozen=True, tag="ids"):
    """Order ids of one account, which may go on in the next part; `recent` oldest first, `owners` whose each is."""

    account: Account
    live: dict[str, str] = {}
    live_ex: dict[str, str] = {}
    recent: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()


class Currencies(Struct, frozen=True, tag="currencies"):
    """Symbols that were shown in another currency than their market's, oldest first."""

    currencies: dict[str, str]


class Trading(Struct, frozen=True, tag="trading"):
    """The trading states that operators have set."""

    rules: tuple[TradingRule, ...]


Part = Time | Spent | Holders | Steps | Stamps | Slots | Ids | Currencies | Trading


def snapshot(state: State) -> Iterator[Part]:
    """The parts, in the order in which they are put together again."""
    yield Time(state.at_us)
    for cells in _slices(state.spent.items(), CELLS_MAX):
        yield Spent(dict(cells))
    yield from (Holders(tuple(map(live, some))) for some in _slices(state.holders.values(), ORDERS_MAX))
    yield from (Holders(ended=tuple(map(live, some))) for some in _slices(state.ended.values(), ORDERS_MAX))
    for steps in _slices(state.steps.values(), ORDERS_MAX):
        yield Steps(tuple(steps))
    for cell, log in state.logs.items():
        if not windows.is_forgettable(log, t_us=state.at_us):
            stamps = windows.stamps_in(log, t_us=state.at_us, window_us=log.widest_us)
            for some in list(_slices(stamps, STAMPS_MAX)) or [[]]:
                yield Stamps(cell, LogPart(some, log.widest_us, log.is_rate))
    held = ((cell, slot) for cell, slot in state.slots.items() if find_slot(state, cell, t_us=state.at_us))
    for slots in _slices(held, CELLS_MAX):
        yield Slots(dict(slots))
    for ids in state.ids.values():
        yield from _ids(ids)
    yield from (Currencies(dict(some)) for some in _slices(state.currencies.items(), CELLS_MAX))
    if state.trading:
        yield Trading(tuple(state.trading.values()))


def restore(parts: Iterable[Part]) -> State:
    """The state of these parts, with pauses between orders and logs. It takes the parts' own objects over."""
    state, accounts = State(), dict[Account, Account]()
    for part in parts:
        _put(state, part, accounts)
    for cell, log in with_pauses(state.logs.items()):
        last_us = log.stamps[-1] if log.stamps else state.at_us
        remember(state, last_us + log.widest_us, cell)
    for cell, slot in with_pauses(state.slots.items()):
        remember(state, slot.until_us, cell)
    return state


def _put(state: State, part: Part, accounts: dict[Account, Account]) -> None:
    match part:
        case Time():
            state.at_us = part.at_us
        case Spent():
            for cell, amount in part.spent.items():
                spend(state, intern(cell), amount)
                move(state.sums, intern(cell), amount)
        case Holders():
            for order in with_pauses(part.holders):
                holder = state.holders[order.id] = _holder(order)
                for cell, amount in zip(holder.holds.cells, order.held, strict=True):
                    move(state.sums, cell, amount)
            state.ended.update((order.id, _holder(order)) for order in part.ended)
        case Ids():
            account = accounts.setdefault(part.account, part.account)
            ids = state.ids.setdefault(account, OrderIds(account))
            ids.live.update(_names(state, part.live))
            ids.live_ex.update(_names(state, part.live_ex))
            ids.recent.update(zip(map(slim, part.recent), map(intern, part.owners), strict=True))
        case _:
            _put_plain(state, part)


def _put_plain(state: State, part: Steps | Stamps | Slots | Currencies | Trading) -> None:
    match part:
        case Steps():
            state.steps |= {step.id: step for step in part.steps}
        case Stamps():
            log = windows.log_of((), part.log.widest_us, is_rate=part.log.is_rate)
            state.logs.setdefault(part.cell, log).stamps.extend(part.log.stamps)
        case Slots():
            for counter, slot in part.slots.items():
                put_slot(state, counter, slot)
        case Currencies():
            state.currencies |= part.currencies
        case Trading():
            state.trading |= {rule.scope: rule for rule in part.rules}


def live(holder: Holder) -> Live:
    """The order by itself."""
    about, holds = holder.about, holder.holds
    return Live(
        id=holder.id,
        key=about.key,
        account=about.account,
        market=about.market,
        symbol=about.symbol,
        order=holder.order,
        status=holder.status,
        order_id=holder.order_id,
        order_id_ex=holder.order_id_ex,
        cells=holds.cells,
        held=holds.amounts,
        kinds=holds.kinds,
        bases=tuple(parts.basis for parts in holder.bases),
        step=holder.step,
        filled=holder.filled,
        paid=holder.fills.paid,
    )


def _holder(order: Live) -> Holder:
    """The live order, sharing objects with similar ones as `reserve` does."""
    (form, own), held = short(order.order), (order.cells, order.held, order.kinds)
    bases = tuple(same_whole(basis.cells, basis.amounts, basis.kinds, worth=basis.worth) for basis in order.bases)
    latest = order.bases[-1] if order.bases else None
    is_untouched = latest is not None and (latest.cells, latest.amounts, latest.kinds) == held
    course = Course(
        holds=bases[-1] if is_untouched else same_whole(*held),
        claimed=bases[0] if len(bases) == 1 else bases,
        fills=Fills(order.filled, order.paid) if order.filled else NONE_FILLED,
        status=order.status,
        step=order.step,
    )
    return Holder(
        id=order.id,
        about=same_about(About(order.key, order.account, order.market, order.symbol, form)),
        own=own,
        course=course.short,
        by_id=None if order.order_id is None else slim(order.order_id),
        by_ex=None if order.order_id_ex is None else slim(order.order_id_ex),
    )


def _names(state: State, live: dict[str, str]) -> Iterator[tuple[Name, str]]:
    """The names of live orders, as the very objects that the orders hold."""
    for text, order in live.items():
        name, holder = slim(text), state.holders.get(order)
        if holder is None:
            yield name, order
        else:
            own = (holder.by_id, holder.by_ex)
            yield next((each for each in own if each == name), name), holder.id


def _ids(ids: OrderIds) -> Iterator[Ids]:
    yield Ids(ids.account)
    for live in _slices(ids.live.items(), IDS_MAX):
        yield Ids(ids.account, live={str(name): order for name, order in live})
    for live in _slices(ids.live_ex.items(), IDS_MAX):
        yield Ids(ids.account, live_ex={str(name): order for name, order in live})
    for recent in _slices(ids.recent.items(), IDS_MAX):
        yield Ids(
            ids.account, recent=tuple(str(name) for name, _ in recent), owners=tuple(owner for _, owner in recent)
        )


def _slices(many: Iterable[_T], size: int) -> Iterator[list[_T]]:
    rest = iter(many)
    while some := list(islice(rest, size)):
        yield some
