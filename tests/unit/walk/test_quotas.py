"""The RateLimit fields."""

from guard.limits import State, post
from guard.terms import Claim
from guard.walk.replies import rate_headers

SECOND = 1_000_000


def rate(counter: str, cap: int | None, window_s: int) -> Claim:
    """One request on a rate."""
    return Claim("rate", counter, 1, cap, window_s * 1000)


def test_rates_are_told_by_the_draft() -> None:
    """One list of quotas, one of what remains, seconds rounded up, names quoted; what is no rate is left out."""
    claims = (rate("orders/key=a", 15, 30), rate('a"b\\/key=a', 1, 60), rate("counted/key=a", None, 60))
    state = State()
    post(state, claims, t_us=SECOND)
    post(state, claims, t_us=2 * SECOND)

    assert rate_headers(state, (*claims, Claim("spend", "value/key=a", 7, 9)), t_us=3 * SECOND + 1) == (
        ("RateLimit-Policy", '"orders";q=15;w=30, "a\\"b\\\\";q=1;w=60'),
        ("RateLimit", '"orders";r=13;t=28, "a\\"b\\\\";r=0;t=58'),
    )
    assert rate_headers(state, claims, t_us=90 * SECOND)[1] == ("RateLimit", '"orders";r=15;t=0, "a\\"b\\\\";r=1;t=0')


def test_where_no_rate_applies_nothing_is_told() -> None:
    """No empty fields."""
    assert rate_headers(State(), (), t_us=0) == ()
    assert rate_headers(State(), (rate("counted/key=a", None, 60),), t_us=0) == ()
