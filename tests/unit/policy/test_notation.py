"""Money, rates, windows, resets and patterns."""

from decimal import Decimal

import pytest

from guard.policy import notation
from guard.policy.notation import Bad, Rate, Reset, Window
from guard.terms import LEDGER_MAX, Money


@pytest.mark.parametrize(
    ("text", "amount", "currency"),
    [
        ("100000 HKD", "100000", "HKD"),
        ("0 USD", "0", "USD"),
        ("0.0001 JPY", "0.0001", "JPY"),
        ("900719925474.0992 CNH", "900719925474.0992", "CNH"),
    ],
)
def test_money_is_read_exactly(text: str, amount: str, currency: str) -> None:
    """A number, a space and a known currency are an amount, to the last ten-thousandth."""
    assert notation.read_money(text) == Money(Decimal(amount), currency)


@pytest.mark.parametrize(
    "text",
    [
        "100000",
        "HKD 100000",
        "100,000 HKD",
        "1e5 HKD",
        "-1 HKD",
        "+1 HKD",
        "1.00001 HKD",
        "1 hkd",
        "1  HKD",
        "1 HKD ",
        "NaN HKD",
        "Infinity HKD",
        "1 EUR",
        "\u0661 HKD",
        ".5 HKD",
        "900719925474.0993 CNH",
        "",
    ],
)
def test_malformed_money_is_refused(text: str) -> None:
    """Whatever else looks like money is refused, with what to write instead."""
    bad = notation.read_money(text)

    assert isinstance(bad, Bad)
    assert bad.code == "bad_money"
    assert bad.hint


def test_a_currency_has_one_amount() -> None:
    """Two amounts in one currency, and a list without any, are refused; one each is a cap per currency."""
    assert notation.read_moneys(("1 HKD", "2 USD")) == {"HKD": Decimal(1), "USD": Decimal(2)}
    assert isinstance(notation.read_moneys(("1 HKD", "2 HKD")), Bad)
    assert isinstance(notation.read_moneys(("1 HKD", "x")), Bad)
    assert isinstance(notation.read_moneys(()), Bad)


@pytest.mark.parametrize(
    ("text", "rate"),
    [("15/30s", Rate(15, 30_000)), ("0/1s", Rate(0, 1000)), ("100000/86400s", Rate(100_000, 86_400_000))],
)
def test_rates_are_a_count_in_a_window(text: str, rate: Rate) -> None:
    """A count, a slash, seconds."""
    assert notation.read_rate(text) == rate
    assert text.endswith(rate.span)


@pytest.mark.parametrize(
    "text", ["15/30", "15/30m", "15", "-1/30s", "1.5/30s", "15/0s", "15/86401s", "100001/1s", " 1/1s"]
)
def test_malformed_rates_are_refused(text: str) -> None:
    """A rate without a bound that memory can hold, or without its unit, is refused."""
    bad = notation.read_rate(text)

    assert isinstance(bad, Bad)
    assert bad.code == "bad_rate"


def test_a_list_of_rates_has_different_windows() -> None:
    """Rates of different windows stand beside each other; twice the same window, or none, is refused."""
    assert notation.read_rates(("1/1s", "5/60s")) == (Rate(1, 1000), Rate(5, 60_000))
    assert isinstance(notation.read_rates(("1/1s", "5/1s")), Bad)
    assert isinstance(notation.read_rates(("1/1s", "x")), Bad)
    assert isinstance(notation.read_rates(()), Bad)


@pytest.mark.parametrize(
    ("text", "window"),
    [("09:30-12:00", Window(570, 720)), ("22:00-02:00", Window(1320, 120)), ("00:00-24:00", Window(0, 1440))],
)
def test_windows_are_minutes_of_a_day(text: str, window: Window) -> None:
    """Start and end by the clock; an end before the start is on the next day."""
    assert notation.read_window(text) == window
    assert str(window) == text


@pytest.mark.parametrize(
    "text",
    ["9:30-12:00", "09:30", "09:30-09:30", "24:00-09:00", "09:60-12:00", "25:00-26:00", "00:00-00:00", "09:30-24:01"],
)
def test_malformed_windows_are_refused(text: str) -> None:
    """A window that begins where it ends, or names a time that no clock shows, is refused."""
    bad = notation.read_window(text)

    assert isinstance(bad, Bad)
    assert bad.code == "bad_hours"


