"""Which key holds which subscriptions at the daemon: quote lines and account pushes. Pure; `now_us` is an argument.

All callers share one connection to the daemon, which has one set of subscriptions (W18). So the daemon is given the
union, and a line ends there when its last holder leaves: by unsubscribing, by losing its key, or by staying away. A key
stays away once its last socket closed `GONE_AFTER_US` ago and it has asked for nothing since. A key that never had a
socket keeps its subscriptions until it ends them: a quiet program looks the same as one that is gone.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, Final

from guard.terms import Subscribe

LINES_MAX: Final = 4000  # of one key; the broker's largest quota is 2,000 for the whole login
GONE_AFTER_US: Final = 600_000_000
REFUSED_PAUSE_US: Final = 60_000_000  # the broker ends no subscription that is younger than this
SECURITIES_MAX: Final = 200  # in one call that restores
PUSH: Final = "is_reg_or_un_reg_push"

DataLine = tuple[int, str, int]
"""QotMarket, code and sub type: what the broker's quota counts."""
_Flags = tuple[tuple[str, Any], ...]


def lines_of(intent: Subscribe) -> list[DataLine]:
    """Every line that a subscription or its end names."""
    return [(market, code, kind) for market, code in intent.securities for kind in intent.sub_types]


class Subscriptions:
    """The lines and accounts of every key, by its name. True while anybody holds anything.

    Attributes:
        away_us: for each holder whose last socket has closed, when it was last heard of.
    """

    def __init__(self) -> None:
        self._lines: dict[DataLine, dict[str, _Flags]] = {}
        self._counts: dict[str, int] = {}
        self._accounts: dict[str, frozenset[int]] = {}
        self._here: set[str] = set()
        self._refused: dict[str, tuple[int, int]] = {}  # of a key that is gone: how often, and until when it rests
        self.away_us: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._lines or self._accounts)

    # ------------------------------------------------------------ quote lines

    def room(self, name: str) -> int:
        """How many more lines the key may hold."""
        return LINES_MAX - self._counts.get(name, 0)

    def take(self, name: str, intent: Subscribe) -> list[DataLine]:
        """The key holds these lines from now on; returns those that it did not hold before."""
        flags = _flags(intent.extra)
        added = []
        for line in lines_of(intent):
            holders = self._lines.setdefault(line, {})
            if name not in holders:
                added.append(line)
                self._counts[name] = self._counts.get(name, 0) + 1
            holders[name] = flags
        return added

    def drop(self, name: str, lines: Iterable[DataLine]) -> None:
        """The key no longer holds these lines."""
        for line in lines:
            holders = self._lines.get(line, {})
            if holders.pop(name, None) is None:
                continue
            self._counts[name] -= 1
            if not self._counts[name]:
                del self._counts[name]
            if not holders:
                del self._lines[line]

    def held(self, name: str) -> list[DataLine]:
        """The key's own lines."""
        return [line for line, holders in self._lines.items() if name in holders] if name in self._counts else []

    def ends(self, name: str, lines: Iterable[DataLine]) -> list[DataLine]:
        """Those of the lines that no other key holds, which the daemon may be told to end."""
        return [line for line in lines if not self._lines.get(line, {}).keys() - {name}]

    def is_pushed_to_others(self, name: str, intent: Subscribe) -> bool:
        """Another key holds one of the lines and wants pushes of it."""
        return any(
            other != name and dict(flags).get(PUSH) is not False
            for line in lines_of(intent)
            for other, flags in self._lines.get(line, {}).items()
        )

    # ------------------------------------------------------------ account pushes

    def accounts(self, name: str) -> frozenset[int]:
        """The accounts whose pushes the key holds."""
        return self._accounts.get(name, frozenset())

    def set_accounts(self, name: str, acc_ids: Collection[int]) -> None:
        """Replaces the accounts that the key holds; a list is never added to the one before."""
        if acc_ids:
            self._accounts[name] = frozenset(acc_ids)
        else:
            self._accounts.pop(name, None)

    def all_accounts(self, *, but: str | None = None) -> frozenset[int]:
        """What all keys together hold, or all but one."""
        return frozenset[int]().union(*(ids for name, ids in self._accounts.items() if name != but))

    # ------------------------------------------------------------ who is still there

    def arrived(self, name: str) -> None:
        """A socket of the key has opened."""
        self._here.add(name)
        self.away_us.pop(name, None)
        self._refused.pop(name, None)

    def left(self, name: str, *, now_us: int) -> None:
        """The key's last socket has closed, and none is being opened."""
        if name in self._here and (name in self._counts or name in self._accounts):
            self.away_us[name] = now_us
        self._here.discard(name)

    def seen(self, name: str, *, now_us: int) -> None:
        """The key has asked for something, so it is not gone."""
        if name in self.away_us:
            self.away_us[name] = now_us
        self._refused.pop(name, None)

    def gone(self, is_live: Callable[[str], bool], *, now_us: int) -> list[str]:
        """Keys that hold something and are no longer in force, or have stayed away too long."""
        holders = self._counts.keys() | self._accounts.keys()
        long_ago_us = now_us - GONE_AFTER_US
        found = (n for n in holders if not is_live(n) or self.away_us.get(n, now_us) <= long_ago_us)
        return sorted(n for n in found if self._refused.get(n, (0, now_us))[1] <= now_us)

    def refused(self, name: str, *, now_us: int) -> int:
        """The daemon would not end the subscriptions of a key that is gone: it is left alone for a minute.

        Returns how often that has happened.
        """
        times = self._refused.get(name, (0, 0))[0] + 1
        self._refused[name] = times, now_us + REFUSED_PAUSE_US
        return times

    def forget(self, name: str) -> None:
        """The key holds nothing any more."""
        self.drop(name, self.held(name))
        self._accounts.pop(name, None)
        self._refused.pop(name, None)
        self.away_us.pop(name, None)

    # ------------------------------------------------------------ what the daemon is told

    def restoring(self, wanted: Collection[DataLine]) -> Iterator[tuple[list[DataLine], Subscribe]]:
        """The calls that subscribe again to those of the lines that are still held, with their holders' own flags."""
        groups: dict[_Flags, list[DataLine]] = {}
        for line in wanted:
            for flags in set(self._lines.get(line, {}).values()):
                groups.setdefault(flags, []).append(line)
        for flags, lines in sorted(groups.items(), key=_silent_first):
            yield from calls(lines, is_subscribe=True, extra={name: _thawed(value) for name, value in flags})

    def all_lines(self) -> set[DataLine]:
        """Every line that anybody holds."""
        return set(self._lines)


