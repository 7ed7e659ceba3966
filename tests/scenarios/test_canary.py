"""Canaries: secrets planted wherever a caller can put one, then looked for in all that the guard leaves behind."""

import asyncio
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from guard.cli.main import app
from guard.lifecycle import Guard
from guard.simulator.changes import PASSWORD_MD5
from guard.simulator.faults import HttpError, Reset
from tests.support import guards, tokens
from tests.support.clock import ManualClock
from tests.support.commands import called
from tests.support.keys import NOW
from tests.support.stage import Stage, stage

# Secrets of the kinds that there are: a key of ours, one of the daemon's, a token, a password's digest.
GUESSED: Final = f"gk_{hashlib.sha256(b'guessed').hexdigest()}"
FOREIGN: Final = f"fc_{hashlib.sha256(b'foreign').hexdigest()}"
DIGEST: Final = hashlib.md5(b"hunter2", usedforsecurity=False).hexdigest()
BAD_TOKEN: Final = tokens.token(tokens.claims(jti="canary"), algorithm="EdDSA", kid="x") + "AAAA"
PLANTED: Final = (GUESSED, FOREIGN, DIGEST, BAD_TOKEN)
JWT: Final = """
[[jwt]]
issuer = "https://issuer.example"
audience = "guard"
jwks_file = "jwks.json"
algorithms = ["EdDSA"]
"""
TOML: Final = f'[trading]\nenabled = true\n[journal]\nreads = "all"\n{JWT}'
HEADERS: Final = (
    "Authorization", "Cookie", "Proxy-Authorization", "X-Api-Key", "User-Agent", "X-Request-Id", "Guard-Intent",
    "Idempotency-Key", "Origin", "Referer", "Traceparent", "Connection", "Content-Type", "Content-Encoding", "Expect",
    "Accept", "If-Match", "X-Forwarded-For", "Sec-WebSocket-Protocol",
)  # fmt: skip
UNLOCK: Final = {"unlock": True, "pwd_md5": DIGEST, "sec_otp": GUESSED}
BODIES: Final[dict[str, dict[str, Any]]] = {
    "/api/order": guards.order(),
    "/api/modify-order": {"market": "HK", "acc_id": 123456, "env": "simulate"}
    | {"order_id": 1, "op": "NORMAL", "qty": 1, "price": 1},
    "/api/cancel-all-order": {"market": "HK", "acc_id": 123456, "env": "simulate"},
    "/api/unlock-trade": {"unlock": True, "pwd_md5": "0" * 32},
    "/api/quote": {"symbols": ["HK.00700"]},
    "/api/funds": {"market": "HK", "acc_id": 123456, "env": "simulate"},
    "/api/subscribe": {"symbols": ["HK.00700"], "sub_types": [1]},
    "/guard/v1/check": {"path": "/api/order", "body": guards.order()},
}  # fmt: skip


def _planted_bodies(secret: str) -> Iterator[tuple[str, bytes]]:
    """Every endpoint's body with the secret in the place of each value, as a name, and as half a body."""
    for path, body in BODIES.items():
        for name in body:
            yield path, json.dumps(body | {name: secret}).encode()
            yield path, json.dumps(body | {name: {secret: [secret]}}).encode()
        yield path, json.dumps(body | {secret: 1}).encode()
        yield path, json.dumps(secret).encode()
        yield path, json.dumps(body).encode()[:-1] + f',"{secret}'.encode()


DAEMONS: Final = '{"error":"invalid symbol'


