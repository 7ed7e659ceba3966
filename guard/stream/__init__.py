"""Room 10, the WebSocket edge: the daemon's pushes to callers, each as far as it may see them.

In: handshakes that the edge hands over, and the daemon's push frames. Out: 101 and a filtered stream, or a refusal.
Must never: send a frame that it could not classify, or that the caller's scopes, accounts or markets do not cover; take
a message of a caller to the daemon; outlive a key by more than a second; hold more unsent bytes than its bound.

`relay` ties the room together. A caller's side: `admission` (may he?), `seats` (is there room?), `caller` (one socket,
with its `backlog` and its `ending`). The daemon's side: `feed`, over what `dial` opens. In between `session` classifies
a frame and says who may see it, `pushes` and `owners` whose order it is about, and `audience` writes it to the sockets.
`bounds` holds every limit.
"""

from guard.stream.bounds import StreamBounds
from guard.stream.relay import Relay
from guard.stream.session import SEEING, Seeing

__all__ = ["SEEING", "Relay", "Seeing", "StreamBounds"]
