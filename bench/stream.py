"""What a relayed WebSocket frame costs: the guard against a relay and a hub of aiohttp, at 1, 100 and 1,000 sockets.

A daemon that pushes quotes, one contestant at a time on a core of its own, and callers who ask for the next burst when
every socket has the last one whole, so nobody is overrun and nothing is conflated. Each caller compares what comes with
what the daemon sent, to the byte, and no burst begins as the one before. CPU is the contestant's own, by frame
delivered to a socket. The relay opens a stream of the daemon for each caller, as a proxy does. The hub has one for all,
as the guard has, and sends what comes to each caller in turn: who does not read holds up all others. Both run on uvloop
and look at nothing: no key, no scope, no bound. The guard does all it does in production. Beside them stand the sends
alone (`sends.py`), below which nobody can be.

    python bench/stream.py [--quick] [--json] [--report docs/performance-stream.md]
"""

import argparse
import asyncio
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final, cast

import aiohttp
import machine
import uvloop
from aiohttp import web
from contestants import BIN, free_port

ROOT: Final = Path(__file__).parents[1]
CONTESTANTS: Final = ("guard", "aiohttp", "hub", "sends")
SOCKETS: Final = (1, 100, 1000)
BURSTS: Final = (1, 32)
PER_KEY: Final = 16  # what the guard allows one key
CONTESTANT_CORE, OTHER_CORE = 0, 1
DELIVERIES: Final = 60_000
QUICK: Final = 20_000
LIVES_S: Final = 8.0
AGAIN_S: Final = 1.0
BURSTS_MAX: Final = 1000  # bursts of a round
LATE_S: Final = 0.05  # in which what is too much would have come
ROUNDS: Final = 3
_SYMBOLS: Final = 50


_DOCUMENT: Final = """\
# What a relayed frame costs

Written by `bench/stream.py --report docs/performance-stream.md`, which also says what is compared and how. CPU is the
contestant's own, in µs by frame delivered to one socket; a burst is what the daemon sends at once.

```
{table}
```

{where}. Median of {rounds} rounds. Load average at the end: {load}; single frames suffer most from neighbours.

A frame that comes alone costs one system call for each socket, which no relay can save, and little else: *sends* is a
loop that does nothing else. Frames that come together are written together, so the more there is to do the less each
frame costs. The *relay* of aiohttp opens a stream of the daemon for each caller, the *hub* has one for all, as the
guard has.
"""


def frames() -> list[bytes]:
    """Push frames of about 250 bytes, as a server writes them: quotes of fifty symbols."""
    body = b64encode(bytes(range(120))).decode()
    found = []
    for number in range(_SYMBOLS):
        said = {"type": "quote", "proto_id": 3005, "sec_key": f"1_{number:05}", "body_b64": body}
        data = json.dumps(said).encode()
        found.append(b"\x81\x7e" + len(data).to_bytes(2) + data)
    return found


FRAMES: Final = frames()


def burst_of(count: int, *, first: int) -> bytes:
    """So many frames one behind the other, as they are sent and must come, beginning with the one at place `first`."""
    return b"".join(FRAMES[place % _SYMBOLS] for place in range(first, first + count))


def plain_key(number: int) -> str:
    """The bearer of a caller."""
    return f"gk_{number:060}"


# ---------------------------------------------------------------- the processes


