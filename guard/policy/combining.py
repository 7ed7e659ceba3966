"""What the rules say of one request, put together: the first refusal or all of them, and the tightest of their claims.

A rule that raises refuses the request. Of two claims on one cell the tighter stands, whichever policy made it.
"""

from collections.abc import Iterable
from operator import attrgetter
from typing import Final, NamedTuple, Protocol, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from guard.codes import Code
from guard.policy.orderclass import NOTHING_GRANTED
from guard.policy.rule import Answer, Granting, Maker, Proposal, Request
from guard.terms import LEDGER_MAX, Claim, Missing, Reason, Valuation, in_order

_CELL: Final = attrgetter("counter")
_UNCAPPED: Final = LEDGER_MAX + 1
_MISSING: Final = frozenset(
    {
        Code.PRICE_UNAVAILABLE,
        Code.REFERENCE_UNAVAILABLE,
        Code.UNSUPPORTED_INSTRUMENT,
        Code.BAD_NUMBER,
    }
)

_R = TypeVar("_R", bound=Request)
_Asked_contra = TypeVar("_Asked_contra", bound=Request, contravariant=True)


class AnyRule(Maker, Protocol[_Asked_contra]):
    """A rule that takes this kind of request: orders alone, or any."""

    @property
    def policy(self) -> str:
        """The id of its policy."""
        ...

    @property
    def name(self) -> str:
        """Its key path in the policy."""
        ...

    @property
    def is_of_shape(self) -> bool:
        """See `OrderRule`."""
        ...

    def judge(self, request: _Asked_contra, /) -> Answer:
        """None where there is nothing against the request."""
        ...


class Refused(NamedTuple):
    """The rule that said no, and why; None where none was asked, or one broke."""

    rule: Maker | None = None
    why: Reason | None = None


BY_NO_RULE: Final = Refused()


class Judgement(Struct, frozen=True, gc=False):
    """The reasons against it (the primary one first), and the claims with who made each of them.

    `refusing`: the rules behind the reasons, with their codes; None for what is no rule's. `proposal` is the order as
    the rules saw it, None for what is no order.
    """

    reasons: tuple[Reason, ...] = ()
    claims: tuple[Claim, ...] = ()
    makers: tuple[Maker, ...] = ()
    refusing: tuple[tuple[Maker | None, Code], ...] = ()
    proposal: Proposal | None = None

    @property
    def worth(self) -> Valuation | Missing | None:
        """The order's value, with the exchange rates that it met."""
        return None if self.proposal is None else self.proposal.worth


def first_refusal(
    rules: Iterable[AnyRule[_R]], request: _R, *, known: Granting = NOTHING_GRANTED
) -> Granting | Refused:
    """What the rules claim; else the first of them that refuses, and why. One that breaks is asked again.

    `known`: the claims of rules that need not be asked.
    """
    claims: list[Claim] = []
    makers: list[Maker] = []
    try:
        for rule in rules:
            answer = rule.judge(request)
            if answer is None:
                continue
            if isinstance(answer, Reason):
                return Refused(rule, answer)
            claims += answer
            makers += [rule] * len(answer)
    except Exception:  # noqa: BLE001 - every rule is asked again then, and the one that breaks refuses by itself
        return BY_NO_RULE
    return _tightest((*claims, *known[0]), (*makers, *known[1]))


def all_answers(rules: Iterable[AnyRule[_R]], request: _R, *, said: Refused) -> list[tuple[AnyRule[_R], Answer]]:
    """What each rule says that says anything; of one it is known already. One that breaks refuses by itself."""
    found: list[tuple[AnyRule[_R], Answer]] = []
    for rule in rules:
        try:
            answer = said.why if rule is said.rule else rule.judge(request)
        except Exception as error:  # noqa: BLE001 - a rule that breaks must refuse, whatever broke it
            message = f"rule {rule.name} of policy {rule.policy} failed: {type(error).__name__}"
            answer = Reason(Code.RULE_ERROR, message, rule.policy, rule.name)
        if answer is not None:
            found.append((rule, answer))
    return found


def collect(
    answers: Iterable[tuple[Maker | None, Answer]],
    proposal: Proposal | None = None,
    *,
    known: Granting = NOTHING_GRANTED,
) -> Judgement:
    """Reasons in the contract's order, and the claims, with those that were not asked for."""
    claims: list[Claim] = []
    makers: list[Maker] = []
    reasons: list[Reason] = []
    refusing: list[tuple[Maker | None, Code]] = []
    for maker, answer in answers:
        if answer is None:
            continue
        if isinstance(answer, Reason):
            reasons.append(answer)
            refusing.append((maker, answer.code))
        elif maker is not None:
            claims += answer
            makers += [maker] * len(answer)
    told = in_order(_without_repeats(reasons)) if reasons else ()
    return Judgement(told, *_tightest((*claims, *known[0]), (*makers, *known[1])), tuple(refusing), proposal)


def _tightest(claims: tuple[Claim, ...], makers: tuple[Maker, ...]) -> Granting:
    """One claim for each cell and window: the tightest, with its maker."""
    if len(set(map(_CELL, claims))) == len(claims):
        return claims, makers
    kept: dict[tuple[str, int], tuple[Claim, Maker]] = {}
    for one in zip(claims, makers, strict=True):
        cell = (one[0].counter, one[0].window_ms)
        other = kept.setdefault(cell, one)
        if other is not one:
            kept[cell] = _tighter(other, one)
    return tuple([claim for claim, _ in kept.values()]), tuple([maker for _, maker in kept.values()])


def _tighter(left: tuple[Claim, Maker], right: tuple[Claim, Maker]) -> tuple[Claim, Maker]:
    """Two claims on one cell as one: the smaller cap, and the larger amount where two exchange rates made two of it."""
    first, second = (right, left) if _cap(right[0]) < _cap(left[0]) else (left, right)
    if first[0].amount >= second[0].amount:
        return first
    return replace(first[0], amount=second[0].amount), first[1]


def _cap(claim: Claim) -> int:
    return _UNCAPPED if claim.cap is None else claim.cap


def _without_repeats(reasons: list[Reason]) -> list[Reason]:
    """A datum that is missing is missing for every limit that wants it; it is told for the first of them."""
    told: set[tuple[Code, str]] = set()
    kept = []
    for reason in reasons:
        if reason.code in _MISSING:
            same = (reason.code, reason.message)
            if same in told:
                continue
            told.add(same)
        kept.append(reason)
    return kept
