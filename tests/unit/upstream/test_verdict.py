"""What an answer, or its absence, proves of a trade."""

import json
from itertools import product
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.terms import Answer, Effect, Failure, Verdict
from guard.upstream.verdict import BODY_BYTES_MAX, MESSAGE_CHARS_MAX, outcome_of, redact

NEW, CHANGE, CANCEL = Effect.ORDER_NEW, Effect.ORDER_CHANGE, Effect.ORDER_CANCEL
TRADES = [NEW, CHANGE, CANCEL]
REAL_ID = {"order_id": 14731270155438264330, "order_id_ex": "FH1C6647B149FF2000"}


def said(ret_type: Any = 0, *, status: int = 200, s2c: Any = REAL_ID, **members: Any) -> Answer:
    """The daemon's envelope."""
    return Answer(status, "application/json", json.dumps({"ret_type": ret_type, "s2c": s2c, **members}).encode())


def verdict(effect: Effect, answer: Answer | Failure, known: frozenset[str] = frozenset()) -> Verdict:
    """Only the verdict."""
    return outcome_of(effect, answer, known_ids=known).verdict


@pytest.mark.parametrize("effect", TRADES)
@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, Verdict.ACCEPTED),
        (201, Verdict.ACCEPTED),
        (299, Verdict.ACCEPTED),
        (301, Verdict.UNKNOWN),
        (307, Verdict.UNKNOWN),
        (399, Verdict.UNKNOWN),
        (400, Verdict.REFUSED),
        (401, Verdict.REFUSED),
        (403, Verdict.REFUSED),
        (404, Verdict.REFUSED),
        (408, Verdict.UNKNOWN),
        (409, Verdict.UNKNOWN),
        (429, Verdict.REFUSED),
        (499, Verdict.REFUSED),
        (500, Verdict.UNKNOWN),
        (502, Verdict.UNKNOWN),
        (503, Verdict.UNKNOWN),
        (599, Verdict.UNKNOWN),
    ],
)
def test_the_status_decides_first(effect: Effect, status: int, expected: Verdict) -> None:
    """A client error is a refusal but 408 and 409; a success needs a good body; the rest is unknown."""
    assert verdict(effect, said(status=status)) is expected


@pytest.mark.parametrize("effect", TRADES)
@pytest.mark.parametrize(
    ("ret_type", "expected"),
    [
        (0, Verdict.ACCEPTED),
        (-1, Verdict.REFUSED),
        (-500, Verdict.REFUSED),
        (-100, Verdict.UNKNOWN),
        (-200, Verdict.UNKNOWN),
        (-400, Verdict.UNKNOWN),
        (1, Verdict.UNKNOWN),
        (False, Verdict.UNKNOWN),
        (True, Verdict.UNKNOWN),
        (0.0, Verdict.UNKNOWN),
        (-1.0, Verdict.UNKNOWN),
        ("0", Verdict.UNKNOWN),
        ("-1", Verdict.UNKNOWN),
        (None, Verdict.UNKNOWN),
        ([0], Verdict.UNKNOWN),
    ],
)
def test_the_ret_type_of_a_success_decides_next(effect: Effect, ret_type: Any, expected: Verdict) -> None:
    """Zero accepts, -1 and -500 refuse, whatever else it is leaves the outcome open."""
    assert verdict(effect, said(ret_type)) is expected


@pytest.mark.parametrize("status", [408, 409, 500, 503])
def test_a_refusing_body_under_an_undecided_status_proves_nothing(status: int) -> None:
    """An intermediary's 5xx may carry any body: -1 counts in a success only."""
    assert verdict(NEW, said(-1, status=status)) is Verdict.UNKNOWN


