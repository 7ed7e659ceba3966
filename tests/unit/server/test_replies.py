"""Refusals in the contract's one body, the daemon's answers, rate fields."""

import json

import pytest
from msgspec.structs import replace

from guard.codes import MEANING, Code
from guard.server.replies import passed_reply, refusal_reply
from guard.terms import Answer, Reason, Refusal, refuse


def test_a_refusal_has_the_contracts_body() -> None:
    """Every member, in the contract's order, from the primary reason."""
    refusal = Refusal(
        (
            Reason(
                Code.MAX_ORDER_VALUE,
                "order value 150000 HKD is above 100000 HKD",
                policy="desk",
                rule="orders.max_value",
                observed="150000",
                limit="100000",
                unit="HKD",
            ),
            Reason(Code.RATE, "too many"),
        ),
        largest_qty="300",
        note="only for the record",
    )

    reply = refusal_reply(refusal, decision="01K", policy_sha256="ab")

    assert reply.status == 403
    assert reply.content_type == "application/json"
    assert reply.headers == (("Guard-Decision", "01K"),)
    message = "order value 150000 HKD is above 100000 HKD"
    assert reply.body.decode() == json.dumps(
        {
            "ret_type": -1,
            "ret_msg": message,
            "err_code": "max_order_value",
            "s2c": None,
            "error": message,
            "guard": {
                "decision": "01K",
                "code": "max_order_value",
                "retryable": False,
                "retry_after_s": None,
                "reasons": [
                    {
                        "code": "max_order_value",
                        "policy": "desk",
                        "rule": "orders.max_value",
                        "observed": "150000",
                        "limit": "100000",
                        "unit": "HKD",
                        "message": message,
                    },
                    {
                        "code": "rate",
                        "policy": "",
                        "rule": "",
                        "observed": None,
                        "limit": None,
                        "unit": None,
                        "message": "too many",
                    },
                ],
                "policy_sha256": "ab",
                "largest_qty": "300",
            },
        },
        separators=(",", ":"),
    )


@pytest.mark.parametrize("code", list(Code))
def test_every_code_can_be_answered(code: Code) -> None:
    """Status from the one table, ret_type -100 on every 504, Retry-After on 429 and on a 503 that may pass later."""
    reply = refusal_reply(replace(refuse(code, "no"), retry_after_s=2.0), decision="01K", policy_sha256=None)
    body = json.loads(reply.body)
    names = dict(reply.headers)

    assert reply.status == MEANING[code].status
    assert body["ret_type"] == (-100 if reply.status == 504 else -1)
    assert body["err_code"] == body["guard"]["code"] == body["guard"]["reasons"][0]["code"] == code.value
    assert body["guard"]["retryable"] is MEANING[code].retryable
    is_told_when = reply.status == 429 or (reply.status == 503 and MEANING[code].retryable)
    assert ("Retry-After" in names) is is_told_when
    assert ("WWW-Authenticate" in names) is (reply.status == 401)


def test_a_trade_that_nobody_knows_of_is_a_504() -> None:
    """The code's own status is 409; of the trade that was just sent it is 504 with ret_type -100."""
    reply = refusal_reply(refuse(Code.OUTCOME_UNKNOWN, "?"), decision="01K", policy_sha256=None, status=504)
    body = json.loads(reply.body)

    assert (reply.status, body["ret_type"], body["guard"]["retryable"]) == (504, -100, False)


def test_a_rate_of_zero_beside_another_reason_is_still_not_retryable() -> None:
    """What ends with time does not help where something else never lets it pass."""
    never, later = Reason(Code.RATE, "no", limit="0"), Reason(Code.COOLDOWN, "no")

    refused = refusal_reply(Refusal((never, later)), decision="01K", policy_sha256=None)

    assert json.loads(refused.body)["guard"]["retryable"] is False
    assert dict(refused.headers)["Retry-After"] == "3600"


@pytest.mark.parametrize(("known_s", "said"), [(None, "1"), (0.0, "1"), (0.2, "1"), (1.0, "1"), (11.01, "12")])
def test_retry_after_is_whole_seconds_and_never_too_early(known_s: float | None, said: str) -> None:
    """The body has the exact time, the field its ceiling, at least a second."""
    refusal = Refusal((Reason(Code.COOLDOWN, "no"),), retry_after_s=known_s)

    reply = refusal_reply(refusal, decision="01K", policy_sha256=None)

    assert dict(reply.headers)["Retry-After"] == said
    assert json.loads(reply.body)["guard"]["retry_after_s"] == known_s


def test_headers_of_the_walk_go_along() -> None:
    """Rate fields stand in refusals and in passed answers alike."""
    extra = (("RateLimit", '"orders";r=0;t=1'),)
    refused = refusal_reply(refuse(Code.RATE, "no"), decision="01K", policy_sha256=None, headers=extra)
    passed = passed_reply(Answer(200, "application/json", b"{}"), decision="01K", headers=extra)

    assert extra[0] in refused.headers
    assert extra[0] in passed.headers


@pytest.mark.parametrize("sent", ["application/json", "Application/JSON; charset=utf-8", "application/json;x=y"])
def test_json_of_the_daemon_passes_as_json(sent: str) -> None:
    """Status and body are the daemon's, the media type is ours to say."""
    reply = passed_reply(Answer(418, sent, b'{"ret_type":0}'), decision="01K")

    assert (reply.status, reply.body, reply.content_type) == (418, b'{"ret_type":0}', "application/json")
    assert reply.headers == (("Guard-Decision", "01K"),)


@pytest.mark.parametrize("sent", ["", "text/html", "application/json\r\nSet-Cookie: a=b", "text/plain; charset=utf-7"])
def test_anything_else_of_the_daemon_is_plain_text(sent: str) -> None:
    """No page, no other charset and no smuggled field comes through."""
    reply = passed_reply(Answer(502, sent, b"<script>"), decision="01K")

    assert reply.content_type == "text/plain; charset=utf-8"
    assert dict(reply.headers) == {"Guard-Decision": "01K", "X-Content-Type-Options": "nosniff"}


@pytest.mark.parametrize(("told_s", "said"), [(30, "30"), (0, "1"), (None, "1")])
def test_the_daemons_own_429_says_when_to_come_back(told_s: int | None, said: str) -> None:
    """In the daemon's own seconds, where it told some; other answers of its name no time."""
    limited = passed_reply(Answer(429, "application/json", b"{}", retry_after_s=told_s), decision="01K")
    other = passed_reply(Answer(403, "application/json", b"{}", retry_after_s=told_s), decision="01K")

    assert dict(limited.headers)["Retry-After"] == said
    assert "Retry-After" not in dict(other.headers)
