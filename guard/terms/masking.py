"""What looks like a secret is not repeated: keys, tokens and digests that a caller put where they do not belong. Pure.

Callers make mistakes: a key in a header that is recorded, a password's digest in place of an enum. Whatever is answered
or recorded of a caller's own words passes through here first. Ids keep their shape as long as they are not 32 hex
digits in a row: a UUID with its hyphens, a ULID, an order id.
"""

import re
from typing import Final

MASK: Final = "***"
SECRET_CHARS_MIN: Final = 32
# Hex of an MD5 or longer; a run as long as keys are, or the beginning of a token, and the further parts behind it.
_SECRET: Final = re.compile(
    r"[0-9A-Fa-f]{32,}+|(?:[A-Za-z0-9_-]{40,}+|eyJ[A-Za-z0-9_-]{8,}+)(?:\.[A-Za-z0-9_-]++)*+", re.ASCII
)
_DIGITS: Final = re.compile(r"[0-9A-Fa-f]{16,}", re.ASCII)


def masked(text: str) -> str:
    """The text with every secret-looking run replaced. Nearly every text is of short words: that is seen at once."""
    if "eyJ" not in text and max(map(len, text.split()), default=0) < SECRET_CHARS_MIN:
        return text
    return _SECRET.sub(MASK, text)


def without_digests(text: str) -> str:
    """A name or a path without long runs of hex digits, of which no name has any: a key's, or a password's digest."""
    return _DIGITS.sub("...", text)
