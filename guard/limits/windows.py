"""Exact sliding windows over rate logs: a stamp at `s` counts at `t` while it lies in (t-w, t].

A log is kept for as long as the widest window claimed on it, a rate's for at least a minute, so that a new window up
to that length starts from what has happened. It is pruned only when a stamp is added: a read that pruned would be a
change of state that no record shows.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from guard.limits.state import Log, LogPart

KEPT_MIN_US: Final = 60_000_000  # how long a rate's stamps are kept whatever is claimed
OVER_SHARE: Final = 8  # stamps that no window counts are dropped once they are an eighth of the log


def new_log(*, t_us: int, window_us: int, is_rate: bool) -> Log:
    """A log with its first stamp."""
    if is_rate:
        return Log(array("q", (t_us,)), max(window_us, KEPT_MIN_US))
    return Log([t_us], window_us, is_rate=False)


def log_of(stamps: Iterable[int], widest_us: int, *, is_rate: bool = True) -> Log:
    """A log of these stamps, which ascend."""
    return Log(array("q", stamps) if is_rate else list(stamps), widest_us, is_rate)


def is_over(log: Log | LogPart, *, t_us: int) -> bool:
    """No window counts a stamp of it any more."""
    return not log.stamps or log.stamps[-1] + log.widest_us <= t_us


def is_forgettable(log: Log, *, t_us: int) -> bool:
    """Dropping it would change no count, now or later: it is over, and a new log would be kept for as long."""
    return is_over(log, t_us=t_us) and not (log.is_rate and log.widest_us > KEPT_MIN_US)


def count(log: Log | None, *, t_us: int, window_us: int) -> int:
    """How many stamps lie in (t-w, t], no further back than the log is kept. `t_us` is not before the last stamp."""
    return 0 if log is None else len(log.stamps) - first_in(log, t_us, window_us)


def stamps_in(log: Log | None, *, t_us: int, window_us: int) -> list[int]:
    """The stamps in (t-w, t], ascending."""
    if log is None:
        return []
    return list(log.stamps[first_in(log, t_us, window_us) :])


def first_in(log: Log, t_us: int, window_us: int) -> int:
    """The index of the first stamp in the window, which sees no further back than the log is kept for."""
    if window_us > log.widest_us:
        return first_in(log, t_us, log.widest_us)
    stamps, since_us = log.stamps, t_us - window_us
    return bisect_right(stamps, since_us) if stamps and stamps[0] <= since_us else 0  # mostly all of them still count


def add(log: Log, *, t_us: int, window_us: int) -> None:
    """Adds a stamp at `t_us`, which is not before the last one, and drops old stamps once there are enough of them.

    So adding costs the same however long the log is, and the log is hardly longer than what its widest window counts.
    Old stamps do not count, and are dropped before a wider window could count them again.
    """
    stamps, widest_us = log.stamps, log.widest_us
    if not stamps or stamps[(len(stamps) - 1) // OVER_SHARE] <= t_us - widest_us or window_us > widest_us:
        del stamps[: bisect_right(stamps, t_us - widest_us)]
        # An empty log of `once` is as good as a forgotten one: whether it was forgotten in between must not show.
        if window_us > widest_us or not (stamps or log.is_rate):
            log.widest_us = window_us
    stamps.append(t_us)


def remove(log: Log | None, *, stamp_us: int) -> None:
    """Removes one stamp of exactly that time, if there is one; which of several does not matter."""
    if log is None:
        return
    at = bisect_left(log.stamps, stamp_us)
    if at < len(log.stamps) and log.stamps[at] == stamp_us:
        del log.stamps[at]


def union(first: Sequence[int], second: Sequence[int]) -> list[int]:
    """The multiset union: every stamp as often as the list that has it more often; ascending, as both are.

    Nearly always one list is the end of the other, which is checked first.
    """
    first, second = list(first), list(second)  # a list never equals a row of numbers
    if not second or first[-len(second) :] == second:
        return first
    if not first or second[-len(first) :] == first:
        return second
    return sorted((Counter(first) | Counter(second)).elements())


def merged(known: Log | None, other: Log | LogPart) -> Log:
    """The stamps of both logs, kept for as long as the wider window of the two."""
    if known is None:
        return log_of(other.stamps, other.widest_us, is_rate=other.is_rate)
    widest_us = max(other.widest_us, known.widest_us)
    return log_of(union(other.stamps, known.stamps), widest_us, is_rate=other.is_rate)


def free_at(stamps: list[int], *, cap: int, window_us: int) -> int | None:
    """When one more fits under `cap`, given the ascending stamps of a full window; None when it never does.

    One more fits once only `cap - 1` stamps are left: when the stamp that has `cap - 1` others behind it leaves.
    """
    if cap <= 0:
        return None
    return stamps[len(stamps) - cap] + window_us
