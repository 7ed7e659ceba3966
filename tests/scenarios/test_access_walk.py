"""Who may ask what on each of the 68 endpoints: scopes in both profiles, environments, strangers, revoked keys."""

import asyncio
import json
from pathlib import Path
from typing import Any, Final

import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from guard.access.scopes import SCOPES
from guard.admin.change import Who
from guard.journal.configstore import ConfigStore
from guard.server import EdgeBounds, HttpRequest, Reader
from guard.simulator.faults import Hold
from guard.terms import Call, Presented, Reply
from guard.walk.desk import Desk
from guard.walk.floods import DENIED_PER_SECOND, SOURCES_MAX
from guard.walk.hooks import HOOKS
from guard.walk.judging import Assessment
from guard.walk.visit import Situation, Visit
from tests.support import tokens
from tests.support.disk import NO_SPACE
from tests.support.edge_corpus import get
from tests.support.guards import call, codes, key, operate, order, record, said, write_keys
from tests.support.journal import once_durable
from tests.support.stage import (
    ACCOUNTS,
    CANCEL_ALL,
    MODIFY,
    ORDER,
    TRADING,
    Stage,
    account,
    again,
    change,
    code_of,
    decision_of,
    is_passed,
    stage,
)
from tests.support.tokens import ISSUING

ROWS: Final[list[dict[str, Any]]] = json.loads((Path(__file__).parents[1] / "seed/endpoints.json").read_text())
MD5: Final = "e10adc3949ba59abbe56e057f20f883e"
MEANT: Final = {  # two examples of the reference cannot be meant; the order that the third names is one of ours
    "/api/reconfirm-order": account(order_id=987, reconfirm_reason=1),
    "/api/unlock-trade": {"unlock": True, "pwd_md5": MD5, "acc_ids": [123456]},
    MODIFY: account(order_id=987, op="CANCEL"),
}
PUBLIC: Final = {row["path"] for row in ROWS if not row["documented_scope_any_of"]}
TRADES: Final = {"order_new", "order_change", "order_cancel"}


def body_of(row: dict[str, Any]) -> Any:
    """The reference's example body, None for a GET."""
    if row["method"] == "GET":
        return None
    return MEANT.get(row["path"], row["documented_example_body"] or {})


def code(reply: Reply) -> str:
    """The guard's own code, "" where the daemon answered."""
    return str((said(reply).get("guard") or {}).get("code", "")) if reply.content_type == "application/json" else ""


@pytest.mark.parametrize("profile", ["documented", "runtime"])
async def test_every_scope_on_every_endpoint(tmp_path: Path, profile: str) -> None:
    """A key with one scope is let in exactly where the profile's column names it; what is refused reaches nobody."""
    toml = f'{TRADING}[scopes]\nprofile = "{profile}"\n'
    async with stage(
        tmp_path, *(record(scope.replace(":", "-"), scopes=[scope]) for scope in SCOPES), toml=toml
    ) as scene:
        await warm(scene)
        for row in ROWS:
            for scope in SCOPES:
                before = len(scene.daemon.requests)
                reply = await scene.ask(row["path"], body_of(row), who=scope.replace(":", "-"))
                is_let_in = code(reply) not in {"scope", "environment"}
                assert is_let_in == may(row, scope, profile), (row["path"], scope, reply.body)
                assert is_let_in or len(scene.daemon.requests) == before


def may(row: dict[str, Any], scope: str, profile: str) -> bool:
    """What the reference's columns, and the three rows that the guard tightens, say of a key with this one scope."""
    wanted, path = row[f"{profile}_scope_any_of"], row["path"]
    if path == "/api/unlock-trade":
        return scope in {"trade:unlock", "trade:real"}
    if (
        row["effect"] in TRADES
    ):  # the examples are simulated; a reconfirmation by the documented column needs two scopes
        return scope == "trade:simulate" and (scope in wanted)
    return not wanted or scope in wanted


async def warm(scene: Stage) -> None:
    """The guard knows the daemon's accounts."""
    await scene.ask(ACCOUNTS, who="acc-read")


