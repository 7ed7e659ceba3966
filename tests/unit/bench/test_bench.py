"""The benchmark starts, says how it is used, and refuses a directory where a sync costs nothing."""

import importlib
import subprocess
import sys
from http import HTTPStatus
from itertools import chain, count, repeat
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest
from aiohttp import ClientConnectionResetError

from guard.catalogue import find
from guard.intent import parse
from guard.journal.examine import examine
from guard.journal.segments import read_lines, replay, segment_numbers
from guard.recovery.readback import Recovered, fold
from guard.terms import Endpoint, Refusal

ROOT: Final = Path(__file__).parents[3]
machine: Final[Any] = importlib.import_module("bench.machine")  # its own programs call it `machine`
MOUNTS: Final = """\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
23 22 0:21 / /proc rw,nosuid - proc proc rw
24 22 0:25 / /cache rw,nosuid shared:3 - tmpfs tmpfs rw
25 22 0:26 / /mnt/with\\040blank rw - tmpfs tmpfs rw
26 22 254:16 / /mnt rw - xfs /dev/vdb rw
27 24 254:32 / /cache rw - ext4 /dev/vdc rw
"""


@pytest.mark.parametrize(
    ("script", "options"),
    [
        ("run.py", {"--quick", "--work", "--report", "--python"}),
        ("record.py", {"--records", "--work", "--report"}),
        ("edge.py", {"--rounds", "--seconds", "--report"}),
        ("gate.py", {"--ratio", "--rounds"}),
        ("stream.py", {"--quick", "--json", "--report"}),
    ],
)
def test_help_names_the_options(script: str, options: set[str]) -> None:
    """`--help` works without measuring anything."""
    command = [sys.executable, str(ROOT / "bench" / script), "--help"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 - our own script

    assert options <= set(said.replace(",", " ").replace("[", " ").replace("]", " ").split())


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/bench/work", "ext4"),
        ("/mnt/data", "xfs"),
        ("/mnt/with blank/work", "tmpfs"),
        ("/mnt/without", "xfs"),
        ("/cache/work", "ext4"),
        ("/proc", "proc"),
    ],
)
def test_the_innermost_and_latest_mount_decides(path: str, kind: str) -> None:
    """A path lies on the mount with the longest name that holds it, and of two with one name on the later one."""
    assert machine.filesystem_of(Path(path), MOUNTS) == kind


def test_a_directory_in_memory_is_refused(tmp_path: Path) -> None:
    """On tmpfs a durable order would look free, so nothing is measured there."""
    assert machine.real_disk(tmp_path, mounts=MOUNTS) == "ext4"
    with pytest.raises(machine.Unfit, match="tmpfs"):
        machine.real_disk(tmp_path, mounts="22 1 0:25 / / rw - tmpfs tmpfs rw")


@pytest.mark.parametrize(
    ("values", "is_more_better", "said"),
    [
        ([3.0, 3.0, 0.5], False, "**not met**"),
        ([2.0], False, "met"),
        ([1.0], False, "aim met"),
        ([1.0], True, "**not met**"),
        ([3.0], True, "met"),
        ([], False, "not measured"),
    ],
)
def test_a_figure_that_is_not_held_is_said_not_to_be(
    monkeypatch: pytest.MonkeyPatch, values: list[float], said: str, *, is_more_better: bool
) -> None:
    """The median decides, the bound itself is held, and what was not measured is not called held."""
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    wanted = importlib.import_module("figures").Wanted
    bounds = (2.0, 4.0) if is_more_better else (2.0, 1.0)

    assert wanted("cost", *bounds, lambda _: values, is_more_better).row(None)[-1] == said


def test_the_core_is_measured_by_rules_and_open_orders(tmp_path: Path) -> None:
    """A short run: each row has as many open orders as it says, and the page tells how the cost moves with them."""
    command = [sys.executable, str(ROOT / "bench" / "core.py"), "--rounds", "1", "--count", "20", "--records", "0"]
    page = tmp_path / "page.md"
    subprocess.run([*command, "--open", "5", "50", "--report", str(page)], check=True, capture_output=True)  # noqa: S603 - our own script

    rows = [line.split("|")[1:5] for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    told = [(int(rules), int(live)) for rules, _, _, live in rows[1:] if rules.strip().isdigit()]
    assert told == [(rules, live) for rules in (1, 20, 200) for live in (5, 50)]
    assert "From 5 to 50 open orders an order's cost moves by" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("tries", "is_held", "asked"),
    [
        ([[0.5, 0.6, 9.0]], True, [3]),
        ([[0.7]], True, [3]),
        ([[0.8, 0.9, 0.1], [0.6]], True, [3, 6]),
        ([[0.8, 0.9, 0.1], [0.9, 0.71]], False, [3, 6]),
    ],
)
def test_the_gate_holds_the_median_and_tries_twice(
    monkeypatch: pytest.MonkeyPatch, tries: list[list[float]], asked: list[int], *, is_held: bool
) -> None:
    """The median ratio decides; what fails is measured once more with twice the rounds, and then it stands."""
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    gate = importlib.import_module("gate")
    left, rounds = [*tries], []

    def measure(times: int) -> dict[str, list[float]]:
        rounds.append(times)
        found = left.pop(0)
        return {"guard": [100 * each for each in found], "aiohttp": [100.0] * len(found)}

    assert gate.held(measure, ratio_max=0.7, rounds=3) is is_held
    assert rounds == asked


