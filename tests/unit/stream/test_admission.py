"""Who may open a socket."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from guard.access.tickets import PER_KEY_MAX
from guard.codes import Code
from guard.lifecycle import Guard
from guard.limits import TradingRule, set_trading
from guard.stream.admission import admit, admit_still
from guard.terms import Call
from guard.walk.door import TARPIT_S
from guard.walk.visit import Visit
from tests.support.guards import ask, call, codes, key, lay_out, record, running, said, write_keys
from tests.support.stream import HANDSHAKE

PROFILES = pytest.mark.parametrize("profile", ["documented", "runtime"])


@pytest.fixture
async def guard(tmp_path: Path, profile: str) -> AsyncIterator[Guard]:
    """A guard of the profile with a reader, a trader that reads no quotes, and a key that has expired."""
    records = (
        record("reader", scopes=["qot:read"]),
        record("trader", scopes=["acc:read"]),
        record("late", expires_at="2026-01-01T00:00:00Z"),
    )
    listen = 'data = "127.0.0.1:0"\nops = "127.0.0.1:0"\nallowed_origins = ["https://desk.example"]'
    toml = f'[listen]\n{listen}\n[scopes]\nprofile = "{profile}"\n'
    async with running(lay_out(tmp_path, *records, toml=toml)) as running_guard:
        yield running_guard


def asked(who: str | None, *, token: str | None = None, **head: str) -> Call:
    """A handshake."""
    made = call("/ws", who=who, **HANDSHAKE, **head)
    made.token = token
    return made


def judged(guard: Guard, handshake: Call) -> tuple[Visit, Code | None]:
    """The visit, and the code that it is refused with."""
    visit = guard.desk.open_visit(handshake)
    refusal = admit(guard.desk, visit)
    return visit, None if refusal is None else refusal.code


@PROFILES
async def test_a_key_is_taken_from_the_header_or_the_token(guard: Guard) -> None:
    """Both ways name the same caller; the visit is one to /ws."""
    for handshake in (asked("reader"), asked(None, token=key("reader"))):
        visit, code = judged(guard, handshake)
        assert code is None
        assert visit.principal is not None
        assert visit.principal.id == "reader"
        assert visit.endpoint is not None
        assert visit.endpoint.path == "/ws"


@PROFILES
async def test_b29_a_key_that_is_presented_and_wrong_is_refused_everywhere(guard: Guard) -> None:
    """Unknown, expired or malformed: 401, never a fall back to nobody."""
    for handshake in (
        asked("stranger"),
        asked("late"),
        asked(None, token="gk_unknown"),
        asked(None, authorization="Basic YTpi"),
        asked(None, authorization="Bearer "),
    ):
        assert judged(guard, handshake)[1] is Code.UNAUTHENTICATED


@pytest.mark.parametrize(("profile", "code"), [("documented", None), ("runtime", Code.UNAUTHENTICATED)])
async def test_nobody_may_ask_where_the_stream_is_public(guard: Guard, code: Code | None) -> None:
    """/ws is documented as public; the runtime profile wants qot:read of a key."""
    visit, found = judged(guard, asked(None))

    assert found is code
    assert visit.principal is None


@pytest.mark.parametrize(("profile", "code"), [("documented", None), ("runtime", Code.SCOPE)])
async def test_a_key_without_quotes_may_ask_where_the_stream_is_public(guard: Guard, code: Code | None) -> None:
    """Frames are filtered one by one, so the handshake wants no scope unless the profile does."""
    assert judged(guard, asked("trader"))[1] is code


@PROFILES
@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:22500", "null", ""])
async def test_b27_a_page_in_a_browser_is_turned_away(guard: Guard, origin: str) -> None:
    """Any Origin but those that the settings name, an empty one too, is refused before the key is looked at."""
    assert judged(guard, asked("reader", origin=origin))[1] is Code.BAD_HEADER
    assert judged(guard, asked("stranger", origin=origin))[1] is Code.BAD_HEADER


@PROFILES
async def test_a_page_that_the_settings_name_is_let_in(guard: Guard) -> None:
    """Its key still decides: a wrong one is 401."""
    page = "https://desk.example"

    assert judged(guard, asked("reader", origin=page))[1] is None
    assert judged(guard, asked("stranger", origin=page))[1] is Code.UNAUTHENTICATED


@PROFILES
async def test_a_ticket_opens_one_handshake(guard: Guard) -> None:
    """The caller is the one who asked for it; the second use, and a ticket that nobody got, are 401."""
    reply = await ask(guard, "/guard/v1/ws-ticket", {}, who="reader")
    told = said(reply)
    assert (reply.status, told["expires_in_s"]) == (200, 30)

    visit, code = judged(guard, asked(None, token=told["ticket"]))
    assert code is None
    assert visit.principal is not None
    assert visit.principal.id == "reader"
    assert visit.call.is_known  # its connection is not the first to make room
    assert judged(guard, asked(None, token=told["ticket"]))[1] is Code.UNAUTHENTICATED
    assert judged(guard, asked(None, token="wst_guessed"))[1] is Code.UNAUTHENTICATED


@PROFILES
async def test_a_ticket_is_no_key(guard: Guard) -> None:
    """In a header, or for anything but a handshake, it is an unknown key, and it is not used up by that."""
    told = said(await ask(guard, "/guard/v1/ws-ticket", {}, who="reader"))["ticket"]
    assert judged(guard, asked(None, authorization=f"Bearer {told}"))[1] is Code.UNAUTHENTICATED
    assert (await ask(guard, "/guard/v1/me", who=None, authorization=f"Bearer {told}")).status == 401

    assert judged(guard, asked(None, token=told))[1] is None


@PROFILES
async def test_b03_a_ticket_does_not_outlive_its_key(guard: Guard, tmp_path: Path) -> None:
    """The key is revoked between ticket and handshake: 401, and the record knows why."""
    told = said(await ask(guard, "/guard/v1/ws-ticket", {}, who="reader"))["ticket"]
    write_keys(tmp_path / "keys.json", record("trader"))
    await guard.reload()
    visit = guard.desk.open_visit(asked(None, token=told))
    refusal = admit(guard.desk, visit)

    assert refusal is not None
    assert refusal.code is Code.UNAUTHENTICATED
    assert "key reader" in refusal.note


@pytest.mark.parametrize(("profile", "code"), [("documented", None), ("runtime", Code.SCOPE)])
async def test_a_ticket_gives_no_scope_that_its_key_lacks(guard: Guard, code: Code | None) -> None:
    """The handshake asks the same of a ticket's caller as of a key's."""
    told = said(await ask(guard, "/guard/v1/ws-ticket", {}, who="trader"))["ticket"]

    assert judged(guard, asked(None, token=told))[1] is code


@PROFILES
async def test_tickets_are_asked_for_by_keys_with_no_body(guard: Guard) -> None:
    """No key is 401, another method 405, a body that says anything 400; unused ones are bounded for each key."""
    path = "/guard/v1/ws-ticket"
    assert (await ask(guard, path, {}, who=None)).status == 401
    assert (await ask(guard, path, who="reader")).status == 405
    assert codes(await ask(guard, path, {"scope": "admin"}, who="reader")) == ["unknown_field"]
    for _ in range(PER_KEY_MAX):
        assert (await ask(guard, path, b"", who="reader")).status == 200
    refused = await ask(guard, path, {}, who="reader")
    assert (refused.status, codes(refused)) == (429, ["rate"])
    assert 29 <= int(dict(refused.headers)["Retry-After"]) <= 30
    assert (await ask(guard, path, {}, who="trader")).status == 200


@PROFILES
@pytest.mark.parametrize(
    ("state", "code"), [("cancel_only", None), ("reduce_only", None), ("locked", Code.HALTED)]
)  # fmt: skip
async def test_locked_leaves_cancels_only(guard: Guard, state: str, code: Code | None) -> None:
    """A stream is no cancel: where trading is locked no socket opens, in the other states it does."""
    set_trading(guard.desk.state, TradingRule(state=state), t_us=guard.clock.t_us())  # type: ignore[arg-type]

    assert judged(guard, asked("reader"))[1] is code


@PROFILES
async def test_a_guard_that_drains_opens_no_sockets(guard: Guard) -> None:
    """New handshakes are told to go elsewhere, nobody's too."""
    guard.desk.is_draining = True

    assert judged(guard, asked("reader"))[1] is Code.DRAINING


@PROFILES
async def test_an_address_that_keeps_trying_keys_is_told_so_later(guard: Guard) -> None:
    """As on every other path: 429 a quarter of a second later, where the first wrong keys are 401 at once."""
    settings = guard.desk.config.settings
    few = replace(settings, bounds=replace(settings.bounds, failed_auths_per_minute_max=2))
    guard.desk.config = replace(guard.desk.config, settings=few)
    seen = [judged(guard, asked("stranger")) for _ in range(3)]

    assert [code for _, code in seen] == [Code.UNAUTHENTICATED, Code.UNAUTHENTICATED, Code.RATE]
    assert [visit.call.wait_s for visit, _ in seen] == [0, 0, TARPIT_S]


@PROFILES
async def test_b03_what_changed_during_the_handshake_is_looked_at_again(guard: Guard) -> None:
    """The second look refuses what the first let in: draining, and a key that is gone meanwhile."""
    visit, code = judged(guard, asked("reader"))
    assert code is None
    assert admit_still(guard.desk, visit) is None

    guard.desk.is_draining = True
    late = admit_still(guard.desk, visit)
    assert late is not None
    assert late.code is Code.DRAINING