async def test_a_reconfirmation_needs_a_trade_scope_on_top(tmp_path: Path) -> None:
    """It is documented as a read and confirms a live order: neither acc:read alone nor a trade scope alone will do."""
    keys = [
        record("reads", scopes=["acc:read"]),
        record("trades", scopes=["trade:simulate"]),
        record("both", scopes=["acc:read", "trade:simulate"]),
    ]
    async with stage(tmp_path, *keys) as scene:
        body = MEANT["/api/reconfirm-order"]
        assert code_of(await scene.ask("/api/reconfirm-order", body, who="reads")) == (403, "scope")
        assert code_of(await scene.ask("/api/reconfirm-order", body, who="trades")) == (403, "scope")
        assert code_of(await scene.ask("/api/reconfirm-order", body, who="both")) == (403, "unknown_order")


@pytest.mark.parametrize(("env", "other"), [("real", "simulate"), ("simulate", "real")])
async def test_trade_scopes_are_bound_to_their_environment(tmp_path: Path, env: str, other: str) -> None:
    """A key for one environment trades there, and is told `environment` in the other, whatever the trade is."""
    async with stage(tmp_path, record("bot", scopes=[f"trade:{env}"])) as scene:
        mine = await scene.placed(env=env)
        for path, body in [
            (ORDER, order(env=other)),
            (MODIFY, change(mine, env=other)),
            (MODIFY, change(mine, env=other, op="CANCEL")),
            (CANCEL_ALL, account(env=other)),
        ]:
            assert code_of(await scene.ask(path, body)) == (403, "environment")
        assert is_passed(await scene.modify(mine, env=env))
        assert is_passed(await scene.cancel(mine, env=None))
        assert {request.json["c2s"]["header"]["trd_env"] for request in scene.reached(MODIFY)} == {int(env == "real")}


# ---------------------------------------------------------------- nobody, and somebody with a wrong key


async def test_without_a_key_only_public_endpoints_answer_and_no_privilege_is_lent(tmp_path: Path) -> None:
    """Nobody gets a 401 wherever a scope is asked; public rows are asked of the daemon without the guard's own key."""
    async with stage(tmp_path) as scene:
        for row in ROWS:
            before = len(scene.daemon.requests)
            reply = await scene.ask(row["path"], body_of(row), who=None)
            if row["path"] not in PUBLIC:
                assert (reply.status, code(reply)) == (401, "unauthenticated"), row["path"]
                assert dict(reply.headers)["WWW-Authenticate"] == "Bearer"
                assert len(scene.daemon.requests) == before
        lent = {request.path: request.lend for request in scene.daemon.requests}
        assert lent == {
            **dict.fromkeys(("/api/ping", "/api/global-state", "/api/delay-statistics"), "public"),
            **dict.fromkeys(("/api/push-subscriber-info", "/api/user-info"), "none"),
        }


async def test_a_rotated_key_that_has_ended_does_not_hide_when_its_heir_ends(tmp_path: Path) -> None:
    """The metric, by caller: the next end to come; of a caller whose keys have all ended, the last one."""
    keys = [
        record("bot", expires_at="2026-11-22T09:46:28Z"),
        record("bot@2", expires_at="2026-12-22T09:46:28Z"),
        record("heir", expires_at="2026-11-22T09:46:28Z"),
        record("heir@2"),
        record("gone", expires_at="2026-11-21T09:46:28Z"),
        record("gone@2", expires_at="2026-11-22T09:46:28Z"),
        record("desk", owner="a person"),
    ]
    async with stage(tmp_path, *keys) as scene:
        exposed = str((await operate(scene.guard, "/metrics"))[1]).splitlines()
        ends = [line.partition("key=")[2] for line in exposed if line.startswith("guard_key_expiry_timestamp_seconds{")]
        assert sorted(ends) == ['"bot"} 1.797932788e+09', '"gone"} 1.795340788e+09']


