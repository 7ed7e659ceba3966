"""The relay of one guard: callers without sockets of their own, a daemon that follows a script."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import structlog
from msgspec import structs
from websockets.frames import Frame, Opcode

from guard.activeconfig import load_keys
from guard.codes import Code
from guard.lifecycle import Guard
from guard.simulator import Simulator
from guard.simulator.faults import HttpError
from guard.stream import Relay, StreamBounds
from guard.stream.ending import End
from guard.stream.session import FRAME_BYTES_MAX, classify
from guard.terms import Account, AccountRow, Env, Missing, refuse
from guard.upstream.circuit import EVERYBODY
from guard.walk.floods import DENIED_PER_SECOND
from tests.support.clock import ManualClock
from tests.support.edge import until
from tests.support.guards import ask, key, lay_out, of_type, operate, record, running, write_keys
from tests.support.keys import row
from tests.support.scripted_daemon import Script, ScriptedDaemon, Talk, answer, scripted
from tests.support.stream import Live, Visitor, frame, settings_for, text, welcome
from tests.support.tokens import AUDIENCE, ISSUER, claims, jwk, jwks, token

KEYS: Final = (
    record("bot"),
    record("quotes", scopes=["qot:read"]),
    record("trades", scopes=["acc:read"]),
    record("mine", allowed_acc_ids=[7]),
    record("hk", allowed_markets=["HK"]),
    record("desk", owner="a person"),
)
QUOTE: Final = frame("quote")
NOTE: Final = frame("notify")
MINE: Final = frame("trade", acc_id=7, trd_market=1)
THEIRS: Final = frame("trade", acc_id=8, trd_market=1)
AMERICAN: Final = frame("trade", acc_id=7, trd_market=2)
NOWHERE: Final = frame("trade", acc_id=7)
ALL: Final = (QUOTE, NOTE, MINE, THEIRS, AMERICAN, NOWHERE)
LAST_OF: Final = {"bot": "quote", "quotes": "quote", "trades": "trade", "mine": "quote", "hk": "quote"}
BYE: Final = Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=False, extensions=[])
OTHER: Final = "A" * 43  # another public key of Ed25519
TOO_LONG: Final = text(b"x" * (FRAME_BYTES_MAX + 1)).serialize(mask=False, extensions=[])


class List:
    """An account list that tests write; implements what the desk asks of a book."""

    age_s: float | None = None

    def __init__(self) -> None:
        self.found: tuple[AccountRow, ...] | Missing = (row(Env.REAL, 7), row(Env.REAL, 8))
        self.gate = asyncio.Event()
        self.gate.set()

    @property
    def known(self) -> tuple[AccountRow, ...]:
        """Whatever the list says."""
        return () if isinstance(self.found, Missing) else self.found

    def at_hand(self) -> tuple[AccountRow, ...] | None:
        """Always asks."""
        return None

    def lists(self, account: Account) -> bool:
        """Whatever the list says."""
        return not isinstance(self.found, Missing) and any(each.account == account for each in self.found)

    async def rows(self) -> tuple[AccountRow, ...] | Missing:
        """Every account, once the gate is open."""
        await self.gate.wait()
        return self.found

    async def find(self, env: Env, acc_id: int, max_age_s: float = 0) -> AccountRow | Missing | None:
        """The row of a pair."""
        rows = await self.rows()
        if isinstance(rows, Missing):
            return rows
        return next((each for each in rows if each.account == Account(env, acc_id)), None)


@asynccontextmanager
async def guarding(
    folder: Path,
    *scripts: Script,
    bounds: StreamBounds | None = None,
    more: str = "",
    clock: ManualClock | None = None,
    simulator: Simulator | None = None,
) -> AsyncIterator[tuple[Guard, ScriptedDaemon]]:
    """A guard whose streams are the scripted daemon's; everything else it asks the simulator."""
    async with scripted(*scripts, default=scripts[-1] if scripts else Live()) as daemon:
        config = lay_out(folder, *KEYS, toml=settings_for(daemon.port, more=more))
        async with running(config, daemon=simulator or Simulator(), clock=clock) as guard:
            quick = bounds or StreamBounds(daemon_close_s=0.02)
            guard.relay = Relay(guard.recorder, guard.trust, bounds=quick)
            guard.desk.accounts = List()
            yield guard, daemon


def count(guard: Guard, name: str, *labels: str) -> float:
    """Where a counter stands."""
    metrics = guard.desk.metrics
    counted = dict(metrics._readings[name]()) if name in metrics._readings else metrics._counters[name]
    return counted.get(labels, 0)


