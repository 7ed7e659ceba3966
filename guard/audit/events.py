"""The sections of the report that tell events: who changed what, states and drills, doubts, gaps, the proof. Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from guard.audit.facts import Facts
from guard.audit.markup import Content, Markup, el
from guard.audit.sections import NOBODY, ROWS_MAX, section
from guard.audit.tables import moment, more, number, table
from guard.journal.examine import Finding

Differences = Callable[[str, str], Sequence[tuple[str, str, str]] | str]
"""Two hashes of policies → what changed: policy, words, and looser, tighter, neutral or mixed; or why nobody knows."""

_GAP_TITLES: Final = {
    "gap": "journal could not be written",
    "recovered": "torn line set aside",
    "clock": "clock stepped",
    "prune": "old records deleted",
}


def policies(facts: Facts, differences: Differences) -> Markup:
    """Every reload of policies and keys: who, from what to what, and whether that was looser or tighter."""
    rows = []
    for one in facts.reloads.shown:
        before, after = str(one.get("from_sha256") or ""), str(one.get("sha256") or "")
        changed = differences(before, after) if before and one.get("result") == "applied" else ()
        notes = [changed] if isinstance(changed, str) else []
        told: list[Content] = [
            el("div", el("span", kind, class_=f"tag {kind}"), f" {policy}: {words}")
            for policy, words, kind in (() if isinstance(changed, str) else changed)
        ]
        told += [el("div", error, class_="note") for error in (*notes, *(one.get("errors") or [])[:5])]
        hashes = [_hash(before), " → ", _hash(after)] if before else [_hash(after)]
        rows.append((moment(one["ts"]), [_who(one), *_why(one)], str(one.get("result")), hashes, told or "-"))
    keys = [
        (moment(one["ts"]), [_who(one), *_why(one)], str(one.get("result")), _moved(one))
        for one in facts.key_reloads.shown
    ]
    heads = ("when", "who and why", "result", "from, to", "what changed")
    return section(
        "policies",
        "Changes of policies and keys",
        table("Reloads of policies", heads, rows, kinds="txxtm"),
        more(facts.reloads.total, len(rows)),
        table("Reloads of keys", ("when", "who and why", "result", "what changed"), keys, kinds="txxm"),
        more(facts.key_reloads.total, len(keys)),
    )


def states(facts: Facts) -> Markup:
    """Trading states, drills among them."""
    rows = [
        (
            moment(one["ts"]),
            el("code", str(one.get("state"))),
            _scope(one.get("scope")),
            _who(one),
            str(one.get("reason") or "-"),
            el("span", "drill", class_="tag good") if one.get("drill") else "",
        )
        for one in facts.states.shown
    ]
    return section(
        "states",
        "Trading states and drills",
        table("Every change of state", ("when", "state", "for", "who", "reason", ""), rows, kinds="txxxm"),
        more(facts.states.total, len(rows)),
    )


def outcomes(facts: Facts) -> Markup:
    """What became of the orders that were allowed, which of them were stopped before they left, how doubts ended."""
    total = sum(facts.outcomes.values()) or 1
    verdicts = [
        (el("code", name), number(count), f"{100 * count / total:.2f} %")
        for name, count in facts.outcomes.most_common()
    ]
    unsent = [(why, number(count)) for why, count in facts.not_sent.most_common(ROWS_MAX)]
    doubts = [
        (
            moment(one.ts),
            [el("span", one.decision, class_="id"), el("span", f"{one.key or NOBODY} {one.symbol}", class_="sub2")],
            one.why,
            el("span", "open", class_="tag bad") if one.settled is None else f"{one.verdict}, {moment(one.settled)}",
            " · ".join(part for part in (one.source, one.by + _with(one.by_key), one.reason) if part) or "-",
        )
        for one in sorted(facts.doubts.values(), key=lambda one: (one.settled is not None, one.ts))[:ROWS_MAX]
    ]
    heads = ("when", "decision", "why", "settled as", "by what")
    return section(
        "outcomes",
        "Outcomes, and the unknown ones",
        table(
            "What came of new orders, changes and cancels",
            ("verdict", "trades", "part"),
            verdicts,
            kinds="hnn",
        ),
        _speed(facts),
        table("Allowed and not sent: nothing of these reached the daemon", ("why", "trades"), unsent, kinds="xn"),
        table("Unknown outcomes, and how they were settled", heads, doubts, kinds="tmxtx"),
        more(facts.doubts_total, len(doubts)),
    )


def _speed(facts: Facts) -> Markup | None:
    took = facts.duration_us
    if not took.count:
        return None
    half_ms, most_ms = took.percentile(50) / 1000, took.percentile(99) / 1000
    told = f"The daemon answered half of them within {half_ms:.1f} ms and 99 % within {most_ms:.1f} ms."
    return el("p", told, class_="note")


def outside(facts: Facts) -> Markup:
    """Orders at the broker that the guard did not send, or that had ended and came back."""
    rows = [
        (
            moment(one["ts"]),
            str(one.get("environment") or "-"),
            str(one.get("account") or "-"),
            str(one.get("symbol") or "-"),
            str(one.get("order_id_ex") or one.get("order_id") or "-"),
            str(one.get("status") or "-"),
        )
        for one in facts.outside.shown
    ]
    return section(
        "outside",
        "Orders outside the guard",
        el(
            "p",
            "Found in the broker's own lists: placed in its app, or by a program that went round the guard.",
            class_="note",
        ),
        table(
            "Orders that the guard did not send",
            ("seen", "environment", "account", "symbol", "order id", "status"),
            rows,
            kinds="txnxm",
        ),
        more(facts.outside.total, len(rows)),
    )


def gaps(facts: Facts) -> Markup:
    """What the record lacks or doubts, and when the guard ran."""
    rows = [(moment(one["ts"]), _GAP_TITLES[one["what"]], _gap(one)) for one in facts.gaps.shown]
    runs = [
        (
            moment(one["ts"]),
            one["what"],
            str(one.get("version") or one.get("reason") or "-"),
            [el("div", str(word)) for word in one.get("weakened") or one.get("unfinished") or []] or "-",
        )
        for one in facts.runs.shown
    ]
    return section(
        "gaps",
        "Gaps, clocks and runs",
        table("What may be missing, or is", ("when", "what", "more"), rows, kinds="txm"),
        more(facts.gaps.total, len(rows)),
        table(
            "Starts and stops: a start that no stop follows was a crash",
            ("when", "what", "version or reason", "weakened or unfinished"),
            runs,
            kinds="txxm",
        ),
        more(facts.runs.total, len(runs)),
    )


def proof(finding: Finding, remarks: Sequence[str], keys: Sequence[str]) -> Markup:
    """What a full reading of the record found, and with which key."""
    rows: list[tuple[str, Content]] = [
        ("Result", finding.message),
        ("Records", f"{finding.first_seq:,} to {finding.records:,}"),
        ("Under a signed checkpoint", "none" if finding.signed is None else f"the first {finding.signed:,}"),
        ("Root of the tree", el("code", finding.root)),
        ("SHA-256 of the last record", el("code", finding.head)),
        ("Verifier key", [el("div", el("code", key)) for key in keys] or "none"),
        *(("Remark", remark) for remark in remarks),
    ]
    return section(
        "proof",
        "The proof",
        el(
            "p",
            "The whole record was read when this page was made, not only the time that it shows. Check it without this "
            "page: guard audit verify, with a key and a checkpoint that were kept elsewhere.",
            class_="note",
        ),
        table("What was found", ("what", "found"), rows, kinds="hm"),
    )


def _who(one: Mapping[str, Any]) -> str:
    return str(one.get("by") or "(not named)") + _with(one.get("key"))


def _with(key: object) -> str:
    """With which key; what the guard did by itself names none."""
    return f", with key {key}" if key else ""


def _why(one: Mapping[str, Any]) -> list[Content]:
    """The reason; of what another person asked for, whose and why; and when it goes back by itself."""
    told = [str(one.get("reason") or "no reason was given")]
    if one.get("asked_by"):
        asked = f"{one['asked_by']}{_with(one.get('asked_key'))}"
        told.append(f"asked for by {asked}: {one.get('asked_reason') or 'no reason was given'}")
    if one.get("until"):
        told.append(f"until {moment(one['until'])}, then back by itself")
    return [el("span", words, class_="sub2") for words in told]


def _moved(one: Mapping[str, Any]) -> Content:
    """Which keys a reload of them added, removed and changed, and what of issuers', or what was wrong with the file."""
    told = [
        el("div", f"{name} {', '.join(map(str, one[name]))}")
        for name in ("added", "removed", "changed", "issuers")
        if one.get(name)
    ]
    return [*told, *(el("div", error, class_="note") for error in (one.get("errors") or [])[:5])] or "-"


def _hash(sha256: str) -> Content:
    return el("code", sha256[:10], title=sha256) if sha256 else "-"


def _scope(scope: object) -> str:
    if not isinstance(scope, dict) or not any(scope.values()):
        return "everyone"
    return "; ".join(f"{name}: {', '.join(map(str, some))}" for name, some in scope.items() if some)


def _gap(one: Mapping[str, Any]) -> str:
    match one["what"]:
        case "gap":
            span = f"from {moment(one.get('since'))} to {moment(one.get('until'))}"
            many = one.get("cancels")
            return f"{many} cancel{'' if many == 1 else 's'} {span}: {one.get('reason')}"
        case "clock":
            return f"by {int(one.get('step_us') or 0) / 1_000_000:+.3f} s"
        case "prune":
            return f"all before record {one.get('first_seq')}; a signed root stands for them"
        case _:
            return f"{one.get('bytes')} bytes, kept in {one.get('file')}"
