"""Documents, keys and flags put together."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from guard.policy import PolicyDoc, PolicyError, PolicySet, compile_set
from guard.policy.policyset import MATCHES_MAX
from guard.terms import Env, KeyLimits
from tests.support.policy import FRIDAY, asked, caller, codes, doc, order, policies


def compiled(*docs: PolicyDoc, keys: dict[str, KeyLimits] | None = None, tz: str = "UTC", **fields: object) -> object:
    """Whatever compile_set answers."""
    flags = fields.get("flags")
    assert flags is None or isinstance(flags, KeyLimits)
    return compile_set(list(docs), keys=keys or {}, flags=flags, tz=tz, require_cover=True, now=FRIDAY)


def test_the_hash_is_of_the_content() -> None:
    """Comments, spacing, the order of files and keys, and where a file lies change nothing; a number does."""
    one = policies('[policy]\nid="a"\n[orders]\nmax_value="1 HKD"', '[policy]\nid="b"')
    two = policies('[policy]\nid = "b"  # second', '# first\n[orders]\nmax_value = [ "1 HKD" ]\n\n[policy]\nid = "a"\n')
    three = policies('[policy]\nid="a"\n[orders]\nmax_value="2 HKD"', '[policy]\nid="b"')

    assert one.sha256 == two.sha256
    assert one.source() == two.source()
    assert one.sha256 != three.sha256
    assert len(one.sha256) == 64


def test_the_source_holds_what_the_files_say() -> None:
    """The canonical content names ids and limits, and nothing that was left out."""
    source = policies('[policy]\nid="a"\n[orders]\nmax_qty=5').source()

    assert source == (
        b'[{"budgets":{"per":"key"},"id":"a","orders":{"max_qty":5},"policy":{"id":"a","mode":"enforce"},'
        b'"rates":{"per":"key"},"rights":{"see":"account"}}]'
    )


def test_keys_and_flags_are_no_part_of_the_hash() -> None:
    """The hash is of the policy files alone."""
    limits = KeyLimits(max_order_value=Decimal(1))

    assert policies("").sha256 == policies("", keys={"bot-a": limits}, flags=limits).sha256


@pytest.mark.parametrize(
    ("docs", "path", "code"),
    [
        ((doc("", "a.toml"), doc('[policy]\nid = "a"', "b.toml")), "policy.id", "duplicate_id"),
        ((PolicyDoc("key:a", "a.toml"),), "policy.id", "reserved_id"),
        ((PolicyDoc("flags", "a.toml"),), "policy.id", "reserved_id"),
    ],
)
def test_an_id_stands_for_one_policy(docs: tuple[PolicyDoc, ...], path: str, code: str) -> None:
    """Two policies with one id, and the guard's own ids, are refused."""
    errors = compiled(*docs)

    assert isinstance(errors, list)
    assert [(error.path, error.code) for error in errors] == [(path, code)]


def test_a_duplicate_id_is_told_with_both_places() -> None:
    """The error names the file, the line and the other file."""
    errors = compiled(doc("", "a.toml"), doc('\n[policy]\nid = "a"', "b.toml"))

    assert isinstance(errors, list)
    (error,) = errors
    assert isinstance(error, PolicyError)
    assert (error.file, error.line) == ("b.toml", 3)
    assert "a.toml" in error.message


def test_limits_that_cannot_be_read_are_told_at_once() -> None:
    """Keys, flags and the zone of the keys file: every error, with its place."""
    errors = compiled(
        keys={"bot-a": KeyLimits(hours_window="x", allowed_markets=("Y",))},
        flags=KeyLimits(max_order_value=Decimal(-1)),
        tz="Moon/Base",
    )

    assert isinstance(errors, list)
    assert [(error.file, error.path) for error in errors] == [
        ("guard.toml", "keys.tz"),
        ("keys.json", "keys.bot-a.allowed_markets"),
        ("keys.json", "keys.bot-a.hours_window"),
        ("flags", "flags.max_order_value"),
    ]


