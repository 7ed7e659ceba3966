"""Which modules decide without I/O: `test_layers.py` holds them to it, and the gate measures how well they are tested.

As a program it prints them as `coverage report --include` wants them.
"""

from pathlib import Path
from typing import Final

GUARD: Final = Path(__file__).parents[2] / "guard"
MODULES: Final = sorted(GUARD.rglob("*.py"))

WORDS: Final = frozenset({"terms", "codes", "errors", "markets", "pauses"})
PURE_ROOMS: Final = frozenset({"catalogue", "access", "intent", "policy", "limits"})
PURE_MODULES: Final = frozenset(
    {
        "journal/chain.py",
        "journal/entries.py",
        "journal/examine.py",
        "journal/note.py",
        "journal/recordend.py",
        "journal/record.py",
        "journal/seen.py",
        "journal/succession.py",
        "journal/tree.py",
        "server/bounds.py",
        "server/fields.py",
        "server/grammar.py",
        "server/reader.py",
        "server/replies.py",
        "server/unproven.py",
        "server/wire.py",
        "stream/backlog.py",
        "stream/pushes.py",
        "stream/session.py",
        "upstream/answer.py",
        "upstream/circuit.py",
        "upstream/orderlist.py",
        "upstream/reconcile.py",
        "upstream/verdict.py",
        "walk/throttle.py",
        "walk/subscriptions.py",
    }
)
IMPURE_MODULES: Final = frozenset({"access/keyfile.py", "catalogue/page.py", "policy/page.py"})


def name_of(path: Path) -> str:
    """Where a module stands under `guard/`."""
    return path.relative_to(GUARD).as_posix()


def pure() -> list[Path]:
    """The pure modules."""
    return [path for path in MODULES if _is_pure(name_of(path))]


def _is_pure(name: str) -> bool:
    if name in IMPURE_MODULES:
        return False
    room = name.split("/", maxsplit=1)[0].removesuffix(".py")
    return room in PURE_ROOMS | WORDS or name in PURE_MODULES


if __name__ == "__main__":
    print(",".join(f"guard/{name_of(path)}" for path in pure()))  # noqa: T201 - for the gate