def frames(guard: Guard) -> dict[str, float]:
    """What was done with the frames of the daemon."""
    counters = guard.desk.metrics._counters["guard_ws_frames_total"]
    return {result: value for (direction, result), value in counters.items() if direction == "to_caller"}


@pytest.mark.parametrize(
    ("who", "seen"),
    [
        ("bot", ALL),
        ("quotes", (QUOTE, NOTE)),
        ("trades", (MINE, THEIRS, AMERICAN, NOWHERE)),
        ("mine", (QUOTE, NOTE, MINE, AMERICAN, NOWHERE)),
        ("hk", (QUOTE, NOTE, MINE, THEIRS)),
    ],
)
async def test_b04_b31_w13_each_key_is_sent_what_it_may_see(tmp_path: Path, who: str, seen: tuple[bytes, ...]) -> None:
    """Scopes, accounts and markets are looked at frame by frame, in the daemon's order; the rest is counted."""
    last = frame(LAST_OF[who], acc_id=7, trd_market=1, last=True)
    live = Live()
    async with guarding(tmp_path, live) as (guard, _):
        caller = await Visitor(guard, who).opened()
        await live.push(*ALL, last)

        assert await caller.texts(len(seen) + 1) == [*seen, last]
        assert frames(guard) == {
            result: value
            for result, value in {"relayed": len(seen) + 1, "filtered": len(ALL) - len(seen)}.items()
            if value
        }


async def test_the_stream_is_heard_although_requests_are_kept_back(tmp_path: Path) -> None:
    """An open circuit is about requests: a handshake sends the daemon none, and pushes come all the same."""
    live = Live()
    async with guarding(tmp_path, live) as (guard, _):
        reads = guard.desk.circuits.reads
        reads.opened_us, reads.blamed = guard.desk.clock.mono_us(), {EVERYBODY}
        caller = await Visitor(guard, "quotes").opened()
        await live.push(QUOTE)
        assert await caller.texts(1) == [QUOTE]


async def test_what_cannot_be_classified_is_dropped_and_counted(tmp_path: Path) -> None:
    """Binary frames, other JSON and doubled members go to nobody; the stream goes on."""
    odd = [
        Frame(Opcode.BINARY, QUOTE),
        text(b"hello"),
        text(b'{"type":"order","proto_id":1}'),
        text(b'{"type":"trade","type":"quote","proto_id":3005}'),
    ]
    live = Live()
    async with guarding(tmp_path, live) as (guard, _):
        caller = await Visitor(guard).opened()
        await live.say(*odd, text(QUOTE))

        assert await caller.texts(1) == [QUOTE]
        assert frames(guard) == {"unclassified": 4, "relayed": 1}


async def test_trade_frames_are_told_on_whoever_may_see_them(tmp_path: Path) -> None:
    """The account of each, for the orders that it may be about; no other frame, and none without an account."""
    heard: list[int] = []
    odd = text(b'{"type":"trade","proto_id":3005,"acc_id":9}')
    live = Live()
    async with guarding(tmp_path, live) as (guard, _):
        guard.relay = Relay(
            guard.recorder, guard.trust, bounds=StreamBounds(daemon_close_s=0.02), on_trade=heard.append
        )
        caller = await Visitor(guard, "quotes").opened()
        await live.say(*map(text, (QUOTE, MINE, frame("trade"), THEIRS)), odd, text(NOTE))

        assert await caller.texts(2) == [QUOTE, NOTE]
        assert heard == [7, 8]


async def test_a_message_in_fragments_is_one_frame(tmp_path: Path) -> None:
    """The daemon may cut a message as it likes."""
    parts = (Frame(Opcode.TEXT, QUOTE[:10], fin=False), Frame(Opcode.CONT, QUOTE[10:]))
    live = Live()
    async with guarding(tmp_path, live) as (guard, _):
        caller = await Visitor(guard).opened()
        await live.say(*parts)

        assert await caller.texts(1) == [QUOTE]


async def test_the_token_goes_no_further(tmp_path: Path) -> None:
    """A key in the query opens the socket; neither the daemon nor the record ever hears of it."""
    async with guarding(tmp_path) as (guard, daemon):
        await Visitor(guard, None, token=key("bot")).opened()
        await guard.journal.durable(guard.journal.last_seq)

        assert key("bot").encode() not in daemon.requests[0]
        assert b"Authorization: Bearer fc_test" in daemon.requests[0]
        assert b"GET /ws HTTP/1.1\r\n" in daemon.requests[0]
        journal = b"".join(path.read_bytes() for path in (tmp_path / "state" / "journal").glob("*.jsonl"))
        assert key("bot").encode() not in journal


