"""How a caller's socket can end: the word it is counted under, and what the caller is told. Facts only."""

from enum import Enum
from typing import Final

from msgspec import Struct

LINGER_S: Final = 2.0
LINGER_REVOKED_S: Final = 0.4  # with the half second between two sweeps: gone within a second of the revocation


class Ending(Struct, frozen=True):
    """One way to end. `code` is the close code (RFC 6455 §7.4), None where there is nobody to tell or nothing to say.

    `linger_s`: how long the caller may take to close its side before the connection is cut.
    """

    word: str
    code: int | None
    text: str = ""
    linger_s: float = LINGER_S


class End(Enum):
    """Every ending there is; the words are the labels of `guard_ws_closed_total`."""

    BY_CALLER = Ending("caller", None)
    HUNG_UP = Ending("hung_up", None)
    BAD_FRAMES = Ending("protocol", None)  # the protocol itself has told the caller why: 1002, 1007 or 1009
    MESSAGE = Ending("client_data", 1008, "this stream is from server to client; send no messages")
    FLOOD = Ending("flood", 1008, "too many control frames at once")
    REVOKED = Ending("revoked", 4001, "the key is no longer valid", LINGER_REVOKED_S)
    LOCKED = Ending("locked", 4023, "trading is locked: nothing but cancels passes until an operator sets it active")
    SLOW = Ending("slow", 4008, "frames are not read as fast as they come")
    SILENT = Ending("silent", 1011, "no answer to a ping")
    DAEMON_LOST = Ending("daemon_lost", 1012, "the daemon's stream has ended; connect again")
    DAEMON_UNREADABLE = Ending("daemon_bad_frame", 1011, "the daemon's stream cannot be read")
    SHUT_DOWN = Ending("shutdown", 1001, "the guard is shutting down")
    FAILED = Ending("failed", 1011, "the guard failed on this stream")
