"""The operational log: what cannot be written does not stop what it tells of."""

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from guard.journal import gaps
from guard.logs import Sink, concerns, configure
from tests.support.disk import FaultyDisk
from tests.support.stage import code_of, is_passed, stage


class Narrow(io.StringIO):
    """A stream that takes lines only while it has room."""

    has_room = True

    def write(self, text: str) -> int:
        """The text, or the disk is full."""
        if not self.has_room:
            raise OSError(28, "No space left on device")
        return super().write(text)


@pytest.fixture(name="_full_log")
def _on_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    stream = Narrow()
    stream.has_room = False
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", stream)
        configure(is_json=True)
        structlog.configure(cache_logger_on_first_use=False)  # other tests have their own log
    yield
    configure()  # what is told of the stream before goes with it
    structlog.reset_defaults()


def test_lines_that_were_lost_are_counted_and_told_when_there_is_room() -> None:
    """While they are lost it stands among the concerns; then the stream itself says how many."""
    stream = Narrow()
    sink = Sink(stream)
    sink.write("one\n")
    stream.has_room = False
    sink.write("two\n")
    sink.write("three\n")
    assert sink.concerns() == (
        "log: its stream takes no lines (No space left on device), 2 were lost; make room, or mend its reader",
    )
    stream.has_room = True
    sink.write("four\n")
    first, told, last = stream.getvalue().splitlines()
    assert (first, last, json.loads(told)["lines"]) == ("one", "four", 2)
    assert sink.concerns() == ()


def test_a_stream_that_was_closed_raises_nothing() -> None:
    """Whoever reads the log is gone."""
    stream = io.StringIO()
    sink = Sink(stream)
    stream.close()
    sink.write("one\n")
    sink.flush()
    assert len(sink.concerns()) == 1


@pytest.mark.usefixtures("_full_log")
async def test_a_disk_that_takes_neither_record_nor_log_lets_cancels_pass(tmp_path: Path) -> None:
    """Log and record lie on the same full disk: each request is answered, and readiness says that lines are lost."""
    disk = FaultyDisk()
    async with stage(tmp_path, disk=disk) as scene:
        order = await scene.placed()
        await scene.written()
        disk.write_bytes_left = 0
        assert code_of(await scene.place()) == (503, "journal_unavailable")
        assert is_passed(await scene.cancel(order))
        assert any("takes no lines" in word for word in concerns())
    assert gaps.read(tmp_path / "state") is not None
