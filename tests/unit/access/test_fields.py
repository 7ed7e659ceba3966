"""Each field of a key record: what it takes, and what it is told to write instead."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from guard.access import fields
from guard.access.fields import WrongField, name_of
from guard.policy.notation import RATE_COUNT_MAX

NOTHINGS = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize("key_id", ["bot", "a", "A-1_b.c", "x" * 64, "bot@2", "bot@10", "x" * 64 + "@1"])
def test_good_ids_are_taken_as_they_are(key_id: str) -> None:
    """Letters, digits, dot, dash and underscore, up to 64, and @N."""
    assert fields.read_id(key_id) == key_id


@pytest.mark.parametrize(
    "key_id", ["", "x" * 65, "bot ", "bot@", "bot@x", "@2", "bot@1@2", "b/t", "böt", "bot\n", "bot@\uff11", 7, True]
)
def test_odd_ids_are_refused(key_id: object) -> None:
    """Ids become labels and file members: nothing else gets in, not even full-width digits."""
    with pytest.raises(WrongField):
        fields.read_id(key_id)


@pytest.mark.parametrize("key_id", ["bot@0", "bot@01", "bot@00", "bot@0000000002"])
def test_a_number_behind_the_at_sign_is_written_in_one_way(key_id: str) -> None:
    """`bot@2` and `bot@02` would be two records with one number, and rotate takes either for the newest."""
    with pytest.raises(WrongField, match="@N may follow, N from 1 without leading zeros, as rotate writes it"):
        fields.read_id(key_id)


@pytest.mark.parametrize(("key_id", "name"), [("bot", "bot"), ("bot@2", "bot")])
def test_the_name_is_what_stands_before_the_at_sign(key_id: str, name: str) -> None:
    """Rotated records share a name and with it their counters."""
    assert name_of(key_id) == name


@pytest.mark.parametrize("text", ["sha256:" + "ab" * 32, "ab" * 32, "AB" * 32, "sha256:" + "Ab" * 32])
def test_hashes_are_taken_with_and_without_prefix_in_any_case(text: str) -> None:
    """One digest, several spellings."""
    assert fields.read_hash(text) == b"\xab" * 32


@pytest.mark.parametrize("text", ["", "ab" * 31, "ab" * 33, "sha512:" + "ab" * 32, "gk_" + "ab" * 32, "zz" * 32, 5])
def test_what_is_no_sha256_is_refused_as_a_hash(text: object) -> None:
    """A plaintext put where its hash belongs is told so."""
    with pytest.raises(WrongField, match="the key itself never goes here"):
        fields.read_hash(text)


@pytest.mark.parametrize("text", [NOTHINGS, f"sha256:{NOTHINGS.upper()}"])
def test_the_hash_of_nothing_is_refused(text: str) -> None:
    """Whoever hashed an empty variable has made no key, and is told so when it is loaded."""
    with pytest.raises(WrongField, match="the SHA-256 of nothing, so no key: make one with `guard keys new`"):
        fields.read_hash(text)


def test_scopes_are_a_closed_set() -> None:
    """Every scope of the contract is taken, and nothing else."""
    assert fields.read_scopes(["qot:read", "audit:read", "qot:read"]) == {"qot:read", "audit:read"}
    for odd in ("qot", "QOT:READ", "trade:*", "", 3, None):
        with pytest.raises(WrongField, match="is not one of"):
            fields.read_scopes([odd])


def test_the_trade_super_scope_is_refused_by_name() -> None:
    """`trade` is the daemon's umbrella for a check, never a grant."""
    with pytest.raises(WrongField, match="trade:simulate, trade:real"):
        fields.read_scopes(["trade"])


LISTS = [
    fields.read_scopes,
    fields.read_markets,
    fields.read_symbols,
    fields.read_sides,
    fields.read_acc_ids,
    fields.read_card_nums,
]


