"""What is valid, and probably not meant: limits that nothing reaches, policies that bind nobody, keys without cover.

Asked for by `guard policy check` alone; every load warns of what is in `loadwarnings`. Findings are warnings: a reload
takes such policies, since each lets through no more than its lines say. A finding is told only where it is certain from
the files alone; each has a place, a stable code and a way out.
"""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from guard.markets import FUTURES, MARKETS, PREFIXES_OF
from guard.policy.compared import moneys
from guard.policy.diff import reaches
from guard.policy.document import PolicyDoc, PolicyError
from guard.policy.instruments import matches_symbol
from guard.policy.locate import line_of
from guard.policy.notation import Bad, blocking, matches, plain
from guard.policy.periods import currencies_of
from guard.policy.policyset import PolicySet
from guard.policy.schema import expanded
from guard.terms import PRICELESS, KeyLimits, OrderType, Principal

PARENTS_MAX: Final = 200  # of more policies only those that bind every key are looked at as parents
_OPTIONS: Final = frozenset({"HK", "US"})
_SUMS: Final = ("daily_value", "open_value")
Found = Iterator[tuple[tuple[str, ...], Bad]]


def lint(policies: PolicySet, texts: Mapping[str, str], principals: Iterable[Principal] = ()) -> list[PolicyError]:
    """Every finding, by policy, then those about keys. `texts`: the files by name, for lines."""
    keys = tuple({principal.name: principal for principal in principals}.values())
    found: list[PolicyError] = []
    for doc in policies.docs:
        for path, bad in (*_unreachable(doc), *_money(doc), *_parents(doc, policies.docs), *_nobody(doc, keys)):
            line = line_of(texts.get(doc.file, ""), path)
            found.append(PolicyError(doc.file, line, ".".join(path), bad.code, bad.message, bad.hint))
    for key in keys:
        found += _of_key(policies, key)
    return found


def _markets(doc: PolicyDoc) -> tuple[str, ...]:
    return MARKETS if doc.instruments.markets is None else expanded(doc.instruments.markets)


def _unreachable(doc: PolicyDoc) -> Found:
    """Lines that another line of the same policy makes meaningless."""
    yield from _elsewhere(doc)
    yield from _covered(doc)
    yield from _idle(doc)
    for name in ("sides", "types", "time_in_force"):
        if getattr(doc.orders, name) == () and _limits(doc):
            message = f"{name} = [] allows no order, so {_limits(doc)[0]} is never what refuses one"
            yield ("orders", name), Bad("unreachable", message, "leave the other limits out, or allow something")


def _elsewhere(doc: PolicyDoc) -> Found:
    """Symbols and hours of markets that are not allowed."""
    allowed = set(_markets(doc))
    prefixes = {prefix for market in allowed for prefix in PREFIXES_OF[market]}
    for name in ("symbols", "blocked_symbols"):
        for text in getattr(doc.instruments, name) or ():
            own = text.upper().partition(".")[0]
            if text != "*" and not any(matches(prefix, (own,)) for prefix in prefixes):
                message = f"{text} lies in no market that instruments.markets allows"
                yield ("instruments", name), Bad("unreachable", message, "allow its market, or leave it out")
    for market in sorted(set(doc.hours or {}) - allowed):
        if market not in FUTURES or not allowed & set(FUTURES):  # FUTURES was written for all four
            message = f"hours for {market}, which instruments.markets does not allow"
            yield ("hours", market), Bad("unreachable", message, "allow the market, or leave its hours out")


def _covered(doc: PolicyDoc) -> Found:
    """Symbols that a block takes away again, or that a wider pattern of the same list stands for already."""
    allowed, blocked = doc.instruments.symbols or (), doc.instruments.blocked_symbols or ()
    for text in allowed:
        for block in blocked:
            if any(_stands_for(each, text) for each in blocking((block,))):
                message = f"{text} is in blocked_symbols too, as {block}, which beats it"
                yield ("instruments", "symbols"), Bad("unreachable", message, "leave it out of one of them")
    for name, texts in (("symbols", allowed), ("blocked_symbols", blocked)):
        for wider in (text for text in texts if "*" in text):
            for text in texts:
                meant = blocking((text,)) if name == "blocked_symbols" else (text,)
                if wider != text and all(_stands_for(wider, each) for each in meant):
                    message = f"{wider} stands for {text} already"
                    yield ("instruments", name), Bad("unreachable", message, f"leave {text} out, or {wider}")


