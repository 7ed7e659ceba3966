"""Requests as bytes on a socket of their own, and the answer read back: nothing tidies up what a case wants to send."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

PATIENCE_S: Final = 20.0


class Told(Struct, frozen=True):
    """An answer. `code` is the guard's own, "" where it passed the request on."""

    status: int
    text: str

    @property
    def json(self) -> dict[str, Any]:
        """The body, empty where it is no JSON object."""
        try:
            found = json.loads(self.text)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def code(self) -> str:
        """The refusal's primary code."""
        guard = self.json.get("guard")
        return str(guard.get("code", "")) if isinstance(guard, dict) else ""


def request(path: str, body: Any, *, method: str, bearer: str | None, head: Mapping[str, str]) -> bytes:
    """The bytes of a request; a body that is bytes goes as it is."""
    raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"Host": "guard", "Connection": "close"}
    if bearer is not None:
        fields["Authorization"] = f"Bearer {bearer}"
    if method == "POST":
        fields |= {"Content-Type": "application/json", "Content-Length": str(len(raw))}
    fields |= {name: value.replace("<key>", bearer or "") for name, value in head.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + raw


async def send(port: int, raw: bytes) -> Told:
    """What comes back for these bytes."""
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(raw)
            await writer.drain()
            return await _answer(reader)
        finally:
            writer.close()


async def _answer(reader: asyncio.StreamReader) -> Told:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    head = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    body = await reader.readexactly(int(head.get("content-length", "0")))
    return Told(int(first.split()[1]), body.decode("utf-8", "replace"))