async def test_sockets_of_strangers_do_not_flood_the_record(tmp_path: Path) -> None:
    """Beyond ten a second of one address they are counted by the minute, like reads; a key's are recorded each."""
    async with guarding(tmp_path, Live()) as (guard, _):
        moment = guard.clock.wall_us()
        guard.clock.wall_us = lambda: moment  # type: ignore[method-assign]
        for _ in range(12):
            caller = await Visitor(guard, None).opened()
            caller.socket.eof_received()
            caller.socket.connection_lost(None)
        for _ in range(12):
            await Visitor(guard).opened()
        guard.recorder.floods.sum_up()
        await guard.journal.durable(guard.journal.last_seq)

        keys = [each["key"] for each in of_type(tmp_path / "guard.toml", "decision")]
        assert keys == [None] * DENIED_PER_SECOND + ["bot"] * 12
        summed = [(each["endpoint"], each["key"], each["count"]) for each in of_type(tmp_path / "guard.toml", "access")]
        assert summed == [("/ws", "", 2)]


async def test_a_handshake_is_recorded_and_counted_as_what_became_of_it(tmp_path: Path) -> None:
    """One decision each: let in, refused, failed at the daemon; the id is the one that the caller was told."""
    async with guarding(tmp_path, Live()) as (guard, daemon):
        caller = await Visitor(guard).opened()
        _, fields, _ = await caller.answer()
        assert await Visitor(guard, "stranger").refusal() == (401, "unauthenticated")
        daemon.default = Talk.request  # type: ignore[assignment] # nothing is answered
        daemon.writers[-1].close()
        assert await caller.closed() == 1012
        assert await Visitor(guard).refusal() == (502, "daemon_bad_answer")
        await guard.journal.durable(guard.journal.last_seq)

        found = of_type(tmp_path / "guard.toml", "decision")
        assert [(each["endpoint"], each["outcome"], each["code"], each["key"]) for each in found] == [
            ("/ws", "allow", None, "bot"),
            ("/ws", "refuse", "unauthenticated", None),
            ("/ws", "refuse", "daemon_bad_answer", "bot"),
        ]
        assert found[0]["id"] == fields["guard-decision"]
        assert [count(guard, "guard_requests_total", "/ws", word) for word in ("allowed", "refused", "failed")] == [
            1,
            1,
            1,
        ]


async def test_nobody_is_accepted_and_sent_nothing(tmp_path: Path) -> None:
    """Without a key the daemon is not even asked, and of what it sends to others every frame is filtered."""
    live = Live()
    async with guarding(tmp_path, live) as (guard, daemon):
        nobody = await Visitor(guard, None).opened()
        assert daemon.connections == 0
        caller = await Visitor(guard).opened()
        await live.push(*ALL)

        assert await caller.texts(len(ALL)) == list(ALL)
        assert nobody.frames() == []
        assert frames(guard) == {"relayed": len(ALL), "filtered": len(ALL)}


async def test_nobodys_socket_does_not_hang_on_the_daemon(tmp_path: Path) -> None:
    """It opens while the daemon is away, outlives its streams, and is closed when the guard stops."""

    async def deny(talk: Talk) -> None:
        await talk.request()
        await talk.say(answer(b"{}", status="401 Unauthorized"))

    async with guarding(tmp_path, deny, Live()) as (guard, daemon):
        nobody = await Visitor(guard, None).opened()
        assert await Visitor(guard).refusal() == (502, "daemon_bad_answer")
        caller = await Visitor(guard).opened()
        daemon.writers[-1].close()
        assert await caller.closed() == 1012
        assert nobody.socket.is_open

        guard.relay.end_all()
        assert await nobody.closed() == 1001
        assert guard.relay.connections == 0


async def test_the_daemon_is_connected_before_the_caller_is_answered(tmp_path: Path) -> None:
    """While the daemon has not opened its stream, the caller has no answer; then it has."""
    asked, gate = asyncio.Event(), asyncio.Event()

    async def wait(talk: Talk) -> None:
        request = await talk.request()
        asked.set()
        await gate.wait()
        await talk.say(welcome(request))
        await talk.hang()

    async with guarding(tmp_path, wait) as (guard, _):
        caller = Visitor(guard)
        await asked.wait()
        assert caller.wire.sent == b""
        assert guard.relay.connections == 0
        gate.set()
        await caller.opened()
        assert guard.relay.connections == 1


async def test_a_daemon_that_is_down_is_told_as_such(tmp_path: Path) -> None:
    """502 with the contract's body, and the next handshake asks anew."""
    async with guarding(tmp_path) as (guard, _):
        guard.relay = Relay(guard.recorder, guard.trust, bounds=StreamBounds())
    config = lay_out(tmp_path, *KEYS, toml=settings_for(1))
    async with running(config, daemon=Simulator()) as guard:
        assert await Visitor(guard).refusal() == (502, "daemon_unreachable")
        assert guard.desk.circuits.is_answering is False


