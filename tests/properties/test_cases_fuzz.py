"""Whatever a file of tests holds, it is cases or an error with a place; nothing is raised."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from guard.policy.casefile import CaseFile, parse_cases
from guard.policy.cases import run_tests
from guard.policy.document import PolicyError
from tests.support.policy import policies

SAMPLE = (Path(__file__).parents[2] / "policies" / "default_test.toml").read_text()
SHORT = "\n".join(SAMPLE.splitlines()[:14]) + "\n]\n" + '[reference."HK.00005"]\nlast = 1\nage_s = 2\n[market.HK]\n'
NOTHING = policies("[orders]\nsides = []")
PIECES = st.sampled_from(
    ["inf", "nan", "1e99999", "-1", "2026-11-20", '"x"', "[]", "{}", "true", '"14 x 1"', "99999999999999999999", "é"]
)


@given(st.text())
def test_any_text_is_cases_or_an_error(text: str) -> None:
    """Never an exception."""
    assert isinstance(parse_cases(text, file="a_test.toml"), CaseFile | PolicyError)


@settings(max_examples=200)
@given(st.integers(0, len(SHORT) - 1), st.integers(0, 12), PIECES)
def test_a_file_with_a_piece_exchanged_is_read_or_refused(start: int, length: int, piece: str) -> None:
    """The same for a file that is nearly right; against policies that allow nothing no case that ran was allowed."""
    text = SHORT[:start] + piece + SHORT[start + length :]
    report = run_tests(NOTHING, {"a_test.toml": text})

    assert report.errors or report.ran or "case" not in text
    assert all(one.found.startswith("refused") for one in report.ran)
