"""Pages in a browser: those that are named, and all others."""

from collections.abc import Sequence
from typing import Final

import pytest

from guard.server import Asker
from guard.terms import Call, Reply
from guard.walk.origins import with_origins
from tests.support.guards import Waiting

PAGE: Final = "https://desk.example"
METHODS: Final = ("POST", "OPTIONS", "POST", "GET")
ALLOWED: Final = frozenset({PAGE, "http://127.0.0.1:5173"})


def begin(askers: Sequence[Asker]) -> None:
    """A walk: 405 to OPTIONS, else 200."""
    for asker in askers:
        asker.answer(Reply(405 if asker.call.method == "OPTIONS" else 200, b"{}", (("Guard-Decision", "01X"),)))


async def asked(method: str, **head: str) -> tuple[int, dict[str, str]]:
    """Status and fields of the answer to one request."""
    fields = {name.replace("_", "-"): value for name, value in head.items()}
    waiting = Waiting(Call(method, "/api/order", fields, b"", "127.0.0.1"))
    with_origins(begin, ALLOWED, new_id=lambda: "02X")([waiting])
    reply = await waiting.reply
    assert len(dict(reply.headers)) == len(reply.headers)
    return reply.status, dict(reply.headers)


def test_without_allowed_origins_nothing_stands_before_the_walk() -> None:
    """None by default: requests are begun by the walk itself."""
    assert with_origins(begin, frozenset(), new_id=lambda: "02X") is begin


async def test_requests_of_a_turn_are_begun_together_whoever_asks() -> None:
    """A preflight is answered before, and takes no part; a fault and an end reach whoever asked."""
    begun: list[Asker] = []
    heads = [{}, {"origin": PAGE, "access-control-request-method": "POST"}, {"origin": PAGE}, {"origin": "null"}]
    waiting = [Waiting(Call(method, "/api/order", head, b"", "")) for method, head in zip(METHODS, heads, strict=True)]
    with_origins(begun.extend, ALLOWED, new_id=lambda: "02X")(waiting)
    assert [asker.call for asker in begun] == [waiting[n].call for n in (0, 2, 3)]
    assert (await waiting[1].reply).status == 204
    begun[1].fail()
    begun[2].cut()
    with pytest.raises(AssertionError, match="the walk failed"):
        await waiting[2].reply
    assert waiting[3].reply.cancelled()


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
async def test_a_caller_without_an_origin_sees_no_difference(method: str) -> None:
    """Programs send none."""
    assert (await asked(method))[1] == {"Guard-Decision": "01X"}


async def test_a_named_page_may_ask_beforehand_and_read_its_answers() -> None:
    """204 with what it may send, for this origin alone, never with cookies; then the answer with what it may read."""
    status, told = await asked("OPTIONS", origin=PAGE, access_control_request_method="POST")
    assert (status, told["Guard-Decision"]) == (204, "02X")
    assert told["Access-Control-Allow-Origin"] == PAGE
    assert "Authorization" in told["Access-Control-Allow-Headers"]
    assert told["Access-Control-Allow-Methods"] == "GET, POST"
    assert "Access-Control-Allow-Credentials" not in told
    assert told["Vary"] == "Origin"

    status, told = await asked("POST", origin=PAGE)
    assert (status, told["Access-Control-Allow-Origin"], told["Vary"]) == (200, PAGE, "Origin")
    assert "Guard-Decision" in told["Access-Control-Expose-Headers"]
    assert told["Guard-Decision"] == "01X"


@pytest.mark.parametrize("origin", ["https://evil.example", "http://desk.example", f"{PAGE}:444", "null", "", "*"])
async def test_any_other_page_gets_no_word_of_permission(origin: str) -> None:
    """Its browser hears an ordinary refusal beforehand, and hands nothing on of an answer."""
    for method, status in (("OPTIONS", 405), ("POST", 200)):
        found, told = await asked(method, origin=origin, access_control_request_method="POST")
        assert found == status
        assert not [name for name in told if name.startswith("Access-Control")]


async def test_options_that_asks_nothing_beforehand_is_an_ordinary_request() -> None:
    """Without the field that makes a preflight the walk answers."""
    assert (await asked("OPTIONS", origin=PAGE))[0] == 405
