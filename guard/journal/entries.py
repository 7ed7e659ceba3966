"""What the journal's records hold: one Struct for each type of record that this guard writes. Pure.

Every record that moves a counter carries `t`, the guard's own clock in µs, and absolute targets: folding needs nothing
but the records. Amounts are integers of 1/10,000 of the unit; decimals of a valuation are text. A member without a
value is left out, but for those without a default: a column that is always there.
"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final, Literal

from msgspec import Raw, Struct
from msgspec.structs import replace

from guard.journal.seen import SeenWorld
from guard.terms import Claim, Reason, Valuation, Verdict

ABSENT: Final = Raw()  # "no order here": left out when written, empty when read


class Segment(Struct, frozen=True):
    """The first record of each file: which file it is, its own seq, and the tree of all lines before it.

    `compact` is the tree's compact range: the roots of its full subtrees in hex, largest first.
    """

    segment: int
    first_seq: int
    tree_size: int
    compact: tuple[str, ...]


class Vkey(Struct, frozen=True):
    """The key that signs checkpoints from now on, and the one it follows (null for the first).

    `note` is a signed note that names both, signed by both: who trusts one of them may trust the other.
    """

    vkey: str
    previous: str | None
    note: str


class Prune(Struct, frozen=True):
    """Segments that were deleted because they are old. `first_seq` is the first record that is kept.

    `root` is the tree's over all lines before it, in hex, `note` the checkpoint that says the same. `last_ts`: when the
    last of them was over.
    """

    first_seq: int
    root: str
    note: str
    segments: tuple[int, ...]
    last_ts: str


class Snapshot(Struct, frozen=True):
    """One part of a run that tells the state behind record `at_seq`; the parts count from 0, the last one says so.

    Whoever has a whole run folds on from the record after `at_seq`. `body` is for the one who folds.
    """

    at_seq: int
    part: int
    last: bool
    body: Raw


class Start(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A guard began to serve. `weakened` names the controls that are off or loose.

    `batch`: it brings counters, which count once a record of policies or keys behind it names this too.
    """

    t: int
    version: str
    config_sha256: str
    policy_sha256: str
    weakened: tuple[str, ...] = ()
    pid: int | None = None
    batch: str | None = None


