"""The daemon's envelope."""

import json
from decimal import Decimal

from guard.simulator.refusals import error, failed, succeeded


def test_success_has_the_envelope() -> None:
    """Four members, and decimals as numbers digit for digit."""
    answer = succeeded({"price": Decimal("300.20")})

    assert answer.body == b'{"ret_type":0,"ret_msg":null,"err_code":null,"s2c":{"price":300.20}}'


def test_failure_is_200_with_a_tagged_text() -> None:
    """`err_code` comes as number or as text, the message always with its tag."""
    number, words = failed(-1, "no", 7), failed(-1, "no", 7, is_text=True)

    assert number.status == words.status == 200
    assert json.loads(number.body) == {"ret_type": -1, "ret_msg": "[err_code=7] no", "err_code": 7, "s2c": None}
    assert json.loads(words.body)["err_code"] == "7"
    assert json.loads(failed(-100, "late", None).body)["ret_msg"] == "[err_code=none] late"


def test_errors_are_one_member() -> None:
    """What is not in the envelope is `{"error": …}`."""
    assert error(400, "bad").body == b'{"error":"bad"}'