def test_an_empty_list_of_scopes_is_refused_with_those_that_there_are() -> None:
    """It cannot be left out: a key has at least one."""
    with pytest.raises(WrongField, match="list one or more of qot:read, ") as refused:
        fields.read_scopes([])
    assert "leave" not in str(refused.value)


@pytest.mark.parametrize("read", LISTS[1:])
def test_an_empty_list_is_refused_as_ambiguous(read: Callable[[object], object]) -> None:
    """The daemon reads [] as "no limit" in one field and "frozen" in another; here it is an error."""
    with pytest.raises(WrongField, match="ambiguous"):
        read([])


@pytest.mark.parametrize("read", LISTS)
@pytest.mark.parametrize("value", ["HK", {"a": 1}, 5, True, [None], [[]], [{}], [True]])
def test_what_is_no_list_of_the_right_things_is_refused(read: Callable[[object], object], value: object) -> None:
    """Text is not a list of letters, and true is not 1."""
    with pytest.raises(WrongField):
        read(value)


@pytest.mark.parametrize(
    ("read", "good", "odd"),
    [
        (fields.read_markets, ["HK", "FUTURES", "FUTURES_US", "US_FUND"], ["hk", "NYSE", "FUTURES_DE", ""]),
        (fields.read_sides, ["BUY", "SELL", "SELL_SHORT", "BUY_BACK"], ["buy", "SHORT", "1"]),
        (
            fields.read_symbols,
            ["HK.00700", "US.BRK.B", "SH.600519", "HK.HSImain"],
            ["HK.*", "00700", "XX.1", "HK.", "*"],
        ),
    ],
)
def test_words_are_exact(read: Callable[[object], Any], good: list[str], odd: list[str]) -> None:
    """Good words keep their order; a wrong one names what is known or how it is written."""
    assert read(good) == tuple(good)
    for word in odd:
        with pytest.raises(WrongField):
            read([word])


@pytest.mark.parametrize("text", ["HK.700", "HK.0700"])
def test_a_hong_kong_symbol_has_all_its_digits(text: str) -> None:
    """Orders have five, so another would allow nothing: it is refused and told the right one."""
    with pytest.raises(WrongField, match=r"write HK\.00700"):
        fields.read_symbols([text])


def test_account_ids_are_unsigned_64_bit_numbers() -> None:
    """Ids beyond 2**53 are exact; text, zero, negatives, fractions and too large ones are refused."""
    assert fields.read_acc_ids([281756478875559548, 2**64 - 1]) == {281756478875559548, 2**64 - 1}
    for odd in ("123456", 0, -1, 2**64, Decimal("1.0"), True):
        with pytest.raises(WrongField):
            fields.read_acc_ids([odd])


def test_card_numbers_are_sixteen_digits_or_the_last_four() -> None:
    """Nothing in between, and as text."""
    assert fields.read_card_nums(["1234567890123456", "7680"]) == {"1234567890123456", "7680"}
    for odd in ("", "768", "76801", "12345678901234567", "\uff17\uff16\uff18\uff10", 7680):
        with pytest.raises(WrongField):
            fields.read_card_nums([odd])


