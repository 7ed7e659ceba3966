"""What the benchmark asks of a contestant before it is timed, and of its record afterwards."""

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[3]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The modules of the benchmark by name."""
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    return importlib.import_module


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
        return (200, {"order_id_ex": "1"}) if is_taken else (401, {"code": "unauthenticated"})

    monkeypatch.setattr(checks, "ask", ask)
    server = SimpleNamespace(name="guard", port=1)
    checks._tokens(server, 1)
    assert shown == [good, *bad.values()]
    assert checks.asked("guard")["order"] == checks.asked("nginx-lua")["order"] + 1
    for what, bearer in bad.items():
        careless = {bearer}
        with pytest.raises(bench("machine").Unfit, match=what):
            checks._tokens(server, 1)
