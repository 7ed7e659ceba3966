"""The report: one HTML page that needs nothing else, for any browser, a phone, or paper. Pure.

No script, no font, no image: a content security policy says so, and names the one style sheet by its hash. Texts from
the record pass through `markup`, so none of them can become a part of the page.
"""

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from importlib.resources import files
from typing import Final

from msgspec import Struct

from guard.audit import events
from guard.audit.controls import CONTROLS, findings
from guard.audit.events import Differences
from guard.audit.facts import ORDERS, Facts
from guard.audit.markup import Content, Markup, el, join, raw
from guard.audit.sections import came_in, limits, refused, section
from guard.audit.tables import moment, number, table
from guard.journal.examine import Finding

_SECTIONS: Final = (
    ("came-in", "What came in"),
    ("refused", "What was refused"),
    ("limits", "Limits"),
    ("policies", "Policies and keys"),
    ("states", "States and drills"),
    ("outcomes", "Outcomes"),
    ("outside", "Outside the guard"),
    ("gaps", "Gaps"),
    ("proof", "Proof"),
    ("controls", "Controls"),
)


class ReportData(Struct, frozen=True):
    """What a page is made of. `made_at` and the bounds as `ts` is written; `keys` verified it, `remarks` hedge that."""

    facts: Facts
    finding: Finding
    made_at: str
    version: str
    origin: str = ""
    keys: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def page(data: ReportData, differences: Differences) -> str:
    """The whole page as text."""
    facts, style = data.facts, files("guard.audit").joinpath("report.css").read_text(encoding="utf-8")
    period = _period(facts)
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=_policy(style)),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="referrer", content="no-referrer"),
        el("title", f"Pre-trade control report, {period}"),
        el("style", raw(style)),
    )
    body = el(
        "body",
        el("a", "Skip to the report", href="#summary", class_="skip"),
        _header(data, period),
        el(
            "main",
            _summary(data),
            came_in(facts),
            refused(facts),
            limits(facts),
            events.policies(facts, differences),
            events.states(facts),
            events.outcomes(facts),
            events.outside(facts),
            events.gaps(facts),
            events.proof(data.finding, data.remarks, data.keys),
            _controls(facts),
        ),
        el("footer", el("p", _made(data))),
    )
    return f"<!doctype html>\n{el('html', head, body, lang='en')}\n"


def _made(data: ReportData) -> str:
    by, records = f"opend-guard {data.version}", number(data.facts.records)
    made = f"Made {moment(data.made_at)} UTC by {by} from {records} records."
    return f"{made} The page holds numbers and names from the record; it loads nothing and sends nothing."


def _policy(style: str) -> str:
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def _period(facts: Facts) -> str:
    first, last = facts.since or facts.first_ts, facts.until or facts.last_ts
    return f"{first[:10]} to {last[:10]}" if first and first[:10] != last[:10] else first[:10] or "no records"


def _header(data: ReportData, period: str) -> Markup:
    facts = data.facts
    links = [el("li", el("a", name, href=f"#{id_}")) for id_, name in _SECTIONS]
    first, last = facts.first_ts and (facts.since or facts.first_ts), facts.until or facts.last_ts
    span = (
        f"Everything on record from {moment(first)} to {moment(last)}; all times are UTC."
        if first
        else "No record lies in this time."
    )
    days = [el("span", day, class_="date") for day in period.split(" to ")]
    return el(
        "header",
        el("p", f"opend-guard · {data.origin}" if data.origin else "opend-guard", class_="kicker"),
        el("h1", "Pre-trade control report, ", join(*days, between=" to ")),
        el("p", span, class_="lead"),
        el("nav", el("ul", links), aria_label="Sections"),
    )


def _summary(data: ReportData) -> Markup:
    facts, finding = data.facts, data.finding
    allowed = sum(facts.effects[f"{effect}_allow"] for effect in ORDERS)
    turned = sum(facts.effects[f"{effect}_refuse"] for effect in ORDERS)
    sent = sum(facts.outcomes.values()) - facts.outcomes["not_sent"]
    share = f"{100 * turned / (allowed + turned):.1f} % of what was asked" if allowed + turned else "none was asked for"
    named = len(facts.keys.keys() - {""})
    reloads = f"{facts.noted['reloads: refused']} refused; {facts.states.total} changes of trading state"
    figures: list[tuple[str, str, str]] = [
        ("Orders allowed", number(allowed), f"{number(facts.order_outcomes['accepted'])} accepted by the daemon"),
        ("Orders refused", number(turned), share),
        ("Unknown outcomes", number(facts.doubts_total), f"{facts.doubts_open} open, of {number(sent)} trades sent"),
        ("Outside the guard", number(facts.outside.total), "orders that the guard did not send"),
        ("Reloads of policies", number(facts.noted["reloads: applied"]), reloads),
        ("Days with requests", number(len(facts.days)), f"{named} key{'s' * (named != 1)}"),
    ]
    cells = [el("div", el("dt", name), el("dd", value, el("span", sub, class_="sub"))) for name, value, sub in figures]
    return el(
        "section",
        el("h2", "In short", id="h-summary"),
        _verdict(finding, data.remarks),
        el("dl", cells, class_="figures"),
        _look(facts),
        id="summary",
        aria_labelledby="h-summary",
    )


def _verdict(finding: Finding, remarks: Sequence[str]) -> Markup:
    kind, words = {
        "ok": ("good", "The record is whole."),
        "edited": ("bad", "The record was edited."),
        "shorter": ("bad", "Records were cut off."),
        "torn": ("look", "The last line is torn, as a crash leaves it."),
    }.get(finding.result, ("look", "The record could not be verified."))
    told: list[Content] = [el("p", el("strong", words), " ", finding.message)]
    if remarks:
        told.append(el("p", remarks[0], class_="note"))
    return el("div", el("span", "proof", class_=f"tag {kind}"), el("div", told), class_=f"verdict {kind}")


def _look(facts: Facts) -> Markup:
    rows = [
        el(
            "li",
            el("span", "act" if kind == "bad" else "look", class_=f"tag {kind}"),
            el("span", sentence),
            el("a", "more", href=f"#{where}", aria_label=f"more on: {sentence}"),
        )
        for kind, sentence, where in findings(facts)
    ]
    if not rows:
        return el("p", "Nothing asks for a closer look.", class_="note")
    return join(el("h3", "Worth a closer look"), el("ul", rows, class_="findings"))


def _controls(facts: Facts) -> Markup:
    links = dict(_SECTIONS)
    rows = [
        (one.id, one.name, one.supports, one.evidence(facts), el("a", links[one.section], href=f"#{one.section}"))
        for one in CONTROLS
    ]
    return section(
        "controls",
        "How the guard supports a firm's controls",
        el(
            "p",
            "The guard supports these controls; it meets no rule on anybody's behalf. Whether limits are right, and "
            "who may change them, is the firm's own judgement.",
            class_="note",
        ),
        table(
            "Controls C1 to C18",
            ("", "control", "how the guard supports it", "in this time", "section"),
            rows,
            kinds="hxmx",
        ),
    )