@pytest.mark.parametrize("effect", TRADES)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"ok",
        b"null",
        b"[]",
        b"0",
        b'"x"',
        b"{}",
        b'{"ret_type":NaN}',
        b'{"ret_type":0,"s2c":{"order_id_ex":"FH1"},"fee":NaN}',
        b'{"ret_type":0',
        b'{"ret_type":0}{"ret_type":0}',
        b'{"ret_type":0,"ret_type":-1}',
        b'{"s2c":{"order_id":1,"order_id":2},"ret_type":0}',
        b'\xef\xbb\xbf{"ret_type":0}',
        b'{"ret_type":0,"ret_msg":"\xff"}',
        b"[" * 100_000,
        b'{"ret_type":0,"s2c":{"order_id_ex":"FH1"},"pad":"' + b"x" * BODY_BYTES_MAX + b'"}',
    ],
)
def test_a_body_that_is_not_the_envelope_proves_nothing(effect: Effect, body: bytes) -> None:
    """No JSON object, a key twice, too long or too deep: unknown."""
    assert verdict(effect, Answer(200, "application/json", body)) is Verdict.UNKNOWN


@pytest.mark.parametrize("effect", TRADES)
@pytest.mark.parametrize("body", [b"", b"<html>", b'{"error":"forbidden"}', b'{"ret_type":0}'])
def test_a_client_error_refuses_whatever_its_body(effect: Effect, body: bytes) -> None:
    """The daemon's 4xx come in several shapes; each says that nothing happened."""
    assert verdict(effect, Answer(403, "text/plain", body)) is Verdict.REFUSED


@pytest.mark.parametrize("kind", ["refused", "timeout", "reset", "bad_answer", "too_large", "held", "open"])
@pytest.mark.parametrize("effect", TRADES)
def test_without_an_answer_only_the_first_byte_counts(effect: Effect, kind: Any) -> None:
    """Not sent when no byte left, unknown when one may have; the kind of failure changes nothing."""
    assert verdict(effect, Failure(kind, "gone", is_sent=False)) is Verdict.NOT_SENT
    assert verdict(effect, Failure(kind, "gone", is_sent=True)) is Verdict.UNKNOWN


@pytest.mark.parametrize(
    "s2c",
    [
        None,
        {},
        [],
        "FH1",
        {"order_id": None, "order_id_ex": None},
        {"order_id_ex": ""},
        {"order_id": 5, "order_id_ex": ""},
        {"order_id": ""},
        {"order_id": 0},
        {"order_id": "0"},
        {"order_id_ex": "0"},
        {"order_id_ex": "000"},
        {"order_id": -1},
        {"order_id": 1.5},
        {"order_id": 2**64},
        {"order_id": True},
        {"order_id": [1]},
        {"order_id_ex": {"id": "FH1"}},
        {"order_id_ex": " "},
        {"order_id_ex": "FH1\n"},
        {"order_id_ex": "F" * 65},
        {"order_id_ex": "FH\u00e9"},
        {"order_id": "x y", "order_id_ex": "FH1"},
    ],
)
def test_b34_a_success_without_a_usable_order_id_is_unknown(s2c: Any) -> None:
    """`ret_type` 0 with no, an empty, a zero or an impossible id is no accepted order."""
    assert verdict(NEW, said(0, s2c=s2c)) is Verdict.UNKNOWN


def test_a_stub_id_is_no_accepted_order() -> None:
    """An external id of "0" beside a number means that the order never left the daemon."""
    outcome = outcome_of(NEW, said(0, s2c={"order_id": 206158430256, "order_id_ex": "0"}), known_ids=())

    assert outcome.verdict is Verdict.UNKNOWN
    assert (outcome.order_id, outcome.order_id_ex) == ("206158430256", "0")


@pytest.mark.parametrize("known", ["FH1C6647B149FF2000", "14731270155438264330"])
def test_b33_an_id_that_is_known_already_is_another_orders_answer(known: str) -> None:
    """Either id known from an earlier order makes a new order unknown; a change or cancel of it is accepted."""
    assert verdict(NEW, said(0), frozenset({known})) is Verdict.UNKNOWN
    assert verdict(CHANGE, said(0), frozenset({known})) is Verdict.ACCEPTED
    assert verdict(CANCEL, said(0), frozenset({known})) is Verdict.ACCEPTED


