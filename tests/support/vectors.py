"""The example record of docs/journal-format.md: made anew here, so that the document cannot drift from the code."""

from base64 import b64encode
from typing import Final

from guard.journal.entries import Prune, Segment
from guard.journal.note import Checkpoint, sign
from guard.journal.recordend import RecordEnd, appended
from guard.journal.succession import introduction
from guard.journal.tree import Tree, TreeHead, inclusion, leaf, roots
from tests.support.clock import START_US
from tests.support.signed import NEXT, OWN

MEMBERS: Final = (
    ("start", {"t": 1, "version": "1.0.0"}),
    ("decision", {"id": "01KA0000000000000000000000", "t": 2, "outcome": "allow"}),
    ("outcome", {"decision": "01KA0000000000000000000000", "t": 3, "verdict": "accepted"}),
    ("stop", {"t": 4, "reason": "SIGTERM"}),
)


def lines() -> list[bytes]:
    """Five lines without their newlines: the segment's own and four records."""
    place, found = RecordEnd(), list[bytes]()
    for number, (type_, members) in enumerate(MEMBERS):
        line, place = appended(place, type_, members, ts_us=START_US + number, segment_bytes_max=10**6)
        found += line.split(b"\n")
    return found


def trees() -> list[Tree]:
    """The tree after no line, after one, and so on."""
    found = [Tree()]
    for line in lines():
        found.append(found[-1].grown(leaf(line)))
    return found


def checkpoint() -> str:
    """The note over all five."""
    return sign(Checkpoint(OWN.name, TreeHead(5, trees()[5].root())).text, [OWN])


def proof(index: int = 2) -> str:
    """The tlog-proof of one of them, by default of the decision, record 3."""
    path = roots(inclusion(index, 5), [leaf(line) for line in lines()])
    head = ["c2sp.org/tlog-proof@v1", f"extra {b64encode(lines()[index]).decode()}", f"index {index}"]
    return "\n".join([*head, *(b64encode(part).decode() for part in path), "", checkpoint()])


def succession() -> str:
    """The note of a `vkey` record in which a second key follows the first."""
    return introduction(NEXT, OWN).note


def segment() -> Segment:
    """What the first record of a second segment holds, when five lines are before it."""
    return Segment(2, 6, 5, trees()[5].written())


def prune() -> Prune:
    """What a `prune` record holds once the first segment is gone."""
    return Prune(6, trees()[5].root().hex(), checkpoint(), (1,), "2026-11-23T00:00:00.000000Z")
