"""Room 4, reference: what is the world like?

In: the port to the daemon and a clock. Out: what the daemon says of accounts, instruments, prices, positions and
markets, exact and with its age, or `Missing` with the reason.
Never: refuse, raise for a daemon that is down, invent a datum, or let callers hammer the daemon.
"""

from guard.reference.accounts import AccountList, parse_account_list
from guard.reference.reference import Reference, ReferenceBounds
from guard.reference.sources import part_kept
from guard.reference.views import NOTHING

__all__ = ["NOTHING", "AccountList", "Reference", "ReferenceBounds", "parse_account_list", "part_kept"]
