"""A simulated daemon, for demo and tests: all 68 endpoints, paper matching, faults on demand.

In: requests as the guard sends them, in memory (`Simulator.send`, the port `terms.Daemon`) or over a socket (`app`).
Out: answers in the daemon's envelope, and push frames. It is lenient where the daemon is lenient and reads bodies on
its own, so that comparing it with the guard's intent parser means something.

It must never share a parser, a table of names or a rule with the guard: only `guard.catalogue` and `guard.terms`.
"""

from guard.simulator.core import Simulator
from guard.simulator.quirks import Quirks

__all__ = ["Quirks", "Simulator"]
