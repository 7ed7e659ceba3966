"""Settings: one value, every error at once, flags over variables over the file."""

from pathlib import Path

import pytest

from guard.errors import SettingsFault
from guard.settings import Settings, address, check
from guard.settingsfile import Overrides, load, parse_settings
from guard.terms import KeyLimits


def test_an_empty_file_gives_the_defaults_of_the_contract() -> None:
    """Every table and key is optional."""
    settings, errors = parse_settings("", origin="guard.toml", root=".")

    assert errors == []
    assert settings == Settings()
    assert settings.listen.data == "127.0.0.1:22500"
    assert settings.listen.ops == "127.0.0.1:22501"
    assert settings.daemon.url == "http://127.0.0.1:22499"
    assert not settings.trading.enabled
    assert check(settings) == []


def test_all_errors_come_at_once_with_file_and_key() -> None:
    """Unknown tables and keys, missing and wrong values are told together, with a suggestion."""
    text = """
    [lisen]
    [listen]
    dta = "127.0.0.1:1"
    [daemon]
    order_timeout_s = -1
    [trading]
    enabled = "yes"
    [[jwt]]
    issuer = "x"
    """
    _, errors = parse_settings(text, origin="guard.toml", root=".")

    joined = "\n".join(errors)
    assert "[lisen]: unknown table; did you mean 'listen'?" in joined
    assert "listen.dta: unknown key; did you mean 'data'?" in joined
    assert "daemon.order_timeout_s" in joined
    assert "trading.enabled" in joined
    assert "jwt[0].audience: is required" in joined
    assert all(error.startswith("guard.toml") for error in errors)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('[listen]\ndata = "nonsense"', "listen.data"),
        ('[listen]\nops = "127.0.0.1:99999"', "listen.ops"),
        ('[listen]\ndata = "127.0.0.1:22501"', "both are 127.0.0.1:22501; give each an address of its own"),
        ('[daemon]\nurl = "ftp://x"', "daemon.url"),
        ('[daemon]\nurl = "http://127.0.0.1:22500"', "talk to itself"),
        ('[keys]\ntz = "Mars/Olympus"', "keys.tz"),
        ('[listen]\ntls_cert = "a.pem"', "set both or neither"),
        ('[listen]\nallowed_origins = ["*"]', "no origin"),
        ('[listen]\nallowed_origins = ["null"]', "no origin"),
        ('[listen]\nallowed_origins = ["desk.example"]', "no origin"),
        ('[listen]\nallowed_origins = ["https://desk.example/"]', "no origin"),
        ('[listen]\nallowed_origins = ["https://Desk.example"]', "no origin"),
        ('[listen]\nallowed_origins = ["https://desk.example:443"]', "no origin"),
        ('[listen]\nallowed_origins = ["https://*.example"]', "no origin"),
        ('[listen]\nallowed_origins = ["https://a.example, https://b.example"]', "no origin"),
    ],
)
def test_values_that_cannot_work_together_are_refused(text: str, word: str) -> None:
    """What would not work, or is not enforced by this version, is an error and not a surprise."""
    settings, errors = parse_settings(text, origin="guard.toml", root=".")

    assert errors == []
    assert any(word in sentence for sentence in check(settings))


def test_wrong_values_are_told_beside_wrong_types_of_the_same_table(tmp_path: Path) -> None:
    """At once, and none that hangs on the default of a key which is told already."""
    text = '[listen]\ntls_cert = 5\ntls_key = "key.pem"\ndata = "nonsense"\n[keys]\ntz = "Mars"\nfiel = "x"\n'
    (tmp_path / "guard.toml").write_text(text)
    with pytest.raises(SettingsFault) as caught:
        load(tmp_path / "guard.toml", Overrides(), {})

    told = [error.removeprefix(f"{tmp_path / 'guard.toml'}: ").partition(":")[0] for error in caught.value.errors]
    assert told == ["listen.tls_cert", "keys.fiel", "listen.data", "keys.tz"]


def test_origins_are_taken_as_browsers_send_them() -> None:
    """Scheme, host, and a port where it is not the scheme's own; a page on this machine and an address too."""
    origins = ["https://desk.example", "http://127.0.0.1:5173", "http://localhost:8080", "https://[::1]:444"]
    settings, errors = parse_settings(f"[listen]\nallowed_origins = {origins}", origin="guard.toml", root=".")

    assert (errors, check(settings)) == ([], [])
    assert list(settings.listen.allowed_origins) == origins


def test_text_that_is_not_toml_is_one_error() -> None:
    """A syntax error names the file."""
    _, errors = parse_settings("[listen", origin="guard.toml", root=".")

    assert len(errors) == 1
    assert errors[0].startswith("guard.toml: not TOML")


def test_b27_a_named_file_must_exist_and_the_default_may_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """B27: no silent default where somebody named a file."""
    monkeypatch.chdir(tmp_path)

    assert load(None, Overrides(), {}).listen == Settings().listen
    with pytest.raises(SettingsFault, match="cannot be read"):
        load(tmp_path / "absent.toml", Overrides(), {})


def test_flags_override_the_file_and_form_a_policy(tmp_path: Path) -> None:
    """Start-up flags win over the file; the limit flags stand apart."""
    config = tmp_path / "guard.toml"
    config.write_text('[listen]\ndata = "127.0.0.1:1"\n[keys]\nfile = "k.json"\n')
    over = Overrides(listen="127.0.0.1:2", enable_trading=True, limits=KeyLimits(allowed_markets=("HK",)))

    settings = load(config, over, {"GUARD_DAEMON_KEY": "secret"})

    assert settings.listen.data == "127.0.0.1:2"
    assert settings.trading.enabled
    assert settings.flags == KeyLimits(allowed_markets=("HK",))
    assert settings.path(settings.keys.file) == tmp_path / "k.json"
    assert settings.daemon_key == "secret"


def test_the_daemon_key_comes_from_its_file(tmp_path: Path) -> None:
    """The key file holds one key; anything else is an error that does not show it."""
    (tmp_path / "good.key").write_text("fc_0123\n")
    (tmp_path / "bad.key").write_text("two words\n")
    config = tmp_path / "guard.toml"
    config.write_text('[daemon]\nkey_file = "good.key"\n')

    assert load(config, Overrides(), {}).daemon_key == "fc_0123"
    assert load(config, Overrides(), {"GUARD_DAEMON_KEY": "other"}).daemon_key == "other"

    config.write_text('[daemon]\nkey_file = "bad.key"\npublic_key_file = "absent.key"\n')
    with pytest.raises(SettingsFault) as caught:
        load(config, Overrides(), {})
    assert len(caught.value.errors) == 2
    assert "two words" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:80", ("127.0.0.1", 80)),
        ("[::1]:80", ("::1", 80)),
        (":80", ("127.0.0.1", 80)),
        ("unix:/run/x", "/run/x"),
    ],
)
def test_addresses(text: str, expected: object) -> None:
    """Host and port, IPv6 in brackets, or a unix socket."""
    assert address(text) == expected
