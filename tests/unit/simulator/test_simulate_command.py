"""`guard simulate`: what the command line means, and what it refuses."""

from pathlib import Path

import pytest
import typer

from guard.cli.simulate import address, load_keys
from guard.errors import SettingsFault


@pytest.mark.parametrize(
    ("listen", "expected"),
    [("127.0.0.1:22499", ("127.0.0.1", 22499)), ("[::1]:0", ("::1", 0)), ("localhost:65535", ("localhost", 65535))],
)
def test_addresses_are_host_and_port(listen: str, expected: tuple[str, int]) -> None:
    """IPv6 in brackets."""
    assert address(listen) == expected


@pytest.mark.parametrize("listen", ["22499", ":22499", "host:", "host:x", "host:65536", "host:-1", "host:٣"])
def test_other_addresses_are_wrong_usage(listen: str) -> None:
    """Said before anything is opened."""
    with pytest.raises(typer.BadParameter):
        address(listen)


def test_keys_come_from_a_file_or_not_at_all(tmp_path: Path) -> None:
    """Without a file: legacy mode. A file that cannot be read or is no keys.json is a fault that names it."""
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text('{"version":1,"keys":[{"id":"a","hash":"sha256:00","scopes":["qot:read"]}]}')
    bad.write_text("{}")

    assert load_keys(None) is None
    keys = load_keys(good)
    assert keys is not None
    assert [key.id for key in keys] == ["a"]
    for path in (bad, tmp_path / "absent.json"):
        with pytest.raises(SettingsFault, match=path.name):
            load_keys(path)
