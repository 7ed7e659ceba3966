"""Accounts: pairs of environment and id, uniform refusals, cut lists."""

import msgspec
import pytest

from guard.access import (
    account_reasons,
    cut_account_list,
    push_acc_ids,
    resolve_acc_id,
    resolve_env,
    visible_accounts,
)
from guard.access.accounts import UNIFORM
from guard.catalogue import ENDPOINTS
from guard.codes import Code
from guard.terms import Account, AccountAt, Effect, Endpoint, Env, Principal, Refusal
from tests.support.keys import caller, endpoint, row

BIG = 281756478875559548
ROWS = (
    row(Env.REAL, 1, card_num="1000000000000001", uni_card_num="2000000000007680"),
    row(Env.SIMULATE, 1),
    row(Env.REAL, 2, card_num="1000000000000002"),
    row(Env.SIMULATE, 3, card_num="1000000000000003"),
    row(Env.REAL, BIG, card_num="1000000000090002"),
)
ALL = caller("acc:read")
OWN = caller("acc:read", acc_ids=frozenset({1}))
BEARING = [e for e in ENDPOINTS if e.account in {AccountAt.HEADER, AccountAt.LIST}]


def may(principal: Principal, path: str, env: Env | None, *acc_ids: int) -> bool:
    """Whether the principal may name these accounts there; no ids at all means that the body names none."""
    return account_reasons(endpoint(path), principal, rows=ROWS, env=env, acc_ids=acc_ids or None) == ()


@pytest.mark.parametrize("target", BEARING, ids=lambda e: e.path)
def test_b08_a_restricted_key_is_checked_wherever_an_account_stands(target: Endpoint) -> None:
    """Reads and writes, headers and lists: its own pass, others do not."""
    assert account_reasons(target, OWN, rows=ROWS, env=Env.REAL, acc_ids=(1,)) == ()
    assert account_reasons(target, OWN, rows=ROWS, env=Env.REAL, acc_ids=(2,)) == (UNIFORM,)
    assert account_reasons(target, OWN, rows=ROWS, env=Env.REAL, acc_ids=(1, 2)) == (UNIFORM,)


@pytest.mark.parametrize("target", BEARING, ids=lambda e: e.path)
def test_b29_naming_no_account_is_refused_for_a_restricted_key(target: Endpoint) -> None:
    """Everywhere but at push subscriptions, which are cut to what it may see."""
    reasons = account_reasons(target, OWN, rows=ROWS, env=Env.REAL, acc_ids=None)

    assert (reasons == ()) is (target.effect is Effect.SUBSCRIBE)


@pytest.mark.parametrize("path", ["/api/sub-acc-push", "/api/unsub-acc-push"])
def test_b29_a_key_that_sees_no_account_gets_no_pushes(path: str) -> None:
    """Its list would be empty, and an empty list may mean everybody's."""
    nobody = caller("acc:read", acc_ids=frozenset({9}))

    assert account_reasons(endpoint(path), nobody, rows=ROWS, env=None, acc_ids=None) == (UNIFORM,)
    assert account_reasons(endpoint(path), ALL, rows=(), env=None, acc_ids=None) == (UNIFORM,)


def test_b15_a_read_without_an_environment_needs_every_one_that_the_account_has() -> None:
    """A key that sees one of two accounts of the same number does not leave the choice to the daemon."""
    card = caller("acc:read", card_nums=frozenset({"7680"}))

    assert may(card, "/api/funds", Env.REAL, 1)
    assert not may(card, "/api/funds", Env.SIMULATE, 1)
    assert not may(card, "/api/funds", None, 1)
    assert may(caller("acc:read", card_nums=frozenset({"0003"})), "/api/funds", None, 3)
    assert may(OWN, "/api/funds", None, 1)
    assert may(ALL, "/api/funds", None, 1)
    assert may(card, "/api/unlock-trade", None, 1)