class Stop(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A guard ended as asked; a `start` that no `stop` follows was a crash. `unfinished`: work that was cut off."""

    t: int
    reason: str
    unfinished: tuple[str, ...] = ()


class Decision(Struct, frozen=True, omit_defaults=True, gc=False):
    """What was decided on one request; for a trade that was allowed it *is* the reservation.

    `key` and `code` are null where there is none. `order` is the canonical body that the daemon is sent, `resulting`,
    for a change, the whole order that it leads to. `claims` and `used` run side by side: what the order shall hold, and
    the counter before this step with what counts against the cap beside it (`recorded`); of what is no trade, the rates
    that it met, which no start folds. `shadow`: why shadow policies would have refused it; what they claim stands among
    the claims, without a cap. `world`: what the rules looked at. `of`: the decision that opened the order, for a change
    or a cancel. `idempotency`: SHA-256 of the key. `intent`: the caller's own word (Guard-Intent), untrusted.
    `packet_id`: the caller's own, never forwarded. `replays`: the decision whose answer was given again. `batch`: the
    cancel of all (a decision, or what a `state` record names) that it is a part of. `anew`: a change that was judged
    and counted as a new order, since it brings one back (ENABLE). `scopes`: what a token left of its key's. `note` is
    for the record alone.
    """

    id: str
    t: int
    key: str | None
    endpoint: str
    outcome: Literal["allow", "refuse"]
    code: str | None
    reasons: tuple[Reason, ...]
    policy_sha256: str
    config_sha256: str
    effect: str | None = None
    intent: str | None = None
    environment: str | None = None
    account: int | None = None
    market: str | None = None
    symbol: str | None = None
    of: str | None = None
    replays: str | None = None
    batch: str | None = None
    anew: bool = False
    packet_id: tuple[int, int] | None = None
    order: Raw = ABSENT
    resulting: Raw = ABSENT
    valuation: Valuation | None = None
    world: SeenWorld | None = None
    claims: tuple[Claim, ...] = ()
    used: tuple[int, ...] = ()
    shadow: tuple[Reason, ...] = ()
    idempotency: str | None = None
    retry_after_s: float | None = None
    largest_qty: str | None = None
    peer: str | None = None
    user_agent: str | None = None
    request_id: str | None = None
    jti: str | None = None
    scopes: tuple[str, ...] = ()
    note: str = ""


class OutcomeRecord(Struct, frozen=True, omit_defaults=True, gc=False):
    """What became of a decision that was sent (or could not be): the commit, the release, or `unknown`.

    `status`, `ret_type` and `err_code` are the daemon's; `message` is what it said, or why no answer could be believed.
    `claims`: what the outcome itself counts, uncapped (the key's breaker). What ends an `unknown` is `Reconciled`.
    """

    decision: str
    t: int
    verdict: Verdict
    status: int | None = None
    ret_type: int | None = None
    order_id: str | None = None
    order_id_ex: str | None = None
    duration_us: int | None = None
    message: str = ""
    err_code: int | str | None = None
    claims: tuple[Claim, ...] = ()


def recorded(claims: tuple[Claim, ...]) -> tuple[Claim, ...]:
    """Claims as a decision holds them: the policies that it names say which cells count against a cap with theirs.

    The ledger holds them so, too: it has looked at those by then.
    """
    return tuple([replace(claim, also=()) if claim.also else claim for claim in claims])


class Order(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the daemon's lists show of an order, or of its symbol. `targets`: counter → what the order holds there now.

    `ended`: nothing more can be filled; another record of the order shows that more had been. `decision` is the one
    that opened the order. An order that was placed elsewhere has an `owner` (manual), environment, account and symbol;
    while it works also market, `order` (its terms as a body that places it) and a name of its own instead of a
    decision, under which later records follow it.
    `source`: which lists, `orders` or `positions`. `currency`: about no order (`decision` is empty), but about a symbol
    that they show in another currency than its market's.
    """

    decision: str
    t: int
    status: str
    source: str
    order_id: str | None = None
    order_id_ex: str | None = None
    filled_qty: str | None = None
    filled_value: str | None = None
    ended: bool = False
    owner: str | None = None
    environment: str | None = None
    account: int | None = None
    market: str | None = None
    symbol: str | None = None
    currency: str | None = None
    order: Raw = ABSENT
    targets: Mapping[str, int] = {}


class Reconciled(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The end of an unknown: by evidence (`source` is `orders`), or by a person's word (`person`; `by` says whose).

    `reason`: what proves it, or what that person says. `by_key`: the id of that person's key.
    """

    decision: str
    t: int
    verdict: Verdict
    source: str
    order_id: str | None = None
    order_id_ex: str | None = None
    by: str | None = None
    reason: str | None = None
    targets: Mapping[str, int] = {}
    by_key: str | None = None


class Policy(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A reload of policies: applied, refused, pending (a second person has to approve), withdrawn or reverted.

    `kind`: looser, tighter, neutral or mixed, and `changes` in words. `until`: when it goes back by itself, to `back`.
    `asked_by`: who asked, where `by` approved; `replay` is what was shown then. `key` and `asked_key`: the ids of their
    keys. `carried`: counters that go on from what a shadow's stood at. `targets`: what counters that nobody kept stand
    at, made from the record (`guard.limits.Graft`), behind the `counters` records of the same `batch`.
    """

    t: int
    result: str
    sha256: str
    from_sha256: str | None = None
    by: str | None = None
    reason: str | None = None
    errors: tuple[str, ...] = ()
    targets: Raw = ABSENT
    kind: str | None = None
    changes: tuple[str, ...] = ()
    until: datetime | None = None
    back: str | None = None
    asked_by: str | None = None
    asked_reason: str | None = None
    replay: Mapping[str, int] = {}
    carried: tuple[str, ...] = ()
    batch: str | None = None
    key: str | None = None
    asked_key: str | None = None


class Counters(Struct, frozen=True):
    """A part of what a change brings into force that names this `batch`; without that change it moves nothing.

    A later part takes the place of what an earlier one said of an order or a counter's stamps.
    """

    t: int
    batch: str
    targets: Raw


class Keys(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A reload of keys.json, applied or not; `sha256` is over the records without hashes.

    `added`, `removed` and `changed` are ids of its records; `issuers` says which signing keys of token issuers came and
    went. `key`, `targets` and `batch` as in Policy. `errors` of one that is applied, as of policies that are reverted:
    why new limits began at zero.
    """

    t: int
    result: str
    sha256: str
    from_sha256: str | None = None
    by: str | None = None
    reason: str | None = None
    errors: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    issuers: tuple[str, ...] = ()
    targets: Raw = ABSENT
    batch: str | None = None
    key: str | None = None


class StateScope(Struct, frozen=True, omit_defaults=True):
    """Whom a trading state binds; an empty list does not narrow."""

    keys: tuple[str, ...] = ()
    accounts: tuple[int, ...] = ()
    markets: tuple[str, ...] = ()


class StateRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The trading state was set: active, reduce_only, cancel_only or locked.

    `batch`: what the decisions name that cancel the scope's working orders. `key`: the id of the key that set it.
    `halt_file`: it only tells that the file HALT was found (cancel_only) or is gone (active), and sets nothing.
    """

    t: int
    state: str
    scope: StateScope = StateScope()
    reason: str = ""
    by: str | None = None
    drill: bool = False
    cancel_working: bool = False
    batch: str | None = None
    key: str | None = None
    halt_file: bool = False


class TornTail(Struct, frozen=True, omit_defaults=True):
    """A torn tail was set aside at start: how many bytes, their SHA-256, and the file beside it that keeps them.

    `file` is empty where the disk was full and no file could: a line that never came to its end was cut off then.
    `signed`: up to which record a checkpoint of the log's own key had signed, where that was not the last one found:
    this record is signed with them, and its start may not come so far as to tell.
    """

    bytes: int
    sha256: str
    file: str
    signed: int | None = None


class Gap(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What passed while the journal was broken: cancels only. `since` and `until` as `ts` is written."""

    reason: str
    cancels: int
    since: str | None = None
    until: str | None = None
    decisions: tuple[str, ...] = ()


class ClockStep(Struct, frozen=True):
    """The wall clock stepped by `step_us` against the monotonic one."""

    t: int
    step_us: int


class Denied(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Refusals beyond ten in a second that say the same, summed up: of one source without a key, or of one `key`.

    A key's have one `code`. `second`: when that second began.
    """

    count: int
    second: str
    source: str = ""
    key: str | None = None
    code: str | None = None


class Access(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Market-data reads that passed: one key ("" is nobody's), one endpoint, the minute that began then."""

    key: str
    endpoint: str
    minute: str
    count: int


RECORDS: Final[Mapping[str, type[Struct]]] = MappingProxyType(
    {
        "segment": Segment,
        "vkey": Vkey,
        "prune": Prune,
        "snapshot": Snapshot,
        "start": Start,
        "stop": Stop,
        "decision": Decision,
        "outcome": OutcomeRecord,
        "order": Order,
        "policy": Policy,
        "counters": Counters,
        "keys": Keys,
        "state": StateRecord,
        "recovered": TornTail,
        "reconciled": Reconciled,
        "denied": Denied,
        "access": Access,
        "gap": Gap,
        "clock": ClockStep,
    }
)
