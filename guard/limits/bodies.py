"""A live order's body in short, and back: a beginning that it shares with similar orders, and a rest of its own.

In the rest a control byte stands for the name of a member. JSON text never contains these bytes: it escapes them.
"""

from typing import Final

_SHARED_UNTIL: Final = b'"qty":'
_PRICE, _SECURITY, _REMARK, _TIME = b',"price":', b',"sec_market":', b',"remark":', b',"time_in_force":'
_NAMES: Final = ((b"\1", _PRICE), (b"\2", _SECURITY), (b"\3", _REMARK), (b"\4", _TIME))


def short(body: bytes) -> tuple[bytes, bytes]:
    """The shared beginning and the body's own rest. An empty beginning: the body was not shortened."""
    form, mark, own = body.partition(_SHARED_UNTIL)
    if not (form and mark):
        return b"", body
    own = own.replace(_PRICE, b"\1", 1).replace(_SECURITY, b"\2", 1)
    return form, own.replace(_REMARK, b"\3", 1).replace(_TIME, b"\4", 1)


def whole(form: bytes, own: bytes) -> bytes:
    """The body that was shortened."""
    if not form:
        return own
    for code, name in _NAMES:
        own = own.replace(code, name)
    return form + _SHARED_UNTIL + own
