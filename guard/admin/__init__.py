"""The operator's door: health, status, metrics, reload, trading state, on a listener of its own.

In: requests to the ops listener. Out: what the guard is doing, or a change of what is in force, with who and why in the
record. Every change wants a key with the scope for it and an owner, a person. It must never decide about an order, and
nothing of it is reachable through the data listener.
"""

from guard.admin.app import build_app
from guard.admin.changes import Changes

__all__ = ["Changes", "build_app"]