@pytest.mark.parametrize("target", BEARING, ids=lambda e: e.path)
def test_an_unrestricted_key_may_leave_the_account_out_but_not_of_a_trade(target: Endpoint) -> None:
    """`acc-cash-flow {}` is a documented example; an order for nobody is not."""
    assert (account_reasons(target, ALL, rows=ROWS, env=None, acc_ids=None) == ()) is not target.is_trade


@pytest.mark.parametrize("path", ["/api/quote", "/api/accounts", "/api/admin/status"])
def test_endpoints_without_an_account_ask_for_none(path: str) -> None:
    """Lists are cut instead."""
    assert account_reasons(endpoint(path), OWN, rows=ROWS, env=None, acc_ids=None) == ()


@pytest.mark.parametrize("principal", [ALL, caller(acc_ids=frozenset({1, 3, 9}))], ids=["all", "restricted"])
@pytest.mark.parametrize(
    ("env", "acc_id", "passes"),
    [
        (Env.REAL, 1, True),
        (Env.SIMULATE, 1, True),
        (Env.REAL, 3, False),
        (Env.SIMULATE, 3, True),
        (None, 3, True),
        (Env.REAL, 9, False),
        (None, 9, False),
        (Env.REAL, 0, False),
    ],
)
def test_b15_an_account_is_a_pair_and_must_be_listed(
    principal: Principal, env: Env | None, acc_id: int, passes: bool
) -> None:
    """The simulated account of the same number is another account, for everybody."""
    for path in ("/api/order", "/api/funds"):
        assert may(principal, path, env, acc_id) is passes


def test_something_that_is_no_account_is_refused_to_everybody() -> None:
    """An empty tuple: a card number that does not resolve, or an empty list."""
    for principal in (ALL, OWN):
        assert account_reasons(endpoint("/api/funds"), principal, rows=ROWS, env=Env.REAL, acc_ids=()) == (UNIFORM,)


def test_b11_b32_every_refusal_reads_the_same() -> None:
    """Foreign, unknown, unresolved or missing: one reason, which names no account."""
    target = endpoint("/api/order")
    said = {
        account_reasons(target, OWN, rows=rows, env=env, acc_ids=acc_ids)
        for rows in (ROWS, ())
        for env in (None, Env.REAL)
        for acc_ids in (None, (), (2,), (777,), (1, BIG), (3,))
    }

    assert said == {(UNIFORM,)}
    assert UNIFORM.code is Code.ACCOUNT
    assert UNIFORM.observed is None
    assert not any(digit in UNIFORM.message for digit in "0123456789")


def test_b32_what_a_restricted_caller_learns_does_not_depend_on_accounts_it_cannot_see() -> None:
    """Every card suffix and id resolves the same with and without the foreign accounts."""
    foreign = tuple(r for r in ROWS if r.account.acc_id != 1)
    own = tuple(r for r in ROWS if r.account.acc_id == 1)
    for acc_id, card_num in [(None, "7680"), (None, "0002"), (None, "0001"), (2, None), (3, None), (3, "0003")]:
        for env in (None, Env.REAL, Env.SIMULATE):
            seen = [
                (
                    resolve_acc_id(OWN, rows, env=env, acc_id=acc_id, card_num=card_num),
                    resolve_env(OWN, rows, order=None, acc_id=acc_id),
                )
                for rows in (own, own + foreign)
            ]
            assert seen[0] == seen[1]


@pytest.mark.parametrize(
    ("card_nums", "seen"),
    [
        ({"1000000000000001"}, {Account(Env.REAL, 1)}),
        ({"7680"}, {Account(Env.REAL, 1)}),
        ({"2000000000007680"}, {Account(Env.REAL, 1)}),
        ({"0001", "0003"}, {Account(Env.REAL, 1), Account(Env.SIMULATE, 3)}),
        ({"0002"}, set()),
        ({"9999"}, set()),
        ({"0001", "9999"}, set()),
        ({"1000000000009999"}, set()),
    ],
)
def test_b30_card_numbers_resolve_or_deny_everything(card_nums: set[str], seen: set[Account]) -> None:
    """A suffix of two accounts, or of none, is no restriction that anybody meant: nothing is seen."""
    assert visible_accounts(caller(card_nums=frozenset(card_nums)), ROWS) == frozenset(seen)


