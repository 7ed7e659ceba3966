"""Policy files: read strictly, with every error at once."""

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.markets import MARKETS
from guard.policy import PolicyDoc, parse_policy
from guard.policy.document import FILE_CHARS_MAX, PolicyError
from guard.policy.parse import WRONG_PARTS_MAX
from guard.policy.schema import FxTable
from tests.support.policy import WHOLE, codes_of, doc


def test_a_whole_policy_is_read() -> None:
    """Every key that the contract names and this version enforces is taken."""
    found = doc(WHOLE)

    assert found.id == "desk"
    assert found.orders.max_value == ("100000 HKD", "12500 USD")
    assert found.rates.new_orders == ("15/30s",)
    assert found.hours is not None
    assert set(found.hours) == {"HK", "US", "FUTURES_HK", "FUTURES_US", "FUTURES_SG", "FUTURES_JP"}
    assert found.applies_to.accounts == (281756478875559548,)
    assert found.orders.price_collar_percent == {"stock": 10, "option": 50, "future": 5}
    assert found.fx == FxTable({"USDHKD": "7.80"}, date(2026, 11, 20), 5, 1)


def test_the_id_is_the_files_stem_by_default() -> None:
    """Without an id a policy is called as its file is."""
    assert doc("", "some/where/night.toml").id == "night"
    assert codes_of("", "night shift.toml") == [("policy.id", "bad_value")]