def _stands_for(wider: str, text: str) -> bool:
    """Whatever matches `text` matches `wider`: told only where that is certain."""
    return "?" not in wider and matches_symbol(text, (wider,))


def _idle(doc: PolicyDoc) -> Found:
    """Limits on what the policy does not let through at all."""
    orders = doc.orders
    for name in ("max_premium", "max_underlying_value"):
        if getattr(orders, name) is not None and not set(_markets(doc)) & _OPTIONS:
            yield ("orders", name), Bad("unreachable", "no allowed market has options", "leave it out")
    types = [OrderType[word] for word in orders.types or ()]
    if orders.market_buffer_percent is not None and types and not PRICELESS & set(types):
        message = "every allowed order type has a limit price, so nothing is buffered"
        yield ("orders", "market_buffer_percent"), Bad("unreachable", message, "leave it out")
    if doc.reference.price_collar_missing is not None and orders.price_collar_percent is None:
        message = "there is no orders.price_collar_percent that it could belong to"
        yield ("reference", "price_collar_missing"), Bad("unreachable", message, "write the collar, or leave it out")


def _limits(doc: PolicyDoc) -> tuple[str, ...]:
    names = ("max_value", "max_qty", "max_premium", "max_underlying_value", "per_day")
    return tuple(f"orders.{name}" for name in names if getattr(doc.orders, name) is not None)


def _money(doc: PolicyDoc) -> Found:
    """Caps above those that are met first, and currencies that nothing can be compared in."""
    value = moneys(doc.orders.max_value) if doc.orders.max_value else {}
    for name in _SUMS:
        sums = moneys(getattr(doc.budgets, name)) if getattr(doc.budgets, name) else {}
        for currency in sorted(set(value) & set(sums)):
            if value[currency] > sums[currency] > 0:
                told = (
                    f"{plain(value[currency])} {currency} is above budgets.{name}, {plain(sums[currency])} {currency}"
                )
                message = f"{told}: only an order that reduces a position reaches it"
                yield ("orders", "max_value"), Bad("cap_above_parent", message, "lower it, or raise the budget")
    caps = moneys(doc.orders.max_premium) if doc.orders.max_premium else {}
    for currency in sorted(set(value) & set(caps)):
        if caps[currency] > value[currency]:
            yield (
                ("orders", "max_premium"),
                _above(caps[currency], value[currency], parent="orders.max_value", currency=currency),
            )
    yield from _currencies(doc)


def _above(cap: Decimal, limit: Decimal, *, parent: str, currency: str) -> Bad:
    message = f"{plain(cap)} {currency} is above {parent}, {plain(limit)} {currency}, and is never reached"
    return Bad("cap_above_parent", message, f"at most {plain(limit)} {currency} means the same")


def _currencies(doc: PolicyDoc) -> Found:
    traded = {currency for market in _markets(doc) for currency in currencies_of(market)[:1]}
    known = {currency for market in _markets(doc) for currency in currencies_of(market)}
    rates = "" if doc.fx is None else " ".join(doc.fx.rates)
    for table, name in (("orders", "max_value"), *(("budgets", name) for name in _SUMS)):
        texts = getattr(getattr(doc, table), name)
        if texts is None or doc.instruments.markets is None:
            continue
        given = moneys(texts)
        for currency in sorted(traded - set(given)):
            if currency not in rates:
                message = f"no amount in {currency}, which an allowed market trades in, and no exchange rate for it"
                hint = f"add an amount in {currency}, or [fx]; until then such orders are refused (fx_unavailable)"
                yield (table, name), Bad("no_fx", message, hint)
        for currency in sorted(set(given) - known) if doc.fx is None else ():
            message = f"an amount in {currency}, in which no allowed market trades"
            yield (table, name), Bad("unreachable", message, "leave it out, or allow a market that trades in it")


