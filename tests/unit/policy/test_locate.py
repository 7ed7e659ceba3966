"""Line numbers of keys."""

import pytest

from guard.policy.locate import line_of

TEXT = '''\
# [orders] in a comment
[policy]
rationale = """
[orders]
max_value = "no"
"""
rights.touch = "own"
[ orders ]  # really
"max_value" = "1 HKD"
types = [
  "NORMAL",
]
[hours]
HK = "always"
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("policy", "rationale"), 3),
        (("orders",), 8),
        (("orders", "max_value"), 9),
        (("orders", "types"), 10),
        (("orders", "sides"), 8),
        (("hours", "HK"), 14),
        (("policy", "rights", "touch"), 7),
        (("budgets", "per"), None),
    ],
)
def test_a_key_is_found_in_its_table(path: tuple[str, ...], line: int | None) -> None:
    """The key's line, else its table's, else none; comments and long texts are not keys."""
    assert line_of(TEXT, path) == line


def test_dotted_keys_before_any_table_are_found() -> None:
    """A dotted key belongs to the table that it names."""
    assert line_of('orders.max_value = "1 HKD"\n', ("orders", "max_value")) == 1
