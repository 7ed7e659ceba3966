"""The broker's own rate limits: buckets of requests that all callers of the login share.

The broker counts by account (or by login), not by key; without a count of our own one bot could use up what all the
others need. A bucket is one more `rate` claim. A change and a cancel share one, in which a cancel counts but is never
refused. The numbers are the catalogue's; the gaps between two sends are in `spacing`. What the daemon answers
from memory has a bucket only where the caller wants the broker asked again.
"""

from typing import Final

from msgspec import Struct

from guard.codes import Code
from guard.policy import Maker
from guard.reference import part_kept
from guard.terms import Bucket, Claim, Effect, Endpoint, Read, Reason, Shortfall
from guard.walk.visit import Situation, Visit

RULE: Final = "daemon.broker_limits"
ANEW: Final = Bucket(10, 30, "account")
ANEW_AT: Final = frozenset({2101, 2102, 2201, 2211})  # funds, positions, orders and fills


class BrokerLimit(Struct, frozen=True):
    """The maker of a claim on one of the broker's buckets."""

    whose: str
    window_s: int

    def refuse(self, claim: Claim, shortfall: Shortfall) -> Reason:
        """How many there would have been in the window, whoever sent them."""
        observed = shortfall.used + claim.amount
        message = (
            f"{observed} requests in {self.window_s}s is above the broker's limit of {claim.cap} "
            f"for {self.whose}, which all keys share"
        )
        return Reason(
            Code.RATE,
            message,
            rule=RULE,
            observed=str(observed),
            limit=str(claim.cap),
            unit=f"requests/{self.window_s}s",
        )

    def largest(self, _proposal: object, /) -> None:
        """Quantity does not matter."""

    def largest_beside(self, proposal: object, claim: Claim, used: int) -> None:
        """Quantity does not matter."""


def bucket_claims(visit: Visit, situation: Situation) -> tuple[tuple[Claim, Maker], ...]:
    """The claim of this request on the broker's bucket of its endpoint, with its maker; at most one.

    Reads leave the guard's own part of a bucket alone: without it there would be no price to judge an order by.
    """
    endpoint, bucket = visit.endpoint, _bucket(visit, situation)
    if endpoint is None or bucket is None:
        return ()
    counter = _counter(endpoint, bucket, situation)
    is_counted_only = visit.effect is Effect.ORDER_CANCEL
    cap = None if is_counted_only else bucket.count - part_kept(endpoint.path, window_s=bucket.window_s)
    claim = Claim("rate", counter, amount=1, cap=cap, window_ms=bucket.window_s * 1000)
    whose = "this account" if bucket.per == "account" else "this login"
    return ((claim, BrokerLimit(whose, bucket.window_s)),)


def bucket_of(visit: Visit, situation: Situation) -> str | None:
    """The bucket's counter that the request counts on; None where the broker has no limit, or the setting is off.

    Paths with the same protocol number are the same request to the broker. Real and simulated accounts have counters of
    their own.
    """
    endpoint, bucket = visit.endpoint, _bucket(visit, situation)
    return None if endpoint is None or bucket is None else _counter(endpoint, bucket, situation)


def _bucket(visit: Visit, situation: Situation) -> Bucket | None:
    endpoint, intent = visit.endpoint, situation.intent
    bucket = None if endpoint is None else endpoint.bucket
    if endpoint is not None and bucket is None and isinstance(intent, Read) and intent.is_anew:
        bucket = ANEW if endpoint.proto_id in ANEW_AT else None
    return None if bucket is None or visit.config.settings.daemon.broker_limits == "off" else bucket


def _counter(endpoint: Endpoint, bucket: Bucket, situation: Situation) -> str:
    return f"broker/{_request(endpoint)}/{_subject(bucket, situation)}"


def _request(endpoint: Endpoint) -> str:
    return endpoint.path if endpoint.proto_id is None else str(endpoint.proto_id)


def _subject(bucket: Bucket, situation: Situation) -> str:
    account = situation.account
    if bucket.per == "user" or account is None:
        return "login"
    return f"account={account.env.word}:{account.acc_id}"
