"""Asking in batches: one question a key, at a pace, halved where one key spoils it."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import pytest

from guard.reference.envelope import Declined, Silence
from guard.reference.source import Manner, Source, Surroundings
from guard.supervisor import Supervisor
from tests.support.clock import ManualClock

MANNER = Manner(batch_max=4, lanes_max=2, burst=100, interval_us=1000, denied_us=10_000_000)
AGE_US = 5_000_000


class Bench:
    """A source whose daemon knows the letters of `known`, each with the number of times it was asked."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.supervisor = Supervisor()
        self.slept: list[float] = []
        self.questions: list[str] = []
        self.known = set("abcdefghijklmnop")
        self.spoilers: set[str] = set()
        self.silence: Silence | None = None
        self.bug: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.source = self.made(MANNER)

    def made(self, manner: Manner) -> Source[str, int]:
        """Another source of the same daemon."""
        self.source = Source("test", self.ask, Surroundings(self.clock, self.supervisor, self.sleep), manner=manner)
        return self.source

    async def sleep(self, seconds: float) -> None:
        """Time passes."""
        self.slept.append(seconds)
        self.clock.advance(us=round(seconds * 1_000_000))
        await asyncio.sleep(0)

    async def ask(self, keys: tuple[str, ...]) -> Mapping[str, int] | Declined | Silence:
        """The daemon."""
        self.questions.append("".join(keys))
        await self.gate.wait()
        if self.bug is not None:
            raise self.bug
        if self.silence is not None:
            return self.silence
        if self.spoilers & set(keys):
            return Declined("unknown stock")
        return {key: len(self.questions) for key in keys if key in self.known}

    async def get(self, keys: str, *, age_max_us: int = AGE_US) -> str:
        """Wants keys and waits; the keys that are known afterwards."""
        waits = [self.source.want(key, age_max_us=age_max_us) for key in keys]
        for future in waits:
            if future is not None:
                await future
        return "".join(key for key in keys if self.source.cache.get(key) is not None)

    async def settle(self) -> None:
        """Let what runs in the background end."""
        for _ in range(20):
            await asyncio.sleep(0)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """A source that has not asked yet; afterwards every task has ended."""
    made = Bench()
    yield made
    made.gate.set()
    await made.settle()
    assert await made.supervisor.drain(1.0) == ()


async def test_what_one_turn_of_the_loop_wants_goes_in_one_question(bench: Bench) -> None:
    """Up to the size of a batch; the rest follows."""
    assert await bench.get("abcdef") == "abcdef"
    assert bench.questions == ["abcd", "ef"]


async def test_two_orders_share_one_question(bench: Bench) -> None:
    """One flight a key: whoever comes while it is under way waits for the same answer."""
    bench.gate.clear()
    first = bench.source.want("a", age_max_us=AGE_US)
    await bench.settle()
    second = bench.source.want("a", age_max_us=AGE_US)

    assert first is second
    bench.gate.set()
    await bench.settle()
    assert bench.questions == ["a"]
    assert second is not None
    assert second.done()


async def test_a_young_value_is_not_asked_for(bench: Bench) -> None:
    """And one past half of its age is renewed beside the caller."""
    await bench.get("a")
    bench.clock.advance(s=2)
    assert bench.source.want("a", age_max_us=AGE_US) is None
    await bench.settle()
    assert bench.questions == ["a"]

    bench.clock.advance(s=1)
    assert bench.source.want("a", age_max_us=AGE_US) is None
    await bench.settle()
    assert bench.questions == ["a", "a"]


async def test_a_value_that_is_too_old_is_waited_for(bench: Bench) -> None:
    """Beyond its age the caller gets the new one."""
    await bench.get("a")
    bench.clock.advance(s=6)
    assert await bench.get("a") == "a"

    kept = bench.source.cache.get("a")
    assert kept is not None
    assert kept.value == 2


async def test_a_renewal_of_its_own_age(bench: Bench) -> None:
    """What changes slowly is renewed long before it is too old."""
    await bench.get("a")
    bench.clock.advance(s=1)
    bench.source.want("a", age_max_us=AGE_US, renew_us=500_000)
    await bench.settle()

    assert bench.questions == ["a", "a"]


async def test_an_answer_to_an_earlier_question_is_not_late_enough(bench: Bench) -> None:
    """A position that was asked for before the fill does not show it, however young the answer is."""
    bench.gate.clear()
    bench.source.want("a", age_max_us=AGE_US)
    await bench.settle()
    bench.clock.advance(s=1)
    since_us = bench.clock.t_us()
    waiting = bench.source.want("a", age_max_us=AGE_US, not_before_us=since_us)
    bench.gate.set()
    assert waiting is not None
    await waiting

    again = bench.source.want("a", age_max_us=AGE_US, not_before_us=since_us)
    assert again is not None
    await again
    assert bench.source.want("a", age_max_us=AGE_US, not_before_us=since_us) is None
    assert bench.questions == ["a", "a"]


