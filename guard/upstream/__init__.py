"""Room 8, the daemon: what goes out and what came of it.

In: an `Outbound`. Out: an `Answer`, or a `Failure` that knows whether a byte has left; and from either, for a trade,
the verdict `accepted | refused | unknown | not_sent`. Never: retry a trade, guess, follow a redirect, pass on a
caller's credential, or read more than its bound. A daemon that keeps failing gets only cancels and single probes.

`client` sends: through `circuit` and `pool` (whose turn it is, on which connection), with `head` for the request's
bytes and `departures` for when they leave, on a `connection` whose answers `answer` reads. `origin` and `trust` say
where the daemon is and how its certificate is checked. What answers mean, all pure: `verdict` for a trade, `orderlist`
for its order lists, `reconcile` for what these prove of a step in doubt. `unlocked` and `otherports` watch the daemon
for operators; `circuited` puts a daemon in memory behind circuits.
"""

from guard.upstream.circuit import Circuits
from guard.upstream.circuited import CircuitedDaemon
from guard.upstream.client import Client, Link
from guard.upstream.verdict import is_refusal, outcome_of, redact

__all__ = ["CircuitedDaemon", "Circuits", "Client", "Link", "is_refusal", "outcome_of", "redact"]
