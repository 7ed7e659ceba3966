"""An addon of mitmproxy that forwards: the daemon's key takes the place of the caller's, nothing else is looked at."""

import os

from mitmproxy import http  # type: ignore[import-not-found]  # in an environment of its own

AUTHORIZATION = f"Bearer {os.environ['DAEMON_KEY']}"


def request(flow: http.HTTPFlow) -> None:
    """Every request goes on with the daemon's key."""
    flow.request.headers["Authorization"] = AUTHORIZATION
