"""When the daemon's order lists are asked: while orders are live, have just ended, or steps are in doubt; else seldom.

Each place has one question open at a time, at the pace of `lists`. A failed question changes nothing: the place is
asked again in its turn. Neither callers nor readiness wait for any of this.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from typing import Final

import structlog

from guard.errors import JournalFault
from guard.limits import Holder, Step, holder_of, unknowns
from guard.terms import Account, Missing, stamp_of
from guard.tracking.doubts import Doubts
from guard.tracking.late import Late
from guard.tracking.lists import Lists
from guard.tracking.listsnapshot import ListSnapshot
from guard.tracking.outside import Outside
from guard.tracking.places import Place, Places
from guard.tracking.scribe import POSITIONS, SOURCE, Scribe
from guard.tracking.slices import in_slices
from guard.tracking.tracks import Tracks
from guard.upstream.orderlist import OrderRow
from guard.walk.orderlists import Disabled
from guard.walk.recorder import Recorder

FIRST_LOOK_US: Final = 1_000_000  # after a step came into doubt: the daemon's list needs a moment too
DOUBT_EVERY_US: Final = 2_000_000
LIVE_EVERY_US: Final = 5_000_000
TICK_S: Final = 0.5
IDLE_EVERY_US: Final = 60_000_000  # an account on which nothing is live: one of its markets, for orders of outside
LOOK_WAIT_S: Final = 2.0  # how long a request waits for a list
LOOKED_US: Final = 2_000_000  # a list that was asked for less than this ago is as good as a new one
LISTED_AGE_MAX_US: Final = 10_000_000  # how old what a list showed may be for an order that is to be enabled
PLACES_MAX: Final = 1_000  # places whose last question is remembered while nothing is live there
MANY: Final = 5_000  # live orders, from which on looking through them all is felt
_log = structlog.get_logger("guard")


class Reconciler:
    """Over one recorder's desk; `run` is a service, `turn` one round of it."""

    def __init__(self, recorder: Recorder) -> None:
        self._desk = recorder.desk
        self._places = Places()
        self._lists = Lists(self._desk.daemon, self._desk.clock)
        self._scribe = Scribe(recorder)
        self._doubts = Doubts(self._scribe)
        self._tracks = Tracks(self._scribe, self._doubts)
        self._outside = Outside(self._scribe)
        self._late = Late(self._scribe, self._places)
        self._asked_us: dict[Place, int] = {}
        self._since_us: dict[Place, int] = {}
        self._looked_us: dict[Place, int] = {}
        self._lacking: set[Place] = set()
        self._idle_us = self._desk.clock.t_us() + IDLE_EVERY_US
        self._turn = asyncio.Lock()
        self._poked: set[Account] = set()
        self._wake = asyncio.Event()

    def concerns(self) -> tuple[str, ...]:
        """What the lists say of this machine's clock, those that say nothing, and orders that none has shown."""
        return *self._lists.concerns(), *self._tracks.concerns()

    def refresh_soon(self, account: Account) -> None:
        """Something happened on this account: ask for its lists as soon as the pace allows."""
        if account not in self._poked:
            self._poked.add(account)
            self._wake.set()

    def traded(self, acc_id: int) -> None:
        """The daemon pushed a trade event for this account id. Asks nothing if no order there is live or just ended."""
        state = self._desk.state
        live = {account for account, ids in state.ids.items() if ids.live or ids.live_ex}
        doubted = (holder_of(state, step) for step in unknowns(state))
        doubted_at = {holder.account for holder in doubted if holder is not None}
        for account in live | doubted_at | self._late.heard(acc_id):
            if account.acc_id == acc_id:
                self.refresh_soon(account)

    @property
    def poked(self) -> frozenset[Account]:
        """The accounts whose lists wait to be asked out of turn."""
        return frozenset(self._poked)

    async def refresh(self, account: Account, *, trd_market: int, jp_acc_type: int | None) -> None:
        """Asks for one list out of turn, since a request depends on it; waits at most `LOOK_WAIT_S`.

        Not if it was asked for a moment ago, nor if that left no quota for the lists of live orders.
        """
        place = self._places.one(Place(account, trd_market, jp_acc_type))
        if self._desk.clock.t_us() - self._looked_us.get(place, -LOOKED_US) < LOOKED_US:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_WAIT_S), self._turn:
                if self._lists.may_ask(place, spare=1):
                    doubts = (await self._wanted()).get(place, [])
                    await self._look(place, doubts, is_fresh=True)

    def disabled(self, name: str) -> Disabled | None:
        """The row of a live order that may be disabled; None if no recent list has shown it."""
        listed_us = self._tracks.listed_us(name)
        if listed_us is None or self._desk.clock.t_us() - listed_us > LISTED_AGE_MAX_US:
            return None
        row = self._tracks.disabled(name)
        return (
            Disabled()
            if row is None
            else Disabled(row.qty, row.price, row.aux_price, row.trail_value, row.trail_spread)
        )

    def is_unseen(self, name: str) -> bool:
        """The live order was accepted more than a day ago, and no list has shown it."""
        return self._tracks.is_unseen(name)

    def note_positions(self, trd_market: int, shown: Mapping[str, str]) -> None:
        """Notes the currencies in which positions were shown."""
        self._note_currencies(trd_market, shown, source=POSITIONS)

    def _note_currencies(self, trd_market: int, shown: Mapping[str, str], *, source: str = SOURCE) -> None:
        try:
            self._scribe.note_currencies(trd_market, shown, source=source)
        except JournalFault as fault:
            _log.error("currency_not_recorded", why=str(fault))

    async def run(self) -> None:
        """Runs one turn after another until cancelled."""
        while True:
            await self.turn()
            self._wake.clear()
            try:
                async with asyncio.timeout(TICK_S):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def turn(self) -> None:
        """Asks whatever is due now, accounts in parallel; waits for a turn that is already under way."""
        async with self._turn:
            await self._ask_due()

    async def _ask_due(self) -> None:
        if len(self._desk.state.holders) > MANY and self._is_quiet():
            return
        if len(self._looked_us) > PLACES_MAX:
            self._looked_us.clear()
        wanted = await self._wanted()
        self._asked_us = {place: at_us for place, at_us in self._asked_us.items() if place in wanted}
        self._since_us = {place: at_us for place, at_us in self._since_us.items() if place in wanted}
        self._lacking &= wanted.keys()
        self._lists.keep(wanted)
        due: dict[Account, list[tuple[Place, list[Step]]]] = {}
        for place, doubts in wanted.items():
            if self._is_due(place, doubts):
                due.setdefault(place.account, []).append((place, doubts))
        self._poked &= {place.account for place in wanted}
        if not wanted:
            await self._idle(wanted)
            return
        self._doubts.keep(self._is_live)
        await self._tracks.keep(self._is_live)
        await asyncio.gather(self._idle(wanted), *(self._account(places) for places in due.values()))

    async def _wanted(self) -> dict[Place, list[Step]]:
        """Every place to look at, with its steps in doubt."""
        wanted = await self._places.wanted(self._desk.state)
        late = map(self._places.one, self._late.places())
        return wanted | {place: [] for place in late if place not in wanted}

    def _is_live(self, name: str) -> bool:
        return name in self._desk.state.holders or name in self._desk.state.steps

    async def _idle(self, wanted: Mapping[Place, list[Step]]) -> None:
        """Idle accounts, which are still asked now and then, one market each: somebody may trade elsewhere."""
        now_us = self._desk.clock.t_us()
        if now_us < self._idle_us:
            return
        self._idle_us = now_us + IDLE_EVERY_US
        rows = await self._desk.accounts.rows()
        for row in () if isinstance(rows, Missing) else rows:
            places = [self._places.one(Place(row.account, market)) for market in row.markets]
            place = min(
                (each for each in places if each not in wanted),
                key=lambda each: self._looked_us.get(each, 0),
                default=None,
            )
            if place is not None and self._lists.may_ask(place):
                await self._look(place, [])

    def _is_quiet(self) -> bool:
        """Nothing is in doubt, and no list is due and allowed by the pace: a large book need not be gone through."""
        asked, poked = self._asked_us, self._poked
        if not asked or unknowns(self._desk.state) or not poked <= {place.account for place in asked}:
            return False
        last_us = self._desk.clock.t_us() - LIVE_EVERY_US
        due = (place for place, at_us in asked.items() if at_us <= last_us or place.account in poked)
        return not any(map(self._lists.may_ask, due))

    def _is_due(self, place: Place, doubts: list[Step]) -> bool:
        now_us = self._desk.clock.t_us()
        asked_us = self._asked_us.get(place)
        due_us = (self._since_us.setdefault(place, now_us) if asked_us is None else asked_us) + LIVE_EVERY_US
        if doubts:
            first_us = min(step.unknown_us for step in doubts) + FIRST_LOOK_US
            is_new = asked_us is None or first_us > asked_us
            due_us = min(due_us, first_us if is_new else (asked_us or 0) + DOUBT_EVERY_US)
        return now_us >= due_us or place.account in self._poked

    async def _account(self, places: Iterable[tuple[Place, list[Step]]]) -> None:
        """The place asked longest ago goes first: the pace lets one through, and no market may starve."""
        for place, doubts in sorted(places, key=lambda each: self._asked_us.get(each[0], 0)):
            if self._lists.may_ask(place):
                await self._look(place, doubts)

    async def _look(self, place: Place, doubts: list[Step], *, is_fresh: bool = False) -> None:
        self._asked_us[place] = self._looked_us[place] = self._desk.clock.t_us()
        self._poked.discard(place.account)
        asked = await self._asked(place, doubts)
        asked.is_fresh = is_fresh or bool(doubts) or place in self._lacking
        today = await self._lists.today(place, is_fresh=asked.is_fresh)
        if today is None:
            self._settle_nowhere(asked)
            return
        self._lacking.discard(place)
        asked.today = today
        shown = {row.symbol: row.currency for row in today if row.symbol is not None and row.currency is not None}
        for symbol, currency in shown.items():
            self._desk.reference.observe_currency(symbol, currency)
        self._note_currencies(place.trd_market, shown)
        is_incomplete = self._is_incomplete(asked)
        if is_incomplete:
            self._lacking.add(place)  # that the daemon's memory lacks it proves nothing: next time the broker is asked
        if is_incomplete or self._late.is_lacking(asked):
            asked.earlier = await self._lists.history(place)
        try:
            self._doubts.settle(
                asked,
                was_listed=self._tracks.was_listed,
                can_vanish=self._tracks.can_vanish,
                hold_more=self._tracks.hold_more,
            )
            await self._tracks.learn(asked)
            self._tracks.note(self._outside.learn(asked), asked)
            self._late.learn(asked)
        except JournalFault as fault:
            _log.error("not_reconciled", why=str(fault))

    def _settle_nowhere(self, asked: ListSnapshot) -> None:
        """No list tells of a market that the account does not have, so the account list does."""
        place = asked.place
        row = next((row for row in self._desk.accounts.known if row.account == place.account), None)
        if row is not None and row.markets and place.trd_market not in row.markets:
            try:
                self._doubts.settle_nowhere(asked)
            except JournalFault as fault:
                _log.error("not_reconciled", why=str(fault))

    async def _asked(self, place: Place, doubts: list[Step]) -> ListSnapshot:
        """What there is when the question is asked. An order that changes later has other terms, and is left alone."""
        asked = ListSnapshot(place, {step.id: step for step in doubts})
        async for holders in in_slices(self._desk.state.holders.values()):
            asked.note([holder for holder in holders if self._places.of(holder) is place])
        asked.at_us = self._desk.clock.t_us()
        return asked

    def _is_incomplete(self, asked: ListSnapshot) -> bool:
        """Something that is looked for is missing from today's orders: it may be in the history."""
        state, shown = self._desk.state, asked.shown(self._desk.state)
        stamps = {row.remark for row in asked.today}
        is_missing = any(name not in shown for name in asked.names)
        return is_missing or any(
            stamp_of(name) not in stamps and not _is_listed(holder_of(state, step), shown)
            for name, step in asked.doubts.items()
        )


def _is_listed(holder: Holder | None, shown: Mapping[str, OrderRow]) -> bool:
    return holder is not None and holder.id in shown
