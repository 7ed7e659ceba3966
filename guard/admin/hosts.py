"""Which names the ops listener answers to: one that a page made lead to this machine (DNS rebinding) is none."""

import ipaddress
from typing import Final

from guard.admin.weakened import LOOPBACK

ALL_ADDRESSES: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared with, not bound


def is_own_name(host: str, place: tuple[str, int] | str) -> bool:
    """The `Host` field names this listener: loopback, the name it listens on, or an address where it listens on all.

    An address cannot be made to mean another machine, so only names are a way in for DNS rebinding (RFC 9110 §7.2).
    """
    name = host.lower() if host.endswith("]") or ":" not in host else host.lower().rpartition(":")[0]
    name = name.removeprefix("[").removesuffix("]")
    if name in LOOPBACK:
        return True
    if isinstance(place, str):
        return False
    return name == place[0].lower() or (place[0] in ALL_ADDRESSES and _is_address(name))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
