"""Scopes per endpoint under both profiles, and trade scopes per environment."""

import pytest

from guard.access import cancel_env, environment_reasons, operator_reasons, scope_reasons
from guard.access.scopes import PERSONAL, SCOPES, Profile, expand, narrowed
from guard.catalogue import ENDPOINTS
from guard.codes import Code
from guard.terms import Effect, Endpoint, Env
from tests.support.keys import caller, endpoint

DIFFERING = [row for row in ENDPOINTS if row.documented != row.runtime]
PROFILES: tuple[Profile, ...] = ("documented", "runtime")


def path_of(row: Endpoint) -> str:
    """A name for parametrised tests."""
    return f"{row.method} {row.path}"


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("row", ENDPOINTS, ids=path_of)
def test_each_endpoint_asks_for_any_scope_of_its_column(row: Endpoint, profile: Profile) -> None:
    """One of the column passes where nothing is asked on top; a key with every other scope does not."""
    column = row.documented if profile == "documented" else row.runtime
    if row.effect is Effect.UNLOCK or row.path == "/api/reconfirm-order":
        return
    for scope in column:
        assert scope_reasons(row, caller(scope), profile=profile) == ()
    others = caller(*set(SCOPES) - set(column))
    assert bool(scope_reasons(row, others, profile=profile)) is bool(column)


def test_fifteen_rows_differ_and_their_refusals_name_the_setting() -> None:
    """Whoever meets one can find out why; other rows do not mention it."""
    assert len(DIFFERING) == 15
    for row in ENDPOINTS:
        for profile in PROFILES:
            for reason in scope_reasons(row, caller(), profile=profile):
                assert ("scopes.profile" in reason.message) is (row in DIFFERING)
                assert reason.code is Code.SCOPE


@pytest.mark.parametrize("profile", PROFILES)
def test_reconfirm_also_needs_a_trade_scope(profile: Profile) -> None:
    """It confirms an order that the broker holds back: reading is not enough (W17)."""
    row = endpoint("/api/reconfirm-order")

    assert scope_reasons(row, caller("acc:read"), profile=profile)
    assert scope_reasons(row, caller("acc:read", "trade:real"), profile=profile) == ()
    assert bool(scope_reasons(row, caller("trade:real"), profile=profile)) is (profile == "documented")


@pytest.mark.parametrize("profile", PROFILES)
def test_b30_unlock_takes_unlock_or_real_and_never_simulate_alone(profile: Profile) -> None:
    """Under either profile; a key that trades elsewhere is told `environment`, one that does not trade `scope`."""
    row = endpoint("/api/unlock-trade")

    for scope in ("trade:unlock", "trade:real"):
        assert scope_reasons(row, caller(scope), profile=profile) == ()
        assert environment_reasons(row, caller(scope, "trade:simulate"), None) == ()
    assert [r.code for r in scope_reasons(row, caller("acc:read"), profile=profile)] == [Code.SCOPE]
    assert environment_reasons(row, caller("acc:read"), None) == ()
    assert scope_reasons(row, caller("trade:simulate"), profile=profile) == ()
    for env in (None, Env.SIMULATE, Env.REAL):
        assert [r.code for r in environment_reasons(row, caller("trade:simulate"), env)] == [Code.ENVIRONMENT]


@pytest.mark.parametrize("path", ["/api/order", "/api/modify-order", "/api/cancel-all-order", "/api/reconfirm-order"])
@pytest.mark.parametrize(
    ("scope", "env", "passes"),
    [
        ("trade:real", Env.REAL, True),
        ("trade:simulate", Env.SIMULATE, True),
        ("trade:real", Env.SIMULATE, False),
        ("trade:simulate", Env.REAL, False),
    ],
)
def test_trade_scopes_are_bound_to_their_environment(path: str, scope: str, env: Env, passes: bool) -> None:
    """`environment` where the key has the scope for the other one."""
    reasons = environment_reasons(endpoint(path), caller(scope), env)

    assert [r.code for r in reasons] == ([] if passes else [Code.ENVIRONMENT])


@pytest.mark.parametrize(
    ("path", "scope", "passes"),
    [
        ("/api/order", "trade:simulate", False),
        ("/api/order", "trade:real", True),
        ("/api/modify-order", "trade:simulate", False),
        ("/api/modify-order", "trade:real", True),
        ("/api/cancel-all-order", "trade:simulate", True),
        ("/api/cancel-all-order", "trade:real", True),
    ],
)
def test_an_unknown_environment_is_real_but_for_cancels(path: str, scope: str, passes: bool) -> None:
    """Risk-increasing fails closed, risk-reducing stays open."""
    assert (environment_reasons(endpoint(path), caller(scope), None) == ()) is passes


@pytest.mark.parametrize(
    ("scopes", "env"),
    [
        (("trade:real",), Env.REAL),
        (("trade:simulate",), Env.SIMULATE),
        (("trade:simulate", "trade:real"), Env.REAL),
        (("qot:read",), None),
    ],
)
def test_a_cancel_in_an_unknown_environment_is_the_one_the_key_may_trade(
    scopes: tuple[str, ...], env: Env | None
) -> None:
    """With both, real."""
    assert cancel_env(caller(*scopes)) is env


def test_a_key_without_trade_scopes_is_told_scope_only() -> None:
    """`scope` and `environment` are never said together."""
    row = endpoint("/api/order")

    assert [r.code for r in scope_reasons(row, caller("qot:read"), profile="documented")] == [Code.SCOPE]
    assert environment_reasons(row, caller("qot:read"), Env.REAL) == ()


def test_reads_do_not_look_at_the_environment() -> None:
    """For other effects any scope of the column is enough."""
    assert environment_reasons(endpoint("/api/orders"), caller("trade:simulate"), Env.REAL) == ()


@pytest.mark.parametrize("scope", sorted(PERSONAL))
def test_the_guards_scopes_are_for_persons(scope: str) -> None:
    """`admin` implies them; a key without an owner has them and may not use them."""
    assert operator_reasons(caller("admin", owner="Ada"), scope) == ()
    assert operator_reasons(caller(scope, owner="Ada"), scope) == ()
    for principal in (
        caller("admin"),
        caller(scope),
        caller("trade:real", "qot:read", owner="Ada"),
        caller(owner="Ada"),
    ):
        assert [r.code for r in operator_reasons(principal, scope)] == [Code.SCOPE]


def test_metrics_need_no_owner_and_admin_does_not_bring_them() -> None:
    """A scraper is no person."""
    assert operator_reasons(caller("metrics:read"), "metrics:read") == ()
    assert operator_reasons(caller("admin", owner="Ada"), "metrics:read")


def test_admin_brings_no_trading_and_no_reading() -> None:
    """It is administration, not everything."""
    assert expand(frozenset({"admin"})) == {"admin"} | PERSONAL


def test_narrowing_never_widens() -> None:
    """Whatever a claim says."""
    assert narrowed(frozenset({"qot:read"}), " ".join(SCOPES)) == {"qot:read"}
