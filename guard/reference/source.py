"""One kind of reference data, asked for in batches: one question under way per key, and at a pace.

What one turn of the loop wants goes in one question; keys that were used a moment ago ride along, so that prices of
everything that is traded stay young at the cost of one question. A batch that the daemon declines is halved until the
key is found that spoils it; that key then goes alone, after all others. Keys that were answered before are not asked
for together with new ones, which may spoil their question: the two take turns, so whoever asks for what the daemon has
not uses up nobody else's part of the pace. A question that fails teaches nothing about its keys: what is kept stays,
with its age. `want` never waits and never raises; whoever waits does so on the future that it returns.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from itertools import islice
from typing import Final, Generic

from msgspec import Struct

from guard.clock import Clock
from guard.reference.answercache import AnswerCache, K, Kept, NoAnswer, V
from guard.reference.envelope import Declined, Silence
from guard.reference.pace import Pace
from guard.supervisor import Supervisor

Ask = Callable[[tuple[K, ...]], Awaitable[Mapping[K, V] | Declined | Silence]]
Sleep = Callable[[float], Awaitable[None]]

_NAP_US: Final = 1000  # a loop's timers are no finer


class Manner(Struct, frozen=True, kw_only=True):
    """How a kind of data is asked for. Times in µs.

    `batch_max` keys in one question, `lanes_max` questions at once; `burst` and `interval_us` are the pace. A refusal
    is remembered for `denied_us`; after a failure nothing is asked for `cooldown_us`, and a batch is halved only while
    somebody may still wait (`patience_us`). Keys wanted at most `ride_us` ago ride along; 0: none do.
    """

    batch_max: int = 1
    lanes_max: int = 2
    burst: int = 5
    interval_us: int = 1_000_000
    denied_us: int = 10_000_000
    cooldown_us: int = 500_000
    patience_us: int = 2_000_000
    ride_us: int = 0
    kept_max: int = 10_000
    denied_max: int = 1_000
    wanted_max: int = 10_000


class Surroundings(Struct, frozen=True):
    """What every source stands on. `sleep` waits for the pace; tests wind a clock instead."""

    clock: Clock
    supervisor: Supervisor
    sleep: Sleep = asyncio.sleep


class _Group(Struct, Generic[K], frozen=True):
    """Part of a question that went wrong, to be asked again by itself until `until_us`."""

    keys: tuple[K, ...]
    until_us: int


class Source(Generic[K, V]):
    """Values by key. Used on one event loop.

    Attributes:
        cache: what is known.
        trouble: why the last question failed; "" while answers come.
        answered_us: when the daemon last answered a question of this kind, None while it never did.
    """

    def __init__(self, name: str, ask: Ask[K, V], around: Surroundings, *, manner: Manner) -> None:
        self.cache: AnswerCache[K, V] = AnswerCache(kept_max=manner.kept_max, denied_max=manner.denied_max)
        self.trouble = ""
        self.answered_us: int | None = None
        self._name = name
        self._ask = ask
        self._around = around
        self._manner = manner
        self._pace = Pace(manner.burst, manner.interval_us)
        self._pending: dict[K, asyncio.Future[None]] = {}
        self._wanted: dict[K, None] = {}
        self._again: deque[_Group[K]] = deque()
        self._used: dict[K, int] = {}
        self._is_turn_of_new = False
        self._lanes = 0
        self._is_gathering = False
        self._cool_until_us = 0

    # ------------------------------------------------------------ asking for

    def want(
        self, key: K, *, age_max_us: int, renew_us: int | None = None, not_before_us: int = 0, spared: int = 0
    ) -> asyncio.Future[None] | None:
        """Has the key asked for unless what is kept is good; None: there is nothing to wait for.

        A good value that is older than `renew_us` (half of its age) is renewed beside the caller. `not_before_us`: the
        question must have been asked no earlier, so an answer that is under way may not do; want again after it. Where
        the pace leaves no turn while somebody would wait, the key is asked for all the same, for those who come later;
        not for who wants it newer than himself: so would they, and the turn is theirs. Nor for who spares turns: so
        many are left to those who spare none.
        """
        now_us = self._around.clock.t_us()
        self._use(key, now_us)
        kept = self.cache.get(key)
        if kept is not None and kept.asked_us >= not_before_us:
            age_us = now_us - kept.answered_us
            if age_us > (age_max_us // 2 if renew_us is None else renew_us) and not (
                spared and self._is_late(now_us, spared)
            ):
                self._enqueue(key, now_us)
            if age_us <= age_max_us:
                return None
        is_late = self._is_late(now_us, spared)
        if is_late and (not_before_us or spared) and key not in self._pending:
            return None
        future = self._enqueue(key, now_us)
        return None if is_late and key in self._wanted else future

    def _is_late(self, now_us: int, spared: int) -> bool:
        return self._pace.wait_us(now_us, spared=spared) > self._manner.patience_us

    def why(self, key: K) -> str:
        """Why there is no newer answer, for a message."""
        now_us = self._around.clock.t_us()
        denied = self.cache.denied(key, now_us)
        if denied is not None:
            return f"the daemon {'does not tell' if denied.is_transient else 'has none'}: {denied.message}"
        if self.trouble:
            return f"the last question failed: {self.trouble}"
        wait_us = self._pace.wait_us(now_us)
        if wait_us and (key in self._wanted or not self._manner.patience_us):
            return f"the guard's part of the broker's limit is used up for another {-(-wait_us // 100_000) / 10:.1f} s"
        if not self._manner.patience_us and self._pace.wait_us(now_us, spared=1):
            return "what is left of the guard's part of the broker's limit is left to exits"
        if key in self._pending:
            return "the daemon did not answer in time"
        return "it was not asked for, or not told in time"  # an order that is refused already asks for nothing

    def _use(self, key: K, now_us: int) -> None:
        if not self._manner.ride_us:
            return
        self._used.pop(key, None)
        self._used[key] = now_us
        if len(self._used) > self._manner.batch_max:
            del self._used[next(iter(self._used))]

    def _enqueue(self, key: K, now_us: int) -> asyncio.Future[None] | None:
        pending = self._pending.get(key)
        if pending is not None:
            return pending
        is_full = len(self._pending) >= self._manner.wanted_max
        is_quiet = now_us < self._cool_until_us or self._around.supervisor.is_ending
        if is_full or is_quiet or self.cache.denied(key, now_us) is not None:
            return None
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending[key] = future
        self._wanted[key] = None
        if not self._is_gathering and self._lanes < self._manner.lanes_max:
            self._is_gathering = True
            self._lanes += 1
            _ = self._around.supervisor.start(self._lane(), f"reference {self._name}", service=True)
        return future

    # ------------------------------------------------------------ asking

    async def _lane(self) -> None:
        """Asks until nothing is wanted any more; keys that are wanted meanwhile go into its next question."""
        clock = self._around.clock
        try:
            await asyncio.sleep(0)  # everything that this turn of the loop wants
            self._is_gathering = False
            while self._again or self._wanted:
                wait_us = self._pace.wait_us(clock.t_us())
                if wait_us:
                    await self._around.sleep(max(wait_us, _NAP_US) / 1_000_000)
                    continue
                group = self._next()
                if group.keys:
                    self._pace.take(clock.t_us())
                    await self._fly(group)
        finally:
            self._lanes -= 1
            self._is_gathering = False
            if not self._lanes:
                self._wanted.clear()
                self._again.clear()
                self._end(tuple(self._pending))

    def _next(self) -> _Group[K]:
        now_us = self._around.clock.t_us()
        answered, new, spoilers = self._by_kind()
        if answered and not (self._is_turn_of_new and (new or self._again)):
            self._is_turn_of_new = True
            return self._group(answered, now_us)
        self._is_turn_of_new = False
        while self._again:
            group = self._again.popleft()
            if now_us < group.until_us:
                return group
            self._end(group.keys)
        return self._group(new or answered or spoilers[:1], now_us)

    def _by_kind(self) -> tuple[list[K], list[K], list[K]]:
        """What is wanted: keys that have an answer, new ones, and those that spoilt a question before."""
        answered: list[K] = []
        new: list[K] = []
        spoilers: list[K] = []
        for key in self._wanted:
            kind = spoilers if self.cache.was_denied(key) else new if self.cache.get(key) is None else answered
            kind.append(key)
        return answered, new, spoilers

    def _group(self, wanted: list[K], now_us: int) -> _Group[K]:
        """The first of these in one question, and what rides along."""
        found = tuple(wanted[: self._manner.batch_max])
        for key in found:
            del self._wanted[key]
        is_spoiler = not found or self.cache.was_denied(found[0])
        riders = [] if is_spoiler else self._riders(now_us, seats=self._manner.batch_max - len(found))
        return _Group((*found, *riders), now_us + self._manner.patience_us)

    def _riders(self, now_us: int, *, seats: int) -> list[K]:
        """Keys that were used a moment ago and are not asked for already, the latest first."""
        used = (key for key, at_us in reversed(self._used.items()) if now_us - at_us <= self._manner.ride_us)
        return list(islice((key for key in used if self._may_ride(key)), seats))

    def _may_ride(self, key: K) -> bool:
        return key not in self._pending and self.cache.get(key) is not None and not self.cache.was_denied(key)

    async def _fly(self, group: _Group[K]) -> None:
        asked_us = self._around.clock.t_us()
        over, answer = group.keys, None
        try:
            answer = await self._ask(group.keys)
            over = self._landed(group, answer, asked_us)
        finally:
            if answer is None:
                self._failed("the question was broken off")
            self._end(over)

    def _failed(self, trouble: str) -> None:
        self.trouble, self._cool_until_us = trouble, self._around.clock.t_us() + self._manner.cooldown_us

    def _landed(self, group: _Group[K], answer: Mapping[K, V] | Declined | Silence, asked_us: int) -> tuple[K, ...]:
        """Keeps what was answered; returns the keys that are done with."""
        now_us = self._around.clock.t_us()
        if isinstance(answer, Silence):
            self._failed(answer.message)
            return group.keys
        self.trouble, self.answered_us = "", now_us
        if isinstance(answer, Declined):
            lacking, reason = group.keys, answer.message
            is_unknown, is_transient = answer.is_unknown, answer.is_transient
        else:
            for key in group.keys:
                if key in answer:
                    self.cache.put(key, Kept(answer[key], asked_us, now_us))
            lacking = tuple(key for key in group.keys if key not in answer)
            reason, is_unknown, is_transient = "its answer does not name it", True, False
        if lacking == group.keys and len(lacking) == 1:
            until_us = now_us + self._manner.denied_us
            self.cache.deny(lacking[0], NoAnswer(reason, is_unknown, until_us, is_transient))
            return group.keys
        self._retry(lacking, group)
        return tuple(key for key in group.keys if key not in lacking or key not in self._pending)

    def _retry(self, lacking: tuple[K, ...], group: _Group[K]) -> None:
        """Asks for the rest again, in smaller questions; what only rode along is left out."""
        keys = tuple(key for key in lacking if key in self._pending)
        half = len(keys) // 2 if len(keys) == len(group.keys) else len(keys)
        for part in (keys[:half], keys[half:]):
            if part:
                self._again.append(_Group(part, group.until_us))

    def _end(self, keys: tuple[K, ...]) -> None:
        """Nobody waits for these any longer."""
        for key in keys:
            future = self._pending.pop(key, None)
            if future is not None and not future.done():
                future.set_result(None)
