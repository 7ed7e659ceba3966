"""Whose account: pairs of environment and id on every endpoint that names one, lists cut, unlocks without secrets."""

import asyncio
import json
import logging
from pathlib import Path
from typing import Any, Final

import pytest

from guard.simulator.faults import Garbage, Hold, HttpError
from guard.terms import Account, Env
from tests.support.guards import lines, operate, order, record, said
from tests.support.stage import (
    ACCOUNTS,
    CANCEL_ALL,
    MODIFY,
    ORDER,
    Stage,
    account,
    change,
    code_of,
    decision_of,
    is_passed,
    stage,
)

ROWS: Final[list[dict[str, Any]]] = json.loads((Path(__file__).parents[1] / "seed/endpoints.json").read_text())
REAL_ONLY: Final = 281756478875559548
SIMULATED_ONLY: Final = 9032
MD5: Final = "e10adc3949ba59abbe56e057f20f883e"
UNLOCK: Final = "/api/unlock-trade"
SUB: Final = "/api/sub-acc-push"
READS: Final = [
    *("/api/funds", "/api/positions", "/api/orders", "/api/order-fills", "/api/history-orders", "/api/margin-ratio"),
    *("/api/history-order-fills", "/api/max-trd-qtys", "/api/order-fee", "/api/flow-summary", "/api/acc-cash-flow"),
    "/api/history-kl-quota",
]


def bodies(path: str, **members: Any) -> Any:
    """A body for this endpoint that names an account."""
    example = next(row["documented_example_body"] for row in ROWS if row["path"] == path) or {}
    header = {"trd_env", "env", "acc_id", "trd_market", "market", "card_num", "header"}
    rest = {name: value for name, value in example.items() if name not in header}
    named = {name: value for name, value in account(**members).items() if value is not None}
    return named | rest


@pytest.mark.parametrize("path", READS)
async def test_b08_b15_reads_are_bound_to_listed_pairs(tmp_path: Path, path: str) -> None:
    """A pair that the daemon does not list is refused, on reads too; a restricted key reads its own accounts only."""
    async with stage(tmp_path, record("bot"), record("some", allowed_acc_ids=[SIMULATED_ONLY])) as scene:
        await scene.ask(ACCOUNTS)
        for env, acc_id in (("real", SIMULATED_ONLY), ("simulate", REAL_ONLY), ("simulate", 5)):
            assert code_of(await scene.ask(path, bodies(path, env=env, acc_id=acc_id))) == (403, "account")
        for body in (
            bodies(path),
            bodies(path, env="real", acc_id=SIMULATED_ONLY),
            bodies(path, card_num="5678", acc_id=None),
        ):
            assert code_of(await scene.ask(path, body, who="some")) == (403, "account")
        assert code_of(await scene.ask(path, {}, who="some")) == (403, "account")
        assert scene.reached(path) == []
        assert (await scene.ask(path, bodies(path, acc_id=SIMULATED_ONLY), who="some")).status == 200
        assert (await scene.ask(path, bodies(path))).status == 200
        assert len(scene.reached(path)) == 2


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (ORDER, order()),
        (MODIFY, change("7571418")),
        (MODIFY, change("7571418", op="CANCEL")),
        (MODIFY, account(op="CANCEL", for_all=True)),
        (CANCEL_ALL, account()),
        ("/api/reconfirm-order", account(order_id=5, reconfirm_reason=1)),
    ],
)
async def test_b15_trades_are_bound_to_listed_pairs(tmp_path: Path, path: str, body: dict[str, Any]) -> None:
    """Every trade names an account of the daemon's list that its key may use, in that environment."""
    keys = (record("bot"), record("some", allowed_acc_ids=[SIMULATED_ONLY]), record("card", allowed_card_nums=["5678"]))
    async with stage(tmp_path, *keys) as scene:
        await scene.ask(ACCOUNTS)  # a cancel waits a second for a list that nobody has, and then passes without
        tries: list[tuple[str, dict[str, Any]]] = [
            ("bot", {"acc_id": REAL_ONLY}),
            ("bot", {"acc_id": SIMULATED_ONLY, "env": "real"}),
            ("bot", {"acc_id": 7}),
            ("some", {}),
            ("card", {}),
            ("card", {"acc_id": REAL_ONLY, "env": "real"}),
        ]
        for who, members in tries:
            assert code_of(await scene.ask(path, body | members, who=who)) == (403, "account"), (who, members)
        assert scene.reached(path) == []


