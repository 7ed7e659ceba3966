"""The eighteen controls that a reviewer of pre-trade risk ticks, and what the record has to say of each. Pure.

The list distils what SEC 15c3-5, RTS 6, the SFC's code and the exchanges ask for. The guard *supports* a firm's
controls; whether a firm meets its duties is for the firm to say, and no sentence here does.
"""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from guard.audit.facts import IDLE_PERCENT, Facts


class Control(NamedTuple):
    """One control: what it is called, how the guard supports it, and the record's own numbers."""

    id: str
    name: str
    supports: str
    section: str
    evidence: Callable[[Facts], str]


def _refused(*codes: str) -> Callable[[Facts], str]:
    def told(facts: Facts) -> str:
        return _times(sum(facts.codes[code] for code in codes), "refusal")

    return told


def _used(*words: str) -> Callable[[Facts], str]:
    def told(facts: Facts) -> str:
        uses = [use for (word, *_), use in facts.uses.items() if word in words]
        hits = sum(sum(use.hits.values()) for use in uses)
        return f"{_times(len(uses), 'counter')} with a limit, {_times(hits, 'refusal')}" if uses else "no limit was met"

    return told


def _times(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _stopped(facts: Facts) -> str:
    return _times(facts.noted["states: breaker"], "stop") + " by a breaker"


def _drills(facts: Facts) -> str:
    drills = facts.noted["states: drill"]
    halted = _times(facts.codes["halted"], "refusal")
    return f"{_times(facts.states.total, 'change')} of state, {drills} in drills; {halted} by a state or HALT"


def _approved(facts: Facts) -> str:
    noted, made = facts.noted, _times(facts.noted["reloads: applied"], "reload")
    told = f"{made} of policies took effect, {noted['reloads: reason']} by a person with a reason"
    others = f"{noted['reloads: at a start']} at a start, {noted['reloads: reverted']} ended by themselves"
    return f"{told}; {others}, {noted['reloads: refused']} refused"


def _doubts(facts: Facts) -> str:
    told = f"{_times(facts.doubts_total, 'unknown outcome')}, {facts.doubts_open} open"
    return f"{told}; {_times(facts.outside.total, 'order')} outside"


def _outcomes(facts: Facts) -> str:
    return f"{_times(sum(facts.outcomes.values()), 'outcome')}, {_times(facts.fills, 'report')} of fills"


CONTROLS: Final = (
    Control(
        "C1", "Value of an order", "Each order is valued at its worst price and held against a limit.", "limits",
        _refused("max_order_value", "no_policy", "price_unavailable", "fx_unavailable"),
    ),
    Control("C2", "Quantity of an order", "A largest quantity for each order.", "limits", _refused("max_order_qty")),
    Control("C3", "Price collar", "Prices far from the market are refused.", "refused", _refused("price_collar")),
    Control(
        "C4", "Value in a day", "Gross value adds up over a trading day, fills and open orders alike.", "limits",
        _used("daily_value", "orders_per_day"),
    ),
    Control(
        "C5", "Open orders", "Number and value of orders that still work are bounded.", "limits",
        _used("open_orders", "open_value"),
    ),
    Control(
        "C6", "Position", "Orders that only reduce a fresh position are told apart; there is no limit on a position.",
        "refused", _refused("reduce_only"),
    ),
    Control(
        "C7", "Message rates", "Orders, changes and reads in exact sliding windows.", "limits",
        _refused("rate", "cooldown"),
    ),
    Control(
        "C8", "Repeated faults", "A key that fails again and again is stopped until a person sets it free.", "states",
        _stopped,
    ),
    Control(
        "C9", "Duplicates", "The same order again, in a short time, is refused.", "refused",
        _refused("duplicate_order", "idempotency_conflict"),
    ),
    Control(
        "C10", "Permitted instruments, sides, types, hours", "Lists by policy; a blocked symbol beats an allowed one.",
        "refused",
        _refused("market", "symbol", "unsupported_instrument", "side", "order_type", "time_in_force", "hours"),
    ),
    Control(
        "C11", "Access", "Every trade has a key with scope and account; the keys file names its owner.", "came-in",
        _refused("unauthenticated", "scope", "environment", "account", "not_your_order"),
    ),
    Control(
        "C12", "Kill", "Trading states for everyone, a key, an account or a market, with who and why.", "states",
        _drills,
    ),
    Control("C13", "Immediate reports", "Outcomes and fills are recorded when learned.", "outcomes", _outcomes),
    Control(
        "C14", "Overrides", "A limit is loosened by a reload that names a person; nothing passes a rule by itself.",
        "policies", _approved,
    ),
    Control(
        "C15", "Change of limits", "Who, from what to what, and why; every text is kept by its hash.", "policies",
        _approved,
    ),
    Control(
        "C16", "Tamper evidence", "Hash chain, Merkle tree and signed checkpoints; decisions can be judged again.",
        "proof", lambda facts: _times(facts.records, "record"),
    ),
    Control(
        "C17", "Review and drills", "This report, limits against their use, drills of trading states.", "states",
        _drills,
    ),
    Control(
        "C18", "Reconciliation", "Unknown outcomes and orders from elsewhere are looked for at the broker.", "outcomes",
        _doubts,
    ),
)  # fmt: skip


def findings(facts: Facts) -> Iterable[tuple[str, str, str]]:
    """What a reviewer should look at: how grave (`bad`, `look`), a sentence, the section that tells more."""
    seq, ts = facts.begins or (1, "")
    if seq > 1 and (facts.since or "") < ts:
        yield "look", f"Records 1 to {seq - 1} are pruned: what was before {ts[:19]}Z is not in this report", "proof"
    if facts.doubts_open:
        yield "bad", f"{_times(facts.doubts_open, 'order')} whose outcome is still unknown", "outcomes"
    if facts.outside.total:
        yield "bad", f"{_times(facts.outside.total, 'order')} at the broker that did not pass the guard", "outside"
    if facts.noted["gap"]:
        cancels = _times(facts.noted["cancels"], "cancel")
        yield "bad", f"{cancels} passed while the journal could not be written", "gaps"
    clocks = facts.noted["clock"]
    if clocks:
        yield "look", f"The clock of the host stepped {clocks} time{'' if clocks == 1 else 's'}", "gaps"
    daily = [name for name, use in facts.uses.items() if facts.days and set(use.hits) >= facts.days]
    if daily:
        yield (
            "look",
            f"{_times(len(daily), 'limit')} refused orders on every day: too tight, or a bot that ignores it",
            "limits",
        )
    idle = [name for name, use in facts.uses.items() if use.peak < IDLE_PERCENT]
    if idle:
        yield "look", f"{_times(len(idle), 'limit')} never used to a tenth: too wide to bind", "limits"
    for one in facts.weakened:
        yield "look", f"Weakened at the last start: {one}", "gaps"
