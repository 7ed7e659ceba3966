"""A table of the report: a caption, named columns, rows; it scrolls by itself where a screen is narrow. Pure."""

from collections.abc import Iterable, Sequence
from typing import Final

from guard.audit.markup import Content, Markup, el

EMPTY: Final = "None in this time."
_NUMBERS: Final = "n"


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[Content]], *, kinds: str = "") -> Markup:
    """`kinds`: a letter a column: n number, t never broken, m long text, h the row's own name, anything else plain."""
    body = [_row(cells, kinds) for cells in rows]
    if not body:
        return el("div", el("h3", caption), el("p", EMPTY, class_="empty"))
    head = [
        el("th", name, scope="col", class_="n" if kinds[place : place + 1] == _NUMBERS else None)
        for place, name in enumerate(heads)
    ]
    made = el("table", el("caption", el("span", caption)), el("thead", el("tr", head)), el("tbody", body))
    return el("div", made, class_="wide", role="region", tabindex=0, aria_label=caption)


def _row(cells: Sequence[Content], kinds: str) -> Markup:
    found = []
    for place, cell in enumerate(cells):
        kind = kinds[place : place + 1]
        name = "th" if kind == "h" else "td"
        found.append(
            el(name, cell, scope="row" if kind == "h" else None, class_=kind if kind in {"n", "t", "m"} else None)
        )
    return el("tr", found)


def more(total: int, shown: int) -> Markup | None:
    """A word on what a bounded list leaves out."""
    left = total - shown
    return el("p", f"… and {left:,} more: guard audit search has them all.", class_="note") if left > 0 else None


def number(value: object) -> str:
    """With thousands apart; decimals without zeros behind."""
    text = f"{value:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def moment(ts: object) -> str:
    """A time to the second, without its zone: the page says once that it is UTC."""
    return str(ts)[:19].replace("T", " ")