async def test_b22_a_wrong_key_is_401_everywhere(tmp_path: Path) -> None:
    """A key that is presented and wrong opens nothing, not even what is public; only the record knows why."""
    keys = [
        record("old", expires_at="2026-11-22T09:46:28Z"),
        record("elsewhere", allowed_machines=["a"]),
        record("bot"),
    ]
    wrong = ["Bearer x", "Bearer", "", "Basic Ym90", "Bearer a.b.c", "Bearer  two  words"]
    async with stage(tmp_path, *keys) as scene:
        for row in ROWS:
            assert code_of(await scene.ask(row["path"], body_of(row), who="nobody")) == (401, "unauthenticated")
        scene.clock.advance(s=1)  # beyond ten a second refusals of strangers are summed up
        bodies = set()
        for header in wrong:
            reply = await scene.ask("/api/ping", who=None, authorization=header)
            assert code_of(reply) == (401, "unauthenticated"), header
            bodies.add(reply.body.replace(decision_of(reply).encode(), b""))
        for who in ("old", "elsewhere"):
            reply = await scene.ask("/api/ping", who=who)
            assert reply.status == 401
            bodies.add(reply.body.replace(decision_of(reply).encode(), b""))
        assert len(bodies) == 1
        assert scene.daemon.requests == type(scene.daemon.requests)()
        notes = {found["note"] for found in await scene.records("decision")}
        assert {"key old: expired", "unknown key"} <= notes


async def test_under_the_runtime_profile_nothing_is_public(tmp_path: Path) -> None:
    """What the daemon really asks a scope for is asked for here."""
    async with stage(tmp_path, toml=f'{TRADING}[scopes]\nprofile = "runtime"\n') as scene:
        for row in ROWS:
            assert code_of(await scene.ask(row["path"], body_of(row), who=None))[0] == 401


async def test_a_flood_of_strangers_does_not_flood_the_record(tmp_path: Path) -> None:
    """Beyond ten a second and source, refusals of strangers are summed up."""
    async with stage(tmp_path) as scene:
        for _ in range(200):
            await scene.ask("/api/funds", account(), who="nobody")
        scene.clock.advance(s=1)
        await scene.ask("/api/funds", account(), who="nobody")
        assert len(await scene.records("decision")) == 11
        assert [(found["source"], found["count"]) for found in await scene.records("denied")] == [("127.0.0.1", 190)]


async def test_a_flood_of_strangers_from_many_addresses_does_not_either(tmp_path: Path) -> None:
    """So many addresses of a second have a sum of their own, and all others share one."""
    async with stage(tmp_path) as scene:
        for number in range(20 * 64):
            asked = Call("GET", "/api/accounts", {}, b"", f"2001:db8::{number % 64:x}")
            await scene.guard.pipeline.handle(asked)
        scene.clock.advance(s=1)
        scene.guard.recorder.floods.sum_up(scene.clock.wall_us())
        found = {one["source"]: one["count"] for one in await scene.records("denied")}
        assert found.pop("other") == (64 - SOURCES_MAX) * 20 - DENIED_PER_SECOND
        assert found == {f"2001:db8::{number:x}": 20 - DENIED_PER_SECOND for number in range(SOURCES_MAX)}
        assert len(await scene.records("decision")) == (SOURCES_MAX + 1) * DENIED_PER_SECOND


# ---------------------------------------------------------------- keys that change


async def test_b03_a_key_revoked_while_its_order_waits_is_not_sent(tmp_path: Path) -> None:
    """Revoked between the question and the decision: 401, nothing sent, nothing held."""
    async with stage(tmp_path, record("bot"), record("desk", owner="a person")) as scene:
        go = asyncio.Event()
        scene.daemon.faults.add(Hold(go), path=ACCOUNTS)
        asked = asyncio.ensure_future(scene.place())
        await scene.until_reached(ACCOUNTS)
        write_keys(tmp_path / "keys.json", record("desk", owner="a person"))
        await scene.guard.reload()
        go.set()

        assert code_of(await asked) == (401, "unauthenticated")
        assert scene.reached() == []
        assert scene.ledger()["holders"] == scene.ledger()["logs"] == {}
        assert code_of(await scene.ask("/api/ping")) == (401, "unauthenticated")