@pytest.mark.parametrize(
    ("text", "path", "code"),
    [
        ("[brekaer]", "brekaer", "unknown_key"),
        ("id = 1", "id", "unknown_key"),
        ("orders = 1", "orders", "bad_type"),
        ("[[orders]]", "orders", "bad_type"),
        ("[orders]\nmax_valu = 1", "orders.max_valu", "unknown_key"),
        ("[orders]\ndaily_value = '1 HKD'", "orders.daily_value", "unknown_key"),
        ("[policy]\nid = 'a b'", "policy.id", "bad_value"),
        ("[policy]\nid = 'flags'", "policy.id", "reserved_id"),
        ("[policy]\nid = 'key:a'", "policy.id", "bad_value"),
        ("[policy]\nmode = 'on'", "policy.mode", "bad_value"),
        ("[policy]\nrevision = true", "policy.revision", "bad_type"),
        ("[policy]\nexpires_at = 2026-12-01T00:00:00", "policy.expires_at", "bad_value"),
        ("[policy]\nexpires_at = 2026-12-01", "policy.expires_at", "bad_type"),
        ("[applies_to]\nkeys = ['a b']", "applies_to.keys", "bad_pattern"),
        ("[applies_to]\nexcept_keys = ['a b']", "applies_to.except_keys", "bad_pattern"),
        ("[applies_to]\nenvironments = ['rael']", "applies_to.environments", "bad_value"),
        ("[applies_to]\naccounts = [0]", "applies_to.accounts", "bad_value"),
        ("[applies_to]\naccounts = ['1']", "applies_to.accounts", "bad_type"),
        ("[instruments]\nmarkets = ['HKK']", "instruments.markets", "unknown_market"),
        ("[instruments]\nsymbols = ['00700']", "instruments.symbols", "bad_pattern"),
        ("[instruments]\nsymbols = ['hk.700']", "instruments.symbols", "bad_pattern"),
        ("[instruments]\nblocked_symbols = ['HK.700']", "instruments.blocked_symbols", "bad_pattern"),
        ("[instruments]\nblocked_symbols = ['ZZ.1']", "instruments.blocked_symbols", "unknown_market"),
        ("[orders]\nsides = ['BUYY']", "orders.sides", "bad_value"),
        ("[orders]\ntypes = ['LIMIT']", "orders.types", "bad_value"),
        ("[orders]\ntime_in_force = ['IOC']", "orders.time_in_force", "bad_value"),
        ("[orders]\nmax_value = 100000", "orders.max_value", "bad_type"),
        ("[orders]\nmax_value = '100000'", "orders.max_value", "bad_money"),
        ("[orders]\nmax_value = []", "orders.max_value", "bad_value"),
        ("[orders]\nmax_qty = '300'", "orders.max_qty", "bad_type"),
        ("[orders]\nmax_qty = -1", "orders.max_qty", "bad_value"),
        ("[orders]\nmax_qty = nan", "orders.max_qty", "bad_value"),
        ("[orders]\nmax_qty = 1e400", "orders.max_qty", "bad_value"),
        ("[orders]\nper_day = 1.5", "orders.per_day", "bad_type"),
        ("[orders]\nper_day = -1", "orders.per_day", "bad_value"),
        ("[orders]\nper_day = 99999999999999999999999", "orders.per_day", "bad_value"),
        ("[orders]\nduplicate_window_s = 86401", "orders.duplicate_window_s", "bad_value"),
        ("[hours]\nUSA = 'always'", "hours.USA", "unknown_market"),
        ("[hours]\nHK = 930", "hours.HK", "bad_type"),
        ("[hours]\nHK = ['09:30-12:00', '11:00-13:00']", "hours.HK", "bad_hours"),
        ("[hours]\nHK = ['09:30-09:30']", "hours.HK", "bad_hours"),
        ("[hours]\nFUTURES = 'always'\nFUTURES_HK = 'always'", "hours.FUTURES_HK", "bad_hours"),
        ("[hours]\nHK = 'always'", "hours", "missing_hours"),
        ("[instruments]\nmarkets = ['HK', 'US']\n[hours]\nHK = 'always'", "hours", "missing_hours"),
        ("[budgets]\nper = 'bot'", "budgets.per", "bad_value"),
        ("[budgets]\ndaily_value = '100,000 HKD'", "budgets.daily_value", "bad_money"),
        ("[budgets]\ndaily_value = '1 HKD'\nresets = '08:30'", "budgets.resets", "bad_reset"),
        ("[budgets]\ndaily_value = '1 HKD'\nresets = '08:30 Moon/Base'", "budgets.resets", "bad_zone"),
        ("[budgets]\nresets = '08:30 UTC'", "budgets.resets", "bad_value"),
        ("[rates]\nnew_orders = '15/30'", "rates.new_orders", "bad_rate"),
        ("[rates]\nper = 'account'\nreads = '1/1s'", "rates.reads", "bad_value"),
        ("[rights]\nsee = 'mine'", "rights.see", "bad_value"),
        ("[rights]\ntouch = 'all'", "rights.touch", "bad_value"),
        ("[orders]\nmax_premium = '1'", "orders.max_premium", "bad_money"),
        ("[orders]\nmax_underlying_value = 1", "orders.max_underlying_value", "bad_type"),
        ("[orders]\nprice_collar_percent = 10", "orders.price_collar_percent", "bad_type"),
        ("[orders]\nprice_collar_percent = {}", "orders.price_collar_percent", "bad_value"),
        ("[orders]\nprice_collar_percent = { bond = 1 }", "orders.price_collar_percent", "unknown_key"),
        ("[orders]\nprice_collar_percent = { stock = '1' }", "orders.price_collar_percent", "bad_type"),
        ("[orders]\nprice_collar_percent = { stock = -1 }", "orders.price_collar_percent", "bad_value"),
        ("[orders]\nprice_collar_percent = { stock = 1001 }", "orders.price_collar_percent", "bad_value"),
        ("[orders]\nprice_collar_percent = { stock = true }", "orders.price_collar_percent", "bad_type"),
        ("[orders]\nmarket_buffer_percent = nan", "orders.market_buffer_percent", "bad_value"),
        ("[orders]\nmarket_buffer_percent = '5'", "orders.market_buffer_percent", "bad_type"),
        ("[orders]\nmarket_buffer_percent = 0.0000001", "orders.market_buffer_percent", "bad_value"),
        ("[budgets]\nopen_orders = -1", "budgets.open_orders", "bad_value"),
        ("[budgets]\nopen_value = '1'", "budgets.open_value", "bad_money"),
        ("[breaker]\nunknowns = '3'", "breaker.unknowns", "bad_rate"),
        ("[breaker]\nrefusals = '3/1s'", "breaker.refusals", "unknown_key"),
        ("[reference]\nprice_age_max_s = '5'", "reference.price_age_max_s", "bad_type"),
        ("[reference]\nprice_age_max_s = 86401", "reference.price_age_max_s", "bad_value"),
        ("[reference]\nprice_age_max_s = 0.0001", "reference.price_age_max_s", "bad_value"),
        ("[reference]\nprice_collar_missing = 'ignore'", "reference.price_collar_missing", "bad_value"),
        ("fx = 1", "fx", "bad_type"),
        ("[fx]\nas_of = 2026-11-20", "fx", "bad_fx"),
        ("[fx]\nUSDHKD = '7.8'", "fx", "bad_fx"),
        ("[fx]\nUSDHKD = 7.8\nas_of = 2026-11-20", "fx.USDHKD", "bad_type"),
        ("[fx]\nUSDHKD = '0'\nas_of = 2026-11-20", "fx.USDHKD", "bad_fx"),
        ("[fx]\nUSDXXX = '1'\nas_of = 2026-11-20", "fx.USDXXX", "bad_fx"),
        ("[fx]\nUSDHKD = '7.8'\nHKDUSD = '0.1'\nas_of = 2026-11-20", "fx", "bad_fx"),
        ("[fx]\nUSDHKD = '7.8'\nas_of = 2026-11-20T00:00:00Z", "fx.as_of", "bad_type"),
        ("[fx]\nUSDHKD = '7.8'\nas_of = 2026-11-20\nmax_age_days = -1", "fx.max_age_days", "bad_value"),
        ("[fx]\nUSDHKD = '7.8'\nas_of = 2026-11-20\nbuffer_percent = -1", "fx.buffer_percent", "bad_value"),
    ],
)
def test_what_is_wrong_is_named(text: str, path: str, code: str) -> None:
    """Each mistake is told with its key path and code."""
    assert codes_of(text) == [(path, code)]


