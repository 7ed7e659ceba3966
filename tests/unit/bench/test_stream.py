"""The callers of the stream's benchmark look at every byte of every frame."""

import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[3]
WELCOME: Final = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module."""
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    return importlib.import_module("stream")


def crowd_of_two(stream: Any) -> tuple[Any, list[Any]]:
    """Two callers whose sockets are open."""
    crowd = stream.Crowd(2)
    crowd.callers = [stream.Caller(crowd, number) for number in range(2)]
    for caller in crowd.callers:
        caller.data_received(WELCOME)
    crowd.delivered = 0
    return crowd, crowd.callers


async def test_a_burst_is_over_when_everybody_has_it_whole(stream: Any) -> None:
    """In whatever pieces it comes; and each is counted."""
    crowd, (one, other) = crowd_of_two(stream)
    burst = stream.burst_of(2, first=49)
    assert burst == stream.FRAMES[49] + stream.FRAMES[0]

    async def push() -> None:
        one.data_received(burst[:100])
        one.data_received(burst[100:])
        assert not crowd.settled.is_set()
        other.data_received(burst)

    await crowd.all_have(burst, push)
    assert crowd.delivered == 2


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda burst: burst[:-1] + b"!",
        lambda burst: burst[: len(burst) // 2] * 2,
        lambda burst: burst + burst[:7],
    ],
)
async def test_a_frame_that_is_another_or_too_much_ends_the_run(stream: Any, spoilt: Callable[[bytes], bytes]) -> None:
    """One byte is enough."""
    crowd, (one, other) = crowd_of_two(stream)
    burst = stream.burst_of(2, first=3)

    async def push() -> None:
        one.data_received(burst)
        other.data_received(spoilt(burst))

    with pytest.raises(stream.machine.Unfit, match="caller 1 got"):
        await crowd.all_have(burst, push)


async def test_what_comes_after_a_whole_burst_is_too_much(stream: Any) -> None:
    """The same frames once more, while others wait for theirs."""
    crowd, (one, other) = crowd_of_two(stream)
    burst = stream.burst_of(1, first=3)

    async def push() -> None:
        one.data_received(burst)
        one.data_received(burst[:5])
        other.data_received(burst)

    with pytest.raises(stream.machine.Unfit, match="caller 0 got 5 bytes too many"):
        await crowd.all_have(burst, push)


@pytest.mark.parametrize(("said", "is_right"), [("1.5 12", True), ("1.5 11", False), ("", False)])
def test_callers_who_did_not_get_everything_have_no_figures(stream: Any, said: str, *, is_right: bool) -> None:
    """Nor those who ended without a word."""
    script = f"input(); print({said!r})" if said else "input()"
    command, pipe = [sys.executable, "-c", script], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as callers:  # noqa: S603 - ours
        if is_right:
            assert stream.told(callers, 2, 3, sockets=2) == 1.5
        else:
            with pytest.raises(stream.machine.Unfit, match="12 frames had to be delivered"):
                stream.told(callers, 2, 3, sockets=2)
