"""How the simulated daemon says no, and the envelope of everything it says.

`BadBody` is HTTP 400 with `{"error": …}`; `Declined` is a business failure: HTTP 200, `ret_type` -1 and a text that
begins `[err_code=N]`. Both are raised anywhere below a handler and turned into answers in one place.
"""

from typing import Final

import msgspec

from guard.terms import Answer

JSON: Final = "application/json"
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


class BadBody(Exception):
    """The body cannot be understood (400)."""


class Forbidden(Exception):
    """The key may not do this (403)."""


class Declined(Exception):
    """Understood, and not done: `ret_type` -1.

    Attributes:
        message: what the daemon says.
        err_code: its number; None is written `[err_code=none]`.
    """

    def __init__(self, message: str, err_code: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.err_code = err_code


def to_json(value: object) -> bytes:
    """JSON as the daemon writes it: decimals are numbers, digit for digit."""
    return _ENCODER.encode(value)


def plain(status: int, value: object) -> Answer:
    """An answer outside the envelope."""
    return Answer(status, JSON, to_json(value))


def error(status: int, message: str) -> Answer:
    """`{"error": message}`."""
    return plain(status, {"error": message})


def succeeded(s2c: object) -> Answer:
    """The envelope of success."""
    return plain(200, {"ret_type": 0, "ret_msg": None, "err_code": None, "s2c": s2c})


def failed(ret_type: int, message: str, err_code: int | None, *, is_text: bool = False) -> Answer:
    """The envelope of a failure. Some endpoints write `err_code` as a number, some as text (`is_text`)."""
    shown = "none" if err_code is None else str(err_code)
    written = str(err_code) if is_text and err_code is not None else err_code
    text = f"[err_code={shown}] {message}"
    return plain(200, {"ret_type": ret_type, "ret_msg": text, "err_code": written, "s2c": None})
