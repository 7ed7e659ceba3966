"""Markup as values: whatever is text is escaped."""

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from guard.audit.markup import el, join, text


class _Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Every element that a reader would see."""
        self.tags.append(tag)
        self.attributes += attrs


def test_an_element_is_written_as_html_has_it() -> None:
    """Attributes with hyphens, none for None and False, void elements without an end."""
    made = el("td", "a < b", None, ["c", 1], class_="n", aria_label='"x"', hidden=False, title=None, open=True)

    assert made == '<td class="n" aria-label="&quot;x&quot;" open>a &lt; bc1</td>'
    assert el("rect", x=1) == '<rect x="1"/>'
    assert join("a", "b", between=" <") == "a &lt;b"
    assert text("a\x1b[2J\u202eb") == "a [2J b"


@given(words=st.text(), attribute=st.text())
def test_no_text_becomes_a_part_of_the_page(words: str, attribute: str) -> None:
    """Whatever somebody wrote: one element, one attribute."""
    seen = _Seen()
    seen.feed(el("p", words, [words], title=attribute))
    seen.close()

    assert seen.tags == ["p"]
    assert [name for name, _ in seen.attributes] == ["title"]