def daemon(port: int) -> None:
    """Pushes a burst to every stream when it is asked to."""
    streams: set[asyncio.Transport] = set()

    async def ws(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        if request.transport is None:
            return socket
        streams.add(request.transport)
        try:
            async for _ in socket:
                pass
        finally:
            streams.discard(request.transport)
        return socket

    async def push(request: web.Request) -> web.Response:
        data = burst_of(int(request.query["frames"]), first=int(request.query["first"]))
        for stream in [each for each in streams if not each.is_closing()]:
            stream.write(data)
        return web.Response()

    app = web.Application()
    app.router.add_get("/ws", ws)
    app.router.add_get("/push", push)
    app.router.add_get("/readyz", _ready)
    web.run_app(app, host="127.0.0.1", port=port, print=None, loop=uvloop.new_event_loop())


async def _ready(_: web.Request) -> web.Response:
    return web.Response()


def relay(port: int, upstream: int) -> None:
    """The plain relay: a stream of the daemon for each caller."""

    async def ws(request: web.Request) -> web.StreamResponse:
        caller = web.WebSocketResponse(compress=False)
        await caller.prepare(request)
        async with aiohttp.ClientSession() as session, session.ws_connect(f"http://127.0.0.1:{upstream}/ws") as stream:
            async for message in stream:
                await caller.send_str(message.data)
        return caller

    app = web.Application()
    app.router.add_get("/ws", ws)
    app.router.add_get("/readyz", _ready)
    web.run_app(app, host="127.0.0.1", port=port, print=None, loop=uvloop.new_event_loop())


class Hub:
    """One stream of the daemon for the sockets of all callers; each frame is sent to one after the other."""

    def __init__(self, upstream: int) -> None:
        self._url = f"http://127.0.0.1:{upstream}/ws"
        self.callers: set[web.WebSocketResponse] = set()

    async def ws(self, request: web.Request) -> web.StreamResponse:
        """One caller, until it leaves; what it says is not looked at."""
        caller = web.WebSocketResponse(compress=False)
        await caller.prepare(request)
        self.callers.add(caller)
        try:
            async for _ in caller:
                pass
        finally:
            self.callers.discard(caller)
        return caller

    async def lifespan(self, _: web.Application) -> AsyncIterator[None]:
        """The stream is read while the server lives."""
        reading = asyncio.ensure_future(self._read())
        yield
        reading.cancel()

    async def _read(self) -> None:
        async with aiohttp.ClientSession() as session:
            while True:
                with suppress(aiohttp.ClientError):
                    async with session.ws_connect(self._url) as stream:
                        async for message in stream:
                            await self.tell(message.data)
                await asyncio.sleep(AGAIN_S)

    async def tell(self, text: str) -> None:
        """One frame to every caller; who is leaving is forgotten."""
        for caller in tuple(self.callers):
            try:
                await caller.send_str(text)
            except ConnectionResetError:  # it is leaving
                self.callers.discard(caller)


def hub(port: int, upstream: int) -> None:
    """One stream for all, as aiohttp's own examples tell many sockets the same."""
    fan = Hub(upstream)
    app = web.Application()
    app.cleanup_ctx.append(fan.lifespan)
    app.router.add_get("/ws", fan.ws)
    app.router.add_get("/readyz", _ready)
    web.run_app(app, host="127.0.0.1", port=port, print=None, loop=uvloop.new_event_loop())


class Caller(asyncio.Protocol):
    """One socket, which looks at every byte."""

    def __init__(self, crowd: "Crowd", number: int) -> None:
        self.crowd, self.number = crowd, number
        self.is_open = False
        self.got = 0
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the stream."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(
            b"GET /ws HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Authorization: Bearer " + plain_key(self.number // PER_KEY).encode() + b"\r\n\r\n"
        )

    def data_received(self, data: bytes) -> None:
        """Compare; whoever has a burst whole says so."""
        if not self.is_open:
            if not data.startswith(b"HTTP/1.1 101"):
                raise machine.Unfit(f"no stream for caller {self.number}: {data[:200]!r}")
            self.is_open = True
            self.crowd.one_more()
            asyncio.get_running_loop().call_later(LIVES_S, self.live)
            data = data.partition(b"\r\n\r\n")[2]
        got, self.got = self.got, self.got + len(data)
        if self.crowd.burst[got : self.got] != data:
            self.crowd.spoil(f"caller {self.number} got {data[:200]!r} at byte {got} of a burst")
        elif data and self.got == len(self.crowd.burst):
            self.got = 0
            self.crowd.one_more()

    def live(self) -> None:
        """Say now and then that it is there, so that nobody has to ask: a pong, masked with zeros."""
        if self.transport is not None:
            self.transport.write(b"\x8a\x80\0\0\0\0")
        asyncio.get_running_loop().call_later(LIVES_S, self.live)

    def connection_lost(self, exc: Exception | None) -> None:
        """A contestant that ends a socket has lost."""
        print(f"caller {self.number} was cut off: {exc}", file=sys.stderr, flush=True)
        os._exit(1)


class Crowd:
    """All callers: `burst` is what each must get next; `settled` is set when everybody has it, or somebody another.

    `delivered`: how many bursts the callers have had whole.
    """

    def __init__(self, sockets: int) -> None:
        self.sockets = sockets
        self.callers: list[Caller] = []
        self.burst = b""
        self.have = 0
        self.delivered = 0
        self.wrong = ""
        self.settled = asyncio.Event()

    def one_more(self) -> None:
        """One caller has what is due."""
        self.have += 1
        self.delivered += 1
        if self.have == self.sockets:
            self.have = 0
            self.settled.set()

    def spoil(self, what: str) -> None:
        """A caller got what it should not."""
        self.wrong = self.wrong or what
        self.settled.set()

    async def all_have(self, burst: bytes, push: Callable[[], Awaitable[object]]) -> None:
        """Return once a burst is pushed and everybody has it. Raises `Unfit` where somebody got something else."""
        self.burst = burst
        self.settled.clear()
        await push()
        await self.settled.wait()
        self.look()

    def look(self) -> None:
        """Raises `Unfit` where somebody got something else, or too much."""
        late = [f"caller {each.number} got {each.got} bytes too many" for each in self.callers if each.got]
        if self.wrong or late:
            raise machine.Unfit(self.wrong or late[0])


async def call(port: int, upstream: int, sockets: int) -> None:
    """Open the sockets, then perform the jobs that standard input names: bursts of so many frames, so often."""
    loop = asyncio.get_running_loop()
    crowd = Crowd(sockets)
    for number in range(sockets):
        _, caller = await loop.create_connection(lambda number=number: Caller(crowd, number), "127.0.0.1", port)  # type: ignore[misc]
        crowd.callers.append(caller)
    await crowd.settled.wait()
    print("open", flush=True)
    bursts = {(size, first): burst_of(size, first=first) for size in BURSTS for first in range(_SYMBOLS)}
    async with aiohttp.ClientSession() as session:
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            size, times = map(int, line.split())
            crowd.delivered, began_s = 0, time.perf_counter()
            for turn in range(times):
                first = turn * size % _SYMBOLS
                url = f"http://127.0.0.1:{upstream}/push?frames={size}&first={first}"
                await crowd.all_have(bursts[size, first], partial(session.get, url))
            elapsed_s = time.perf_counter() - began_s
            await asyncio.sleep(LATE_S)
            crowd.look()
            print(elapsed_s, crowd.delivered * size, flush=True)


# ---------------------------------------------------------------- the run


@contextmanager
def process(*command: str, core: int, **pipes: Any) -> Iterator[subprocess.Popen[str]]:
    """A process on its core while it is needed."""
    started = subprocess.Popen(command, text=True, **pipes)
    machine.pin(started.pid, core)
    try:
        yield started
    finally:
        started.kill()
        started.wait(20)


def wait_for(port: int) -> None:
    """Return once somebody answers there."""
    for _ in range(400):
        try:
            connection = HTTPConnection("127.0.0.1", port, timeout=1)
            connection.request("GET", "/readyz")
            connection.getresponse()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise machine.Unfit(f"nobody listens at port {port}")


def lay_out(folder: Path, *, data: int, upstream: int) -> Path:
    """The guard's files: sixty-four readers."""
    keys = [
        {
            "id": f"reader-{number}",
            "hash": f"sha256:{hashlib.sha256(plain_key(number).encode()).hexdigest()}",
            "scopes": ["qot:read"],
        }
        for number in range(64)
    ]
    folder.mkdir(mode=0o700)
    (folder / "policies").mkdir()
    (folder / "policies" / "none.toml").write_text('[orders]\nmax_value = "0 HKD"\n')
    (folder / "keys.json").touch(mode=0o600)
    (folder / "keys.json").write_text(json.dumps({"version": 1, "keys": keys}))
    config = folder / "guard.toml"
    config.write_text(
        f'[listen]\ndata = "127.0.0.1:{data}"\nops = "127.0.0.1:{free_port()}"\n'
        f'[daemon]\nurl = "http://127.0.0.1:{upstream}"\n'
    )
    return config


def measured(
    port: int, upstream: int, *, pid: int, sockets: int, deliveries: int, rounds: int = ROUNDS
) -> dict[str, Any]:
    """One contestant at one number of sockets."""
    idle = machine.rss_bytes(pid)
    command = [sys.executable, __file__, "--role", "callers", str(port), str(upstream), str(sockets)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with process(*command, core=OTHER_CORE, **pipes) as callers:
        assert callers.stdout is not None
        if callers.stdout.readline() != "open\n":
            raise machine.Unfit("the callers could not open their sockets")
        time.sleep(0.5)
        found: dict[str, Any] = {"bytes_per_socket": (machine.rss_bytes(pid) - idle) // sockets}
        told(callers, 1, 3, sockets=sockets)  # warm, and whoever still holds streams of callers of before has noticed
        for burst in BURSTS:
            times = min(BURSTS_MAX, max(5, deliveries // (sockets * burst)))
            taken = []
            for _ in range(rounds):
                before = machine.cpu_by_thread_ns(pid)
                elapsed_s = told(callers, burst, times, sockets=sockets)
                spent_us = machine.cpu_between_us(before, machine.cpu_by_thread_ns(pid))
                taken.append((spent_us / (times * burst * sockets), times * burst * sockets / elapsed_s))
            found[f"burst_{burst}"] = {
                "cpu_us": round(statistics.median(each[0] for each in taken), 3),
                "frames_per_s": round(statistics.median(each[1] for each in taken)),
            }
    time.sleep(0.5)
    return found


def told(callers: subprocess.Popen[str], burst: int, times: int, *, sockets: int) -> float:
    """How long the callers say that so many bursts took. Raises `Unfit` where not every frame came, or came wrong."""
    assert callers.stdin is not None
    assert callers.stdout is not None
    callers.stdin.write(f"{burst} {times}\n")
    callers.stdin.flush()
    elapsed_s, _, delivered = callers.stdout.readline().strip().partition(" ")
    if delivered != str(burst * times * sockets):
        what = f"{burst * times * sockets} frames had to be delivered, and were: {delivered or 'told above'}"
        raise machine.Unfit(what)
    return float(elapsed_s)


def run(deliveries: int) -> dict[str, Any]:
    """Every contestant at every number of sockets."""
    found: dict[str, Any] = {}
    upstream, ports = free_port(), {name: free_port() for name in CONTESTANTS}
    with tempfile.TemporaryDirectory() as place, process(*me("daemon", upstream), core=OTHER_CORE):
        wait_for(upstream)
        config = lay_out(Path(place) / "guard", data=ports["guard"], upstream=upstream)
        for sockets in SOCKETS:
            for name, command in commands(config, ports, upstream).items():
                with (
                    (Path(place) / f"{name}.log").open("w") as log,
                    process(*command, core=CONTESTANT_CORE, stdout=log, stderr=log) as contestant,
                ):
                    wait_for(ports[name])
                    at = measured(ports[name], upstream, pid=contestant.pid, sockets=sockets, deliveries=deliveries)
                    found.setdefault(name, {})[str(sockets)] = at
                    print(name, sockets, at, file=sys.stderr)
    return found


def commands(config: Path, ports: dict[str, int], upstream: int) -> dict[str, list[str]]:
    """How each contestant is started."""
    return {
        "guard": [str(BIN / "guard"), "serve", "--config", str(config)],
        "aiohttp": me("relay", ports["aiohttp"], upstream),
        "hub": me("hub", ports["hub"], upstream),
        "sends": [sys.executable, str(ROOT / "bench" / "sends.py"), str(ports["sends"]), str(upstream)],
    }


def me(role: str, *ports: int) -> list[str]:
    """The command of another role of this script."""
    return [sys.executable, __file__, "--role", role, *map(str, ports)]


def table(found: dict[str, Any]) -> str:
    """The figures for people."""
    head = ("guard µs", "relay µs", "ratio", "hub µs", "ratio", "sends µs", "ratio", "guard frames/s")
    lines = [f"{'sockets':>7} {'burst':>5} {' '.join(f'{each:>10}' for each in head)}"]
    for sockets in map(str, SOCKETS):
        for burst in BURSTS:
            at = {name: found[name][sockets][f"burst_{burst}"] for name in CONTESTANTS}
            ours, *others = (at[name]["cpu_us"] for name in CONTESTANTS)
            beside = (told for theirs in others for told in (theirs, f"{ours / theirs:.2f}"))
            told = (ours, *beside, at["guard"]["frames_per_s"])
            lines.append(f"{sockets:>7} {burst:>5} {' '.join(f'{each:>10}' for each in told)}")
    names = {"aiohttp": "relay"}
    sizes = (
        f"bytes per open socket, {names.get(name, name)}: {found[name]['1000']['bytes_per_socket']}"
        for name in CONTESTANTS
    )
    return "\n".join((*lines, *sizes))


def document(found: dict[str, Any]) -> str:
    """The document docs/performance-stream.md."""
    where = machine.described("")
    told = ", ".join(where[name] for name in ("cpu", "kernel", "python", "libraries", "measured"))
    return _DOCUMENT.format(table=table(found), where=told, rounds=ROUNDS, load=f"{os.getloadavg()[1]:.1f}")


def main() -> None:
    """One role of a run, or the whole run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--role", choices=["daemon", "relay", "hub", "callers"])
    parser.add_argument("--quick", action="store_true", help="a third of the frames")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--report", type=Path, help="also write the document")
    parser.add_argument("numbers", nargs="*", type=int)
    given = parser.parse_args()
    if given.role == "daemon":
        daemon(given.numbers[0])
    elif given.role == "relay":
        relay(given.numbers[0], given.numbers[1])
    elif given.role == "hub":
        hub(given.numbers[0], given.numbers[1])
    elif given.role == "callers":
        uvloop.run(call(given.numbers[0], given.numbers[1], given.numbers[2]))
    else:
        machine.check_linux()
        found = run(QUICK if given.quick else DELIVERIES)
        print(json.dumps(found) if given.json else table(found))
        if given.report is not None:
            (ROOT / given.report).write_text(document(found), encoding="utf-8")


if __name__ == "__main__":
    os.chdir(Path(__file__).parent)
    main()