@pytest.mark.parametrize(
    ("value", "amount"),
    [
        (0, "0"),
        (100000, "100000"),
        (Decimal("100000.50"), "100000.5"),
        (Decimal("1E+5"), "100000"),
        (Decimal("0.0001"), "0.0001"),
        (Decimal("0.00"), "0"),
        (2**53 // 10_000, str(2**53 // 10_000)),
    ],
)
def test_amounts_are_exact_and_plain(value: object, amount: str) -> None:
    """Money keeps its value and loses its exponent."""
    assert str(fields.read_money(value)) == amount


@pytest.mark.parametrize(
    "value",
    [
        "100000",
        True,
        None,
        -1,
        Decimal("-0.01"),
        Decimal("0.00001"),
        Decimal("1E+999999"),
        Decimal("1E-999999"),
        Decimal("1" * 21),
        2**53 // 10_000 + 1,
        Decimal("1E+20"),
        [],
        {},
    ],
)
def test_amounts_that_cannot_be_counted_are_refused(value: object) -> None:
    """Text, negatives, more decimals than the ledger has, and caps above 2**53 ledger units are load errors."""
    with pytest.raises(WrongField):
        fields.read_money(value)


def test_orders_per_minute_is_a_whole_number() -> None:
    """0 allows nothing; text, fractions, booleans and what no rate holds are refused."""
    assert fields.read_orders_per_minute(0) == 0
    assert fields.read_orders_per_minute(30) == 30
    assert fields.read_orders_per_minute(RATE_COUNT_MAX) == RATE_COUNT_MAX
    for odd in ("30", True, -1, Decimal("30.0"), RATE_COUNT_MAX + 1):
        with pytest.raises(WrongField):
            fields.read_orders_per_minute(odd)


def test_an_hours_window_may_cross_midnight() -> None:
    """HH:MM-HH:MM, each side a minute of the day."""
    assert fields.read_hours("09:30-16:00") == "09:30-16:00"
    assert fields.read_hours("22:00-05:00") == "22:00-05:00"
    for odd in (
        "9:30-16:00",
        "09:30-24:00",
        "09:60-10:00",
        "09:30",
        "09:30-16:00 ",
        "09:30\u201316:00",
        "0930-1600",
        930,
    ):
        with pytest.raises(WrongField, match="HH:MM"):
            fields.read_hours(odd)
    with pytest.raises(WrongField, match="same minute"):
        fields.read_hours("09:30-09:30")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2027-01-31T18:00:00Z", datetime(2027, 1, 31, 18, tzinfo=UTC)),
        ("2027-01-31t18:00:00z", datetime(2027, 1, 31, 18, tzinfo=UTC)),
        ("2027-02-01T02:00:00+08:00", datetime(2027, 1, 31, 18, tzinfo=UTC)),
        ("2027-01-31T18:00:00.123456789Z", datetime(2027, 1, 31, 18, 0, 0, 123456, tzinfo=UTC)),
    ],
)
def test_times_are_rfc_3339_with_a_zone(text: str, moment: datetime) -> None:
    """They become UTC; nanoseconds are cut, so an expiry never comes later than written."""
    assert fields.read_time(text) == moment


@pytest.mark.parametrize(
    "text",
    [
        "2027-01-31T18:00:00",
        "2027-01-31",
        "2027-02-30T00:00:00Z",
        "2027-01-31T24:01:00Z",
        "0001-01-01T00:00:00+23:00",
        5,
    ],
)
def test_times_without_zone_or_that_do_not_exist_are_refused(text: object) -> None:
    """A local time would expire at another moment on another machine."""
    with pytest.raises(WrongField):
        fields.read_time(text)


def test_notes_and_owners_are_bounded_text() -> None:
    """An owner is somebody: not empty, not a line break."""
    assert fields.read_note("") == ""
    assert fields.read_note("x" * 1000) == "x" * 1000
    assert fields.read_owner("Ada Lovelace") == "Ada Lovelace"
    assert fields.read_owner("x" * 128) == "x" * 128
    for odd in ("x" * 1001, 5):
        with pytest.raises(WrongField):
            fields.read_note(odd)
    for nobody in ("", "  ", "a\nb", "x" * 129, 5):
        with pytest.raises(WrongField):
            fields.read_owner(nobody)


def test_machines_are_text_and_may_be_an_empty_list() -> None:
    """[] is the daemon's "frozen"; it is a value here too, and disables the key."""
    assert fields.read_machines([]) == ()
    assert fields.read_machines(["ab"]) == ("ab",)
    for odd in ("ab", [1], 5):
        with pytest.raises(WrongField):
            fields.read_machines(odd)