async def test_a_port_that_takes_connections_and_cuts_them_off_is_not_told_to_be_up(tmp_path: Path) -> None:
    """As one that is forwarded to nobody does: what plain questions have heard stands. A stream that opens is heard."""
    async with guarding(tmp_path) as (guard, _):
        circuits = guard.desk.circuits
        for heard in (True, False):
            circuits.is_answering = heard
            guard.relay.on_dialled(refuse(Code.DAEMON_BAD_ANSWER, "the daemon did not open its stream: cut off"))
            assert circuits.is_answering is heard

        guard.relay.on_dialled(None)
        assert circuits.is_answering is True


async def test_b03_keys_are_looked_at_every_half_second(tmp_path: Path) -> None:
    """By the loop's own timer, which no busy machine makes late; `test_bounds` adds what a caller has to close."""
    async with guarding(tmp_path, bounds=StreamBounds(daemon_close_s=0.02)) as (guard, _):
        await Visitor(guard).opened()
        for _ in range(2):
            timer = guard.relay._timer
            assert timer is not None
            assert timer.when() - asyncio.get_running_loop().time() <= StreamBounds().sweep_s
            timer.cancel()
            guard.relay._sweep()


@pytest.mark.parametrize("how", ["revoked", "expired", "narrowed"])
async def test_b03_a_key_that_ends_takes_its_sockets_with_it(tmp_path: Path, how: str) -> None:
    """4001 to the key's own sockets, at the reload or at the sweep after its last moment; others stay open."""
    clock = ManualClock()
    async with guarding(tmp_path, clock=clock, bounds=StreamBounds(sweep_s=0.01, daemon_close_s=0.02)) as (guard, _):
        until_when = clock.wall().replace(year=clock.wall().year + 1).isoformat()
        write_keys(tmp_path / "keys.json", record("bot", expires_at=until_when), record("desk", owner="a person"))
        guard.changes._after_keys = guard.relay.revalidate
        await guard.reload()
        gone, stays = await Visitor(guard).opened(), await Visitor(guard, "desk").opened()

        if how == "expired":
            clock.advance(s=366 * 24 * 3600)
        else:
            left = [record("bot", scopes=["qot:read"])] if how == "narrowed" else []
            write_keys(tmp_path / "keys.json", *left, record("desk", owner="a person"))
            await guard.reload()

        assert await gone.closed() == 4001
        assert stays.socket.is_open
        assert guard.relay.connections == 1
        assert count(guard, "guard_ws_closed_total", "revoked") == 1
        await Visitor(guard, "desk").opened()


async def test_a_token_whose_signer_is_believed_no_more_loses_its_socket(tmp_path: Path) -> None:
    """The issuer's key set is read anew with the keys: a key that left it takes its tokens' sockets along, 4001."""
    jwks_file, clock = tmp_path / "jwks.json", ManualClock()
    jwks_file.write_bytes(jwks(jwk("OKP", kid="a"), jwk("OKP", kid="b", x=OTHER)))
    toml = f'[[jwt]]\nissuer = "{ISSUER}"\naudience = "{AUDIENCE}"\njwks_file = "jwks.json"\nalgorithms = ["EdDSA"]\n'
    async with guarding(tmp_path, clock=clock, more=toml) as (guard, _):
        guard.changes._after_keys = guard.relay.revalidate
        now_s = int(clock.wall().timestamp())
        speaks = token(claims(iat=now_s - 1, exp=now_s + 3000), kid="a")
        by_token, by_key = await Visitor(guard, None, token=speaks).opened(), await Visitor(guard).opened()
        jwks_file.write_bytes(jwks(jwk("OKP", kid="a"), jwk("OKP", kid="c", x=OTHER)))
        await guard.reload()
        assert by_token.socket.is_open
        jwks_file.write_bytes(jwks(jwk("OKP", kid="c", x=OTHER)))
        await guard.reload()
        assert await by_token.closed() == 4001
        assert by_key.socket.is_open