def calls(
    lines: Collection[DataLine], *, is_subscribe: bool, extra: Mapping[str, object] | None = None
) -> Iterator[tuple[list[DataLine], Subscribe]]:
    """Calls that name exactly these lines: securities with the same sub types share one, in their order."""
    kinds: dict[tuple[int, str], list[int]] = {}
    for market, code, kind in lines:
        kinds.setdefault((market, code), []).append(kind)
    alike: dict[tuple[int, ...], list[tuple[int, str]]] = {}
    for security, found in kinds.items():
        alike.setdefault(tuple(found), []).append(security)
    for sub_types, securities in alike.items():
        for start in range(0, len(securities), SECURITIES_MAX):
            part = tuple(securities[start : start + SECURITIES_MAX])
            call = Subscribe(is_subscribe, part, sub_types, extra or {})
            yield lines_of(call), call


def _flags(extra: Mapping[str, object]) -> _Flags:
    return tuple(sorted((name, tuple(v) if isinstance(v, list) else v) for name, v in extra.items()))


def _thawed(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _silent_first(group: tuple[_Flags, list[DataLine]]) -> tuple[bool, _Flags]:
    """Those without pushes first: all share one connection, where the last call on a line decides on pushes."""
    return dict(group[0]).get(PUSH) is not False, group[0]
