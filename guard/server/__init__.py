"""Room 9, the HTTP edge of the data listener: reading requests safely, answering, bounds.

In: bytes of a connection. Out: one `Call` at a time to the walk, and the bytes of its `Reply`. A head must match one
strict grammar, linear on any input; what is odd is refused with a code and the connection closed, never normalised.
Must never: hand on a target, a header or a body that somebody else could read differently; cancel a walk because its
caller hung up; keep anything without a bound of `EdgeBounds`; know what an endpoint means.

`listener` opens the sockets (`handshake`: those with TLS) and `protocol` is one connection, `asking` what the walk sees
of it; `edge` is what the connections of a listener share, with `unproven` and `unread` for who must make room. Reading
is pure: `reader` by `grammar` (the shape of a head) and `fields` (its meaning). Writing: `replies` makes an answer,
`wire` its bytes. `bounds` holds every limit.
"""

from guard.server.asking import Asker, Begin, answered
from guard.server.bounds import TURNED_AWAY_MAX, EdgeBounds
from guard.server.edge import AT_ONCE_MAX, EdgeCounts, UpgradedProtocol, Wiring
from guard.server.handshake import TlsServer, bound_sockets
from guard.server.listener import Listener, serve, socket_file
from guard.server.reader import HttpRequest, Reader
from guard.server.replies import passed_reply, refusal_reply
from guard.server.wire import encode

__all__ = [
    "AT_ONCE_MAX",
    "TURNED_AWAY_MAX",
    "Asker",
    "Begin",
    "EdgeBounds",
    "EdgeCounts",
    "HttpRequest",
    "Listener",
    "Reader",
    "TlsServer",
    "UpgradedProtocol",
    "Wiring",
    "answered",
    "bound_sockets",
    "encode",
    "passed_reply",
    "refusal_reply",
    "serve",
    "socket_file",
]
