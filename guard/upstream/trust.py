"""What checks the daemon's certificate; read again, without a restart, when the file of authorities changes.

The file is checked on SIGHUP and every half minute. One that cannot be used leaves the previous authorities in force
and is reported, in the log and as *degraded*. Without a file the system's authorities count, as they were at the start.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from guard.errors import SettingsFault
from guard.filemark import FileMarks, every_half_minute
from guard.upstream.origin import parse_origin, tls_context

_log = structlog.get_logger("guard")


class Trust:
    """Of one daemon, at `origin`. Raises SettingsFault for an address or a file that cannot be used at the start.

    `context` is None for http. `wrong`: why what lies there now is not in use. `changed` is called on the loop once
    other authorities count.
    """

    def __init__(self, url: str, *, ca_file: str | None) -> None:
        self.origin = parse_origin(url)
        self._ca_file = ca_file
        self._seen = FileMarks(*() if ca_file is None else (Path(ca_file),))
        self.context = tls_context(self.origin, ca_file=ca_file)
        self.wrong: str | None = None
        self.changed: Callable[[], None] = lambda: None

    def look(self) -> bool:
        """Whether other authorities count from now on. Blocking, for a moment.

        A file that could not be used is read again: a disk may fail once, and then the file has not changed.
        """
        before = self.wrong
        if not self._seen.has_changed() and before is None:
            return False
        try:
            self.context = tls_context(self.origin, ca_file=self._ca_file)
        except SettingsFault as fault:
            self.wrong = fault.errors[0]
            if self.wrong != before:
                _log.error("authorities_refused", why=self.wrong, hint="those of before are in use")
            return False
        self.wrong = None
        _log.info("authorities_loaded", file=self._ca_file)
        return True

    def concerns(self) -> tuple[str, ...]:
        """What the operator should know: the file is not what is in use."""
        return () if self.wrong is None else (f"{self.wrong}; the authorities of before are in use",)

    async def renew(self) -> None:
        """Checks the file once."""
        if await asyncio.to_thread(self.look):
            self.changed()

    async def watch(self) -> None:
        """Checks the file until cancelled."""
        await every_half_minute(self.renew)