async def test_b03_no_frame_is_sent_after_a_credentials_last_moment(tmp_path: Path) -> None:
    """What the daemon sends between that moment and the sweep that ends the socket is not shown any more."""
    clock, live = ManualClock(), Live()
    async with guarding(tmp_path, live, clock=clock, bounds=StreamBounds(sweep_s=60.0, daemon_close_s=0.02)) as (
        guard,
        _,
    ):
        ends = clock.wall().replace(year=clock.wall().year + 1)
        write_keys(tmp_path / "keys.json", record("bot", expires_at=ends.isoformat()), record("desk", owner="a person"))
        await guard.reload()
        ending, stays = await Visitor(guard).opened(), await Visitor(guard, "desk").opened()
        await live.push(QUOTE)
        assert await ending.texts(1) == await stays.texts(1) == [QUOTE]

        clock.advance(s=366 * 24 * 3600)
        await live.push(NOTE)
        assert await stays.texts(1) == [NOTE]
        assert ending.frames() == []
        assert frames(guard) == {"relayed": 3, "filtered": 1}


async def test_b03_what_waits_in_this_turn_is_not_sent_to_a_key_that_is_revoked_in_it(tmp_path: Path) -> None:
    """A frame was judged, and before it was written the key was taken away: it goes to the others alone."""
    async with guarding(tmp_path) as (guard, _):
        guard.changes._after_keys = guard.relay.revalidate
        gone, stays = await Visitor(guard).opened(), await Visitor(guard, "desk").opened()
        write_keys(tmp_path / "keys.json", record("desk", owner="a person"))
        keyring, _ = load_keys(guard.settings)
        guard.relay.on_frame(classify(QUOTE))
        guard.desk.config = structs.replace(guard.desk.config, keyring=keyring)
        guard.relay.revalidate()

        assert await stays.texts(1) == [QUOTE]
        assert await gone.closed() == 4001
        assert [each.opcode for each in gone.frames()] == []


async def test_w18_a_daemon_that_restarts_is_told_what_is_held(tmp_path: Path) -> None:
    """Its stream is lost and opened again by itself, since a key holds a line; lines and account pushes come back."""
    live = Live()
    bounds = StreamBounds(daemon_close_s=0.02, redial_first_s=0.01)
    simulator = Simulator()
    async with guarding(tmp_path, live, bounds=bounds, simulator=simulator) as (guard, daemon):
        assert (await ask(guard, "/api/subscribe", {"security_list": ["HK.00700"], "sub_type_list": [1]})).status == 200
        assert (await ask(guard, "/api/sub-acc-push", {"acc_id_list": [7]})).status == 200
        guard.relay.tick()
        await until(lambda: len(live.talks) == 1)

        simulator.world.subscribed, simulator.world.push_accounts = {}, frozenset()
        daemon.writers[-1].close()
        await until(lambda: bool(simulator.world.subscribed and simulator.world.push_accounts))
        assert simulator.dump()["subscribed"] == {"HK.00700": [1]}
        assert simulator.world.push_accounts == {7}


async def test_w18_a_daemon_that_restarts_while_it_is_told_what_is_held_is_told_all_of_it_again(tmp_path: Path) -> None:
    """What it took before it went away once more is not taken for restored."""
    live, simulator = Live(), Simulator()
    bounds = StreamBounds(daemon_close_s=0.02, redial_first_s=0.01)
    async with guarding(tmp_path, live, bounds=bounds, simulator=simulator) as (guard, daemon):
        assert (await ask(guard, "/api/subscribe", {"security_list": ["HK.00700"], "sub_type_list": [1]})).status == 200
        assert (await ask(guard, "/api/sub-acc-push", {"acc_id_list": [7]})).status == 200
        simulator.world.subscribed, simulator.world.push_accounts = {}, frozenset()
        simulator.faults.add(
            HttpError(500), path="/api/sub-acc-push"
        )  # it is asked for that again, but not for the line
        guard.relay.tick()
        await until(lambda: bool(simulator.world.subscribed))

        simulator.world.subscribed, simulator.world.push_accounts = {}, frozenset()
        daemon.writers[-1].close()
        await until(lambda: bool(simulator.world.subscribed and simulator.world.push_accounts))
        assert simulator.dump()["subscribed"] == {"HK.00700": [1]}
        assert simulator.world.push_accounts == {7}


@pytest.mark.parametrize("what", ["revoke", "drain", "lock"])
async def test_b03_a_change_during_the_handshake_leaves_no_open_socket(tmp_path: Path, what: str) -> None:
    """Key, draining and state are looked at again after the daemon was connected: the answer is a refusal, not 101."""
    async with guarding(tmp_path) as (guard, daemon):
        book = guard.desk.accounts
        assert isinstance(book, List)
        book.gate.clear()
        caller = Visitor(guard, "mine")
        await daemon.accepted.wait()
        await until(lambda: len(daemon.requests) == 1)
        assert caller.wire.sent == b""
        if what == "revoke":
            write_keys(tmp_path / "keys.json", record("desk", owner="a person"))
            await guard.reload()
        elif what == "drain":
            guard.desk.is_draining = True
        else:
            status, _ = await operate(guard, "/admin/state", {"state": "locked", "reason": "test"})
            assert status == 200
        book.gate.set()

        expected = {"revoke": (401, "unauthenticated"), "drain": (503, "draining"), "lock": (423, "halted")}
        assert await caller.refusal() == expected[what]
        assert guard.relay.connections == 0
        await guard.journal.durable(guard.journal.last_seq)
        (decision,) = [each for each in of_type(tmp_path / "guard.toml", "decision") if each["endpoint"] == "/ws"]
        assert decision["outcome"] == "refuse"


