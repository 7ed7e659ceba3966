"""`guard explain` over a record that a guard has written, and `guard me` against one that runs."""

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from guard.cli.main import app
from tests.support.commands import Done, called
from tests.support.guards import key, lay_out, record, running, said
from tests.support.journal import once_durable
from tests.support.processes import free_port
from tests.support.stage import decision_of, stage

DESK = (
    '[policy]\nid = "desk"\n[orders]\nmax_value = "30000 HKD"\n'
    '[budgets]\ndaily_value = "50000 HKD"\n[rates]\nnew_orders = "3/60s"\n'
)
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(name="run")
def _run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("COLUMNS", "240")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GUARD_KEY", raising=False)

    def run(*words: str) -> Done:
        return called(app, *words)

    return run


async def test_a_refusal_is_explained_rule_by_rule(tmp_path: Path, run: Run) -> None:
    """Every rule that looked, the numbers, the policy's own line, and the quantity that would have passed."""
    async with stage(tmp_path, policies=DESK) as scene:
        await scene.place(qty=100, price=200)
        refused = decision_of(await scene.place(qty=200, price=200))
        await scene.written()
    code, out, _ = run("explain", refused, "--state", str(tmp_path / "state"))

    assert code == 0
    assert "refused (max_order_value)" in out
    assert "order value 40000 HKD is above 30000 HKD" in out
    assert "the largest quantity that would have passed: 100" in out
    assert re.search(r'desk.toml:4 +max_value = "30000 HKD"', out)
    assert "20000 used + 40000 asked of 50000 HKD" in out
    assert "1 used + 1 asked of 3 requests in 60 s" in out
    told = json.loads(run("explain", refused, "--state", str(tmp_path / "state"), "--json")[1])
    rules = {look["rule"]: look for look in told["rules"]}
    assert rules["orders.max_value"]["said"] == "refuses"
    assert rules["budgets.daily_value"]["said"] == "refuses"
    assert (rules["budgets.daily_value"]["used"], rules["budgets.daily_value"]["limit"]) == ("20000", "50000")
    assert rules["rates.new_orders"]["said"] == "passes"
    assert (told["retryable"], told["largest_qty"]) == (False, "100")


async def test_a_limit_over_several_lines_is_shown_whole(tmp_path: Path, run: Run) -> None:
    """A list with an amount a line, as the shipped paper-trading.toml has it: the amounts, not the bracket alone."""
    policy = '[orders]\nmax_value = [   # one order\n  "30000 HKD",  # Hong Kong\n  "4000 USD",\n]\n'
    async with stage(tmp_path, policies=policy) as scene:
        refused = decision_of(await scene.place(qty=200, price=200))
        await scene.written()
    code, out, _ = run("explain", refused, "--state", str(tmp_path / "state"))

    assert code == 0
    assert re.search(r'desk.toml:2 +max_value = \[ "30000 HKD", "4000 USD", \]', out)


async def test_of_a_long_list_people_are_shown_the_beginning(tmp_path: Path, run: Run) -> None:
    """Hundreds of symbols, a line each, would push what the rules say off the screen; programs get all of them."""
    symbols = "".join(f'  "HK.{number:05d}",\n' for number in range(600, 900))
    async with stage(tmp_path, policies=f"[instruments]\nsymbols = [\n{symbols}]\n{DESK}") as scene:
        decision = decision_of(await scene.place())
        await scene.written()
    told = [run("explain", decision, "--state", str(tmp_path / "state"), *more)[1] for more in ((), ("--json",))]

    assert 'symbols = [ "HK.00600", ' in told[0]
    assert told[0].count("HK.00") < 20
    assert '"HK.00899"' in next(look["text"] for look in json.loads(told[1])["rules"] if "symbols" in look["text"])


