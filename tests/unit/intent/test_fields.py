"""Values into types: numbers, ids, enums, flags, text, lists."""

from decimal import Decimal

import pytest

from guard.codes import Code
from guard.intent import fields as module
from guard.intent.fields import Fields, choices, pick, shown

UINT64 = 2**64 - 1


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (0, "0"),
        (-3, "-3"),
        (999_999_999_999_999, "999999999999999"),
        (Decimal("300.0"), "300"),
        (Decimal("3E+2"), "300"),
        (Decimal("-0.0"), "0"),
        (Decimal("0E+999999"), "0"),
        (Decimal("0E-999999"), "0"),
        (Decimal("1.50"), "1.5"),
        (Decimal("123456.789012345"), "123456.789012345"),
        (Decimal("1E-9"), "1E-9"),
        (Decimal("1.00000000000000000000000000000"), "1"),
    ],
)
def test_a_number_has_one_form(value: object, number: str) -> None:
    """However it is written, the same number is the same digits."""
    fields = Fields({"n": value})

    assert str(fields.number("n")) == number
    assert fields.is_good


@pytest.mark.parametrize(
    "value",
    [
        "300",
        True,
        [1],
        {"a": 1},
        10**15,
        -(10**15),
        10**4000,
        Decimal("1E+15"),
        Decimal("1E+999999"),
        Decimal("-1E+999999"),
        Decimal("1E-999999"),
        Decimal("1E-10"),
        Decimal("0.1234567890123456"),
        Decimal("1234567890.123456"),
        Decimal("1." + "1" * 60_000),
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("Infinity"),
    ],
)
def test_b32_what_is_no_exact_number_is_refused_before_any_arithmetic(value: object) -> None:
    """Strings, booleans, more than 15 digits, beyond 10¹⁵ or below 10⁻⁹, and anything that is not finite."""
    fields = Fields({"n": value})

    assert fields.number("n") is None
    assert fields.refusal().code is Code.BAD_NUMBER


def test_decimals_are_counted_without_trailing_zeros() -> None:
    """1.2300 has two decimals, 1.234 has three."""
    assert Fields({"n": Decimal("1.2300")}).number("n", decimals=2) == Decimal("1.23")
    fields = Fields({"n": Decimal("1.234")})
    assert fields.number("n", decimals=2) is None
    assert fields.refusal().reasons[0].message == "n has at most 2 decimals"


def test_a_number_that_was_read_is_known_however_it_is_written_next() -> None:
    """What is known of it is small, what was refused is not known, and a bound on decimals is asked each time."""
    for _ in range(2):
        for said in ("1.2300", "1.23", "1.23" + "0" * 60_000, "123E-2"):
            fields = Fields({"n": Decimal(said)})
            assert str(fields.number("n", decimals=2)) == "1.23"
            assert fields.number("n", decimals=1) is None
        assert Fields({"n": Decimal("0.1234567890123456")}).number("n") is None


def test_so_many_numbers_are_known_and_none_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one after the last bound begins anew; a long one is known by its shortest form."""
    known: dict[Decimal, tuple[Decimal, int]] = {}
    monkeypatch.setattr(module, "_known", known)
    monkeypatch.setattr(module, "NUMBERS_MAX", 3)
    for n in range(10):
        Fields({"n": Decimal(f"{n}.5" + "0" * 1_000)}).number("n")
        assert len(known) <= 3

    assert known
    assert all(len(str(number)) == 3 for number in known)


@pytest.mark.parametrize(
    ("value", "identifier"),
    [(1, 1), (0, 0), (UINT64, UINT64), ("1", 1), ("0", 0), (str(UINT64), UINT64)],
)
def test_an_id_is_a_uint64_or_its_digits(value: object, identifier: int) -> None:
    """Ids beyond 2^53 survive either way."""
    assert Fields({"header.acc_id": value}).identifier("header.acc_id") == identifier


@pytest.mark.parametrize(
    "value",
    [
        -1,
        UINT64 + 1,
        str(UINT64 + 1),
        "01",
        "",
        " 1",
        "1 ",
        "+1",
        "1.0",
        "1e3",
        "\u0661",
        "9" * 21,
        True,
        Decimal(1),
        [1],
    ],
)
def test_what_is_no_id_is_refused(value: object) -> None:
    """Signs, blanks, leading zeros, other digits than ASCII, fractions: none is an id."""
    fields = Fields({"header.acc_id": value})

    assert fields.identifier("header.acc_id") is None
    assert fields.refusal().code is Code.BAD_NUMBER


@pytest.mark.parametrize(
    ("value", "code"),
    [([], Code.BAD_VALUE), (7, Code.BAD_VALUE), ([0], Code.BAD_NUMBER), ([1, "x"], Code.BAD_NUMBER)],
)
def test_a_list_of_ids_is_not_empty_and_holds_ids(value: object, code: Code) -> None:
    """An empty list might mean nobody or everybody."""
    fields = Fields({"ids": value})

    fields.identifiers("ids")
    assert fields.refusal().code is code


def test_a_list_of_ids() -> None:
    """Numbers and digits alike, in the caller's order."""
    assert Fields({"ids": [2, "1"]}).identifiers("ids") == (2, 1)
    assert Fields({}).identifiers("ids") is None