class _Witness:
    """Collects every answer of a guard on its own sockets."""

    def __init__(self, guard: Guard, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._data, self._ops = (f"http://127.0.0.1:{port}" for port in guard.ports)
        self.heard: list[str] = []

    async def ask(
        self, path: str, headers: Mapping[str, str] | None = None, *, ops: bool = False, body: bytes | None = None
    ) -> None:
        """One request, its answer kept whole."""
        url = (self._ops if ops else self._data) + path
        sent = {"Content-Type": "application/json"} | dict(headers or {})
        try:
            answer = await self._session.request("GET" if body is None else "POST", url, data=body, headers=sent)
            text = await answer.text()
            if ops or '"guard"' in text or (answer.status >= 400 and not text.startswith(DAEMONS)):
                self.heard.append(f"{answer.status} {answer.headers} {text}")
            else:  # the daemon's own words, passed on to the one who asked
                self.heard.append(f"{answer.status} {answer.headers}")
        except aiohttp.ClientError as error:
            self.heard.append(type(error).__name__)


async def _plant(witness: _Witness, scene: Stage, own: str, lent: str) -> None:
    """Every header, body field, path, query and error path."""
    for secret in (*PLANTED, own):
        for name in HEADERS:
            headers = {"Authorization": f"Bearer {own}"} | {
                name: f"Bearer {secret}" if name == "Authorization" else secret
            }
            await witness.ask("/api/order", headers, body=json.dumps(guards.order()).encode())
        await witness.ask(f"/api/quote/{secret}", headers={"Authorization": f"Bearer {own}"})
        await witness.ask(f"/api/quote?token={secret}", headers={"Authorization": f"Bearer {own}"})
        await witness.ask(f"/ws?token={secret}")
        await witness.ask(f"/guard/v1/decisions/{secret}", headers={"Authorization": f"Bearer {own}"})
        await witness.ask(
            "/admin/state", {"Authorization": f"Bearer {secret}"}, ops=True, body=json.dumps({"state": secret}).encode()
        )
        await witness.ask(f"/admin/{secret}", ops=True)
        for path, body in _planted_bodies(secret):
            await witness.ask(path, body=body, headers={"Authorization": f"Bearer {own}"})
            scene.clock.advance(s=2)
    for wanted in (UNLOCK, {"unlock": True, "pwd_md5": PASSWORD_MD5}):
        await witness.ask(
            "/api/unlock-trade", body=json.dumps(wanted).encode(), headers={"Authorization": f"Bearer {lent}"}
        )
    for fault in (HttpError(500), Reset(acts=True), Reset(acts=False)):
        scene.daemon.faults.add(fault, path="/api/unlock-trade")
        await witness.ask(
            "/api/unlock-trade", body=json.dumps(UNLOCK).encode(), headers={"Authorization": f"Bearer {own}"}
        )
    for path in ("/metrics", "/status", "/livez", "/readyz"):
        await witness.ask(path, ops=True)


def _left_behind(state: Path, folder: Path) -> str:
    """Everything on disk, and what every command tells of it."""
    asked = (["search", "--limit", "0"], ["search", "--limit", "0", "--json"], ["tail", "-n", "9999"], ["verify"])
    told = [called(app, "audit", *words, "--state", state).output for words in asked]
    for name in ("all.csv", "all.jsonl"):
        called(app, "audit", "export", folder / name, "--state", state)
    called(app, "audit", "report", "--state", state, "--out", folder / "report.html")
    files = [path for path in (*state.rglob("*"), *folder.iterdir()) if path.is_file()]
    told += [path.read_text("utf-8", "replace") for path in files if path.name not in {"ballast", "journal.key"}]
    return "\n".join(told)


@pytest.mark.filterwarnings("ignore:.*algorithm:UserWarning")
async def test_no_secret_is_left_behind_wherever_it_was_put(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Keys, tokens and digests in each place; none in journal, logs, metrics, answers, status, exports or report."""
    (tmp_path / "jwks.json").write_bytes(tokens.jwks(tokens.jwk("OKP")))
    folder = tmp_path / "out"
    folder.mkdir()
    own = guards.key("bot")
    async with stage(tmp_path, toml=TOML, clock=ManualClock(NOW)) as scene, aiohttp.ClientSession() as session:
        witness = _Witness(scene.guard, session)
        lent = tokens.token()
        await _plant(witness, scene, own, lent)
        scene.clock.advance(s=61)
        scene.guard.recorder.floods.sum_up()
    left = await asyncio.to_thread(_left_behind, tmp_path / "state", folder)
    captured = capfd.readouterr()
    everything = {"answers": "\n".join(witness.heard), "logs": captured.out + captured.err, "left": left}

    assert len(witness.heard) > 400
    assert '"decision"' in left
    leaks = []
    for secret in (*PLANTED, own, lent, PASSWORD_MD5):
        for body in (secret, secret.removeprefix("gk_").removeprefix("fc_"), *secret.split(".")[1:]):
            for where, text in everything.items():
                low, at = text.lower(), -1
                while (at := low.find(body.lower(), at + 1)) >= 0:
                    leaks.append(f"{where}: {text[max(at - 110, 0) : at + 40]}")
    assert sorted(set(leaks)) == []
