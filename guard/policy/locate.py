"""Where in a TOML text a key stands.

TOML readers do not say, so the text is scanned line by line: a line number is help for people, nothing depends on it.
"""

import re
from typing import Final

_HEADER: Final = re.compile(r"\s*\[{1,2}\s*([^\[\]#]+?)\s*\]{1,2}")
_KEY: Final = re.compile(
    r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*="""
)
_PART: Final = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")
_FENCE: Final = re.compile(r"\"\"\"|'''")
_REMARK: Final = re.compile(r"""("[^"]*"|'[^']*')|\s*#.*""")


def line_of(text: str, path: tuple[str, ...]) -> int | None:
    """The line (from 1) of the key at this path, else of its table, else None."""
    table: tuple[str, ...] = ()
    nearest: int | None = None
    is_inside_text = False
    for number, line in enumerate(text.splitlines(), start=1):
        was_inside, fences = is_inside_text, len(_FENCE.findall(line))
        is_inside_text = was_inside ^ (fences % 2 == 1)
        if was_inside:
            continue
        header = _HEADER.match(line)
        if header is not None:
            table = _parts(header[1])
        key = _KEY.match(line) if header is None else None
        here = table + (_parts(key[1]) if key else ())
        if here == path and (key or header):
            return number
        if nearest is None and here and here == path[: len(here)] and (key or header):
            nearest = number
    return nearest


def written_at(text: str, line: int) -> str:
    """What stands there; a list that goes on over the next lines in one, without their remarks."""
    lines = text.splitlines()[line - 1 :]
    found, depth = [], 0
    for each in lines:
        found.append(_REMARK.sub(r"\1", each).strip())
        bare = _REMARK.sub("", each)
        depth += bare.count("[") - bare.count("]")
        if depth <= 0:
            break
    return lines[0].strip() if len(found) == 1 else " ".join(filter(None, found))


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in _PART.findall(dotted))