@pytest.mark.parametrize(("value", "picked"), [(0, 0), (1, 1), ("real", 1), ("REAL", 1), ("Real", 1), ("SIMULATE", 0)])
def test_an_enum_is_a_number_or_a_word_in_any_case(value: object, picked: int) -> None:
    """Integer or label."""
    assert Fields({"env": value}).choice("env", choices({"SIMULATE": 0, "REAL": 1})) == picked


@pytest.mark.parametrize("value", [2, -1, True, False, Decimal(1), "1", "", "\u017fimulate", "real ", [1], {}])
def test_what_is_no_member_of_an_enum_is_refused(value: object) -> None:
    """No booleans, fractions, digits in strings, nor letters that only look right in capitals."""
    fields = Fields({"env": value})

    assert fields.choice("env", choices({"SIMULATE": 0, "REAL": 1})) is None
    assert fields.refusal().code is Code.BAD_VALUE
    assert fields.refusal().reasons[0].message.endswith("is none of SIMULATE, REAL")
    assert pick(value, choices({"ONE": 1})) is None


@pytest.mark.parametrize("value", [0, 1, "true", Decimal(1), []])
def test_a_flag_is_true_or_false(value: object) -> None:
    """Nothing else is."""
    fields = Fields({"f": value})

    assert fields.flag("f") is None
    assert fields.refusal().code is Code.BAD_VALUE


def test_absent_fields_are_none_and_no_fault() -> None:
    """Every reader answers None for what is not there."""
    fields = Fields({})

    assert fields.number("x") is None
    assert fields.identifier("x") is None
    assert fields.choice("x", choices({"A": 1})) is None
    assert fields.flag("x") is None
    assert fields.text("x") is None
    assert fields.array("x") is None
    assert fields.is_good
    with pytest.raises(AssertionError):
        fields.refusal()


def test_text_and_lists() -> None:
    """A string is a string; where a list is meant a single string will do."""
    fields = Fields({"a": "x", "b": ["x"], "c": 1, "d": {}})

    assert fields.text("a") == "x"
    assert fields.array("a") == ["x"]
    assert fields.array("b") == ["x"]
    assert fields.is_good
    assert fields.text("c") is None
    assert fields.array("d") is None
    assert [reason.code for reason in fields.refusal().reasons] == [Code.BAD_VALUE, Code.BAD_VALUE]


def test_all_faults_come_back_at_once_and_not_too_many() -> None:
    """The first eight, the contract's primary one first."""
    fields = Fields({"n": "x"})
    fields.number("n")
    for name in range(20):
        fields.require(f"header.f{name}")

    reasons = fields.refusal().reasons
    assert len(reasons) == 8
    assert (reasons[0].code, reasons[0].message) == (Code.MISSING_FIELD, "f0 is missing")
    assert reasons[-1].code is Code.BAD_NUMBER


def test_values_are_shown_short_and_in_ascii() -> None:
    """A message never carries a caller's control characters or a long text."""
    assert shown("a\nb\u202e") == r"'a\nb\u202e'"
    assert len(shown("x" * 1000)) == 41
    told = [shown(value) for value in ([1], {"a": 1}, True, Decimal("1.50"), 7)]
    assert told == ["a list", "an object", "true", "1.50", "7"]
