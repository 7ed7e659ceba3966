"""The bypass matrix: every known way around a limit, tried on a guard of one's own.

In: settings, or nothing. Out: one row a case, held or not. The cases are data (`guard.selftest.cases`), each named
after a bug or weakness of the daemon (B01, W01, …) or a promise of the guard's own (G01, …): `docs/bypass-matrix.md`,
as wherever comments name one. They run through real sockets, with keys that live as long as the run, against a
simulated daemon that would fall for all of them.
It must never touch the real daemon, the real state directory, or a key that somebody uses.
"""

from guard.selftest.case import Case, CaseRow
from guard.selftest.cases import CASES
from guard.selftest.elsewhere import ELSEWHERE
from guard.selftest.run import against, drill

__all__ = ["CASES", "ELSEWHERE", "Case", "CaseRow", "against", "drill"]