async def test_locked_ends_the_sockets_of_whom_it_locks(tmp_path: Path) -> None:
    """Nothing but cancels passes, so a stream that is open goes on no longer than one could be opened; others stay."""
    async with guarding(tmp_path, bounds=StreamBounds(sweep_s=0.01, daemon_close_s=0.02)) as (guard, _):
        locked, other = await Visitor(guard).opened(), await Visitor(guard, "quotes").opened()
        for state in ("cancel_only", "locked"):
            assert locked.socket.is_open
            change = {"state": state, "scope": {"keys": ["bot"]}, "reason": "test"}
            assert (await operate(guard, "/admin/state", change))[0] == 200
            await asyncio.sleep(0.05)

        assert await locked.closed() == 4023
        assert other.socket.is_open
        assert count(guard, "guard_ws_closed_total", "locked") == 1
        assert await Visitor(guard).refusal() == (423, "halted")
        assert (await operate(guard, "/admin/state", {"state": "locked", "reason": "all of them"}))[0] == 200
        assert await other.closed() == 4023


async def test_a_policy_reload_keeps_sockets(tmp_path: Path) -> None:
    """What changes for orders does not cut a stream whose key still stands."""
    async with guarding(tmp_path) as (guard, _):
        caller = await Visitor(guard).opened()
        (tmp_path / "policies" / "open.toml").write_text('[orders]\nmax_value = "1 HKD"\n')
        await guard.reload()
        guard.relay.revalidate()

        assert caller.socket.is_open


async def test_an_account_list_that_cannot_be_had_fails_closed_until_it_can(tmp_path: Path) -> None:
    """A restricted key is sent quotes but no trade; once the list is there, its trades come too."""
    live = Live()
    bounds = StreamBounds(sweep_s=0.01, views_every_s=0.02, daemon_close_s=0.02)
    async with guarding(tmp_path, live, bounds=bounds) as (guard, _):
        book = guard.desk.accounts
        assert isinstance(book, List)
        rows, book.found = book.found, Missing("reference_unavailable", "down")  # type: ignore[arg-type]
        caller = await Visitor(guard, "mine").opened()
        await live.push(MINE, QUOTE)
        assert await caller.texts(1) == [QUOTE]

        book.found = rows
        await until(lambda: caller.socket.view.acc_ids == frozenset({7}))
        await live.push(MINE, THEIRS, QUOTE)
        assert await caller.texts(2) == [MINE, QUOTE]

        book.found = ()
        await until(lambda: caller.socket.view.acc_ids == frozenset())
        await live.push(MINE, QUOTE)
        assert await caller.texts(1) == [QUOTE]


@pytest.mark.parametrize(
    ("then", "code", "word"),
    [
        (lambda talk: talk.writer.close(), 1012, "daemon_lost"),
        (Talk.reset, 1012, "daemon_lost"),
        (lambda talk: talk.say(BYE), 1012, "daemon_lost"),
        (lambda talk: talk.say(b"\xff\xff\xff\xff"), 1011, "daemon_bad_frame"),
        (lambda talk: talk.say(TOO_LONG), 1011, "daemon_bad_frame"),
    ],
    ids=["end", "reset", "close", "no frame", "too long"],
)
async def test_a_lost_stream_of_the_daemon_closes_the_callers(tmp_path: Path, then: Any, code: int, word: str) -> None:
    """Every caller that was fed is told to come again, or that the daemon makes no sense; counted by its word."""
    live = Live()
    async with guarding(tmp_path, live) as (guard, _):
        callers = [await Visitor(guard, who).opened() for who in ("bot", "quotes")]
        await live.push(QUOTE)
        done = then(live.talks[-1])
        if done is not None:
            await done

        assert [await caller.closed() for caller in callers] == [code, code]
        assert count(guard, "guard_ws_closed_total", word) == 2
        assert frames(guard) == {"relayed": 2}
        assert guard.relay.connections == 0
        await Visitor(guard).opened()
        assert len(live.talks) == 2


