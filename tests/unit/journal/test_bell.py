"""A bell wakes the thread that sleeps on it."""

import threading
import time

from guard.journal.bell import Bell


def test_a_ring_before_the_sleep_is_heard() -> None:
    """It ends that sleep, and only that one."""
    bell = Bell()
    bell.ring()
    bell.sleep(None)
    began_s = time.monotonic()
    bell.sleep(0.02)
    assert time.monotonic() - began_s >= 0.02
    bell.close()


def test_a_ring_wakes_who_sleeps_without_end() -> None:
    """Whoever sleeps gives the interpreter up, and so does who rings."""
    bell, woken = Bell(), threading.Event()

    def sleep() -> None:
        bell.sleep(None)
        woken.set()

    thread = threading.Thread(target=sleep)
    thread.start()
    assert not woken.wait(0.02)
    bell.ring()
    thread.join(5)
    assert woken.is_set()
    bell.close()


def test_several_rings_are_one() -> None:
    """Who wakes looks at all there is; nothing is left to wake it for nothing."""
    bell = Bell()
    for _ in range(5):
        bell.ring()
    bell.sleep(1)
    began_s = time.monotonic()
    bell.sleep(0.02)
    assert time.monotonic() - began_s >= 0.02
    bell.close()