async def test_a_read_is_explained_by_its_rates(tmp_path: Path, run: Run) -> None:
    """A refused read names the rate, what stood on it, and the line; a passed one likewise."""
    body = {"market": "HK", "acc_id": 123456, "env": "simulate"}
    async with stage(tmp_path, policies=DESK + 'reads = "1/60s"\n') as scene:
        replies = [await scene.ask("/api/orders", body) for _ in range(2)]
        await scene.written()
    passed, refused = (run("explain", decision_of(reply), "--state", str(tmp_path / "state"))[1] for reply in replies)

    assert "0 used + 1 asked of 1 requests in 60 s" in passed
    assert "1 used + 1 asked of 1 requests in 60 s" in refused
    assert re.search(r'desk.toml:9 +reads = "1/60s"', refused)


async def test_what_came_of_an_order_is_told(tmp_path: Path, run: Run) -> None:
    """An order that passed, and its outcome; a cancel meets no rule."""
    async with stage(tmp_path, policies=DESK) as scene:
        allowed = decision_of(await scene.place(qty=100, price=200))
        await scene.written()
    _, out, _ = run("explain", allowed, "--state", str(tmp_path / "state"))

    assert "allowed" in out
    assert "outcome: verdict accepted" in out
    assert "up to 150 of this order" in out


async def test_an_order_that_halt_met_at_the_last_look_is_told_as_one_that_was_not_sent(
    tmp_path: Path, run: Run
) -> None:
    """Its decision is on record as allowed: explanation and report say that nothing left, and why."""
    async with stage(tmp_path, policies=DESK) as scene:
        once_durable(scene.guard.journal, (scene.guard.directory / "HALT").touch)
        stopped = decision_of(await scene.place(qty=100, price=200))
    _, out, _ = run("explain", stopped, "--state", str(tmp_path / "state"))
    assert "allowed, and not sent: the outcome below says why" in out
    assert "remove the file HALT" in out.replace("\n", " ")

    page = tmp_path / "report.html"
    assert run("audit", "report", "--state", str(tmp_path / "state"), "--out", str(page))[0] == 0
    _, _, unsent = page.read_text().partition("Allowed and not sent")
    assert "remove the file HALT" in unsent


async def test_where_the_day_s_policies_are_not_kept_the_record_speaks_alone(tmp_path: Path, run: Run) -> None:
    """Nothing is guessed: without the policies of that day no rule is asked again."""
    async with stage(tmp_path, policies=DESK) as scene:
        refused = decision_of(await scene.place(qty=200, price=200))
        await scene.written()
    for kept in (tmp_path / "state" / "config").iterdir():
        kept.unlink()
    _, out, _ = run("explain", refused, "--state", str(tmp_path / "state"))

    assert "order value 40000 HKD is above 30000 HKD" in out
    assert "what decided on that day is not kept here as it was" in out


async def test_a_decision_that_is_not_on_record(tmp_path: Path, run: Run) -> None:
    """Exit 1; what is no id at all is wrong usage."""
    async with stage(tmp_path, policies=DESK) as scene:
        await scene.place()
        await scene.written()
    assert run("explain", "0" * 26, "--state", str(tmp_path / "state"))[0] == 1
    assert run("explain", "short", "--state", str(tmp_path / "state"))[0] != 0


async def test_a_caller_reads_its_decision_with_what_would_help(tmp_path: Path) -> None:
    """GET /guard/v1/decisions/{id}: whether and when to try again, and how much; also after a restart."""
    async with stage(tmp_path, policies=DESK) as scene:
        refused = decision_of(await scene.place(qty=200, price=200))
        for _ in range(3):
            late = decision_of(await scene.place(qty=1, price=200))
        late = decision_of(await scene.place(qty=1, price=200))
        await scene.written()
        big = said(await scene.ask(f"/guard/v1/decisions/{refused}"))
        soon = said(await scene.ask(f"/guard/v1/decisions/{late}"))
        me = said(await scene.ask("/guard/v1/me"))

        assert (big["retryable"], big["largest_qty"], big["retry_after_s"]) == (False, "100", None)
        record = big["record"]
        assert record["order"]["c2s"]["qty"] == 200
        assert record["valuation"]["arithmetic"] == "200 x 200 HKD = 40000 HKD"
        assert record["policy_sha256"] == scene.guard.desk.config.policy_sha256
        assert not {"world", "shadow", "note", "peer"} & record.keys()
        day = next(claim for claim in record["claims"] if claim["counter"].startswith("daily_value/"))
        assert (day["amount"], day["used"], day["cap"]) == (400_000_000, 0, 500_000_000)
        assert (soon["code"], soon["retryable"]) == ("rate", True)
        assert 0 < soon["retry_after_s"] <= 60
        rate = next(row for row in me["limits"] if row["rule"] == "rates.new_orders")
        assert rate["resets_at"] is not None