async def test_one_bad_key_does_not_spoil_the_others(bench: Bench) -> None:
    """A batch that is declined is halved until the key is found."""
    bench.spoilers = {"c"}

    assert await bench.get("abcd") == "abd"
    assert bench.questions == ["abcd", "ab", "cd", "c", "d"]


async def test_a_key_that_spoilt_a_question_goes_alone_next_time(bench: Bench) -> None:
    """And not before its refusal is over."""
    bench.spoilers = {"c"}
    await bench.get("c")
    assert bench.source.want("c", age_max_us=AGE_US) is None
    assert bench.source.why("c") == "the daemon has none: unknown stock"

    bench.clock.advance(s=11)
    bench.questions.clear()
    assert await bench.get("acb") == "ab"
    assert bench.questions == ["ab", "c"]

    bench.clock.advance(s=11)
    bench.spoilers.clear()
    assert await bench.get("c") == "c"


async def test_keys_that_spoil_questions_come_after_all_others(bench: Bench) -> None:
    """Whoever keeps asking for what the daemon has not uses up no part that another's key needs."""
    bench.made(Manner(batch_max=4, burst=1, interval_us=2_000_000))
    bench.spoilers = set("wxyz")
    for key in "wxyz":
        await bench.get(key)
    bench.clock.advance(s=20)
    bench.questions.clear()

    for key in "wxyza":
        bench.source.want(key, age_max_us=AGE_US)
    await bench.settle()
    assert bench.questions[0] == "a"
    assert sorted(bench.questions[1:]) == list("wxyz")


async def test_new_keys_do_not_spoil_the_question_of_known_ones_and_take_turns_with_them(bench: Bench) -> None:
    """What was answered before is not asked for with what may be declined; neither waits for two of the other."""
    bench.made(Manner(batch_max=2, burst=1, interval_us=2_000_000, patience_us=20_000_000))
    await bench.get("abcd")
    bench.spoilers = {"x"}
    bench.clock.advance(s=60)
    bench.questions.clear()

    for key in "xaybcd":
        bench.source.want(key, age_max_us=AGE_US)
    await bench.settle()
    assert bench.questions == ["ab", "xy", "cd", "x", "y"]


async def test_a_key_that_an_answer_leaves_out_is_asked_for_alone_before_it_is_given_up(bench: Bench) -> None:
    """Half an answer does not make an instrument unknown."""
    bench.known.discard("b")
    assert await bench.get("abc") == "ac"
    assert bench.questions == ["abc", "b"]

    denied = bench.source.cache.denied("b", bench.clock.t_us())
    assert denied is not None
    assert denied.is_unknown


@pytest.mark.parametrize(
    ("words", "is_unknown"),
    [
        ("unknown stock 00000", True),
        ("未知股票", True),
        ("Security not found", True),
        ("no such stock", True),
        ("no such quote right", False),
        ("no quote right", False),
        ("high frequency", None),
        ("请求频率太高", None),
        ("Unknown error", None),
        ("[err_code=none] 未知错误", None),
        ("request timed out", None),
        ("request time out", None),
    ],
)
async def test_what_the_daemon_says_decides_whether_it_knows_the_key(
    bench: Bench, words: str, is_unknown: bool | None
) -> None:
    """A daemon that will not say just now has not said that there is no such thing; None: nor that it has none."""
    await bench.get("a")

    async def ask(_: tuple[str, ...]) -> Declined:
        return Declined(words)

    bench.source._ask = ask
    bench.clock.advance(s=6)
    await bench.get("a")

    denied = bench.source.cache.denied("a", bench.clock.t_us())
    assert denied is not None
    assert (denied.is_unknown, denied.is_transient) == (bool(is_unknown), is_unknown is None)
    assert bench.source.why("a") == f"the daemon {'does not tell' if is_unknown is None else 'has none'}: {words}"
    assert (bench.source.cache.get("a") is None) is bool(is_unknown)


async def test_a_question_that_fails_teaches_nothing(bench: Bench) -> None:
    """What is kept stays, with its age; for a moment nobody asks again."""
    await bench.get("a")
    bench.clock.advance(s=6)
    bench.silence = Silence("connection refused")
    assert await bench.get("a") == "a"
    assert bench.source.why("a") == "the last question failed: connection refused"
    assert await bench.get("abc") == "a"
    assert bench.questions == ["a", "a"]

    bench.silence = None
    bench.clock.advance(s=1)
    assert await bench.get("abc") == "abc"
    assert bench.source.trouble == ""


async def test_a_bug_ends_the_wait_and_is_heard(bench: Bench) -> None:
    """Nobody waits for ever, and the next question is asked after a moment."""
    bench.bug = ZeroDivisionError("ours")
    assert await bench.get("a") == ""
    await bench.settle()

    assert [told.partition(":")[0] for told in bench.supervisor.concerns()] == ["reference"]
    assert bench.source.want("a", age_max_us=AGE_US) is None
    bench.bug = None
    bench.clock.advance(s=1)
    assert await bench.get("a") == "a"


