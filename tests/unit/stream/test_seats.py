"""How many sockets there may be."""

from guard.codes import Code
from guard.stream.bounds import StreamBounds
from guard.stream.seats import NOBODY, Seats


def test_seats_are_bounded_by_key_and_altogether() -> None:
    """The one too many is refused and does not count; whoever leaves makes room, and the last of a key is told."""
    seats = Seats(StreamBounds(sockets_per_key_max=2, sockets_max=3))
    assert (bool(seats), seats.has_keys) == (False, False)
    assert seats.take("n", NOBODY) is None
    assert (bool(seats), seats.has_keys) == (True, False)
    assert [seats.take(each, "a") for each in ("1", "2")] == [None, None]
    assert seats.has_keys
    for socket, name in (("3", "a"), ("4", "b")):
        refusal = seats.take(socket, name)
        assert refusal is not None
        assert refusal.code is Code.OVERLOADED
        assert seats.leave(socket) is None

    assert seats.leave("1") is None
    assert seats.leave("1") is None
    assert seats.take("4", "b") is None
    assert [seats.leave(each) for each in ("2", "4", "n")] == ["a", "b", NOBODY]
    assert (bool(seats), seats.has_keys) == (False, False)
