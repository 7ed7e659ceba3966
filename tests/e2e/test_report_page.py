"""The report in a browser: at a desk, on a phone, in the dark and on paper."""

import os
import re
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest

from guard.cli.audit import app
from tests.support.browser import PROGRAM, Browser, browser
from tests.support.commands import called
from tests.support.reviewed import reviewed

pytestmark = pytest.mark.skipif(PROGRAM is None and "CI" not in os.environ, reason="chromium is not installed")

# What sticks out of the window, unless it lies in a box that scrolls by itself.
OVERFLOWING: Final = """[...document.querySelectorAll('body *')].filter(e => !e.closest('.wide, svg') &&
    (e.getBoundingClientRect().right > innerWidth + 1 || e.scrollWidth > e.clientWidth + 1) &&
    e.clientWidth > 0 && getComputedStyle(e).display !== 'inline' && !e.classList.contains('skip'))
    .map(e => e.tagName + '.' + e.className).slice(0, 5)"""
# The contrast of every text with what is behind it, by WCAG 2: those that fall short.
CONTRAST: Final = """(() => {
    const rgb = s => (s.match(/[\\d.]+/g) || []).map(Number);
    const part = v => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
    const light = c => 0.2126 * part(c[0]) + 0.7152 * part(c[1]) + 0.0722 * part(c[2]);
    const behind = e => {
        for (; e; e = e.parentElement) {
            const c = rgb(getComputedStyle(e).backgroundColor);
            if (c.length === 3 || c[3] > 0) return c;
        }
        return [255, 255, 255];
    };
    const bad = [];
    for (const e of document.querySelectorAll('body *')) {
        if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) || e.tagName === 'title') continue;
        const style = getComputedStyle(e), inSvg = e.closest('svg');
        const a = light(rgb(inSvg ? style.fill : style.color)), b = light(behind(inSvg ? inSvg.parentElement : e));
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < 4.5) bad.push(`${e.tagName}.${e.className} ${ratio.toFixed(2)} ${e.textContent.slice(0, 20)}`);
    }
    return bad.slice(0, 8);
})()"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of five days, with everything that a report can tell."""
    folder = tmp_path_factory.mktemp("report")
    state, out = reviewed(folder / "state", days=5, orders=60), folder / "report.html"
    result = called(app, "report", "--state", state, "--out", out)
    assert result.exit_code == 0, result.output
    return out


@pytest.fixture
async def window(tmp_path: Path) -> AsyncIterator[Browser]:
    """A browser."""
    async with browser(tmp_path) as found:
        yield found


async def test_the_page_fits_is_legible_and_asks_for_nothing(report: Path, window: Browser) -> None:
    """At a desk and on a phone, light and dark: nothing sticks out, contrast as WCAG AA asks, nothing is asked for."""
    for width, dark in ((1280, False), (1280, True), (390, False), (390, True)):
        await window.open(report, width=width, dark=dark)

        assert await window.ask("document.documentElement.scrollWidth <= innerWidth"), (width, dark)
        assert await window.ask(OVERFLOWING) == [], (width, dark)
        assert await window.ask(CONTRAST) == [], (width, dark)
        assert len(await window.shot()) > 50_000
    assert window.requests == [report.as_uri()] * 4
    assert window.complaints == []


async def test_the_page_is_built_for_readers_of_every_kind(report: Path, window: Browser) -> None:
    """One heading of the first order, none skipped; captions, scopes, labels; every link inside the page arrives."""
    await window.open(report, width=1280)

    levels = await window.ask("[...document.querySelectorAll('h1,h2,h3')].map(e => +e.tagName[1])")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert await window.ask("[...document.querySelectorAll('table')].every(t => t.caption && t.caption.textContent)")
    assert await window.ask("[...document.querySelectorAll('th')].every(t => t.scope)")
    assert await window.ask("[...document.querySelectorAll('figure svg')].every(s => s.getAttribute('aria-label'))")
    assert await window.ask("document.querySelectorAll('figure svg rect').length") > 5
    assert await window.ask("[...document.querySelectorAll('a')].every(a => document.querySelector(a.hash))")
    ids = await window.ask("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))
    assert await window.ask("document.documentElement.lang") == "en"


async def test_the_page_prints(report: Path, window: Browser) -> None:
    """Some sheets of A4; what scrolls on a screen is whole on paper."""
    await window.open(report, width=718)  # A4 less its margins, in CSS pixels
    sheet = await window.pdf()

    assert sheet.startswith(b"%PDF")
    assert 3 <= len(re.findall(rb"/Type\s*/Page\b", sheet)) <= 20
    await window.call("Emulation.setEmulatedMedia", media="print")
    assert await window.ask("getComputedStyle(document.querySelector('nav')).display") == "none"
    clipped = (
        "[...document.querySelectorAll('.wide')].filter(e => e.scrollWidth > e.clientWidth + 2).map(e => e.ariaLabel)"
    )
    assert await window.ask(clipped) == []
    assert window.complaints == []