def test_b30_a_key_with_cards_only_is_restricted_before_the_list_is_known() -> None:
    """An empty account list shows nothing, never everything."""
    assert visible_accounts(caller(card_nums=frozenset({"7680"})), ()) == frozenset()
    assert visible_accounts(OWN, ()) == frozenset()


def test_ids_and_cards_add_up_and_an_unresolved_card_takes_all() -> None:
    """Both fields of a key name accounts."""
    both = caller(acc_ids=frozenset({3}), card_nums=frozenset({"7680"}))
    broken = caller(acc_ids=frozenset({3}), card_nums=frozenset({"9999"}))

    assert visible_accounts(both, ROWS) == frozenset({Account(Env.SIMULATE, 3), Account(Env.REAL, 1)})
    assert visible_accounts(broken, ROWS) == frozenset()


def test_one_card_in_both_environments_is_one_card() -> None:
    """Ambiguous means two account ids, not two environments."""
    rows = (row(Env.REAL, 5, card_num="1000000000000005"), row(Env.SIMULATE, 5, card_num="1000000000000005"))

    assert visible_accounts(caller(card_nums=frozenset({"0005"})), rows) == frozenset(r.account for r in rows)


def test_an_unrestricted_key_sees_all() -> None:
    """None, not a list that could be out of date."""
    assert visible_accounts(ALL, ROWS) is None


@pytest.mark.parametrize(
    ("env", "acc_id", "card_num", "found"),
    [
        (None, 7, None, 7),
        (None, None, None, None),
        (None, None, "7680", 1),
        (Env.SIMULATE, None, "7680", None),
        (None, 1, "7680", 1),
        (None, 2, "7680", None),
        (None, None, "0002", None),
        (None, None, "", None),
        (None, None, "x680", None),
    ],
)
def test_the_card_of_a_request_becomes_an_account_id(
    env: Env | None, acc_id: int | None, card_num: str | None, found: int | None
) -> None:
    """Id and card must agree (W11); an ambiguous suffix is nothing."""
    assert resolve_acc_id(ALL, ROWS, env=env, acc_id=acc_id, card_num=card_num) == found


@pytest.mark.parametrize(
    ("order", "acc_id", "env"),
    [
        (Env.SIMULATE, 2, Env.SIMULATE),
        (None, 2, Env.REAL),
        (None, 3, Env.SIMULATE),
        (None, 1, None),
        (None, 9, None),
        (None, None, None),
    ],
)
def test_the_environment_is_the_orders_or_the_accounts(order: Env | None, acc_id: int | None, env: Env | None) -> None:
    """In this order, where a body says nothing; an account listed twice, or not at all, leaves it unknown."""
    assert resolve_env(ALL, ROWS, order=order, acc_id=acc_id) is env


def test_push_subscriptions_without_a_list_are_all_that_may_be_seen() -> None:
    """A named list is kept: it was checked."""
    assert push_acc_ids(OWN, ROWS, None) == (1,)
    assert push_acc_ids(ALL, ROWS, None) == (1, 2, 3, BIG)
    assert push_acc_ids(OWN, ROWS, (1,)) == (1,)


LIST = (
    b'{"ret_type":0,"ret_msg":null,"s2c":{"acc_list":['
    b'{"trd_env":1,"acc_id":281756478875559548,"assets":1.10,"x":1e3},'
    b'{"trd_env":0,"acc_id":281756478875559548},{"trd_env":1,"acc_id":281756478875559549}],"n":0.10}}'
)


def test_b17_an_account_list_is_cut_and_its_rows_stay_byte_for_byte() -> None:
    """64-bit ids and decimals never pass through a number."""
    cut = cut_account_list(LIST, frozenset({Account(Env.REAL, BIG)}))

    assert cut == (
        b'{"ret_type":0,"ret_msg":null,"s2c":{"acc_list":['
        b'{"trd_env":1,"acc_id":281756478875559548,"assets":1.10,"x":1e3}]}}'
    )


