"""What a change of policies changes: per policy and rule, looser, tighter, neutral or mixed, and in words.

By the rules' own order (`table`), on the safe side: a change that is called tighter lets nothing through that was
refused, one called looser refuses nothing that passed, whatever has happened before; what cannot be shown is mixed. A
change that another policy makes harmless today is told all the same. `witness` confirms by evaluating orders.
"""

from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from guard.pauses import with_pauses
from guard.policy.compared import Kind, compared, joined, opposite, within
from guard.policy.document import PolicyDoc
from guard.policy.policyset import PolicySet, canonical
from guard.policy.prices import BUFFER_PERCENT
from guard.policy.rows import RuleRow
from guard.policy.schema import expanded
from guard.policy.table import BY_PATH, ROWS
from guard.policy.trial import Witness

BUFFER: Final = "orders.market_buffer_percent"
BLANK: Final = PolicyDoc("", "")
_SELECTING: Final = ("policy.mode", "policy.expires_at", *(row.path for row in ROWS if row.table == "applies_to"))
_MONEY: Final = tuple(row.path for row in ROWS if row.order == "caps")
_DEPENDS: Final = {  # what a key has no meaning without
    "budgets.per": ("budgets.daily_value", "budgets.open_orders", "budgets.open_value"),
    "budgets.resets": ("budgets.daily_value", "orders.per_day"),
    "rates.per": ("rates.new_orders", "rates.changes", "rates.reads", "rates.cancels"),
    "reference.price_collar_missing": ("orders.price_collar_percent",),
    "fx.rates": _MONEY,
    "fx.as_of": _MONEY,
    "fx.max_age_days": _MONEY,
    "fx.buffer_percent": _MONEY,
}


class RuleChange(Struct, frozen=True):
    """One thing that changes. `before` and `after` as the files write it, "" for a key left out.

    `witness`: for what is looser or mixed, an order that is refused before and passes after, where one was found.
    """

    policy: str
    rule: str
    kind: Kind
    words: str
    before: str = ""
    after: str = ""
    witness: Witness | None = None


def compare(before: PolicySet, after: PolicySet) -> tuple[RuleChange, ...]:
    """Every difference between two sets, by policy, in the order of the rule table."""
    old, new = {doc.id: doc for doc in before.all_docs}, {doc.id: doc for doc in after.all_docs}
    found: list[RuleChange] = []
    for once, called in _renamed(old, new):
        found.append(RuleChange(called, "policy.id", "neutral", f"policy {once} is now called {called}", once, called))
        del old[once], new[called]
    others = tuple(doc for doc in (*before.all_docs, *after.all_docs) if _has(doc, BUFFER))
    for name in with_pauses(sorted(old.keys() | new.keys())):
        if old.get(name) != new.get(name):
            found += _changes(name, old.get(name), new.get(name), others=others)
    found += _cover(before, after)
    return tuple(found)


def overall(changes: tuple[RuleChange, ...]) -> Kind:
    """What all changes come to together."""
    return joined([change.kind for change in changes])


def value_of(doc: PolicyDoc, row: RuleRow) -> Any:
    """What the document says of the row's key; None where it says nothing. FUTURES is written out."""
    if row.path == "hours":
        return doc.hours
    table = getattr(doc, row.table)
    value = None if table is None else getattr(table, row.key)
    return expanded(value) if row.path == "instruments.markets" and value is not None else value


def told(value: Any) -> str:
    """A value as a policy file would write it, in short."""
    if value is None:
        return ""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {told(inner)}" for name, inner in value.items()) + " }"
    if isinstance(value, tuple):
        return told(value[0]) if len(value) == 1 else f"[{', '.join(map(told, value))}]"
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _renamed(old: dict[str, PolicyDoc], new: dict[str, PolicyDoc]) -> list[tuple[str, str]]:
    """The same content under another name, but where a counter carries the name."""
    gone = {_content(old[name]): name for name in with_pauses(sorted(old.keys() - new.keys(), reverse=True))}
    come = {_content(new[name]): name for name in with_pauses(sorted(new.keys() - old.keys(), reverse=True))}
    shared = [content for content in gone if content in come]
    pairs = [(gone[content], come[content]) for content in shared]
    return [(was, now) for was, now in pairs if "policy" not in {old[was].budgets.per, old[was].rates.per}]


def _content(doc: PolicyDoc) -> bytes:
    head = replace(doc.policy, id=None, owner=None, rationale=None, revision=None)
    return canonical((replace(doc, id="", policy=head),))


def _changes(
    name: str, was: PolicyDoc | None, now: PolicyDoc | None, *, others: tuple[PolicyDoc, ...]
) -> Iterator[RuleChange]:
    if was is None or now is None:
        yield from _whole(name, was, now, others=others)
        return
    is_shadow = was.policy.mode == now.policy.mode == "shadow"
    for row in ROWS:
        old, new = value_of(was, row), value_of(now, row)
        if old == new:
            continue
        kind = "neutral" if is_shadow else _kind(row, was, now, others=others)
        yield RuleChange(
            name, row.path, kind, _words(row, kind, before=told(old), after=told(new)), told(old), told(new)
        )


