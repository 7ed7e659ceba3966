"""Reads: names were checked, the body goes on byte for byte.

Only what names an account is understood and written anew, since whose account is read must not depend on how the daemon
takes an odd value: environment and market as numbers, ids as integers, under the daemon's own names, in the shape that
the caller chose.
"""

from decimal import Decimal
from typing import Final

from guard.codes import Code
from guard.intent import plain
from guard.intent.fields import UINT64_MAX, Fields
from guard.intent.header import any_header
from guard.intent.names import Names
from guard.intent.shape import WRAPPER, Body
from guard.intent.strict import is_array, is_object
from guard.terms import Header, Read, Refusal, refuse

_EXPONENT_MAX: Final = 40  # nothing that is asked for is larger than 10⁴⁰ or finer than 10⁻⁴⁰


def market_read(raw: bytes) -> Read:
    """A read without account fields."""
    return Read(raw)


def account_read(names: Names, raw: bytes, body: Body) -> Read | Refusal:
    """A read with a trade header. A body that names no account goes on as it came, with `header` None."""
    fields = Fields(body.values)
    header = any_header(fields)
    if not fields.is_good:
        return fields.refusal()
    is_anew = body.values.get("refresh_cache", False) is not False  # whatever the daemon may take for yes
    if header is None:
        return Read(raw, is_anew=is_anew)
    spellings = names.flat if body.is_flat else names.proto
    rest = {name: value for name, value in body.members.items() if not spellings[name].startswith("header")}
    if not _is_bounded(rest):
        return refuse(Code.BAD_NUMBER, "the body holds a number that no 64-bit field could take")
    account = _account(header)
    if body.is_flat:
        return Read(plain.text(account | rest).encode(), header=header, is_anew=is_anew)
    return Read(plain.text({WRAPPER: {"header": account, **rest}}).encode(), header=header, is_anew=is_anew)


def _account(header: Header) -> dict[str, object]:
    fields: dict[str, object] = {
        "trd_env": header.env,
        "acc_id": header.acc_id,
        "card_num": header.card_num,
        "trd_market": header.trd_market or None,
        "jp_acc_type": header.jp_acc_type,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _is_bounded(value: object) -> bool:
    if is_object(value):
        return all(_is_bounded(item) for item in value.values())
    if is_array(value):
        return all(_is_bounded(item) for item in value)
    if type(value) is int:
        return -UINT64_MAX <= value <= UINT64_MAX
    if type(value) is Decimal:
        return not value or (-_EXPONENT_MAX <= value.adjusted() <= _EXPONENT_MAX)
    return True
