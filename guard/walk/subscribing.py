"""Subscriptions on their way to the daemon, one at a time, so that the daemon always has what all keys hold together.

A key holds a line before the daemon is asked to begin it, and gives it up only after the daemon has ended it: whoever
comes in between finds the line held. Ending a line that another key still holds is answered without the daemon.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import msgspec
import structlog
from msgspec import Struct
from msgspec.structs import replace

from guard.access import push_acc_ids
from guard.codes import Code
from guard.intent import encode
from guard.terms import AccPush, Answer, Failure, Intent, Outbound, Reason, Subscribe
from guard.upstream import is_refusal
from guard.walk.desk import Desk
from guard.walk.gather import listed
from guard.walk.subscriptions import LINES_MAX, PUSH, DataLine, calls, lines_of
from guard.walk.visit import Situation, Visit

WAITING_MAX: Final = 64
SUBSCRIPTIONS: Final = (Subscribe, AccPush)
RESTORE_FIRST_S: Final = 0.5
RESTORE_MAX_S: Final = 30.0
RESTORE_ATTEMPTS_MAX: Final = 40  # about twenty minutes: a daemon that is there and still says no means it
ENDING_ATTEMPTS_MAX: Final = 40  # likewise, a minute apart
_PATHS: Final = {
    (Subscribe, True): "/api/subscribe",
    (Subscribe, False): "/api/unsubscribe",
    (AccPush, True): "/api/sub-acc-push",
    (AccPush, False): "/api/unsub-acc-push",
}
DONE: Final = Answer(200, "application/json", b'{"ret_type":0,"ret_msg":null,"err_code":null,"s2c":{}}')
_OK: Final = range(200, 300)

Ask = Callable[[Subscribe | AccPush], Awaitable[Answer | Failure]]

_log = structlog.get_logger("guard")


class _Envelope(Struct):
    ret_type: int | None = None


def objections(desk: Desk, visit: Visit, intent: Intent) -> list[Reason]:
    """Why a subscription cannot be taken on now; empty for every other intent."""
    if not isinstance(intent, SUBSCRIPTIONS) or visit.principal is None:
        return []
    if desk.subscribing.waiting >= WAITING_MAX:
        return [Reason(Code.OVERLOADED, "too many subscriptions wait for the daemon; try again")]
    if not isinstance(intent, Subscribe) or not intent.is_subscribe:
        return []
    if len(intent.securities) * len(intent.sub_types) <= desk.subscriptions.room(visit.principal.name):
        return []
    message = f"a key holds at most {LINES_MAX} subscriptions, symbols times types; end some first"
    return [Reason(Code.BAD_VALUE, message, limit=str(LINES_MAX))]


async def carry(desk: Desk, visit: Visit, situation: Situation, *, ask: Ask) -> Answer | Failure:
    """Begins or ends one caller's subscription; the daemon's answer, or a success where it need not be asked."""
    principal, intent = visit.principal, situation.intent
    if principal is None or not isinstance(intent, SUBSCRIPTIONS):
        raise AssertionError("no subscription, or one without a caller")
    async with desk.subscribing:
        own = _KeySubscriptions(desk, principal.name, ask)
        if isinstance(intent, AccPush):
            acc_ids = push_acc_ids(principal, listed(situation) or (), intent.acc_ids)
            return await (own.push(acc_ids) if intent.is_subscribe else own.unpush(acc_ids))
        return await (own.subscribe(intent) if intent.is_subscribe else own.unsubscribe(lines_of(intent)))


class _KeySubscriptions:
    """What one key wants of the daemon. Whoever uses it holds the lock `desk.subscribing`."""

    def __init__(self, desk: Desk, name: str, ask: Ask) -> None:
        self._holdings = desk.subscriptions
        self._name = name
        self._ask = ask

    async def subscribe(self, intent: Subscribe) -> Answer | Failure:
        """Begins to hold these lines, unless the daemon refuses."""
        told = intent
        if intent.extra.get(PUSH) is False and self._holdings.is_pushed_to_others(self._name, intent):
            told = replace(intent, extra={name: v for name, v in intent.extra.items() if name != PUSH})
        added = self._holdings.take(self._name, intent)
        result = await self._ask(told)
        if says_no(result):
            self._holdings.drop(self._name, added)
        return result

    async def unsubscribe(self, lines: list[DataLine]) -> Answer | Failure:
        """Gives the lines up; those that nobody else holds are ended at the daemon first."""
        result: Answer | Failure = DONE
        for ended, call in calls(self._holdings.ends(self._name, lines), is_subscribe=False):
            result = await self._ask(call)
            if not says_yes(result):
                return result
            self._holdings.drop(self._name, ended)
        self._holdings.drop(self._name, lines)
        return result

    async def push(self, acc_ids: tuple[int, ...]) -> Answer | Failure:
        """Holds pushes of these accounts. The daemon takes whole lists, so it is told the accounts of all keys."""
        before = self._holdings.accounts(self._name)
        self._holdings.set_accounts(self._name, acc_ids)
        result = await self._ask(AccPush(is_subscribe=True, acc_ids=tuple(sorted(self._holdings.all_accounts()))))
        if says_no(result):
            self._holdings.set_accounts(self._name, before)
        return result

    async def unpush(self, acc_ids: tuple[int, ...]) -> Answer | Failure:
        """Gives up pushes of these accounts; those that nobody else holds are ended at the daemon."""
        ended = frozenset(acc_ids) - self._holdings.all_accounts(but=self._name)
        result = await self._ask(AccPush(is_subscribe=False, acc_ids=tuple(sorted(ended)))) if ended else DONE
        if says_yes(result):
            self._holdings.set_accounts(self._name, self._holdings.accounts(self._name) - frozenset(acc_ids))
        return result

    async def leave(self) -> list[Answer | Failure]:
        """Gives up everything that the key holds, as far as the daemon agrees; the daemon's answers."""
        lines, acc_ids = self._holdings.held(self._name), self._holdings.accounts(self._name)
        results = await self._end(lines)
        if acc_ids:
            results.append(await self.unpush(tuple(acc_ids)))
        return results

    async def _end(self, lines: list[DataLine]) -> list[Answer | Failure]:
        """Ends lines call by call; a refusal concerns only its own lines. Stops once the daemon does not answer."""
        results: list[Answer | Failure] = []
        kept: set[DataLine] = set()
        for ended, call in calls(self._holdings.ends(self._name, lines), is_subscribe=False):
            results.append(await self._ask(call))
            if isinstance(results[-1], Failure):
                return results
            if says_yes(results[-1]):
                self._holdings.drop(self._name, ended)
            else:
                kept.update(ended)
        self._holdings.drop(self._name, [line for line in lines if line not in kept])
        return results


