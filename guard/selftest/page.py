"""`docs/bypass-matrix.md`, generated from the cases.

`python -m guard.selftest.page FILE` writes the page; a test fails when page and table drift apart.
"""

import json
import sys
from pathlib import Path
from typing import Final

from guard.selftest.case import Ask, Case, Do, Hear, Step
from guard.selftest.cases import CASES
from guard.selftest.elsewhere import ELSEWHERE
from guard.selftest.words import account, order

# ruff: noqa: E501 - table rows and paragraphs of a document are one line each

_INTRODUCTION: Final = """\
# The bypass matrix

Every known way around a limit, and what the guard does about it. B01-B34 are bugs that the daemon has had, W01-W20 are
weaknesses that it has or may have, and G01 onwards are promises of the guard. This page is generated from `guard/selftest`
(`make docs`).

`guard selftest` runs the table twice and prints it: first with a configuration that has every limit, where each case must hold;
then with yours, that is with your settings, your policies and the scopes and limits of your keys. There the cases marked ●
must be refused too; *open* says that none of your limits covers the case (an ordinary order of that size would not be refused
either). The self-test starts its own guards, in their own folders and on their own ports, with keys that exist only during the
run, in front of a simulated daemon that accepts everything. It asks the real daemon nothing and touches no state directory. It
exits 0 if every case held, 1 otherwise.

| column | says |
|---|---|
| tried | the requests in order: what is sent where, and the answer; ✓ means that it passes. *order* is one that passes, to buy 100 HK.00700 at 200; the market HK and the simulated account are not shown |
| proves | the checks that the case depends on: hooks of the walk (`guard/walk/hooks.py`) or of the stream, and rules. Tests disconnect each one and see the case fail |
| ● | also tried with your configuration |

In every row, what is refused must not have reached the daemon.
"""

_ELSEWHERE: Final = """
## Not in the table

"""


def page() -> str:
    """The whole document."""
    rows = "\n".join(_row(case) for case in CASES)
    rest = "\n".join(
        f"| {each.bug} | {each.reason} | {f'`{each.test}`' if each.test else 'stays open'} |" for each in ELSEWHERE
    )
    head = "| | what does not get through | tried | proves | |\n|---|---|---|---|---|"
    return f"{_INTRODUCTION}\n{head}\n{rows}\n{_ELSEWHERE}| | why | shown by |\n|---|---|---|\n{rest}\n"


def _row(case: Case) -> str:
    tried = "<br>".join(_told(step) for step in case.steps)
    proves = ", ".join(f"`{name}`" for name in case.proves)
    return f"| {case.id} | {case.sentence} | {tried} | {proves} | {'●' if case.anywhere else ''} |"


def _told(step: Step) -> str:
    match step:
        case Ask():
            return _asked(step)
        case Hear():
            if step.status != 101:  # noqa: PLR2004 - switching protocols
                return f"`/ws` as {step.who}: {step.status}"
            return f"`/ws` as {step.who}, pushed {', '.join(step.pushes)}: hears {', '.join(step.hears) or 'nothing'}"
        case Do():
            return f"*{step.what}*"
        case _:
            return f"start where {step.change.replace('_', ' ')}: none"


def _asked(ask: Ask) -> str:
    came = f"{ask.status} `{ask.code}`" if ask.code else "✓"
    many = f" {ask.times} times" if ask.times > 1 else ""
    fault = f" (daemon: {type(ask.fault).__name__})" if ask.fault is not None else ""
    who = "" if ask.who == "trader" else f" as {ask.who or 'nobody'}"
    if ask.raw:
        return f"`{_cell(ask.raw.decode().split(chr(13))[0])}` …: {came}"
    meanwhile = f", meanwhile *{ask.meanwhile.what}*" if ask.meanwhile is not None else ""
    return f"{_what(ask)}{who}{many}{fault}{meanwhile}: {came}{_further(ask)}"


def _further(ask: Ask) -> str:
    """What else must be so."""
    found = []
    if ask.sends:
        found.append(f"the daemon is sent `{_cell(_short(ask.sends))}`")
    found += [f"tells no `{_cell(text)}`" for text in ask.hides]
    found += [f"tells `{_cell(text)}`" for text in ask.shows]
    if ask.same_as:
        found.append(f"in the words of request {ask.same_as}")
    if ask.records:
        found.append("on record before the daemon has it")
    return "".join(f", {text}" for text in found)


def _what(ask: Ask) -> str:
    if not isinstance(ask.body, dict):
        text = "" if ask.body is None else f" `{_cell(ask.body.decode())}`"
        return f"`{ask.path}`{text}"
    usual = order()
    if ask.path != "/api/order" or "c2s" in ask.body:
        told = {name: value for name, value in ask.body.items() if account().get(name) != value}
        return f"`{ask.path}` `{_cell(_short(told))}`" if told else f"`{ask.path}`"
    changed = {name: value for name, value in ask.body.items() if usual.get(name) != value}
    gone = [f"no {name}" for name in usual if name not in ask.body]
    said = ", ".join([*gone, *([_short(changed)] if changed else [])])
    return f"order `{_cell(said)}`" if said else "order"


def _short(value: object) -> str:
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return text if len(text) <= 160 else f"{text[:160]}…"  # noqa: PLR2004 - as much as a cell holds


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("`", "'")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