async def test_no_question_is_spent_on_who_cannot_use_its_answer(bench: Bench) -> None:
    """Who wants it newer than himself and cannot wait leaves the turn to the next one: trying again gets there."""
    bench.made(Manner(lanes_max=1, burst=1, interval_us=6_000_000, patience_us=0))
    served = []
    for second in range(13):
        began_us = bench.clock.t_us()
        future = bench.source.want("a", age_max_us=AGE_US, not_before_us=began_us)
        if future is not None:
            await future
            served.append(second)
        else:
            left = f"used up for another {6 - second % 6}.0 s"
            assert bench.source.why("a").endswith(left)
        await bench.settle()
        bench.clock.advance(s=1)

    assert served == [0, 6, 12]
    assert bench.questions == ["a"] * 3
    assert bench.slept == []


async def test_the_pace_is_kept_and_what_is_wanted_meanwhile_goes_along(bench: Bench) -> None:
    """A burst at once; then one question waits and takes everybody with it."""
    bench.made(Manner(batch_max=4, burst=2, interval_us=1_000_000))
    await bench.get("a")
    await bench.get("b")
    waits = [bench.source.want(key, age_max_us=AGE_US) for key in "cd"]
    assert bench.source.why("c") == "the guard's part of the broker's limit is used up for another 1.0 s"
    for future in waits:
        assert future is not None
        await future

    assert bench.slept == [1.0]
    assert bench.questions == ["a", "b", "cd"]


async def test_where_the_pace_leaves_no_turn_in_time_nobody_waits(bench: Bench) -> None:
    """The key is asked for all the same: the next order finds it."""
    bench.made(Manner(burst=1, interval_us=6_000_000, patience_us=2_000_000))
    await bench.get("a")

    assert bench.source.want("b", age_max_us=AGE_US) is None
    await bench.settle()
    assert bench.source.cache.get("b") is not None


async def test_keys_that_were_used_a_moment_ago_ride_along(bench: Bench) -> None:
    """One question keeps everything young that is traded; what was not used for long stays behind."""
    bench.made(Manner(batch_max=3, burst=100, ride_us=60_000_000))
    await bench.get("ab")
    bench.clock.advance(s=50)
    await bench.get("c")
    assert bench.questions == ["ab", "cba"]

    bench.clock.advance(s=50)
    await bench.get("d")
    assert bench.questions[-1] == "dc"


async def test_a_passenger_spoils_nothing_and_is_not_asked_for_again(bench: Bench) -> None:
    """It is left out of the second try."""
    bench.made(Manner(batch_max=3, burst=100, ride_us=60_000_000))
    await bench.get("a")
    bench.spoilers = {"a"}

    assert await bench.get("b") == "b"
    assert bench.questions == ["a", "ba", "b"]


async def test_at_most_so_many_questions_at_once(bench: Bench) -> None:
    """While both are under way the others gather."""
    bench.gate.clear()
    for key in "abcd":
        bench.source.want(key, age_max_us=AGE_US)
        await bench.settle()
    assert bench.questions == ["a", "b"]

    bench.gate.set()
    await bench.settle()
    assert bench.questions == ["a", "b", "cd"]


async def test_at_most_so_many_keys_wait(bench: Bench) -> None:
    """Beyond that nobody is taken on."""
    bench.made(Manner(wanted_max=2))
    waits = [bench.source.want(key, age_max_us=AGE_US) for key in "abc"]

    assert [future is not None for future in waits] == [True, True, False]


async def test_a_batch_is_halved_only_while_somebody_may_wait(bench: Bench) -> None:
    """When the orders have given up, so does the search."""
    bench.made(Manner(batch_max=4, burst=1, interval_us=1_500_000, patience_us=2_000_000))
    bench.spoilers = set("abcd")
    await bench.get("abcd")

    assert bench.questions == ["abcd", "ab"]
    assert not any(bench.source.cache.was_denied(key) for key in "abcd")


async def test_a_stop_ends_every_wait(bench: Bench) -> None:
    """Draining leaves no order hanging."""
    bench.gate.clear()
    waits = [bench.source.want(key, age_max_us=AGE_US) for key in "abcdefg"]
    await bench.settle()
    await bench.supervisor.drain(0.01)

    assert all(future is not None and future.done() for future in waits)


async def test_why_without_any_answer(bench: Bench) -> None:
    """The daemon is not said to be late with what it was not asked for, as for an order that is refused already."""
    assert bench.source.why("a") == "it was not asked for, or not told in time"
    bench.gate.clear()
    _ = bench.source.want("a", age_max_us=AGE_US)
    assert bench.source.why("a") == "the daemon did not answer in time"
    bench.gate.set()
    assert bench.source.answered_us is None
    await bench.get("a")
    assert bench.source.answered_us == bench.clock.t_us()
