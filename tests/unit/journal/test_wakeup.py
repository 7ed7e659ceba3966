"""A wakeup ends the wait of the thread that waits on it."""

import threading
import time

from guard.journal.wakeup import Wakeup


def test_a_wake_before_the_wait_ends_it() -> None:
    """It ends that wait, and only that one."""
    wakeup = Wakeup()
    wakeup.wake()
    wakeup.wait(None)
    began_s = time.monotonic()
    wakeup.wait(0.02)
    assert time.monotonic() - began_s >= 0.02
    wakeup.close()


def test_a_wake_ends_a_wait_without_end() -> None:
    """Whoever waits gives the interpreter up, and so does who wakes."""
    wakeup, woken = Wakeup(), threading.Event()

    def wait() -> None:
        wakeup.wait(None)
        woken.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert not woken.wait(0.02)
    wakeup.wake()
    thread.join(5)
    assert woken.is_set()
    wakeup.close()


def test_several_wakes_are_one() -> None:
    """Who wakes looks at all there is; nothing is left to wake it for nothing."""
    wakeup = Wakeup()
    for _ in range(5):
        wakeup.wake()
    wakeup.wait(1)
    began_s = time.monotonic()
    wakeup.wait(0.02)
    assert time.monotonic() - began_s >= 0.02
    wakeup.close()