async def test_a_card_stands_for_its_account(tmp_path: Path) -> None:
    """It becomes the account that is judged and sent to the daemon; a card of nobody names none, for reads as well."""
    async with stage(tmp_path) as scene:
        body = {name: value for name, value in order(price=200, env="real").items() if name != "acc_id"}
        assert is_passed(await scene.ask(ORDER, body | {"card_num": "1001100112345678"}))
        assert scene.reached()[0].json["c2s"]["header"] == {"trd_env": 1, "acc_id": 123456, "trd_market": 1}
        assert code_of(await scene.ask(ORDER, body | {"card_num": "9999"})) == (403, "account")
        assert code_of(await scene.ask(ORDER, body)) == (400, "missing_field")
        assert code_of(await scene.ask("/api/funds", account(acc_id=None, card_num="9999"))) == (403, "account")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (ORDER, order(acc_id=None)),
        (MODIFY, {"market": "HK", "env": "simulate", "order_id": "1", "op": "CANCEL"}),
        (CANCEL_ALL, account(acc_id=None)),
        ("/api/reconfirm-order", account(acc_id=None) | {"order_id": "1", "reconfirm_reason": 1}),
    ],
)
async def test_a_restricted_key_that_names_no_account_is_refused_for_the_account(
    tmp_path: Path, path: str, body: dict[str, Any]
) -> None:
    """On trades as everywhere, and in a dry run; without its restriction, or with more wrong, the body is."""
    async with stage(tmp_path, record("bot"), record("some", allowed_acc_ids=[123456])) as scene:
        assert code_of(await scene.ask(path, body, who="some")) == (403, "account")
        tried = said(await scene.ask("/guard/v1/check", {"path": path, "body": body}, who="some"))
        assert (tried["status"], tried["guard"]["code"]) == (403, "account")
        assert code_of(await scene.ask(path, body)) == (400, "missing_field")
        assert code_of(await scene.ask(path, body | {"market": None}, who="some")) == (400, "missing_field")
        assert scene.reached(path) == []


async def test_b29_account_lists_are_cut(tmp_path: Path) -> None:
    """A restricted key sees its own accounts, everybody else the daemon's own bytes; 64-bit ids stay whole."""
    keys = (record("bot"), record("some", allowed_acc_ids=[REAL_ONLY]), record("card", allowed_card_nums=["5678"]))
    async with stage(tmp_path, *keys) as scene:
        for path in (ACCOUNTS, "/api/list-accounts"):
            whole = await scene.ask(path)
            assert len(said(whole)["s2c"]["acc_list"]) == 4
            some = said(await scene.ask(path, who="some"))["s2c"]["acc_list"]
            assert [(row["trd_env"], row["acc_id"]) for row in some] == [(1, REAL_ONLY)]
            card = said(await scene.ask(path, who="card"))["s2c"]["acc_list"]
            assert [(row["trd_env"], row["acc_id"]) for row in card] == [(1, 123456)]


async def test_an_account_list_that_cannot_be_read_is_not_shown(tmp_path: Path) -> None:
    """What cannot be cut is 502 for a restricted key, with one decision on record; others get what the daemon said."""
    async with stage(tmp_path, record("bot"), record("some", allowed_acc_ids=[REAL_ONLY])) as scene:
        await scene.ask(ACCOUNTS)
        scene.daemon.faults.add(Garbage(b'{"s2c": [1, 2'), path=ACCOUNTS)
        reply = await scene.ask(ACCOUNTS, who="some")
        assert code_of(reply) == (502, "daemon_bad_answer")
        found = [line["outcome"] for line in await scene.records("decision") if line["id"] == decision_of(reply)]
        assert found == ["allow"]