async def test_b03_a_head_that_comes_again_is_looked_up_again(tmp_path: Path) -> None:
    """What a head presents is worked out once for a connection, whose it is each time: a revoked key is nobody's."""
    async with stage(tmp_path, record("bot"), record("desk", owner="a person")) as scene:
        reader = Reader(EdgeBounds(), peer="127.0.0.1")

        async def asked(name: str | None) -> int:
            fields = () if name is None else (f"Authorization: Bearer {key(name)}",)
            request = reader.feed(get(*fields, target="/api/user-info"))
            assert isinstance(request, HttpRequest)
            return (await scene.guard.pipeline.handle(request.call)).status

        assert [await asked(name) for name in ("bot", "bot", "desk", None, "bot", "bot")] == [200] * 6
        write_keys(tmp_path / "keys.json", record("desk", owner="a person"))
        await scene.guard.reload()
        assert [await asked(name) for name in ("bot", "bot", "desk", None, "bot")] == [401, 401, 200, 200, 401]


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"hash": record("other")["hash"]}, 401),
        ({"id": "renamed"}, 200),
        ({"scopes": ["acc:read"]}, 403),
        ({"expires_at": "2026-11-22T09:46:29Z"}, 200),
        ({"allowed_machines": ["m"]}, 401),
    ],
    ids=["another secret", "another name", "a scope less", "an end to come", "disabled"],
)
async def test_b03_a_head_that_comes_again_is_who_it_is_now(
    tmp_path: Path, changed: dict[str, Any], status: int
) -> None:
    """It was the bot's with all rights when it came first: then the keys are read anew, and a second goes by."""
    desk = record("desk", owner="a person")
    async with stage(tmp_path, record("bot"), desk) as scene:
        presented = Presented()

        async def asked() -> tuple[int, str | None]:
            each = replace(call("/api/quote", {"symbol": "HK.00700"}), presented=presented)
            reply = await scene.guard.pipeline.handle(each)
            assert presented.principal is not None
            return reply.status, presented.principal.id

        assert await asked() == await asked() == (200, "bot")
        write_keys(tmp_path / "keys.json", record("bot") | changed, desk)
        await scene.guard.reload()
        assert await asked() == await asked() == (status, changed.get("id", "bot"))
        scene.clock.advance(s=1)
        assert (await asked())[0] == (401 if "expires_at" in changed else status)
        write_keys(tmp_path / "keys.json", record("bot"), desk)
        await scene.guard.reload()
        assert await asked() == (200, "bot")


async def test_b30_who_was_let_through_at_one_endpoint_is_asked_for_its_rights_at_another(tmp_path: Path) -> None:
    """One head after the other with the same credential: a key that reads quotes reads no accounts in between."""
    async with stage(tmp_path, record("bot", scopes=["qot:read"])) as scene:
        presented = Presented()
        for _ in range(2):
            for path, body, status in (("/api/quote", {"symbol": "HK.00700"}, 200), (ACCOUNTS, None, 403)):
                each = replace(call(path, body), presented=presented)
                assert (await scene.guard.pipeline.handle(each)).status == status


async def test_a_decision_is_its_keys_whatever_a_token_of_it_may_do(tmp_path: Path) -> None:
    """Own goes by the key: a token with fewer scopes follows its orders, and another key's are there for nobody."""
    (tmp_path / "jwks.json").write_bytes(tokens.jwks(tokens.jwk("OKP", kid="a")))
    async with stage(tmp_path, record("bot"), record("other"), toml=f"{TRADING}{ISSUING}") as scene:
        mine, theirs = await scene.place(), await scene.place(who="other")
        now_s = int(scene.clock.wall().timestamp())
        said_of = tokens.claims(iat=now_s, exp=now_s + 60, scope="qot:read")
        head = {"authorization": f"Bearer {tokens.token(said_of, kid='a')}"}
        told = await scene.ask(f"/guard/v1/decisions/{decision_of(mine)}", who=None, **head)
        assert (said(told)["verdict"], said(told)["record"]["symbol"]) == ("accepted", "HK.00700")
        kept = await scene.ask(f"/guard/v1/decisions/{decision_of(theirs)}", who=None, **head)
        assert code_of(kept) == (404, "unknown_endpoint")
        assert code_of(await scene.ask(ORDER, order(), who=None, **head)) == (403, "scope")