def _parents(doc: PolicyDoc, docs: tuple[PolicyDoc, ...]) -> Found:
    """A cap that a policy which selects all the same callers sets lower: the looser one is never reached."""
    for parent in docs if len(docs) <= PARENTS_MAX else (other for other in docs if other.applies_to.keys is None):
        if parent is doc or not reaches(parent, doc) or parent.fx is not None or doc.fx is not None:
            continue
        for name in ("max_value", "max_premium", "max_underlying_value"):
            mine, theirs = getattr(doc.orders, name), getattr(parent.orders, name)
            caps, limits = moneys(mine) if mine else {}, moneys(theirs) if theirs else {}
            for currency in sorted(set(caps) & set(limits)):
                if caps[currency] > limits[currency]:
                    told = f"{parent.id}'s orders.{name}"
                    yield ("orders", name), _above(caps[currency], limits[currency], parent=told, currency=currency)
        qty, most = doc.orders.max_qty, parent.orders.max_qty
        if qty is not None and most is not None and qty > most:
            message = f"{qty} is above {parent.id}'s orders.max_qty, {most}, and is never reached"
            yield ("orders", "max_qty"), Bad("cap_above_parent", message, f"at most {most} means the same")


# ---------------------------------------------------------------- keys


def _nobody(doc: PolicyDoc, keys: tuple[Principal, ...]) -> Found:
    """A policy that no key can match; without any keys nothing is said."""
    if keys and not any(_meets(doc, key) for key in keys):
        chosen = doc.applies_to.keys
        message = "no key of keys.json can match this policy"
        if chosen and not any(matches(key.name, chosen) for key in keys):
            message = f"no key matches {', '.join(map(repr, chosen))}, so the policy binds nobody"
        yield ("applies_to",), Bad("no_key", message, "see its selectors")


def _meets(doc: PolicyDoc, key: Principal) -> bool:
    chosen = doc.applies_to
    if chosen.keys is not None and not matches(key.name, chosen.keys):
        return False
    if chosen.except_keys is not None and matches(key.name, chosen.except_keys):
        return False
    if chosen.accounts is not None and key.acc_ids is not None and not set(chosen.accounts) & key.acc_ids:
        return False
    return chosen.environments is None or bool(set(chosen.environments) & _envs(key)) or not _envs(key)


def _envs(key: Principal) -> set[str]:
    return {scope.partition(":")[2] for scope in key.scopes if scope in {"trade:real", "trade:simulate"}}


def _of_key(policies: PolicySet, key: Principal) -> Iterator[PolicyError]:
    path = f"keys.{key.name}"
    covering = [doc for doc in policies.docs if doc.orders.max_value is not None and _meets(doc, key)]
    own = key.limits.max_order_value
    for env in sorted(_envs(key)):
        if own is None and policies.require_cover and not any(_covers(doc, env) for doc in covering):
            message = f"{key.name} may trade ({env}), and no orders.max_value covers it: every order is refused"
            hint = "give a policy that selects it orders.max_value, or the key max_order_value"
            yield PolicyError("keys.json", None, path, "no_policy", message, hint)
    for field, bad in _own_caps(key.limits, covering):
        yield PolicyError("keys.json", None, f"{path}.{field}", bad.code, bad.message, bad.hint)


def _covers(doc: PolicyDoc, env: str) -> bool:
    return doc.applies_to.environments is None or env in doc.applies_to.environments


def _own_caps(limits: KeyLimits, covering: list[PolicyDoc]) -> Iterator[tuple[str, Any]]:
    """A key's own cap above that of a policy which always binds it, in every currency that the policy knows."""
    if limits.max_order_value is None:
        return
    for doc in covering:
        always = doc.applies_to.environments is None and doc.applies_to.accounts is None
        caps = moneys(doc.orders.max_value) if doc.orders.max_value and always and doc.fx is None else {}
        if caps and limits.max_order_value > max(caps.values()):
            message = f"{plain(limits.max_order_value)} is above {doc.id}'s orders.max_value and is never reached"
            yield "max_order_value", Bad("cap_above_parent", message, "lower it, or leave it out")