async def test_a_daemon_that_goes_silent_is_lost(tmp_path: Path) -> None:
    """A daemon that does not answer pings is gone, although its connection stands."""
    async with guarding(tmp_path, bounds=StreamBounds(daemon_ping_every_s=0.05, daemon_close_s=0.02)) as (guard, _):
        caller = await Visitor(guard).opened()

        assert await caller.closed() == 1012


async def test_one_stream_of_the_daemon_serves_everybody(tmp_path: Path) -> None:
    """Twelve handshakes at once, four keys: the daemon is dialled once, and each frame reaches each that may see it."""
    live = Live()
    async with guarding(tmp_path, live) as (guard, daemon):
        callers = [Visitor(guard, who) for who in ("bot", "quotes", "mine", "hk") for _ in range(3)]
        for caller in callers:
            await caller.opened()
        await live.push(QUOTE)

        assert [await caller.texts(1) for caller in callers] == [[QUOTE]] * 12
        assert daemon.connections == 1
        assert frames(guard) == {"relayed": 12}


async def test_a_stream_that_nobody_needs_is_let_go(tmp_path: Path) -> None:
    """A caller that leaves does not end it at once; some time later it is closed, and the next caller opens another."""
    live = Live()
    async with guarding(tmp_path, live, bounds=StreamBounds(idle_s=3600.0, daemon_close_s=0.02)) as (guard, daemon):
        caller = await Visitor(guard).opened()
        caller.hang_up()
        assert count(guard, "guard_ws_closed_total", "hung_up") == 1
        guard.relay.tick()
        assert guard.relay._feed.is_open
        assert guard.relay._taking is None, "nobody held anything"

        guard.relay._feed._needed_s -= 7200.0
        guard.relay.tick()
        await Visitor(guard).opened()
        assert daemon.connections == 2
        await live.push(QUOTE)
        guard.relay.tick()
        assert guard.relay._feed.is_open


async def test_a_caller_that_hangs_up_during_the_handshake_is_counted_and_forgotten(tmp_path: Path) -> None:
    """No socket, no decision, a request that failed; its place is free, and the next caller has what was begun."""
    gate, live = asyncio.Event(), Live()

    async def late(talk: Talk) -> None:
        await gate.wait()
        await live(talk)

    bounds = StreamBounds(sockets_per_key_max=1, daemon_close_s=0.02)
    async with guarding(tmp_path, late, bounds=bounds) as (guard, daemon):
        caller = Visitor(guard)
        await daemon.accepted.wait()
        caller.hang_up()
        await until(lambda: count(guard, "guard_requests_total", "/ws", "failed") == 1)
        other = Visitor(guard)
        gate.set()

        await other.opened()
        assert daemon.connections == 1


async def test_bytes_before_the_answer_refuse_the_handshake(tmp_path: Path) -> None:
    """Early data is not kept for later: the handshake is 400 and the connection ends."""
    async with guarding(tmp_path) as (guard, daemon):
        caller = Visitor(guard)
        await daemon.accepted.wait()
        caller.socket.data_received(b"\x81\x85\x00\x00\x00\x00hello")

        assert await caller.refusal() == (400, "bad_header")
        assert guard.relay.connections == 0


async def test_sockets_have_a_number_per_key_and_altogether(tmp_path: Path) -> None:
    """One more than the bound is 503, handshakes under way count, and a place is free when a socket has ended."""
    bounds = StreamBounds(sockets_per_key_max=2, sockets_max=4, daemon_close_s=0.02)
    async with guarding(tmp_path, bounds=bounds) as (guard, _):
        three = [Visitor(guard) for _ in range(3)]
        statuses = sorted([(await each.answer())[0] for each in three])
        assert statuses == [101, 101, 503]
        await Visitor(guard, "quotes").opened()
        await Visitor(guard, None).opened()
        assert await Visitor(guard, "hk").refusal() == (503, "overloaded")
        (refused,) = [each for each in three if not each.socket.is_open]
        assert (await refused.answer())[1]["retry-after"] == "1"

        next(each for each in three if each.socket.is_open).hang_up()
        await Visitor(guard).opened()
        assert guard.relay.connections == 4


async def test_a_slow_caller_is_cut_off_and_its_frames_counted(tmp_path: Path) -> None:
    """4008 for the one that does not read; what it did not get is counted as dropped, the others get theirs."""
    live = Live()
    async with guarding(tmp_path, live) as (guard, _):
        slow, fine = await Visitor(guard).opened(), await Visitor(guard).opened()
        slow.socket.pause_writing()
        slow.wire.unsent_bytes = 1 << 20
        await live.push(QUOTE)

        assert await slow.closed() == 4008
        assert await fine.texts(1) == [QUOTE]
        assert count(guard, "guard_ws_closed_total", "slow") == 1
        assert frames(guard) == {"dropped": 1, "relayed": 1}