async def _ask(desk: Desk, intent: Subscribe | AccPush) -> Answer | Failure:
    """Asks the daemon on the guard's own behalf."""
    outbound = Outbound(
        method="POST",
        path=_PATHS[type(intent), intent.is_subscribe],
        body=encode(intent, env=None, acc_id=None, serial=0, remark=None),
        timeout_s=desk.config.settings.daemon.read_timeout_s,
    )
    return await desk.daemon.send(outbound)


def says_yes(result: Answer | Failure) -> bool:
    """The daemon has done it."""
    return isinstance(result, Answer) and result.status in _OK and _ret_type(result.body) == 0


def says_no(result: Answer | Failure) -> bool:
    """The daemon has certainly not done it. An answer that is neither a yes nor a no leaves that open."""
    if isinstance(result, Failure):
        return not result.is_sent
    return is_refusal(result.status, _ret_type(result.body))


def _ret_type(body: bytes) -> int | None:
    try:
        return msgspec.json.decode(body, type=_Envelope).ret_type
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


# ---------------------------------------------------------------- by the guard itself


def gone(desk: Desk) -> list[str]:
    """Keys that hold subscriptions and are gone: no longer in force, or away for too long."""
    if not desk.subscriptions:
        return []
    keyring, now = desk.config.keyring, desk.clock.wall()
    return desk.subscriptions.gone(lambda name: keyring.lets_in(name, now), now_us=desk.clock.t_us())


async def take_back(desk: Desk) -> None:
    """Ends the subscriptions of keys that are gone. If the daemon does not answer, the next call tries again.

    What the daemon refuses to end stays held, and is tried again a minute later.
    """
    async with desk.subscribing:
        for name in gone(desk):
            results = await _KeySubscriptions(desk, name, partial(_ask, desk)).leave()
            if any(isinstance(result, Failure) for result in results):
                return
            if all(map(says_yes, results)):
                desk.subscriptions.forget(name)
                _log.info("subscriptions_ended", key=name)
            elif desk.subscriptions.refused(name, now_us=desk.clock.t_us()) >= ENDING_ATTEMPTS_MAX:
                desk.subscriptions.forget(name)
                _log.error("subscriptions_not_ended", key=name, hint="the daemon refuses; they end when it restarts")


async def restore(desk: Desk) -> None:
    """Subscribes again at a daemon that was away; while it refuses or does not answer, again with growing pauses."""
    lines, is_pushed = desk.subscriptions.all_lines(), False
    wait_s = RESTORE_FIRST_S
    for _ in range(RESTORE_ATTEMPTS_MAX):
        async with desk.subscribing:
            acc_ids = tuple(sorted(desk.subscriptions.all_accounts()))
            is_pushed = (
                is_pushed or not acc_ids or says_yes(await _ask(desk, AccPush(is_subscribe=True, acc_ids=acc_ids)))
            )
            lines -= await _restored(desk, lines)
        if not lines and is_pushed:
            _log.info("subscriptions_restored")
            return
        await asyncio.sleep(wait_s)
        wait_s = min(wait_s * 2, RESTORE_MAX_S)
    _log.error("subscriptions_not_restored", lines=len(lines), hint="the daemon refuses them; subscribe again")


async def _restored(desk: Desk, lines: set[DataLine]) -> set[DataLine]:
    """The lines that need no further attempt: the daemon took them, or nobody holds them any more."""
    failed: set[DataLine] = set()
    for chosen, call in desk.subscriptions.restoring(sorted(lines)):
        if not says_yes(await _ask(desk, call)):
            failed.update(chosen)
    return lines - failed
