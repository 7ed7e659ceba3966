"""opend-guard: a policy-enforcing sidecar in front of the FutuOpenD-rs daemon.

A request walks through the rooms in this order:

1. `server` reads the bytes safely, or refuses them
2. `catalogue` knows which of the 68 endpoints it is, or refuses
3. `access` says who is asking and whether they may
4. `intent` says what exactly they want, in closed types
5. `reference` says what the world is like: accounts, instruments, prices
6. `policy` says whether it should happen: every rule refuses or claims
7. `limits` grants all claims or none
8. `journal` makes the decision durable
9. `upstream` sends the re-encoded order and judges what came back

`pipeline` is that walk; `lifecycle` opens and closes the door.
"""

from typing import Final

__version__: Final = "0.1.0"