async def test_a_token_without_the_environments_scope_is_not_told_what_an_order_came_to(tmp_path: Path) -> None:
    """It knows the Idempotency-Key of a real order and may trade simulated ones: 403, dry too, also after a restart."""
    (tmp_path / "jwks.json").write_bytes(tokens.jwks(tokens.jwk("OKP", kid="a")))
    async with stage(tmp_path, record("bot"), toml=f"{TRADING}{ISSUING}") as scene:
        first = await scene.place(key="k", env="real")
        asked = {"path": ORDER, "body": order(price=200, env="real")}
        now_s = int(scene.clock.wall().timestamp())
        said_of = tokens.claims(iat=now_s, exp=now_s + 60, scope="trade:simulate")
        head = {"authorization": f"Bearer {tokens.token(said_of, kid='a')}", "idempotency_key": "k"}
        for body in (asked["body"], order(price=201, env="real")):  # nor whether it was this order or another
            assert code_of(await scene.ask(ORDER, body, who=None, **head)) == (403, "environment")
        told = said(await scene.ask("/guard/v1/check", asked, who=None, **head))
        assert (told["outcome"], told["guard"]["code"]) == ("refuse", "environment")
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert code_of(await scene.ask(ORDER, asked["body"], who=None, **head)) == (403, "environment")
        assert decision_of(await scene.place(key="k", env="real")) == decision_of(first)
        assert len(scene.reached()) == 1


async def test_a_token_that_was_believed_ends_at_once_with_its_issuers_key(tmp_path: Path) -> None:
    """Its signature was verified before and is remembered: 401 the moment the key set is read without that key."""
    jwks_file, toml = tmp_path / "jwks.json", f"{TRADING}{ISSUING}"
    jwks_file.write_bytes(tokens.jwks(tokens.jwk("OKP", kid="a")))
    async with stage(tmp_path, toml=toml) as scene:
        now_s = int(scene.clock.wall().timestamp())
        head = {"authorization": f"Bearer {tokens.token(tokens.claims(iat=now_s, exp=now_s + 60), kid='a')}"}
        for _ in range(2):
            assert is_passed(await scene.ask(ORDER, order(), who=None, **head))
        jwks_file.write_bytes(tokens.jwks(tokens.jwk("OKP", kid="b")))
        await scene.guard.reload()
        assert code_of(await scene.ask(ORDER, order(), who=None, **head)) == (401, "unauthenticated")

        jwks_file.write_bytes(tokens.jwks(tokens.jwk("OKP", kid="a")))
        await scene.guard.reload()
        assert is_passed(await scene.ask(ACCOUNTS, who=None, **head))
        scene.clock.advance(s=60)
        assert code_of(await scene.ask(ACCOUNTS, who=None, **head)) == (401, "unauthenticated")
        assert len(scene.reached()) == 2


async def test_the_record_says_which_signing_keys_of_an_issuer_changed(tmp_path: Path) -> None:
    """Whoever has one of them makes tokens for any key; and nothing changed is told as such."""
    jwks_file, toml = tmp_path / "jwks.json", f"{TRADING}{ISSUING}"
    jwks_file.write_bytes(tokens.jwks(tokens.jwk("OKP", kid="a"), tokens.jwk("OKP", kid="b")))
    async with stage(tmp_path, toml=toml) as scene:
        assert (await scene.guard.changes.reload_keys(Who())).result == "unchanged"
        other = tokens.b64(Ed25519PrivateKey.generate().public_key().public_bytes_raw())
        jwks_file.write_bytes(tokens.jwks(tokens.jwk("OKP", kid="a") | {"x": other}, tokens.jwk("OKP", kid="c")))
        told = await scene.guard.changes.reload_keys(Who())

        moved = [f"{tokens.ISSUER}: key a replaced", f"{tokens.ISSUER}: key b removed", f"{tokens.ISSUER}: key c added"]
        assert told.changes == tuple(f"issuer {words}" for words in moved)
        assert (await scene.records("keys"))[-1]["issuers"] == moved


