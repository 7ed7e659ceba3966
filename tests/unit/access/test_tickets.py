"""Tickets for one handshake each, against a list that is searched."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from guard.access.tickets import LIFE_US, PER_KEY_MAX, TICKETS_MAX, Tickets, Wait
from guard.terms import Principal


def named(name: str) -> Principal:
    """A caller of this name."""
    return Principal(id=name, name=name, scopes=frozenset({"qot:read"}))


A, B = named("a"), named("b")
issues = st.tuples(st.just("issue"), st.sampled_from([A, A, A, B]))
steps = st.lists(
    issues
    | issues
    | issues
    | st.tuples(st.just("redeem"), st.integers(0, 40))
    | st.tuples(st.just("wait"), st.sampled_from([0, 1, LIFE_US // 8, LIFE_US - 1, LIFE_US])),
    max_size=90,
)


@settings(max_examples=300, deadline=None)
@given(steps=steps)
@example(steps=[("issue", A)] * (PER_KEY_MAX + 1) + [("wait", LIFE_US), ("issue", A)])
def test_a_ticket_is_good_once_and_in_time(steps: list[tuple[str, object]]) -> None:
    """Whatever is issued, redeemed and waited for: whose a ticket is, is told once, before its end, within bounds."""
    tickets, now_us = Tickets(), 0
    given_out: list[str] = []
    live: dict[str, tuple[object, int]] = {}
    for step, what in steps:
        live = {text: row for text, row in live.items() if row[1] > now_us}
        if step == "wait":
            assert isinstance(what, int)
            now_us += what
        elif step == "redeem":
            assert isinstance(what, int)
            text = given_out[what] if what < len(given_out) else "wst_none"
            expected = live.pop(text, (None, 0))[0]
            assert tickets.redeem(text, now_us=now_us) is expected
        else:
            principal = A if what is A else B
            own = [ends_us for who, ends_us in live.values() if who is principal]
            found = tickets.issue(principal, f"secret{len(given_out)}", now_us=now_us)
            if len(own) >= PER_KEY_MAX:
                assert found == Wait(min(own))
            else:
                assert isinstance(found, str)
                given_out.append(found)
                live[found] = (principal, now_us + LIFE_US)
    assert len(tickets) <= 2 * PER_KEY_MAX
    assert tickets.redeem("wst_none", now_us=now_us + LIFE_US) is None
    assert (len(tickets), tickets._counts) == (0, {}), "nothing stays of a key without tickets"


def test_all_tickets_together_are_bounded() -> None:
    """The one too many is told when the oldest ends; afterwards there is room."""
    tickets = Tickets()
    for number in range(TICKETS_MAX):
        assert isinstance(tickets.issue(named(f"k{number // PER_KEY_MAX}"), f"{number}", now_us=number), str)
    assert tickets.issue(named("late"), "x", now_us=TICKETS_MAX) == Wait(LIFE_US)

    assert isinstance(tickets.issue(named("late"), "x", now_us=LIFE_US), str)
    assert len(tickets) == TICKETS_MAX


def test_a_ticket_itself_is_not_held() -> None:
    """A dump of the memory that holds tickets opens nothing."""
    tickets = Tickets()
    text = tickets.issue(A, "secret", now_us=0)

    assert isinstance(text, str)
    assert tickets.redeem("secret", now_us=0) is None
    assert text.encode() not in b"".join(tickets._live)
