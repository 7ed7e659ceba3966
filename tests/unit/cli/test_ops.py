"""Where commands look for a running guard."""

from pathlib import Path

import pytest

from guard.cli.ops import data_door, ops_door


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ("127.0.0.1:1", "127.0.0.1:1"),
        ("http://127.0.0.1:1", "127.0.0.1:1"),
        ("http://[::1]:1/", "[::1]:1"),
        ("https://desk.example:1/", "https://desk.example:1"),
        ("unix:/run/http://x/", "unix:/run/http://x/"),
    ],
)
def test_an_address_is_taken_as_people_paste_it(
    given: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the `http://` of a base URL or without, a slash behind it or none; a path of a socket is nobody's URL."""
    monkeypatch.chdir(tmp_path)

    assert (ops_door(given, None).place, data_door(given, None).place) == (place, place)


def test_a_plain_address_is_still_asked_for_the_certificate_of_the_settings(tmp_path: Path) -> None:
    """`http://` does not bring a key to go in the clear where the guard has a certificate."""
    config = tmp_path / "guard.toml"
    config.write_text('[listen]\ntls_cert = "c.pem"\ntls_key = "k.pem"\n')

    assert ops_door("http://127.0.0.1:1", config).certificate == tmp_path / "c.pem"