async def test_keys_whose_text_cannot_be_kept_are_in_force_and_that_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key is taken away whatever the disk says; the texts are kept each by itself, and what is lacking is named."""
    put, tried = ConfigStore.put, list[str]()

    def full_once(store: ConfigStore, sha256: str, text: bytes) -> None:
        tried.append(sha256)
        if len(tried) == 1:
            raise NO_SPACE
        put(store, sha256, text)

    async with stage(tmp_path, record("bot"), record("other")) as scene:
        monkeypatch.setattr(ConfigStore, "put", full_once)
        write_keys(tmp_path / "keys.json", record("bot"))
        with structlog.testing.capture_logs() as logs:
            assert (await scene.guard.changes.reload_keys(Who())).result == "applied"
        assert [line["sha256"] for line in logs if line["event"] == "config_not_kept"] == tried[:1]
        assert len(tried) == 2
        assert (tmp_path / "state" / "config" / f"{tried[1]}.json").exists()
        assert code_of(await scene.place(who="other")) == (401, "unauthenticated")


async def test_what_was_replaced_behind_the_mount_of_a_single_file_is_not_reloaded(tmp_path: Path) -> None:
    """The mount shows the old file for ever: a reload went well, and a key that its issuer gave up still counted."""
    (tmp_path / "jwks.json").write_bytes(tokens.jwks(tokens.jwk("OKP", kid="a")))
    async with stage(tmp_path, toml=f"{TRADING}{ISSUING}", policies="[orders]\nmax_qty = 100\n") as scene:
        changes = scene.guard.changes
        reloads = {
            tmp_path / "jwks.json": changes.reload_keys,
            tmp_path / "policies" / "desk.toml": changes.policies.reload,
        }
        for place, reload in reloads.items():
            outside = place.rename(tmp_path / "outside")
            with outside.open("rb") as mounted:
                place.symlink_to(f"/dev/fd/{mounted.fileno()}")
                assert (await reload(Who())).result != "refused"
                outside.unlink()
                seen = await reload(Who())
            assert seen.result == "refused"
            assert "mount its folder" in str(seen)


@pytest.mark.parametrize(
    "change", [{"scopes": ["trade:simulate"]}, {"allowed_acc_ids": [9032]}, {"max_order_value": 1}]
)
async def test_a_key_whose_rights_changed_meanwhile_is_looked_at_anew(tmp_path: Path, change: dict[str, Any]) -> None:
    """An order decided under rights that are no longer those of its key is not let through."""
    async with stage(tmp_path) as scene:
        go = asyncio.Event()
        scene.daemon.faults.add(Hold(go), path=ACCOUNTS)
        asked = asyncio.ensure_future(scene.place(env="real"))
        await scene.until_reached(ACCOUNTS)
        write_keys(tmp_path / "keys.json", record("bot", **change))
        await scene.guard.reload()
        go.set()
        assert (await asked).status in {401, 403}
        assert scene.reached() == []


async def test_a_lock_that_appears_within_a_turn_stops_what_was_decided_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight orders of one turn look for HALT once to be decided, and each once more before it is sent: none leaves."""
    looks: list[bool] = []
    looked = Desk.is_halted.fget  # type: ignore[attr-defined]

    def look(desk: Desk) -> bool:
        looks.append(looked(desk))
        return looks[-1]

    monkeypatch.setattr(Desk, "is_halted", property(look))
    async with stage(tmp_path) as scene:
        assert is_passed(await scene.place())
        halt = scene.guard.directory / "HALT"

        def judge(desk: Desk, visit: Visit, situation: Situation) -> Assessment:
            if looks:  # the first one of the turn has looked
                halt.touch()
            return HOOKS.judge(desk, visit, situation)

        scene.guard.pipeline.hooks = replace(HOOKS, judge=judge)
        looks.clear()
        replies = await asyncio.gather(*[scene.place(remark=f"n{number}") for number in range(8)])
        assert looks == [False, *[True] * 8]
        assert [code_of(reply) for reply in replies] == [(423, "halted")] * 8
        assert {(await scene.outcome(reply))["verdict"] for reply in replies} == {"not_sent"}
        assert len(scene.reached(ORDER)) == 1
        refused = await scene.place(remark="later")
        assert (code_of(refused), (await scene.decision(refused))["outcome"]) == ((423, "halted"), "refuse")
        halt.unlink()
        scene.guard.pipeline.hooks = HOOKS
        assert is_passed(await scene.place(remark="after"))


async def test_the_lock_at_the_last_look(tmp_path: Path) -> None:
    """A HALT file that appears between decision and sending stops the order: 423, nothing held, and recorded."""
    async with stage(tmp_path) as scene:
        await scene.ask(ACCOUNTS)
        halt = scene.guard.directory / "HALT"
        once_durable(scene.guard.journal, halt.touch)
        reply = await scene.place()

        assert code_of(reply) == (423, "halted")
        assert codes(reply) == ["halted"]
        outcome = await scene.outcome(reply)
        assert (outcome["verdict"], "cancel_only" in outcome["message"]) == ("not_sent", True)
        assert scene.reached() == []
        assert scene.ledger()["holders"] == {}
