"""What a replay found: how many decisions came out as they did, and every difference, counted in groups."""

from collections import Counter
from collections.abc import Iterator
from typing import Final, Literal, get_args

from msgspec import Struct, field

from guard import __version__
from guard.journal import Access, Denied, Gap
from guard.replay.kept import Lacking

DIFFERENCES_MAX: Final = 1_000  # kept one by one; all are counted
BROKEN_MAX: Final = 100
GROUPS_MAX: Final = 10_000
NO_READS: Final = 'reads that passed are in no record, not even as a number: [journal] reads = "refused"'
PRUNED: Final = "records 1 to {} are pruned, of their age: what was decided in them is not replayed"
ENGINE: Final = "engine changed"
CHANGED: Final = (
    "{count} decisions were made by the rules of {version}; this version's might judge them otherwise, so they are not "
    "made again, and stand on no limit of other policies: `guard policy replay` of that version does it, {later}"
)
LATER: Final = "and --since {ts} leaves them out"
NOTHING_YET: Final = "and by this version's rules nothing has been decided since"
UNKNOWN: Final = "kept, but older than the oldest snapshot that is kept: what stood on the counters is pruned"

Kind = Literal["newly_refused", "newly_allowed"]


class Difference(Struct, frozen=True):
    """One decision that other policies would have made otherwise; `certain` or it hangs on what would have come of it.

    `policy`, `rule`, `code`, `message`: of what refuses; for a newly allowed one, of what refused it on the day.
    """

    kind: Kind
    decision: str
    ts: str
    key: str
    symbol: str
    certain: bool
    code: str
    policy: str
    rule: str
    message: str


class NotReproduced(Struct, frozen=True):
    """A decision that does not come out as it is on record."""

    decision: str
    ts: str
    recorded: str
    replayed: str


class Group(Struct, frozen=True, order=True):
    """What differences are counted by."""

    kind: Kind
    policy: str
    rule: str
    key: str
    symbol: str


class Count(Struct):
    """Differences of one group."""

    certain: int = 0
    path_dependent: int = 0


class Replay(Struct):
    """The whole of it. `left_out`: decisions that were not replayed, by why; `notes`: what nobody can count.

    `changed`: decisions by the rules of other versions, by version; `again_from`: when the first one after was made.
    """

    since: str
    until: str | None = None
    decisions: int = 0
    replayed: int = 0
    reproduced: int = 0
    newly_refused: int = 0
    newly_allowed: int = 0
    certain: int = 0
    path_dependent: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    notes: set[str] = field(default_factory=set)
    groups: dict[Group, Count] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    broken: list[NotReproduced] = field(default_factory=list)
    changed: Counter[str] = field(default_factory=Counter)
    again_from: str | None = None

    @property
    def is_empty(self) -> bool:
        """There were decisions by rules, and for none of them is known what decided."""
        return self.replayed == 0 and any(self.left_out[why] for why in get_args(Lacking))

    @property
    def headline(self) -> str:
        """What came of holding the record against itself."""
        if self.replayed:
            return f"{self.reproduced} of {self.replayed} decisions come out as they are on record"
        return (
            f"none of {self.decisions} decisions could be made again" if self.decisions else "no decision in this time"
        )

    @property
    def unlike(self) -> int:
        """Decisions that do not come out as they are on record."""
        return self.replayed - self.reproduced

    def leaves_out(self, why: str, count: int = 1) -> None:
        """So many decisions that cannot be judged again."""
        self.decisions += count
        self.left_out[why] += count

    def is_of_another(self, version: str | None) -> None:
        """One decision that the rules of another version made."""
        build = "another build of " if version == __version__ else ""
        self.changed["an earlier version" if version is None else f"{build}version {version}"] += 1
        self.again_from = None

    def is_again(self, ts: str) -> None:
        """One decision that is made again."""
        self.replayed += 1
        self.again_from = self.again_from or ts

    def ends(self) -> None:
        """All was read."""
        later = LATER.format(ts=self.again_from) if self.again_from else NOTHING_YET
        for version, count in self.changed.items():
            self.notes.add(CHANGED.format(count=count, version=version, later=later))

    def differs(self, one: Difference) -> None:
        """One more difference."""
        if one.kind == "newly_refused":
            self.newly_refused += 1
        else:
            self.newly_allowed += 1
        group = Group(one.kind, one.policy, one.rule, one.key, one.symbol)
        if group not in self.groups and len(self.groups) >= GROUPS_MAX:
            group = Group(one.kind, one.policy, one.rule, "other", "other")
        count = self.groups.setdefault(group, Count())
        if one.certain:
            self.certain += 1
            count.certain += 1
        else:
            self.path_dependent += 1
            count.path_dependent += 1
        if len(self.differences) < DIFFERENCES_MAX:
            self.differences.append(one)

    def is_unlike(self, one: NotReproduced) -> None:
        """One more that is not reproduced."""
        if len(self.broken) < BROKEN_MAX:
            self.broken.append(one)

    def told(self) -> dict[str, object]:
        """As one JSON value."""
        groups = [
            {
                "kind": group.kind,
                "policy": group.policy,
                "rule": group.rule,
                "key": group.key,
                "symbol": group.symbol,
                "certain": count.certain,
                "path_dependent": count.path_dependent,
            }
            for group, count in sorted(self.groups.items())
        ]
        return {
            "since": self.since,
            "until": self.until,
            "decisions": self.decisions,
            "replayed": self.replayed,
            "reproduced": self.reproduced,
            "not_reproduced": self.unlike,
            "not_replayed": dict(self.left_out),
            "notes": sorted(self.notes),
            "newly_refused": self.newly_refused,
            "newly_allowed": self.newly_allowed,
            "certain": self.certain,
            "path_dependent": self.path_dependent,
            "groups": groups,
            "differences": self.differences,
            "broken": self.broken,
        }


def summed_up(record: Struct | None) -> Iterator[tuple[str, int]]:
    """Decisions that the record holds as a number only: what they are, and how many."""
    match record:
        case Access():
            yield "reads that are summed up", record.count
        case Denied():
            yield "refusals that are summed up", record.count
        case Gap() if record.cancels:
            yield "cancels while the record was broken", record.cancels
        case _:
            pass
