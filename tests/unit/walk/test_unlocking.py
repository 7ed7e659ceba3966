"""What the daemon made of a password: whatever may have been a wrong one is one."""

import json
from typing import Any

import pytest

from guard.terms import Answer, Failure
from guard.walk.cooldown import EVERY
from guard.walk.unlocking import verdicts_of


def said(status: int = 200, ret_type: object = 0, **s2c: Any) -> Answer:
    """The daemon's answer to an unlock."""
    return Answer(status, "application/json", json.dumps({"ret_type": ret_type, "s2c": s2c}).encode())


def row(acc_id: object, *, success: object) -> dict[str, object]:
    """What became of one account."""
    return {"acc_id": acc_id, "success": success}


@pytest.mark.parametrize(
    ("result", "verdict"),
    [
        (said(), "right"),
        (said(ret_type=-1), "wrong"),
        (said(ret_type=None), "wrong"),
        (said(500), "wrong"),
        (said(302), "wrong"),
        (said(199), "wrong"),
        (Answer(200, "application/json", b"gone"), "wrong"),
        (Answer(200, "application/json", b"[0]"), "wrong"),
        (said(401), "untried"),
        (said(429), "untried"),
        (Failure("reset", "gone", is_sent=True), "wrong"),
        (Failure("refused", "nobody listens", is_sent=False), "untried"),
        (said(account_result_list=[row(1, success=True)]), "right"),
        (said(account_result_list=[row(1, success=False)]), "wrong"),
        (said(account_result_list=[row(1, success="yes")]), "wrong"),
        (said(account_result_list=[row("1", success=False)]), "wrong"),
        (said(account_result_list=[row("1", success=True), row("2", success=False)]), "right"),
        (said(account_result_list=[row(True, success=False)]), "wrong"),
        (said(account_result_list=[row("x", success=False)]), "wrong"),
        (said(account_result_list=[{"success": False}]), "wrong"),
        (said(account_result_list=["1"]), "wrong"),
        (said(account_result_list={"1": False}), "wrong"),
        (said(account_result_list=None), "right"),
        (said(account_result_list=[row(2, success=False)]), "right"),
        (said(account_result_list=[row(2, success=False), 7]), "wrong"),
    ],
)
def test_only_a_clear_yes_is_a_right_password(result: Answer | Failure, verdict: str) -> None:
    """A success with `ret_type` 0, and no row that says otherwise; what never reached the broker was not tried.

    A row that fails and does not tell whose it is may be anybody's.
    """
    assert verdicts_of(result, frozenset({1}), has_code=False) == {1: verdict}


@pytest.mark.parametrize(("has_code", "verdict"), [(False, "untried"), (True, "wrong")])
def test_a_code_that_is_asked_for_again_was_wrong(*, has_code: bool, verdict: str) -> None:
    """Without one, the password was not judged yet."""
    assert verdicts_of(said(need_otp=True), frozenset({1}), has_code=has_code) == {1: verdict}


def test_where_every_account_was_meant_one_that_failed_is_enough() -> None:
    """Others that are named keep their own word."""
    failed = said(account_result_list=[row(1, success=True), row(2, success=False)])
    assert verdicts_of(failed, frozenset({EVERY, 1}), has_code=False) == {EVERY: "wrong", 1: "right"}