@pytest.mark.parametrize(
    ("s2c", "order_id", "order_id_ex"),
    [
        (REAL_ID, "14731270155438264330", "FH1C6647B149FF2000"),
        ({"order_id": 2**64 - 1}, "18446744073709551615", None),
        ({"order_id": "18446744073709551615"}, "18446744073709551615", None),
        ({"order_id_ex": 7571417}, None, "7571417"),
        ({"order_id_ex": "7571417"}, None, "7571417"),
        ({"order_id": 0, "order_id_ex": "FH1"}, "0", "FH1"),
        ({"order_id_ex": "F" * 64}, None, "F" * 64),
    ],
)
def test_order_ids_are_read_exactly_as_text(s2c: Any, order_id: str | None, order_id_ex: str | None) -> None:
    """64-bit numbers keep every digit, and strings are numbers' equals; a zero number beside a real id is accepted."""
    outcome = outcome_of(NEW, said(0, s2c=s2c), known_ids=frozenset({"0"}))

    assert outcome.verdict is Verdict.ACCEPTED
    assert (outcome.order_id, outcome.order_id_ex) == (order_id, order_id_ex)


@pytest.mark.parametrize("err_code", [None, 0, 12, -3, "12", "none", "", {"code": 1}, [1]])
@pytest.mark.parametrize(("ret_type", "expected"), [(0, Verdict.ACCEPTED), (-1, Verdict.REFUSED)])
def test_the_err_code_may_be_anything(err_code: Any, ret_type: int, expected: Verdict) -> None:
    """It comes as a number or as a string, depending on the endpoint, and decides nothing."""
    assert verdict(NEW, said(ret_type, err_code=err_code)) is expected


@pytest.mark.parametrize(
    ("err_code", "kept"),
    [
        *((None, None), (0, 0), (-3, -3), ("12", "12"), ("", None), ({"code": 1}, None), (True, None), (1.5, None)),
        *((2**31 - 1, 2**31 - 1), (2**31, None), ("281756478875559548", "*" * 18), ("x" * 99, "x" * 64)),
    ],
)
def test_the_err_code_is_kept_as_it_came_and_bounded(err_code: Any, kept: int | str | None) -> None:
    """A number of the daemon's width or a short text without long numbers; what is neither is none."""
    body = json.dumps({"ret_type": -1, "err_code": err_code}).encode()
    assert outcome_of(NEW, Answer(200, "application/json", body), known_ids=()).err_code == kept


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (
            200,
            b'{"ret_type":0,"s2c":{"order_id":7}}',
            "200 with ret_type 0, but its order id is missing, 0, or another",
        ),
        (200, b'{"ret_type":0,"s2c":{}}', "200 with ret_type 0, but its order id is missing, 0, or another"),
        (200, b'{"ret_type":-100}', "200 with ret_type -100"),
        (502, b"<html>", "502 without a ret_type"),
        (500, b'{"ret_type":0}', "500 with ret_type 0"),
        (300, b'{"ret_type":0,"s2c":{"order_id":8}}', "300 with ret_type 0"),
        (500, b'{"error":"no backend"}', "no backend"),
    ],
)
def test_an_unknown_outcome_says_why(status: int, body: bytes, why: str) -> None:
    """In the daemon's words, or in ours where it has none: log, record and report showed nothing at all."""
    outcome = outcome_of(NEW, Answer(status, "application/json", body), known_ids=("7",))

    assert outcome.verdict is Verdict.UNKNOWN
    assert why in outcome.message
    assert ("its order id" in outcome.message) == ("its order id" in why)


def test_the_outcome_says_what_the_daemon_said() -> None:
    """Status, ret_type, message and duration are for the record."""
    outcome = outcome_of(
        NEW,
        Answer(200, "application/json", b'{"ret_type":-1,"ret_msg":"[err_code=12] no buying power"}', 1234),
        known_ids=(),
    )

    assert (outcome.status, outcome.ret_type, outcome.duration_us) == (200, -1, 1234)
    assert outcome.message == "[err_code=12] no buying power"
    assert outcome_of(NEW, Answer(403, "", b'{"error":"forbidden"}'), known_ids=()).message == "forbidden"
    assert outcome_of(NEW, Answer(403, "", b'{"error":{"a":1}}'), known_ids=()).message == ""
    assert outcome_of(NEW, Failure("reset", "gone", is_sent=True, duration_us=9), known_ids=()).duration_us == 9


