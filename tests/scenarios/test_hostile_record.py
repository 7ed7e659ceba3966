"""What must be in no record and no answer, wherever a caller puts it, and what must be in every one."""

from pathlib import Path

import pytest

from guard.simulator.faults import Fault, Reset, Unreachable
from tests.support.guards import key, operate, record, write_keys
from tests.support.stage import account, decision_of, stage

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


async def test_a_ticket_or_a_key_of_any_make_in_a_path_is_not_recorded(tmp_path: Path) -> None:
    """Tickets and keys that another program made are no hex digits."""
    secret = "wst_5O00Rb5PqTr-fkg3KIXb_TMGtDK59cC_av5okNNAeso"
    async with stage(tmp_path) as s:
        await s.ask(f"/api/quote/{secret}", who=None)

        (found,) = await s.records("decision")
        assert found["endpoint"] == "/api/quote/***"


async def test_a_key_in_an_operators_reason_is_neither_recorded_nor_logged(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """State, policies, keys, approval, settlement: people paste command lines; the record and the log are kept."""
    secret = key("bot")
    said = {"reason": f"Authorization: Bearer {secret}"}
    async with stage(tmp_path, record("bot"), record("desk", owner="a person")) as s:
        s.daemon.faults.add(Reset(acts=False), path="/api/order")
        decision = decision_of(await s.place())
        write_keys(s.config.parent / "keys.json", record("bot"), record("desk", owner="a person"), record("new"))
        s.write_policy("[orders]\nmax_qty = 7\n")
        bodies = {
            "/admin/state": said | {"state": "cancel_only"},
            "/admin/policy/reload": said,
            "/admin/keys/reload": said,
            f"/admin/decisions/{decision}/settle": said | {"verdict": "not_sent"},
        }
        for path, body in bodies.items():
            assert (await operate(s.guard, path, body))[0] == 200

        kept = [await s.records(kind) for kind in ("state", "policy", "keys", "reconciled")]
        assert all(records[-1]["reason"] == "Authorization: Bearer ***" for records in kept)
        assert secret not in str(kept)
    out, err = capfd.readouterr()
    assert "trading_state" in out + err
    assert secret not in out + err


@pytest.mark.parametrize("fault", [Reset(acts=False), Unreachable()])
async def test_a_rate_is_told_with_every_answer(tmp_path: Path, fault: Fault) -> None:
    """Also where the daemon gave none: the request was counted all the same."""
    rated = '[orders]\nmax_value = "100000 HKD"\n[rates]\nnew_orders = "9/30s"\nreads = "9/30s"\n'
    async with stage(tmp_path, policies=rated) as s:
        await s.ask("/api/funds", account())
        s.daemon.faults.add(fault, path="/api/order")
        s.daemon.faults.add(fault, path="/api/funds")

        for reply in (await s.place(), await s.ask("/api/funds", account())):
            assert reply.status in {502, 504}
            assert "RateLimit" in dict(reply.headers)
