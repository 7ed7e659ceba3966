"""How the ops listener answers: JSON, a refusal in the contract's one body, what came of a change. Pure.

A change that was not made is a refusal like any other: the same body and headers, with a reason for each error, and
beside them all that a change says.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec
from aiohttp import web

from guard.access import unauthenticated
from guard.admin.change import ChangeResult
from guard.codes import Code
from guard.policy import PolicyError
from guard.server import refusal_reply
from guard.terms import Reason, Refusal
from guard.tracking import Settled

_CODE_OF: Final = MappingProxyType(
    {"refused": Code.INVALID, "stale": Code.STALE, "unrecorded": Code.JOURNAL_UNAVAILABLE}
)


def as_json(body: object, *, code: int = 200) -> web.Response:
    """A value."""
    return web.Response(body=msgspec.json.encode(body), status=code, content_type="application/json")


def as_refusal(
    refusal: Refusal, *, decision: str, policy_sha256: str | None, change: ChangeResult | Settled | None = None
) -> web.Response:
    """A refusal, with what a change that was not made says of itself."""
    reply = refusal_reply(refusal, decision=decision, policy_sha256=policy_sha256)
    body = reply.body
    if change is not None:
        body = msgspec.json.encode(msgspec.json.decode(body) | msgspec.to_builtins(change))
    return web.Response(body=body, status=reply.status, headers=dict(reply.headers), content_type="application/json")


def not_made(change: ChangeResult | Settled, *, is_closed: bool = False) -> Refusal | None:
    """Why a change was not made, a reason for each error; None where it was, or waits for a second person.

    `is_closed`: the journal takes nothing until a restart, so the same cannot be recorded by trying again.
    """
    if change.result == "ended":
        return unauthenticated("the key was revoked or ended while the change waited")
    code = _CODE_OF.get(change.result)
    if code is None:
        return None
    return Refusal(tuple(_reason(code, error, is_closed=is_closed) for error in change.errors))


def _reason(code: Code, error: object, *, is_closed: bool) -> Reason:
    """An error in a policy is told as its members; the reason has it as a sentence, with its place and its cure."""
    if code is Code.JOURNAL_UNAVAILABLE and is_closed:
        return Reason(code, str(error), limit="0", unit="records")
    if not isinstance(error, Mapping):
        return Reason(code, str(error))
    told = msgspec.convert(error, PolicyError)
    return Reason(code, str(told), rule=told.path)
