"""Rules on when: a market's hours in its own zone, and a key's one window.

This version knows weekdays, not holidays and half-days. Windows are [start, end) by the wall clock of their zone, so
they move with daylight saving time. One that crosses midnight belongs to the day on which it begins.
"""

from datetime import timedelta
from typing import ClassVar, Final
from zoneinfo import ZoneInfo

from guard.codes import Code
from guard.markets import ZONE_OF
from guard.policy.instruments import shown
from guard.policy.notation import Window
from guard.policy.rule import Proposal, Rule
from guard.terms import Reason

ALWAYS: Final = "always"
_SATURDAY: Final = 5


class Hours(Rule, frozen=True):
    """Only within the market's windows, Monday to Friday; None: always, at weekends too."""

    name: ClassVar[str] = "hours"
    windows: dict[str, tuple[Window, ...] | None]

    def judge(self, proposal: Proposal) -> Reason | None:
        """Refuses outside the windows, and in a market that has none."""
        market = proposal.order.market
        windows = self.windows.get(market, ())
        if windows is None:
            return None
        zone = ZONE_OF[market]
        local = proposal.wall.astimezone(ZoneInfo(zone))
        minute = local.hour * 60 + local.minute
        for window in windows:
            begun = local if minute >= window.start_min else local - timedelta(days=1)
            if begun.weekday() < _SATURDAY and any(minute in span for span in window.minutes):
                return None
        allowed = shown(tuple(str(window) for window in windows))
        observed = f"{local:%a %H:%M} {zone}"
        message = f"{market} is closed to orders on {observed}; open Mon-Fri: {allowed}"
        return self.reason(Code.HOURS, message, observed=observed, limit=allowed)


class KeyHours(Rule, frozen=True):
    """Only within one window of every day, in the zone of the keys file (`keys.tz`)."""

    name: ClassVar[str] = "hours_window"
    window: Window
    zone: str

    def judge(self, proposal: Proposal) -> Reason | None:
        """Refuses outside the window."""
        local = proposal.wall.astimezone(ZoneInfo(self.zone))
        if any(local.hour * 60 + local.minute in span for span in self.window.minutes):
            return None
        observed, allowed = f"{local:%H:%M} {self.zone}", str(self.window)
        message = f"{observed} is outside of {allowed}"
        return self.reason(Code.HOURS, message, observed=observed, limit=allowed)
