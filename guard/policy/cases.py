"""Tests of policies run: every case of every file is judged by the same rules as live, at its own frozen time.

The start-up flags and the limits of keys.json are left out: a test of policies says the same on every machine.
"""

from collections.abc import Iterator, Mapping
from itertools import product

from msgspec import Struct
from msgspec.structs import replace

from guard.codes import Code
from guard.pauses import with_pauses
from guard.policy.casefile import Case, CaseFile, Matrix, line_of_case, parse_cases
from guard.policy.document import PolicyError, did_you_mean
from guard.policy.policyset import PolicySet
from guard.policy.staged import staged
from guard.policy.trial import TrialRequest, TrialResult, try_order


class CaseResult(Struct, frozen=True):
    """One case run. `why`: how it differs from what was expected, "" where it does not."""

    file: str
    line: int | None
    name: str
    found: str
    why: str = ""

    @property
    def passed(self) -> bool:
        """As expected."""
        return not self.why


class ReadyCase(Struct, frozen=True):
    """A case ready to be run: the request, what is expected, where it stands."""

    case: Case
    ask: TrialRequest
    line: int | None
    name: str


class Prepared(Struct, frozen=True):
    """Files read: cases by file, and everything that is wrong with the rest. The same cases can be run many times."""

    files: Mapping[str, tuple[ReadyCase, ...]]
    errors: tuple[PolicyError, ...]


class TestReport(Struct, frozen=True):
    """All cases run, in the order of the files, and the files that could not be read."""

    ran: tuple[CaseResult, ...]
    errors: tuple[PolicyError, ...]

    @property
    def failures(self) -> tuple[PolicyError, ...]:
        """Everything that keeps the policies from being put in force."""
        failed = (
            PolicyError(one.file, one.line, "", "test_failed", f"{one.name}: {one.why}", "guard policy test shows all")
            for one in self.ran
            if not one.passed
        )
        return (*self.errors, *failed)


def run_tests(policies: PolicySet, texts: Mapping[str, str]) -> TestReport:
    """Every test of these files, by name of the file, against these policies."""
    return run_prepared(policies, prepared(texts))


def prepared(texts: Mapping[str, str]) -> Prepared:
    """The cases of these files."""
    files: dict[str, tuple[ReadyCase, ...]] = {}
    errors: list[PolicyError] = []
    for file, text in sorted(texts.items()):
        found = parse_cases(text, file=file)
        if isinstance(found, PolicyError):
            errors.append(found)
            continue
        asked = list(_asked(found, text, file=file))
        errors += [entry for entry in asked if isinstance(entry, PolicyError)]
        files[file] = tuple(entry for entry in asked if isinstance(entry, ReadyCase))
    return Prepared(files, tuple(errors))


def run_prepared(policies: PolicySet, cases: Prepared) -> TestReport:
    """Every case against these policies."""
    bare = policies.without_flags()
    asked = with_pauses((file, entry) for file, entries in cases.files.items() for entry in entries)
    ran = tuple(_run(bare, entry, file=file) for file, entry in asked)
    return TestReport(ran, cases.errors)


def _run(policies: PolicySet, asked: ReadyCase, *, file: str) -> CaseResult:
    tried = try_order(policies, asked.ask)
    told = "allowed" if tried.passes else f"refused: {', '.join(tried.codes)}"
    return CaseResult(file, asked.line, asked.name, told, _difference(asked.case, tried, told))


def _difference(case: Case, tried: TrialResult, told: str) -> str:
    if case.expect == "allow":
        return "" if tried.passes else f"expected to be allowed, {_first(tried)}"
    if tried.passes:
        wanted = f" with {', '.join(case.codes)}" if case.codes else ""
        return f"expected to be refused{wanted}, but is allowed"
    if case.codes and (set(case.codes) != set(tried.codes) or case.codes[0] != tried.codes[0]):
        return f"expected {', '.join(case.codes)}, {told}: {tried.reasons[0].message}"
    if case.policies is not None:
        refusing = {reason.policy for reason in tried.reasons}
        if set(case.policies) != refusing:
            return f"expected to be refused by {', '.join(case.policies)}, but is by {', '.join(sorted(refusing))}"
    if case.largest_qty is not None and case.largest_qty != tried.largest_qty:
        return f"expected largest_qty {case.largest_qty}, but it is {tried.largest_qty}"
    return ""


def _first(tried: TrialResult) -> str:
    reason = tried.reasons[0]
    return f"but refused: {', '.join(tried.codes)}: {reason.message} ({reason.policy or 'no policy'}, {reason.rule})"


def _asked(found: CaseFile, text: str, *, file: str) -> Iterator[ReadyCase | PolicyError]:
    for index, case in enumerate(with_pauses(found.case)):
        line = line_of_case(text, "case", index)
        yield _ready(found, case, staged(found, case), file=file, line=line, path=f"case[{index}]")
    for index, matrix in enumerate(found.matrix):
        line = line_of_case(text, "matrix", index)
        for case in with_pauses(_combinations(found, matrix)):
            yield _ready(found, case, staged(found, case), file=file, line=line, path=f"matrix[{index}]")


def _ready(
    found: CaseFile, case: Case, ask: TrialRequest | str, *, file: str, line: int | None, path: str
) -> ReadyCase | PolicyError:
    if isinstance(ask, str):
        return PolicyError(file, line, path, "bad_value", ask)
    unknown = next((code for code in case.codes if code not in set(Code)), None)
    if unknown is not None:
        hint = did_you_mean(unknown, tuple(Code))
        return PolicyError(file, line, f"{path}.codes", "bad_value", f"{unknown!r} is no code", hint)
    if case.expect == "allow" and case.codes:
        hint = 'leave out codes, or write expect = "refuse"'
        return PolicyError(file, line, f"{path}.codes", "bad_value", "what is allowed has no codes", hint)
    return ReadyCase(case, ask, line, case.name or _name(found, case))


def _name(found: CaseFile, case: Case) -> str:
    who = case.key or found.given.key
    order = case.order
    if order is None:
        return f"{who} {case.action}"
    price = "" if order.price is None else f" at {order.price}"
    return f"{who} {case.action} {order.side} {order.qty} {order.symbol}{price}"


def _combinations(found: CaseFile, matrix: Matrix) -> Iterator[Case]:
    axes = {
        "key": matrix.keys or (found.given.key,),
        "environment": matrix.environments or (found.given.environment,),
        "symbol": matrix.symbols or (matrix.order.symbol,),
        "side": matrix.sides or (matrix.order.side,),
        "type": matrix.types or (matrix.order.type,),
    }
    for values in product(*axes.values()):
        chosen = dict(zip(axes, values, strict=True))
        is_listed = any(_is_among(chosen, entry) for entry in matrix.allow)
        order = replace(matrix.order, symbol=chosen["symbol"], side=chosen["side"], type=chosen["type"])
        yield Case(
            name=f"{matrix.name or 'matrix'}: {' '.join(values)}",
            order=order,
            expect="allow" if is_listed else "refuse",
            now=matrix.now,
            key=chosen["key"],
            environment="real" if chosen["environment"] == "real" else "simulate",
        )


def _is_among(chosen: Mapping[str, str], entry: Mapping[str, str | tuple[str, ...]]) -> bool:
    return all(chosen.get(name) in ((value,) if isinstance(value, str) else value) for name, value in entry.items())