async def test_me_shows_what_is_left(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scopes and every counted limit; without a key, or with a wrong one, it says so."""
    async with running(lay_out(tmp_path, record("bot"), policies={"desk.toml": DESK})) as guard:
        place = f"127.0.0.1:{guard.ports[0]}"
        assert (await asyncio.to_thread(run, "me", "--data", place))[0] == 1
        monkeypatch.setenv("GUARD_KEY", key("bot"))
        code, out, _ = await asyncio.to_thread(run, "me", "--data", place)
        assert code == 0
        assert "budgets.daily_value" in out
        assert json.loads((await asyncio.to_thread(run, "me", "--data", place, "--json"))[1])["id"] == "bot"
        monkeypatch.setenv("GUARD_KEY", "wrong")
        assert (await asyncio.to_thread(run, "me", "--data", place))[0] == 1


async def test_me_finds_the_callers_door_by_the_operators(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--ops`, as other commands take it: the guard behind it says where it takes callers."""
    monkeypatch.setenv("GUARD_KEY", key("bot"))
    data, ops = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    listen = f'[listen]\ndata = "{data}"\nops = "{ops}"\n'
    config = lay_out(tmp_path, record("bot"), policies={"desk.toml": DESK}, toml=listen)
    async with running(config):
        code, out, _ = await asyncio.to_thread(run, "me", "--ops", ops, "--json")
        assert (code, json.loads(out)["id"]) == (0, "bot")
    assert (await asyncio.to_thread(run, "me", "--ops", ops))[0] == 1


async def test_the_other_door_is_told_for_what_it_is(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operators' address given for the callers', and the other way round, and TLS where there is none."""
    monkeypatch.setenv("GUARD_KEY", key("bot"))
    async with running(lay_out(tmp_path, record("bot"), policies={"desk.toml": DESK})) as guard:
        data, ops = (f"127.0.0.1:{port}" for port in guard.ports)
        wrong = [
            (("me", "--data", ops), f"{ops} has no /guard/v1/me; --data is the address of listen.data"),
            (
                ("keys", "reload", "--ops", data),
                f"{data} has no /admin/keys/reload; --ops is the address of listen.ops",
            ),
            (("keys", "reload", "--ops", f"https://{ops}"), f"https://{ops}: the guard could not be asked: no TLS is"),
        ]
        for words, told in wrong:
            code, _, err = await asyncio.to_thread(run, *words)
            assert (code, told in err) == (1, True), err


@pytest.mark.parametrize("door", ["--ops", "--data"])
@pytest.mark.parametrize("other", [b"<html>", b"{}", b'{"status": "ok"}', b'{"listen": "\xff"}'])
async def test_me_says_so_where_something_else_answers(
    run: Run, monkeypatch: pytest.MonkeyPatch, door: str, other: bytes
) -> None:
    """A proxy or another service at that port: a sentence, not a trace."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(other), other))
        await writer.drain()
        writer.close()

    monkeypatch.setenv("GUARD_KEY", key("bot"))
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        place = "{}:{}".format(*server.sockets[0].getsockname())
        code, _, err = await asyncio.to_thread(run, "me", door, place)
    assert (code, "no answer of a guard" in err) == (1, True)
