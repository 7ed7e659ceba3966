"""Line numbers of keys."""

import pytest

from guard.policy.locate import line_of, written_at

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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('max_value = "1 HKD"   # one order', 'max_value = "1 HKD"   # one order'),
        (
            'max_value = [   # each\n  "1 HKD",  # Hong Kong [1]\n  # or\n  "2 USD"\n]  # end\nper = 1',
            'max_value = [ "1 HKD", "2 USD" ]',
        ),
        ('symbols = ["HK.#1", \'US.]\',\n  "US.A"]\nper = 1', 'symbols = ["HK.#1", \'US.]\', "US.A"]'),
        ('a = [["09:30",\n "12:00"], []]\nb = 1', 'a = [["09:30", "12:00"], []]'),
        ("a = [", "a = ["),
    ],
)
def test_a_list_over_several_lines_is_shown_whole(text: str, shown: str) -> None:
    """In one line, without its remarks; what stands in one line is shown as it is written."""
    assert written_at(f"# first\n{text}\n", 2) == shown


def test_dotted_keys_before_any_table_are_found() -> None:
    """A dotted key belongs to the table that it names."""
    assert line_of('orders.max_value = "1 HKD"\n', ("orders", "max_value")) == 1