async def test_without_an_account_list_a_restricted_key_reads_what_it_names(tmp_path: Path) -> None:
    """While the list cannot be had a restricted key gets its named accounts, and 503 where only the list could say."""
    keys = (record("bot"), record("some", allowed_acc_ids=[123456]), record("card", allowed_card_nums=["5678"]))
    async with stage(tmp_path, *keys) as scene:
        scene.daemon.faults.always(HttpError(503), path=ACCOUNTS)
        assert (await scene.ask("/api/funds", account())).status == 200
        assert (await scene.ask("/api/funds", account(), who="some")).status == 200
        assert code_of(await scene.ask("/api/funds", account(), who="card")) == (503, "reference_unavailable")
        assert code_of(await scene.ask(ACCOUNTS, who="some")) == (503, "reference_unavailable")
        assert code_of(await scene.ask(SUB, {}, who="some")) == (503, "reference_unavailable")
        assert code_of(await scene.ask(SUB, {})) == (503, "reference_unavailable")
        assert (await scene.ask(SUB, {"acc_id_list": [123456]}, who="some")).status == 200


async def test_push_subscriptions_are_cut(tmp_path: Path) -> None:
    """Without a list every account that the key may see is meant, and no other; a list beyond that is refused."""
    async with stage(tmp_path, record("bot"), record("some", allowed_acc_ids=[SIMULATED_ONLY])) as scene:
        assert is_passed(await scene.ask(SUB, {}, who="some"))
        assert is_passed(await scene.ask(SUB, {}))
        assert code_of(await scene.ask(SUB, {"acc_id_list": [123456]}, who="some")) == (403, "account")
        assert code_of(await scene.ask(SUB, {"acc_id_list": [5]})) == (403, "account")
        sent = [sorted(request.json["c2s"]["acc_id_list"]) for request in scene.reached(SUB)]
        assert sent == [[SIMULATED_ONLY], [SIMULATED_ONLY, 123456, REAL_ONLY]]


# ---------------------------------------------------------------- unlocking


async def test_b19_b29_b30_unlocking_names_what_is_unlocked(tmp_path: Path) -> None:
    """`unlock` is said, a restricted key names its accounts, and simulation alone unlocks nothing."""
    keys = [
        record("bot"),
        record("some", allowed_acc_ids=[REAL_ONLY]),
        record("paper", scopes=["trade:simulate"]),
        record("unlocker", scopes=["trade:unlock"]),
    ]
    async with stage(tmp_path, *keys) as scene:
        unlock: dict[str, Any] = {"unlock": True, "pwd_md5": MD5}
        assert code_of(await scene.ask(UNLOCK, {})) == (400, "missing_field")
        assert code_of(await scene.ask(UNLOCK, {"unlock": True})) == (400, "missing_field")
        assert code_of(await scene.ask(UNLOCK, unlock, who="paper")) == (403, "environment")
        assert code_of(await scene.ask(UNLOCK, unlock, who="some")) == (403, "account")
        assert code_of(await scene.ask(UNLOCK, unlock | {"acc_ids": []}, who="some")) == (400, "bad_value")
        assert code_of(await scene.ask(UNLOCK, unlock | {"acc_ids": [123456]}, who="some")) == (403, "account")
        assert scene.reached(UNLOCK) == []
        assert is_passed(await scene.ask(UNLOCK, unlock | {"acc_ids": [REAL_ONLY]}, who="some"))
        assert is_passed(await scene.ask(UNLOCK, unlock, who="unlocker"))
        assert is_passed(await scene.ask(UNLOCK, {"unlock": False}))
        assert scene.daemon.world.is_unlocked is False


