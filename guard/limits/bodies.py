"""The body of a live order in short, and back: what orders that are alike begin with, and the rest, which is its own.

In the rest a byte below a blank stands for the name of a member. JSON has no such bytes: they are escaped in it.
"""

from typing import Final

_SHARED_UNTIL: Final = b'"qty":'
_PRICE, _SECURITY, _REMARK, _TIME = b',"price":', b',"sec_market":', b',"remark":', b',"time_in_force":'
_NAMES: Final = ((b"\1", _PRICE), (b"\2", _SECURITY), (b"\3", _REMARK), (b"\4", _TIME))


def short(body: bytes) -> tuple[bytes, bytes]:
    """The form that other bodies may have too, and what is this one's own. No form: nothing was made short."""
    form, mark, own = body.partition(_SHARED_UNTIL)
    if not (form and mark):
        return b"", body
    own = own.replace(_PRICE, b"\1", 1).replace(_SECURITY, b"\2", 1)
    return form, own.replace(_REMARK, b"\3", 1).replace(_TIME, b"\4", 1)


def whole(form: bytes, own: bytes) -> bytes:
    """The body that was made short."""
    if not form:
        return own
    for code, name in _NAMES:
        own = own.replace(code, name)
    return form + _SHARED_UNTIL + own
