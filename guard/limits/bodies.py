"""The body of a live order in short, and back: what orders that are alike begin with, and the rest, which is its own.

In the rest a byte below a blank stands for the name of a member. JSON has no such bytes: they are escaped in it.
"""

from typing import Final

_SHARED_UNTIL: Final = b'"qty":'
_CODES: Final = (
    (b',"price":', b"\1"),
    (b',"sec_market":', b"\2"),
    (b',"remark":', b"\3"),
    (b',"time_in_force":', b"\4"),
)


def short(body: bytes) -> tuple[bytes, bytes]:
    """The form that other bodies may have too, and what is this one's own. No form: nothing was made short."""
    form, mark, own = body.partition(_SHARED_UNTIL)
    if not (form and mark):
        return b"", body
    for name, code in _CODES:
        own = own.replace(name, code, 1)
    return form, own


def whole(form: bytes, own: bytes) -> bytes:
    """The body that was made short."""
    if not form:
        return own
    for name, code in _CODES:
        own = own.replace(code, name)
    return form + _SHARED_UNTIL + own
