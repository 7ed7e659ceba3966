"""A guard of one's own over files of one's own, before a credulous daemon, for as long as a run takes."""

import asyncio
import hashlib
import secrets
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from guard.admin.change import Who
from guard.clock import SystemClock
from guard.journal import Disk
from guard.lifecycle import Guard
from guard.selftest import drill
from guard.selftest.daemon import KEY, Credulous, serve
from guard.selftest.wire import Told, send
from guard.settings import Settings
from guard.stream import SEEING, Seeing
from guard.terms import Account
from guard.walk.hooks import HOOKS, Hooks

_BY: Final = Who(by="selftest", reason="selftest")
_SLOW_S: Final = 0.5
_DRAIN_S: Final = 1.0
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


class _Disk(Disk):
    """The real disk. While `reached` is there it waits for the daemon, so that what does not wait for it shows."""

    reached: threading.Event | None = None

    def write(self, fd: int, data: memoryview) -> int:
        if self.reached is not None:
            self.reached.wait(_SLOW_S)  # in the journal's own thread
        return super().write(fd, data)


class Home(Struct, frozen=True):
    """Somebody's key, and an account that it may trade on, by its id or by a card."""

    key: str
    account: Account
    card: str = ""


class Stage:
    """One guard, its daemon, and the keys of its callers. `settings` name nothing but the folder and loopback."""

    def __init__(
        self,
        settings: Settings,
        daemon: Credulous,
        keys: Sequence[Mapping[str, Any]],
        *,
        hooks: Hooks,
        seeing: Seeing,
    ) -> None:
        self.settings = settings
        self.daemon = daemon
        self._hooks = hooks
        self._seeing = seeing
        self.disk = _Disk()
        self.directory = settings.path(settings.state.dir)
        self._records = list(keys)
        self._plain = {str(record["id"]): f"gk_{secrets.token_hex(32)}" for record in keys}
        self.guard = self._made()

    def _made(self) -> Guard:
        return Guard(self.settings, hooks=self._hooks, seeing=self._seeing, disk=self.disk)

    def bearer(self, key_id: str) -> str:
        """The plaintext of a key."""
        return self._plain[key_id]

    async def start(self) -> None:
        """Write the keys and open the doors."""
        self._write()
        await self.guard.start()

    async def ask(self, raw: bytes) -> Told:
        """One request to the data door."""
        return await send(self.guard.ports[0], raw)

    async def restart(self) -> None:
        """Stop, and start over the same record."""
        await self.guard.stop("selftest")
        self.guard = self._made()
        await self.guard.start()

    async def revoke(self, key_id: str) -> None:
        """Take a key out of the file, and tell the guard."""
        self._records = [record for record in self._records if record["id"] != key_id]
        self._write()
        await self.guard.changes.reload_keys(_BY)

    async def tighten(self, key_id: str) -> None:
        """A policy more: this key's orders may be worth 1000 HKD or USD."""
        text = f'[applies_to]\nkeys = ["{key_id}"]\n[orders]\nmax_value = ["1000 HKD", "1000 USD"]\n'
        path = (
            self.settings.path(self.settings.policies.dir)
            / f"tight-{hashlib.sha256(key_id.encode()).hexdigest()[:8]}.toml"
        )
        path.write_text(text)
        await self.guard.changes.policies.reload(_BY)

    def halt(self, *, is_there: bool) -> None:
        """The HALT file appears, or goes."""
        path = self.directory / "HALT"
        if is_there:
            path.touch()
        else:
            path.unlink(missing_ok=True)

    def _write(self) -> None:
        write_keys(self.settings.path(self.settings.keys.file), self._records, self._plain)


def write_keys(path: Path, records: Sequence[Mapping[str, Any]], plain: Mapping[str, str]) -> None:
    """A keys.json of mode 0600: these records, each with the hash of its new plaintext."""
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in plain.items()}
    rows = [{**record, "hash": f"sha256:{digests[str(record['id'])]}"} for record in records]
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(_ENCODER.encode({"version": 1, "keys": rows}))


def lone(settings: Settings, folder: Path, *, daemon: str, policies: Path) -> Settings:
    """The same settings, but for everything that somebody else could notice: doors, files and the daemon."""
    change = msgspec.structs.replace
    return change(
        settings,
        listen=change(settings.listen, data="127.0.0.1:0", ops="127.0.0.1:0", tls_cert=None, tls_key=None),
        daemon=change(settings.daemon, url=daemon, key_file=None, public_key_file=None, ca_file=None),
        keys=change(settings.keys, file=str(folder / "keys.json")),
        policies=change(settings.policies, dir=str(policies)),
        state=change(settings.state, dir=str(folder / "state")),
        bounds=change(settings.bounds, pre_stop_s=0.0, drain_timeout_s=_DRAIN_S),
        daemon_key=KEY,
        public_key=None,
    )


@asynccontextmanager
async def staged(  # noqa: PLR0913 - everything that a run may differ in
    settings: Settings,
    folder: Path,
    keys: Sequence[Mapping[str, Any]],
    *,
    policies: Path | None = None,
    hooks: Hooks = HOOKS,
    seeing: Seeing = SEEING,
    homes: Sequence[Home] = (),
) -> AsyncIterator[Stage]:
    """A guard that serves meanwhile. `policies` None: the drill's own. The daemon lists the accounts of `homes` too."""
    if policies is None:
        policies = folder / "policies"
        await asyncio.to_thread(_lay_out, policies)
    daemon = Credulous(folder / "state" / "journal")
    for home in homes:
        daemon.house(home.account, card=home.card)
    url, end = await serve(daemon)
    stage = Stage(lone(settings, folder, daemon=url, policies=policies), daemon, keys, hooks=hooks, seeing=seeing)
    try:
        await stage.start()
        try:
            yield stage
        finally:
            await stage.guard.stop("selftest")
    finally:
        await end()


def _lay_out(policies: Path) -> None:
    policies.mkdir(exist_ok=True)
    for name, text in drill.policies(SystemClock().wall()).items():
        (policies / name).write_text(text)