def test_overlapping_windows_are_refused() -> None:
    """Windows may touch and may cross midnight, but share no minute."""
    assert notation.read_windows(("13:00-16:00", "09:30-12:00", "12:00-13:00")) == (
        Window(570, 720),
        Window(720, 780),
        Window(780, 960),
    )
    assert isinstance(notation.read_windows(("09:30-12:00", "11:59-13:00")), Bad)
    assert isinstance(notation.read_windows(("22:00-02:00", "01:59-03:00")), Bad)
    assert isinstance(notation.read_windows(("x",)), Bad)
    assert notation.read_windows(()) == ()


def test_resets_have_a_real_zone() -> None:
    """A reset is a time and an IANA zone."""
    assert notation.read_reset("08:30 Asia/Hong_Kong") == Reset(510, "Asia/Hong_Kong")
    assert str(Reset(510, "Asia/Hong_Kong")) == "08:30 Asia/Hong_Kong"
    for text in ("08:30", "8:30 UTC", "24:00 UTC", "08:30 Asia/Nowhere", "08:30 ../etc/passwd", "08:30 Asia"):
        assert isinstance(notation.read_reset(text), Bad), text


@pytest.mark.parametrize("text", ["", "a b", "a/b", "[ab]", "x" * 65, "ä"])
def test_malformed_key_patterns_are_refused(text: str) -> None:
    """A pattern that no key id can match is refused."""
    assert notation.check_key_pattern(text) is not None
    assert notation.check_key_pattern("agent-*") is None


def test_a_hong_kong_code_has_all_its_digits() -> None:
    """Orders have five: a policy that blocks HK.700 would block nothing, so it is refused and told the right one."""
    hk = frozenset({"HK", "US"})
    for text in ("HK.700", "hk.0700"):
        bad = notation.check_listed_symbol(text, hk)
        assert bad is not None
        assert bad.hint == "write HK.00700"

    assert not [
        each for each in ("HK.00700", "HK.7*", "HK.800000", "HK.HSI", "US.7") if notation.check_listed_symbol(each, hk)
    ]


@pytest.mark.parametrize(
    ("text", "code"),
    [("AAPL", "bad_pattern"), ("XX.1", "unknown_market"), ("US.A B", "bad_pattern"), ("US." + "x" * 64, "bad_pattern")],
)
def test_malformed_symbol_patterns_are_refused(text: str, code: str) -> None:
    """A symbol without its market's prefix would match nothing, so it is refused."""
    bad = notation.check_symbol_pattern(text, frozenset({"US"}))

    assert bad is not None
    assert bad.code == code


@pytest.mark.parametrize("text", ["*", "US.AAPL", "us.aapl", "*.A", "U?.A*"])
def test_symbol_patterns_may_have_wildcards(text: str) -> None:
    """Prefix and code may have wildcards."""
    assert notation.check_symbol_pattern(text, frozenset({"US"})) is None


def test_a_hostile_pattern_is_judged() -> None:
    """A pattern of stars against a long text: a search that tried every way through it would never end."""
    assert not notation.matches("a" * 64, ("*a" * 31 + "b",))


@pytest.mark.parametrize(
    ("amount", "units"),
    [("1", 10_000), ("0.0001", 1), ("0.00001", 1), ("0.00011", 2), ("1.00000000001", 10_001), ("0", 0)],
)
def test_ledger_units_round_up(amount: str, units: int) -> None:
    """An amount that is not a whole number of units holds the next one."""
    assert notation.ledger_units(Decimal(amount)) == units


def test_numbers_are_told_without_exponent() -> None:
    """People and records see plain numbers."""
    assert [notation.plain(Decimal(text)) for text in ("1E+5", "150000.00", "0.10", "0", "1E-7")] == [
        "100000",
        "150000",
        "0.1",
        "0",
        "0.0000001",
    ]
    assert notation.plain(notation.from_units(LEDGER_MAX)) == "900719925474.0992"
