"""The caller of the benchmark: whose key a connection shows, and what it looks at of an answer."""

import importlib
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[3]


class Written:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.said = b""

    def write(self, data: bytes) -> None:
        """Keep it."""
        self.said += data


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module."""
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    return importlib.import_module("load")


def shown(load: Any, bearers: list[str], *, connections: int, times: int) -> list[list[str]]:
    """What each connection shows, request by request."""
    run = load.Run(load.Job(1, ["order"], connections, bearers=bearers))
    found = []
    for number in range(connections):
        caller, transport = load.Caller(run, number), Written()
        caller.connection_made(transport)
        for _ in range(times):
            caller.ask(0)
        lines = transport.said.decode().split("\r\n")
        found.append([line.rpartition(" ")[2] for line in lines if line.startswith("Authorization")])
    return found


def test_connections_share_keys_where_there_are_fewer_and_take_turns_where_there_are_more(load: Any) -> None:
    """A connection keeps its key, as a program does; with more keys than connections nobody's key rests."""
    assert shown(load, ["a", "b"], connections=3, times=3) == [["a"] * 3, ["b"] * 3, ["a"] * 3]
    assert shown(load, ["a", "b", "c", "d"], connections=2, times=2) == [["a", "c"], ["b", "d"]]


@pytest.mark.parametrize(("due", "bad"), [(0, []), (3, []), (4, ["200 with 3 bytes"] * 2)])
async def test_an_answer_of_the_wrong_length_is_a_bad_one(load: Any, due: int, bad: list[str]) -> None:
    """Every answer of the window is measured, not the first alone."""
    run = load.Run(load.Job(1, ["history"], 1, count=2, answer_bytes=due))
    caller = load.Caller(run, 0)
    caller.connection_made(Written())
    caller.ask(0)
    for _ in range(2):
        caller.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab")
        caller.data_received(b"c")
    assert run.bad == bad
    assert run.over.is_set()
