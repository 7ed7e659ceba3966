"""Room 4, reference: what is the world like?

In: the port to the daemon and a clock. Out: what the daemon says of accounts, exact and with its age, or `Missing`.
Never: refuse, raise for a daemon that is down, invent a datum, or let callers hammer the daemon.
"""

from guard.reference.accounts import AccountBook, parse_account_list

__all__ = ["AccountBook", "parse_account_list"]