CANARY: Final = "c0ffee00c0ffee00c0ffee00c0ffee00"
OTP: Final = "737373"


@pytest.mark.parametrize(
    "body",
    [
        {"unlock": True, "pwd_md5": CANARY, "sec_otp": OTP},
        {"c2s": {"unlock": True, "pwdMD5": CANARY}},
        {"unlock": True, "pwd_md5": CANARY.upper()},
        {"unlock": True, "password": CANARY},
        {"unlock": CANARY},
        {"unlock": True, "pwd_md5": CANARY, "acc_ids": CANARY},
        {"unlock": True, "pwd_md5": CANARY, "security_firm": CANARY},
    ],
)
async def test_an_unlock_leaves_no_secret_behind(
    tmp_path: Path, body: dict[str, Any], capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Neither record, log, metrics, status nor answer holds the password's digest or code, however it was sent."""
    caplog.set_level(logging.DEBUG)
    async with stage(tmp_path) as scene:
        reply = await scene.ask(UNLOCK, body)
        dry = await scene.ask("/guard/v1/check", {"path": UNLOCK, "body": body})
        told = await scene.ask(f"/guard/v1/decisions/{decision_of(reply)}")
        await scene.written()
        shown = [reply.body.decode(), dry.body.decode(), told.body.decode(), json.dumps(lines(scene.config))]
        shown += [str(await operate(scene.guard, path)) for path in ("/metrics", "/status")]
        shown += [repr(scene.guard.desk.state), repr(scene.guard.desk.recent._known)]
    shown += [*capsys.readouterr(), caplog.text]
    for path in (path for path in (tmp_path / "state").rglob("*") if path.is_file()):
        shown.append(path.read_bytes().decode("utf-8", "replace"))
    for text in shown:
        assert CANARY not in text.lower()
        assert OTP not in text


async def test_bearer_keys_are_nowhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A key's plaintext and hash stay out of record, configuration, logs and answers."""
    mine = record("bot")
    async with stage(tmp_path, mine, record("desk", owner="a person")) as scene:
        reply = await scene.ask("/api/quote", {"symbol": "HK.00700"}, who="nobody")
        await scene.place()
        me = await scene.ask("/guard/v1/me")
        status = await operate(scene.guard, "/status")
    texts = [reply.body.decode(), me.body.decode(), str(status), *capsys.readouterr()]
    texts += [path.read_text() for path in (tmp_path / "state").rglob("*") if path.is_file()]
    for text in texts:
        assert "gk_" not in text
        assert mine["hash"].removeprefix("sha256:") not in text


async def test_the_daemons_administration_is_for_admins(tmp_path: Path) -> None:
    """reload, shutdown and status of the daemon pass to scope admin alone, and are recorded."""
    async with stage(tmp_path, record("bot", scopes=["trade:real", "acc:read", "qot:read"]), record("root")) as scene:
        for path, body in (("/api/admin/status", None), ("/api/admin/reload", {}), ("/api/admin/shutdown", {})):
            assert code_of(await scene.ask(path, body)) == (403, "scope")
            assert (await scene.ask(path, body, who="root")).status == 200
        assert scene.daemon.world.shutdowns == scene.daemon.world.reloads == 1
        recorded = [line["endpoint"] for line in await scene.records("decision") if line["key"] == "root"]
        assert recorded == ["/api/admin/status", "/api/admin/reload", "/api/admin/shutdown"]


async def test_a_read_of_an_account_is_recorded_with_it(tmp_path: Path) -> None:
    """Who read which account is on record."""
    async with stage(tmp_path) as scene:
        reply = await scene.ask("/api/funds", account(env="real"))
        found = await scene.decision(reply)
        assert (found["environment"], found["account"]) == ("real", 123456)


async def test_an_account_that_is_new_is_found(tmp_path: Path) -> None:
    """An order for a pair that the list did not have a moment ago makes the guard ask again."""
    async with stage(tmp_path) as scene:
        await scene.ask(ACCOUNTS)
        assert code_of(await scene.place(acc_id=4711)) == (403, "account")
        add_account(scene, 4711)
        scene.clock.advance(s=1)
        assert is_passed(await scene.place(acc_id=4711))


def add_account(scene: Stage, acc_id: int) -> None:
    """The daemon has one more simulated account."""
    ledger = scene.daemon.world.ledger
    row = type(ledger.rows[0])(Account(Env.SIMULATE, acc_id), "", "", ledger.rows[1].markets)
    ledger.rows = (*ledger.rows, row)


async def test_what_is_used_of_an_account_is_told_to_a_key_for_all_of_them(tmp_path: Path) -> None:
    """In `me` for each account that the key may see and no other; as a figure once, since no key has it for itself."""
    text = '[orders]\nmax_value = "90000 HKD"\n[budgets]\nper = "account"\ndaily_value = "80000 HKD"\n'
    keys = (record("bot"), record("fenced", allowed_acc_ids=[SIMULATED_ONLY]), record("desk", owner="a person"))
    async with stage(tmp_path, *keys, policies=text) as scene:
        assert is_passed(await scene.place())
        told = {who: said(await scene.ask("/guard/v1/me", who=who))["limits"] for who in ("bot", "fenced")}
        exposition = str((await operate(scene.guard, "/metrics"))[1])
    used = {row["subject"]: row["used"] for row in told["bot"] if row["rule"] == "budgets.daily_value"}
    assert used["account=simulate:123456"] == "20000"
    assert set(used) == {
        *("account=simulate:123456", f"account=simulate:{SIMULATED_ONLY}"),
        *("account=real:123456", f"account=real:{REAL_ONLY}"),
    }
    assert all(row["subject"].endswith(f":{SIMULATED_ONLY}") for row in told["fenced"])
    figures = [line for line in exposition.splitlines() if line.startswith("guard_limit_used_ratio{")]
    assert figures == ['guard_limit_used_ratio{key="",limit="budgets.daily_value HKD",policy="desk"} 0.25']


@pytest.mark.usefixtures("lists_when_told")
async def test_a_guard_that_has_just_begun_tells_limits_of_accounts(tmp_path: Path) -> None:
    """The daemon is asked for its list where it never was; one that cannot be asked keeps no answer back."""
    text = '[orders]\nmax_value = "90000 HKD"\n[budgets]\nper = "account"\ndaily_value = "80000 HKD"\n'
    async with stage(tmp_path, policies=text) as scene:
        assert not scene.guard.desk.accounts.known
        assert len(said(await scene.ask("/guard/v1/me"))["limits"]) == 4
    async with stage(tmp_path, policies=text) as scene:
        scene.daemon.faults.always(HttpError(503), path=ACCOUNTS)
        assert said(await scene.ask("/guard/v1/me"))["limits"] == []


@pytest.mark.usefixtures("lists_when_told")
async def test_what_is_used_is_told_as_of_the_moment_of_the_answer(tmp_path: Path) -> None:
    """Policies that came into force while the daemon was asked for its list are those that are told."""
    text = '[budgets]\nper = "account"\ndaily_value = "80000 HKD"\n'
    async with stage(tmp_path, record("bot"), record("desk", owner="a person"), policies=text) as scene:
        go = asyncio.Event()
        scene.daemon.faults.add(Hold(go), path=ACCOUNTS)
        asking = asyncio.ensure_future(scene.ask("/guard/v1/me"))
        await scene.until_reached(ACCOUNTS)
        (tmp_path / "policies" / "desk.toml").write_text(text.replace("80000", "70000"))
        assert (await operate(scene.guard, "/admin/policy/reload", {}))[0] == 200
        go.set()
        assert {row["limit"] for row in said(await asking)["limits"]} == {"70000"}
