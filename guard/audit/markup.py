"""HTML and SVG as values: what is not markup already is escaped, always. Pure.

`el("td", "a < b", class_="n")` gives `<td class="n">a &lt; b</td>`. There is no way to write an element from a text
that somebody else wrote, so nothing that stands in a record can become a part of the page.
"""

from collections.abc import Iterable
from html import escape
from typing import Final

from guard.journal.record import plain

TEXT_CHARS_MAX: Final = 400
_VOID: Final = frozenset({"meta", "br", "rect", "line", "path", "circle", "col", "use"})


class Markup(str):
    """Text that is markup already; only `el`, `join` and `text` make it."""

    __slots__ = ()


Content = str | int | None | Iterable["Content"]


def text(value: object) -> Markup:
    """A value as text: escaped, bounded, without characters that move a cursor or turn the direction of writing."""
    said = str(value)
    before, after = " " * said[:1].isspace(), " " * said[-1:].isspace()  # `plain` strips
    clean = plain(said, chars_max=TEXT_CHARS_MAX)
    return Markup(escape(f"{before}{clean}{after}" if clean else before))


def join(*parts: Content, between: str = "") -> Markup:
    """Parts one after the other; nothing for None."""
    return Markup(escape(between).join(_flat(parts)))


def _flat(parts: Iterable[Content]) -> list[str]:
    found: list[str] = []
    for part in parts:
        if part is None:
            continue
        if isinstance(part, Markup):
            found.append(part)
        elif isinstance(part, str | int):
            found.append(text(part))
        else:
            found += _flat(part)
    return found


def el(name: str, /, *children: Content, **attributes: str | int | bool | None) -> Markup:
    """An element. Underscores in attributes become hyphens, one at the end is dropped; None and False leave it out."""
    written = ""
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        name_ = key.rstrip("_").replace("_", "-")
        written += f" {name_}" if value is True else f' {name_}="{text(value)}"'
    if name in _VOID:
        return Markup(f"<{name}{written}/>")
    return Markup(f"<{name}{written}>{join(children)}</{name}>")


def raw(trusted: str) -> Markup:
    """Markup that this program itself wrote as text: a style sheet."""
    return Markup(trusted)
