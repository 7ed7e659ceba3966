"""The keys that are in force: whose file is safe enough to let callers in."""

from pathlib import Path

import pytest

from guard.activeconfig import load_keys
from guard.errors import SettingsFault
from guard.settingsfile import Overrides, load
from tests.support import tokens
from tests.support.guards import lay_out, record


@pytest.mark.parametrize(
    ("kind", "algorithm", "mode", "told"),
    [
        ("OKP", "EdDSA", 0o644, None),
        ("OKP", "EdDSA", 0o664, "can be written by others than its owner: run chmod go-w"),
        ("OKP", "EdDSA", 0o602, "can be written by others than its owner: run chmod go-w"),
        ("oct", "HS256", 0o640, None),
        ("oct", "HS256", 0o644, "can be read by everybody: run chmod 600"),
        ("oct", "HS256", 0o666, "can be written by others than its owner and read by everybody: run chmod 600"),
    ],
)
def test_an_issuers_keys_are_as_safe_on_disk_as_keys_json(
    tmp_path: Path, kind: str, algorithm: str, mode: int, told: str | None
) -> None:
    """Whoever writes a key of an issuer, or reads its secret, makes tokens of an operator; public keys may be read."""
    toml = f'[[jwt]]\nissuer = "i"\naudience = "guard"\njwks_file = "jwks.json"\nalgorithms = ["{algorithm}"]\n'
    settings = load(lay_out(tmp_path, record("bot"), toml=toml), Overrides(), {})
    file = tmp_path / "jwks.json"
    file.write_bytes(tokens.jwks(tokens.jwk(kind)))
    file.chmod(mode)
    if told is None:
        assert load_keys(settings)[1].each
        return
    with pytest.raises(SettingsFault) as caught:
        load_keys(settings)
    assert caught.value.errors == [f"{file}: {told} {file}"]
