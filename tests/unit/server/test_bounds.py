"""The edge's limits."""

from guard.server.bounds import EdgeBounds


def test_what_is_held_is_more_than_any_request_that_could_pass() -> None:
    """Bytes cut off beyond the bound belong to input that is refused anyway."""
    bounds = EdgeBounds(head_bytes_max=100, body_bytes_max=50)

    assert bounds.held_bytes_max == 151


def test_deadlines_are_looked_at_often_enough() -> None:
    """Once a second by default, and four times within the shortest limit."""
    assert EdgeBounds(linger_timeout_s=8.0).sweep_s == 1.0
    assert EdgeBounds(header_timeout_s=0.2).sweep_s == 0.05