@pytest.mark.parametrize(
    "body",
    [
        b'{"ret_type":0,"s2c":{"acc_list":[],"accounts":[{"trd_env":1,"acc_id":9}]}}',
        b'{"ret_type":0,"acc_ids":[9],"s2c":{"acc_list":[]}}',
        b'{"ret_type":0,"s2c":{"acc_list":[],"sub_acc":{"acc_list":[{"trd_env":1,"acc_id":9}]}}}',
    ],
)
def test_b17_members_that_nobody_knows_are_not_shown_to_a_restricted_key(body: bytes) -> None:
    """A newer daemon may tell accounts beside the list, under a name of its own."""
    assert cut_account_list(body, frozenset({Account(Env.REAL, BIG)})) == b'{"ret_type":0,"s2c":{"acc_list":[]}}'


def test_nothing_visible_leaves_an_empty_list() -> None:
    """The envelope stays."""
    cut = cut_account_list(LIST, frozenset())

    assert isinstance(cut, bytes)
    assert msgspec.json.decode(cut)["s2c"]["acc_list"] == []


@pytest.mark.parametrize(
    "entry",
    [
        b'{"acc_id":1}',
        b'{"trd_env":1}',
        b'{"trd_env":true,"acc_id":1}',
        b'{"trd_env":1.0,"acc_id":1}',
        b'{"trd_env":"1","acc_id":1}',
        b'{"trd_env":[1],"acc_id":1}',
        b'{"trd_env":2,"acc_id":1}',
        b'{"trd_env":1,"acc_id":"1"}',
        b'{"trd_env":1,"acc_id":true}',
        b'{"trd_env":1,"acc_id":1,"acc_id":2}',
    ],
)
def test_a_row_that_does_not_say_which_account_it_is_goes(entry: bytes) -> None:
    """What cannot be classified is not shown."""
    cut = cut_account_list(b'{"s2c":{"acc_list":[' + entry + b"]}}", frozenset({Account(Env.REAL, 1)}))

    assert cut == b'{"s2c":{"acc_list":[]}}'


@pytest.mark.parametrize(
    "body", [b'{"s2c":{"accList":[{}]}}', b'{"s2c":null,"acc_list":[{}]}', b'{"s2c":{"AccList":null}}']
)
def test_a_list_in_another_spelling_or_place_is_cut_too(body: bytes) -> None:
    """The daemon's spelling is its own business; what leaves here is ours."""
    cut = cut_account_list(body, frozenset())

    assert isinstance(cut, bytes)
    assert b"{}" not in cut


@pytest.mark.parametrize("body", [b'{"error":"forbidden"}', b'{"ret_type":-1,"ret_msg":"[err_code=1]","s2c":null}'])
def test_an_answer_without_a_list_passes(body: bytes) -> None:
    """The daemon's own refusals."""
    assert cut_account_list(body, frozenset()) == body


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"x",
        b'"acc_list"',
        b'{"s2c":[]}',
        b'{"s2c":{"acc_list":{}}}',
        b'{"s2c":{"acc_list":[1]}}',
        b'{"\xff":1}',
    ],
)
def test_what_is_no_account_list_is_a_bad_answer(body: bytes) -> None:
    """Nothing is guessed, nothing is passed on."""
    found = cut_account_list(body, frozenset())

    assert isinstance(found, Refusal)
    assert found.code is Code.DAEMON_BAD_ANSWER


def test_b09_account_and_scope_refusals_are_403_and_not_retryable() -> None:
    """A client that retries a forbidden order does harm; 429 is for rates."""
    from guard.codes import MEANING  # noqa: PLC0415 - this test only

    for code in (Code.SCOPE, Code.ENVIRONMENT, Code.ACCOUNT):
        assert MEANING[code] == (403, False)
