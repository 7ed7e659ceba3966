"""What every rule said of one request: which looked, the numbers, how far it would have let the order go, and where.

Says nothing that `judge` does not: the same rules are asked once more, all of them, also those that a tighter one makes
superfluous, and each claim is compared with what stood on its counter.
"""

from collections.abc import Callable, Mapping
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from guard.policy.amounts import currency_of_tag
from guard.policy.combining import Judgement
from guard.policy.locate import line_of, written_at
from guard.policy.notation import from_units, plain
from guard.policy.policyset import PolicySet
from guard.policy.rule import Request
from guard.terms import Account, Claim, Principal, Reason

_MONEY: Final = ("daily_value", "open_value")
Said = Literal["passes", "refuses"]


class RuleLook(Struct, frozen=True):
    """One rule that looked: what it said, in numbers where it counts, and the line that it stands in.

    `largest_qty`: the largest quantity of this order that this rule alone lets through now, where that is its matter.
    """

    policy: str
    rule: str
    said: Said
    words: str
    used: str | None = None
    asked: str | None = None
    limit: str | None = None
    unit: str | None = None
    largest_qty: str | None = None
    file: str = ""
    line: int | None = None
    text: str = ""


class Lines:
    """Where rules stand in the files of a set. `texts`: the files as they were read, by name."""

    def __init__(self, policies: PolicySet, texts: Mapping[str, str]) -> None:
        self._files = {doc.id: doc.file for doc in policies.docs}
        self._texts = texts

    def place(self, policy: str, rule: str) -> tuple[str, int | None, str]:
        """File, line and the line's text; the key's own limits and the flags stand in none."""
        file = self._files.get(policy, "")
        text = self._texts.get(file, "")
        line = line_of(text, tuple(rule.split("."))) if text else None
        return file, line, "" if line is None else written_at(text, line)


def looked(
    policies: PolicySet,
    principal: Principal,
    judgement: Judgement,
    *,
    request: Request,
    used: Callable[[Claim], int | None],
    lines: Lines,
) -> tuple[RuleLook, ...]:
    """Every rule that was asked about this request, in the order of the policies; a trade goes to `request.account`.

    `used`: what stood on a claim's counter, None where that is not known.
    """
    account: Account | None = request.account
    plan = policies.plan(principal, None if account is None else account.env, account, wall=request.wall)
    proposal = judgement.proposal
    found: list[RuleLook] = []
    rates = plan.all_reads if account is None else plan.all_cancels
    for rule in rates if proposal is None else plan.all_rules:
        answer = rule.judge(request if proposal is None else proposal)  # type: ignore[arg-type] # each its own
        file, line, text = lines.place(rule.policy, rule.name)
        largest = None if proposal is None else rule.largest(proposal)
        base = RuleLook(rule.policy, rule.name, "passes", "", file=file, line=line, text=text)
        if isinstance(answer, Reason):
            found.append(_refusing(base, answer, None if largest is None else int(largest)))
        elif answer:
            found += [_counting(base, claim, used(claim)) for claim in answer]
        else:
            words = "" if largest is None else f"up to {int(largest)} of this order"
            found.append(replace(base, words=words, largest_qty=None if largest is None else str(int(largest))))
    return tuple(found)


def _refusing(look: RuleLook, reason: Reason, largest: int | None) -> RuleLook:
    numbers = {"asked": reason.observed, "limit": reason.limit, "unit": reason.unit}
    text = None if largest is None else str(largest)
    return replace(look, said="refuses", words=reason.message, largest_qty=text, **numbers)


def _counting(look: RuleLook, claim: Claim, used: int | None) -> RuleLook:
    """A claim on a counter: what was used, what is asked, and whether both fit."""
    word = claim.counter.partition("/")[0]
    is_money = word in _MONEY
    unit = currency_of_tag(claim.counter.split("|")[1]) if is_money else "requests" if claim.window_ms else "orders"

    def shown(amount: int | None) -> str | None:
        if amount is None:
            return None
        return plain(from_units(amount)) if is_money else str(amount)

    cap = claim.cap
    is_full = cap is not None and used is not None and (cap <= 0 or used + claim.amount > cap)
    window = f" in {claim.window_ms // 1000} s" if claim.window_ms else ""
    stood = "?" if used is None else shown(used)
    limit = "no cap, for it only reduces a position" if cap is None else f"{shown(cap)} {unit}"
    return replace(
        look,
        said="refuses" if is_full else "passes",
        words=f"{stood} used + {shown(claim.amount)} asked of {limit}{window}",
        used=shown(used),
        asked=shown(claim.amount),
        limit=shown(cap),
        unit=unit,
    )