async def test_a_message_of_a_caller_is_counted_as_refused(tmp_path: Path) -> None:
    """1008, and nothing of it reaches the daemon."""
    async with guarding(tmp_path) as (guard, daemon):
        caller = await Visitor(guard).opened()
        caller.socket.data_received(Frame(Opcode.TEXT, b"buy").serialize(mask=True, extensions=[]))

        assert await caller.closed() == 1008
        assert count(guard, "guard_ws_frames_total", "from_caller", "refused") == 1
        assert len(daemon.requests) == 1


async def test_silent_callers_are_found_by_the_sweep(tmp_path: Path) -> None:
    """A caller that answers no ping is ended 1011."""
    bounds = StreamBounds(sweep_s=0.01, ping_every_s=0.0, pong_within_s=0.02, daemon_close_s=0.02)
    async with guarding(tmp_path, bounds=bounds) as (guard, _):
        caller = await Visitor(guard).opened()
        await until(lambda: not caller.socket.is_open)

        assert [each.opcode for each in caller.frames()] == [Opcode.PING, Opcode.CLOSE]
        assert count(guard, "guard_ws_closed_total", "silent") == 1


async def test_a_fault_in_a_sweep_is_not_the_end_of_sweeps(tmp_path: Path) -> None:
    """The next look finds who is silent all the same."""
    bounds = StreamBounds(sweep_s=0.01, ping_every_s=0.0, pong_within_s=0.0, daemon_close_s=0.02)
    async with guarding(tmp_path, bounds=bounds) as (guard, _):
        faults: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
        guard.relay.revalidate, whole = None, guard.relay.revalidate  # type: ignore[assignment, method-assign]
        caller = await Visitor(guard).opened()
        await until(lambda: len(faults) == 2)
        assert caller.socket.is_open
        guard.relay.revalidate = whole  # type: ignore[method-assign]

        assert await caller.closed() == 1011
        assert {type(each["exception"]) for each in faults} == {TypeError}


async def test_everything_is_closed_at_the_end(tmp_path: Path) -> None:
    """Shutting down tells every caller 1001 at once; handshakes afterwards are refused."""
    async with guarding(tmp_path) as (guard, _):
        callers = [await Visitor(guard, who).opened() for who in ("bot", "quotes", None)]
        guard.desk.is_draining = True
        guard.relay.end_all()

        assert [await each.closed() for each in callers] == [1001, 1001, 1001]
        assert guard.relay.connections == 0
        assert count(guard, "guard_ws_closed_total", "shutdown") == 3
        assert await Visitor(guard).refusal() == (503, "draining")
        await guard.relay.close()


async def test_a_journal_that_is_broken_opens_no_sockets(tmp_path: Path) -> None:
    """What cannot be recorded is refused, after the daemon was connected and before the 101."""
    async with guarding(tmp_path) as (guard, _):
        (segment,) = (tmp_path / "state" / "journal").glob("*.jsonl")
        segment.unlink()
        await Visitor(guard).opened()  # its record is the first to meet the loss
        await until(lambda: guard.journal.failed is not None)

        assert await Visitor(guard).refusal() == (503, "journal_unavailable")
        assert guard.relay.connections == 1


async def test_a_fault_of_ours_refuses_or_ends(tmp_path: Path) -> None:
    """An exception in the relay is a refusal before the answer, 1011 after it; never silence."""

    class Broken(List):
        async def rows(self) -> tuple[AccountRow, ...] | Missing:
            raise RuntimeError("a bug")

    async with guarding(tmp_path) as (guard, _):
        guard.desk.accounts = Broken()
        with structlog.testing.capture_logs() as logged:
            assert await Visitor(guard, "mine").refusal() == (503, "rule_error")
            broken = Visitor(guard)
            guard.desk.subscriptions.arrived = None  # type: ignore[assignment, method-assign]
            await broken.opened()
            assert await broken.closed() == 1011

        assert [each["event"] for each in logged] == ["stream_failed", "stream_failed", "stream_ended"]
        assert guard.relay.connections == 0


async def test_every_ending_is_counted_from_zero(tmp_path: Path) -> None:
    """A series that begins with its first events shows no increase: the burst that made it was in no panel."""
    async with running(lay_out(tmp_path)) as guard:
        lines = (await operate(guard, "/metrics"))[1].splitlines()

    shown = {line for line in lines if line.startswith("guard_ws_closed_total{")}
    assert shown == {f'guard_ws_closed_total{{reason="{end.value.word}"}} 0.0' for end in End}