def test_every_error_is_told_at_once_with_its_line_and_a_cure() -> None:
    """One reading finds everything; each error names file, line, key, code and what to write."""
    text = '[orders]\nmax_valu = "1 HKD"\n\nmax_value = "1 hkd"\n[hourz]\nHK = 1\n'
    found = parse_policy(text, file="desk.toml")

    assert isinstance(found, list)
    assert [(error.line, error.path) for error in found] == [
        (2, "orders.max_valu"),
        (4, "orders.max_value"),
        (5, "hourz"),
    ]
    assert str(found[0]) == (
        "desk.toml:2: orders.max_valu: [orders] has no key max_valu [unknown_key] (did you mean max_value?)"
    )
    assert "did you mean hours?" in str(found[2])


def test_a_limit_order_is_called_normal() -> None:
    """Other brokers call it LIMIT; what is nearest in letters is another order."""
    found = parse_policy('[orders]\ntypes = ["LIMIT"]\n', file="desk.toml")

    assert isinstance(found, list)
    assert found[0].hint == "did you mean NORMAL?"


def test_a_key_in_the_wrong_table_is_shown_the_way() -> None:
    """A known key in another table is told where it belongs."""
    found = parse_policy('[orders]\ndaily_value = "1 HKD"\n', file="desk.toml")

    assert isinstance(found, list)
    assert found[0].hint == "daily_value belongs into [budgets]"


@pytest.mark.parametrize(
    "text",
    [
        "x = ",
        "[orders\n",
        "a = 1\na = 2\n",
        "x = " + "[" * 3000,
        "x = " + "9" * 5000,
        "#" * (FILE_CHARS_MAX + 1),
        "\x00",
    ],
    ids=["value", "header", "twice", "deep", "long number", "long file", "control"],
)
def test_what_is_not_toml_is_refused(text: str) -> None:
    """Broken, over-long and deeply nested files are refused, never a crash."""
    found = parse_policy(text, file="desk.toml")

    assert isinstance(found, list)
    assert found[0].code in {"bad_toml", "too_large"}


def test_a_syntax_error_has_its_line() -> None:
    """The line that the TOML reader names is passed on."""
    found = parse_policy("\n\nx = \n", file="desk.toml")

    assert isinstance(found, list)
    assert found[0].line == 3


