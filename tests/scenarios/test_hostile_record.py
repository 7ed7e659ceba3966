"""Secrets in places where nobody looks for them, and whether they reach the record or an answer."""

from pathlib import Path

import pytest

from tests.support.guards import key
from tests.support.stage import stage

MD5 = "8fe4c11451281c094a6578e6ddbf5eed"
UNLOCK = "/api/unlock-trade"


@pytest.mark.parametrize(
    "body",
    [
        f'{{"unlock":true,"{MD5}":1}}',
        f'{{"unlock":true,"{MD5.upper()}":1}}',
        f'{{"c2s":{{"unlock":true}},"{MD5}":1}}',
        f'{{"unlock":true,"acc_ids":{{"{MD5}":1}}}}',
        f'{{"unlock":true,"{MD5}":1,"{MD5}":1}}',
        f'{{"unlock":true,"pwd_md5":"{MD5}","security_firm":"{MD5}"}}',
        f'{{"unlock":"{MD5}","pwd_md5":"{MD5}x","sec_otp":"{MD5}{MD5}"}}',
        f'{{"unlock":true,"pwd_md5":"{MD5}","acc_ids":["{MD5}"]}}',
        f'{{"unlock":true,"pwd_md5":"{MD5}"',
    ],
)
async def test_a_passwords_digest_is_nowhere_wherever_it_stands(tmp_path: Path, body: str) -> None:
    """As a value of another field, as a name, twice, in half a body: neither answer nor record repeats it."""
    async with stage(tmp_path) as s:
        reply = await s.ask(UNLOCK, body.encode())
        written = str(await s.records("decision"))

        assert reply.status == 400
        assert MD5 not in (reply.body.decode() + written).lower()


async def test_a_key_in_a_path_is_not_recorded(tmp_path: Path) -> None:
    """Somebody will put it there; the record says that a path was asked for, and what of it may be told."""
    async with stage(tmp_path) as s:
        await s.ask(f"/api/quote/{key('bot')}", who=None)

        (found,) = await s.records("decision")
        assert found["endpoint"] == "/api/quote/gk_..."
