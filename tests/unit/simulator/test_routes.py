"""Every endpoint has a handler."""

from guard.catalogue import ENDPOINTS
from guard.simulator.names import SPELLINGS
from guard.simulator.routes import ADMIN, HANDLERS


def test_the_68_endpoints_are_answered() -> None:
    """The stream by the application, administration outside the envelope, all others by a handler."""
    paths = {endpoint.path for endpoint in ENDPOINTS}

    assert set(HANDLERS) | set(ADMIN) | {"/ws"} == paths
    assert set(HANDLERS) | set(ADMIN) == set(SPELLINGS)
