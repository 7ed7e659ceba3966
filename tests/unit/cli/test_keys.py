"""`guard keys` as people type it: what is printed, what is written, how it exits."""

import hashlib
import json
import stat
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from socketserver import UnixStreamServer
from typing import Any, ClassVar

import pytest

from guard.access import authenticate
from guard.access.keyfile import load
from guard.cli.keys import app
from guard.clock import SystemClock
from guard.terms import Principal
from tests.support.commands import Done, called


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory and no variables of the guard's."""
    monkeypatch.chdir(tmp_path)
    for name in ("GUARD_KEY", "GUARD_KEYS", "GUARD_OPS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def guard(line: str, *more: str) -> Done:
    """`guard keys <line>`."""
    return called(app, *line.split(), *more)


def answer(line: str, *more: str) -> Any:
    """The JSON that the command prints; it must succeed."""
    result = guard(line, *more, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def works(plaintext: str, *, later: timedelta = timedelta(0), path: str = "keys.json") -> bool:
    """Whether the plaintext gets in."""
    found = authenticate(load(Path(path)), plaintext, now=SystemClock().wall() + later)
    return isinstance(found, Principal)


def test_new_prints_the_plaintext_once_and_writes_only_the_hash(here: Path) -> None:
    """Standard output is the key and nothing else, so that a shell can catch it."""
    result = guard("new --id bot --scopes qot:read,acc:read")
    plaintext = result.stdout.strip()

    assert result.exit_code == 0
    assert plaintext.startswith("gk_")
    assert len(plaintext) == 67
    assert result.stdout == plaintext + "\n"
    written = (here / "keys.json").read_text()
    assert plaintext not in written
    assert "sha256:" + hashlib.sha256(plaintext.encode()).hexdigest() in written
    assert stat.S_IMODE((here / "keys.json").stat().st_mode) == 0o600
    assert works(plaintext)


@pytest.mark.parametrize(
    ("scopes", "named"), [("guard:operate", "guard:operate"), ("admin", "guard:policy"), ("qot:read", "")]
)
def test_a_key_that_may_not_use_what_it_is_given_is_told_so(here: Path, scopes: str, named: str) -> None:
    """The guard's own scopes are for persons: without an owner they open nothing."""
    alone, owned = guard(f"new --id a --scopes {scopes}"), guard(f"new --id b --scopes {scopes} --owner Ada")

    assert ("without --owner" in alone.stderr, named in alone.stderr) == (bool(named), True)
    assert "without --owner" not in owned.stderr


def test_every_limit_flag_reaches_the_file() -> None:
    """Flags are the record's fields."""
    said = answer(
        "new --id bot --scopes trade:real --allowed-markets HK,US --allowed-symbols HK.00700,US.AAPL"
        " --allowed-trd-sides BUY,SELL --allowed-acc-ids 281756478875559548,7 --allowed-card-nums 7680"
        " --max-order-value 100000.5 --max-daily-value 5e5 --max-orders-per-minute 5 --hours-window 09:30-16:00"
        " --owner Ada --note",
        "two words",
    )

    assert said["limits"] == {
        "allowed_acc_ids": [7, 281756478875559548],
        "allowed_card_nums": ["7680"],
        "allowed_markets": ["HK", "US"],
        "allowed_symbols": ["HK.00700", "US.AAPL"],
        "allowed_trd_sides": ["BUY", "SELL"],
        "max_order_value": 100000.5,
        "max_daily_value": 500000,
        "max_orders_per_minute": 5,
        "hours_window": "09:30-16:00",
    }
    assert (said["owner"], said["note"], said["errors"]) == ("Ada", "two words", [])
    assert works(said["key"])


@pytest.mark.parametrize(("expires", "hours"), [("30d", 720), ("12h", 12), ("120m", 2)])
def test_a_key_ends_after_its_duration(expires: str, hours: int) -> None:
    """Days, hours or minutes from now."""
    plaintext = guard(f"new --id bot --scopes qot:read --expires {expires}").stdout.strip()

    assert works(plaintext, later=timedelta(hours=hours, minutes=-1))
    assert not works(plaintext, later=timedelta(hours=hours))


def test_a_key_may_end_at_a_moment() -> None:
    """RFC 3339 with a zone, told in UTC."""
    said = answer("new --id bot --scopes qot:read --expires 2999-01-01T08:00:00+08:00")

    assert said["expires_at"] == "2999-01-01T00:00:00Z"


@pytest.mark.parametrize(
    "flags",
    [
        "--expires 30",
        "--expires 0d",
        "--expires 2020-01-01T00:00:00Z",
        "--expires 2999-01-01T00:00:00",
        "--max-order-value 1,000",
        "--max-order-value NaN",
        "--max-order-value true",
        '--max-order-value "5"',
        "--allowed-acc-ids x",
        "--allowed-acc-ids \uff11",
    ],
)
def test_what_is_no_time_or_number_is_wrong_usage(here: Path, flags: str) -> None:
    """Nothing is made; `guard` turns this exit into 64."""
    assert guard(f"new --id bot --scopes qot:read {flags}").exit_code == 64
    assert list(here.iterdir()) == []


def test_every_error_of_a_record_is_told_at_once_and_nothing_is_made(here: Path) -> None:
    """Exit 1, no file, no plaintext; an empty card list is ambiguous (B30)."""
    result = guard(
        "new --id b/t --scopes trade --max-order-value -1 --hours-window 9-5 --allowed-card-nums", "", "--json"
    )

    assert result.exit_code == 1
    said = json.loads(result.stdout)
    assert [word in " ".join(said["errors"]) for word in ("id:", "scopes:", "max_order_value:", "hours_window:")] == [
        True
    ] * 4
    assert "ambiguous" in " ".join(said["errors"])
    assert "gk_" not in result.stdout
    assert list(here.iterdir()) == []


def test_an_id_is_given_once(here: Path) -> None:
    """The second one is refused in words, without a traceback."""
    guard("new --id bot --scopes qot:read")
    before = (here / "keys.json").read_bytes()
    result = guard("new --id bot --scopes qot:read")

    assert result.exit_code == 1
    assert result.stdout == ""
    assert "rotate it, or choose another id" in result.stderr
    assert (here / "keys.json").read_bytes() == before


def test_list_never_shows_a_hash_in_full() -> None:
    """Eight digits tell keys apart; people and programs see the same."""
    key = answer("new --id bot --scopes qot:read,acc:read --max-order-value 5 --owner Ada --expires 30d")["key"]
    digest = hashlib.sha256(key.encode()).hexdigest()

    table = guard("list").stdout
    listed = answer("list")
    assert listed[0]["hash"] == f"sha256:{digest[:8]}..."
    assert listed[0]["state"] == "works"
    for word in ("bot", "acc:read, qot:read", "max_order_value 5", "Ada", digest[:8]):
        assert word in table.splitlines()[1]  # in a pipe a key is a line
    assert digest[:9] not in table + json.dumps(listed)
    assert key not in table + json.dumps(listed)


def test_list_says_which_keys_do_not_work(here: Path) -> None:
    """Expired, and disabled by allowed_machines."""
    records = [
        {"id": "old", "hash": "ab" * 32, "scopes": ["qot:read"], "expires_at": "2020-01-01T00:00:00Z"},
        {"id": "bound", "hash": "cd" * 32, "scopes": ["qot:read"], "allowed_machines": []},
    ]
    (here / "keys.json").write_text(json.dumps({"version": 1, "keys": records}))
    (here / "keys.json").chmod(0o600)

    assert [row["state"] for row in answer("list")] == ["expired", "disabled"]


@pytest.mark.parametrize("line", ["list", "revoke bot", "rotate bot"])
@pytest.mark.parametrize("has_file", [True, False])
def test_a_file_that_is_absent_or_unsafe_is_told_with_exit_1(here: Path, line: str, has_file: bool) -> None:
    """With the chmod that mends it, or the command that makes one."""
    if has_file:
        (here / "keys.json").write_text('{"version":1,"keys":[]}')
        (here / "keys.json").chmod(0o644)
    result = guard(line)

    assert result.exit_code == 1
    assert ("chmod 600" if has_file else "guard keys new") in result.stderr


def test_revoke_ends_a_key_and_says_who_is_left() -> None:
    """A rotated sibling still lets the same caller in; --all takes it too."""
    old = answer("new --id bot --scopes qot:read")["key"]
    new = answer("rotate bot")["key"]
    result = guard("revoke bot")

    assert result.exit_code == 0
    assert "revoked bot;" in result.stdout
    assert "still let in under this name: bot@2" in result.stderr
    assert (works(old), works(new)) == (False, True)
    assert answer("revoke bot --all") == {"revoked": ["bot@2"], "left": []}
    assert not works(new)
    assert guard("revoke bot").exit_code == 1


@pytest.mark.parametrize("line", ["new --id guard --scopes qot:read", "rotate bot", "revoke bot"])
def test_who_is_to_read_the_file_again_is_told_for_the_daemons_too(line: str) -> None:
    """A file may be the daemon's own, which no command of the guard's makes it read."""
    guard("new --id bot --scopes qot:read --file daemon-keys.json")
    said = guard(f"{line} --file daemon-keys.json")

    assert "again by guard keys reload, the daemon by SIGHUP, the simulated one by a restart" in said.output


def test_rotate_overlaps_and_both_are_one_caller() -> None:
    """The old plaintext works for the overlap, the new one at once."""
    old = answer("new --id bot --scopes qot:read --max-order-value 5")["key"]
    said = answer("rotate bot --overlap 2h")

    assert said["id"] == "bot@2"
    assert said["limits"] == {"max_order_value": 5}
    assert [row["id"] for row in said["alike"]] == ["bot"]
    assert works(old, later=timedelta(hours=1, minutes=59))
    assert not works(old, later=timedelta(hours=2))
    assert works(said["key"], later=timedelta(days=99))
    assert {record.name for record in load(Path("keys.json")).records} == {"bot"}


def test_rotate_gives_the_new_key_an_end_of_its_own() -> None:
    """Without one it ends when the old one would have, which cures no key that is about to expire."""
    guard("new --id bot --scopes qot:read --expires 3d")

    assert not works(answer("rotate bot")["key"], later=timedelta(days=4))
    new = answer("rotate bot --expires 90d")["key"]
    assert works(new, later=timedelta(days=89))
    assert not works(new, later=timedelta(days=91))
    assert guard("rotate bot --expires yesterday").exit_code == 64


def test_rotate_tells_people_when_the_old_key_ends() -> None:
    """Standard output stays the key alone."""
    guard("new --id bot --scopes qot:read")
    result = guard("rotate bot")

    assert result.stdout.startswith("gk_")
    assert result.stdout.count("\n") == 1
    assert "bot, the same caller: works until 20" in result.stderr
    told = guard("rotate bot --overlap 0m").stderr
    assert "bot@2, the same caller: expired at 20" in told


def test_rotate_tells_people_that_tokens_end_with_the_old_key() -> None:
    """The `sub` of a token is the id of one record: its issuer has to write the new one before the old one ends."""
    guard("new --id bot --scopes qot:read")

    assert "tokens whose sub is bot end with it: have their issuer write bot@2 before" in guard("rotate bot").stderr
    assert "tokens whose sub is bot@2 end with it: have their issuer write bot@3 before" in guard("rotate bot").stderr


def test_an_overlap_is_a_duration() -> None:
    """Anything else is wrong usage."""
    assert guard("rotate bot --overlap soon").exit_code == 64


def test_the_file_is_the_flags_the_variables_or_the_settings(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this order; a settings file's paths are relative to itself."""
    (here / "etc").mkdir()
    (here / "etc" / "guard.toml").write_text('[keys]\nfile = "callers.json"\n')
    guard("new --id a --scopes qot:read --config etc/guard.toml")
    monkeypatch.setenv("GUARD_KEYS", "var.json")
    guard("new --id b --scopes qot:read --config etc/guard.toml")
    guard("new --id c --scopes qot:read --config etc/guard.toml --state s --file flag.json")

    assert list(load(here / "etc" / "callers.json").by_id) == ["a"]
    assert list(load(here / "var.json").by_id) == ["b"]
    assert list(load(here / "flag.json").by_id) == ["c"]


@pytest.mark.parametrize("text", [None, "[keys]\nfiles = 1\n"])
def test_settings_that_cannot_be_used_are_told(here: Path, text: str | None) -> None:
    """A named file must exist and be good."""
    if text is not None:
        (here / "bad.toml").write_text(text)

    result = guard("list --config bad.toml")
    assert result.exit_code == 1
    assert "bad.toml" in result.stderr


class Ops(BaseHTTPRequestHandler):
    """An ops listener that knows one key."""

    seen: ClassVar[list[tuple[str, str]]] = []

    def do_POST(self) -> None:
        """Answer as the guard would."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        Ops.seen.append((self.path, body))
        is_good = self.headers["Authorization"] == "Bearer good"
        said = b'{"result":"applied"}' if is_good else b'{"error":"a valid key is needed"}'
        self.send_response(200 if is_good else 401)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's signature
        """Say nothing."""


class UnixServer(UnixStreamServer):
    """The same over a unix socket; its peers have no address."""

    def get_request(self) -> tuple[Any, Any]:
        """A peer that the handler can name."""
        return super().get_request()[0], ("unix", 0)


@pytest.fixture(params=["tcp", "unix"])
def ops(request: pytest.FixtureRequest, here: Path) -> Iterator[str]:
    """The address of a running ops listener."""
    Ops.seen.clear()
    server: HTTPServer | UnixServer
    if request.param == "tcp":
        server = HTTPServer(("127.0.0.1", 0), Ops)
        place = f"127.0.0.1:{server.server_port}"
    else:
        server = UnixServer(str(here / "ops.sock"), Ops)
        place = f"unix:{here / 'ops.sock'}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield place
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(("key", "code", "word"), [("good", 0, "applied"), ("bad", 1, "a valid key")])
def test_reload_asks_the_ops_listener_and_passes_its_answer(
    ops: str, monkeypatch: pytest.MonkeyPatch, key: str, code: int, word: str
) -> None:
    """Over TCP and over a unix socket; a refusal is exit 1."""
    monkeypatch.setenv("GUARD_KEY", key)
    result = guard(f"reload --ops {ops} --reason", "bot left")

    assert result.exit_code == code
    assert word in (result.stdout if code == 0 else result.stderr)
    assert Ops.seen == [("/admin/keys/reload", '{"reason":"bot left"}')]


@pytest.mark.parametrize("place", ["127.0.0.1:1", "unix:/nowhere", "nonsense"])
def test_reload_without_a_guard_is_told_in_words(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """Nobody listens, or the address is none."""
    monkeypatch.setenv("GUARD_KEY", "good")
    result = guard(f"reload --ops {place}")

    assert result.exit_code == 1
    assert "could not be asked" in result.stderr


def test_reload_needs_a_key() -> None:
    """GUARD_KEY is the only way to give it: never a flag that others could read."""
    result = guard("reload")

    assert result.exit_code == 1
    assert "GUARD_KEY" in result.stderr