def test_what_the_guard_itself_says_of_a_failure_keeps_its_numbers() -> None:
    """Only the daemon's words are masked: whoever is paged must read which bound an answer was above."""
    said = "the daemon's answer is larger than 33554432 bytes"

    assert outcome_of(NEW, Failure("too_large", said, is_sent=True), known_ids=()).message == said


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("account 281756478875559548 is unknown", "account ****************** is unknown"),
        ("order 12345678 of 1234567", "order ******** of 1234567"),
        ("card 1234 5678 9012 3456", "card *******************"),
        ("card 1234-5678", "card *********"),
        ("sum 150000.00 HKD is above 100000", "sum 150000.00 HKD is above 100000"),
    ],
)
def test_b11_account_numbers_do_not_reach_the_record(text: str, expected: str) -> None:
    """Eight digits in a row, or groups of four as on a card, are masked; amounts are not."""
    assert redact(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "unlock failed, remaining 3 attempts",
        "wrong password: 3 attempts left",
        "3 more attempts remaining",
        "attempts left: 3",
        "Attempts remaining = 3",
        "you have 3 tries",
        "3 chances left",
        "密码错误 还剩3次",
        "剩余 3 次机会",
        "remaining attempt count is 3",
        "retries left 3",
    ],
)
def test_b31_the_number_of_tries_left_does_not_reach_the_record(text: str) -> None:
    """Whoever guesses a trade password does not learn from the record how often he may still try."""
    assert "3" not in redact(text)


def test_a_redacted_message_is_short_printable_text() -> None:
    """Nothing in it can break a line of a log or fill one."""
    assert redact("a\r\nb\x1b[31mc\x85d\u2028e\ud800") == "a  b [31mc d e "
    assert len(redact("x" * 10_000)) == MESSAGE_CHARS_MAX
    assert redact("x" * (MESSAGE_CHARS_MAX - 5) + "1234567890").endswith("x*****")


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=400))
def test_redact_takes_any_text(text: str) -> None:
    """Any text becomes at most 200 characters without eight digits in a row; redacting again changes nothing."""
    short = redact(text)

    assert len(short) <= MESSAGE_CHARS_MAX
    assert not any(short[at : at + 8].isdecimal() for at in range(len(short) - 7))
    assert redact(short) == short


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(list(Effect)),
    st.integers(100, 599),
    st.dictionaries(st.sampled_from(["ret_type", "ret_msg", "err_code", "s2c", "error"]), JSON).map(json.dumps)
    | st.text(max_size=50),
)
def test_every_answer_has_an_outcome(effect: Effect, status: int, body: str) -> None:
    """Any answer gets a verdict, and none says that nothing was sent."""
    answer = Answer(status, "application/json", body.encode("utf-8", "surrogatepass"))

    assert outcome_of(effect, answer, known_ids=frozenset()).verdict is not Verdict.NOT_SENT


STATUSES: Final = (199, 200, 204, 299, 300, 404, 408, 409, 500)
RET_TYPES: Final[tuple[object, ...]] = (0, 1, -1, -100, -400, -500, "0", 0.0, False, None)
IDS: Final = (None, "", "0", "7", 0, 7, "known", 1.5, True)


@pytest.mark.parametrize("effect", TRADES)
def test_acceptance_rests_on_a_2xx_with_ret_type_0_and_of_a_new_order_on_a_new_id(effect: Effect) -> None:
    """Every status with every `ret_type` and both ids: nothing else is ever accepted, and that is."""
    is_new = effect is NEW
    for status, ret_type, order_id, order_id_ex in product(STATUSES, RET_TYPES, IDS, IDS):
        envelope = {"ret_type": ret_type, "s2c": {"order_id": order_id, "order_id_ex": order_id_ex}}
        answer = Answer(status, "application/json", json.dumps(envelope).encode())
        is_said = 200 <= status <= 299 and type(ret_type) is int and ret_type == 0
        names = {str(one) for one in (order_id, order_id_ex) if one not in (None, "", "0", 0)}
        is_named = bool(names) and "known" not in names and not {"1.5", "True"} & names

        found = outcome_of(effect, answer, known_ids=frozenset({"known"})).verdict

        assert found is not Verdict.ACCEPTED or (is_said and (is_named or not is_new))
        if is_said and (not is_new or (order_id, order_id_ex) == ("7", "7")):
            assert found is Verdict.ACCEPTED
