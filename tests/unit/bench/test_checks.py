"""What the benchmark asks of a contestant before it is timed, and of its record afterwards."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import jwt
import pytest

from guard.access.issuers import LIFETIME_MAX_S

ROOT: Final = Path(__file__).parents[3]


def recorded(folder: Path, *, orders: int, refused: int = 0, sockets: int = 0) -> Path:
    """The state directory of a guard that passed and refused so many orders and opened so many sockets."""
    lines: list[dict[str, object]] = [{"type": "segment"}]
    for _ in range(orders):
        lines.append({"type": "decision", "endpoint": "/api/order", "outcome": "allow", "code": None})
        lines.append({"type": "outcome", "verdict": "accepted"})
    lines += [{"type": "decision", "endpoint": "/api/order", "outcome": "refuse", "code": "max_order_value"}] * refused
    lines += [{"type": "decision", "endpoint": "/ws", "outcome": "allow", "code": None}] * sockets
    (folder / "journal").mkdir(parents=True)
    (folder / "journal" / "00000001.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    return folder


@pytest.mark.parametrize(("sent", "refused", "laid"), [(4, 1, 0), (3, 1, 1), (4, 0, 0), (4, 1, 1), (5, 1, 0)])
def test_a_record_must_hold_what_was_sent_beside_what_was_laid_there(
    bench: Any, tmp_path: Path, sent: int, refused: int, laid: int
) -> None:
    """One order more or less, or a refusal that nobody sent, and there are no figures."""
    checks, state = bench("checks"), recorded(tmp_path / "state", orders=4, refused=1)

    def holds() -> dict[str, int]:
        found: dict[str, int] = checks.record_holds(state, sent={"order": sent, "refused": refused}, laid=laid)
        return found

    if sent + laid == 4 and refused == 1:
        assert holds() == {"allowed": sent, "accepted": sent, "refused": 1}
    else:
        with pytest.raises(bench("machine").Unfit, match="and sent were"):
            holds()


def test_every_socket_that_was_opened_is_in_the_record(bench: Any, tmp_path: Path) -> None:
    """One that is missing means no figures."""
    checks, state = bench("checks"), recorded(tmp_path / "state", orders=0, sockets=3)

    checks.sockets_recorded(state, opened=3)
    with pytest.raises(bench("machine").Unfit, match="holds 3 sockets, and 4 were opened"):
        checks.sockets_recorded(state, opened=4)


@pytest.mark.parametrize(
    ("answer", "is_right"),
    [
        (lambda body: (200, body), True),
        (lambda body: (200, body[:-1]), False),
        (lambda body: (200, body.replace(b"300.2", b"300.3", 1)), False),
        (lambda body: (502, body), False),
    ],
)
def test_the_long_answer_must_be_the_daemons_own(
    bench: Any, monkeypatch: pytest.MonkeyPatch, answer: Callable[[bytes], tuple[int, bytes]], *, is_right: bool
) -> None:
    """To the byte: one that is cut or changed wins no table."""
    checks = bench("checks")
    monkeypatch.setattr(checks, "posted", lambda *_, **__: answer(bench("daemon").HISTORY_BODY))
    asked = SimpleNamespace(name="nginx", port=1)

    if is_right:
        checks.histories([asked])
    else:
        with pytest.raises(bench("machine").Unfit, match="nginx: the long answer"):
            checks.histories([asked])


def test_who_knows_tokens_is_asked_by_a_good_one_and_by_each_bad_one(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One who takes a token without looking at it has no figures; the order by the good one is counted as sent."""
    checks, tokens = bench("checks"), bench("tokens")
    [good], bad = tokens.bearers(1), tokens.bad()
    shown: list[str] = []
    careless = {""}

    def ask(_port: int, _name: str, *, serial: int, bearer: str) -> tuple[int, dict[str, object]]:
        assert serial
        shown.append(bearer)
        is_taken = bearer == good or bearer in careless
        return (200, {"order_id_ex": "1"}) if is_taken else (401, {"err_code": "unauthenticated"})

    monkeypatch.setattr(checks, "ask", ask)
    server = SimpleNamespace(name="guard", port=1)
    checks._tokens(server, 1)
    assert shown == [good, *bad.values()]
    assert checks.asked("guard")["order"] == checks.asked("nginx-lua")["order"] + 1
    for what, bearer in bad.items():
        careless = {bearer}
        with pytest.raises(bench("machine").Unfit, match=what):
            checks._tokens(server, 1)


@pytest.mark.parametrize(
    ("given", "is_refused"),
    [
        ((403, {"err_code": "symbol", "ret_msg": "US.GME is blocked"}), True),
        ((400, {"err_code": "symbol"}), False),
        ((403, {"err_code": "no_policy", "ret_msg": "no policy covers this symbol"}), False),
        ((403, {}), False),
    ],
)
def test_a_refusal_counts_by_its_code_and_not_by_its_words(
    bench: Any, given: tuple[int, dict[str, object]], *, is_refused: bool
) -> None:
    """Who refuses for another reason, and names the right one in passing, has no figures."""
    checks, server = bench("checks"), SimpleNamespace(name="nginx-lua", port=1)

    if is_refused:
        checks._refuses(server, "a blocked symbol", given, status=403, code="symbol")
    else:
        with pytest.raises(bench("machine").Unfit, match="must be answered 403 symbol"):
            checks._refuses(server, "a blocked symbol", given, status=403, code="symbol")


@pytest.mark.parametrize("verdict", ["accepted", "refused", "unknown"])
def test_an_order_of_another_that_was_not_accepted_is_none(bench: Any, tmp_path: Path, verdict: str) -> None:
    """The daemon accepts all, so a file with any other verdict is wrong."""
    checks, path, last = bench("checks"), tmp_path / "audit.jsonl", "0" * 64
    for entry in ({"type": "decision", "outcome": "allow"}, {"type": "outcome", "verdict": verdict}):
        line = json.dumps({**entry, "prev": last})
        last = sha256(line.encode()).hexdigest()
        with path.open("a") as lines:
            lines.write(line + "\n")

    def holds() -> dict[str, int]:
        found: dict[str, int] = checks.audit_holds(path, sent={"order": 1, "refused": 0})
        return found

    if verdict == "accepted":
        assert holds() == {"allowed": 1, "accepted": 1, "refused": 0}
    else:
        with pytest.raises(bench("machine").Unfit, match="and sent were"):
            holds()


def test_tokens_outlast_a_run(bench: Any) -> None:
    """They are made at its beginning, and the guards of the sizes are asked by one after an hour."""
    tokens = bench("tokens")
    [bearer] = tokens.bearers(1)
    claims = jwt.decode(bearer, options={"verify_signature": False})

    assert claims["exp"] - claims["iat"] == tokens.LIFETIME_S
    assert 8 * 3600 <= tokens.LIFETIME_S <= LIFETIME_MAX_S
