"""Room 8, the daemon: what goes out and what came of it.

In: an `Outbound`. Out: an `Answer`, or a `Failure` that knows whether a byte has left; and from either, for a trade,
the verdict `accepted | refused | unknown | not_sent`. Never: retry a trade, guess, follow a redirect, pass on a
caller's credential, or read more than its bound. A daemon that keeps
failing is left alone but for cancels and single probes.
"""

from guard.upstream.circuit import Circuits
from guard.upstream.client import Client, Link
from guard.upstream.fuse import Fused
from guard.upstream.verdict import judge, redact

__all__ = ["Circuits", "Client", "Fused", "Link", "judge", "redact"]
