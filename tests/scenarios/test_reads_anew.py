"""What was worked out for a key's reads is never older than what is in force: a change is seen at the very next one."""

from pathlib import Path
from typing import Any, Final

from guard.terms import Reply
from tests.support import tokens
from tests.support.clock import end
from tests.support.guards import operate, record, write_keys
from tests.support.stage import DAILY, TRADING, Stage, code_of, is_passed, stage
from tests.support.tokens import ISSUING

BOT: Final = record("bot")
DESK: Final = record("desk", owner="a person")
TWICE: Final = DAILY.replace("[rates]", '[rates]\nreads = "2/60s"')
OFTEN: Final = DAILY.replace("[rates]", '[rates]\nreads = "9/60s"')
SHORT: Final = '[policy]\nexpires_at = {end}\n[rates]\nreads = "2/3600s"\n'


async def quote(scene: Stage, **head: str) -> Reply:
    """A quote by the bot, or by who the head says."""
    return await scene.ask("/api/quote", {"symbol": "HK.00700"}, who=None if head else "bot", **head)


def rates(reply: Reply) -> str:
    """What the answer tells of the rates that apply."""
    return dict(reply.headers).get("RateLimit-Policy", "")


async def reload(scene: Stage, policies: str) -> None:
    """These policies are in force."""
    scene.write_policy(policies)
    assert (await operate(scene.guard, "/admin/policy/reload", {}))[0] == 200


async def rekey(scene: Stage, *records: Any) -> None:
    """These keys are in force."""
    write_keys(scene.config.parent / "keys.json", *records, DESK)
    assert (await operate(scene.guard, "/admin/keys/reload", {}))[0] == 200


async def test_policies_that_are_read_anew(tmp_path: Path) -> None:
    """Tighter, gone, and wider than before: with the stamps of before, in the answer and in its fields."""
    async with stage(tmp_path, policies=OFTEN) as scene:
        for _ in range(3):
            assert rates(await quote(scene)) == '"reads";q=9;w=60'
        await reload(scene, TWICE)
        refused = await quote(scene)
        assert code_of(refused) == (429, "rate")
        assert rates(refused) == '"reads";q=2;w=60'
        await reload(scene, DAILY)
        assert rates(await quote(scene)) == ""
        await reload(scene, OFTEN)
        assert dict((await quote(scene)).headers)["RateLimit"] == '"reads";r=5;t=60'


async def test_a_policy_that_ends(tmp_path: Path) -> None:
    """At its last microsecond it binds, a microsecond later it does not, and nobody has to read anything anew."""
    async with stage(tmp_path, policies={"desk.toml": OFTEN}) as scene:
        (tmp_path / "policies" / "short.toml").write_text(SHORT.format(end=end(scene.clock)))
        await reload(scene, OFTEN)
        for _ in range(2):
            assert is_passed(await quote(scene))
        scene.clock.advance(s=599, us=999_999)
        refused = await quote(scene)
        assert code_of(refused) == (429, "rate")
        assert rates(refused) == '"reads";q=9;w=60, "reads";q=2;w=3600'
        scene.clock.advance(us=1)
        passed = await quote(scene)
        assert is_passed(passed)
        assert rates(passed) == '"reads";q=9;w=60'


async def test_a_clock_that_is_set_back_brings_a_policy_back(tmp_path: Path) -> None:
    """Whether it binds is asked of the time of each request, not of the latest one."""
    async with stage(tmp_path, policies={"desk.toml": OFTEN}) as scene:
        (tmp_path / "policies" / "short.toml").write_text(SHORT.format(end=end(scene.clock)))
        await reload(scene, OFTEN)
        scene.clock.step_wall(s=601)
        assert rates(await quote(scene)) == '"reads";q=9;w=60'
        scene.clock.step_wall(s=-601)
        assert rates(await quote(scene)) == '"reads";q=9;w=60, "reads";q=2;w=3600'


async def test_keys_that_are_read_anew(tmp_path: Path) -> None:
    """A scope less, a scope more, gone, and back."""
    async with stage(tmp_path, BOT, DESK, policies=OFTEN) as scene:
        for keys, expected in (
            ([BOT], (200, None)),
            ([record("bot", scopes=["acc:read"])], (403, "scope")),
            ([record("bot", scopes=["qot:read"])], (200, None)),
            ([], (401, "unauthenticated")),
            ([BOT], (200, None)),
        ):
            await rekey(scene, *keys)
            reply = await quote(scene)
            assert (reply.status, None if is_passed(reply) else code_of(reply)[1]) == expected


async def test_a_trading_state_that_is_set(tmp_path: Path) -> None:
    """Locked for everybody, for this key, for another one, and active again."""
    async with stage(tmp_path, policies=OFTEN) as scene:
        assert is_passed(await quote(scene))
        cases: tuple[tuple[Any, tuple[str, ...], bool], ...] = (
            ("locked", (), True),
            ("active", (), False),
            ("locked", ("bot",), True),
            ("active", ("bot",), False),
            ("locked", ("desk",), False),
            ("cancel_only", (), False),
        )
        for state, keys, is_locked in cases:
            await scene.set_state(state, keys=keys)
            reply = await quote(scene)
            assert is_passed(reply) is not is_locked
            assert not is_locked or code_of(reply) == (423, "halted")


async def test_a_halt_file_stops_no_read(tmp_path: Path) -> None:
    """It means that nothing but cancels is traded; who wants to see where he stands still does."""
    async with stage(tmp_path, policies=OFTEN) as scene:
        assert is_passed(await quote(scene))
        (tmp_path / "state" / "HALT").touch()
        assert is_passed(await quote(scene))
        assert code_of(await scene.place()) == (423, "halted")


async def test_a_token_with_less_than_its_key(tmp_path: Path) -> None:
    """Key and token are one name with one count, and each may what it may, whichever asked first."""
    (tmp_path / "jwks.json").write_bytes(tokens.jwks(tokens.jwk("OKP", kid="a")))
    async with stage(tmp_path, policies=OFTEN, toml=f"{TRADING}{ISSUING}") as scene:
        now_s = int(scene.clock.wall().timestamp())

        def head(scope: str, jti: str) -> dict[str, str]:
            told = tokens.claims(iat=now_s, exp=now_s + 60, scope=scope, jti=jti)
            return {"authorization": f"Bearer {tokens.token(told, kid='a')}"}

        for _ in range(2):
            assert is_passed(await quote(scene))
            assert code_of(await quote(scene, **head("acc:read", "t1"))) == (403, "scope")
            assert is_passed(await quote(scene, **head("qot:read", "t2")))
        assert dict((await quote(scene)).headers)["RateLimit"] == '"reads";r=4;t=60'


async def test_a_public_endpoint_is_lent_what_this_caller_may(tmp_path: Path) -> None:
    """Whether the guard's own daemon key goes along is asked of the rights of each request, not of the name."""
    (tmp_path / "jwks.json").write_bytes(tokens.jwks(tokens.jwk("OKP", kid="a")))
    async with stage(tmp_path, policies=OFTEN, toml=f"{TRADING}{ISSUING}") as scene:
        now_s = int(scene.clock.wall().timestamp())
        told = tokens.claims(iat=now_s, exp=now_s + 60, scope="acc:read")
        narrow = {"authorization": f"Bearer {tokens.token(told, kid='a')}"}
        for _ in range(2):
            await scene.ask("/api/user-info")
            assert scene.reached("/api/user-info")[-1].lend == "guard"
            await scene.ask("/api/user-info", who=None, **narrow)
            assert scene.reached("/api/user-info")[-1].lend == "none"
