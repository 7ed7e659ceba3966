"""What waits for a slow caller, against a list that is searched from the front."""

from hypothesis import given, settings
from hypothesis import strategies as st

from guard.stream.backlog import Backlog
from guard.stream.session import Frame, Slot
from tests.support.stream import pushed

SLOTS: list[Slot | None] = [None, (3005, "1_00700", None, None), (3005, "1_00005", None, None)]
puts = st.tuples(st.sampled_from(SLOTS), st.binary(max_size=20))
steps = st.lists(puts | st.integers(1, 60), max_size=40)


def put(model: list[Frame], frame: Frame) -> bool:
    """The brute-force model: the older frame of the slot goes, the newer one is last."""
    older = [each for each in model if frame.slot is not None and each.slot == frame.slot]
    for each in older:
        model.remove(each)
    model.append(frame)
    return bool(older)


@settings(max_examples=300, deadline=None)
@given(steps=steps)
def test_events_all_come_in_order_and_snapshots_as_their_newest(steps: list[tuple[Slot | None, bytes] | int]) -> None:
    """Whatever is put and taken: the same frames in the same order as the model, and the same number of bytes."""
    backlog, model = Backlog(), list[Frame]()
    for step in steps:
        if isinstance(step, tuple):
            frame = pushed(step[1], step[0])
            assert backlog.put(frame) is put(model, frame)
        else:
            expected: list[bytes] = []
            while model and len(b"".join(expected)) < step:
                expected.append(model.pop(0).wire)
            assert backlog.take(step) == (b"".join(expected), len(expected))
        assert len(backlog) == len(model)
        assert backlog.unsent_bytes == sum(len(each.wire) for each in model)
    assert backlog.clear() == len(model)
    assert (len(backlog), backlog.unsent_bytes) == (0, 0)