def _whole(
    name: str, was: PolicyDoc | None, now: PolicyDoc | None, *, others: tuple[PolicyDoc, ...]
) -> Iterator[RuleChange]:
    """A policy that comes or goes: one change for each of its limits, none for whom it selects."""
    doc = was or now or BLANK
    verb = "added" if was is None else "removed"
    is_shadow = doc.policy.mode == "shadow"
    count = 0
    for row in ROWS:
        value = value_of(doc, row)
        if row.table in {"policy", "applies_to"} or value == value_of(BLANK, row) or row.key == "per":
            continue
        count += 1
        kind = _kind(row, was or BLANK, now or BLANK, others=others)
        kind = "neutral" if is_shadow else kind
        text = told(value)
        before, after = ("", text) if was is None else (text, "")
        yield RuleChange(
            name, row.path, kind, f"policy {verb}: {_words(row, kind, before=before, after=after)}", before, after
        )
    if not count:
        yield RuleChange(name, "policy.id", "neutral", f"policy {verb}: it limits nothing")


def _kind(row: RuleRow, was: PolicyDoc, now: PolicyDoc, *, others: tuple[PolicyDoc, ...]) -> Kind:
    old, new = value_of(was, row), value_of(now, row)
    needs = _DEPENDS.get(row.path)
    if needs is not None and not any(_has(was, path) and _has(now, path) for path in needs):
        return "neutral"  # the limits that it belongs to come or go themselves, and are told
    if row.table == "fx":
        return _fx(row, was, now)
    if row.order == "caps" and (was.fx is not None or now.fx is not None) and None not in (old, new):
        return _converted_caps(row, old, new)
    if row.path == BUFFER and None in (old, new):
        kind = compared(row, old, new)
        # Left out is 5 only where no other policy says a number.
        shared = any(doc.id not in {was.id, now.id} for doc in others)
        return "mixed" if shared and kind != ("tighter" if old is None else "looser") else kind
    if row.path in _SELECTING and _grants(was, now):
        return "neutral" if old == new else joined([compared(row, old, new), opposite(compared(row, old, new))])
    return compared(row, old, new)


def _has(doc: PolicyDoc, path: str) -> bool:
    return value_of(doc, BY_PATH[path]) is not None


def _grants(*docs: PolicyDoc) -> bool:
    """The policy has a part that gives instead of taking: who is bound by it is not simply more limited."""
    return any(
        "account" in {doc.rights.touch, doc.rights.cancel_all}
        or doc.reference.price_age_max_s is not None
        or (doc.orders.market_buffer_percent is not None and doc.orders.market_buffer_percent < BUFFER_PERCENT)
        for doc in docs
    )


def _converted_caps(row: RuleRow, before: Any, after: Any) -> Kind:
    """With exchange rates a currency without an amount of its own meets the others': only equal lists compare."""
    same = {text.rpartition(" ")[2] for text in before} == {text.rpartition(" ")[2] for text in after}
    return compared(row, before, after) if same else "mixed"


def _fx(row: RuleRow, was: PolicyDoc, now: PolicyDoc) -> Kind:
    """Rates that come let orders be compared that were refused; on a sum of money they also add other orders up."""
    if was.fx is not None and now.fx is not None:
        return compared(row, value_of(was, row), value_of(now, row))
    if row.path != "fx.rates":
        return "neutral"
    if any(_has(doc, f"budgets.{key}") for doc in (was, now) for key in ("daily_value", "open_value")):
        return "mixed"
    return "looser" if was.fx is None else "tighter"


def _words(row: RuleRow, kind: Kind, *, before: str, after: str) -> str:
    left_out = row.unset
    was, now = before or f"left out ({left_out})", after or f"left out ({left_out})"
    why = f": {row.mixed_why}" if kind == "mixed" and row.mixed_why else ""
    return f"{row.path} {was} becomes {now}, {kind}{why}"


# ---------------------------------------------------------------- cover


def _cover(before: PolicySet, after: PolicySet) -> Iterator[RuleChange]:
    """Who may trade at all: a money limit gives cover, and without cover a trade is refused as no_policy."""
    if before.require_cover != after.require_cover:
        kind: Kind = "looser" if before.require_cover else "tighter"
        words = f"require_cover {before.require_cover} becomes {after.require_cover}, {kind}".lower()
        yield RuleChange("", "require_cover", kind, words, str(before.require_cover), str(after.require_cover))
        return
    if not after.require_cover:
        return
    for doc in _newly_covering(before.docs, after.docs):
        words = "orders.max_value now covers trades that nothing covered (no_policy), looser"
        yield RuleChange(doc.id, "cover", "looser", words)
    for doc in _newly_covering(after.docs, before.docs):
        words = "trades that orders.max_value covered are refused as no_policy where nothing else covers them, tighter"
        yield RuleChange(doc.id, "cover", "tighter", words)


def _newly_covering(old: tuple[PolicyDoc, ...], new: tuple[PolicyDoc, ...]) -> Iterator[PolicyDoc]:
    """Those that cover somebody whom, as far as can be shown, none of the old ones did."""
    covering = {doc.id: doc for doc in old if _covering(doc)}
    for doc in with_pauses(new):
        if not _covering(doc):
            continue
        same = covering.get(doc.id)
        if same is not None and reaches(same, doc):
            continue
        if not any(reaches(other, doc) for other in covering.values()):
            yield doc


def _covering(doc: PolicyDoc) -> bool:
    return doc.orders.max_value is not None and doc.policy.mode == "enforce"


def reaches(wide: PolicyDoc, narrow: PolicyDoc) -> bool:
    """Whoever the narrow policy selects, the wide one does, and at least as long."""
    outer, inner = wide.applies_to, narrow.applies_to
    for name in ("keys", "environments", "accounts"):
        whom, who = getattr(outer, name), getattr(inner, name)
        if whom is not None and (who is None or not within(who, whom)):
            return False
    if not within(outer.except_keys or (), inner.except_keys or ()):
        return False
    until, end = wide.policy.expires_at, narrow.policy.expires_at
    return until is None or (end is not None and end <= until)
