"""The verifier that is shipped beside a proof, asked as a function; as a program in tests/unit/cli/test_proof.py."""

from typing import Final

import pytest

from guard.journal.offline import EDITED, proof, read_keys, sides
from tests.support import vectors
from tests.support.signed import OWN

KEYS: Final = read_keys(OWN.verifier.vkey)
LEAVES: Final = len(vectors.lines())


def verdict(text: str) -> object:
    """Its exit code."""
    with pytest.raises(SystemExit) as ended:
        proof(text, KEYS)
    return ended.value.code


@pytest.mark.parametrize("index", range(LEAVES))
def test_a_record_is_proved_at_its_own_place_alone(index: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Before the first and behind the last one, the same path would lead to the same root."""
    for other in range(-LEAVES, 3 * LEAVES):
        moved = vectors.proof(index).replace(f"index {index}", f"index {other}")
        assert verdict(moved) == (0 if other == index else EDITED), other
    assert capsys.readouterr().out.count(f"ok: this is record {index + 1} of the {LEAVES}") == 1


@pytest.mark.parametrize("index", range(LEAVES))
def test_a_path_has_all_its_hashes_and_no_more(index: int) -> None:
    """One too many would be passed over, one too few would leave the root of a smaller tree."""
    head, note = vectors.proof(index).split("\n\n", 1)
    last = head.split("\n")[-1]
    assert verdict(f"{head}\n{last}\n\n{note}") == EDITED
    assert verdict(f"{head.removesuffix(last).rstrip()}\n\n{note}") == EDITED


def test_the_turns_of_a_path_are_those_of_the_tree() -> None:
    """Leaf 4 of five stands alone to the right of the other four."""
    assert [sides(index, 5) for index in (0, 3, 4)] == [[False, False, False], [True, True, False], [True]]