def test_an_error_without_a_place_is_still_a_sentence() -> None:
    """File, message and code are told where nothing else is known."""
    assert str(PolicyError("a.toml", None, "", "bad_toml", "not TOML")) == "a.toml: not TOML [bad_toml]"


def test_hours_of_all_markets_need_no_list_of_markets() -> None:
    """Without [instruments] markets every market is allowed, so hours name every one."""
    text = "[hours]\n" + "".join(f'{market} = "always"\n' for market in MARKETS)

    assert doc(text).hours == dict.fromkeys(MARKETS, ("always",))


@settings(max_examples=100)
@given(st.text(alphabet=st.sampled_from("[]=.\"'\n#,{} abhordesmaxvlu_019-:/"), max_size=120))
def test_any_text_is_a_policy_or_a_list_of_errors(text: str) -> None:
    """Whatever the file holds, reading it ends in a document or in errors."""
    found = parse_policy(text, file="desk.toml")

    assert isinstance(found, PolicyDoc) or found


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("[orders]\nmax_value = 100000", "write a text in quotes, or a list of them"),
        ("[policy]\nexpires_at = '2026-12-01'", "write 2026-12-01T00:00:00Z"),
        ("[rights]\nsee = 'all'", "known: account, own"),
        ("[policy]\nowner = 5", "write a text in quotes"),
        ("[applies_to]\naccounts = ['1']", "write a list of whole numbers, without quotes"),
        ("[orders]\nper_day = '200'", "write a whole number, without quotes"),
        ("[orders]\nmax_qty = '300'", "write a number, without quotes"),
        ("[orders]\nmarket_buffer_percent = '5%'", "write a number, without quotes"),
        ("[orders]\nprice_collar_percent = 10", "write { stock = 10, option = 50 }"),
        ("[fx]\nUSDHKD = '7.8'\nas_of = 2026-11-20\nmax_age_dasy = 5", "did you mean max_age_days?"),
        ("[fx]\nusdhkd = '7.8'\nas_of = 2026-11-20", "known: as_of, max_age_days, buffer_percent, USDHKD"),
    ],
)
def test_what_has_the_wrong_form_is_told_the_right_one(text: str, hint: str) -> None:
    """Also where the decoder alone has refused it: its own words name types, not what to write."""
    errors = parse_policy(text, file="a.toml")

    assert isinstance(errors, list)
    assert [error.hint for error in errors] == [hint]


def test_each_item_of_a_list_is_told_by_itself() -> None:
    """Eight currencies with two slips of the pen take one round, not two; what only the whole shows is told too."""
    errors = parse_policy(
        """
[instruments]
markets = ["HKK", "US", "USS"]
[orders]
max_value = ["1e5 USD", "5 HKD", "12 XX", "6 HKD", "1e5 USD"]
price_collar_percent = { stok = 10, option = -1 }
[hours]
HK = ["25:00-26:00", "09:30-12:00", "soon"]
[fx]
USDHKD = "0"
ABC = "1"
as_of = 2026-11-20
""",
        file="x.toml",
    )
    assert isinstance(errors, list)
    told = [(error.path, error.message.partition(" is")[0]) for error in errors]
    assert told.count(("orders.max_value", "'1e5 USD'")) == 1
    assert set(told) >= {
        ("instruments.markets", "'HKK'"),
        ("instruments.markets", "'USS'"),
        ("orders.max_value", "'1e5 USD'"),
        ("orders.max_value", "'12 XX'"),
        ("orders.price_collar_percent", "'stok'"),
        ("hours.HK", "'25:00-26:00'"),
        ("hours.HK", "'soon'"),
        ("fx.USDHKD", "'0'"),
    }
    assert {error.path for error in errors} >= {"fx.ABC"}
    assert len([one for one in told if one[0] == "orders.price_collar_percent"]) == 2


def test_what_is_told_of_a_list_is_bounded() -> None:
    """A file of another kind under a policy's name does not fill an answer or a record."""
    words = ", ".join(f'"m{n}"' for n in range(5_000))
    errors = parse_policy(f"[instruments]\nmarkets = [{words}]\n", file="x.toml")
    assert isinstance(errors, list)
    assert len(errors) == WRONG_PARTS_MAX
