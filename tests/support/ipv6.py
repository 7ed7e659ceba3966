"""Whether this machine speaks IPv6: many a container does not."""

import socket
from typing import Final

import pytest


def _is_had() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


IPV6: Final = pytest.mark.skipif(not _is_had(), reason="no IPv6 here")