def test_what_is_probably_not_meant_is_a_warning() -> None:
    """A selector that no key matches, and a policy that has expired, are told and allowed."""
    found = compiled(
        doc('[applies_to]\nkeys = ["bot-*", "agent-*"]\nexcept_keys = ["nobody"]', "a.toml"),
        doc("[policy]\nexpires_at = 2026-11-20T04:00:00Z", "b.toml"),
        keys={"bot-a": KeyLimits()},
    )

    assert isinstance(found, PolicySet)
    assert found.warnings == (
        "a.toml: applies_to.keys: no key matches 'agent-*'",
        "a.toml: applies_to.except_keys: no key matches 'nobody'",
        "b.toml: policy b expired at 2026-11-20T04:00:00Z",
    )


def test_without_keys_nothing_is_said_about_selectors() -> None:
    """A directory of policies can be checked where there is no keys file."""
    assert policies('[applies_to]\nkeys = ["bot-*"]').warnings == ()


@pytest.mark.parametrize(
    ("as_of", "why"),
    [
        ("2026-11-15", ""),
        ("2026-11-14", "6 days old"),
        ("2026-11-21", ""),
        ("2026-11-22", "of a day that has not come"),
    ],
)
def test_exchange_rates_that_are_not_believed_are_told(as_of: str, why: str) -> None:
    """Too old, or of a mistyped year: they are allowed, and refuse every order that needs them."""
    text = f'[fx]\nUSDHKD = "7.8"\nas_of = {as_of}'

    told = "so orders that need one are refused fx_unavailable, but for those that only reduce a position: "
    told += "give [fx] current rates and their as_of"
    assert policies(text).warnings == ((f"p0.toml: the exchange rates of {as_of} are {why}, {told}",) if why else ())


@pytest.mark.parametrize(
    ("texts", "is_told"),
    [
        (('[orders]\nmax_value = "1 HKD"',), True),
        (('[orders]\nmax_value = "1 HKD"', '[orders]\nmax_underlying_value = "1 HKD"'), False),
        (("[orders]\nmax_qty = 1",), False),
        (('[orders]\nmax_value = "1 HKD"\nsides = ["BUY"]',), False),
        (('[instruments]\nmarkets = ["JP"]\n[orders]\nmax_value = "1 JPY"',), False),
        (('[applies_to]\nenvironments = ["simulate"]\n[orders]\nmax_value = "1 HKD"',), False),
    ],
)
def test_w19_options_that_may_be_sold_for_their_premium_alone_are_told(
    texts: tuple[str, ...], *, is_told: bool
) -> None:
    """W07, W19: a limit left out does not exist, and nobody should find that out by an exercise."""
    assert any("sold option" in warning for warning in policies(*texts).warnings) is is_told


def test_an_expired_policy_no_longer_binds() -> None:
    """Until the moment of `expires_at` a policy binds, from then on it does not."""
    rules = policies("[policy]\nexpires_at = 2026-11-20T12:00:00+08:00\n[orders]\nmax_qty = 1")
    end = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)

    assert codes(asked(rules, wall=end - timedelta(microseconds=1)))
    assert not codes(asked(rules, wall=end))


def test_a_keys_limits_are_those_of_the_principal_at_hand() -> None:
    """A change of a key's limits binds with the next order, although the match is cached by name."""
    rules = policies()

    assert not codes(asked(rules, who=caller()))
    assert codes(asked(rules, who=caller(limits=KeyLimits(allowed_markets=("US",)))))
    assert codes(asked(rules, who=caller(limits=KeyLimits(allowed_markets=("US",)))))
    assert not codes(asked(rules, who=caller()))


def test_records_alike_before_the_at_sign_are_one_principal() -> None:
    """A rotated key is selected by, and counted under, the name that both share."""
    rules = policies('[applies_to]\nkeys = ["bot-a"]\n[rates]\nnew_orders = "1/1s"')

    assert [claim.counter for claim in asked(rules, who=caller("bot-a@2")).claims] == ["new_orders/key=bot-a"]


def test_the_cache_is_bounded_and_says_what_a_fresh_look_says() -> None:
    """However many names ask, the cache stays small, and its answers are those of `matching`."""
    rules = policies('[applies_to]\nkeys = ["bot-1*"]\n[orders]\nmax_qty = 1')
    for place in range(MATCHES_MAX + 10):
        who = caller(f"bot-{place}")
        if place % 500 == 0:
            assert rules.binding(who, Env.REAL, FRIDAY) == list(rules.matching(who, Env.REAL).bounds)
        assert bool(codes(asked(rules, order("2"), who=who))) is str(place).startswith("1")

    assert len(rules._matches) <= MATCHES_MAX