def test_the_gate_measures_both_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is first changes from round to round, and what is told leaves out the outer quarters."""
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    gate = importlib.import_module("gate")
    asked: list[str] = []

    def cpu_us(_field: object, server: SimpleNamespace) -> float:
        asked.append(server.name)
        return float(len(asked))

    monkeypatch.setattr(gate, "cpu_us", cpu_us)
    field = SimpleNamespace(servers=[SimpleNamespace(name=name) for name in ("direct", "guard", "aiohttp")])

    assert gate.measured(field, 2) == {"direct": [1.0], "guard": [2.0, 5.0], "aiohttp": [3.0, 4.0]}
    assert asked == ["direct", "guard", "aiohttp", "aiohttp", "guard"]
    assert gate.middle([9.0, 0.1, 2.0, 3.0]) == [2.0, 3.0]


def test_memory_is_the_least_that_is_read_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is free and not given back yet is in some readings and not in others."""
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    memory = importlib.import_module("memory")
    monkeypatch.setattr(memory, "time", SimpleNamespace(monotonic=count().__next__, sleep=lambda _: None))
    readings = chain([5, 7, 3], repeat(4))
    monkeypatch.setattr(memory.machine, "rss_bytes", lambda _pid: next(readings))

    assert memory.least_bytes(1, seconds=3.5) == 3
    assert memory.least_bytes(1, seconds=0.0) == 4


def test_the_interpreter_that_is_named_is_taken_and_the_fastest_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interpreter that does not run is no candidate; the others are told with their time, the fastest first."""
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    interpreter = importlib.import_module("interpreter")
    times = [each.loop_ms for each in interpreter.candidates()]

    assert times
    assert times == sorted(times)
    assert [each.path for each in interpreter.chosen(Path(sys.executable))] == [Path(sys.executable)]
    with pytest.raises(SystemExit, match="does not run"):
        interpreter.chosen(Path("/nowhere/python3"))


def test_a_long_record_is_one_that_a_guard_could_have_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its chain and its trees hold over all segments, its orders are over, and it is as long as it was asked to be."""
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    past, state = importlib.import_module("past"), tmp_path / "state"
    monkeypatch.setattr(past, "SEGMENT_BYTES_MAX", 100_000)
    past.lay(state, records=300)

    found, segments = Recovered(), len(segment_numbers(state))
    for line in replay(state):
        fold(found, [line])
    assert segments > 1
    assert found.records == 300 + segments
    assert not found.state.holders
    whole = examine(read_lines(state), (), ())
    assert (whole.records, whole.message) == (found.records, "cannot verify: there is no checkpoint")


def test_the_proxy_of_the_benchmark_refuses_a_bad_body_as_the_guard_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an odd order is the fault of its body, both parsers say so with the same code."""
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    monkeypatch.syspath_prepend(str(ROOT / "bench" / "idiomatic"))
    asks, orders = importlib.import_module("asks"), importlib.import_module("orders")
    refused = importlib.import_module("refusals").Refused

    for body, status, code in asks.ODD.values():
        if status != HTTPStatus.BAD_REQUEST:
            continue
        with pytest.raises(refused) as why:
            orders.order_of(body)
        assert why.value.code == code
        refusal = parse(endpoint(), body)
        assert isinstance(refusal, Refusal)
        assert refusal.code == code


def endpoint() -> Endpoint:
    """Where new orders go."""
    found = find("POST", "/api/order")
    assert isinstance(found, Endpoint)
    return found


async def test_the_hub_of_the_benchmark_tells_every_caller_and_forgets_who_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One stream is for all sockets: a frame reaches each of them, whoever left before it."""
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    hub = importlib.import_module("stream").Hub(1)

    class Caller:
        def __init__(self, *, is_gone: bool) -> None:
            self.is_gone, self.got = is_gone, list[str]()

        async def send_str(self, text: str) -> None:
            if self.is_gone:
                raise ClientConnectionResetError
            self.got.append(text)

    there, gone = [Caller(is_gone=False), Caller(is_gone=False)], Caller(is_gone=True)
    hub.callers.update((there[0], gone, there[1]))
    await hub.tell("one")
    await hub.tell("two")
    assert [caller.got for caller in there] == [["one", "two"]] * 2
    assert hub.callers == set(there)


def test_before_memory_is_read_windows_of_a_minute_run_empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is asked for so long, then one round of the mix by every caller, then it is read."""
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    memory = importlib.import_module("memory")
    happened: list[object] = []

    class Caller:
        servers = (SimpleNamespace(pid=1),)

        def perform(self, _server: object, job: Any) -> None:
            happened.append(job.count)

    def read(_pid: int, *, seconds: float) -> int:
        happened.append(f"read for {seconds}")
        return 0

    monkeypatch.setattr(memory.time, "sleep", lambda seconds: happened.append(f"nothing for {seconds}"))
    monkeypatch.setattr(memory, "least_bytes", read)
    monkeypatch.setattr(memory.machine, "rss_bytes", lambda _pid: 0)
    plan = SimpleNamespace(memory=100, memory_more=10, memory_rate=0.0, settle_s=21.0, idle_s=62.0, orders=5)
    memory.remember(Caller(), plan, tmp_path, say=lambda _: None)
    reading = ["nothing for 62.0", memory.CONNECTIONS * len(memory.MIX), "read for 21.0"]
    assert happened[:8] == [100, *reading, 1, *reading]
    assert happened[-4:] == [25, *reading]
